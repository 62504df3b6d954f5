"""Whatever the reports hold: an answer with its reason or a clear error, and never a NaN."""

import copy
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from domain.errors import ConfigError, InsufficientHistory, LookAhead
from domain.tables import Priors
from predictors import PredictorSettings, SteadyModel


def finite(outlook) -> bool:
    names = ("bids", "impressions", "clicks", "spend", "orders", "gmv", "traffic", "price", "value", "click_value")
    names += (
        "click_value_cv",
        "volume_cv",
        "bid_proxy",
        "support_low",
        "support_high",
        "matured_orders",
        "matured_gmv",
    )
    bands = (outlook.cvr.mean, outlook.cvr.low, outlook.cvr.high)
    return all(np.isfinite(getattr(outlook, n)).all() for n in names) and all(np.isfinite(b).all() for b in bands)


def look(world, known, h=30):
    return SteadyModel(calendar=world.calendar).fit(known).outlook(known, world.ahead(h))


@pytest.fixture
def world(worlds):
    return worlds(0, n=30, hours=48)


@pytest.mark.parametrize(
    "change",
    [
        {"clicks": 0.0, "spend": 0.0, "orders": 0.0, "gmv": 0.0},
        {"orders": 0.0, "gmv": 0.0},
        {"spend": 0.0},
        {"impressions": 0.0},
        {"orders": 1e6, "gmv": 1e9},
        {"gmv": -5.0, "orders": -1.0},
    ],
    ids=["no click anywhere", "no order", "no spend", "no impression", "orders beyond clicks", "refunds only"],
)
def test_strange_counts_still_give_finite_tables(world, change):
    known = world.known(30)
    rows = known.performance.with_columns(**{k: pl.lit(v) for k, v in change.items()})
    known = replace(known, performance=rows, arrivals=empty_arrivals(known) if "orders" in change else known.arrivals)
    assert finite(look(world, known))


def empty_arrivals(known):
    return known.arrivals.head(0)


@pytest.mark.parametrize("column", ["price", "prior_ctr", "prior_cvr", "prior_order_value", "campaign"])
def test_a_column_of_units_may_be_missing_everywhere(world, column):
    known = world.known(30)
    known = replace(known, units=known.units.with_columns(pl.lit(None, known.units.schema[column]).alias(column)))
    outlook = look(world, known)
    assert finite(outlook)


def test_without_any_forecast_bids_and_clicks_tell_prices_and_traffic(world):
    outlook = look(world, world.known(30, priors=False))
    assert finite(outlook)
    assert any("no market price is forecast" in note for note in outlook.notes)
    expected = outlook.at(0).expected(world.bids[:, 30])["clicks"].sum()
    assert 0.3 < expected / world.clicks[:, 30].sum() < 3


def test_ten_rows_are_enough_for_an_answer(world):
    known = world.known(30)
    assert finite(look(world, replace(known, performance=known.performance.head(10), arrivals=known.arrivals.head(0))))


def test_no_row_and_no_forecast_is_an_error_that_says_what_to_do(world):
    known = replace(world.known(0, priors=False), priors=Priors())
    with pytest.raises(InsufficientHistory, match="Import reports"):
        SteadyModel(calendar=world.calendar).outlook(known, world.ahead(0))


def test_an_outlook_for_no_hour_is_refused(world):
    with pytest.raises(ConfigError, match="at least one hour"):
        SteadyModel().outlook(world.known(3), [])


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match="n_levels"):
        PredictorSettings(n_levels=2)
    with pytest.raises(ConfigError, match="positive"):
        PredictorSettings(pooled_price_spread=float("nan"))
    with pytest.raises(ConfigError, match="share below 1"):
        PredictorSettings(hourly_share_at_once=1.0)


def test_restatements_before_their_click_do_not_break_the_delay(world):
    known = world.known(30)
    skewed = known.arrivals.with_columns(pl.col("learned_at") - timedelta(hours=5))
    assert finite(look(world, replace(known, arrivals=skewed)))


def test_rows_learned_after_the_cut_are_refused(world):
    late = world.known(31)
    with pytest.raises(LookAhead):
        replace(late, hour=world.hour(30))


def test_what_is_learned_later_changes_nothing(world):
    """Every click, price and order that lies or is told after the cut is another one; the outlook is the same."""
    cut = 24
    other = copy.deepcopy(world)
    rng = np.random.default_rng(0)
    other.clicks[:, cut:] = rng.poisson(9.0, other.clicks[:, cut:].shape)
    other.spend[:, cut:] = rng.random(other.spend[:, cut:].shape)
    _, hour, age = other.bought.T
    late = hour + age > cut
    other.bought[late, 0] = rng.integers(0, other.n, late.sum())
    other.bought[late, 2] += rng.integers(0, 9, late.sum())
    model = SteadyModel(calendar=world.calendar)
    one = model.fit(world.known(cut)).outlook(world.known(cut), world.ahead(cut))
    two = model.fit(other.known(cut)).outlook(other.known(cut), world.ahead(cut))
    for name in ("bids", "clicks", "spend", "gmv", "traffic", "price", "click_value", "matured_orders", "matured_gmv"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    # and what was known does enter
    later = model.outlook(other.known(cut + 6), world.ahead(cut + 6))
    assert not np.array_equal(later.click_value, one.click_value)


def test_an_account_without_units_gets_an_empty_outlook_or_an_error(world):
    known = world.known(3)
    none = replace(
        known,
        units=known.units.head(0),
        performance=known.performance.head(0),
        arrivals=known.arrivals.head(0),
        live_bids=type(known.live_bids)(known.live_bids.rows.head(0)),
        priors=Priors(),
    )
    with pytest.raises(InsufficientHistory):
        SteadyModel().fit(none).outlook(none, world.ahead(3))
