"""Nothing reads hidden truth: what has not been reported cannot change a bid."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from domain.plans import Decision
from engine.cycle import run_cycle
from evaluation.desks import POLICIES, desk_for
from market import Scenario, SimWorld, Truth, load_scenario, make_platform, make_world
from market.contested import ContestedWorld

HOUR = 20


def decide(scenario: Scenario, policy: str, change: Callable[[SimWorld], None], lose_orders: bool = False) -> Decision:
    """Decision of hour 20 in a world that was changed before it began; targets and priors stay."""
    world = make_world(scenario, 5)
    change(world)
    platform = make_platform(world)
    desk = desk_for(policy, world, platform)
    for hour in world.hours[:HOUR]:
        run_cycle(hour, desk)
        platform.advance(hour)
    if lose_orders:
        platform.ledger._coming.clear()
    return run_cycle(world.hours[HOUR], desk)


def same(world: SimWorld) -> None:
    """Leave the world as it is."""


def other_future(world: SimWorld) -> None:
    """From the decided hour on, everything is different."""
    truth = world.truth
    ahead = np.arange(world.n_hours) >= HOUR
    world.truth = Truth(
        opportunities=np.where(ahead, truth.opportunities * 3, truth.opportunities),
        price_median=np.where(ahead, truth.price_median * 0.3, truth.price_median),
        price_spread=truth.price_spread,
        cvr=np.where(ahead, np.minimum(truth.cvr * 5, 1), truth.cvr),
        order_value=truth.order_value,
    )
    if isinstance(world, ContestedWorld):
        rivals = world.population
        world.population = replace(rivals, present=np.where(ahead, ~rivals.present, rivals.present))


def richer_past(world: SimWorld) -> None:
    """The hours before convert twice as well, which the reports do tell."""
    ahead = np.arange(world.n_hours) >= HOUR
    truth = world.truth
    world.truth = replace(truth, cvr=np.where(ahead, truth.cvr, np.minimum(truth.cvr * 2, 1)))


def bids(decision: Decision) -> pl.DataFrame:
    return decision.plan.units.select("unit_id", "action", "bid_cpc", "theta", "click_value", "spend", "gmv")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_future_that_nobody_has_seen_changes_no_bid(policy: str, short: Scenario) -> None:
    assert bids(decide(short, policy, same)).equals(bids(decide(short, policy, other_future)))


@pytest.mark.parametrize("policy", POLICIES)
def test_orders_that_have_not_been_reported_change_no_bid(policy: str, short: Scenario) -> None:
    assert bids(decide(short, policy, same)).equals(bids(decide(short, policy, same, lose_orders=True)))


@pytest.fixture(scope="module")
def contested(short: Scenario) -> Scenario:
    """The same against rivals, with carts, refunds and invalid clicks."""
    rivals = load_scenario("four-phase-roi")
    return replace(short, auction=rivals.auction, aftermath=rivals.aftermath)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_future_against_rivals_and_orders_that_nobody_has_seen_change_no_bid(
    policy: str, contested: Scenario
) -> None:
    before = bids(decide(contested, policy, same))
    assert before.equals(bids(decide(contested, policy, other_future, lose_orders=True)))


@pytest.mark.parametrize("policy", ["steadybid", "mpc_reference", "mirror"])
def test_what_was_reported_against_rivals_does_change_bids(policy: str, contested: Scenario) -> None:
    """Otherwise the test above could not fail."""
    assert not bids(decide(contested, policy, same)).equals(bids(decide(contested, policy, richer_past)))


def test_what_the_reports_tell_does_change_bids(short: Scenario) -> None:
    """Otherwise the two tests above could not fail."""
    assert not bids(decide(short, "steadybid", same)).equals(bids(decide(short, "steadybid", richer_past)))
