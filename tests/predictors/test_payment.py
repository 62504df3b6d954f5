"""What clicks cost against second price is learned, and not confounded with a dear market."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from predictors.bid_rows import BidRows
from predictors.payment import PAYMENTS, learn_payment

UNITS = 150


def market(seed: int, hours: int, jump_at: int = 999, jump: float = 0.0):
    """Second price: rows of units at bids around a market price that jumps, and what clicks cost in them."""
    rng = np.random.default_rng(seed)
    spread = 0.5
    level = np.where(np.arange(hours) >= jump_at, jump, 0.0)
    unit, hour = np.tile(np.arange(UNITS), hours), np.repeat(np.arange(hours), UNITS)
    bid = np.exp(0.3 * rng.standard_normal(unit.size) - 0.1)
    won = ndtr((np.log(bid) - level[hour]) / spread)
    clicks = rng.poisson(6.0 * won)
    row = np.repeat(np.arange(unit.size), clicks)
    paid = np.exp(level[hour][row] + spread * ndtri(rng.random(row.size) * won[row]))
    return unit, hour, clicks.astype(float), np.bincount(row, paid, unit.size), bid


def learn(unit, hour, clicks, spend, bid):
    flat, day = np.ones(UNITS), np.ones(hour.max() + 1)
    chance = learn_payment(BidRows(unit, hour, clicks, spend, bid, 0 * flat, 0.5 * flat, 6 * flat, 0 * day, day), 0.3)
    assert chance.sum() == pytest.approx(1.0)
    return chance @ PAYMENTS


@pytest.mark.parametrize(("factor", "omega"), [(1.0, 0.0), (1.0, 0.25), (1.0, 0.5), (1.15, 0.0), (1.1, 0.1)])
def test_what_clicks_cost_against_second_price_is_learned(factor, omega):
    for seed in range(3):
        unit, hour, clicks, spend, bid = market(seed, 24)
        spend = factor * ((1 - omega) * spend + omega * bid * clicks)
        found = learn(unit, hour, clicks, spend, bid)
        assert found[0] == pytest.approx(factor, abs=0.05)
        assert found[1] == pytest.approx(omega, abs=0.06)


def test_dear_clicks_of_a_dear_market_are_not_taken_for_another_payment():
    found = learn(*market(3, 48, 20, np.log(1.3)))
    assert found[0] < 1.03
    assert found[1] < 0.05


def test_a_handful_of_clicks_leaves_the_prior():
    unit, hour, clicks, spend, bid = market(4, 24)
    few = clicks * (np.arange(clicks.size) < 15)
    found = learn(unit, hour, few, spend * (few > 0), bid)
    assert 1.0 < found[0] < 1.1
    assert 0.0 < found[1] < 0.25
