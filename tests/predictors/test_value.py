"""What an order is worth: the stated price until sales speak, and no single basket speaks for all."""

import numpy as np
import pytest

from predictors.value import Sales, learn_values, order_value

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


def shop(seed: int, n: int, few: int, baskets) -> tuple[Sales, np.ndarray, np.ndarray]:
    """Single sales of n units, `few` each; truth lies 10 % around the stated values."""
    rng = np.random.default_rng(seed)
    stated = np.exp(4 + 0.5 * rng.standard_normal(n))
    truth = stated * np.exp(0.1 * rng.standard_normal(n))
    unit = np.repeat(np.arange(n), few)
    return Sales(unit, np.ones(unit.size), truth[unit] * baskets(rng, unit.size)), stated, truth


def test_single_sales_with_heavy_tails_tell_more_than_their_totals() -> None:
    for seed, few in ((1, 4), (2, 20)):
        sales, stated, truth = shop(seed, 120, few, lambda rng, k: 0.6 * rng.pareto(1.6, k) + 1e-3)
        n, gmv = np.bincount(sales.unit).astype(float), np.bincount(sales.unit, sales.gmv)
        ours = order_value(n, gmv, stated, 1.0, sales)[0]
        totals = order_value(n, gmv, stated, 1.0)[0]
        raw = gmv / n
        miss = [float(np.mean(np.log(v / truth) ** 2)) for v in (ours, totals, raw)]
        assert miss[0] < miss[1]
        assert miss[0] < 0.3 * miss[2]


def test_with_many_sales_values_are_what_units_really_bring() -> None:
    for draw, mean in (
        (lambda rng, k: np.exp(0.8 * rng.standard_normal(k)), np.exp(0.32)),
        (lambda rng, k: 1 + rng.pareto(3.0, k), 1.5),
    ):
        sales, stated, truth = shop(3, 30, 3000, draw)
        found = learn_values(sales, stated)
        assert np.mean(np.log(found.value / truth / mean)) == pytest.approx(0.0, abs=0.01)
        assert np.std(np.log(found.value / truth)) < 0.03


def test_one_giant_order_moves_nobody_else_and_its_own_unit_little() -> None:
    sales, stated, _ = shop(4, 30, 10, lambda rng, k: np.exp(0.3 * rng.standard_normal(k) - 0.045))
    before = learn_values(sales, stated)
    gmv = sales.gmv.copy()
    gmv[0] *= 300.0
    after = learn_values(Sales(sales.unit, sales.orders, gmv), stated)
    assert after.value[0] / before.value[0] < 1.15
    assert np.max(after.value[1:] / before.value[1:]) < 1.03


def test_a_unit_whose_sales_go_on_being_large_is_believed_and_rows_of_many_orders_count_as_many() -> None:
    rng = np.random.default_rng(5)
    stated = np.full(12, 40.0)
    factor = np.where(np.arange(12) == 3, 6.0, 1.0)
    unit = np.repeat(np.arange(12), 150)
    single = Sales(unit, np.ones(unit.size), 40 * factor[unit] * np.exp(0.4 * rng.standard_normal(unit.size) - 0.08))
    by_day = Sales(
        np.repeat(np.arange(12), 10), np.full(120, 15.0), single.gmv.reshape(120, 15).sum(1)
    )  # the same, told by the day
    for sales in (single, by_day):
        value = learn_values(sales, stated).value
        assert value[3] == pytest.approx(240.0, rel=0.1)
        assert np.allclose(np.delete(value, 3), 40.0, rtol=0.1)


def test_bands_of_values_hold_and_units_without_sales_or_price_take_the_accounts() -> None:
    held = []
    for seed in range(10, 16):
        sales, stated, truth = shop(seed, 80, 6, lambda rng, k: np.exp(0.5 * rng.standard_normal(k) - 0.125))
        found = learn_values(sales, stated)
        held.append(np.mean(np.abs(np.log(found.value / truth)) < 1.2816 * found.error))
    assert 0.75 < np.mean(held) < 0.97
    some = sales.unit < 40
    stated[60:] = np.nan
    few = learn_values(Sales(sales.unit[some], sales.orders[some], sales.gmv[some]), stated)
    assert few.value[40:60] == pytest.approx(stated[40:60] * few.ratio)
    assert np.allclose(few.value[60:], few.value[60])
    assert few.error[70] > few.error[50] > few.error[10]


def test_refunds_and_rows_without_orders_are_no_sales() -> None:
    sales = Sales(np.array([0, 0, 1]), np.array([1.0, 0.0, 1.0]), np.array([-40.0, 30.0, 0.0]))
    value, _, _ = order_value(np.array([1.0, 1.0, 0.0]), np.array([-10.0, 0.0, 0.0]), STATED, 1.0, sales)
    assert (value > 0).all()


def test_a_single_sale_moves_little_and_says_how_much_is_open() -> None:
    found = learn_values(Sales(np.array([1]), np.ones(1), np.array([160.0])), STATED)
    assert 80 < found.value[1] < 100
    assert np.isfinite(found.value).all()
    assert (found.error > 0.1).all()


@pytest.mark.parametrize(("apart", "most"), [(0.0, 0.012), (0.15, 0.035)])
def test_units_are_believed_to_differ_from_their_price_as_much_as_they_do(apart: float, most: float) -> None:
    # baskets are luck of 30 %: 150 sales of a unit would move it by 2.5 % if units were taken to differ anyway
    for seed in range(3):
        rng = np.random.default_rng([seed, 21])
        n = 120
        price = np.exp(4 + 0.7 * rng.standard_normal(n))
        worth = price * np.exp(apart * rng.standard_normal(n))
        unit = np.repeat(np.arange(n), 150)
        gmv = worth[unit] * np.exp(0.3 * rng.standard_normal(unit.size) - 0.045)
        found = learn_values(Sales(unit, np.ones(unit.size), gmv), price)
        off = np.log(found.value / worth)
        assert np.std(off) < most
        assert abs(np.mean(off)) < 0.02


@pytest.mark.parametrize("seed", [31, 32])
def test_units_without_sales_change_nothing_for_the_others(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stated, unit = np.exp(4 + 0.5 * rng.standard_normal(60)), rng.integers(0, 30, 200)
    unit[:30] = np.arange(30)
    sales = Sales(unit, np.ones(200), stated[unit] * np.exp(0.4 * rng.standard_normal(200)))
    few, all_units = learn_values(sales, stated[:30]), learn_values(sales, stated)
    assert np.array_equal(few.value, all_units.value[:30])
    assert np.array_equal(few.error, all_units.error[:30])
    assert np.array_equal(all_units.value[30:], stated[30:] * few.ratio)
    assert all_units.error[30:].min() > all_units.error[:30].max()
