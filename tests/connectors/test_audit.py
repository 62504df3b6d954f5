"""The audit file lists every unit, and no cell of it ever runs as a formula."""

import csv
from datetime import UTC, datetime

import polars as pl
import pytest

from connectors import write_audit
from domain.plans import ACTION, INTERVENTIONS, PLAN, BidPlan
from domain.problem import Status
from domain.tables import UNITS, empty
from domain.time import Hour

NAMES = [
    "Tea",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "＝1",
    "<script>",
    "名前",
    'a"b,c',
]


@pytest.fixture
def plan() -> BidPlan:
    n = len(NAMES)
    units = pl.DataFrame(
        {
            "unit_id": NAMES,
            "campaign": NAMES,
            "action": ["set", "keep", "pause", "hold", "bid_unknown", *["set"] * (n - 5)],
            "bid_cpc": [1.5, 1.0, None, 2.0, 3.0, *[0.75] * (n - 5)],
            "live_bid_cpc": [1.0, 1.0, 1.0, 2.0, None, *[0.5] * (n - 5)],
            "spend": [float(i) - 3 for i in range(n)],
        }
    )
    units = units.with_columns(pl.lit(None, d).alias(c) for c, d in PLAN.items() if c not in units.columns)
    units = units.with_columns(pl.col("action").cast(ACTION)).select(list(PLAN))
    hour = Hour(datetime(2024, 3, 1, tzinfo=UTC))
    return BidPlan("shop", hour, units, None, empty(INTERVENTIONS), Status.SLACK, "test")


@pytest.fixture
def units() -> pl.DataFrame:
    frame = pl.DataFrame({"unit_id": NAMES, "target": NAMES, "match_type": ["-"] * len(NAMES)})
    return frame.with_columns(pl.lit(None, d).alias(c) for c, d in UNITS.items() if c not in frame.columns).select(
        list(UNITS)
    )


def rows_of(path):
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_unit_stands_in_the_file_with_old_and_new_bid(tmp_path, plan, units):
    path = write_audit(tmp_path / "deep" / "audit.csv", plan, pl.Series(NAMES), units)
    rows = rows_of(path)
    assert len(rows) == len(NAMES)
    assert [r["action"] for r in rows[:5]] == ["set", "keep", "pause", "hold", "bid_unknown"]
    assert (rows[0]["old_bid"], rows[0]["new_bid"], rows[0]["change"]) == ("1.0", "1.5", "0.5")
    assert (rows[4]["old_bid"], rows[4]["change"]) == ("", "")
    assert [p.name for p in path.parent.iterdir()] == ["audit.csv"]  # no draft is left


def test_no_text_cell_begins_like_a_formula(tmp_path, plan, units):
    for row in rows_of(write_audit(tmp_path / "a.csv", plan, pl.Series(NAMES), units)):
        for column in ("unit", "campaign", "target", "reason"):
            assert row[column].lstrip()[:1] not in {"=", "+", "-", "@", "＝"}, row
            assert "\t" not in row[column]
            assert "\r" not in row[column]
        assert row["match_type"] == "-"


def test_harmless_texts_are_unchanged_and_numbers_are_numbers(tmp_path, plan, units):
    rows = rows_of(write_audit(tmp_path / "a.csv", plan, pl.Series(NAMES), units))
    assert [r["unit"] for r in rows if r["unit"] in NAMES] == ["Tea", "<script>", "名前", 'a"b,c']
    assert [float(r["spend"]) for r in rows] == [float(i) - 3 for i in range(len(NAMES))]  # -3.0 stays a number
    raw = (tmp_path / "a.csv").read_text(encoding="utf-8-sig")
    assert '"-3.0"' not in raw


def test_writing_twice_gives_the_same_bytes(tmp_path, plan, units):
    one = write_audit(tmp_path / "a.csv", plan, pl.Series(NAMES), units).read_bytes()
    assert write_audit(tmp_path / "a.csv", plan, pl.Series(NAMES), units).read_bytes() == one
