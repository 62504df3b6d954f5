"""Folders as a platform: files in when they are whole, each once; nothing gets lost."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from connectors import read_bulksheet
from connectors.files import FilePlatform
from connectors.inbox import Outcome
from domain.account import Account
from domain.errors import DataError, StoreBusy, Unavailable
from domain.tables import BIDS, REPORT, check
from domain.time import FixedClock, Window, day_start

ACCOUNT = Account("shop", "INR", "Asia/Kolkata")
NOW = datetime(2024, 3, 1, 6, 0, tzinfo=UTC)
ALL = Window(datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def platform(tmp_path, clock) -> FilePlatform:
    return FilePlatform(tmp_path / "shop", ACCOUNT, clock)


def drop(platform: FilePlatform, path: Path, name: str | None = None, age: float = 3600) -> Path:
    """Put a finished file into the inbox, as old as said."""
    target = platform.root / "inbox" / (name or path.name)
    target.write_bytes(path.read_bytes())
    at = platform._clock.now().timestamp() - age
    os.utime(target, (at, at))
    return target


def test_reports_become_day_rows_of_units_in_the_account_s_days(tmp_path, platform, report, expected_totals):
    sheet = report("targeting", n=30)
    drop(platform, sheet.csv(tmp_path / "t.csv"))
    rows = platform.read_reports(ALL).rows
    check(rows, REPORT, "rows")
    for name, total in expected_totals(sheet).items():
        assert rows[name].sum() == pytest.approx(total)
    assert rows["start_utc"].min() == day_start(datetime(2024, 2, 1).date(), ACCOUNT.tz)
    assert (rows["hours"] == 24).all()
    assert (rows["learned_at"] == rows["start_utc"].dt.offset_by("36h")).all()  # the day and 12 h of lag
    assert not list((platform.root / "inbox").iterdir())
    assert [p.name for p in (platform.root / "archive").iterdir()] == ["t.csv"]


def test_rows_outside_the_window_and_of_days_that_are_not_over_are_not_told(tmp_path, platform, clock, report):
    drop(platform, report("targeting", n=20).csv(tmp_path / "t.csv"))
    end = day_start(datetime(2024, 2, 10).date(), ACCOUNT.tz)
    rows = platform.read_reports(Window(end - timedelta(days=3), end)).rows
    assert rows["start_utc"].n_unique() == 3
    cut = platform.read_reports(Window(end - timedelta(days=3), end - timedelta(hours=1))).rows
    assert cut["start_utc"].n_unique() == 2


def test_a_report_of_today_waits_for_the_day_s_end(tmp_path, report, clock):
    clock.instant = datetime(2024, 2, 5, 6, 0, tzinfo=UTC)
    platform = FilePlatform(tmp_path / "shop", ACCOUNT, clock)
    drop(platform, report("targeting", n=20).csv(tmp_path / "t.csv"))
    assert platform.read_reports(ALL).rows["start_utc"].max() < clock.instant - timedelta(hours=24)


def test_the_same_report_again_changes_nothing_and_a_correction_is_learned_when_it_came(
    tmp_path, platform, clock, report
):
    sheet = report("targeting", n=20)
    drop(platform, sheet.csv(tmp_path / "a.csv"))
    first = platform.read_reports(ALL).rows
    drop(platform, sheet.xlsx(tmp_path / "b.xlsx"))
    assert platform.read_reports(ALL).rows.equals(first)
    clock.instant += timedelta(days=2)
    drop(platform, sheet.put(3, "14 Day Total Orders (#)", 9).csv(tmp_path / "c.csv"))
    again = platform.read_reports(ALL).rows
    assert again.height == first.height + 1
    news = again.join(first, on=REPORT.keys(), how="anti", nulls_equal=True)
    assert news["orders"].to_list() == [9]
    assert news["learned_at"].to_list() == [clock.instant]


def test_a_file_read_before_its_correction_does_not_undo_it(tmp_path, platform, clock, report):
    sheet = report("targeting", n=5)
    for step, version in enumerate((sheet, sheet.put(3, "14 Day Total Orders (#)", 9), sheet)):
        clock.instant = NOW + timedelta(days=step)
        drop(platform, version.csv(tmp_path / "a.csv"))
        rows = platform.read_reports(ALL).rows
    assert rows.height == 6
    assert rows.sort("learned_at")["orders"][-1] == 9


def test_a_file_still_being_written_is_left_alone_until_it_is_whole(tmp_path, platform, report):
    whole = report("targeting", n=20).csv(tmp_path / "a.csv")
    half = platform.root / "inbox" / "a.csv"
    half.write_bytes(whole.read_bytes()[:900])
    at = NOW.timestamp() - 2
    os.utime(half, (at, at))
    assert [t.outcome for t in platform.collect()] == [Outcome.WAITING]
    half.write_bytes(whole.read_bytes())
    os.utime(half, (at + 1, at + 1))
    assert [t.outcome for t in platform.collect()] == [Outcome.WAITING]
    assert half.exists()
    assert [t.outcome for t in platform.collect()] == [Outcome.ARCHIVED]  # as it was at the last look
    assert platform.read_reports(ALL).rows.height == 20


@pytest.mark.parametrize("name", ["a.csv.part", "a.csv.crdownload", ".a.csv", "~$a.xlsx", "a.tmp"])
def test_names_of_unfinished_files_are_left_alone(tmp_path, platform, report, name):
    path = drop(platform, report().csv(tmp_path / "a.csv"), name)
    assert platform.collect() == []
    assert path.exists()


def test_a_clock_that_stands_before_the_file_does_not_keep_it_for_ever(tmp_path, report):
    platform = FilePlatform(tmp_path / "shop", ACCOUNT, FixedClock(datetime(2024, 2, 10, tzinfo=UTC)))
    path = report("targeting", n=5).csv(tmp_path / "a.csv")
    (platform.root / "inbox" / "a.csv").write_bytes(path.read_bytes())  # written "in the future"
    assert [t.outcome for t in platform.collect()] == [Outcome.WAITING]
    assert [t.outcome for t in platform.collect()] == [Outcome.ARCHIVED]


def test_a_refused_file_is_set_aside_with_its_reason_and_stops_no_other(tmp_path, platform, report):
    (tmp_path / "bad.csv").write_text("name,age\nAnn,3\n")
    drop(platform, tmp_path / "bad.csv", age=7200)
    drop(platform, report("targeting").csv(tmp_path / "good.csv"))
    found = {t.file: t for t in platform.collect()}
    assert found["bad.csv"].outcome is Outcome.REFUSED
    assert found["good.csv"].outcome is Outcome.ARCHIVED
    reason = (platform.root / "refused" / "bad.csv.reason.txt").read_text()
    assert "no known report" in reason
    assert (platform.root / "refused" / "bad.csv").exists()


def test_a_report_in_another_currency_is_refused(tmp_path, report, clock):
    platform = FilePlatform(tmp_path / "shop", Account("shop", "GBP"), clock)
    drop(platform, report().csv(tmp_path / "a.csv"))
    (taken,) = platform.collect()
    assert taken.outcome is Outcome.REFUSED
    assert "INR" in taken.reason
    assert "GBP" in taken.reason


def test_files_of_one_name_do_not_overwrite_each_other_in_the_archive(tmp_path, platform, report):
    for seed in range(3):
        drop(platform, report(seed=seed).csv(tmp_path / "a.csv"))
        platform.collect()
    assert len(list((platform.root / "archive").iterdir())) == 3


def test_readings_go_to_the_warehouse_before_the_file_is_moved(tmp_path, clock, report, bulk):
    got = []

    def use(reading):
        assert Path(reading.file).exists()
        got.append(reading.report)

    platform = FilePlatform(tmp_path / "shop", ACCOUNT, clock, use=use)
    drop(platform, report("campaign").csv(tmp_path / "c.csv"), age=100)
    drop(platform, bulk(n=10).xlsx(tmp_path / "b.xlsx"), age=50)
    (tmp_path / "k.csv").write_text("sku,price\nA,1\n")
    drop(platform, tmp_path / "k.csv", age=20)
    assert platform.read_reports(ALL).rows.height == 0
    assert got == ["campaign", "bulk_sheet", "catalog"]
    assert platform.live_bids().rows.height == 10


def test_a_busy_warehouse_leaves_the_file_and_a_refusal_sets_it_aside(tmp_path, clock, report):
    answers = [StoreBusy("locked"), DataError("another attribution window")]

    def use(reading):
        raise answers.pop(0)

    platform = FilePlatform(tmp_path / "shop", ACCOUNT, clock, use=use)
    path = drop(platform, report().csv(tmp_path / "a.csv"))
    assert platform.collect()[0].outcome is Outcome.WAITING
    assert path.exists()
    assert platform.collect()[0].outcome is Outcome.REFUSED
    assert "attribution" in (platform.root / "refused" / "a.csv.reason.txt").read_text()


def test_a_crash_between_reading_and_moving_loses_nothing_and_doubles_nothing(tmp_path, platform, report, monkeypatch):
    drop(platform, report("targeting", n=20).csv(tmp_path / "a.csv"))

    def dies(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.rename", dies)
    with pytest.raises(KeyboardInterrupt):
        platform.collect()
    monkeypatch.undo()
    again = FilePlatform(platform.root, ACCOUNT, FixedClock(NOW))
    assert again.read_reports(ALL).rows.height == 20
    assert not list((again.root / "inbox").iterdir())


def test_a_folder_that_cannot_be_used_is_unavailable_not_a_crash(tmp_path, clock):
    (tmp_path / "shop").write_text("a file where a folder should be")
    with pytest.raises(Unavailable, match="permissions"):
        FilePlatform(tmp_path / "shop", ACCOUNT, clock)


# -- bulk sheets ------------------------------------------------------------------------------------------------


def test_a_bulk_sheet_gives_live_bids_and_units_it_does_not_hold_are_unknown(tmp_path, platform, report, bulk):
    drop(platform, report("targeting", n=4).fill("Campaign Name", ["Tea 0"] * 4).csv(tmp_path / "t.csv"), age=9000)
    drop(platform, bulk(n=10).xlsx(tmp_path / "b.xlsx"))
    platform.collect()
    rows = platform.live_bids().rows
    check(rows, BIDS, "bids")
    assert rows["known"].to_list() == [True] * 10 + [False] * 3  # the fourth unit of the report is in the sheet
    assert rows["unit_id"].is_unique().all()
    assert rows.filter(~pl.col("known"))["bid_cpc"].null_count() == 3


def test_a_bulk_sheet_of_another_account_is_refused(tmp_path, platform, bulk):
    drop(platform, bulk(n=10).xlsx(tmp_path / "a.xlsx"))
    platform.collect()
    drop(platform, bulk(n=10, account=2, seed=9).xlsx(tmp_path / "other.xlsx"))
    (taken,) = platform.collect()
    assert taken.outcome is Outcome.REFUSED
    assert "another account" in taken.reason
    assert platform.live_bids().rows["bid_cpc"][0] == read_bulksheet(tmp_path / "a.xlsx").units["bid_cpc"][0]


def test_a_first_bulk_sheet_must_share_a_campaign_with_the_reports(tmp_path, clock, bulk):
    platform = FilePlatform(tmp_path / "shop", ACCOUNT, clock, campaigns=lambda: ["Coffee"])
    drop(platform, bulk(n=10).xlsx(tmp_path / "a.xlsx"))
    assert platform.collect()[0].outcome is Outcome.REFUSED
    known = FilePlatform(tmp_path / "shop2", ACCOUNT, clock, campaigns=lambda: ["Coffee", "Tea 0"])
    drop(known, tmp_path / "a.xlsx")
    assert known.collect()[0].outcome is Outcome.ARCHIVED


def test_an_older_bulk_sheet_dropped_again_does_not_turn_back_time(tmp_path, platform, bulk):
    old, new = bulk(n=10).xlsx(tmp_path / "old.xlsx"), bulk(n=10, seed=8).xlsx(tmp_path / "new.xlsx")
    for path in (old, new):
        drop(platform, path)
        platform.collect()
    drop(platform, new, "new again.xlsx")
    assert platform.collect()[0].outcome is Outcome.ARCHIVED
    drop(platform, old, "old again.xlsx")
    assert platform.collect()[0].outcome is Outcome.REFUSED
    assert platform.live_bids().rows["bid_cpc"].to_list() == read_bulksheet(new).units["bid_cpc"].to_list()
