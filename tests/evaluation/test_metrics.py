from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from evaluation.metrics import Rows, hindsight_for, hourly_cpc_cv, measure
from evaluation.oracles import expected_ledger, rows_of
from market import Ledger, Scenario, SimWorld, Truth, fluid_optimum
from market.scenario import Pooling


@pytest.fixture(scope="module")
def world(scenario: Scenario) -> SimWorld:
    return SimWorld(scenario, 8)


def ledger_of(clicks: np.ndarray, spend: np.ndarray) -> Ledger:
    ledger = Ledger(*clicks.shape)
    ledger.clicks, ledger.spend = clicks, spend
    return ledger


def expected(truth: Truth, bids: np.ndarray) -> Ledger:
    return ledger_of(*truth.response(bids))


def rows(world: SimWorld) -> Rows:
    return Rows(world.budget, world.roi_target)


def test_the_hindsight_optimum_measured_as_a_run_is_perfect(world: SimWorld) -> None:
    plan = fluid_optimum(world.truth, world.budget, world.roi_target)
    figures = measure(world.truth, ledger_of(plan.clicks, plan.spend), rows(world))
    assert figures.gmv_vs_hindsight == pytest.approx(1.0, abs=1e-6)
    assert figures.efficiency == pytest.approx(1.0, abs=1e-6)
    assert figures.roi_miss == pytest.approx(0.0, abs=1e-9)
    assert figures.misallocation == pytest.approx(0.0, abs=1e-6)
    assert figures.overspend == 0
    assert figures.budget_utilisation == pytest.approx(plan.total_spend / world.budget)


@pytest.mark.parametrize("seed", range(6))
def test_no_bids_whatever_earn_more_than_hindsight_or_than_their_spend_could(world: SimWorld, seed: int) -> None:
    rng = np.random.default_rng(seed)
    best = fluid_optimum(world.truth, world.budget, world.roi_target).bids
    bids = best * rng.choice([0.5, 0.9, 1.1, 2.0]) * np.exp(rng.normal(0, rng.choice([0.05, 0.5]), best.shape))
    figures = measure(world.truth, expected(world.truth, bids), rows(world))
    assert 0 < figures.gmv_vs_hindsight <= 1 + 1e-9
    assert figures.efficiency is not None
    assert 0 < figures.efficiency <= 1 + 1e-9
    assert figures.misallocation is not None
    assert 0 <= figures.misallocation <= 1


def test_breaking_the_roi_target_buys_no_praise(world: SimWorld) -> None:
    """The same allocation at a lower price of money has more gmv, but hindsight then may break the row as well."""
    plan = fluid_optimum(world.truth, world.budget, world.roi_target)
    honest = measure(world.truth, expected(world.truth, plan.bids), rows(world))
    greedy = measure(world.truth, expected(world.truth, plan.bids * 1.15), rows(world))
    assert greedy.gmv > honest.gmv * 1.03
    assert greedy.roi_miss is not None
    assert greedy.roi_miss < -0.02
    assert greedy.gmv_vs_hindsight <= 1 + 1e-9


def test_beating_the_roi_target_by_bidding_too_little_costs(world: SimWorld) -> None:
    plan = fluid_optimum(world.truth, world.budget, world.roi_target)
    timid = measure(world.truth, expected(world.truth, plan.bids * 0.7), rows(world))
    assert timid.roi_miss is not None
    assert timid.roi_miss > 0.05
    assert timid.gmv_vs_hindsight < 0.9
    assert timid.efficiency == pytest.approx(1.0, abs=1e-6)  # a common factor is just another price of money


def test_overspend_is_told_and_hindsight_gets_the_same_money(world: SimWorld) -> None:
    free = fluid_optimum(world.truth, world.budget * 1.3, None)
    figures = measure(world.truth, ledger_of(free.clicks, free.spend), Rows(budget=world.budget))
    assert figures.overspend == pytest.approx(0.3 * world.budget, rel=1e-6)
    assert figures.budget_utilisation == pytest.approx(1.3, rel=1e-6)
    assert figures.gmv_vs_hindsight == pytest.approx(1.0, abs=1e-6)


def test_misses_are_negative_when_a_target_is_missed_in_all_three_kinds(world: SimWorld) -> None:
    ledger = expected(world.truth, np.repeat(world.start_bids[:, None], world.n_hours, axis=1))
    gmv = float((ledger.clicks * world.truth.click_value).sum())
    orders = float((ledger.clicks * world.truth.cvr).sum())
    spend, clicks = float(ledger.spend.sum()), float(ledger.clicks.sum())
    figures = measure(
        world.truth, ledger, Rows(roi=1.25 * gmv / spend, cpc=0.8 * spend / clicks, cpa=1.5 * spend / orders)
    )
    assert figures.roi_miss == pytest.approx(-0.2)
    assert figures.cpc_miss == pytest.approx(-0.2)
    assert figures.cpa_miss == pytest.approx(0.5)
    assert figures.overspend is figures.budget_utilisation is None


def test_without_targets_their_figures_are_null_and_all_there_is_to_buy_is_hindsight(world: SimWorld) -> None:
    ledger = expected(world.truth, np.repeat(world.start_bids[:, None], world.n_hours, axis=1))
    figures = measure(world.truth, ledger, Rows())
    assert figures.roi_miss is figures.cpc_miss is figures.cpa_miss is figures.budget_utilisation is None
    everything = float((world.truth.opportunities * world.truth.click_value).sum())
    assert figures.gmv_vs_hindsight == pytest.approx(figures.gmv / everything, rel=1e-9)


def test_a_run_that_bought_nothing_earned_nothing_of_hindsight(world: SimWorld) -> None:
    figures = measure(world.truth, Ledger(world.n_units, world.n_hours), rows(world))
    assert figures.gmv == figures.spend == figures.gmv_vs_hindsight == figures.budget_utilisation == 0
    assert figures.efficiency is figures.roi_miss is figures.misallocation is figures.hourly_cpc_cv is None


def test_money_on_the_wrong_unit_is_misallocated_and_money_in_the_wrong_hour_is_not(world: SimWorld) -> None:
    plan = fluid_optimum(world.truth, world.budget, None)
    other_hours = ledger_of(plan.clicks, plan.spend[:, ::-1])
    assert measure(world.truth, other_hours, rows(world)).misallocation == pytest.approx(0.0, abs=1e-6)
    spend = np.zeros_like(plan.spend)
    spend[0] = plan.total_spend / world.n_hours
    share = plan.spend[0].sum() / plan.total_spend
    one_unit = measure(world.truth, ledger_of(plan.clicks, spend), rows(world))
    assert one_unit.misallocation == pytest.approx(1 - share, abs=1e-6)


def test_cpc_variation_is_weighted_by_clicks_and_leaves_thin_hours_out() -> None:
    clicks = np.array([100.0, 300.0, 19.0, 0.0])
    spend = np.array([100.0, 600.0, 1900.0, 0.0])
    # CPC 1 with weight 1/4 and 2 with weight 3/4: mean 1.75, variance 3/16
    assert hourly_cpc_cv(clicks, spend) == pytest.approx(np.sqrt(3 / 16) / 1.75)
    assert hourly_cpc_cv(clicks, clicks * 0.4) == pytest.approx(0.0, abs=1e-12)
    assert hourly_cpc_cv(np.array([5.0]), np.array([5.0])) is None


def test_praise_is_for_expected_value_and_not_for_luck(world: SimWorld, bid: Callable) -> None:
    plan = fluid_optimum(world.truth, world.budget, world.roi_target)
    platform = bid(world, plan.bids)
    figures = measure(world.truth, platform.ledger, rows(world))
    lucky = platform.ledger
    lucky.gmv *= 3
    lucky.orders *= 3
    assert measure(world.truth, lucky, rows(world)) == figures


def test_hindsight_is_relaxed_only_as_far_as_a_run_went(world: SimWorld) -> None:
    strict = rows(world)
    base = fluid_optimum(world.truth, world.budget, world.roi_target).gmv
    met = hindsight_for(world.truth, strict, spend=1.0, gmv=100 * world.roi_target)
    assert met.gmv == pytest.approx(base)
    wide = replace(strict, budget=10 * world.budget)
    missed = hindsight_for(world.truth, wide, spend=1.0, gmv=0.9 * world.roi_target)
    assert missed.roi == pytest.approx(0.9 * world.roi_target, rel=1e-9)
    assert missed.gmv > base
    rich = hindsight_for(world.truth, replace(strict, roi=None), spend=2 * world.budget, gmv=1.0)
    assert rich.total_spend == pytest.approx(2 * world.budget, rel=1e-9)


def test_pools_are_measured_each_against_its_own_targets(scenario: Scenario) -> None:
    pooled = replace(scenario, goals=replace(scenario.goals, pooling=Pooling.BUSINESS_TYPE))
    world = SimWorld(pooled, 4)
    assert [p.name for p in world.pools] == sorted(scenario.units.business_types)
    assert sum(p.budget for p in world.pools) == pytest.approx(world.budget, abs=0.02)
    best = world.hindsight(world.curves)
    ledger = expected_ledger(world, world.curves, best.bids)
    figures = measure(world.curves, ledger, rows_of(world))
    assert figures.gmv_vs_hindsight == pytest.approx(1.0)
    assert figures.roi_miss == pytest.approx(0.0, abs=1e-6)
    # One pool bids half as much again: its own target is missed, whatever the others have to spare.
    greedy = best.bids * np.where(world.pools[0].units, 1.5, 0.7)[:, None]
    missed = measure(world.curves, expected_ledger(world, world.curves, greedy), rows_of(world))
    assert missed.roi_miss is not None
    assert missed.roi_miss < -0.05
    assert missed.gmv_vs_hindsight < 1.0
