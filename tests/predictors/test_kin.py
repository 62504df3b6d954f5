"""Kin tell of each other as much as they are alike, and no more."""

import numpy as np
import polars as pl
import pytest

from predictors.kin import kin_mean
from predictors.shrinkage import shrink


def units(seed: int, spread: float, n: int = 200, error: float = 0.3):
    rng = np.random.default_rng(seed)
    category, match = rng.integers(0, 8, n), rng.integers(0, 3, n)
    told = spread * (rng.standard_normal(8)[category] + 0.7 * (match - 1.0))
    rate = -3.5 + told + 0.28 * rng.standard_normal(n)
    forecast = rate + error * rng.standard_normal(n)
    columns = [pl.Series([f"c{k}" for k in category]), pl.Series([f"m{k}" for k in match])]
    return forecast, columns, told, rate, rng


def test_the_mean_of_kin_is_recovered():
    for seed in range(3):
        forecast, columns, told, *_ = units(seed, 0.3)
        found = kin_mean(forecast, columns)
        assert found is not None
        assert np.corrcoef(found, told)[0, 1] > 0.9


def test_labels_that_say_nothing_leave_the_mean_of_all():
    forecast, columns, *_ = units(1, 0.0)
    found = kin_mean(forecast, columns)
    assert found is not None
    assert found.std() < 0.35 * forecast.std() / np.sqrt(200 / 8)


@pytest.mark.parametrize("labels", [["a"] * 30, [f"u{i}" for i in range(30)], [None] * 30])
def test_a_column_that_groups_nothing_is_no_kin(labels):
    assert kin_mean(np.random.default_rng(0).standard_normal(30), [pl.Series(labels, dtype=pl.String)]) is None


def test_rates_come_nearer_to_the_truth_where_kin_are_known():
    better = []
    for seed in range(4):
        forecast, columns, _, rate, rng = units(seed, 0.3)
        due = np.full(200, 6.0)
        seen = rng.poisson(due * np.exp(rate - forecast)).astype(float)
        alone = np.full(200, -1)
        error = [
            np.std(np.log(shrink(seen, due, np.exp(forecast), alone, 0.3, kin=kin).ratio) + forecast - rate)
            for kin in (None, kin_mean(forecast, columns))
        ]
        better.append(error[1] / error[0])
    assert np.mean(better) < 0.95


@pytest.mark.parametrize(("error", "most"), [(0.1, 0.19), (0.3, 0.25), (0.6, 0.40)])
def test_before_many_orders_forecasts_are_believed_by_half(error, most):
    # 40 units with an order each: they cannot tell how good forecasts are, so neither belief may cost much
    miss = []
    for seed in range(20):
        forecast, columns, _, rate, rng = units(seed, 0.24, 40, error)
        due = rng.gamma(1.0, 1.0, 40)
        seen = rng.poisson(due * np.exp(rate - forecast)).astype(float)
        kin = kin_mean(forecast, columns)
        found = shrink(seen, due, np.exp(forecast), np.arange(40) % 4, 0.2, kin=kin)
        miss.append(np.std(np.log(found.ratio) + forecast - rate))
    assert np.mean(miss) < most
