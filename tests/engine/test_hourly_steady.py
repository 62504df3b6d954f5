"""Steady hourly bids: the rule alone, and what it does to whole campaigns."""

import itertools

import numpy as np
import pytest

from benchmarks.hourly_bidder import ours
from domain.outlook import Auction
from engine.hourly_steady import Steady
from market.plans_optimum import budget_of
from market.plans_part import PlansPart
from market.plans_world import draw_campaign
from predictors.profile import WeekProfile

SEED = 107


def test_a_bid_follows_its_forecast_while_little_is_spent_and_keeps_to_its_mean_later() -> None:
    steady = Steady(worth=4.0)
    assert steady.toward(0.3, 1.0) == 0.3  # nothing was spent: there is nothing to be steady with
    steady.paid(1.0, 0.01)
    steady.paid(0.0, 0.5)  # money that went at no bid
    steps = [steady.toward(0.3, left) for left in (0.99, 0.7, 0.4, 0.1)]
    assert steps[0] == pytest.approx(0.3, abs=0.01)
    assert all(later < earlier for earlier, later in itertools.pairwise(steps))
    assert steps[-1] > 0
    assert steady.toward(-0.3, 0.02) == -0.3  # what is left of little is not overspent


def test_the_bid_is_the_least_of_unsteadiness_and_a_missed_budget() -> None:
    steady = Steady(worth=4.0)
    steady.paid(1.0, 0.1)
    bids = np.linspace(-0.3, 0.3, 60_001)
    for ideal, left in ((0.3, 0.7), (0.3, 0.4), (0.3, 0.1), (-0.2, 0.5)):
        cost = left * (1 - left) * bids**2 + 4.0 * (left * (bids - ideal)) ** 2
        assert steady.toward(ideal, left) == pytest.approx(bids[np.argmin(cost)], abs=1e-4)


def test_steadiness_is_bought_with_little_of_the_clicks(monkeypatch: pytest.MonkeyPatch) -> None:
    weekly, part = WeekProfile.default().traffic, PlansPart(days=(2, 5))
    worlds = [draw_campaign(part, weekly, SEED, position, Auction.SECOND_PRICE) for position in range(40)]
    found = []
    for worth in (4.0, 1e9):
        monkeypatch.setattr("engine.hourly_bidder.STEADY", worth)
        runs = [ours(world, budget_of(world), forecast=k % 2 == 0)[0] for k, world in enumerate(worlds)]
        found.append((np.nanmean([r.cpc_cv for r in runs]), np.mean([r.budget_use for r in runs])))
    (steady, used), (restless, all_used) = found
    assert steady < 0.95 * restless
    assert used > 0.97 * all_used
