"""Of millions of rows, what all units share is learned from some units; every unit is still judged by its own rows."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from predictors import bid_rows
from predictors.apart import Groups
from predictors.bid_rows import BidRows, Sample
from predictors.elasticity import PRIOR_SD, elasticity_of
from predictors.price_level import follow_price
from predictors.traffic import learn_traffic
from predictors.won_level import follow_won

UNITS, HOURS, AHEAD, SPREAD = 8000, 30, 6, 0.5


def market(seed: int) -> tuple[BidRows, np.ndarray]:
    """Rows of second-price auctions: an offset to each unit, a level to each hour, dithered bids; and the opportunities won."""
    rng = np.random.default_rng(seed)
    hour, unit = (a.ravel() for a in np.mgrid[0:HOURS, 0:UNITS])
    kept = rng.random(unit.size) < 0.6
    hour, unit = hour[kept], unit[kept]
    offset, level = 0.2 * rng.standard_normal(UNITS), 0.1 * np.sin(np.arange(HOURS) / 5) + 0.05
    bid = np.exp(0.4 * rng.standard_normal(UNITS)[unit] + 0.1 * rng.standard_normal(unit.size))
    size = np.exp(rng.normal(0.0, 1.0, UNITS))
    mu = (offset[unit] + level[hour]).astype(float)
    won = ndtr((np.log(bid) - mu) / SPREAD)
    own = np.exp(0.2 * rng.standard_normal(UNITS))
    day = np.where(np.arange(HOURS) < 24, 1.1, 0.8)
    clicks = rng.poisson(size[unit] * own[unit] * day[hour] * won)
    row = np.repeat(np.arange(unit.size), clicks)
    price = np.exp(mu[row] + SPREAD * ndtri(rng.random(row.size) * won[row]))
    spend = np.bincount(row, price, unit.size)
    rows = BidRows(
        unit, hour, clicks.astype(float), spend, bid, np.zeros(UNITS), np.full(UNITS, SPREAD), size, np.zeros(HOURS), np.ones(HOURS)
    )  # fmt: skip
    return rows, won


@pytest.fixture
def sampled(monkeypatch):
    """A sixth of the rows are enough to learn from."""
    monkeypatch.setattr(bid_rows, "SAMPLED_FROM", 100_000)
    monkeypatch.setattr(bid_rows, "SAMPLED", 24_000)


def test_a_sample_is_all_rows_of_some_units_spread_over_the_catalog(sampled):
    rows, _ = market(1)
    some = Sample.of(rows)
    assert some is not None
    assert some.rows.unit.size == pytest.approx(24_000, rel=0.05)
    assert np.array_equal(np.flatnonzero(np.isin(rows.unit, some.units)), some.at)
    assert np.array_equal(some.units[some.rows.unit], rows.unit[some.at])
    assert np.array_equal(some.rows.spend, rows.spend[some.at])
    assert np.array_equal(some.rows.per_hour, rows.per_hour[some.units])
    for pattern in (2, 3, 5, 7, 100):  # whatever a catalog's order repeats
        share = np.bincount(some.units % pattern, minlength=pattern) / np.bincount(np.arange(UNITS) % pattern)
        assert share.max() - share.min() < 0.1


def test_few_rows_are_all_looked_at():
    assert Sample.of(market(2)[0]) is None


def test_prices_of_hours_and_of_all_units_come_out_as_from_all_rows(sampled):
    rows, _ = market(3)
    some = Sample.of(rows)
    whole, found = follow_price(rows, AHEAD, 0.3), follow_price(rows, AHEAD, 0.3, sample=some)
    assert np.sqrt(((found.past - whole.past) ** 2).mean()) < 0.05  # a tenth in each row of eight hundred an hour
    assert np.abs(found.ahead - whole.ahead).max() < 1.5 * found.ahead_sd.min()
    assert whole.ahead_sd.min() < found.ahead_sd.min()  # it says that it has seen less
    assert found.unit_sd == pytest.approx(whole.unit_sd, rel=0.08)
    assert found.offset_sd == pytest.approx(whole.offset_sd, rel=0.12)
    miss = (found.offset - whole.offset) / whole.offset_sd
    assert np.sqrt((miss**2).mean()) < 0.12
    # units that are not in the sample are placed as well as those that are
    other = np.setdiff1d(np.arange(UNITS), some.units)
    assert np.sqrt((miss[other] ** 2).mean()) == pytest.approx(np.sqrt((miss[some.units] ** 2).mean()), rel=0.3)


def test_the_answer_to_bids_comes_out_within_its_error(sampled):
    rows, _ = market(4)
    some = Sample.of(rows)
    middle, market_level = np.zeros(UNITS), np.zeros(HOURS)
    whole, error = elasticity_of(rows, middle, market_level, PRIOR_SD)
    found, wider = elasticity_of(some.rows, middle[some.units], market_level, PRIOR_SD)
    assert error < wider < PRIOR_SD
    assert abs(found - whole) < 3 * wider


def test_traffic_of_all_units_comes_out_as_from_all_rows(sampled):
    rows, won = market(5)
    day = np.arange(HOURS) // 24
    told = (rows.unit, rows.hour, day, rows.clicks, won, rows.per_hour, 1, 0.25)
    whole, found = learn_traffic(*told), learn_traffic(*told, sample=Sample.of(rows))
    assert found.later == pytest.approx(whole.later, rel=0.02)
    assert found.learned_unit_sd == pytest.approx(whole.learned_unit_sd, rel=0.08)
    for got, exact in ((found.unit, whole.unit), (found.today, whole.today)):
        assert np.sqrt((((got - exact) / whole.unit_sd) ** 2).mean()) < 0.25
    assert found.unit_sd == pytest.approx(whole.unit_sd, rel=0.08)


def test_first_price_is_followed_by_the_same_units(sampled):
    rows, _ = market(6)
    groups = Groups((np.arange(UNITS) % 3).astype(np.int32), 3, np.arange(HOURS + AHEAD) // 24)
    (whole, _), (found, apart) = (
        follow_won(rows, AHEAD, 0.3, groups=groups, sample=some) for some in (None, Sample.of(rows))
    )
    assert np.abs(found.ahead - whole.ahead).max() < found.ahead_sd.min()
    assert found.offset.shape == found.offset_sd.shape == (UNITS,)
    assert np.array_equal(apart.of_unit, groups.of_unit)
