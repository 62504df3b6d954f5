"""Bids that stay: what leaving them alone costs, how edits are spread over a day, and steps taken ahead."""

from dataclasses import replace

import numpy as np
import pytest

from bidding import ThetaPolicy, price_of_stability
from bidding.policies.steadiness import Steadiness, ahead_of_steps, lasting, losses
from domain.limits import BidLimits
from domain.plans import Action

FREE = BidLimits(floor=0.01, cap=1000.0)
EXACT = ThetaPolicy(Steadiness(share=0.0))


def _bids(plan) -> np.ndarray:
    return plan.units["bid_cpc"].fill_null(0.0).to_numpy()


def _edits(plan) -> int:
    return int(plan.units["action"].is_in([Action.SET.value, Action.PAUSE.value]).sum())


def test_the_loss_of_a_bid_that_is_off_is_what_the_response_table_says(account_hour) -> None:
    _, outlook, targets = account_hour(np.random.default_rng(0), n=300, theta=4.0, live=np.ones(300))
    outlook.traffic[:] = 1.0
    table = outlook.at(0)
    best = outlook.click_value * outlook.value[0] / 4.0
    inside = (best > table.bids[:, 2]) & (best < table.bids[:, -3])
    for off in (0.7, 0.85, 1.2, 1.4):
        gain, loss = losses(table, best * off, best, targets.theta, np.zeros(300))
        here, there = table.expected(best), table.expected(best * off)
        truth = (here["gmv"] - 4.0 * here["spend"] - there["gmv"] + 4.0 * there["spend"]).to_numpy()
        assert loss[inside].sum() == pytest.approx(truth[inside].sum(), rel=0.35)
        assert np.all(loss >= 0)
        assert gain == pytest.approx(here["gmv"].to_numpy())
    assert targets.theta[0] == 4.0


@pytest.mark.parametrize("share", [0.0005, 0.005, 0.02])
def test_bids_that_stay_cost_no_more_than_the_share_they_may(account_hour, share: float) -> None:
    rng = np.random.default_rng(1)
    known, outlook, targets = account_hour(rng, n=400, theta=4.0, live=np.ones(400))
    exact = _bids(EXACT.propose(known, outlook, targets, FREE))
    live = np.maximum(np.round(exact * np.exp(rng.normal(0, 0.1, 400)), 2), 0.01)
    known, outlook, targets = account_hour(np.random.default_rng(1), n=400, theta=4.0, live=live)
    plan = ThetaPolicy(Steadiness(share=share)).propose(known, outlook, targets, FREE)
    table = outlook.at(0)

    def payoff(bids: np.ndarray) -> float:
        bought = table.expected(bids)
        return float(bought["gmv"].sum() - 4.0 * bought["spend"].sum())

    best, gain = payoff(exact), float(table.expected(exact)["gmv"].sum())
    assert best - payoff(_bids(plan)) <= 1.5 * share * gain + 1e-9
    assert _edits(plan) < _edits(EXACT.propose(known, outlook, targets, FREE))
    assert set(plan.units.filter(plan.units["action"] == Action.KEEP.value)["limit"].drop_nulls()) <= {"steady"}


def test_a_bid_without_money_does_not_stay(account_hour) -> None:
    known, outlook, targets = account_hour(np.random.default_rng(2), theta=np.inf, live=np.ones(12))
    plan = ThetaPolicy(Steadiness(share=0.5)).propose(known, outlook, targets, FREE)
    assert set(plan.units["action"]) == {Action.PAUSE.value}


def test_the_second_edit_of_a_day_waits_for_its_half_unless_much_is_lost(account_hour) -> None:
    limits = replace(FREE, edits_per_day=2)
    steady = ThetaPolicy(Steadiness(share=0.0, urgent=0.05))
    for hour, off, moves in ((30, 1.1, False), (42, 1.1, True), (30, 3.0, True)):  # 6 and 18 o'clock
        known, outlook, targets = account_hour(
            np.random.default_rng(3), n=40, theta=4.0, live=np.ones(40), edits=1, hour=hour
        )
        wanted = _bids(EXACT.propose(known, outlook, targets, FREE))
        live = np.maximum(np.round(wanted * off, 2), 0.02)
        known, outlook, targets = account_hour(np.random.default_rng(3), n=40, theta=4.0, live=live, edits=1, hour=hour)
        edits = _edits(steady.propose(known, outlook, targets, limits))
        assert (edits > 20) if moves else (edits < 8)


def test_a_bid_that_must_last_is_the_one_for_all_hours_it_lasts(account_hour) -> None:
    _, outlook, _ = account_hour(np.random.default_rng(4))
    outlook = replace(outlook, value=np.array([2.0, 1.0, 1.0, 1.0]), price=np.ones(4))
    value, price = lasting(outlook, 4)
    assert 1.0 < value < 2.0
    assert price == 1.0
    assert lasting(outlook, 1) == (2.0, 1.0)


def test_bids_rise_before_a_jump_that_their_steps_could_not_follow(account_hour) -> None:
    _, outlook, _ = account_hour(np.random.default_rng(5))
    calm = replace(outlook, value=np.ones(4))
    jump = replace(outlook, value=np.array([1.0, 3.0, 3.0, 3.0]))
    small, large = (BidLimits(max_step=s) for s in (0.1, 4.0))
    assert ahead_of_steps(calm, small) == 1.0
    assert ahead_of_steps(jump, FREE) == 1.0
    assert ahead_of_steps(jump, large) == 1.0
    ready = ahead_of_steps(jump, small)
    assert 1.2 < ready < 3.0 / 1.1
    assert ahead_of_steps(jump, BidLimits(max_step=0.3)) < ready


def test_the_price_of_stability_rises_with_every_edit_that_is_saved(account_hour) -> None:
    rng = np.random.default_rng(6)
    known, outlook, targets = account_hour(rng, n=300, theta=4.0, live=np.ones(300))
    exact = _bids(EXACT.propose(known, outlook, targets, FREE))
    live = np.maximum(np.round(exact * np.exp(rng.normal(0, 0.15, 300)), 2), 0.01)
    known, outlook, targets = account_hour(np.random.default_rng(6), n=300, theta=4.0, live=live)
    curve = price_of_stability(known, outlook, targets, FREE)
    edits, lost, share = (curve[name].to_numpy() for name in ("edits", "lost", "share"))
    assert np.all(np.diff(edits) <= 0)
    assert edits[-1] < 0.3 * edits[0]
    assert lost[0] == 0.0
    assert np.all(lost <= 1.5 * share + 1e-6)
    assert lost[-1] > 0
