"""Kin tell of each other as much as they are alike, and no more."""

import numpy as np
import polars as pl
import pytest

from predictors.kin import Kin, kin_of
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
        found = kin_of(forecast, columns)
        assert found is not None
        assert np.corrcoef(found.mean, told)[0, 1] > 0.9


def test_labels_that_say_nothing_leave_the_mean_of_all():
    forecast, columns, *_ = units(1, 0.0)
    found = kin_of(forecast, columns)
    assert found is not None
    assert found.mean.std() < 0.35 * forecast.std() / np.sqrt(200 / 8)


@pytest.mark.parametrize("labels", [["a"] * 30, [f"u{i}" for i in range(30)], [None] * 30])
def test_a_column_that_groups_nothing_is_no_kin(labels):
    assert kin_of(np.random.default_rng(0).standard_normal(30), [pl.Series(labels, dtype=pl.String)]) is None


def test_rates_come_nearer_to_the_truth_where_kin_are_known():
    better = []
    for seed in range(4):
        forecast, columns, _, rate, rng = units(seed, 0.3)
        due = np.full(200, 6.0)
        seen = rng.poisson(due * np.exp(rate - forecast)).astype(float)
        alone = np.full(200, -1)
        error = [
            np.std(np.log(shrink(seen, due, np.exp(forecast), alone, 0.3, kin=kin).ratio) + forecast - rate)
            for kin in (None, kin_of(forecast, columns))
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
        kin = kin_of(forecast, columns)
        found = shrink(seen, due, np.exp(forecast), np.arange(40) % 4, 0.2, kin=kin)
        miss.append(np.std(np.log(found.ratio) + forecast - rate))
    assert np.mean(miss) < most


def test_orders_correct_what_forecasts_say_of_a_whole_category():
    # all forecasts of one category are a third too high: its own orders, few for each unit, must tell
    better = []
    for seed in range(6):
        forecast, columns, _, rate, rng = units(seed, 0.3)
        wrong = columns[0].to_numpy() == "c3"
        forecast = forecast + 0.3 * wrong
        due = np.full(200, 4.0)
        seen = rng.poisson(due * np.exp(rate - forecast)).astype(float)
        kin = kin_of(forecast, columns)
        assert kin is not None
        deaf = Kin(kin.mean, (), ())  # knows the mean of kin, and hears nothing of it from orders
        miss = [
            abs(
                np.mean(
                    (np.log(shrink(seen, due, np.exp(forecast), np.full(200, -1), 0.3, kin=k).ratio) + forecast - rate)[
                        wrong
                    ]
                )
            )
            for k in (deaf, kin)
        ]
        better.append(miss[1] / miss[0])
    assert np.mean(better) < 0.9


def test_a_forecast_far_from_its_kin_is_believed_less_of_its_distance():
    forecast, columns, *_ = units(2, 0.3)
    nothing, alone = np.zeros(200), np.full(200, -1)
    moved = []
    for away in (0.2, 1.2):
        told = forecast.copy()
        told[7] = np.median(forecast) + away
        kin = kin_of(told, columns)
        assert kin is not None
        kept = told[7] + np.log(shrink(nothing, nothing, np.exp(told), alone, 0.3, kin=kin).ratio[7]) - kin.mean[7]
        moved.append(kept / (told[7] - kin.mean[7]))
    assert moved[1] < 0.75 * moved[0]


def test_one_wild_forecast_moves_its_kin_little():
    forecast, columns, *_ = units(3, 0.3)
    wild = forecast.copy()
    wild[0] += 3.0
    mine = columns[0] == columns[0][0]
    shift = [np.mean((kin_of(x, columns).mean - kin_of(forecast, columns).mean)[mine.to_numpy()]) for x in (wild,)]
    assert shift[0] < 0.4 * 3.0 / mine.sum()
