"""Hourly campaigns: their worlds, the shoppers, and the hindsight optimum."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from domain.errors import ConfigError
from domain.outlook import Auction
from market.fingerprint import plans_fingerprint
from market.plans_optimum import budget_of, constant_bid, plan_optimum
from market.plans_part import PlansPart
from market.plans_play import play
from market.plans_world import PlanCampaign, draw_campaign, play_hour
from market.scenario import load_scenario

WEEKLY = 1 + 0.8 * np.sin(2 * np.pi * (np.arange(168) - 8) / 24)
BOTH = pytest.mark.parametrize("auction", list(Auction))


def campaign(position: int, auction: Auction, **changes: object) -> PlanCampaign:
    return draw_campaign(replace(PlansPart(), **changes), WEEKLY, 100, position, auction)


@BOTH
@pytest.mark.parametrize("target", [None, 0.8])
def test_the_hindsight_plan_is_the_optimum_of_a_linear_program_over_bid_levels(
    auction: Auction, target: float | None
) -> None:
    world = campaign(3, auction, one_day_share=1.0)
    budget = budget_of(world)
    free = plan_optimum(world, budget)
    cap = None if target is None else target * free.cpc
    best = plan_optimum(world, budget, cap)
    levels = np.exp(np.linspace(np.log(best.bids.min()) - 1.5, np.log(best.bids.max()) + 1.5, 400))
    clicks, spend = (np.stack(t, 1) for t in zip(*(world.response(np.full(24, b)) for b in levels), strict=True))
    rows, right = [spend.ravel()], [budget]
    if cap is not None:
        rows.append((spend - cap * clicks).ravel())
        right.append(0.0)
    one = np.kron(np.eye(24), np.ones(levels.size))
    done = linprog(-clicks.ravel(), np.vstack([*rows, one]), np.concatenate([right, np.ones(24)]), method="highs-ds")
    assert best.clicks.sum() == pytest.approx(-done.fun, rel=1e-3)
    assert best.clicks.sum() >= -done.fun * (1 - 1e-4)
    assert best.spend.sum() <= budget * (1 + 1e-9)
    assert cap is None or best.cpc <= cap * (1 + 1e-9)


def test_under_second_price_the_best_plan_is_the_best_constant_bid() -> None:
    world = campaign(5, Auction.SECOND_PRICE)
    budget = budget_of(world)
    assert constant_bid(world, budget) == pytest.approx(plan_optimum(world, budget).v, rel=1e-6)


def test_under_first_price_no_constant_bid_beats_the_plan_of_one_last_click_cost() -> None:
    world = campaign(5, Auction.FIRST_PRICE, drift=0.4)
    budget = budget_of(world)
    constant, _ = world.response(np.full(world.n_hours, constant_bid(world, budget)))
    assert plan_optimum(world, budget).clicks.sum() > constant.sum()


@BOTH
def test_shoppers_bring_on_average_what_the_true_curves_say(auction: Auction) -> None:
    world = campaign(7, auction, impressions_per_hour=(20_000.0, 20_000.0), ctr=(0.05, 0.05))
    budget = budget_of(world)
    bid = constant_bid(world, budget)
    run = play(world, 10 * budget, lambda h, before, last: bid)
    clicks, spend = world.response(run.bids)
    assert run.clicks.sum() == pytest.approx(clicks.sum(), rel=0.02)
    assert run.spend.sum() == pytest.approx(spend.sum(), rel=0.02)
    assert run.expected_clicks == pytest.approx(clicks.sum())


def test_a_higher_bid_wins_all_that_the_lower_one_wins() -> None:
    world = campaign(2, Auction.SECOND_PRICE)
    price = float(world.price[12])
    results = [play_hour(world, 12, price * factor, 1e9) for factor in (0.3, 0.6, 1.0, 2.0, 5.0)]
    clicks = [r.clicks for r in results]
    assert clicks == sorted(clicks)
    assert results[-1].clicks > results[0].clicks
    assert all(r.clicks <= r.impressions and r.orders <= r.clicks for r in results)


@BOTH
def test_delivery_never_spends_more_than_there_is(auction: Auction) -> None:
    world = campaign(4, auction)
    budget = budget_of(world)
    run = play(world, budget, lambda h, before, last: float(world.price.max()) * 3)
    assert run.spend.sum() <= budget * (1 + 1e-9)
    assert run.gone_early
    assert run.expected_clicks < plan_optimum(world, budget).clicks.sum()


def test_a_bid_of_nothing_buys_nothing() -> None:
    result = play_hour(campaign(4, Auction.SECOND_PRICE), 0, 0.0, 10.0)
    assert (result.impressions, result.clicks, result.spend, result.orders) == (0, 0, 0.0, 0)


def test_the_same_seed_brings_the_same_campaign_under_either_auction_rule() -> None:
    one, other = campaign(9, Auction.SECOND_PRICE), campaign(9, Auction.FIRST_PRICE)
    assert np.array_equal(one.price, other.price)
    assert np.array_equal(one.impressions, other.impressions)


def test_half_of_the_campaigns_last_one_day_and_the_others_up_to_fourteen() -> None:
    days = np.array([campaign(k, Auction.SECOND_PRICE).n_hours / 24 for k in range(200)])
    assert 0.4 < (days == 1).mean() < 0.6
    assert days.max() == 14


def test_the_shipped_population_is_frozen() -> None:
    plans = load_scenario("month-plan").plans
    assert plans is not None
    assert plans_fingerprint(plans) == "eee9032621be"


def test_a_range_with_its_ends_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"plans\.ctr: write the two ends of a range"):
        PlansPart(ctr=(0.5, 0.1))
