"""Passes that go over millions of rows once give what the formulas give, row by row and array by array."""

import numpy as np
import pytest
from scipy.special import gammaln, ndtr

from domain.outlook import Auction
from predictors import SteadyModel
from predictors.bid_rows import BidRows, Told
from predictors.elasticity import elasticity_correction, elasticity_of
from predictors.landscape import Landscape
from predictors.paid_prices import observe, separate
from predictors.rows import Rows, cohorts_of
from predictors.shrinkage_design import DOUBT, SCALES, design_of
from predictors.shrinkage_steps import Seen, State, posterior
from predictors.traffic import CELL_SD, DAY_SD, DAY_WORTH, LEVEL_SD, learn_traffic

UNITS, HOURS = 60, 40


def rows(seed: int, filled: float = 0.6) -> BidRows:
    """Rows of some hours of each unit, some of them without a click, one unit and two hours without any row."""
    rng = np.random.default_rng(seed)
    there = rng.random((HOURS, UNITS)) < filled
    there[:, 7] = False
    there[11:13] = False
    hour, unit = np.nonzero(there)
    log_median, spread = 0.3 * rng.standard_normal(UNITS), 0.4 + 0.3 * rng.random(UNITS)
    bid = np.exp(log_median[unit] + 0.3 * rng.standard_normal(unit.size))
    clicks = rng.poisson(2.0 * rng.random(unit.size)).astype(float)
    spend = clicks * bid * (0.5 + 0.4 * rng.random(unit.size))
    per_hour, day = 3 * rng.random(UNITS), 0.5 + rng.random(HOURS)
    return BidRows(unit, hour, clicks, spend, bid, log_median, spread, per_hour, 0.1 * rng.standard_normal(HOURS), day)


@pytest.mark.parametrize(("factor", "pays"), [(1.0, 0.0), (1.1, 0.3)])
def test_prices_paid_are_read_as_the_formulas_say(factor, pays):
    told = rows(1)
    unit, hour, precision, target, blur = observe(told, factor, pays)
    won = np.flatnonzero(told.clicks > 0)
    assert np.array_equal(unit, told.unit[won])
    assert np.array_equal(hour, told.hour[won])
    s = told.spread[told.unit[won]]
    bid, paid = told.bid[won], told.spend[won] / factor / told.clicks[won]
    reference = 0.0  # the point of expansion, carried from hour to hour
    for h in np.unique(hour):
        mine = hour == h
        for _attempt in range(3):
            gain, seen = _observed(told, won[mine], s[mine], bid[mine], paid[mine], reference, pays)
            step = (seen - gain * reference).sum() / (gain.sum() + 25.0)
            if abs(step) < 0.08:
                break
            reference += step
        assert np.allclose(precision[mine], gain, rtol=1e-9)
        assert np.allclose(target[mine], seen, rtol=1e-9, atol=1e-12)
    assert (blur > 0).sum() == np.unique(unit).size


def _observed(told: BidRows, at, s, bid, paid, reference: float, pays: float):
    mu = told.log_price[at] + reference
    z = (np.log(bid) - mu) / s
    second = np.exp(mu + s**2 / 2) * ndtr(z - s) / ndtr(z)
    variance = np.maximum(np.exp(2 * (mu + s**2)) * ndtr(z - 2 * s) / ndtr(z) - second**2, 1e-4 * second**2)
    hazard = [np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi) / ndtr(x) for x in (z - s, z)]
    slope = (1 - pays) * second * np.maximum(1 - (hazard[0] - hazard[1]) / s, 1e-3)
    scale = np.sqrt(told.clicks[at] / ((1 - pays) ** 2 * variance))
    pull = np.clip((paid - (1 - pays) * second - pays * bid) * scale, -4, 4)
    return (slope * scale) ** 2, (slope * scale) ** 2 * reference + slope * scale * pull


def test_hours_and_units_are_told_apart_as_by_plain_backfitting():
    told = rows(2)
    unit, hour, precision, target, blur = seen = observe(told, 1.0, 0.0)
    level, offset, offset_var, weight, variance, dispersion = separate(*seen, HOURS, 0.3, UNITS)
    held, of_unit = (np.bincount(at, precision, n) for at, n in ((hour, HOURS), (unit, UNITS)))
    doubt = np.divide(0.03**2 * of_unit, blur, out=np.zeros(UNITS), where=blur > 0)
    plain, var, spare, around = np.zeros(UNITS), np.full(UNITS, 0.09), 0.09, 1.0
    for turn in range(6):
        hours = np.bincount(hour, target - precision * plain[unit], HOURS) / np.where(held > 0, held, np.inf)
        tells = 1 / (around / np.maximum(of_unit, 1e-12) + doubt)
        var = 1 / (tells + 1 / spare)
        plain = np.bincount(unit, target - precision * hours[hour], UNITS) * var * tells / np.maximum(of_unit, 1e-12)
        spare = np.clip(((plain**2 + var).sum() + 2.5 * 0.09) / (UNITS + 10), 1e-6, 1.0)
        if turn % 2 == 1:
            miss = precision * (target / precision - hours[hour] - plain[unit]) ** 2
            around = np.clip(miss.sum() / max(unit.size - HOURS, 1), 1.0, 25.0)
    for found, expected in ((level, hours), (offset, plain), (offset_var, var), (weight, held)):
        assert np.allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert (variance, dispersion) == (pytest.approx(spare, rel=1e-9), pytest.approx(around, rel=1e-9))


def test_units_without_a_row_count_the_same_whether_they_are_listed_or_not():
    told = rows(3)
    some, _ = told.some(np.arange(told.unit.size))
    assert some.n_units < UNITS
    whole, few = (separate(*observe(r, 1.0, 0.1), r.n_hours, 0.3, UNITS) for r in (told, some))
    assert np.allclose(whole[1][np.unique(told.unit)], few[1], rtol=1e-9)
    assert whole[4] == pytest.approx(few[4], rel=1e-9)


def test_the_elasticity_is_that_of_rows_one_by_one():
    told, rng = rows(4, 1.0), np.random.default_rng(4)
    middle, market = told.log_median + 0.1 * rng.standard_normal(UNITS), told.log_factor + 0.05
    z = (np.log(told.bid) - middle[told.unit] - market[told.hour]) / told.spread[told.unit]
    due = told.coming * ndtr(z)
    plain = elasticity_correction(told.unit, told.hour, told.clicks, due, z, told.spread[told.unit], UNITS, 0.15)
    assert elasticity_of(told, middle, market, 0.15) == pytest.approx(plain, rel=1e-9)
    mixed = rng.permutation(z.size)
    spread = told.spread[told.unit]
    other = (a[mixed] for a in (told.unit, told.hour, told.clicks, due, z, spread))
    assert elasticity_correction(*other, UNITS, 0.15) == pytest.approx(plain, rel=1e-9)


def test_traffic_is_learned_as_by_plain_arrays_of_units_and_days():
    told, day = rows(5), 20400 + np.arange(HOURS) // 24
    won = told.traffic[told.hour] * ndtr(np.random.default_rng(5).standard_normal(told.unit.size))
    won[:9] = 0.0
    found = learn_traffic(told.unit, told.hour, day, told.clicks, won, told.per_hour, 20402, 0.25)
    units, cells, days, level, hour_var = _plain_traffic(told, day, won, 3, 0.25)
    assert np.allclose(found.unit, units, rtol=1e-9)
    assert np.allclose(found.today, days[2] * (1 + cells[:, 2]), rtol=1e-9)
    assert found.later == pytest.approx(level, rel=1e-9)
    assert found.hour_sd == pytest.approx(np.sqrt(hour_var), rel=1e-9)


def _plain_traffic(told: BidRows, day, won, n_days: int, unit_sd: float):
    due = won * told.per_hour[told.unit]
    kept = due > 1e-9
    unit, hour, clicks, due = told.unit[kept], told.hour[kept], told.clicks[kept], due[kept]
    cell = unit * n_days + day[hour] - day[0]
    got, forecast, squares = (
        np.bincount(cell, w, UNITS * n_days).reshape(UNITS, n_days) for w in (clicks, due, due**2)
    )
    rows_of_day = np.maximum(np.bincount(day[hour] - day[0], minlength=n_days) / UNITS, 1.0)
    units, cells, days = np.ones(UNITS), np.zeros((UNITS, n_days)), np.ones(n_days)
    unit_var, cell_var, hour_var, day_var, shock_var, level = unit_sd**2, CELL_SD**2, 0.1, DAY_SD**2, 0.005, 1.0
    seen = forecast.sum(0) > 0
    for turn in range(5):
        total = np.maximum((forecast * units[:, None] * (1 + cells)).sum(0), 1e-12)
        noise = 1 / total + hour_var * (squares * units[:, None] ** 2).sum(0) / total**2 + shock_var / rows_of_day
        ratio, precision = got.sum(0) / total, np.where(seen, 1 / (day_var + noise), 0.0)
        doubt = 1 / (precision.sum() + LEVEL_SD**-2)
        level = ((precision * ratio).sum() + LEVEL_SD**-2) * doubt
        trust = day_var / (day_var + noise)
        days = np.where(seen, level * (1 + trust * (ratio / level - 1)), level)
        spread = ((trust * (ratio / level - 1)) ** 2 + day_var * (1 - trust) + trust**2 * doubt)[seen]
        day_var = (spread.sum() + DAY_WORTH * DAY_SD**2) / (seen.sum() + DAY_WORTH)
        expected = forecast * days
        known = expected > 1e-6
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = 1 / (expected * np.maximum(units, 0.1)[:, None]) + cell_var + hour_var * squares / forecast**2
            weight, residual = np.where(known, 1 / variance, 0.0), np.where(known, got / expected, 0.0)
        error = 1 / (weight.sum(1) + 1 / unit_var)
        units = np.maximum(1 + error * (weight * (residual - 1)).sum(1), 0.02)
        unit_var = (((units - 1) ** 2 + error).sum() + 10 * unit_sd**2) / (UNITS + 10)
        share = cell_var * weight
        cells = share * (residual / units[:, None] - 1)
        cell_var = ((cells**2 + cell_var * (1 - share))[known].sum() + 50 * CELL_SD**2) / (known.sum() + 50)
        if turn in (1, 3):
            mean = due * (units[:, None] * days * (1 + cells)).ravel()[cell]
            of_hour = [np.bincount(hour, w, HOURS) for w in (clicks, mean, mean**2)]
            hour_var = np.clip(((clicks - mean) ** 2 - mean).sum() / of_hour[2].sum(), 0.0, 4.0)
            seen_hour, mean_hour, square = (w[of_hour[1] > 0] for w in of_hour)
            miss = (seen_hour / mean_hour - 1) ** 2 - 1 / mean_hour - hour_var * square / mean_hour**2
            shock_var = np.clip((np.maximum(miss, -1).sum() + 0.05) / (miss.size + 10), 0.0, 0.5)
    return units, cells, days, level, hour_var


@pytest.mark.parametrize("whole", [True, False])
def test_units_are_shrunk_as_the_mixture_says(whole):
    rng = np.random.default_rng(6)
    due, forecast = rng.gamma(1.0, 3.0, UNITS), 0.03 * np.exp(0.4 * rng.standard_normal(UNITS))
    seen = rng.poisson(due).astype(float) * (1.0 if whole else 0.93)
    design, held = design_of(np.log(forecast), None, None, None), rng.integers(0, 4, UNITS)
    state = State(0.1, design.centre, np.append(0.1 * rng.standard_normal(4), 0.0), 0.1, design.weights, ())
    ratio, own, information = posterior(state, Seen.of(seen, due), design, held)
    base = state.level + state.campaign[held] + design.believe @ state.slope
    log_mean = np.where(DOUBT, (base - design.believe @ state.slope + design.doubt_base)[:, None], base[:, None])
    k = SCALES**-2.0
    rate, shape = k + due[:, None] * np.exp(log_mean), k + seen[:, None]
    fit = gammaln(shape) - gammaln(k) + k * np.log(k) - shape * np.log(rate) + seen[:, None] * log_mean
    weight = np.exp(fit + DOUBT * design.odd[:, None] + np.log(state.weights))
    weight /= weight.sum(1, keepdims=True)
    factor = np.exp(log_mean) * shape / rate
    mean = (weight * factor).sum(1)
    assert np.allclose(ratio, mean, rtol=1e-9)
    assert np.allclose(own, np.sqrt((weight * factor**2 * (1 + 1 / shape)).sum(1) / mean**2 - 1), rtol=1e-7)
    assert information == pytest.approx((weight * (rate - k) * k / rate).sum(), rel=1e-9)


def test_tables_are_those_of_the_law_of_prices():
    rng = np.random.default_rng(7)
    median, spread, volume = np.exp(rng.standard_normal(30)), 0.4 + 0.4 * rng.random(30), rng.gamma(1.0, 5.0, 30)
    scale = 0.9 + 0.2 * rng.random(30)
    law = Landscape(volume, median, spread, scale, Auction.SECOND_PRICE, 0.2, 1.1)
    bids = law.levels(median * 1.3, 0.15, 6.0, 12)
    assert np.allclose(bids[:, 0], 0.15 * median)
    assert np.allclose(bids[:, -1], 6.0 * 1.3 * median)
    assert np.allclose(bids[:, 1:] / bids[:, :-1], (bids[:, 1] / bids[:, 0])[:, None])
    z = np.log(bids / median[:, None]) / spread[:, None]
    clicks = volume[:, None] * ndtr(z)
    second = (scale * volume * median * np.exp(spread**2 / 2))[:, None] * ndtr(z - spread[:, None])
    found = law.tables(bids)
    assert np.allclose(found[0], clicks, rtol=1e-12)
    assert np.allclose(found[1], 1.1 * (0.8 * second + 0.2 * bids * clicks), rtol=1e-12)


def test_rows_with_a_told_bid_are_found_and_put_in_order():
    rng = np.random.default_rng(8)
    n, hour_us = 500, 3_600_000_000
    start = rng.integers(-30, 0, n) * hour_us
    daily = rng.random(n) < 0.2
    start = np.where(daily, start // (24 * hour_us) * 24 * hour_us, start)
    cohort, cohorts = cohorts_of(start, 0, daily, np.where(daily, 24.0, 1.0))
    bid = np.where(rng.random(n) < 0.2, np.nan, rng.random(n))
    clicks = rng.poisson(1.0, n).astype(float)
    table = Rows(rng.integers(0, 9, n).astype(np.int32), cohort, cohorts, *([clicks] * 5), bid)
    told = Told.of(table, 20)
    has_bid = np.isfinite(bid)
    kept = np.flatnonzero(has_bid & ~daily & (start >= -20 * hour_us))
    assert (told.rows, told.clicks, told.kept) == (has_bid.sum(), clicks[has_bid].sum(), kept.size)
    assert not told.in_order
    assert np.array_equal(told.order(table), kept[np.argsort(start[kept], kind="stable")])


def test_single_precision_of_rows_changes_an_outlook_by_no_more_than_its_rounding(worlds, monkeypatch):
    world = worlds(1)
    known, model = world.known(60), SteadyModel(calendar=world.calendar)
    double = model.outlook(known, world.ahead(60))
    monkeypatch.setattr("predictors.bid_rows.SINGLE_FROM", 1)
    single = model.outlook(known, world.ahead(60))
    for name in ("bids", "clicks", "spend", "gmv", "traffic", "price", "volume_cv", "matured_gmv"):
        assert np.allclose(getattr(single, name), getattr(double, name), rtol=1e-5), name
    assert not np.array_equal(single.clicks, double.clicks)
