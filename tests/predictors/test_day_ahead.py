"""Bands of days to come: they hold the outcome about as often as they say, and parts add up."""

import numpy as np
import pytest

from predictors import SteadyModel
from predictors.day_ahead import FIGURES, ahead, few_band
from predictors.shrinkage import gamma_band

CUT, DAY = 72, 24


def forecast(world, group=None):
    hours = world.ahead(CUT)[:DAY]
    outlook = SteadyModel(calendar=world.calendar).outlook(world.known(CUT), hours)
    return ahead(outlook, world.bids[:, CUT : CUT + DAY], group)


def outcome(world) -> dict[str, float]:
    orders = world.bought[(world.bought[:, 1] >= CUT) & (world.bought[:, 1] < CUT + DAY)]
    return {
        "clicks": world.clicks[:, CUT : CUT + DAY].sum(),
        "spend": world.spend[:, CUT : CUT + DAY].sum(),
        "orders": len(orders),
        "gmv": world.price[orders[:, 0]].sum(),
    }


def test_outcomes_lie_inside_about_as_often_as_stated(worlds):
    inside = []
    for seed in range(12):
        world = worlds(seed, n=40)
        bands, seen = forecast(world), outcome(world)
        inside += [bands[name].low[0] <= seen[name] <= bands[name].high[0] for name in FIGURES]
    assert 0.55 <= np.mean(inside) <= 0.98


def test_groups_add_up_to_the_account_and_are_less_sure(worlds):
    world = worlds(0)
    whole, parts = forecast(world), forecast(world, np.arange(world.n) % 5)
    for name in FIGURES:
        assert parts[name].mean.sum() == pytest.approx(whole[name].mean[0])
        assert parts[name].cv.mean() > whole[name].cv[0]
        assert (parts[name].low < parts[name].mean).all()
        assert (parts[name].mean < parts[name].high).all()


def test_without_bids_nothing_is_expected(worlds):
    world = worlds(0)
    outlook = SteadyModel(calendar=world.calendar).outlook(world.known(30), world.ahead(30)[:DAY])
    bands = ahead(outlook, np.zeros((world.n, DAY)))
    for name in FIGURES:
        assert bands[name].mean[0] == bands[name].low[0] == bands[name].high[0] == 0.0


@pytest.mark.parametrize("due", [0.05, 0.4, 1.5, 5.0, 30.0])
def test_a_band_of_few_orders_holds_as_often_as_it_says_or_oftener(due):
    rng = np.random.default_rng(0)
    level = rng.gamma(1 / 0.09, 0.09, 200_000)  # what all units share, a third off
    worth = 50.0
    orders = rng.poisson(due * level)
    gmv = (
        worth
        * orders
        * np.where(orders > 0, rng.gamma(1 / 0.04 * np.maximum(orders, 1), 0.04 / np.maximum(orders, 1)), 1)
    )
    cv = np.array([np.sqrt(0.09 + 1.04 / due)])
    low, high = few_band(np.array([worth * due]), cv, np.array([due]))
    inside = ((gmv >= low[0]) & (gmv <= high[0])).mean()
    # where nothing at all is likely the band begins at nothing, and holds more than its share
    assert 0.77 < inside < (0.84 if due >= 5 else 0.97)
    if due < 1:
        assert low[0] == 0.0


def test_where_much_is_due_the_band_is_the_gammas():
    mean, cv = np.array([100.0, 5000.0]), np.array([0.2, 0.3])
    ours, plain = few_band(mean, cv, np.array([80.0, 400.0])), gamma_band(mean, cv)
    assert np.allclose(ours, plain)
