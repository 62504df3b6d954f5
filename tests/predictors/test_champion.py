"""A newer fit is used unless it is worse by more than its noise, and a day far from its forecast is told."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from domain.errors import InsufficientHistory
from predictors import SteadyModel, day_ahead
from predictors.champion import challenge, fit_until

BEGIN, DAY = 72, 24


@pytest.fixture(scope="module")
def told(worlds):
    """An account without forecasts of conversion rates, before and after a day, with that day's hours."""
    world = worlds(0, n=28)

    def cut(h):
        known = world.known(h)
        nothing = [pl.lit(None, known.units.schema[c]).alias(c) for c in ("prior_cvr", "prior_ctr")]
        return replace(known, units=known.units.with_columns(nothing))

    return cut(BEGIN), cut(BEGIN + 2 * DAY - 1), world.ahead(BEGIN)[:DAY], world


def test_the_first_fit_is_used_and_so_is_one_that_has_seen_more(told):
    before, after, hours, world = told
    model = SteadyModel(calendar=world.calendar)
    first = challenge(model, before, after, hours, None)
    assert first.promoted
    assert first.champion_loss is None
    later = challenge(model, before, after, hours, hours[0].start - timedelta(hours=24))
    assert later.promoted
    assert np.isfinite([later.champion_loss, later.challenger_loss, later.error]).all()


def test_a_fit_on_rows_that_mislead_is_turned_down(told):
    before, after, hours, world = told
    # of late every order was told for another unit: rates learned from that are worse
    rows = before.performance
    late = pl.col("start_utc") >= hours[0].start - timedelta(hours=24)
    swapped = rows.with_columns(
        orders=pl.when(late).then(200.0 * (pl.col("unit") % 7 == 0)).otherwise(pl.col("orders")),
    )
    model = _Names(SteadyModel(calendar=world.calendar))
    misled = challenge(model, replace(before, performance=swapped), after, hours, hours[0].start - timedelta(hours=24))
    assert not misled.promoted
    assert "against" in misled.reason


class _Names:
    """A model that takes each unit's orders per click, right or wrong, for its rate."""

    def __init__(self, model: SteadyModel, rates=None):
        self._model, self._rates = model, rates

    def fit(self, history):
        by = history.performance.group_by("unit").agg(pl.col("orders").sum(), pl.col("clicks").sum()).sort("unit")
        rate = np.full(history.n_units, 0.05)
        rate[by["unit"].to_numpy()] = (by["orders"].to_numpy() + 1) / (by["clicks"].to_numpy() + 20)
        return _Names(self._model, np.clip(rate, 0.001, 0.9))

    def outlook(self, known, hours):
        plain = self._model.outlook(known, hours)
        return replace(plain, cvr=replace(plain.cvr, mean=self._rates))


def test_after_a_rollback_being_newer_is_not_enough(told):
    before, after, hours, world = told
    model = SteadyModel(calendar=world.calendar)
    since = hours[0].start - timedelta(hours=1)  # all but the same rows: neither better nor worse
    assert challenge(model, before, after, hours, since).promoted
    assert not challenge(model, before, after, hours, since, doubted=True).promoted


def test_a_day_far_outside_its_band_alarms_and_an_ordinary_one_does_not(told):
    before, after, hours, world = told
    model = SteadyModel(calendar=world.calendar)
    assert challenge(model, before, after, hours, None).alarms == ()
    flood = replace(after, performance=after.performance.with_columns(pl.col("clicks", "spend") * 6.0))
    alarms = challenge(model, before, flood, hours, None).alarms
    assert any("clicks" in a for a in alarms)
    assert any("spend" in a for a in alarms)


def test_a_fit_is_named_by_how_far_back_its_rows_reach(told):
    before, _, hours, world = told
    model = SteadyModel(calendar=world.calendar)
    since = hours[0].start - timedelta(hours=24)
    rows = before.performance.filter(pl.col("start_utc") < since)
    one, two = fit_until(model, before, since), model.fit(replace(before, performance=rows))
    assert one.cvr.rate == two.cvr.rate
    assert fit_until(model, before, None).cvr.rate != one.cvr.rate


def test_a_day_without_clicks_judges_nobody(told):
    before, after, hours, world = told
    empty = replace(after, performance=after.performance.with_columns(clicks=pl.lit(0.0)))
    with pytest.raises(InsufficientHistory, match="nothing to judge by"):
        challenge(SteadyModel(calendar=world.calendar), before, empty, hours, None)


@pytest.fixture(scope="module")
def bands_held(worlds):
    """Share of 80 % bands that held over three days of each of ten accounts, and how many there were."""

    def count(**options):
        tried = []
        for seed in range(100, 110):
            world = worlds(seed, n=25, jump=0.0, **options)
            for begin in (24, 48, 72):
                before, after = world.known(begin), world.known(begin + 2 * DAY - 1)
                hours = world.ahead(begin)[:DAY]
                tried.append(challenge(SteadyModel(calendar=world.calendar), before, after, hours, None))
        bands = sum(v.bands for v in tried)
        return sum((v.coverage or 0.0) * v.bands for v in tried) / max(bands, 1), bands

    return count


@pytest.mark.parametrize("clicks", [0.2, 2.0])
def test_bands_of_an_honest_forecast_hold_and_half_as_wide_ones_show_it(bands_held, clicks, monkeypatch):
    held, bands = bands_held(clicks_per_hour=clicks)
    assert bands > 250
    assert 0.7 < held < 0.95
    for name, scale in tuple(day_ahead.SCALE.items()):
        monkeypatch.setitem(day_ahead.SCALE, name, scale / 2)
    narrow, _ = bands_held(clicks_per_hour=clicks)
    assert narrow < held - 0.2
    assert narrow < 0.65


def test_each_campaign_far_from_its_forecast_costs_its_two_bands(told):
    before, after, hours, world = told
    model = SteadyModel(calendar=world.calendar)
    plain = challenge(model, before, after, hours, None)
    assert plain.bands == 10
    assert plain.coverage == 1.0  # of this seed
    for many in (1, 3):
        flood = pl.when(pl.col("unit") % 5 < many).then(20.0).otherwise(1.0)
        rows = after.performance.with_columns(pl.col("clicks", "spend") * flood)
        found = challenge(model, before, replace(after, performance=rows), hours, None)
        assert (found.coverage, found.bands) == (1 - many / 5, 10)


def test_campaigns_of_hardly_a_click_are_not_counted(worlds):
    world = worlds(3, n=10, clicks_per_hour=0.02)
    model, hours = SteadyModel(calendar=world.calendar), world.ahead(BEGIN)[:DAY]
    found = challenge(model, world.known(BEGIN), world.known(BEGIN + 2 * DAY - 1), hours, None)
    assert (found.coverage, found.bands) == (None, 0)
