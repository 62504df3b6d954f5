"""The program of the rest of the horizon, and the prices that come out of it."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidding import AutoSolver
from domain.errors import ConfigError
from domain.goals import Goals, Period, Scope, Target, TargetKind
from domain.groups import Groups
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.problem import RowKind, Status
from domain.tables import PLANNED
from domain.time import Window
from pacing import MirrorFallback, RecedingHorizon
from pacing.horizon import build
from pacing.ledger import Ledger

QUIET = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
BUDGET, ROI = TargetKind.BUDGET, TargetKind.ROI


def _calendar(known, hours: int = 72, **phase: object) -> PromotionCalendar:
    window = Window(known.hour.plus(-24).start, known.hour.plus(hours - 24).start)
    return PromotionCalendar((Phase("all", PhaseKind.BURST, window, **phase),))  # type: ignore[arg-type]


def _outlook_for(make_outlook, known, **more):
    rows = known.performance
    return make_outlook(matured=(rows["orders"].to_numpy(), rows["gmv"].to_numpy()), **more)


def _targets(make_outlook, make_known, goals: Goals, calendar=None, **more):
    known = make_known()
    outlook = _outlook_for(make_outlook, known, **more)
    groups = Groups.from_units(known.units)
    return RecedingHorizon(AutoSolver()).targets(known, outlook, goals, calendar or _calendar(known), groups)


def test_cells_carry_the_whole_horizon(make_outlook, make_known) -> None:
    known = make_known()
    outlook, groups = _outlook_for(make_outlook, known), Groups.from_units(known.units)
    goals = Goals(targets=(Target(BUDGET, 500.0, Scope.CAMPAIGN, "C1", Period.DAY), Target(ROI, 2.0)))
    program = build(outlook, goals, _calendar(known), groups, Ledger(known, outlook, groups), known.account.tz)
    wanted = (outlook.spend[:, None, :] * (outlook.traffic * outlook.price)[:, :, None]).sum(axis=1)
    found = program.problem.spend.reshape(known.n_units, program.n_bins, -1).sum(axis=1)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_binding_budget_is_planned_to_the_last_cent(make_outlook, make_known) -> None:
    known = make_known()
    outlook, groups = _outlook_for(make_outlook, known), Groups.from_units(known.units)
    goals = Goals(targets=(Target(BUDGET, 1000.0),))
    program = build(outlook, goals, _calendar(known), groups, Ledger(known, outlook, groups), known.account.tz)
    solution = AutoSolver().solve(program.problem)
    assert solution.status is Status.BUDGET_BINDS
    assert solution.spend.sum() == pytest.approx(1000.0 - known.totals()["spend"], rel=1e-6)


@QUIET
@given(budget=st.floats(300.0, 3000.0), more=st.floats(1.0, 2.0))
def test_more_budget_never_raises_the_price_of_money(make_outlook, make_known, budget: float, more: float) -> None:
    tight = _targets(make_outlook, make_known, Goals(targets=(Target(BUDGET, budget),)))
    loose = _targets(make_outlook, make_known, Goals(targets=(Target(BUDGET, budget * more),)))
    assert loose.theta.max() <= tight.theta.max() * (1 + 1e-9)


@QUIET
@given(roi=st.floats(1.5, 3.5), more=st.floats(1.0, 1.3))
def test_a_tighter_roi_never_lowers_the_price_of_money(make_outlook, make_known, roi: float, more: float) -> None:
    loose = _targets(make_outlook, make_known, Goals(targets=(Target(ROI, roi),)))
    tight = _targets(make_outlook, make_known, Goals(targets=(Target(ROI, roi * more),)))
    assert tight.theta.min() >= loose.theta.min() * (1 - 1e-9)


def test_a_spent_budget_stops_bidding(make_outlook, make_known) -> None:
    found = _targets(make_outlook, make_known, Goals(targets=(Target(BUDGET, 100.0),)))
    assert np.isinf(found.theta).all()
    assert found.amount.max() == 0.0
    assert found.ceiling[0] == 0.0


def test_only_the_campaign_with_a_spent_daily_budget_stops(make_outlook, make_known) -> None:
    known = make_known()
    midday = known.performance.with_columns(pl.col("start_utc") + timedelta(hours=0))
    object.__setattr__(known, "performance", midday)
    groups = Groups.from_units(known.units)
    goals = Goals(targets=(Target(BUDGET, 1e-6, Scope.CAMPAIGN, "C1", Period.DAY),))
    found = RecedingHorizon(AutoSolver()).targets(
        known, _outlook_for(make_outlook, known), goals, PromotionCalendar(), groups
    )
    stopped = found.amount[groups.index("campaign:C1")]
    assert stopped == pytest.approx(0.0, abs=1e-6)
    assert found.amount[groups.index("campaign:C0")] > 0


def test_phase_budgets_bind_in_their_own_phase_only(make_outlook, make_known) -> None:
    known = make_known()
    now = known.hour
    calendar = PromotionCalendar(
        (
            Phase("warm", PhaseKind.WARM_UP, Window(now.plus(-24).start, now.plus(24).start), budget=400.0),
            Phase("burst", PhaseKind.BURST, Window(now.plus(24).start, now.plus(48).start), budget=5000.0),
        )
    )
    outlook, groups = _outlook_for(make_outlook, known), Groups.from_units(known.units)
    goals = Goals(targets=(Target(BUDGET, 20_000.0),))
    program = build(outlook, goals, calendar, groups, Ledger(known, outlook, groups), known.account.tz)
    rights = dict(zip([r.target.label for r in program.rows], program.problem.rows.right, strict=True))
    assert rights["phase:warm"] == pytest.approx(400.0 - 288.0)
    assert rights["phase:burst"] == pytest.approx(5000.0)
    solution = AutoSolver().solve(program.problem)
    cells = solution.spend.reshape(known.n_units, program.n_bins)
    assert cells[:, program.now_bin].sum() <= 112.0 * (1 + 1e-9)
    found = RecedingHorizon(AutoSolver()).targets(known, outlook, goals, calendar, groups)
    assert found.ceiling[0] == pytest.approx(112.0)


def test_overlapping_rows_are_planned_one_stretch_ahead_and_say_so(make_outlook, make_known) -> None:
    known = make_known()
    goals = Goals(targets=(Target(ROI, 2.0, Scope.CAMPAIGN, "C0"), Target(BUDGET, 300.0, period=Period.DAY)))
    found = _targets(make_outlook, make_known, goals, _calendar(known))
    assert "overlap" in found.reason


def test_roi_counts_matured_value_of_past_clicks(make_outlook, make_known) -> None:
    known = make_known()
    poor = make_outlook(matured=(np.zeros(known.performance.height),) * 2)
    rich = _outlook_for(make_outlook, known)
    goals, groups = Goals(targets=(Target(ROI, 5.0),)), Groups.from_units(known.units)
    pacer = RecedingHorizon(AutoSolver())
    careful = pacer.targets(known, poor, goals, _calendar(known), groups)
    easy = pacer.targets(known, rich, goals, _calendar(known), groups)
    assert careful.theta.min() > easy.theta.min()


@pytest.mark.parametrize("kind", [ROI, TargetKind.CPA])
@pytest.mark.parametrize("kept", [0.9, 1.0, 1.05])
def test_ratio_targets_hold_for_the_money_that_stays(make_outlook, make_known, kind: TargetKind, kept: float) -> None:
    """Of past and coming spend a share comes back; the target holds for the rest, to the last cent."""
    known = make_known()
    spend = known.performance["spend"].to_numpy()
    outlook = replace(_outlook_for(make_outlook, known, flat=True), matured_spend=0.8 * spend, spend_kept=kept)
    groups, value = Groups.from_units(known.units), 4.0 if kind is ROI else 14.0
    goals = Goals(targets=(Target(kind, value),))
    program = build(outlook, goals, _calendar(known), groups, Ledger(known, outlook, groups), known.account.tz)
    solution = AutoSolver().solve(program.problem)
    assert solution.status in (Status.ROI_BINDS, Status.CPA_BINDS)
    cost = 0.8 * spend.sum() + kept * solution.spend.sum()
    if kind is ROI:
        assert outlook.matured_gmv.sum() + solution.gmv.sum() == pytest.approx(value * cost, rel=1e-6)
    else:
        orders = (solution.clicks * (outlook.orders[0, 0] / outlook.clicks[0, 0])).sum()
        assert value * (outlook.matured_orders.sum() + orders) == pytest.approx(cost, rel=1e-4)


def test_hours_in_the_dark_count_at_their_plan(make_outlook, make_known) -> None:
    known = make_known()
    dark = pl.DataFrame(
        [
            {
                "start_utc": known.hour.start - timedelta(hours=2),
                "group": "account",
                "amount": 50.0,
                "theta": 1.0,
                "trim": 1.0,
            }
        ],
        schema=dict(PLANNED),
    )
    seen = known.performance.filter(pl.col("start_utc") < known.hour.start - timedelta(hours=2))
    late = make_known(planned=dark)
    object.__setattr__(late, "performance", seen)
    outlook = make_outlook(matured=(seen["orders"].to_numpy(), seen["gmv"].to_numpy()))
    bought = Ledger(late, outlook, Groups.single(late.n_units)).since(None)
    assert bought.spend[0] == pytest.approx(seen["spend"].sum() + 50.0)
    assert bought.unreported_spend[0] == pytest.approx(50.0)
    assert bought.gmv[0] / bought.spend[0] == pytest.approx(seen["gmv"].sum() / seen["spend"].sum())


def test_a_target_on_an_unknown_group_names_those_that_exist(make_outlook, make_known) -> None:
    with pytest.raises(ConfigError, match="campaign:C0"):
        _targets(make_outlook, make_known, Goals(targets=(Target(ROI, 2.0, Scope.CAMPAIGN, "nowhere"),)))


def test_a_cpc_cap_is_respected_in_the_plan(make_outlook, make_known) -> None:
    known = make_known()
    outlook, groups = _outlook_for(make_outlook, known), Groups.from_units(known.units)
    goals = Goals(targets=(Target(BUDGET, 2000.0), Target(TargetKind.CPC, 0.6, Scope.CAMPAIGN, "C0")))
    program = build(outlook, goals, _calendar(known), groups, Ledger(known, outlook, groups), known.account.tz)
    solution = AutoSolver().solve(program.problem)
    row = int(np.flatnonzero(program.problem.rows.kind == RowKind.CPC)[0])
    cells = np.repeat(groups.members(groups.index("campaign:C0")), program.n_bins)
    excess = solution.spend[cells].sum() - 0.6 * solution.clicks[cells].sum() - program.problem.rows.right[row]
    assert excess <= 1e-6 * solution.spend[cells].sum()


def test_the_fallback_continues_the_last_price_and_follows_spend(make_outlook, make_known) -> None:
    base = make_known()

    def planned(amount: float) -> pl.DataFrame:
        names = ["account", *(n for n in Groups.from_units(base.units).names if n != "account")]
        return pl.DataFrame(
            [
                {"start_utc": base.hour.plus(-1).start, "group": n, "amount": amount, "theta": 2.0, "trim": 1.0}
                for n in names
            ],
            schema=dict(PLANNED),
        )

    groups, goals = Groups.from_units(base.units), Goals()
    over = make_known(planned=planned(6.0))  # 12.0 was spent in the last hour
    under = make_known(planned=planned(24.0))
    outlook = _outlook_for(make_outlook, base)
    calendar = _calendar(base)
    assert (MirrorFallback().targets(over, outlook, goals, calendar, groups).theta > 2.0).all()
    assert (MirrorFallback().targets(under, outlook, goals, calendar, groups).theta < 2.0).all()


def test_a_loose_budget_alone_buys_no_click_above_its_worth(make_outlook, make_known) -> None:
    loose = Goals(targets=(Target(BUDGET, 1e9),))
    found = _targets(make_outlook, make_known, loose)
    assert found.theta.min() >= 1.0
    known = make_known()
    outlook, groups = _outlook_for(make_outlook, known), Groups.from_units(known.units)
    program = build(outlook, loose, _calendar(known), groups, Ledger(known, outlook, groups), known.account.tz, 1.0)
    solution = AutoSolver().solve(program.problem)
    cells = solution.spend.reshape(known.n_units, program.n_bins)
    worth = outlook.click_value[:, None] * np.array([1.0, 1.6 / 1.2])[None, :]
    assert (solution.bid.reshape(cells.shape)[cells > 0] <= np.broadcast_to(worth, cells.shape)[cells > 0] * 1.3).all()
    spends_all = RecedingHorizon(AutoSolver(), least_return=0.0).targets(
        known, outlook, loose, _calendar(known), groups
    )
    assert spends_all.amount[0] > found.amount[0]


def test_units_under_a_ratio_target_may_be_subsidised_by_the_pool(make_outlook, make_known) -> None:
    pooled = Goals(targets=(Target(ROI, 1.2, Scope.CAMPAIGN, "C0"),))
    found = _targets(make_outlook, make_known, pooled)
    groups = Groups.from_units(make_known().units)
    inside = groups.members(groups.index("campaign:C0"))
    assert found.theta[inside].min() < 1.0
    assert found.theta[~inside].min() >= 1.0


def test_a_wide_account_is_planned_in_fewer_bins_and_single_precision_at_the_same_price(
    make_outlook, make_known, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = make_known(n_units=60)
    outlook, groups = _outlook_for(make_outlook, known, n_units=60), Groups.from_units(known.units)
    goals, calendar = Goals(targets=(Target(BUDGET, 3000.0), Target(ROI, 2.5))), _calendar(known)
    whole = RecedingHorizon(AutoSolver()).targets(known, outlook, goals, calendar, groups)
    monkeypatch.setattr("pacing.horizon.MOST_CELLS", 60)
    monkeypatch.setattr("pacing.horizon.SINGLE_FROM", 1)
    program = build(outlook, goals, calendar, groups, Ledger(known, outlook, groups), known.account.tz)
    assert program.n_bins == 1
    assert program.problem.spend.dtype == np.float32
    coarse = RecedingHorizon(AutoSolver()).targets(known, outlook, goals, calendar, groups)
    # one bin takes all hours for alike: the price moves by what their ratios of value to price differ
    np.testing.assert_allclose(coarse.theta, whole.theta, rtol=0.08)


def test_what_a_finished_phase_left_goes_to_the_next_one_where_it_may(make_outlook, make_known) -> None:
    known = make_known()  # 288 spent in the 24 hours before
    outlook, groups = _outlook_for(make_outlook, known), Groups.from_units(known.units)
    now = known.hour
    phases = (
        Phase("warm", PhaseKind.WARM_UP, Window(now.plus(-24).start, now.start), budget=1000.0),
        Phase("burst", PhaseKind.BURST, Window(now.start, now.plus(24).start), budget=500.0),
        Phase("return", PhaseKind.RETURN, Window(now.plus(24).start, now.plus(48).start), budget=400.0),
    )
    calendar, goals = PromotionCalendar(phases), Goals(targets=(Target(BUDGET, 5000.0),))
    found = {}
    for carry in (False, True):
        pacer = RecedingHorizon(AutoSolver(), carry_over=carry)
        rows = pacer.targets(known, outlook, goals, calendar, groups).rows
        found[carry] = {r.group: r.right for r in rows}
    assert found[False]["phase:burst"] == pytest.approx(500.0)
    assert found[True]["phase:burst"] == pytest.approx(500.0 + 1000.0 - 288.0)
    assert found[True]["phase:return"] == found[False]["phase:return"] == pytest.approx(400.0)
    assert "phase:warm" not in found[True]
