"""Folders as a platform: bids out, and what the next download says became of them."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fastexcel
import polars as pl
import pytest

from connectors import filestate
from connectors.files import FilePlatform
from domain.account import Account
from domain.errors import InvalidPlan
from domain.plans import ACTION, INTERVENTIONS, PLAN, RECEIPTS, BidPlan
from domain.problem import Status
from domain.tables import REPORT, check, empty
from domain.time import FixedClock, Hour, Window

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


def plan_of(
    platform: FilePlatform, action: str | list[str], bid, hour: datetime = NOW, account: str = "shop"
) -> BidPlan:
    live = platform.live_bids().rows
    n = live.height
    units = live.select("unit_id", pl.col("bid_cpc").alias("live_bid_cpc")).with_columns(
        pl.col("unit_id").str.split(" / ").list.first().alias("campaign"),
        pl.Series("action", [action] * n if isinstance(action, str) else action).cast(ACTION),
        pl.Series("bid_cpc", [bid(b) for b in live["bid_cpc"]] if callable(bid) else bid, dtype=pl.Float64),
    )
    units = units.with_columns(pl.lit(None, d).alias(c) for c, d in PLAN.items() if c not in units.columns)
    return BidPlan(account, Hour(hour), units.select(list(PLAN)), None, empty(INTERVENTIONS), Status.SLACK, "test")


def states(receipts) -> dict[str, int]:
    check(receipts.rows, RECEIPTS, "receipts")
    return dict(receipts.rows.group_by("state").len().cast({"state": pl.String}).iter_rows())


def upload_in(platform: FilePlatform) -> Path | None:
    found = list((platform.root / "outbox").glob("bids-*.xlsx"))
    assert len(found) <= 1  # never two to choose from
    return found[0] if found else None


def taken_by_platform(sheet, upload: Path, only=lambda own: True, change=lambda bid: bid):
    """The sheet that Amazon shows after it took (part of) an upload."""
    rows = fastexcel.read_excel(upload).load_sheet(0, schema_sample_rows=None).to_polars()
    at = {h: i for i, h in enumerate(sheet.header)}
    for row in rows.iter_rows(named=True):
        own = row["Keyword ID"] or row["Product Targeting ID"]
        for line, cells in enumerate(sheet.rows):
            if own in (cells[at["Keyword ID"]], cells[at["Product Targeting ID"]]) and only(own):
                sheet = sheet.put(line, "Bid", change(row["Bid"])).put(line, "State", row["State"])
    return sheet


def up(b: float) -> float:
    return round(b + 1, 2)


def test_an_empty_account_has_no_rows_no_bids_and_takes_an_empty_plan(platform):
    check(platform.read_reports(ALL).rows, REPORT, "rows")
    assert platform.read_reports(ALL).rows.height == platform.live_bids().rows.height == 0
    assert platform.publish(plan_of(platform, "set", [])).rows.height == 0
    assert upload_in(platform) is None


def test_without_a_bulk_sheet_nothing_is_sent_and_every_unit_is_told_why(tmp_path, platform, report):
    drop(platform, report("targeting", n=4).csv(tmp_path / "t.csv"))
    platform.collect()
    receipts = platform.publish(plan_of(platform, "set", [1.0] * 4))
    assert states(receipts) == {"not_sent": 4}
    assert "bulk sheet" in receipts.rows["reason"][0]
    assert upload_in(platform) is None
    assert len(list((platform.root / "outbox").glob("audit-*.csv"))) == 1


def test_every_unit_that_is_set_or_paused_gets_one_receipt(tmp_path, platform, bulk):
    drop(platform, bulk(n=10).xlsx(tmp_path / "a.xlsx"))
    platform.collect()
    actions = ["set", "set", "pause", "keep", "hold", "bid_unknown", "set", "set", "set", "set"]
    plan = plan_of(platform, actions, lambda b: b + 1)
    live = platform.live_bids().rows["bid_cpc"].to_list()
    bids = plan.units["bid_cpc"].to_list()
    bids[1], bids[6] = live[1], 0.5
    plan = BidPlan(
        plan.account,
        plan.hour,
        plan.units.with_columns(pl.Series("bid_cpc", bids)),
        None,
        plan.interventions,
        plan.status,
        "t",
    )
    receipts = platform.publish(plan)
    wanted = plan.units.filter(pl.col("action").cast(pl.String).is_in(["set", "pause"]))["unit_id"].to_list()
    assert receipts.rows["unit_id"].to_list() == wanted
    assert states(receipts) == {"unseen": 5, "applied": 1, "rejected": 1}
    assert "floor" in receipts.rows.filter(pl.col("state") == "rejected")["reason"][0]


def test_publishing_again_is_safe(tmp_path, platform, bulk):
    drop(platform, bulk(n=10).xlsx(tmp_path / "a.xlsx"))
    platform.collect()
    plan = plan_of(platform, "set", up)
    one = platform.publish(plan)
    before = {p.name: p.read_bytes() for p in (platform.root / "outbox").iterdir() if p.is_file()}
    two = platform.publish(plan)
    three = FilePlatform(platform.root, ACCOUNT, FixedClock(NOW)).publish(plan)
    assert one.rows.equals(two.rows)
    assert one.rows.equals(three.rows)
    assert {p.name: p.read_bytes() for p in (platform.root / "outbox").iterdir() if p.is_file()} == before
    assert platform.waiting() == [Hour(NOW)]


def test_a_plan_of_another_account_is_refused(tmp_path, platform, bulk):
    drop(platform, bulk(n=10).xlsx(tmp_path / "a.xlsx"))
    platform.collect()
    with pytest.raises(InvalidPlan, match="other"):
        platform.publish(plan_of(platform, "set", up, account="other"))


@pytest.mark.parametrize("step", ["paused.json", "sent/", "published/"])
def test_a_crash_while_publishing_is_made_good_by_publishing_again(tmp_path, platform, bulk, monkeypatch, step):
    drop(platform, bulk(n=10).xlsx(tmp_path / "a.xlsx"))
    platform.collect()
    plan = plan_of(platform, "set", up)
    real = filestate.write_whole

    def dies(path, data):
        if step in str(path):
            raise KeyboardInterrupt
        real(path, data)

    monkeypatch.setattr("connectors.filestate.write_whole", dies)
    with pytest.raises(KeyboardInterrupt):
        platform.publish(plan)
    monkeypatch.undo()
    again = FilePlatform(platform.root, ACCOUNT, FixedClock(NOW))
    assert states(again.publish(plan)) == {"unseen": 10}
    assert upload_in(again) is not None
    assert again.waiting() == [Hour(NOW)]
    assert not [p for p in (again.root / "outbox").iterdir() if p.name.endswith(".part")]


# -- answers ----------------------------------------------------------------------------------------------------


def test_the_next_download_says_applied(tmp_path, platform, clock, bulk):
    sheet = bulk(n=10)
    drop(platform, sheet.xlsx(tmp_path / "a.xlsx"))
    platform.collect()
    plan = plan_of(platform, "set", up)
    platform.publish(plan)
    assert platform.answers() == {}
    drop(platform, taken_by_platform(sheet, upload_in(platform)).xlsx(tmp_path / "b.xlsx"))
    platform.collect()
    answer = platform.answers()[plan.hour]
    assert states(answer) == {"applied": 10}
    assert platform.waiting() == []
    assert platform.live_bids().rows["bid_cpc"].to_list() == plan.units["bid_cpc"].to_list()
    assert platform.publish(plan).rows.equals(answer.rows)  # a late repeat tells what is known by now


def test_an_upload_that_was_never_applied_stays_unseen(tmp_path, platform, bulk):
    sheet = bulk(n=10)
    drop(platform, sheet.xlsx(tmp_path / "a.xlsx"))
    platform.collect()
    plan = plan_of(platform, "set", up)
    platform.publish(plan)
    drop(platform, sheet.csv(tmp_path / "b.csv"))  # a download from before the upload
    platform.collect()
    assert platform.answers() == {}
    assert platform.waiting() == [plan.hour]
    assert states(platform.publish(plan)) == {"unseen": 10}


def test_units_that_kept_their_old_bid_were_rejected_and_others_adjusted(tmp_path, platform, bulk):
    sheet = bulk(n=10)
    drop(platform, sheet.xlsx(tmp_path / "a.xlsx"))
    platform.collect()
    plan = plan_of(platform, "set", up)
    platform.publish(plan)
    upload = upload_in(platform)
    next_sheet = taken_by_platform(sheet, upload, only=lambda own: own[-1] not in "36")
    next_sheet = taken_by_platform(next_sheet, upload, only=lambda own: own[-1] == "6", change=lambda b: b - 0.5)
    drop(platform, next_sheet.xlsx(tmp_path / "b.xlsx"))
    platform.collect()
    answer = platform.answers()[plan.hour]
    assert states(answer) == {"applied": 8, "rejected": 1, "adjusted": 1}
    adjusted = answer.rows.filter(pl.col("state") == "adjusted").row(0, named=True)
    wanted = plan.units.filter(pl.col("unit_id") == adjusted["unit_id"])["bid_cpc"][0]
    assert adjusted["bid_cpc"] == pytest.approx(wanted - 0.5)


def test_a_unit_that_left_the_sheet_is_unseen(tmp_path, platform, bulk):
    sheet = bulk(n=10)
    drop(platform, sheet.xlsx(tmp_path / "a.xlsx"))
    platform.collect()
    plan = plan_of(platform, "set", up)
    platform.publish(plan)
    after = taken_by_platform(sheet, upload_in(platform))
    own = after.header.index("Keyword ID")
    gone = next(i for i, r in enumerate(after.rows) if r[1] == "Keyword" and r[own].endswith("2"))
    shorter = type(after)(after.header, after.rows[:gone] + after.rows[gone + 1 :])
    drop(platform, shorter.xlsx(tmp_path / "b.xlsx"))
    platform.collect()
    assert states(platform.answers()[plan.hour]) == {"applied": 9, "unseen": 1}


def test_a_newer_upload_replaces_an_older_one_and_settles_it(tmp_path, platform, clock, bulk):
    sheet = bulk(n=10)
    drop(platform, sheet.xlsx(tmp_path / "a.xlsx"))
    platform.collect()
    first = plan_of(platform, "set", up)
    platform.publish(first)
    later = NOW + timedelta(hours=1)
    second = plan_of(platform, "set", lambda b: round(b + 2, 2), hour=later)
    platform.publish(second)
    assert len(list((platform.root / "outbox" / "old").iterdir())) == 1
    assert platform.waiting() == [first.hour, second.hour]
    drop(platform, taken_by_platform(sheet, upload_in(platform)).xlsx(tmp_path / "b.xlsx"))
    platform.collect()
    assert states(platform.answers()[second.hour]) == {"applied": 10}
    assert states(platform.answers()[first.hour]) == {"unseen": 10}
    assert platform.waiting() == []


def test_a_bid_that_goes_back_is_written_while_the_earlier_upload_is_unanswered(tmp_path, platform, bulk):
    """The live bid may be the old or the new one: what looks unchanged may not be."""
    sheet = bulk(n=10)
    drop(platform, sheet.xlsx(tmp_path / "a.xlsx"))
    platform.collect()
    platform.publish(plan_of(platform, "set", up))
    platform.publish(plan_of(platform, "set", lambda b: b, hour=NOW + timedelta(hours=1)))
    rows = fastexcel.read_excel(upload_in(platform)).load_sheet(0).to_polars()
    assert sorted(rows["Bid"]) == sorted(platform.live_bids().rows["bid_cpc"])


def test_edits_of_the_local_day_are_counted(tmp_path, platform, clock, bulk):
    drop(platform, bulk(n=10).xlsx(tmp_path / "a.xlsx"))
    platform.collect()
    platform.publish(plan_of(platform, "set", up, hour=datetime(2024, 2, 29, 18, 0, tzinfo=UTC)))  # 23:30 in Kolkata
    platform.publish(plan_of(platform, "set", lambda b: b + 2, hour=datetime(2024, 2, 29, 19, 0, tzinfo=UTC)))  # 0:30
    assert platform.live_bids().rows["edits_today"].to_list() == [1] * 10


def test_we_enable_again_what_we_paused_and_never_what_a_person_paused(tmp_path, platform, bulk):
    sheet = bulk(n=10)
    by_hand = next(i for i, r in enumerate(sheet.rows) if r[1] == "Keyword")
    sheet = sheet.put(by_hand, "State", "paused")
    drop(platform, sheet.xlsx(tmp_path / "a.xlsx"))
    platform.collect()
    person = platform.live_bids().rows["unit_id"][0]
    actions = ["keep", "pause", *["keep"] * 8]
    platform.publish(plan_of(platform, actions, lambda b: b))
    sheet = taken_by_platform(sheet, upload_in(platform))
    drop(platform, sheet.xlsx(tmp_path / "b.xlsx"))
    platform.collect()
    assert platform.live_bids().rows["state"].to_list()[:3] == ["paused", "paused", "enabled"]
    receipts = platform.publish(plan_of(platform, ["set", "set", *["keep"] * 8], up, hour=NOW + timedelta(hours=1)))
    assert states(receipts) == {"rejected": 1, "unseen": 1}
    assert receipts.rows.filter(pl.col("state") == "rejected")["unit_id"].to_list() == [person]
    # once it runs again, it is ours no longer: a person who pauses it then has the last word
    sheet = taken_by_platform(sheet, upload_in(platform))
    drop(platform, sheet.xlsx(tmp_path / "c.xlsx"))
    platform.collect()
    ours = next(i for i, r in enumerate(sheet.rows) if r[1] == "Keyword" and i > by_hand)
    drop(platform, sheet.put(ours, "State", "paused").xlsx(tmp_path / "d.xlsx"))
    platform.collect()
    receipts = platform.publish(plan_of(platform, ["keep", "set", *["keep"] * 8], up, hour=NOW + timedelta(hours=2)))
    assert states(receipts) == {"rejected": 1}


def test_campaign_names_that_look_like_code_pass_through_unharmed(tmp_path, platform, bulk):
    sheet = bulk(n=10)
    for row, name in ((0, "=cmd()"),):
        sheet = sheet.put(row, "Campaign Name", name)
    sheet = sheet.fill("Campaign Name (Informational only)", [None] * len(sheet.rows))
    drop(platform, sheet.xlsx(tmp_path / "a.xlsx"))
    platform.collect()
    assert platform.live_bids().rows["unit_id"][0].startswith("=cmd() / ")
    assert states(platform.publish(plan_of(platform, "set", up))) == {"unseen": 10}
    audit = next((platform.root / "outbox").glob("audit-*.csv")).read_text(encoding="utf-8-sig")
    assert "\n\"'=cmd() / " in audit
