"""A look at an earlier hour shows what was known then, forecasts are remembered, and a person's no is final."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from data import Views, Workspace
from domain.errors import ConfigError, InvalidPlan
from domain.goals import Target, TargetKind
from domain.plans import BidPlan, DecisionState
from domain.tables import BIDS, HOURS, REPORT, UNITS, BidTable, Known, Priors, ReportBatch, empty
from domain.time import Hour

START = datetime(2026, 2, 3, tzinfo=UTC)
HOUR = Hour(START)
ONE = timedelta(hours=1)


def report(workspace: Workspace, *rows: tuple[str, datetime, datetime, float]) -> None:
    """Rows (unit, start, learned, spend) of units u1, u2."""
    store = workspace.asof("shop")
    told = [
        {"unit_id": u, "start_utc": start, "grain": "hour", "hours": 1.0, "impressions": 10.0, "clicks": 2.0, "spend": spend,
         "orders": 1.0, "gmv": 4 * spend, "bid_cpc": spend / 2, "learned_at": learned}
        for u, start, learned, spend in rows
    ]  # fmt: skip
    store.append(ReportBatch(pl.DataFrame(told, schema=dict(REPORT))), BidTable(empty(BIDS)), START)


@pytest.fixture
def units(workspace: Workspace) -> pl.DataFrame:
    columns = {"unit_id": ["u1", "u2"], "campaign": ["C1", "C2"]}
    rest = {n: [None, None] for n in UNITS if n not in columns}
    frame = pl.DataFrame({**columns, **rest}, schema_overrides=dict(UNITS)).select(list(UNITS))
    workspace.declare_units("shop", frame, learned_at=START - 10 * ONE)
    return frame


@pytest.mark.usefixtures("units")
def test_a_series_as_of_an_hour_holds_no_row_that_was_learned_later(workspace: Workspace) -> None:
    report(workspace, ("u1", START, START + ONE, 1.0), ("u2", START + ONE, START + 2 * ONE, 2.0))
    report(workspace, ("u1", START, START + 5 * ONE, 9.0))
    views = Views(workspace)

    def spend(at: datetime | None) -> list[float]:
        return views.series("shop", per="hour", at=at)["spend"].to_list()

    assert spend(START) == []
    assert spend(START + 2 * ONE) == [1.0, 2.0]
    assert spend(START + 5 * ONE) == [9.0, 2.0]
    assert spend(None) == [9.0, 2.0]
    assert spend(START + 2 * ONE) == [1.0, 2.0]  # asked again after the present
    known = workspace.asof("shop").at(Hour(START + 2 * ONE)).totals()
    assert known["spend"] == sum(spend(START + 2 * ONE))


@pytest.mark.usefixtures("units")
def test_the_history_of_a_unit_is_its_own_and_as_of_its_hour(workspace: Workspace) -> None:
    report(
        workspace, ("u1", START, START + ONE, 1.0), ("u2", START, START + ONE, 7.0), ("u1", START, START + 3 * ONE, 4.0)
    )
    report(workspace, ("u1", START + ONE, START + 3 * ONE, 6.0))
    views = Views(workspace)
    assert views.unit_history("shop", "u1").select("spend", "bid_cpc").rows() == [(4.0, 2.0), (6.0, 3.0)]
    assert views.unit_history("shop", "u1", end=START + ONE)["spend"].to_list() == [4.0]
    assert views.unit_history("shop", "u1", at=START + ONE)["spend"].to_list() == [1.0]
    assert views.unit_history("shop", "nobody").height == 0


def test_an_account_without_rows_has_no_history_and_was_never_told_anything(workspace: Workspace) -> None:
    views = Views(workspace)
    assert views.learned_until("shop") is None
    assert views.unit_history("shop", "u1").height == 0
    assert views.series("shop", at=START).height == 0


@pytest.mark.usefixtures("units")
def test_the_newest_row_is_the_one_learned_last(workspace: Workspace) -> None:
    report(workspace, ("u1", START, START + 3 * ONE, 1.0), ("u2", START + ONE, START + 2 * ONE, 2.0))
    assert Views(workspace).learned_until("shop") == START + 3 * ONE


def test_the_mark_of_an_account_changes_with_everything_that_is_stored(
    workspace: Workspace, plan: Callable[..., BidPlan], known: Callable[..., Known], units: pl.DataFrame, now: datetime
) -> None:
    views, journal = Views(workspace), workspace.journal("shop")
    seen = [views.mark("shop")]

    def changed() -> bool:
        seen.append(views.mark("shop"))
        return len(set(seen)) == len(seen)

    report(workspace, ("u1", START, START + ONE, 1.0))
    assert changed()
    workspace.set_target("shop", Target(TargetKind.ROI, 3.0), by="a", reason="b", now=now)
    assert changed()
    decision = journal.open(plan(HOUR), known(HOUR))
    assert changed()
    journal.await_approval(HOUR, decision.hour.end)
    journal.approve(HOUR, "Ana", HOUR.start)
    assert changed()
    assert views.mark("shop") == seen[-1]


def test_a_decision_that_a_person_holds_stays_unsent(
    workspace: Workspace, plan: Callable[..., BidPlan], known: Callable[..., Known]
) -> None:
    journal = workspace.journal("shop")
    journal.open(plan(HOUR), known(HOUR))
    with pytest.raises(ConfigError, match="waits for approval"):
        journal.hold(HOUR, "Ana", START)
    journal.await_approval(HOUR, HOUR.end)
    with pytest.raises(ConfigError, match="needs a name"):
        journal.hold(HOUR, " ", START)
    held = journal.hold(HOUR, "Ana", START)
    assert held.state is DecisionState.SHADOW
    assert Views(workspace).decisions("shop", 1)["claimed_by"].to_list() == ["held by Ana"]
    with pytest.raises(ConfigError, match="shadow"):
        journal.approve(HOUR, "Ben", START)
    with pytest.raises(ConfigError, match="shadow"):
        journal.hold(HOUR, "Ben", START)


def test_an_approved_decision_can_no_longer_be_held(
    workspace: Workspace, plan: Callable[..., BidPlan], known: Callable[..., Known]
) -> None:
    journal = workspace.journal("shop")
    journal.open(plan(HOUR), known(HOUR))
    journal.await_approval(HOUR, HOUR.end)
    journal.approve(HOUR, "Ana", START)
    with pytest.raises(ConfigError, match="approved already"):
        journal.hold(HOUR, "Ben", START)
    assert journal.approval(HOUR) is not None


# -- forecasts ----------------------------------------------------------------------------------------------------


def hours(*factors: float) -> pl.DataFrame:
    n = len(factors)
    columns = {
        "start_utc": [START + h * ONE for h in range(n)],
        "traffic": factors,
        "cvr_factor": [1.0] * n,
        "price_factor": [1.0] * n,
    }
    return pl.DataFrame(columns, schema=dict(HOURS))


def test_a_forecast_is_known_from_the_hour_it_was_learned_and_the_newest_holds(
    workspace: Workspace, units: pl.DataFrame
) -> None:
    store, names = workspace.asof("shop"), units["unit_id"]
    store.store_priors(Priors(hours(1.0, 2.0), np.array([5.0, 6.0])), names, START)
    store.store_priors(Priors(hours(3.0), np.array([7.0, 8.0]), np.array([0.1, 0.2])), names, START + 2 * ONE)
    before = workspace.asof("shop").at(Hour(START - ONE)).priors
    assert before.hours.height == 0
    assert before.clicks_per_hour is None
    first = workspace.asof("shop").at(HOUR).priors
    assert first.hours["traffic"].to_list() == [1.0, 2.0]
    assert first.clicks_per_hour is not None
    assert first.clicks_per_hour.tolist() == [5.0, 6.0]
    assert first.price_median is None
    later = workspace.asof("shop").at(Hour(START + 2 * ONE)).priors
    assert later.hours["traffic"].to_list() == [3.0, 2.0]
    assert later.price_median is not None
    assert later.price_median.tolist() == [0.1, 0.2]


def test_a_forecast_follows_the_order_of_the_units_and_one_that_misses_a_unit_is_none(
    workspace: Workspace, units: pl.DataFrame
) -> None:
    workspace.asof("shop").store_priors(Priors(hours(), np.array([6.0, 5.0])), pl.Series(["u2", "u1"]), START)
    known = workspace.asof("shop").at(HOUR)
    assert known.units["unit_id"].to_list() == units["unit_id"].to_list()
    assert known.priors.clicks_per_hour is not None
    assert known.priors.clicks_per_hour.tolist() == [5.0, 6.0]
    third = units.head(1).with_columns(pl.lit("u3").alias("unit_id"))
    workspace.declare_units("shop", third, learned_at=START)
    assert workspace.asof("shop").at(HOUR).priors.clicks_per_hour is None


def test_a_forecast_for_another_number_of_units_is_refused(workspace: Workspace, units: pl.DataFrame) -> None:
    with pytest.raises(InvalidPlan, match="3 numbers for 2 units"):
        workspace.asof("shop").store_priors(Priors(hours(), np.ones(3)), units["unit_id"], START)
