"""The market price: a jump is followed within hours, noise is not chased, offsets of units are told apart."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from predictors.bid_rows import BidRows
from predictors.price_level import follow_price


def market(seed: int, hours: int, jump_at: int, jump: float, offset_sd: float = 0.0, opportunities: float = 6.0):
    rng = np.random.default_rng(seed)
    n, spread = 150, 0.5
    offset = offset_sd * rng.standard_normal(n)
    level = np.where(np.arange(hours) >= jump_at, jump, 0.0)
    unit, hour = np.tile(np.arange(n), hours), np.repeat(np.arange(hours), n)
    bid = np.exp(0.3 * rng.standard_normal(unit.size) - 0.1)
    middle = level[hour] + offset[unit]
    won = ndtr((np.log(bid) - middle) / spread)
    clicks = rng.poisson(opportunities * won)
    row = np.repeat(np.arange(unit.size), clicks)
    paid = np.exp(middle[row] + spread * ndtri(rng.random(row.size) * won[row]))
    spend = np.bincount(row, paid, unit.size)
    return unit, hour, clicks.astype(float), spend, bid, offset, level


def follow(m, upto: int, ahead: int = 10, unit_sd: float = 0.3):
    unit, hour, clicks, spend, bid, *_ = m
    kept = hour < upto
    told = rows(unit[kept], hour[kept], clicks[kept], spend[kept], bid[kept], upto)
    return follow_price(told, ahead, unit_sd)


def rows(unit, hour, clicks, spend, bid, hours: int, n: int = 150):
    """Rows of units whose forecast median price is 1, with a spread of a half."""
    flat, day = np.ones(n), np.ones(hours)
    return BidRows(unit, hour, clicks, spend, bid, 0 * flat, 0.5 * flat, flat, 0 * day, day)


def test_a_jump_of_a_quarter_is_followed_within_three_hours():
    found = []
    for seed in range(5):
        m = market(seed, 60, 40, np.log(1.25))
        found.append(follow(m, 43).ahead[0])
    assert np.mean(found) == pytest.approx(np.log(1.25), abs=0.05)


def test_a_steady_market_is_not_chased():
    errors = [follow(market(seed, 40, 999, 0.0), hours).ahead[0] for seed in range(5) for hours in (20, 30, 40)]
    raw = [follow(market(seed, 40, 999, 0.0), hours).past[-1] for seed in range(5) for hours in (20, 30, 40)]
    assert np.std(errors) < 0.6 * np.std(raw)
    assert abs(np.mean(errors)) < 0.02


def test_a_new_level_lasts_over_the_horizon():
    found = follow(market(1, 80, 40, np.log(1.25)), 80, ahead=40)
    assert found.ahead[-1] == pytest.approx(np.log(1.25), abs=0.06)
    assert (np.diff(found.ahead_sd) >= -1e-9).all()


def test_units_that_were_forecast_wrongly_are_told_apart():
    m = market(2, 60, 999, 0.0, offset_sd=0.3)
    found = follow(m, 60)
    assert np.corrcoef(found.offset, m[5])[0, 1] > 0.9
    assert found.unit_sd == pytest.approx(0.3, abs=0.08)
    assert follow(market(2, 60, 999, 0.0), 60).unit_sd < 0.12


def test_hours_without_a_click_leave_the_forecast():
    nothing = np.zeros(0)
    none = np.zeros(0, np.int64)
    found = follow_price(rows(none, none, nothing, nothing, nothing, 0, 3), 5, 0.3)
    assert np.allclose(found.ahead, 0.0)
    assert (found.ahead_sd > 0).all()


def test_levels_are_right_where_part_of_the_price_is_the_bid():
    unit, hour, clicks, spend, bid, _, level = market(4, 60, 30, np.log(1.25))
    spend = 0.7 * spend + 0.3 * bid * clicks
    found = follow_price(rows(unit, hour, clicks, spend, bid, 60), 5, 0.3, 1.0, 0.3)
    assert found.ahead[0] == pytest.approx(level[-1], abs=0.05)


def test_offsets_are_not_believed_beyond_what_the_law_of_prices_is_good_for():
    unit, hour, clicks, spend, bid, *_ = market(5, 60, 999, 0.0, opportunities=60.0)
    odd = np.exp(0.03 * np.random.default_rng(5).standard_normal(150))  # clicks cost 3 % more or less than the law says
    found = follow((unit, hour, clicks, spend * odd[unit], bid), 60)
    raw = np.log(odd) / 0.4  # what offsets would be that explain it all
    assert found.offset.std() < 0.75 * raw.std()
