"""Empirical-Bayes shrinkage: nearer to the truth than forecast and counts, learned trust, bands that hold."""

import numpy as np
import pytest

from predictors.shrinkage import _gamma_ends, gamma_band, shrink


def account(seed: int, clicks: float, noise: float = 0.3, cold: float = 0.75, n: int = 200, bias: float = 1.15):
    rng = np.random.default_rng(seed)
    true = 0.05 * np.exp(0.5 * rng.standard_normal(n))
    new = rng.random(n) < 0.1
    forecast = true * bias * np.exp(np.where(new, cold, noise) * rng.standard_normal(n))
    won = rng.gamma(1.0, clicks, n)
    return true, forecast, won, rng.poisson(won * true).astype(float), np.arange(n) % 8, new


def miss(estimate, true):
    return float(np.sqrt(np.mean(np.log(estimate / true) ** 2)))


@pytest.mark.parametrize("clicks", [5, 50, 500])
def test_shrunk_rates_come_nearer_to_the_truth_than_forecast_or_counts(clicks):
    ours, forecasts, counts = [], [], []
    for seed in range(5):
        true, forecast, won, orders, campaign, _ = account(seed, clicks)
        found = shrink(orders, won * forecast, forecast, campaign, 0.3)
        ours.append(miss(forecast * found.ratio, true))
        forecasts.append(miss(forecast / 1.15, true))
        counts.append(miss((orders + 0.5) / (won + 10), true))
    assert np.mean(ours) < np.mean(forecasts)
    assert np.mean(ours) < np.mean(counts)


def test_a_common_bias_is_found():
    ratios = []
    for seed in range(6):
        true, forecast, won, orders, campaign, _ = account(seed, 200)
        found = shrink(orders, won * forecast, forecast, campaign, 0.3)
        ratios.append((won * forecast * found.ratio).sum() / (won * true).sum())
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.02)


def test_good_forecasts_are_trusted_more_than_bad_ones():
    learned = []
    for noise in (0.05, 0.3, 0.9):
        spread = [
            shrink(o, w * f, f, c, 0.3).typical_error
            for _, f, w, o, c, _ in (account(s, 300, noise=noise, cold=noise) for s in range(4))
        ]
        learned.append(np.mean(spread))
    assert learned[0] < learned[1] < learned[2]


def test_eighty_percent_bands_hold_about_eighty_percent():
    inside = []
    for seed in range(12):
        true, forecast, won, orders, campaign, _ = account(seed, 100)
        found = shrink(orders, won * forecast, forecast, campaign, 0.3)
        low, high = gamma_band(forecast * found.ratio, found.cv())
        inside.append(((low <= true) & (true <= high)).mean())
    assert 0.74 <= np.mean(inside) <= 0.90


def test_new_units_with_wild_forecasts_are_pulled_back_by_evidence():
    ours, raw = [], []
    for seed in range(6):
        true, forecast, won, orders, campaign, new = account(seed, 150)
        found = shrink(orders, won * forecast, forecast, campaign, 0.3)
        ours.append(miss((forecast * found.ratio)[new], true[new]))
        raw.append(miss(forecast[new] / 1.15, true[new]))
    assert np.mean(ours) < 0.6 * np.mean(raw)


def test_campaigns_that_differ_are_told_apart():
    rng = np.random.default_rng(2)
    campaign = np.arange(300) % 6
    factor = np.array([0.5, 0.7, 1.0, 1.0, 1.4, 2.0])
    won = np.full(300, 60.0)
    orders = rng.poisson(won * 0.05 * factor[campaign]).astype(float)
    found = shrink(orders, won * 0.05, np.full(300, 0.05), campaign, 0.3)
    assert np.corrcoef(found.campaign, factor)[0, 1] > 0.9
    # a unit of a strong campaign that has sold nothing stays above one of a weak campaign
    blank = orders == 0
    if (blank & (campaign == 5)).any():
        assert found.ratio[blank & (campaign == 5)].min() > found.ratio[blank & (campaign == 0)].max()


def test_the_order_of_units_changes_nothing():
    _, forecast, won, orders, campaign, _ = account(1, 60)
    mix = np.random.default_rng(0).permutation(forecast.size)
    one = shrink(orders, won * forecast, forecast, campaign, 0.3)
    two = shrink(orders[mix], (won * forecast)[mix], forecast[mix], campaign[mix], 0.3)
    assert np.allclose(one.ratio[mix], two.ratio, rtol=1e-8)


def test_no_evidence_leaves_the_forecast_with_a_wide_band():
    _, forecast, won, _, campaign, _ = account(1, 60)
    found = shrink(np.zeros(200), np.zeros(200), forecast, campaign, 0.3)
    assert found.common_cv == pytest.approx(0.3, abs=0.02)
    assert (found.own_cv > 0.3).all()
    assert miss(forecast * found.ratio, forecast) < 0.3
    assert np.isfinite(shrink(won * 0, won, forecast, campaign, 0.3).ratio).all()


@pytest.mark.parametrize("orders", [100, 150])
def test_a_small_surprise_of_few_orders_moves_the_level_little_and_a_large_one_is_followed(orders):
    n, rate = 50, np.full(50, 0.03)
    due = np.full(n, orders / n)
    none = np.full(n, -1)

    def share_followed(surprise):
        found = shrink(due * (1 + surprise), due, rate, none, 0.15)
        return np.log(found.level) / np.log1p(surprise)

    assert share_followed(0.08) < orders / (orders + 0.15**-2) - 0.1  # what a normal prior of that spread would follow
    assert share_followed(0.6) > orders / (orders + 0.15**-2)
    assert share_followed(-0.45) > share_followed(-0.08) + 0.1


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_band_is_read_off_between_the_places_of_its_grid(share):
    log_cv, low, high = _gamma_ends((1 - share) / 2)
    cv = np.exp(np.concatenate([np.random.default_rng(3).normal(-1, 2, 2000), log_cv, [-np.inf, 9.0]]))
    at, mean = np.log(np.clip(cv, 1e-3, 30.0)), np.linspace(0.1, 3.0, cv.size)
    for found, ends in zip(gamma_band(mean, cv, share), (low, high), strict=True):
        assert np.allclose(found, mean * np.interp(at, log_cv, ends), rtol=1e-14)
    assert np.allclose(gamma_band(2.0, 0.3, share), [2 * np.interp(np.log(0.3), log_cv, ends) for ends in (low, high)])
