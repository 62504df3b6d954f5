"""Silence of a platform is told from slow business, and late news from late orders."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from domain.tables import Known
from predictors import SteadyModel
from predictors.telling import listen


def account(rng, hours: int, per_hour: float, silent: range = range(0), lag: int = 0):
    """Rows and arrivals of hours -hours .. -1, half of the orders at once and the others ten hours later."""
    hour = np.arange(-hours, 0)
    told, age, orders = [], [], []
    for h in hour:
        for a in (1, 11):
            when = h + a + lag
            while when in silent:
                when += 1
            n = rng.poisson(per_hour / 2)
            if n and when <= 0:
                told.append(when), age.append(when - h), orders.append(n)
    return hour, np.full(hours, per_hour), np.array(told), np.array(age), np.array(orders, float)


def test_a_busy_account_that_hears_nothing_for_hours_is_not_told():
    found = listen(*account(np.random.default_rng(0), 60, 20.0, range(-6, 1)))
    assert found.silent_now == 7
    assert found.age(np.array([5, 20])).tolist() == [0, 13]


def test_orders_told_after_a_silence_may_be_as_old_as_it():
    hour, due, told, age, orders = account(np.random.default_rng(1), 60, 20.0, range(-30, -20))
    found = listen(hour, due, told, age, orders)
    assert found.silent_now == 0
    assert (found.silent_before[told == -20] == 10).all()
    assert not found.silent_before[told != -20].any()


def test_a_small_account_without_an_order_for_hours_is_just_small():
    for seed in range(5):
        found = listen(*account(np.random.default_rng(seed), 100, 0.5))
        assert found.silent_now == 0
        assert not found.silent_before.any()


@pytest.mark.parametrize("lag", [0, 3])
def test_reports_that_come_late_are_seen_to(lag):
    assert listen(*account(np.random.default_rng(2), 60, 20.0, lag=lag)).lag == lag


def silenced(known: Known, hours: int) -> Known:
    """As if no order had been told in the last hours."""
    cut = known.hour.plus(-hours).start
    late = known.arrivals.filter(pl.col("learned_at") > cut)
    lost = late.group_by("unit", "start_utc").agg(pl.col("orders").sum().alias("o"), pl.col("gmv").sum().alias("g"))
    rows = known.performance.join(lost, on=["unit", "start_utc"], how="left", maintain_order="left").with_columns(
        orders=pl.col("orders") - pl.col("o").fill_null(0.0), gmv=pl.col("gmv") - pl.col("g").fill_null(0.0)
    )
    return replace(known, performance=rows.drop("o", "g"), arrivals=known.arrivals.filter(pl.col("learned_at") <= cut))


def test_an_outage_of_attribution_is_not_taken_for_missing_sales(worlds):
    world = worlds(0)
    known = world.known(48)
    model = SteadyModel(calendar=world.calendar)
    seen, blind = (model.outlook(k, world.ahead(48)) for k in (known, silenced(known, 8)))
    assert blind.matured_gmv.sum() == pytest.approx(seen.matured_gmv.sum(), rel=0.06)
    assert blind.click_value.mean() == pytest.approx(seen.click_value.mean(), rel=0.06)
    assert any("missing news" in note for note in blind.notes)
