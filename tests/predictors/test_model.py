"""Properties of the whole response model on a small market with hidden truth."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtr

from domain.outlook import Auction
from predictors import SteadyModel


def matured(world, h: int) -> tuple[float, float]:
    """Estimated over expected final orders of the clicks so far, and the error that the model states."""
    outlook = SteadyModel(calendar=world.calendar).outlook(world.known(h), world.ahead(h))
    expected = (world.clicks[:, :h] * world.cvr[:, None] * world.value[:h]).sum()
    return outlook.matured_orders.sum() / expected, outlook.common_value_cv


def test_matured_orders_come_close_to_the_truth_half_a_day_into_the_burst(worlds):
    ratios = [matured(worlds(seed), 72)[0] for seed in range(3)]
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.04)


def test_before_the_burst_what_may_still_wait_for_it_is_inside_the_stated_error(worlds):
    for seed in range(3):
        ratio, error = matured(worlds(seed), 60)
        assert abs(ratio - 1) < 2 * error


def test_rates_come_nearer_to_the_truth_than_forecast_and_raw_counts(worlds):
    world = worlds(1)
    known = world.known(96)
    outlook = SteadyModel(calendar=world.calendar).outlook(known, world.ahead(96))
    clicks = world.clicks[:, :96].sum(1)
    orders = np.bincount(known.performance["unit"], known.performance["orders"], world.n)
    raw = (orders + 0.5) / (clicks + 10)

    def error(rate):
        return np.sqrt(np.mean(np.log(rate / world.cvr) ** 2))

    unbiased = world.prior_cvr / (1 + world.bias)
    assert error(outlook.cvr.mean) < 0.85 * error(unbiased)
    assert error(outlook.cvr.mean) < 0.85 * error(raw)


def test_the_same_rows_give_the_same_outlook(worlds):
    world = worlds(0)
    known = world.known(30)
    one = SteadyModel(calendar=world.calendar).outlook(known, world.ahead(30))
    two = SteadyModel(calendar=world.calendar).outlook(known, world.ahead(30))
    for name in ("bids", "clicks", "spend", "orders", "gmv", "traffic", "price", "matured_gmv"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name


def test_tables_rise_with_the_bid_and_hold_no_nan(worlds):
    world = worlds(0)
    for h in (0, 1, 30):
        outlook = SteadyModel(calendar=world.calendar).outlook(world.known(h), world.ahead(h))
        for name in ("bids", "impressions", "clicks", "spend", "orders", "gmv"):
            table = getattr(outlook, name)
            assert np.isfinite(table).all()
            assert (np.diff(table, axis=1) >= 0).all()


def test_the_order_of_rows_changes_nothing(worlds):
    world = worlds(0)
    known = world.known(30)
    mixed = type(known)(
        account=known.account,
        hour=known.hour,
        units=known.units,
        performance=known.performance.sample(fraction=1.0, shuffle=True, seed=4),
        arrivals=known.arrivals.sample(fraction=1.0, shuffle=True, seed=5),
        live_bids=known.live_bids,
        priors=known.priors,
    )
    one = SteadyModel(calendar=world.calendar).outlook(known, world.ahead(30))
    two = SteadyModel(calendar=world.calendar).outlook(mixed, world.ahead(30))
    assert np.allclose(one.gmv, two.gmv, rtol=1e-6)
    assert np.allclose(one.traffic, two.traffic, rtol=1e-6)
    assert isinstance(mixed.performance, pl.DataFrame)


def test_in_first_price_the_bids_that_were_paid_do_not_move_the_market_price(worlds):
    world = worlds(0)
    known = world.known(30)
    model = SteadyModel(calendar=world.calendar, auction=Auction.FIRST_PRICE)
    one, other = (
        model.outlook(
            replace(
                known, performance=known.performance.with_columns(spend=times * pl.col("clicks") * pl.col("bid_cpc"))
            ),
            world.ahead(30),
        )
        for times in (1.0, 1.5)
    )
    assert np.array_equal(one.price, other.price)
    assert np.array_equal(one.clicks, other.clicks)
    assert np.allclose(one.spend, one.clicks * one.bids)
    assert any("first price" in note for note in one.notes)


def test_in_first_price_clicks_answer_to_bids_as_they_do_though_the_forecast_did_not_take_bids_for_prices(worlds):
    """The forecast of this world is that of the market; what it is thought to have absorbed is found again by clicks."""
    missed = []
    for seed in range(4):
        world = worlds(seed)
        outlook = SteadyModel(calendar=world.calendar, auction=Auction.FIRST_PRICE).outlook(
            world.known(30), world.ahead(30)
        )
        bid, middle = (
            world.median * world.forecast_price[30],
            np.log(world.median * world.forecast_price[30]) + world.level[30],
        )
        low, high = (outlook.at(0).bought(bid * by, ("clicks",))["clicks"] for by in (1 / 1.3, 1.3))
        truth = np.log(np.divide(*(ndtr((np.log(bid * by) - middle) / world.spread) for by in (1.3, 1 / 1.3))))
        missed.append((np.log(high / low) - truth).mean() / truth.mean())
    assert abs(np.mean(missed)) < 0.08
    assert np.max(np.abs(missed)) < 0.15


def test_all_figures_of_an_outlook_speak_of_the_same_clicks_where_some_come_back(worlds):
    """A tenth of each hour's clicks was credited back at age 10: orders, rates, values and money that stays agree."""
    world = worlds(1)
    known = world.known(60)
    old = known.performance.filter(pl.col("start_utc") <= known.hour.start - timedelta(hours=10))
    back = old.select(
        "unit",
        "start_utc",
        (pl.col("start_utc") + timedelta(hours=10)).alias("learned_at"),
        -pl.col("clicks") / 9,
        -pl.col("spend") / 9,
    ).sort("learned_at", "start_utc", "unit")
    outlook = SteadyModel(calendar=world.calendar).outlook(replace(known, credits=back), world.ahead(60))
    assert outlook.spend_kept == pytest.approx(0.9, abs=0.01)
    np.testing.assert_allclose(outlook.orders, outlook.clicks * outlook.cvr.mean[:, None], rtol=1e-12)
    np.testing.assert_allclose(outlook.gmv, outlook.clicks * outlook.click_value[:, None], rtol=1e-12)
    assert outlook.matured_spend is not None
    told = known.performance["spend"].to_numpy()
    young = (known.performance["start_utc"] > known.hour.start - timedelta(hours=10)).to_numpy()
    np.testing.assert_allclose(outlook.matured_spend[~young], told[~young], rtol=1e-12)
    assert outlook.matured_spend[young].sum() == pytest.approx(0.9 * told[young].sum(), rel=0.01)
