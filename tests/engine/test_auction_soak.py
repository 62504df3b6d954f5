"""Whole days of half a million auctions, held to the bars; the long run of `AuctionBidder`."""

import numpy as np
import pytest

from benchmarks.auction_bidder import one, summary
from market.auction_world import fingerprint, load_auction_scenario


@pytest.mark.soak
def test_whole_days_reach_their_bars() -> None:
    found = summary([one(seed) for seed in range(140, 152)])
    assert found["past_mean"] >= 0.90
    assert found["cold_mean"] >= 0.82
    assert found["past_worst"] >= 0.80
    assert found["cold_worst"] >= 0.65
    assert found["past_most_over_budget_bound"] <= 0.10
    assert found["hard_share_over_10pct"] <= 0.05
    assert found["hard_cold_share_over_10pct"] <= 0.10
    assert 0.92 <= found["constant_mean"] <= 0.98
    assert found["pid_mean"] < 0.65


def test_a_changed_world_has_another_name() -> None:
    """A change of market or scenario needs a page in docs/decisions, and results of both."""
    assert fingerprint(load_auction_scenario()) == "cf6afc265726"


def test_a_small_day_through_the_benchmark_has_all_figures() -> None:
    found = summary([one(110, auctions=15_000)])
    assert 0 < found["past_mean"] <= 1
    assert np.isfinite(found["hard_mean"])
