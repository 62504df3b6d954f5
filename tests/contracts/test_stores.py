"""What every store of rows promises: the one of the workspace and the one in memory give the same answers."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from data import MemoryStore, Workspace
from domain.account import Account
from domain.errors import DataError
from domain.protocols import AsOf, ReportStore
from domain.tables import (
    ARRIVALS,
    BIDS,
    BUDGETS,
    PERFORMANCE,
    REPORT,
    UNITS,
    BidTable,
    Known,
    Priors,
    ReportBatch,
    empty,
)
from domain.time import Hour

START = datetime(2026, 11, 9, tzinfo=UTC)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("a", "b", "c")


class Store(ReportStore, AsOf, Protocol):
    """Both faces of a store."""


Make = Callable[..., Store]


def hour(n: int) -> Hour:
    return Hour(START).plus(n)


def units(names: Sequence[str] = NAMES) -> pl.DataFrame:
    columns = {
        "unit_id": list(names),
        "campaign": ["C"] * len(names),
        "price": [9.0] * len(names),
        "stock": [1.0] * len(names),
    }
    rest = {n: [None] * len(names) for n in UNITS if n not in columns}
    return pl.DataFrame({**columns, **rest}, schema_overrides=dict(UNITS)).select(list(UNITS))


def row(unit: str, start: int, learned: int, **numbers: float | str | None) -> dict[str, object]:
    """A report row: hours `start` and `learned` count from START."""
    day = numbers.pop("grain", "hour") == "day"
    return {
        "unit_id": unit,
        "start_utc": hour(start).start,
        "grain": "day" if day else "hour",
        "hours": 24.0 if day else 1.0,
        "impressions": 100.0,
        "clicks": 10.0,
        "spend": 5.0,
        "orders": 1.0,
        "gmv": 20.0,
        "bid_cpc": 0.5,
        "learned_at": hour(learned).start,
        **numbers,
    }


def batch(*rows: dict[str, object]) -> ReportBatch:
    return ReportBatch(pl.DataFrame(list(rows), schema=dict(REPORT)))


def bids(**by_unit: float | None) -> BidTable:
    rows = [
        {"unit_id": u, "bid_cpc": b, "state": "enabled", "known": b is not None, "edits_today": 0}
        for u, b in by_unit.items()
    ]
    return BidTable(pl.DataFrame(rows, schema=dict(BIDS)))


NO_BIDS = BidTable(empty(BIDS))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("home"), create=True)


@pytest.fixture(scope="module")
def accounts() -> "count[int]":
    return count()


@pytest.fixture(scope="module")
def sql(workspace: Workspace, accounts: "count[int]") -> Make:
    def make(
        names: Sequence[str] = NAMES,
        priors: Priors | None = None,
        budgets: pl.DataFrame | None = None,
        timezone: str = "UTC",
    ) -> Store:
        account = workspace.create_account(Account(f"a{next(accounts)}", "USD", timezone), START)
        workspace.declare_units(account.name, units(names), learned_at=LONG_AGO)
        if budgets is not None:
            workspace.store_budgets(account.name, budgets)
        return workspace.asof(account.name, priors)

    return make


@pytest.fixture(scope="module")
def memory() -> Make:
    def make(
        names: Sequence[str] = NAMES,
        priors: Priors | None = None,
        budgets: pl.DataFrame | None = None,
        timezone: str = "UTC",
    ) -> Store:
        return MemoryStore(Account("m", "USD", timezone), units(names), priors or Priors(), budgets=budgets)

    return make


@pytest.fixture(params=["sql", "memory"])
def make(request: pytest.FixtureRequest, sql: Make, memory: Make) -> Make:
    return sql if request.param == "sql" else memory


def numbers_of(known: Known) -> list[tuple[object, ...]]:
    return known.performance.select("unit", "clicks", "orders").rows()


def test_a_store_without_rows_knows_its_units_and_unknown_bids(make: Make) -> None:
    known = make().at(hour(0))
    assert known.units["unit_id"].to_list() == list(NAMES)
    assert known.performance.height == known.arrivals.height == known.budgets.height == 0
    assert known.live_bids.rows["known"].to_list() == [False] * 3
    assert known.live_bids.rows["bid_cpc"].null_count() == 3


def test_rows_come_back_in_the_contracts_columns(make: Make) -> None:
    store = make()
    store.append(batch(row("b", 0, 1), row("a", 0, 1, bid_cpc=None)), bids(a=0.4, b=0.5, c=None), hour(1).start)
    known = store.at(hour(1))
    assert known.performance.schema == pl.Schema(PERFORMANCE)
    assert known.arrivals.schema == pl.Schema(ARRIVALS)
    assert known.live_bids.rows.schema == pl.Schema(BIDS)
    assert known.performance["unit"].to_list() == [0, 1]
    assert known.performance["bid_cpc"].to_list() == [None, 0.5]
    assert known.live_bids.rows["bid_cpc"].to_list() == [0.4, 0.5, None]


def test_a_restated_row_is_known_from_when_it_was_learned_and_history_stays(make: Make) -> None:
    store = make()
    store.append(batch(row("a", 0, 1)), NO_BIDS, hour(1).start)
    store.append(batch(row("a", 0, 3, orders=4.0, gmv=90.0)), NO_BIDS, hour(3).start)
    assert numbers_of(store.at(hour(0))) == []
    assert numbers_of(store.at(hour(2))) == [(0, 10.0, 1.0)]
    assert numbers_of(store.at(hour(3))) == [(0, 10.0, 4.0)]
    assert numbers_of(store.at(hour(1))) == [(0, 10.0, 1.0)]


def test_a_row_counts_from_its_own_time_of_learning_not_the_batchs(make: Make) -> None:
    store = make()
    store.append(batch(row("a", 0, 2), row("b", 0, 5)), NO_BIDS, hour(2).start)
    assert [r[0] for r in numbers_of(store.at(hour(2)))] == [0]
    assert [r[0] for r in numbers_of(store.at(hour(5)))] == [0, 1]


def test_the_same_rows_again_change_nothing(make: Make) -> None:
    store = make()
    told = batch(row("a", 0, 1), row("b", 0, 1, bid_cpc=None))
    store.append(told, bids(a=0.4, b=None, c=None), hour(1).start)
    before = store.at(hour(4))
    store.append(told, bids(a=0.4, b=None, c=None), hour(1).start)
    store.append(batch(row("a", 0, 4), row("b", 0, 4, bid_cpc=None)), NO_BIDS, hour(4).start)
    assert_same(before, store.at(hour(4)))


def test_arrivals_are_what_each_restatement_added(make: Make) -> None:
    store = make()
    store.append(batch(row("a", 0, 1), row("b", 0, 1, orders=0.0, gmv=0.0)), NO_BIDS, hour(1).start)
    store.append(
        batch(row("a", 0, 2, orders=3.0, gmv=50.0), row("b", 0, 2, clicks=11.0, orders=0.0, gmv=0.0)),
        NO_BIDS,
        hour(2).start,
    )
    store.append(batch(row("a", 0, 3, orders=2.0, gmv=50.0)), NO_BIDS, hour(3).start)
    arrivals = store.at(hour(3)).arrivals
    assert arrivals.select("unit", "learned_at", "orders", "gmv").rows() == [
        (0, hour(1).start, 1.0, 20.0),
        (0, hour(2).start, 2.0, 30.0),
        (0, hour(3).start, -1.0, 0.0),
    ]
    assert store.at(hour(2)).arrivals.height == 2


def test_credits_are_what_restatements_of_hours_changed_of_clicks_and_spend(make: Make) -> None:
    store = make()
    store.append(
        batch(row("a", 0, 1), row("b", 0, 1), row("a", 0, 25, grain="day", clicks=200.0)), NO_BIDS, hour(25).start
    )
    assert not store.at(hour(25)).credits.height
    store.append(batch(row("a", 0, 26, clicks=9.0, spend=4.5), row("b", 0, 26, orders=7.0)), NO_BIDS, hour(26).start)
    store.append(batch(row("a", 0, 27, grain="day", clicks=190.0)), NO_BIDS, hour(27).start)
    credits = store.at(hour(27)).credits
    assert credits.select("unit", "start_utc", "learned_at", "clicks").rows() == [
        (0, hour(0).start, hour(26).start, -1.0)
    ]
    assert credits["spend"].item() < 0
    assert not store.at(hour(25)).credits.height


def test_days_and_hours_of_one_instant_are_different_rows(make: Make) -> None:
    store = make()
    store.append(batch(row("a", 0, 1), row("a", 0, 25, grain="day", clicks=200.0)), NO_BIDS, hour(25).start)
    assert store.at(hour(25)).performance.select("grain", "hours", "clicks").rows() == [
        ("hour", 1.0, 10.0),
        ("day", 24.0, 200.0),
    ]


def test_rows_told_late_take_their_place_in_history(make: Make) -> None:
    store = make()
    store.append(batch(row("a", 0, 5, orders=5.0)), NO_BIDS, hour(5).start)
    store.append(batch(row("a", 0, 2, orders=2.0)), NO_BIDS, hour(5).start)
    assert numbers_of(store.at(hour(3))) == [(0, 10.0, 2.0)]
    assert numbers_of(store.at(hour(5))) == [(0, 10.0, 5.0)]
    assert store.at(hour(5)).arrivals["orders"].to_list() == [2.0, 3.0]


def test_of_rows_repeated_within_a_batch_the_last_counts(make: Make) -> None:
    store = make()
    store.append(batch(row("a", 0, 1, orders=1.0), row("a", 0, 1, orders=2.0)), NO_BIDS, hour(1).start)
    assert numbers_of(store.at(hour(1))) == [(0, 10.0, 2.0)]


def test_live_bids_are_the_newest_known_of_each_unit(make: Make) -> None:
    store = make()
    store.append(batch(), bids(a=0.4, b=0.5, c=0.6), hour(1).start)
    store.append(batch(), bids(b=0.9), hour(2).start)
    store.append(batch(), bids(c=None), hour(3).start)
    assert store.at(hour(0)).live_bids.rows["known"].any() is False
    assert store.at(hour(1)).live_bids.rows["bid_cpc"].to_list() == [0.4, 0.5, 0.6]
    assert store.at(hour(2)).live_bids.rows["bid_cpc"].to_list() == [0.4, 0.9, 0.6]
    assert store.at(hour(3)).live_bids.rows["bid_cpc"].to_list() == [0.4, 0.9, None]


def test_units_that_nobody_declared_are_refused_and_nothing_of_the_batch_is_kept(make: Make) -> None:
    store = make()
    with pytest.raises(DataError, match="stranger"):
        store.append(batch(row("a", 0, 1), row("stranger", 0, 1)), NO_BIDS, hour(1).start)
    assert store.at(hour(9)).performance.height == 0


def test_report_rows_with_holes_are_refused(make: Make) -> None:
    with pytest.raises(DataError, match="orders"):
        make().append(batch(row("a", 0, 1, orders=None)), NO_BIDS, hour(1).start)


def test_budgets_are_the_newest_known_of_each_campaign(make: Make) -> None:
    rows = [("C", 10.0, hour(0).start), ("C", 20.0, hour(5).start), ("D", 7.0, hour(9).start)]
    store = make(budgets=pl.DataFrame(rows, schema=dict(BUDGETS), orient="row"))
    assert store.at(hour(4)).budgets.rows() == rows[:1]
    assert store.at(hour(5)).budgets.rows() == rows[1:2]
    assert store.at(hour(9)).budgets.rows() == rows[1:]


def test_priors_are_handed_on(make: Make) -> None:
    priors = Priors(clicks_per_hour=np.array([1.0, 2.0, 3.0]))
    assert make(priors=priors).at(hour(0)).priors is priors


def test_an_hour_that_starts_at_half_past_is_cut_like_any_other(make: Make) -> None:
    store = make(timezone="Asia/Kolkata")
    half = timedelta(minutes=30)
    told = {**row("a", 0, 0), "start_utc": START - half, "learned_at": START + half}
    store.append(batch(told), NO_BIDS, START + half)
    assert numbers_of(store.at(Hour(START - half))) == []
    assert numbers_of(store.at(Hour(START + half))) == [(0, 10.0, 1.0)]


def test_what_was_handed_out_does_not_change_when_more_is_learned(make: Make) -> None:
    store = make()
    store.append(batch(row("a", 0, 1)), bids(a=0.4), hour(1).start)
    known = store.at(hour(1))
    store.append(batch(row("a", 0, 1, orders=9.0), row("b", 0, 2)), bids(a=0.8), hour(2).start)
    assert numbers_of(known) == [(0, 10.0, 1.0)]
    assert known.live_bids.rows["bid_cpc"][0] == 0.4


# -- the same answers, whatever happens ------------------------------------------------------------------------------

_number = st.integers(0, 3).map(float)
_row = st.builds(
    lambda unit, start, wait, orders, clicks, bid, day: row(
        unit,
        start,
        start + wait,
        orders=orders,
        gmv=orders * 10,
        clicks=clicks,
        bid_cpc=bid,
        grain="day" if day else "hour",
    ),
    st.sampled_from(NAMES),
    st.integers(0, 3),
    st.integers(1, 4),
    _number,
    _number,
    st.none() | st.sampled_from([0.5, 0.7]),
    st.booleans(),
)
_bid = st.dictionaries(st.sampled_from(NAMES), st.none() | st.sampled_from([0.4, 0.8]), max_size=3)
_event = st.tuples(st.lists(_row, max_size=6), _bid, st.integers(0, 7))


def play(store: Store, events: Sequence[tuple[list[dict[str, object]], dict[str, float | None], int]]) -> None:
    """Rows may be told in any order; live bids are read as time goes by."""
    now = 0
    for rows, live, learned in events:
        now = max(now, learned)
        store.append(batch(*rows), bids(**live), hour(now).start)


def assert_same(one: Known, two: Known) -> None:
    for name in ("units", "performance", "arrivals", "credits", "budgets"):
        assert_frame_equal(getattr(one, name), getattr(two, name))
    assert_frame_equal(one.live_bids.rows, two.live_bids.rows)


# The SQL store makes every commit durable; searching for a smaller counterexample would take minutes.
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(events=st.lists(_event, min_size=1, max_size=4))
def test_both_stores_know_the_same_at_every_hour(sql: Make, memory: Make, events: list) -> None:
    one, two = sql(), memory()
    play(one, events)
    play(two, events)
    for n in (2, 7, 4, 0, 3):
        assert_same(one.at(hour(n)), two.at(hour(n)))


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(_event, min_size=1, max_size=3),
    later=st.lists(_event, min_size=1, max_size=3),
    cut=st.integers(1, 6),
)
def test_rows_learned_after_the_cut_change_nothing_in_it(memory: Make, events: list, later: list, cut: int) -> None:
    store = memory()
    play(store, events)
    before = store.at(hour(cut))
    moved = [
        ([{**r, "learned_at": max(r["learned_at"], hour(cut + 1).start)} for r in rows], live, max(learned, cut + 1))
        for rows, live, learned in later
    ]
    play(store, moved)
    assert_same(before, store.at(hour(cut)))


def test_a_store_of_the_workspace_sees_what_another_wrote(workspace: Workspace, sql: Make, tmp_path: Path) -> None:
    first = sql()
    name = first.at(hour(0)).account.name
    second = workspace.asof(name)
    second.append(batch(row("a", 0, 1)), bids(a=0.4), hour(1).start)
    assert numbers_of(first.at(hour(1))) == [(0, 10.0, 1.0)]
    other_process = Workspace.open(workspace.home)
    assert_same(first.at(hour(1)), other_process.asof(name).at(hour(1)))


def test_units_declared_later_are_not_seen_before(workspace: Workspace, sql: Make) -> None:
    store = sql(("a",))
    name = store.at(hour(0)).account.name
    workspace.declare_units(name, units(("b", "a")), learned_at=hour(5).start)
    store = workspace.asof(name)
    assert store.at(hour(4)).units["unit_id"].to_list() == ["a"]
    assert store.at(hour(5)).units["unit_id"].to_list() == ["a", "b"]


def test_putting_small_files_together_changes_no_answer(workspace: Workspace, sql: Make) -> None:
    store = sql()
    name = store.at(hour(0)).account.name
    play(store, [([row("a", n, n + 1), row("b", 0, n + 1, orders=float(n))], {"a": n / 10}, n + 1) for n in range(4)])
    before = [workspace.asof(name).at(hour(n)) for n in range(5)]
    assert workspace.compact(name, START + timedelta(days=1)) == 8
    for n, known in enumerate(before):
        assert_same(known, store.at(hour(n)))
        assert_same(known, workspace.asof(name).at(hour(n)))
    swept = workspace.sweep(START + timedelta(days=3), timedelta(days=1))
    assert swept.files == 8
    assert_same(before[4], workspace.asof(name).at(hour(4)))
