"""Prices that allow for the forecast's error: the mean of the cases' bids, and the forecast's own where nothing is said."""

from dataclasses import replace

import numpy as np
import pytest

from bidding import AutoSolver
from domain.goals import Goals, Target, TargetKind
from domain.groups import Groups
from domain.phases import PromotionCalendar
from pacing import RecedingHorizon
from pacing.hedge import Answer, cases, hedged, weights


def _unsure(outlook, price: float = 0.2, volume: float = 0.2):
    hours = len(outlook.hours)
    known = np.arange(hours) > 0
    return replace(
        outlook, common_price_cv=np.full(hours, price) * known, common_volume_cv=np.full(hours, volume) * known
    )


def _theta(outlook, known, goals: Goals, *, hedge: bool = True):
    pacer = RecedingHorizon(AutoSolver(), hedge=hedge)
    return pacer.targets(known, outlook, goals, PromotionCalendar(), Groups.from_units(known.units))


def _outlook(make_outlook, known):
    rows = known.performance.height
    return make_outlook(matured=(np.full(rows, 0.1), np.full(rows, 4.0)))


def test_cases_keep_the_mean_and_the_variance_of_both_errors(make_outlook) -> None:
    outlook = _unsure(make_outlook(), 0.11, 0.23)
    found = [outlook, *cases(outlook)]
    weight = weights(len(found))
    assert weight.sum() == pytest.approx(1.0)
    price = np.array([np.log(c.price / outlook.price) for c in found])[:, 1:]
    traffic = np.array([np.log(c.traffic[0] / outlook.traffic[0]) for c in found])[:, 1:]
    for error, sd in ((price, 0.11), (traffic, 0.23)):
        assert weight @ error == pytest.approx(np.zeros(error.shape[1]), abs=1e-12)
        assert weight @ error**2 == pytest.approx(np.full(error.shape[1], sd**2))
    assert weight @ (price * traffic) == pytest.approx(np.zeros(price.shape[1]), abs=1e-12)


def test_a_forecast_that_states_no_error_is_taken_as_it_is(make_outlook, make_known) -> None:
    known = make_known()
    goals = Goals(targets=(Target(TargetKind.BUDGET, 1500.0),))
    outlook = _outlook(make_outlook, known)
    assert outlook.common_price_cv is None
    one, other = _theta(outlook, known, goals), _theta(outlook, known, goals, hedge=False)
    assert one.theta == pytest.approx(other.theta)
    assert one.amount == pytest.approx(other.amount)
    sure = _theta(_unsure(outlook, 0.0, 0.0), known, goals)
    assert sure.theta == pytest.approx(other.theta)


def test_a_cap_that_may_come_to_bind_costs_something_before_it_does(make_outlook, make_known) -> None:
    known = make_known()
    outlook = _outlook(make_outlook, known)
    budget = Target(TargetKind.BUDGET, 1500.0)
    loose = _theta(outlook, known, Goals(targets=(budget,)), hedge=False)
    plan_cpc = next(
        cap
        for cap in np.geomspace(0.2, 5.0, 60)
        if not _theta(
            outlook, known, Goals(targets=(budget, Target(TargetKind.CPC, float(cap)))), hedge=False
        ).offset.any()
    )
    goals = Goals(targets=(budget, Target(TargetKind.CPC, float(plan_cpc))))
    own, told = _theta(outlook, known, goals, hedge=False), _theta(_unsure(outlook), known, goals)
    assert own.theta == pytest.approx(loose.theta, rel=0.01)  # by the forecast alone, the cap is free
    assert (told.offset > 0).all()
    value = outlook.click_value
    tilt = ((value + told.offset) / told.theta) / (value / own.theta)
    assert np.corrcoef(np.log(value), np.log(tilt))[0, 1] < -0.9  # cheap clicks gain


def test_the_mean_is_that_of_the_bids_and_no_case_runs_away_with_it() -> None:
    one = np.ones(2)

    def answer(theta: float, offset: float = 0.0) -> Answer:
        return Answer(1.0, theta * one, offset * one, one)

    own, *others = [answer(2.0), answer(3.0, 1.5), answer(2.5, 0.5), answer(4.0), answer(1.5)]
    told = hedged([own, *others])
    value = 4.0
    bids = np.array([4.0 / 2.0, 5.5 / 3.0, 4.5 / 2.5, 4.0 / 4.0, 4.0 / 1.5])
    assert (value + told.offset) / told.theta == pytest.approx(np.full(2, weights(5) @ bids))
    for wild in (np.inf, 0.0, np.nan):
        bounded = hedged([answer(2.0), answer(wild)])
        assert np.all((bounded.theta > 0.5) & (bounded.theta < 8.0))
    for unpriced in (np.inf, 0.0):
        kept = hedged([answer(unpriced), answer(2.0, 1.0)])
        assert kept.theta == pytest.approx(np.full(2, unpriced))


def test_spend_is_aimed_at_the_price_that_is_forecast() -> None:
    one = np.ones(1)
    told = hedged([Answer(1.0, one, 0 * one, 3 * one), Answer(1.5, one, 0 * one, 9 * one)])
    assert told.spend == pytest.approx([2 / 3 * 3 + 1 / 3 * 6])
