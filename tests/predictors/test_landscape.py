"""Response tables: monotone, consistent with their derivatives, and anchored where bids are unknown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from domain.outlook import Auction
from predictors.landscape import Landscape, mean_price
from predictors.normal import near_cdf


@given(
    median=st.floats(0.01, 100),
    spread=st.floats(0.1, 1.5),
    auction=st.sampled_from(list(Auction)),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_more_bid_never_buys_less_and_never_costs_less(median, spread, auction):
    land = Landscape(np.array([5.0]), np.array([median]), np.array([spread]), np.ones(1), auction)
    clicks, spend = land.tables(land.levels(np.array([median]), 0.15, 6.0, 20))
    assert (np.diff(clicks) >= 0).all()
    assert (np.diff(spend) >= 0).all()
    assert np.isfinite(spend).all()


@pytest.mark.parametrize("seed", [21, 22])
def test_tables_of_very_many_bids_are_those_of_few(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    median, spread, volume = np.exp(rng.standard_normal(2500)), rng.uniform(0.1, 1.5, 2500), rng.gamma(1.0, 5.0, 2500)
    land = Landscape(volume, median, spread, rng.uniform(0.9, 1.1, 2500), Auction.SECOND_PRICE, 0.2, 1.1)
    bids = land.levels(median * np.exp(rng.standard_normal(2500)), 0.15, 6.0, 20)
    few = land.tables(bids)
    monkeypatch.setattr("predictors.landscape.WIDE_FROM", 0)
    many = land.tables(bids)
    for one, other in zip(few, many, strict=True):
        assert np.allclose(one, other, rtol=1e-9, atol=0)
        assert (np.diff(other) >= 0).all()


def test_the_tabled_normal_law_is_the_normal_law():
    z = np.append(
        np.linspace(-37.0, 37.0, 200_001), [-8.0, 8.0, np.nextafter(-8.0, 0), np.nextafter(8.0, 0), np.inf, -np.inf]
    )
    found = np.array([near_cdf(x) for x in z])
    assert np.allclose(found, ndtr(z), rtol=3e-10, atol=0)
    assert np.isnan(near_cdf(np.nan))


def test_in_second_price_one_more_click_costs_the_bid():
    land = Landscape(np.array([5.0]), np.array([2.0]), np.array([0.5]), np.ones(1), Auction.SECOND_PRICE)
    bid = np.array([[1.7 - 1e-5, 1.7 + 1e-5]])
    clicks, spend = land.tables(bid)
    assert (spend[0, 1] - spend[0, 0]) / (clicks[0, 1] - clicks[0, 0]) == pytest.approx(1.7, rel=1e-4)


def test_in_first_price_a_click_costs_the_bid():
    land = Landscape(np.array([5.0]), np.array([2.0]), np.array([0.5]), np.ones(1), Auction.FIRST_PRICE)
    bids = np.array([[1.0, 2.0, 4.0]])
    clicks, spend = land.tables(bids)
    assert np.allclose(spend / clicks, bids)


@pytest.mark.parametrize("auction", list(Auction))
def test_units_with_unknown_bids_give_what_was_seen_at_their_proxy(auction):
    proxy, seen = np.array([0.4, 12.0]), np.array([3.0, 0.2])
    land = Landscape.anchored(proxy, seen, 0.6, auction)
    clicks, spend = land.tables(proxy[:, None])
    assert np.allclose(clicks[:, 0], seen)
    assert np.allclose(spend[:, 0], seen * proxy)


def test_the_price_paid_stays_below_the_bid():
    z = np.linspace(-4, 4, 41)
    bid = np.exp(0.5 * z)
    paid = mean_price(z, np.ones_like(z), np.full_like(z, 0.5), bid, Auction.SECOND_PRICE)
    assert (paid < bid).all()
    assert (np.diff(paid) > 0).all()


def test_where_part_of_the_price_is_the_bid_one_more_click_costs_more_than_it():
    land = Landscape(np.array([5.0]), np.array([2.0]), np.array([0.5]), np.ones(1), Auction.SECOND_PRICE, 0.25)
    bid = np.array([[1.7 - 1e-5, 1.7 + 1e-5]])
    clicks, spend = land.tables(bid)
    steep = np.log(clicks[0, 1] / clicks[0, 0]) / np.log(bid[0, 1] / bid[0, 0])
    marginal = (spend[0, 1] - spend[0, 0]) / (clicks[0, 1] - clicks[0, 0])
    assert marginal == pytest.approx(1.7 * (1 + 0.25 / steep), rel=1e-3)
    assert (spend < clicks * bid).all()
