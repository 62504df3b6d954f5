"""Win rates from lost auctions: against brute force and hidden truth, monotone, honest where nothing was tried."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from domain.errors import InsufficientHistory, SchemaMismatch
from domain.outlook import Auction
from predictors.win_rate import NONE, OWN, POOLED, Auctions, fit_win_rates


def market(seed: int, n: int, per_unit: float, unit_sd: float = 0.4, spread: float = 0.6, told: str = "won"):
    """Auctions of units at bids that win about a third; `told`: whose prices are known."""
    rng = np.random.default_rng(seed)
    middle = np.log(2.0) + unit_sd * rng.standard_normal(n)
    held = rng.poisson(per_unit * np.exp(0.8 * rng.standard_normal(n)))
    held[0] = max(held[0], 1)
    unit = np.repeat(np.arange(n), held)
    bid = np.exp(middle[unit] - 0.3 + 0.3 * rng.standard_normal(unit.size))
    price = np.exp(middle[unit] + spread * rng.standard_normal(unit.size))
    won = price <= bid
    known = {"won": won, "none": np.zeros(won.size, bool), "all": np.ones(won.size, bool)}[told]
    return Auctions(unit, bid, won, np.where(known, price, np.nan)), middle


def kaplan_meier(price, bid, won, at):
    """Share of prices up to `at`, lost auctions being censored at their bid: the textbook's product."""
    event = np.where(won, price, bid)
    left = 1.0
    for t in np.unique(event[won & (event <= at)]):
        left *= 1 - ((event == t) & won).sum() / ((event > t) | ((event == t) & won)).sum()
    return 1 - left


def test_one_unit_gives_kaplan_and_meiers_estimate():
    auctions, middle = market(1, 1, 4000.0)
    rates = fit_win_rates(auctions, 1)
    for x in (-0.8, -0.4, 0.0, 0.3):
        bid = float(np.exp(middle[0] + x))
        brute = kaplan_meier(auctions.price, auctions.bid, auctions.won, bid)
        assert rates.predict(np.array([0]), np.array([bid])).win_rate[0] == pytest.approx(brute, abs=0.025)


@pytest.mark.parametrize("told", ["won", "none", "all"])
def test_win_rates_and_prices_of_units_are_the_true_ones(told):
    auctions, middle = market(2, 60, 300.0, told=told)
    rates = fit_win_rates(auctions, 60)
    unit = np.repeat(np.arange(60), 5)
    x = np.tile([-0.7, -0.4, -0.1, 0.1, 0.3], 60)
    found = rates.predict(unit, np.exp(middle[unit] + x))
    assert np.abs(found.win_rate - ndtr(x / 0.6)).mean() < 0.04
    assert abs((found.win_rate - ndtr(x / 0.6)).mean()) < 0.015
    paid = np.exp(middle[unit] + 0.18) * ndtr(x / 0.6 - 0.6) / ndtr(x / 0.6)
    assert np.abs(np.log(found.price_paid / paid)).mean() < 0.06


def test_won_auctions_alone_would_make_the_market_look_cheap():
    auctions, middle = market(3, 20, 400.0)
    unit, bid = np.arange(20), np.exp(middle)
    only = Auctions(*(getattr(auctions, c)[auctions.won] for c in Auctions.__slots__))
    naive = fit_win_rates(only, 20).predict(unit, bid).win_rate.mean()
    ours = fit_win_rates(auctions, 20).predict(unit, bid).win_rate.mean()
    assert ours == pytest.approx(0.5, abs=0.05)
    assert naive > ours + 0.15


def test_where_one_pays_the_bid_winning_and_losing_are_enough():
    auctions, middle = market(4, 60, 300.0, told="none")
    rates = fit_win_rates(auctions, 60, Auction.FIRST_PRICE)
    found = rates.predict(np.arange(60), np.exp(middle))
    assert np.abs(found.win_rate - 0.5).mean() < 0.05
    assert np.array_equal(found.price_paid, np.exp(middle))


def test_few_auctions_lean_on_the_pool_and_bands_hold():
    errors, inside = {"ours": [], "pool": [], "raw": []}, []
    for seed in range(2):
        auctions, middle = market(10 + seed, 150, 12.0)
        rates = fit_win_rates(auctions, 150)
        bid = np.exp(middle - 0.2)
        true = ndtr(-0.2 / 0.6)
        found = rates.predict(np.arange(150), bid)
        pool = rates.predict(np.full(150, -1), bid).win_rate
        tried = np.bincount(auctions.unit, minlength=150)
        raw = (np.bincount(auctions.unit, auctions.won, 150) + 0.5) / (tried + 1)
        for name, guess in (("ours", found.win_rate), ("pool", pool), ("raw", raw)):
            errors[name].append(np.sqrt(((guess - true) ** 2).mean()))
        inside.append(((found.low <= true) & (true <= found.high)).mean())
    assert np.mean(errors["ours"]) < 0.8 * min(np.mean(errors["pool"]), np.mean(errors["raw"]))
    assert 0.72 < np.mean(inside) < 0.9


def test_a_unit_never_seen_gets_the_pools_rate_and_a_wide_band():
    auctions, middle = market(5, 50, 200.0)
    rates = fit_win_rates(auctions, 51)
    bid = np.full(51, np.exp(middle.mean()))
    found = rates.predict(np.arange(51), bid)
    stranger = rates.predict(np.array([-1]), bid[:1])
    assert found.win_rate[50] == pytest.approx(stranger.win_rate[0])
    assert found.win_rate[50] == pytest.approx(0.5, abs=0.1)
    width = found.high - found.low
    assert width[50] > 3 * np.median(width[:50])
    assert found.support[50] == POOLED


def test_a_forecast_of_prices_is_where_units_start_from():
    auctions, middle = market(6, 80, 6.0, unit_sd=1.2)
    forecast = np.exp(middle + 0.1 * np.random.default_rng(1).standard_normal(80))
    bid = np.exp(middle)
    plain, told = (fit_win_rates(auctions, 80, forecast=f).predict(np.arange(80), bid) for f in (None, forecast))
    assert np.abs(told.win_rate - 0.5).mean() < 0.6 * np.abs(plain.win_rate - 0.5).mean()


def test_a_bid_that_nobody_tried_is_said_to_be_a_guess():
    auctions, middle = market(7, 40, 150.0)
    rates = fit_win_rates(auctions, 40)
    unit = np.zeros(5, np.int64)
    bid = np.exp(middle[0] + np.array([-4.0, -0.3, 0.1, 1.2, 4.0]))
    found = rates.predict(unit, bid)
    assert found.support.tolist()[0] == NONE
    assert found.support[1] == OWN
    assert found.support.tolist()[3:] == [NONE, NONE]
    assert found.high[4] == 1.0
    assert found.low[0] == 0.0
    # up there it is at least what it was where bids were tried last
    assert found.low[4] <= found.win_rate[2] + 0.5
    assert found.high[3] - found.low[3] > found.high[2] - found.low[2]


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n=st.integers(1, 8),
    per_unit=st.floats(0.5, 40.0),
    told=st.sampled_from(["won", "none", "all"]),
)
def test_win_rates_rise_with_the_bid_and_stay_shares(seed, n, per_unit, told):
    auctions, _ = market(seed, n, per_unit, told=told)
    rates = fit_win_rates(auctions, n)
    win, spend = rates.tables(np.tile(np.exp(np.linspace(-6, 6, 40)), (n, 1)))
    assert np.isfinite(win).all()
    assert np.isfinite(spend).all()
    assert (win >= 0).all()
    assert (win <= 1 + 1e-9).all()
    assert (np.diff(win, axis=1) >= -1e-9).all()
    assert (np.diff(spend, axis=1) >= -1e-9).all()


@pytest.mark.parametrize("outcome", [True, False])
def test_winning_or_losing_everything_still_gives_an_answer(outcome):
    n = 30
    price = np.full(n, 0.5) if outcome else np.full(n, np.nan)
    rates = fit_win_rates(Auctions(np.zeros(n, int), np.ones(n), np.full(n, outcome), price), 1)
    found = rates.predict(np.array([0]), np.array([1.0]))
    assert np.isfinite(found.win_rate).all()
    assert (found.win_rate > 0.8) if outcome else (found.win_rate < 0.2)


def test_scores_of_later_auctions_beat_one_rate_and_are_calibrated():
    auctions, _ = market(8, 40, 400.0)
    later = np.arange(auctions.unit.size) % 3 == 0
    some, rest = (Auctions(*(getattr(auctions, c)[w] for c in Auctions.__slots__)) for w in (~later, later))
    told = fit_win_rates(some, 40).score(rest)
    assert told["log_loss"] < told["log_loss_constant"]
    assert told["ratio"] == pytest.approx(1.0, abs=0.05)
    assert told["price_ratio"] == pytest.approx(1.0, abs=0.05)


def test_the_manifest_says_what_it_rests_on():
    auctions, _ = market(9, 10, 50.0)
    told = fit_win_rates(auctions, 10).manifest()
    assert told["told_prices"] == auctions.won.sum()
    assert told["lost"] == (~auctions.won).sum()
    assert told["units"] == 10


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (([0], [1.0, 2.0], [True], [0.5]), "different length"),
        (([0], [float("nan")], [True], [0.5]), "positive number"),
        (([0], [1.0], [True], [2.0]), "contradict"),
        (([0], [1.0], [False], [0.5]), "contradict"),
        (([0], [1.0], [True], [-1.0]), "positive"),
    ],
)
def test_auctions_that_cannot_be_are_refused(columns, words):
    with pytest.raises(SchemaMismatch, match=words):
        Auctions(*(np.array(c) for c in columns))


def test_nothing_to_learn_from_is_an_error():
    none = np.zeros(0)
    with pytest.raises(InsufficientHistory):
        fit_win_rates(Auctions(none, none, none, none), 3)


@pytest.mark.real_data
def test_prices_of_a_real_log_are_found_behind_lost_auctions(real_data):
    """iPinYou tells what every impression cost; bids drawn below hide the prices of what they would have lost."""
    log = pl.read_parquet(real_data / "ipinyou_1458_a.parquet").filter(pl.col("price") > 0)
    price, exchange = log["price"].to_numpy().astype(float), log["exchange"].to_numpy().astype(int) - 1
    rng = np.random.default_rng(0)
    bid = np.exp(np.log(60.0) + 0.5 * rng.standard_normal(price.size))
    won = price <= bid
    cut = int(0.6 * price.size)
    past = slice(0, cut)
    told = Auctions(exchange[past], bid[past], won[past], np.where(won, price, np.nan)[past])
    rates = fit_win_rates(told, 3)
    later = Auctions(exchange[cut:], bid[cut:], won[cut:], np.where(won, price, np.nan)[cut:])
    score = rates.score(later)
    assert score["log_loss"] < 0.9 * score["log_loss_constant"]
    assert score["ratio"] == pytest.approx(1.0, abs=0.1)
    only = Auctions(*(getattr(told, c)[told.won] for c in Auctions.__slots__))
    naive = fit_win_rates(only, 3)
    # against what the same past would have told had every price been known; and what came later, which moved on
    whole = fit_win_rates(Auctions(exchange[past], np.full(cut, 301.0), np.ones(cut, bool), price[past]), 3)
    unit, bids = np.repeat(np.arange(3), 4), np.tile([30.0, 50.0, 70.0, 100.0], 3)
    known = whole.predict(unit, bids).win_rate
    true = np.array([(price[cut:][exchange[cut:] == u] <= b).mean() for u, b in zip(unit, bids, strict=True)])
    ours, alone = rates.predict(unit, bids).win_rate, naive.predict(unit, bids).win_rate
    assert np.abs(ours - known).mean() < 0.025
    assert np.abs(alone - known).mean() > 4 * np.abs(ours - known).mean()
    assert np.abs(ours - true).mean() < 0.6 * np.abs(alone - true).mean()
