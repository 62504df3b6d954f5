"""The contested world: auctions against rivals are what the curves say, rivals live their own lives."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from domain.errors import ConfigError
from evaluation.oracles import play
from market import Scenario, SimWorld, fluid_optimum, make_world
from market.arena import GRID, tabulate
from market.contested import ContestedPlatform, ContestedWorld
from market.scenario import AftermathPart, AuctionPart, Pricing, parse_scenario

AUCTION = AuctionPart(
    pricing=Pricing.GSP, slots=4, slot_decay=0.6, categories=3, rivals=18, strength_spread=0.35, noise=0.55,
    tail_share=0.1, tail_factor=2.0, pacing_share=0.6, budget_tightness=1.1, coming_share=0.2, reaction=0.2,
)  # fmt: skip
AFTERMATH = AftermathPart(0.3, 0.2, 0.05, 0.05, 24.0, 0.02)


@pytest.fixture(scope="module")
def contested(full: Scenario) -> Scenario:
    """The five days with 24 SKUs, against 18 rivals."""
    units = replace(full.units, count=24, campaigns=4)
    goals = replace(full.goals, budget=full.goals.budget * 0.12)
    return replace(full, units=units, goals=goals, auction=AUCTION, aftermath=AFTERMATH)


def planned(world: SimWorld) -> np.ndarray:
    return fluid_optimum(world.curves, world.budget, world.roi_target).bids


@pytest.mark.parametrize("pricing", list(Pricing))
@pytest.mark.parametrize("slots", [1, 4])
def test_auctions_bring_what_the_curves_say(contested: Scenario, pricing: Pricing, slots: int) -> None:
    scenario = replace(contested, auction=replace(AUCTION, pricing=pricing, slots=slots))
    clicks = spend = gmv = expected_clicks = expected_spend = expected_gmv = 0.0
    for seed in (1, 2):
        world = make_world(scenario, seed)
        platform = play(world, planned(world), rules=False)
        curves, ledger = platform.curves, platform.ledger
        q, c = curves.response(ledger.bids)
        clicks, spend, gmv = clicks + ledger.clicks.sum(), spend + ledger.spend.sum(), gmv + ledger.gmv.sum()
        expected_clicks, expected_spend = expected_clicks + q.sum(), expected_spend + c.sum()
        expected_gmv += (q * curves.click_value).sum()
    assert clicks == pytest.approx(expected_clicks, rel=4 / np.sqrt(expected_clicks) + 0.004)
    assert spend == pytest.approx(expected_spend, rel=0.02)
    assert gmv == pytest.approx(expected_gmv, rel=0.06)


def test_curves_agree_with_plain_simulation_of_rivals() -> None:
    part = replace(AUCTION, categories=1, rivals=5)
    level = np.array([0.3, -0.2, 0.1, 0.5, -0.4])
    tables = tabulate(part, level[:, None], np.zeros(5, np.int64))
    rng = np.random.default_rng(7)
    noise = part.noise * rng.standard_normal((200_000, 5))
    noise[rng.random(noise.shape) < part.tail_share] *= part.tail_factor
    scores = np.exp(level + noise)
    for k in (20, 45, 60, 80):
        x = GRID[k]
        above = (scores > x).sum(axis=1)
        price = np.maximum(np.where(scores > x, 0.0, scores).max(axis=1), 0.1)
        weight = np.where(above < part.slots, part.slot_decay**above, 0.0)
        assert tables.clicks[0, 0, k] == pytest.approx(weight.mean(), abs=0.004)
        assert tables.spend[0, 0, k] == pytest.approx((weight * price).mean(), rel=0.02, abs=0.003)
        assert tables.top[0, 0, k] == pytest.approx((above == 0).mean(), abs=0.004)


@pytest.mark.parametrize("roi", [None, 1.3])
@pytest.mark.parametrize("pricing", list(Pricing))
def test_the_hindsight_optimum_is_that_of_a_linear_program(
    contested: Scenario, pricing: Pricing, roi: float | None
) -> None:
    """HiGHS mixes grid bids freely; the optimum bids one per cell, so it is that much below at most."""
    scenario = replace(
        contested, units=replace(contested.units, count=6, campaigns=2), auction=replace(AUCTION, pricing=pricing)
    )
    curves = make_world(scenario, 5).curves
    hours = slice(60, 72)
    small = replace(
        curves, opportunities=curves.opportunities[:, hours], level=curves.level[:, hours], cvr=curves.cvr[:, hours],
        clicks_at=curves.clicks_at[:, hours], spend_at=curves.spend_at[:, hours],
        marginal=curves.marginal[:, hours], vertex=curves.vertex[:, hours],
    )  # fmt: skip
    budget = 0.3 * fluid_optimum(small, 1e12, None).total_spend
    target = None if roi is None else roi * fluid_optimum(small, budget, None).roi
    plan = fluid_optimum(small, budget, target)
    cells = small.opportunities.shape
    table_c, table_v = [], []
    for k in range(GRID.size):
        clicks, spend = small.response(GRID[k] * small.level)
        table_c.append(spend.ravel())
        table_v.append((clicks * small.click_value).ravel())
    cost, value = np.array(table_c).T, np.array(table_v).T
    n = cost.size
    rows = [cost.ravel()]
    right = [budget]
    if target is not None:
        rows.append((target * cost - value).ravel())
        right.append(0.0)
    one = np.kron(np.eye(cells[0] * cells[1]), np.ones(GRID.size))
    solved = linprog(
        -value.ravel(),
        A_ub=np.vstack([*rows, one]),
        b_ub=[*right, *np.ones(one.shape[0])],
        bounds=(0, None),
        method="highs-ds",
    )
    assert solved.status == 0
    best = -solved.fun
    assert plan.gmv <= best * (1 + 1e-9)
    assert plan.gmv >= best * (1 - 0.01) - value.max()
    assert n == value.size


def test_same_seed_same_market_in_any_order_of_runs(contested: Scenario) -> None:
    first, again = (play(make_world(contested, 9), planned(make_world(contested, 9)), rules=True) for _ in range(2))
    for name in ("clicks", "spend", "orders", "gmv", "impressions"):
        assert (getattr(first.ledger, name) == getattr(again.ledger, name)).all()


def test_whoever_bids_more_wins_all_that_the_lower_bid_wins(contested: Scenario) -> None:
    scenario = replace(contested, auction=replace(AUCTION, reaction=0.0), aftermath=None)
    world = make_world(scenario, 2)
    world.delivery_stops_at = 1e12
    bids = planned(world)
    low, high = (play(world, bids * f, rules=False).ledger for f in (1.0, 1.3))
    assert (high.clicks >= low.clicks).all()
    assert high.clicks.sum() > low.clicks.sum()


def test_some_rivals_run_dry_late_in_the_day_and_are_back_in_the_morning(contested: Scenario) -> None:
    world = make_world(contested, 3)
    platform = play(world, planned(world), rules=False)
    assert isinstance(platform, ContestedPlatform)
    awake = np.isfinite(platform._rivals.recorded)
    present = world.population.present if isinstance(world, ContestedWorld) else awake
    by_hour = (awake & present).sum(axis=0) / present.sum(axis=0)
    days = by_hour.reshape(5, 24)
    assert (days[:, 0] == 1).all()
    assert days[:, 23].mean() < 0.97


def test_rivals_react_to_being_outbid(contested: Scenario) -> None:
    world = make_world(replace(contested, auction=replace(AUCTION, reaction=0.5)), 3)
    world.delivery_stops_at = 1e12
    levels = []
    for factor in (0.3, 3.0):
        platform = play(world, planned(world) * factor, rules=False)
        assert isinstance(platform, ContestedPlatform)
        levels.append(platform._rivals.recorded)
    both = np.isfinite(levels[0]) & np.isfinite(levels[1])
    assert (levels[1][both] - levels[0][both]).mean() > 0.02
    assert (levels[0][:, 0] == levels[1][:, 0])[both[:, 0]].all(), "nothing was bid before the first hour"


def test_refunds_and_invalid_clicks_come_back_within_three_days(contested: Scenario) -> None:
    calm = replace(contested, aftermath=replace(AFTERMATH, refund_share=0.0, invalid_share=0.0))
    kept, bare = make_world(contested, 4), make_world(calm, 4)
    bids = planned(bare)
    mine, theirs = play(kept, bids, rules=True).ledger, play(bare, bids, rules=True).ledger
    assert mine.orders.sum() / theirs.orders.sum() == pytest.approx(0.95 * 0.98, abs=0.03)
    assert mine.clicks.sum() / theirs.clicks.sum() == pytest.approx(0.98, abs=0.01)
    assert (mine.orders >= 0).all()
    assert (mine.gmv > -1e-6).all()


def test_warm_up_carts_wait_for_the_burst_and_deposits_settle_in_it(contested: Scenario) -> None:
    world = make_world(replace(contested, aftermath=AftermathPart(0.5, 0.2, 0.0, 0.0, 24.0, 0.0)), 6)
    burst = 72
    warm, pre = [world.shoppers(h) for h in range(20, 30)], [world.shoppers(h) for h in range(50, 70)]
    into = np.concatenate([s.lag + h - burst for h, s in enumerate(warm, 20)])
    assert ((into >= 0) & (into < 6)).mean() == pytest.approx(0.5, abs=0.12)
    for h, shoppers in enumerate(pre, 50):
        deposits, rest = shoppers.count == 1, shoppers.count == 0
        assert (shoppers.lag[deposits] == 0).all()
        assert ((shoppers.lag[rest] + h >= burst) & (shoppers.lag[rest] + h < burst + 6)).all()
        assert shoppers.value[deposits].sum() * 4 == pytest.approx(shoppers.value[rest].sum(), rel=0.01)


def test_what_a_unit_says_tells_part_of_its_conversion_rate(contested: Scenario) -> None:
    world = make_world(replace(contested, units=replace(contested.units, count=600, campaigns=6)), 8)
    log_cvr = np.log(world.truth.cvr[:, 0])
    groups = world.units.select("category", "match_type").to_numpy()
    named = np.unique([f"{a}/{b}" for a, b in groups], return_inverse=True)[1]
    means = np.bincount(named, log_cvr) / np.bincount(named)
    told = 1 - np.var(log_cvr - means[named]) / np.var(log_cvr)
    assert 0.2 < told < 0.85


def test_more_categories_than_rivals_are_refused(shipped_raw: dict) -> None:
    part = {name: getattr(AUCTION, name) for name in AUCTION.__slots__} | {"pricing": "gsp"}
    assert parse_scenario(shipped_raw | {"auction": part}, "x.toml").auction == AUCTION
    with pytest.raises(ConfigError, match=r"auction.rivals: have at least one rival per category"):
        parse_scenario(shipped_raw | {"auction": part | {"rivals": 2}}, "x.toml")
    with pytest.raises(ConfigError, match="'english' is none of"):
        parse_scenario(shipped_raw | {"auction": part | {"pricing": "english"}}, "x.toml")
