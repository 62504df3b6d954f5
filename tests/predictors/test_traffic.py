"""Traffic: lasting errors of units, errors of days, daily rows with pauses, the shipped profile."""

import numpy as np
import pytest

from predictors.profile import WeekProfile
from predictors.traffic import DAY_SD, daily_volume, learn_traffic

DAY = np.arange(144) // 24


def rows(seed: int, hours: int, n: int = 150):
    rng = np.random.default_rng(seed)
    size = 4 * np.exp(0.8 * rng.standard_normal(n))
    unit_error, day_error = np.exp(0.2 * rng.standard_normal(n)), np.exp(0.2 * rng.standard_normal(6))
    luck = rng.gamma(1 / 0.09, 0.09, (n, hours))
    due = np.repeat(size[:, None], hours, 1)
    clicks = rng.poisson(due * unit_error[:, None] * day_error[np.arange(hours) // 24] * luck)
    unit, hour = (a.ravel() for a in np.mgrid[0:n, 0:hours])
    return unit, hour, clicks.ravel().astype(float), due.ravel(), unit_error, day_error


def test_lasting_errors_of_units_are_learned():
    better = []
    for seed in range(4):
        unit, hour, clicks, due, unit_error, _ = rows(seed, 72)
        found = learn_traffic(unit, hour, DAY[: hour.max() + 1], clicks, due, np.ones(150), 3, 0.25)
        scaled = found.unit / found.unit.mean() * unit_error.mean()
        better.append(np.std(np.log(scaled / unit_error)) / np.std(np.log(unit_error)))
    assert np.mean(better) < 0.6


def test_todays_level_is_known_after_some_hours():
    for seed in range(4):
        unit, hour, clicks, due, unit_error, day_error = rows(seed, 54)
        found = learn_traffic(unit, hour, DAY[: hour.max() + 1], clicks, due, np.ones(150), 2, 0.25)
        weight = due[hour == 0]
        expected = np.average(unit_error, weights=weight) * day_error[2]
        assert np.average(found.today * found.unit, weights=weight) == pytest.approx(expected, rel=0.06)


def test_a_new_day_starts_from_the_days_so_far_not_from_yesterday():
    unit, hour, clicks, due, *_ = rows(1, 48)
    due = due * np.where(hour < 24, 1.0, 0.5)  # yesterday brought twice its forecast
    found = learn_traffic(unit, hour, DAY[: hour.max() + 1], clicks, due, np.ones(150), 2, 0.25)
    assert 1.0 < found.later < 1.8
    assert found.today_sd > 0.1


def test_a_forecast_that_nobody_vouches_for_is_corrected_within_a_day():
    found = {sd: [] for sd in (0.15, 0.4)}
    for seed in range(4):
        unit, hour, clicks, due, *_ = rows(seed, 24)
        factor = clicks.sum() / due.sum() / 0.7  # the day brought 0.7 of what was forecast
        for sd, later in found.items():
            later.append(
                learn_traffic(unit, hour, DAY[: hour.max() + 1], clicks, due * factor, np.ones(150), 1, 0.25, sd).later
            )
    assert np.mean(found[0.4]) == pytest.approx(0.75, abs=0.05)
    assert np.mean(found[0.15]) > 0.84


def test_a_day_that_has_not_begun_is_as_uncertain_as_any_day_to_come():
    """Whoever decides at midnight knows of the day what is known of tomorrow; its hours tell it then."""
    unit, hour, clicks, due, *_ = rows(2, 54)
    midnight, later = (
        learn_traffic(unit[k], hour[k], DAY[: hour[k].max() + 1], clicks[k], due[k], np.ones(150), 2, 0.25)
        for k in (hour < 48, hour < 54)
    )
    assert midnight.today_sd == pytest.approx(midnight.later_sd)
    assert later.today_sd < 0.5 * midnight.today_sd < 0.6 * later.later_sd


def test_stated_errors_of_days_to_come_are_those_that_days_have():
    """Over many accounts: days that differ by a fifth, forecasts right on the whole; two days seen, the third is told."""
    misses, stated = [], []
    for seed in range(60):
        unit, hour, clicks, due, unit_error, day_error = rows(seed, 48, n=40)
        found = learn_traffic(unit, hour, DAY[:48], clicks, due, np.ones(40), 2, 0.25)
        size = due[hour == 0]
        third = np.average(unit_error, weights=size) * day_error[2]
        misses.append(third / np.average(found.unit * found.later, weights=size) - 1)
        stated.append(found.later_sd)
    assert np.sqrt(np.mean(np.square(misses))) == pytest.approx(np.sqrt(np.mean(np.square(stated))), rel=0.2)


def test_without_rows_the_forecast_stands_with_its_error():
    none, nothing = np.zeros(0, np.int64), np.zeros(0)
    found = learn_traffic(none, none, none, nothing, nothing, np.ones(4), 0, 0.25)
    assert np.allclose(found.unit * found.today, 1.0)
    assert np.allclose(found.unit_sd, 0.25)
    wide = learn_traffic(none, none, none, nothing, nothing, np.ones(4), 0, 0.25, 0.4)
    # a day to come has the error of the level, and luck of its own
    assert wide.later_sd == wide.today_sd == pytest.approx(np.hypot(0.4, DAY_SD))


def test_daily_rows_count_days_without_delivery_as_zeros():
    # unit 0 delivers each day, unit 1 did long ago, unit 2 has just begun
    unit = np.array([0] * 20 + [1] * 3 + [2])
    age = np.array([*range(1, 21), 18, 19, 20, 1], float)
    counts = np.full(unit.size, 24.0)
    volume = daily_volume(unit, age, counts, np.array([20.0, 20.0, 1.0]), np.zeros(3, np.int64), 10.0)
    assert volume.rate[0] == pytest.approx(1.0, rel=0.1)
    assert volume.rate[1] < 0.2
    assert volume.cv[2] > volume.cv[0]


def test_the_shipped_profile_covers_a_week_and_learns_an_accounts_own():
    profile = WeekProfile.default()
    assert profile.traffic.shape == (168,)
    assert profile.traffic.mean() == pytest.approx(1.0)
    own = np.roll(profile.traffic, 6)
    hours = np.arange(168 * 8) % 168
    rng = np.random.default_rng(0)
    clicks = rng.poisson(30 * own[hours]).astype(float)
    learned = profile.learned(hours, clicks, profile.traffic[hours])
    assert np.abs(learned.traffic - own).mean() < 0.35 * np.abs(profile.traffic - own).mean()
