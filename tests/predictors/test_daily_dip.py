"""Prices that fall in the course of each day: learned, undone at midnight, and not seen where there are none."""

import numpy as np
import pytest

from predictors.daily_dip import DIP, DIP_SD, dip_shape, learn_dip
from predictors.price_level import follow_level

HOURS = 96
SHAPE = dip_shape(np.ones(24), np.arange(24))
OF_HOUR = SHAPE[np.arange(HOURS + 48) % 24]


def market(seed: int, dip: float, jump: float = 0.0):
    """Level of the market by hour as seen: an AR part around the dip of each day, and an error of 0.01."""
    rng = np.random.default_rng(seed)
    drift = np.zeros(HOURS + 48)
    for h in range(1, drift.size):
        drift[h] = 0.9 * drift[h - 1] + 0.02 * rng.standard_normal()
    level = drift + dip * OF_HOUR + np.where(np.arange(drift.size) >= 60, jump, 0.0)
    return level[:HOURS] + 0.01 * rng.standard_normal(HOURS), level[HOURS:], np.full(HOURS, 1e-4)


def test_the_shape_falls_all_day_and_lies_around_nothing():
    assert SHAPE.mean() == pytest.approx(0.0)
    assert (np.diff(SHAPE) < 0).all()
    assert SHAPE[0] - SHAPE[-1] == pytest.approx(1.0, abs=0.1)
    assert np.isfinite(dip_shape(np.zeros(0), np.zeros(0, np.int64))).all()


@pytest.mark.parametrize("dip", [0.0, 0.12, 0.2])
def test_the_dip_of_days_is_learned_from_four_of_them(dip):
    found = [learn_dip(level, noise, OF_HOUR[:HOURS]) for level, _, noise in (market(s, dip) for s in range(20))]
    assert np.mean([d for d, _ in found]) == pytest.approx(dip, abs=0.02)
    assert np.sqrt(np.mean([(d - dip) ** 2 for d, _ in found])) < 1.3 * np.mean([sd for _, sd in found])


def test_a_jump_of_the_market_is_no_dip():
    found = [
        learn_dip(level, noise, OF_HOUR[:HOURS])[0] for level, _, noise in (market(s, 0.1, 0.25) for s in range(20))
    ]
    assert np.mean(found) == pytest.approx(0.1, abs=0.02)


def test_before_anything_was_seen_a_dip_is_expected_with_its_error():
    assert learn_dip(np.zeros(0), np.zeros(0), np.zeros(0)) == (DIP, DIP_SD)
    unseen = np.full(HOURS, np.inf)
    assert learn_dip(np.zeros(HOURS), unseen, OF_HOUR[:HOURS]) == (DIP, DIP_SD)


def test_the_morning_is_not_expected_at_the_price_of_the_night():
    misses: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(20):
        level, coming, noise = market(seed, 0.15)
        for told, kept in misses.items():
            ahead, sd = follow_level(level, noise, 24, OF_HOUR[: HOURS + 24] if told else None)
            kept.append(float((ahead - coming[:24]).mean()))
            assert (sd > 0).all()
    assert abs(np.mean(misses[True])) < 0.02
    assert np.mean(misses[False]) < -0.06
