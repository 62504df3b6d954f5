"""Sums that the night puts by say what the facts say, or are not used."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data import IngestResult, Views, Workspace
from domain.tables import BIDS, REPORT, UNITS, BidTable, ReportBatch, empty
from domain.time import Hour

START = datetime(2026, 2, 1, tzinfo=UTC)


def report(workspace: Workspace, hour: int, spend: float, learned: int | None = None) -> None:
    """One row of unit u1 in an hour, learned at the end of that hour or later."""
    store = workspace.asof("shop")
    if "u1" not in workspace.units("shop")["unit_id"]:
        columns = {"unit_id": ["u1"], "campaign": ["C1"]}
        rest = {n: [None] for n in UNITS if n not in columns}
        units = pl.DataFrame({**columns, **rest}, schema_overrides=dict(UNITS)).select(list(UNITS))
        store.declare_units(units, START)
    row = {"unit_id": "u1", "start_utc": START + timedelta(hours=hour), "grain": "hour", "hours": 1.0,
           "impressions": 10.0, "clicks": 2.0, "spend": spend, "orders": 1.0, "gmv": 4 * spend, "bid_cpc": 1.0,
           "learned_at": START + timedelta(hours=(hour if learned is None else learned) + 1)}  # fmt: skip
    store.append(ReportBatch(pl.DataFrame([row], schema=dict(REPORT))), BidTable(empty(BIDS)), Hour(START).start)


@pytest.fixture
def put_by(workspace: Workspace, facts: Callable[..., pl.DataFrame], take: Callable[..., IngestResult]) -> Path:
    """Marts of an account with a report and ten hours of unit rows; gives their folder."""
    take(facts({"spend": 30.0}, {"campaign": "C2", "spend": 7.0}))
    for hour in range(10):
        report(workspace, 48 + hour, 1.0 + hour)
    Views(workspace).build_marts("shop")
    return workspace.home / "marts" / "shop"


def told(workspace: Workspace) -> pl.DataFrame:
    return Views(workspace).series("shop", by="campaign")


def without(workspace: Workspace, marts: Path) -> pl.DataFrame:
    """What the facts alone say."""
    marts.rename(marts.with_name("aside"))
    rows = told(workspace)
    marts.with_name("aside").rename(marts)
    return rows


def test_sums_that_were_put_by_are_used_and_say_what_the_facts_say(workspace: Workspace, put_by: Path) -> None:
    expected = without(workspace, put_by)
    assert expected["spend"].sum() == 37.0 + sum(range(1, 11))
    assert_frame_equal(told(workspace), expected)
    for path in (workspace.home / "facts").rglob("*.parquet"):
        if path.parent.name in ("unit_rows", "facts"):
            path.unlink()  # so they are not read
    assert_frame_equal(told(workspace), expected)


def test_what_is_learned_after_the_night_counts(workspace: Workspace, put_by: Path) -> None:
    report(workspace, 58, 100.0)
    report(workspace, 53, 50.0, learned=60)  # restates an hour that the sums hold
    rows = told(workspace)
    assert_frame_equal(rows, without(workspace, put_by))
    assert rows["spend"].sum() == 37.0 + sum(range(1, 11)) - 6.0 + 150.0


def test_sums_of_files_that_count_no_more_are_not_used(workspace: Workspace, put_by: Path) -> None:
    report(workspace, 58, 100.0)
    workspace.compact("shop", START)
    assert_frame_equal(told(workspace), without(workspace, put_by))


def test_damaged_sums_are_not_used(workspace: Workspace, put_by: Path) -> None:
    expected = told(workspace)
    for path in put_by.glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:100])
    assert_frame_equal(told(workspace), expected)
    for path in put_by.glob("*.json"):
        path.write_text("{")
    assert_frame_equal(told(workspace), expected)


def test_a_look_at_the_past_does_not_use_what_is_known_now(workspace: Workspace, put_by: Path) -> None:
    at = START + timedelta(hours=51)
    assert put_by.is_dir()
    rows = Views(workspace).series("shop", per="hour", at=at)
    assert rows["spend"].to_list() == [1.0, 2.0, 3.0]


def test_every_night_leaves_one_file_per_table(workspace: Workspace, put_by: Path) -> None:
    for hour in range(58, 61):
        report(workspace, hour, 1.0)
        Views(workspace).build_marts("shop")
    assert len(list(put_by.glob("*.parquet"))) == len(list(put_by.glob("*.json"))) == 2
    assert_frame_equal(told(workspace), without(workspace, put_by))
