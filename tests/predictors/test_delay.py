"""The conversion-delay law: recovered from truncated counts, phase by phase, wide before there is data."""

import itertools

import numpy as np
import pytest

from predictors.delay import DelayCounts, DelayPrior, learn_delay

PRIOR = DelayPrior(share_at_once=0.4, mean_lag=12.0, level_sd=0.3)
AGES = 200


def law(at_once: float, tail: float) -> np.ndarray:
    """True share told at ages 1, 2, ...: part at once, the rest geometric."""
    return 1 - (1 - at_once) * (1 - 1 / tail) ** np.arange(AGES)


def counts(rng, hours: int, laws: list[np.ndarray], level: float = 1 / 1.15, rate: float = 60.0) -> DelayCounts:
    """Orders of one cohort of clicks per hour, cut at the present: ages beyond it have not happened."""
    arrived, exposed = np.zeros((len(laws), AGES)), np.zeros((len(laws), AGES))
    for h in range(hours):
        kind = h * len(laws) // hours
        age = min(hours - h, AGES)
        arrived[kind, :age] += rng.poisson(level * rate * np.diff(laws[kind], prepend=0.0)[:age])
        exposed[kind, age - 1] += rate
    return DelayCounts(arrived, exposed)


def test_the_mean_lag_is_recovered_from_three_days_of_truncated_counts():
    true = law(0.45, 18.0)
    mean = 0.55 * 18.0
    found = [learn_delay(counts(np.random.default_rng(s), 72, [true] * 2), PRIOR) for s in range(6)]
    assert np.mean([f.mean_lag_steps for f in found]) == pytest.approx(mean, rel=0.06)
    for f in found:
        assert abs(f.mean_lag_steps - mean) < 3.5 * f.mean_lag_sd
        assert np.abs(f.share[0, :72] - true[:72]).max() < 0.06


def test_a_matured_level_is_right_within_two_percent_when_the_law_has_been_seen():
    true = law(0.45, 18.0)
    misses = []
    for seed in range(8):
        c = counts(np.random.default_rng(seed), 120, [true])
        share = learn_delay(c, PRIOR).share[0]
        estimated = c.arrived.sum() / (c.exposed[0] @ share)
        misses.append(estimated / (c.arrived.sum() / (c.exposed[0] @ true)) - 1)
    assert abs(np.mean(misses)) < 0.01
    assert np.std(misses) < 0.02


def test_before_any_order_the_law_is_wide():
    found = learn_delay(DelayCounts(np.zeros((2, AGES)), np.zeros((2, AGES))), PRIOR)
    assert found.learned_from == 0
    assert found.share_told_sd(np.array([0]), np.array([6]))[0] > 0.1


def test_uncertainty_shrinks_as_orders_come_in():
    true = law(0.3, 10.0)
    sd = [
        learn_delay(counts(np.random.default_rng(1), hours, [true]), PRIOR).share_told_sd(np.array([0]), np.array([6]))
        for hours in (3, 12, 48, 120)
    ]
    assert all(b[0] < a[0] for a, b in itertools.pairwise(sd))


def test_a_phase_with_another_law_gets_its_own():
    quick, slow = law(0.7, 3.0), law(0.15, 24.0)
    found = learn_delay(counts(np.random.default_rng(3), 120, [slow, quick], rate=200.0), PRIOR)
    assert found.own_laws > 0.9
    assert found.share[0, 11] == pytest.approx(slow[11], abs=0.05)
    assert found.share[1, 11] == pytest.approx(quick[11], abs=0.05)


def test_phases_with_the_same_law_share_it():
    same = law(0.45, 18.0)
    found = [learn_delay(counts(np.random.default_rng(s), 120, [same] * 4), PRIOR) for s in range(6)]
    assert sum(f.own_laws > 0.5 for f in found) <= 1


def test_a_law_outside_the_family_is_followed_by_the_life_table():
    # half at once, nothing for a day, the rest on the second day
    true = np.where(np.arange(AGES) < 24, 0.5, np.minimum(0.5 + (np.arange(AGES) - 23) / 24 * 0.5, 1.0))
    found = learn_delay(counts(np.random.default_rng(5), 160, [true], rate=400.0), PRIOR)
    assert np.abs(found.share[0, :100] - true[:100]).mean() < 0.03


def test_shares_rise_with_age_and_stay_within_zero_and_one():
    for seed in range(3):
        found = learn_delay(counts(np.random.default_rng(seed), 30, [law(0.2, 30.0)] * 3), PRIOR)
        assert (np.diff(found.share, axis=1) >= -1e-12).all()
        assert found.share.min() >= 0
        assert found.share.max() <= 1


@pytest.mark.filterwarnings("error")
def test_a_million_orders_all_told_at_once_are_no_trouble():
    arrived, exposed = np.zeros((2, AGES)), np.zeros((2, AGES))
    arrived[0, 0] = 1e6
    exposed[0, [0, 5, 100]] = 4e5
    arrived[1, 0], exposed[1, 50] = 3e5, 4e5
    found = learn_delay(DelayCounts(arrived, exposed), PRIOR)
    assert np.isfinite(found.share).all()
    assert found.share.min() > 0.6
