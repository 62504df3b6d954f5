"""What an order is worth: the stated price until sales speak, and no single basket speaks for all."""

import numpy as np
import pytest

from predictors.value import order_value

STATED = np.array([50.0, 80.0, 20.0])


def test_without_orders_the_stated_price_stands_and_an_unpriced_unit_gets_the_mean():
    value, error, unpriced = order_value(np.zeros(3), np.zeros(3), STATED, 1.0)
    assert np.allclose(value, STATED)
    assert unpriced == 0
    value, error, unpriced = order_value(
        np.array([10.0, 10.0, 0.0]), np.array([500.0, 800.0, 0.0]), np.array([50.0, 80.0, np.nan]), 1.0
    )
    assert value[2] == pytest.approx(65.0)
    assert unpriced == 1
    assert error[2] > error[0]


def test_one_huge_basket_moves_a_unit_little():
    plain, _, _ = order_value(np.ones(3), STATED, STATED, 1.0)
    huge, _, _ = order_value(np.ones(3), STATED * np.array([100.0, 1.0, 1.0]), STATED, 1.0)
    assert huge[0] < 1.5 * plain[0]
    assert huge[1] < 1.5 * plain[1]


def test_what_goes_on_being_large_is_believed():
    orders = np.array([200.0, 200.0, 200.0])
    value, _, _ = order_value(orders, orders * STATED * np.array([6.0, 1.0, 1.0]), STATED, 1.0)
    assert value[0] == pytest.approx(300.0, rel=0.1)


def test_values_are_nearer_the_truth_than_plain_means_where_baskets_have_heavy_tails():
    rng = np.random.default_rng(0)
    n, few = 400, 4
    stated = np.exp(4 + 0.5 * rng.standard_normal(n))
    baskets = stated[:, None] * rng.pareto(1.6, (n, few)) * 0.6  # mean 1, infinite variance
    value, _, _ = order_value(np.full(n, float(few)), baskets.sum(1), stated, 1.0)
    ours = np.sqrt(np.mean(np.log(value / stated) ** 2))
    uncapped = np.sqrt(np.mean(np.log((8 * stated + baskets.sum(1)) / (8 + few) / stated) ** 2))
    raw = np.sqrt(np.mean(np.log(np.maximum(baskets.mean(1), 1e-3) / stated) ** 2))
    assert ours < uncapped
    assert ours < 0.5 * raw


def test_refunds_beyond_sales_still_give_a_positive_value():
    value, _, _ = order_value(np.array([1.0, 0.0, 0.0]), np.array([-40.0, 0.0, 0.0]), STATED, 1.0)
    assert (value > 0).all()
    assert np.isfinite(value).all()
