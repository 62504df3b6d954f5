"""Cohorts of rows, and sums over them: the same as row by row."""

import numpy as np
import pytest

from predictors.rows import Rows, cohorts_of

HOUR = 3_600_000_000
UNITS = 40


def told(seed: int, n: int = 3000, share_daily: float = 0.0):
    """Start, whether daily, hours and unit of rows in any order."""
    rng = np.random.default_rng(seed)
    daily = rng.random(n) < share_daily
    hour = rng.integers(-90, 0, n)
    hour = np.where(daily, hour // 24 * 24, hour)
    hours = np.where(daily, 23.0 + (hour // 24 % 3), 1.0)
    return 7 * HOUR + hour * HOUR, daily, hours, rng.integers(0, UNITS, n).astype(np.int32)


@pytest.mark.parametrize("share_daily", [0.0, 0.3, 1.0])
def test_a_cohort_holds_the_rows_of_one_hour_or_day_and_no_others(share_daily):
    start, daily, hours, _ = told(1, share_daily=share_daily)
    cohort, cohorts = cohorts_of(start, 7 * HOUR, daily, hours)
    assert np.array_equal(cohorts.hour[cohort], (start - 7 * HOUR) // HOUR)
    assert np.array_equal(cohorts.daily[cohort], daily)
    assert np.array_equal(cohorts.length[cohort], hours)
    distinct = np.unique(np.stack([start, daily, hours]), axis=1).shape[1]
    assert cohorts.hour.size == distinct == np.unique(cohort).size
    assert (np.diff(cohorts.hour) >= 0).all()


def test_no_rows_are_no_cohorts():
    cohort, cohorts = cohorts_of(np.zeros(0, np.int64), 0, np.zeros(0, np.bool_), np.zeros(0))
    assert cohort.size == cohorts.hour.size == cohorts.age.size == 0


@pytest.mark.parametrize("share_daily", [0.0, 0.3])
def test_sums_by_unit_and_by_cohort_are_those_of_single_rows(share_daily):
    start, daily, hours, unit = told(2, share_daily=share_daily)
    cohort, cohorts = cohorts_of(start, 7 * HOUR, daily, hours)
    rng = np.random.default_rng(3)
    amount = rng.gamma(1.0, 3.0, unit.size)
    rows = Rows(unit, cohort, cohorts, *([amount] * 6))
    of_cohort, of_unit = rng.random(cohorts.hour.size), rng.random(UNITS)
    plain = np.zeros(UNITS)
    np.add.at(plain, unit, amount * of_cohort[cohort])
    assert np.allclose(rows.by_unit(rows.clicks, of_cohort, UNITS), plain, rtol=1e-12)
    plain = np.zeros(cohorts.hour.size)
    np.add.at(plain, cohort, amount * of_unit[unit])
    assert np.allclose(rows.by_cohort(rows.clicks, of_unit), plain, rtol=1e-12)
    assert np.allclose(rows.by_cohort(rows.clicks), np.bincount(cohort, amount), rtol=1e-12)


@pytest.mark.parametrize("share_daily", [0.0, 0.3])
def test_one_pass_counts_what_many_passes_count(share_daily):
    start, daily, hours, unit = told(4, share_daily=share_daily)
    cohort, cohorts = cohorts_of(start, 7 * HOUR, daily, hours)
    rng = np.random.default_rng(5)
    impressions, clicks, spend, orders = rng.poisson(1.0, (4, unit.size)).astype(float)
    rows = Rows(unit, cohort, cohorts, impressions, clicks, spend, orders, spend, spend)
    stays, rate = rng.random(cohorts.hour.size), rng.random(UNITS)
    found = rows.counted(stays, rate, 2.0)
    assert np.array_equal(found.impressions, rows.by_unit(impressions, None, UNITS))
    assert np.array_equal(found.clicks, rows.by_unit(clicks, stays, UNITS))
    assert np.array_equal(found.orders, rows.by_unit(orders, None, UNITS))
    assert np.array_equal(found.told, rows.by_cohort(orders))
    assert np.array_equal(found.due, rows.by_cohort(clicks, rate))
    assert np.array_equal(found.sold, np.flatnonzero(orders >= 2))


def test_no_rows_count_nothing():
    none = np.zeros(0)
    cohort, cohorts = cohorts_of(np.zeros(0, np.int64), 0, np.zeros(0, np.bool_), none)
    rows = Rows(cohort, cohort, cohorts, *([none] * 6))
    found = rows.counted(none, np.ones(3), 0.5)
    assert (found.clicks == 0).all()
    assert (found.told.size, found.sold.size, rows.by_cohort(none).size) == (0, 0, 0)
