"""Where one pays one's bid, the units that lose clicks tell the market price, and people who stay away do not."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from predictors.bid_rows import BidRows
from predictors.price_level import smooth_level
from predictors.won_level import follow_won

UNITS, HOURS = 150, 72


def rows(seed: int, level, traffic, clicks_per_hour: float = 8.0, volume_sd: float = 0.2):
    """Clicks of all units in all hours at bids around the forecast market price."""
    rng = np.random.default_rng(seed)
    hour, unit = (a.ravel() for a in np.mgrid[0:HOURS, 0:UNITS])
    bid = np.exp(0.5 * rng.standard_normal(UNITS)[unit] + 0.05 * rng.standard_normal(unit.size))
    size = clicks_per_hour * np.exp(0.8 * rng.standard_normal(UNITS))
    own = np.exp(volume_sd * rng.standard_normal(UNITS))[unit]
    luck = rng.gamma(1 / 0.09, 0.09, unit.size)
    mean = size[unit] * own * luck * traffic[hour] * ndtr((np.log(bid) - level[hour]) / 0.5)
    clicks = rng.poisson(mean).astype(float)
    return BidRows(
        unit, hour, clicks, clicks * bid, bid, np.zeros(UNITS), np.full(UNITS, 0.5), size, np.zeros(HOURS), np.ones(HOURS)
    )  # fmt: skip


def follow(told: BidRows):
    return follow_won(told, 6, 0.3)[0]


@pytest.mark.parametrize("jump", [-0.2, 0.25])
def test_a_jump_of_the_market_is_seen_in_who_loses_clicks(jump):
    level = np.where(np.arange(HOURS) >= 40, jump, 0.0)
    found = follow(rows(1, level, np.ones(HOURS)))
    assert found.past[44:].mean() - found.past[:36].mean() == pytest.approx(jump, abs=0.06)
    assert found.ahead[0] - found.past[:36].mean() == pytest.approx(jump, abs=0.08)
    assert (np.diff(found.ahead_sd) > -1e-9).all()


@pytest.mark.parametrize("fewer", [0.6, 1.5])
def test_days_with_fewer_or_more_people_are_not_taken_for_prices(fewer):
    traffic = np.where(np.arange(HOURS) >= 40, fewer, 1.0)
    found = follow(rows(2, np.zeros(HOURS), traffic))
    assert abs(found.past[44:].mean() - found.past[:36].mean()) < 0.06


def test_the_scale_of_the_forecast_does_not_matter():
    told = rows(3, np.full(HOURS, 0.1), np.ones(HOURS))
    more = replace(told, per_hour=7.0 * told.per_hour)
    assert np.allclose(follow(told).past, follow(more).past, atol=1e-6)


def test_without_clicks_the_forecast_stands_with_a_wide_error():
    told = rows(4, np.zeros(HOURS), np.ones(HOURS))
    found = follow(replace(told, clicks=np.zeros_like(told.clicks)))
    assert not found.past.any()
    assert not found.ahead.any()
    assert found.ahead_sd.min() > 0.1


def test_a_smoothed_level_is_nearer_the_truth_than_single_hours_and_spans_gaps():
    rng = np.random.default_rng(5)
    truth = np.where(np.arange(96) >= 50, 0.3, 0.0)
    seen = truth + 0.1 * rng.standard_normal(96)
    noise = np.full(96, 0.01)
    noise[20:24] = np.inf
    smooth = smooth_level(seen, noise)
    assert np.sqrt(((smooth - truth) ** 2).mean()) < 0.5 * 0.1
    assert np.abs(smooth[20:24]).max() < 0.1
