"""The answer of clicks to bids is learned from bids that moved, and left alone where they did not."""

import numpy as np
import pytest
from scipy.special import ndtr

from predictors.elasticity import FIRST_PRICE_SD, PRIOR_SD, elasticity_correction


def rows(seed: int, steeper: float, dither: float, n: int = 100, hours: int = 72):
    """Clicks whose elasticity is `steeper` times what a price spread of 0.7 says."""
    rng = np.random.default_rng(seed)
    unit, hour = (a.ravel() for a in np.mgrid[0:n, 0:hours])
    bid = 0.3 * rng.standard_normal(n)[unit] + dither * rng.standard_normal(unit.size)
    z = bid / 0.7
    volume = 6 * np.exp(0.8 * rng.standard_normal(n))[unit] * np.exp(0.3 * rng.standard_normal(hours))[hour]
    luck = rng.gamma(1 / 0.09, 0.09, unit.size)
    clicks = rng.poisson(volume * ndtr(z * steeper) * luck).astype(float)
    return unit, hour, clicks, 6 * ndtr(z), z, np.full(unit.size, 0.7), n


@pytest.mark.parametrize("steeper", [0.8, 1.0, 1.2])
def test_three_days_of_dithered_bids_tell_the_elasticity(steeper):
    found = [elasticity_correction(*rows(seed, steeper, 0.12), FIRST_PRICE_SD) for seed in range(4)]
    assert np.mean([f for f, _ in found]) == pytest.approx(steeper, abs=0.08)
    for factor, error in found:
        assert abs(factor - steeper) < 3.5 * error
        assert error < 0.08


def test_bids_that_stand_still_tell_nothing():
    factor, error = elasticity_correction(*rows(0, 1.3, 0.0), FIRST_PRICE_SD)
    assert factor == pytest.approx(1.0, abs=0.02)
    assert error > 0.13


def test_a_day_of_much_traffic_at_high_bids_is_not_taken_for_an_answer():
    unit, hour, clicks, due, z, spread, n = rows(1, 1.0, 0.1)
    busy = hour >= 36
    rng = np.random.default_rng(2)
    more = clicks + np.where(busy, rng.poisson(clicks * 0.5), 0)
    higher = z + np.where(busy, 0.3, 0.0)
    before, _ = elasticity_correction(unit, hour, clicks, due, z, spread, n, FIRST_PRICE_SD)
    after, _ = elasticity_correction(unit, hour, more, 6 * ndtr(higher), higher, spread, n, FIRST_PRICE_SD)
    assert after == pytest.approx(before, abs=0.12)


def test_who_knows_the_market_from_prices_paid_believes_moved_bids_less():
    told = rows(3, 1.2, 0.12)
    one, other = (elasticity_correction(*told, sd)[0] for sd in (PRIOR_SD, FIRST_PRICE_SD))
    assert 1.03 < one < other - 0.02
