"""Bids read off response tables: what they must equal, and that no bid of the table does better."""

import numpy as np
import pytest
from scipy.special import ndtr

from bidding.policies.marginal import bids_at_price

LEVELS = 20


def _log_normal(rng: np.random.Generator, n: int):
    median, spread, worth = np.exp(rng.normal(0, 0.6, n)), rng.uniform(0.3, 1.2, n), np.exp(rng.normal(1.5, 0.5, n))
    bids = median[:, None] * 0.15 * (6.0 / 0.15) ** np.linspace(0, 1, LEVELS)
    z = np.log(bids / median[:, None]) / spread[:, None]
    spend = (median * np.exp(spread**2 / 2))[:, None] * ndtr(z - spread[:, None])
    return median, spread, worth, bids, ndtr(z), spend


def _two_slots(bids: np.ndarray, median: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clicks and spend against two rivals for two slots, the second with half the clicks: each pays the next score."""
    fine = np.geomspace(1e-3, 60.0, 4000)
    clicks, spend = np.empty_like(bids), np.empty_like(bids)
    for i in range(bids.shape[0]):
        below = ndtr(np.log(fine / median[i]) / spread[i])
        top, lower = below**2, 2 * below * (1 - below)  # first, or second of three
        paid_top = np.concatenate([[0], np.cumsum(0.5 * (fine[1:] + fine[:-1]) * np.diff(below**2))])
        paid_low = np.concatenate([[0], np.cumsum(0.5 * (fine[1:] + fine[:-1]) * np.diff(below))])
        clicks[i] = np.interp(bids[i], fine, top + 0.5 * lower)
        spend[i] = np.interp(bids[i], fine, paid_top + (1 - below) * paid_low)
    return clicks, spend


@pytest.mark.parametrize("seed", [0, 1])
def test_a_second_price_table_gives_click_value_over_the_price_of_money(seed: int) -> None:
    _, _, worth, bids, clicks, spend = _log_normal(np.random.default_rng(seed), 500)
    theta = np.random.default_rng(seed + 10).uniform(2.0, 8.0, 500)
    wanted = bids_at_price(bids, clicks, spend, worth[:, None] * clicks, theta)
    exact = worth / theta
    inside = exact < bids[:, -1]
    assert inside.mean() > 0.9
    assert np.abs(np.log(wanted / exact))[inside].max() < 0.02
    assert np.abs(np.log(wanted / exact))[inside].mean() < 0.002


def test_with_two_slots_the_bid_lies_below_the_closed_form_and_earns_more() -> None:
    rng = np.random.default_rng(3)
    median, spread, worth, bids, _, _ = _log_normal(rng, 60)
    clicks, spend = _two_slots(bids, median, spread)
    theta = np.full(60, 3.0)
    wanted = bids_at_price(bids, clicks, spend, worth[:, None] * clicks, theta)
    closed = worth / theta
    assert np.all(wanted < closed)

    def payoff(bid: np.ndarray) -> np.ndarray:
        q, c = _two_slots(bid[:, None], median, spread)
        return (worth[:, None] * q - 3.0 * c)[:, 0]

    best = np.max([payoff(closed * x) for x in np.geomspace(0.3, 1.2, 60)], axis=0)
    assert payoff(wanted).sum() >= 0.998 * best.sum()
    assert payoff(closed).sum() < 0.97 * best.sum()


def test_first_price_bids_earn_what_the_best_bid_earns() -> None:
    rng = np.random.default_rng(4)
    median, spread, worth, bids, clicks, _ = _log_normal(rng, 200)
    wanted = bids_at_price(bids, clicks, bids * clicks, worth[:, None] * clicks, np.full(200, 2.5))

    def payoff(bid: np.ndarray) -> np.ndarray:
        return ndtr(np.log(bid / median) / spread) * (worth - 2.5 * bid)

    best = np.max([payoff(worth / 2.5 * x) for x in np.geomspace(0.02, 1.0, 400)], axis=0)
    assert payoff(wanted).sum() >= 0.999 * best.sum()


def test_a_dearer_price_of_money_never_raises_a_bid() -> None:
    rng = np.random.default_rng(5)
    bids = np.sort(np.exp(rng.normal(0, 1, (50, 12))), axis=1)
    clicks = np.cumsum(rng.exponential(1, (50, 12)), axis=1)
    spend = np.cumsum(rng.exponential(1, (50, 12)) * bids, axis=1)
    before = np.full(50, np.inf)
    for theta in np.geomspace(0.02, 200.0, 60):
        wanted = bids_at_price(bids, clicks, spend, 3.0 * clicks, np.full(50, theta))
        assert np.all(wanted <= before * (1 + 1e-9))
        before = wanted


def test_bids_that_only_lie_under_the_envelope_are_left_out() -> None:
    bids = np.array([[1.0, 2.0, 3.0, 4.0]])
    clicks = np.array([[1.0, 1.1, 1.2, 4.0]])  # the two bids in the middle buy next to nothing more
    spend = np.array([[0.8, 1.6, 2.4, 3.0]])
    gain = 2.0 * clicks
    for theta in (0.5, 1.5, 2.0, 2.5, 2.7):
        wanted = float(bids_at_price(bids, clicks, spend, gain, np.array([theta]))[0])
        assert not 1.0 < wanted < 4.0
    lump = np.array([[0.0, 0.0, 0.0, 4.0]])
    assert bids_at_price(bids, lump, spend, 2.0 * lump, np.array([3.0]))[0] == 0.0
    assert bids_at_price(bids, lump, spend, 2.0 * lump, np.array([2.0]))[0] == 4.0


def test_a_unit_without_value_or_traffic_gets_no_bid() -> None:
    _, _, worth, bids, clicks, spend = _log_normal(np.random.default_rng(6), 3)
    nothing = np.zeros_like(clicks)
    assert not bids_at_price(bids, nothing, nothing, nothing, np.full(3, 2.0)).any()
    assert not bids_at_price(bids, clicks, spend, nothing, np.full(3, 2.0)).any()
    assert np.isposinf(bids_at_price(bids, clicks, spend, worth[:, None] * clicks, np.zeros(3))).all()
