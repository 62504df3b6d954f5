"""Shrinkage of very many units: what is learned from some of them is what all of them tell."""

import numpy as np
import polars as pl
import pytest

from predictors import shrinkage_wide
from predictors.kin import kin_of
from predictors.shrinkage import shrink
from predictors.shrinkage_design import DOUBT, SCALES, WEIGHT_STRENGTH, design_of
from predictors.shrinkage_steps import Pulls, Seen, State, log_means, posterior, stepped


def account(seed: int, n: int, whole: bool = True):
    """Orders, orders due, forecasts, campaigns of sixty units, hints with their prior, and kin."""
    rng = np.random.default_rng(seed)
    category, campaign = rng.integers(0, 12, n), np.arange(n) // 60
    true = 0.03 * np.exp(0.3 * rng.standard_normal(12))[category] * np.exp(0.4 * rng.standard_normal(n))
    doubted = rng.random(n) < 0.1
    forecast = np.minimum(true * np.exp(np.where(doubted, 0.8, 0.3) * rng.standard_normal(n)), 1.0)
    true = true / 1.2 * np.exp(0.15 * rng.standard_normal(campaign.max() + 1))[campaign]
    clicks = rng.gamma(0.5, 60.0, n)
    orders = rng.poisson(clicks * true) * (1.0 if whole else 0.93)
    price, worth = true * 50 * np.exp(0.5 * rng.standard_normal(n)), np.exp(0.7 * rng.standard_normal(n))
    hints = np.stack([np.log(price), np.log(worth)], axis=1), np.array([0.2, -0.2])
    return orders, clicks * forecast, forecast, campaign, hints, kin_of(np.log(forecast), [pl.Series(category)])


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_units_that_are_many_are_shrunk_as_if_all_were_asked_all(seed, monkeypatch):
    orders, due, forecast, campaign, hints, kin = account(seed, 12_000)
    told = orders, due, forecast, campaign, 0.15, 0.01, *hints, 6, kin
    full = shrink(*told)
    monkeypatch.setattr("predictors.shrinkage.ENOUGH", 3_000)
    some = shrink(*told)
    off = np.log(some.ratio / full.ratio) / full.own_cv
    assert 0 < np.sqrt((off**2).mean()) < 0.2
    assert np.abs(some.own_cv / full.own_cv - 1).mean() < 0.06
    assert some.common_cv == pytest.approx(full.common_cv, rel=0.02)
    assert (some.ratio * due).sum() == pytest.approx((full.ratio * due).sum(), rel=0.005)


@pytest.mark.parametrize("whole", [True, False])
def test_a_posterior_by_blocks_is_that_of_single_units(whole):
    orders, due, forecast, campaign, hints, kin = account(14, 2 * shrinkage_wide.BLOCK + 77, whole)
    due[::50] = 0.0
    design, rng = design_of(np.log(forecast), *hints, kin), np.random.default_rng(14)
    effects = np.append(0.1 * rng.standard_normal(campaign.max() + 1), 0.0)
    state = State(0.1, design.centre, effects, 0.1, design.weights, (0.1 * rng.standard_normal(kin.sd[0].size),))
    asked = state, Seen.of(orders, due), design, campaign
    for found, expected in zip(shrinkage_wide.posterior(*asked), posterior(*asked), strict=True):
        assert np.allclose(found, expected, rtol=1e-8)


def test_a_round_by_blocks_is_one_step_of_the_weights_and_one_of_the_rest():
    orders, due, forecast, campaign, hints, kin = account(15, 2 * shrinkage_wide.BLOCK + 77)
    design = design_of(np.log(forecast), *hints, kin)
    state = State(0.1, design.centre, np.zeros(campaign.max() + 2), 0.1, design.weights, (np.zeros(kin.sd[0].size),))
    told, k = Seen.of(orders, due), SCALES**-2.0
    found = shrinkage_wide.newton(state, told, design, campaign, 0.15)
    log_mean = np.where(DOUBT, *(m[:, None] for m in reversed(log_means(state, design, campaign))))
    mean, n = due[:, None] * np.exp(log_mean), orders[:, None]
    fit = told.fixed[told.case] + DOUBT * design.odd[:, None] - (k + n) * np.log(k + mean) + n * log_mean
    share = state.weights * np.exp(fit)
    share /= share.sum(1, keepdims=True)
    weights = (WEIGHT_STRENGTH * design.weights + share.sum(0)) / (due.size + WEIGHT_STRENGTH)
    pull, curve = share * k * (n - mean) / (k + mean), share * k * mean * (k + n) / (k + mean) ** 2
    pulls = Pulls(*(a[:, of].sum(1) for of in (~DOUBT, DOUBT) for a in (pull, curve)))
    expected = stepped(state, weights, pulls, design, campaign, 0.15)
    assert (found.level, found.campaign_sd) == pytest.approx((expected.level, expected.campaign_sd), rel=1e-9)
    for name in ("slope", "campaign", "weights"):
        assert np.allclose(getattr(found, name), getattr(expected, name), rtol=1e-8, atol=1e-11), name
    assert np.allclose(found.kin[0], expected.kin[0], rtol=1e-8, atol=1e-11)
