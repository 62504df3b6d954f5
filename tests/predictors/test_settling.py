"""What waits, what is owed and what comes back is learned from counts; without a word of it little is assumed."""

import numpy as np
import pytest

from predictors.settling import PRE_SALE, WARM_UP, deposit, paid, returns, waiting


def burst_counts(rng, share: float, hours_in: int, due: float = 4000.0, level: float = 0.85):
    """Orders before the burst and by hour in it, where a share waits and comes within six hours."""
    told, step = 0.8, 0.01  # of those that do not wait: told before the burst, and in each hour after it
    before = rng.poisson(level * due * (1 - share) * told)
    waited = np.where(np.arange(hours_in) < 6, level * due * share / 6, 0.0)
    after = rng.poisson(level * due * (1 - share) * step + waited)
    return (float(before), due * told), (after.astype(float), np.full(hours_in, due * step)), due, level


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5])
def test_the_share_that_waited_is_known_some_hours_into_the_burst(share):
    for seed in range(3):
        before, after, due, level = burst_counts(np.random.default_rng(seed), share, 8)
        found = waiting(WARM_UP, before, after, due, (level, 0.02), 8)
        assert found.share == pytest.approx(share, abs=0.03)
        assert found.come[8] == pytest.approx(found.share, abs=0.01)
        assert found.come[0] == 0.0


def test_before_the_burst_other_phases_tell_how_much_waits():
    told = []
    for share in (0.0, 0.3):
        before, after, due, level = burst_counts(np.random.default_rng(1), share, 1)
        found = waiting(WARM_UP, before, (after[0][:0], after[1][:0]), due, (level, 0.03), 0)
        told.append(found.share)
        assert found.share_sd > 0.03
    assert told[1] > told[0] + 0.1


def test_what_comes_early_in_the_burst_is_not_all_there_is():
    before, after, due, level = burst_counts(np.random.default_rng(2), 0.25, 2)
    found = waiting(WARM_UP, before, after, due, (level, 0.03), 2)
    assert found.come[2] < found.share
    assert found.share == pytest.approx(0.25, abs=3 * found.share_sd + 0.02)


def test_pre_sale_orders_are_not_expected_to_wait():
    nothing = np.zeros(0)
    found = waiting(PRE_SALE, (500.0, 600.0), (nothing, nothing), 700.0, (0.85, 0.3), 0)
    assert found.share < 0.05


@pytest.mark.parametrize(("share", "mean"), [(0.0, 30.0), (0.04, 30.0), (0.04, 10.0), (0.15, 20.0)])
def test_the_share_that_comes_back_is_learned_with_how_long_it_takes(share, mean):
    rng = np.random.default_rng(3)
    came = rng.poisson(np.where(np.arange(120) == 70, 2000.0, 80.0)).astype(float)  # a burst among ordinary hours
    law = np.minimum(1 - np.exp(-np.arange(120) / mean), 1.0)
    back = rng.poisson(share * np.convolve(came, np.diff(law, prepend=0.0))[:120]).astype(float)
    found = returns(came, back)
    assert found.share == pytest.approx(share, abs=0.006)
    assert abs(found.share - share) < 4 * found.share_sd
    if share:
        assert np.abs(found.law[:72] - (1 - np.exp(-np.arange(72) / mean))).max() < 0.1


@pytest.mark.parametrize("end", [48, 72, 168])
def test_returns_on_the_last_day_of_the_window_do_not_pass_for_slow_ones(end):
    rng = np.random.default_rng(4711)
    expected, came_back = 0.0, 0.0
    for _ in range(60):
        came = rng.poisson(np.where(np.arange(90) < 60, 40.0, 200.0)).astype(float)
        back = np.zeros(90 + end + 1)
        for hour, orders in enumerate(came):
            after = np.minimum(rng.geometric(1 / 24, rng.binomial(int(orders), 0.04)), end)
            np.add.at(back, hour + after, 1.0)
        found = returns(came, back[:90])
        expected += found.share * float(came @ (1 - found.law[np.arange(90)[::-1]]))
        came_back += float(back[90:].sum())
    assert expected == pytest.approx(came_back, rel=0.08)


def test_without_orders_a_few_returns_are_assumed():
    found = returns(np.zeros(1), np.zeros(1))
    assert found.share == pytest.approx(0.03)
    assert found.share_sd > 0.02


def test_balances_that_are_not_paid_are_noticed():
    rng = np.random.default_rng(4)
    for share in (0.6, 0.95):
        by_hour = rng.poisson(np.where(np.arange(10) < 6, 900 * share / 6, 0.0)).astype(float)
        assert paid(900.0, by_hour, 10).share == pytest.approx(min(by_hour.sum() / 900, 1.0), abs=0.04)
    assert paid(900.0, np.zeros(10), 0).share == pytest.approx(13 / 14, abs=0.02)


def test_a_deposit_is_told_from_cheap_orders():
    assert deposit(50.0, 0.2) == pytest.approx(0.2, abs=0.01)
    assert deposit(50.0, 0.97) > 0.95
    assert deposit(2.0, 0.2) == 1.0
