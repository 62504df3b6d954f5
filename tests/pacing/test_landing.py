"""Near its end a ratio target is not chased at any price."""

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize_scalar

from bidding import AutoSolver
from domain.goals import Goals, Target, TargetKind
from domain.groups import Groups
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.problem import Status
from domain.tables import PLANNED
from domain.time import Window
from pacing import RecedingHorizon
from pacing.landing import kept, landed, usual_prices


@pytest.mark.parametrize("left", [0.01, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("softness", [0.0, 0.03, 0.3])
def test_the_share_kept_is_the_best_of_missing_and_mispricing(left, softness) -> None:
    delta, p = 0.02, 100.0

    def loss(x: float) -> float:
        return softness * p * left * (1 - left) * x**2 + p * (delta - left * x) ** 2

    best = minimize_scalar(loss, bounds=(0.0, 2 * delta / left), method="bounded", options={"xatol": 1e-10}).x
    assert best == pytest.approx(delta / left * kept(left, softness), rel=1e-4)


def test_only_prices_above_the_usual_ones_are_drawn_to_them_and_only_in_their_group() -> None:
    groups = Groups(("account", "business_type:a", "business_type:b"), np.array([-1, 0, 0]), np.array([1, 1, 2]))
    theta, usual = np.array([4.0, 1.5, 4.0]), np.array([2.0, 2.0, 2.0])
    found = landed(theta, usual, groups, [(1, 0.01)], 0.03)
    assert 2.0 < found[0] < 4.0
    assert (found[1:] == theta[1:]).all()
    assert landed(theta, usual, groups, [(0, 0.01)], 0.03)[2] == found[0]
    assert (landed(theta, usual, groups, [(0, 0.01)], 0.0) == theta).all()
    assert landed(theta, np.full(3, np.nan), groups, [(0, 0.01)], 0.03)[0] == 4.0


def _planned(known, price: float) -> pl.DataFrame:
    names = Groups.from_units(known.units).names
    rows = [
        {"start_utc": known.hour.plus(-h).start, "group": name, "amount": 12.0, "theta": price, "trim": 1.0}
        for h in range(1, 25)
        for name in names
    ]
    return pl.DataFrame(rows, schema=dict(PLANNED))


def _theta(make_outlook, make_known, roi: float, softness: float, hours: int, ends: bool = True):
    base = make_known()
    known = make_known(planned=_planned(base, 2.0))
    rows = known.performance
    outlook = make_outlook(matured=(rows["orders"].to_numpy(), rows["gmv"].to_numpy()))
    end = known.hour.plus(len(outlook.hours) if ends else len(outlook.hours) + 5).start
    calendar = PromotionCalendar((Phase("all", PhaseKind.BURST, Window(known.hour.plus(-hours).start, end)),))
    goals = Goals(targets=(Target(TargetKind.ROI, roi),))
    pacer = RecedingHorizon(AutoSolver(), trim=None, hedge=False, softness=softness)
    return pacer.targets(known, outlook, goals, calendar, Groups.from_units(known.units))


def test_what_luck_left_short_is_chased_less_at_the_end_and_the_reason_says_so(make_outlook, make_known) -> None:
    hard, soft = (_theta(make_outlook, make_known, 6.0, s, 24) for s in (0.0, 10.0))
    assert hard.status in (Status.ROI_BINDS, Status.UNREACHABLE)
    assert (hard.theta > 2.0).all()
    assert ((soft.theta > 2.0) & (soft.theta < hard.theta)).all()
    assert soft.amount[0] > hard.amount[0]
    assert "too little is left" in soft.reason
    assert "too little is left" not in hard.reason


def test_a_target_that_does_not_end_with_the_hours_ahead_is_met_exactly(make_outlook, make_known) -> None:
    hard, soft = (_theta(make_outlook, make_known, 6.0, s, 24, ends=False) for s in (0.0, 10.0))
    np.testing.assert_array_equal(hard.theta, soft.theta)


def test_room_is_used_to_the_last(make_outlook, make_known) -> None:
    hard, soft = (_theta(make_outlook, make_known, 1.2, s, 24) for s in (0.0, 10.0))
    assert (hard.theta < 2.0).all()
    np.testing.assert_array_equal(hard.theta, soft.theta)


def test_the_usual_price_weighs_hours_by_their_money(make_known) -> None:
    base = make_known()
    groups = Groups.from_units(base.units)
    dear = _planned(base, 8.0).with_columns(pl.lit(36.0).alias("amount"))
    known = make_known(planned=pl.concat([_planned(base, 2.0), dear]))
    np.testing.assert_allclose(usual_prices(known, groups), 8.0**0.75 * 2.0**0.25)
    assert np.isnan(usual_prices(base, groups)).all()
