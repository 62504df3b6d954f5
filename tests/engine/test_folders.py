"""An account that is connected by folders: files in, an upload out, and the next download answers it."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from connectors import read_any
from data import Workspace
from domain.account import Account, Mode
from domain.plans import Decision, DecisionState, Receipts
from domain.time import FixedClock, Hour
from engine.folders import folder_of
from engine.hourly import HourOutcome, run_hour
from engine.intake import store

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
TEN = Hour(datetime(2026, 11, 10, 9, tzinfo=UTC))  # ten o'clock in Berlin
CLOCK = FixedClock(TEN.start + timedelta(minutes=5))


@pytest.fixture
def example() -> ModuleType:
    """The maker of the example's reports."""
    spec = importlib.util.spec_from_file_location("make_reports", EXAMPLES / "make_reports.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tea(tmp_path: Path) -> Iterator[Workspace]:
    """Live account ``tea`` with an empty inbox."""
    CLOCK.instant = TEN.start + timedelta(minutes=5)
    workspace = Workspace.open(tmp_path, create=True)
    workspace.create_account(Account("tea", "EUR", "Europe/Berlin", "amazon-sp"), CLOCK.now())
    workspace.set_mode("tea", Mode.LIVE, by="Ada", reason="test", now=CLOCK.now())
    (folder_of(workspace, "tea") / "inbox").mkdir(parents=True)
    yield workspace
    workspace.close()


def drop(workspace: Workspace, *files: Path, name: str | None = None) -> None:
    """Put files into the inbox, as they were some minutes ago."""
    for file in files:
        target = folder_of(workspace, "tea") / "inbox" / (name or file.name)
        shutil.copyfile(file, target)
        when = CLOCK.now().timestamp() - 300
        os.utime(target, (when, when))


def reports() -> list[Path]:
    return sorted((EXAMPLES / "reports").glob("*.csv"))


def run(workspace: Workspace, hour: Hour = TEN) -> HourOutcome:
    CLOCK.instant = hour.start + timedelta(minutes=5)
    return run_hour(workspace, "tea", hour, clock=CLOCK)


def decided(outcome: HourOutcome) -> Decision:
    assert outcome.decision is not None
    return outcome.decision


def receipts(decision: Decision) -> pl.DataFrame:
    assert isinstance(decision.receipts, Receipts)
    return decision.receipts.rows


def test_what_lies_in_the_inbox_is_decided_upon_in_the_same_hour(tea: Workspace) -> None:
    drop(tea, *reports(), EXAMPLES / "bulk-sheet.xlsx")
    decision = decided(run(tea))
    assert decision.state is DecisionState.PUBLISHED
    assert decision.known["clicks"] > 0
    units = decision.plan.units
    assert units.height == 23
    assert units["live_bid_cpc"].null_count() == 0  # the sheet's bids count from the hour's start on
    assert set(receipts(decision)["state"]) <= {"unseen", "applied"}
    assert [p.name for p in (folder_of(tea, "tea") / "outbox").glob("bids*")] == ["bids-tea-20261110T0900Z.xlsx"]


@pytest.mark.parametrize("sheet_first", [True, False])
def test_units_are_the_same_whatever_comes_first(tea: Workspace, sheet_first: bool) -> None:
    order = [[EXAMPLES / "bulk-sheet.xlsx"], reports()]
    for k, files in enumerate(order if sheet_first else order[::-1]):
        drop(tea, *files)
        run(tea, TEN.plus(k))
    units = tea.units("tea", TEN.plus(2).start)
    assert units.height == 23
    assert units.filter(pl.col("campaign") != "Auto all")["business_type"].null_count() == 0


def test_the_next_download_answers_an_upload(tea: Workspace, tmp_path: Path, example: ModuleType) -> None:
    drop(tea, *reports(), EXAMPLES / "bulk-sheet.xlsx")
    first = decided(run(tea))
    bids = dict(first.plan.units.select("unit_id", "bid_cpc").iter_rows())
    changed = 0
    for _, (campaign, _, _, _, _, groups) in enumerate(example.CAMPAIGNS):
        for group, _, targets in groups:
            for k, (target, match, old) in enumerate(targets):
                new = bids.get(" / ".join((campaign, group, target, match)), old)
                targets[k] = (target, match, new)
                changed += new != old
    assert changed > 0
    sheet = tmp_path / "download.xlsx"
    example.write_bulk_sheet(sheet)
    drop(tea, sheet)
    second = decided(run(tea, TEN.plus(1)))
    answered = tea.journal("tea").find(TEN)
    assert answered is not None
    assert set(receipts(answered)["state"]) == {"applied"}
    assert receipts(answered).height == receipts(first).height
    live = dict(second.plan.units.select("unit_id", "live_bid_cpc").iter_rows())
    assert live == {unit: pytest.approx(bid) for unit, bid in bids.items()}


def test_an_upload_that_is_never_made_stays_unseen(tea: Workspace) -> None:
    drop(tea, *reports(), EXAMPLES / "bulk-sheet.xlsx")
    first = decided(run(tea))
    run(tea, TEN.plus(1))
    later = tea.journal("tea").find(TEN)
    assert later is not None
    assert receipts(later).equals(receipts(first))
    outbox = folder_of(tea, "tea") / "outbox"
    assert [p.name for p in outbox.glob("bids*")] == ["bids-tea-20261110T1000Z.xlsx"]
    assert [p.name for p in (outbox / "old").glob("bids*")] == ["bids-tea-20261110T0900Z.xlsx"]


def test_a_file_that_cannot_be_used_is_told_of_and_stops_nothing(tea: Workspace, tmp_path: Path) -> None:
    bad = tmp_path / "empty.csv"
    bad.touch()
    drop(tea, bad, *reports(), EXAMPLES / "bulk-sheet.xlsx")
    outcome = run(tea)
    assert decided(outcome).plan.units.height == 23
    assert any(note.startswith("empty.csv was refused") for note in outcome.notes)
    assert (folder_of(tea, "tea") / "refused" / "empty.csv.reason.txt").exists()


def test_a_bulk_sheet_of_another_account_is_refused_and_its_ids_never_used(
    tea: Workspace, tmp_path: Path, example: ModuleType
) -> None:
    drop(tea, *reports())
    run(tea)
    example.CAMPAIGNS = [(f"Other {c[0]}", *c[1:]) for c in example.CAMPAIGNS]
    sheet = tmp_path / "other.xlsx"
    example.write_bulk_sheet(sheet)
    drop(tea, sheet)
    outcome = run(tea, TEN.plus(1))
    assert any("another account" in note for note in outcome.notes)
    assert decided(outcome).plan.units.height == 23
    assert tea.entities("tea").height == 0


def test_without_a_bulk_sheet_the_hour_is_decided_and_the_outcome_says_why_nothing_left(tea: Workspace) -> None:
    drop(tea, *reports())
    outcome = run(tea)
    assert set(decided(outcome).plan.units["action"]) <= {"bid_unknown", "hold"}
    assert not list((folder_of(tea, "tea") / "outbox").glob("bids*"))
    assert list((folder_of(tea, "tea") / "outbox").glob("audit*"))
    assert "nothing to send" in outcome.words


def test_a_bulk_sheet_that_was_only_imported_is_asked_for(tea: Workspace) -> None:
    sheet = read_any(EXAMPLES / "bulk-sheet.xlsx", "amazon-sp")
    store(tea, "tea", sheet, now=TEN.start, report_lag_hours=12.0)
    drop(tea, *reports())
    outcome = run(tea)
    assert any("none was dropped into the inbox" in note for note in outcome.notes)
    assert "not sent: no bulk sheet" in outcome.words


def test_a_report_that_comes_after_the_hour_was_decided_counts_from_the_next_one(tea: Workspace) -> None:
    drop(tea, *(r for r in reports() if r.stem != "targeting"), EXAMPLES / "bulk-sheet.xlsx")
    first = decided(run(tea))
    drop(tea, EXAMPLES / "reports" / "targeting.csv")
    again = decided(run(tea))
    assert again.plan.units.equals(first.plan.units)
    assert again.known == first.known
    assert not list((folder_of(tea, "tea") / "inbox").iterdir())  # it was taken in all the same


def test_what_a_decision_was_made_without_stays_unknown_at_its_hour(tea: Workspace, tmp_path: Path) -> None:
    whole = EXAMPLES / "reports" / "targeting.csv"
    head, *rows = whole.read_text().splitlines(keepends=True)
    earlier = tmp_path / "earlier.csv"
    earlier.write_text(head + "".join(r for r in rows if "Nov" not in r and "2026-11" not in r))
    drop(tea, earlier, EXAMPLES / "bulk-sheet.xlsx")
    first = decided(run(tea))
    drop(tea, whole)  # the days of November could have been read before; they were not
    second = decided(run(tea, TEN.plus(1)))
    assert second.known["clicks"] > first.known["clicks"] > 0  # taken in before it was decided, so it counts at once
    assert tea.asof("tea").at(TEN).totals() == first.known
    facts = tea.fact_history("tea")
    november = facts.filter(pl.col("start_local") >= datetime(2026, 11, 1))
    assert november["learned_at"].unique().to_list() == [TEN.plus(1).start]
    could_be_read = november["start_local"] < datetime(2026, 11, 9)  # the report of the 9th was not due at ten
    assert (november["assumed"] != could_be_read).all()
    history = facts.filter(pl.col("start_local") < datetime(2026, 11, 1))
    assert history["assumed"].all()
    assert (history["learned_at"] <= TEN.start).all()
