from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from bidding import AutoSolver
from data import MemoryStore
from domain.account import Account
from domain.goals import Goals, Scope, Target, TargetKind
from domain.groups import Groups
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.problem import Status
from domain.tables import ARRIVALS, BIDS, PERFORMANCE, UNITS, BidTable, Known, empty
from domain.time import FixedClock, Hour, Window
from engine.cycle import run_cycle
from engine.hourly import run_hour
from engine.what_if import Study, frontier, hours_ahead
from engine.what_if import study as study_of
from evaluation.desks import desk_for
from market import SimPlatform, SimWorld, load_scenario
from pacing.horizon import build
from pacing.ledger import Ledger
from predictors import SteadyModel

SEED = 4
HOURS_RUN = 26


@pytest.fixture(scope="module")
def world() -> SimWorld:
    """Two days, 16 SKUs in 4 campaigns; the promotion's second half is a burst."""
    full = load_scenario("demo")
    scenario = replace(
        full,
        end=datetime(2026, 11, 10),
        units=replace(full.units, count=16, campaigns=4),
        rivals=replace(full.rivals, rise_at=datetime(2026, 11, 9)),
        goals=replace(full.goals, budget=20_000.0),
        phases=(
            replace(full.phases[0], end=datetime(2026, 11, 9)),
            replace(full.phases[2], start=datetime(2026, 11, 9), end=datetime(2026, 11, 10)),
        ),
        peaks=(),
    )
    return SimWorld(scenario, SEED)


@pytest.fixture(scope="module")
def study(world: SimWorld) -> Study:
    """The rest of the promotion as seen after 26 of its 48 hours."""
    platform = SimPlatform(world)
    desk = desk_for("steadybid", world, platform)
    for hour in world.hours[:HOURS_RUN]:
        run_cycle(hour, desk)
        platform.advance(hour)
    hour = world.hours[HOURS_RUN]
    store = desk.asof
    assert isinstance(store, MemoryStore)
    store.append(platform.read_reports(desk.lookback(hour)), platform.live_bids(), hour.start)
    known = replace(store.at(hour), planned=desk.journal.planned(hour, 48))
    model = SteadyModel(calendar=world.calendar)
    outlook = model.outlook(known, hours_ahead(known, world.calendar))
    return Study(known, outlook, Groups.from_units(known.units), world.calendar, AutoSolver(), model)


def goals(*targets: Target) -> Goals:
    return Goals(targets=targets)


def roi(value: float) -> Target:
    return Target(TargetKind.ROI, value)


def budget(value: float, scope: Scope = Scope.ACCOUNT, key: str = "") -> Target:
    return Target(TargetKind.BUDGET, value, scope, key)


def test_the_hours_of_the_rest_add_up_to_what_the_solver_bought(study: Study) -> None:
    wanted = goals(budget(3000.0), roi(3.0))
    ahead = study.ahead(wanted)
    program = build(
        study.outlook, wanted, study.calendar, study.groups, Ledger(study.known, study.outlook, study.groups), study.known.account.tz
    )  # fmt: skip
    solution = study.solver.solve(program.problem)
    assert ahead.spend == pytest.approx(solution.spend.sum())
    assert ahead.gmv == pytest.approx(solution.gmv.sum())
    assert ahead.clicks == pytest.approx(solution.clicks.sum())
    assert ahead.hours["start_utc"].to_list() == [h.start for h in study.outlook.hours]
    assert ahead.hours["spend"].min() >= 0


def test_a_tighter_roi_target_never_sells_more(study: Study) -> None:
    points = frontier(study, goals(budget(20_000.0)), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    feasible = points.filter(pl.col("status") != Status.UNREACHABLE.value)
    assert feasible.height >= 4
    assert (np.diff(feasible["gmv"].to_numpy()) <= 1e-6 * feasible["gmv"][0]).all()
    assert points["target"].is_sorted()


def test_what_is_left_of_a_budget_is_never_overspent(study: Study) -> None:
    spent = study.known.totals()["spend"]
    for more in (50.0, 500.0, 5000.0):
        ahead = study.ahead(goals(budget(spent + more)))
        assert ahead.spend <= more * (1 + 1e-6)
        row = ahead.rows[0]
        assert row.met
        assert row.so_far == pytest.approx(spent)
        assert row.reached == pytest.approx(spent + ahead.spend)


def test_a_budget_of_a_phase_or_campaign_speaks_of_nothing_else(study: Study) -> None:
    in_burst = study.ahead(goals(budget(900.0, Scope.PHASE, "burst")))
    (row,) = [r for r in in_burst.rows if r.target.scope is Scope.PHASE]
    start = study.calendar.phases[1].window.start
    spent = study.known.performance.filter(pl.col("start_utc") >= start)["spend"].sum()
    assert row.so_far == pytest.approx(spent)
    assert row.reached == pytest.approx(spent + in_burst.spend)
    assert row.reached <= 900.0 * (1 + 1e-6) or spent > 900.0
    campaign = study.ahead(goals(budget(150.0, Scope.CAMPAIGN, "C01"), budget(20_000.0)))
    (mine,) = [r for r in campaign.rows if r.target.scope is Scope.CAMPAIGN]
    assert mine.reached is not None
    assert mine.reached < campaign.spend


def test_targets_that_cannot_be_met_are_called_so_with_a_reason(study: Study) -> None:
    ahead = study.ahead(goals(budget(20_000.0), roi(400.0)))
    assert not ahead.feasible
    assert ahead.status in (Status.UNREACHABLE, Status.STARVED)
    assert "ROI" in ahead.words
    assert not next(r for r in ahead.rows if r.target.kind is TargetKind.ROI).met


def test_targets_that_are_kept_are_called_so(study: Study) -> None:
    ahead = study.ahead(goals(budget(20_000.0), roi(1.5)))
    assert ahead.feasible
    assert ahead.words.endswith("all targets are met")
    reached = next(r.reached for r in ahead.rows if r.target.kind is TargetKind.ROI)
    assert reached is not None
    assert reached >= 1.5 * (1 - 1e-6)


def test_the_roi_at_the_end_counts_what_was_bought_before(study: Study) -> None:
    ahead = study.ahead(goals(roi(3.0)))
    final = study.matured()
    spend, gmv = final["spend"].sum() + ahead.spend, final["gmv"].sum() + ahead.gmv
    assert ahead.rows[0].reached == pytest.approx(gmv / spend, rel=1e-6)


@pytest.mark.parametrize("kind", [TargetKind.ROI, TargetKind.CPA])
def test_a_target_that_binds_is_met_to_the_last_where_money_comes_back(study: Study, kind: TargetKind) -> None:
    """Decisions count the money that stays, so what is told of them must: else every binding target is called missed."""
    charged = study.known.performance["spend"].to_numpy()
    outlook = replace(study.outlook, matured_spend=0.96 * charged, spend_kept=0.95)
    refunded = replace(study, outlook=outlook)
    free = study.ahead(goals(budget(20_000.0)))
    value = {TargetKind.ROI: 1.3 * (free.roi or 0.0), TargetKind.CPA: 0.7 * (free.cpa or 0.0)}[kind]
    ahead = refunded.ahead(goals(budget(20_000.0), Target(kind, value)))
    (row,) = [r for r in ahead.rows if r.target.kind is kind]
    assert row.binds
    assert row.met
    assert ahead.feasible
    assert row.reached == pytest.approx(value, rel=1e-3)
    sold = float((outlook.matured_gmv if kind is TargetKind.ROI else outlook.matured_orders).sum())
    ratio = sold / float(0.96 * charged.sum())
    assert row.so_far == pytest.approx(ratio if kind is TargetKind.ROI else 1 / ratio)


def test_ratios_of_the_rest_are_those_of_its_sums(study: Study) -> None:
    ahead = study.ahead(goals(budget(20_000.0)))
    assert ahead.roi == pytest.approx(ahead.gmv / ahead.spend)
    assert ahead.cpc == pytest.approx(ahead.spend / ahead.clicks)
    assert ahead.cpa == pytest.approx(ahead.spend / ahead.orders)


def test_estimated_final_orders_are_never_fewer_than_the_reported_ones(study: Study) -> None:
    final, told = study.matured(), study.known.totals()
    assert final["spend"].sum() == pytest.approx(told["spend"])
    assert final["orders"].sum() >= told["orders"] * (1 - 1e-9)


def test_final_roi_is_what_decisions_count_and_campaigns_add_up(study: Study) -> None:
    told = study.matured_roi()
    whole = told.row(0, named=True)
    assert whole["group"] == "account"
    decided = Ledger(study.known, study.outlook, study.groups).since(None)
    np.testing.assert_allclose(told["gmv"], decided.gmv)
    np.testing.assert_allclose(told["final_spend"], decided.final_spend)
    assert whole["roi"] == pytest.approx(decided.gmv[0] / decided.final_spend[0])
    assert whole["gmv"] == pytest.approx(study.matured()["gmv"].sum())
    assert whole["reported_roi"] == pytest.approx(study.known.totals()["gmv"] / study.known.totals()["spend"])
    campaigns = told.filter(pl.col("group").str.starts_with("campaign:"))
    assert campaigns.height == 4
    assert campaigns["gmv"].sum() == pytest.approx(whole["gmv"])
    assert whole["reported_roi"] < whole["roi_low"] < whole["roi"] < whole["roi_high"]
    burst = study.calendar.phases[1].window.start
    assert study.matured_roi(burst)["spend"][0] == pytest.approx(
        study.known.performance.filter(pl.col("start_utc") >= burst)["spend"].sum()
    )
    assert replace(study, model=None).matured_roi().height == 0  # nobody said which model


def test_asking_again_fits_nothing_anew_and_one_new_row_or_price_does(shop) -> None:
    noon = Hour(datetime(2026, 11, 11, 12, tzinfo=UTC))

    def run(hour: Hour) -> None:
        run_hour(
            shop.workspace, "north", hour, clock=FixedClock(hour.start + timedelta(minutes=5)), platform=shop.platform
        )

    def rates(at: Study) -> tuple[object, object]:
        assert at.model is not None
        return at.model.ctr, at.model.cvr

    run(noon)
    first, again = (study_of(shop.workspace, "north", noon) for _ in range(2))
    assert first.known is not again.known  # read anew each time
    assert all(a is b for a, b in zip(rates(first), rates(again), strict=True))
    run(noon.plus(1))
    later = study_of(shop.workspace, "north", noon.plus(1))
    assert later.known.performance.height > first.known.performance.height
    assert all(a is not b for a, b in zip(rates(first), rates(later), strict=True))
    # what is looked at as of the earlier hour is what was known then, whatever came since
    assert all(a is b for a, b in zip(rates(first), rates(study_of(shop.workspace, "north", noon)), strict=True))
    dearer = first.known.units.with_columns(pl.col("price") * 1.5)
    assert first.model is not None
    changed = first.model.fit(replace(first.known, units=dearer))
    assert changed.cvr is not first.model.cvr


def test_changed_phases_are_studied_as_if_all_were_read_and_fitted_anew(shop) -> None:
    noon = Hour(datetime(2026, 11, 11, 12, tzinfo=UTC))
    run_hour(shop.workspace, "north", noon, clock=FixedClock(noon.start + timedelta(minutes=5)), platform=shop.platform)
    burst = PromotionCalendar((Phase("burst", PhaseKind.BURST, Window(noon.start, noon.plus(9).start), traffic=2.0),))
    present = study_of(shop.workspace, "north", noon)
    quick, thorough = (
        present.with_calendar(shop.workspace, burst),
        study_of(shop.workspace, "north", noon, calendar=burst),
    )
    assert quick.known is present.known
    assert quick.calendar == burst
    for name in ("bids", "clicks", "spend", "gmv", "traffic", "value", "matured_gmv"):
        np.testing.assert_array_equal(getattr(quick.outlook, name), getattr(thorough.outlook, name))
    assert quick.outlook.traffic.sum() > 1.5 * present.outlook.traffic[:, : len(quick.outlook.hours)].sum()


def known_at(hour: Hour) -> Known:
    account = Account("a", "EUR", "Europe/Berlin")
    return Known(account, hour, empty(UNITS), empty(PERFORMANCE), empty(ARRIVALS), BidTable(empty(BIDS)))


def test_ordinary_days_are_looked_ahead_a_week_of_local_days() -> None:
    tz = ZoneInfo("Europe/Berlin")
    hour = Hour(datetime(2026, 10, 22, 20, tzinfo=UTC))  # the clocks go back on the 25th
    hours = hours_ahead(known_at(hour), PromotionCalendar())
    assert hours[0] == hour
    assert hours[-1].end.astimezone(tz) == datetime(2026, 10, 29, tzinfo=tz)
    assert len(hours) == 2 + 6 * 24 + 1


def test_a_promotion_to_come_ends_ordinary_time_and_a_running_one_is_looked_at_to_its_end() -> None:
    start = datetime(2026, 11, 8, 12, tzinfo=UTC)
    calendar = PromotionCalendar((Phase("burst", PhaseKind.BURST, Window(start, start + timedelta(hours=30))),))
    before = hours_ahead(known_at(Hour(start - timedelta(hours=3))), calendar)
    assert [h.start for h in before] == [start - timedelta(hours=h) for h in (3, 2, 1)]
    during = hours_ahead(known_at(Hour(start + timedelta(hours=29))), calendar)
    assert [h.start for h in during] == [start + timedelta(hours=29)]
