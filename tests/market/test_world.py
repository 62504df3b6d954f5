import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from domain.tables import HOURS, UNITS, check
from market import Scenario, SimPlatform, SimWorld, best_gmv_at_spend, fluid_optimum

SEEDS = range(40, 52)

FINGERPRINT = """
import hashlib, sys
from pathlib import Path
from market import SimPlatform, SimWorld, load_scenario
world = SimWorld(load_scenario(Path(sys.argv[1])), 11)
platform = SimPlatform(world)
for hour in world.hours[:30]:
    platform.advance(hour)
from domain.time import Window
rows = platform.read_reports(Window(world.hours[0].start, world.hours[30].start)).rows
text = rows.write_csv() + world.units.write_csv() + world.priors.hours.write_csv()
print(hashlib.sha256(text.encode() + world.truth.cvr.tobytes() + world.priors.clicks_per_hour.tobytes()).hexdigest())
"""


def test_the_same_seed_gives_the_same_bytes_in_another_process(shipped: Path) -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", FINGERPRINT, str(shipped)],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "PATH": "/usr/bin:/bin", "TZ": tz},
        ).stdout
        for hash_seed, tz in (("1", "UTC"), ("2", "America/New_York"))
    ]
    assert len(runs[0].strip()) == 64
    assert runs[0] == runs[1]


def test_another_seed_is_another_world(scenario: Scenario) -> None:
    a, b = SimWorld(scenario, 1), SimWorld(scenario, 2)
    assert not np.allclose(a.truth.cvr, b.truth.cvr)
    assert a.roi_target != b.roi_target


def test_a_world_is_shaped_like_its_file(full: Scenario) -> None:
    world = SimWorld(full, 7)
    check(world.units, UNITS, "units")
    check(world.priors.hours, HOURS, "hours")
    assert world.units["campaign"].n_unique() == 10
    assert sorted(world.units["business_type"].unique()) == ["beauty", "home"]
    assert world.units.select("campaign", "business_type").unique().height == 10  # a campaign has one type
    assert world.truth.cvr.shape == world.truth.opportunities.shape == (200, 120)
    for name in ("opportunities", "price_median", "cvr"):
        assert (getattr(world.truth, name) > 0).all()
    assert world.start_bids.min() >= world.limits.floor


def test_the_demo_market_is_as_hard_as_its_file_states(full: Scenario) -> None:
    plans, cvs, orders, burst = [], [], [], []
    for seed in SEEDS:
        world = SimWorld(full, seed)
        plan = fluid_optimum(world.truth, world.budget, world.roi_target)
        plans.append(plan.total_spend / world.budget)
        clicks, spend = plan.clicks.sum(axis=0), plan.spend.sum(axis=0)
        cpc, weight = spend / clicks, clicks / clicks.sum()
        mean = (weight * cpc).sum()
        cvs.append(np.sqrt((weight * (cpc - mean) ** 2).sum()) / mean)
        orders.append((plan.clicks * world.truth.cvr).sum() / (200 * 5))
        burst.append(plan.spend[:, 72:96].sum() / plan.total_spend)
    assert all(0.70 <= share <= 0.85 for share in plans)
    assert all(0.30 <= cv <= 0.38 for cv in cvs)
    assert all(15 <= per_day <= 40 for per_day in orders)
    assert all(0.3 <= share <= 0.65 for share in burst)


def test_last_months_model_errs_as_the_file_states(full: Scenario) -> None:
    bias, noise, cold_noise, traffic, days = [], [], [], [], []
    calm = replace(full, demand=replace(full.demand, overdispersion=0.0))
    for seed in SEEDS:
        world = SimWorld(calm, seed)
        ordinary = world.truth.cvr[:, 0] / world.priors.hours["cvr_factor"][0]
        error = world.units["prior_cvr"].to_numpy() / ordinary
        bias.append(error.mean())
        wide = np.abs(np.log(error)) > 1.0
        noise.append(np.subtract(*np.quantile(np.log(error), [0.75, 0.25])) / 1.349)
        cold_noise.append(wide.mean())
        size = world.priors.clicks_per_hour
        forecast = size[:, None] * world.priors.hours["traffic"].to_numpy()
        ratio = np.log(world.truth.opportunities / forecast)
        traffic.append(ratio[:, 0].std())
        days.extend(ratio.mean(axis=0).reshape(5, 24).mean(axis=1))
    assert np.mean(bias) == pytest.approx(1.15, abs=0.03)
    assert np.mean(noise) == pytest.approx(0.32, abs=0.03)
    assert 0.01 < np.mean(cold_noise) < 0.05  # a tenth of the SKUs with 75 % noise makes these
    assert np.mean(traffic) == pytest.approx(0.20, abs=0.01)
    assert np.std(days) == pytest.approx(0.20, abs=0.05)


def test_market_prices_rise_at_the_stated_hour_and_no_prior_tells(full: Scenario) -> None:
    ratios = []
    for seed in SEEDS:
        world = SimWorld(full, seed)
        known = world.priors.price_median[:, None] * world.priors.hours["price_factor"].to_numpy()
        surprise = np.log(world.truth.price_median / known)
        assert np.ptp(surprise, axis=0).max() < 1e-9  # all units alike
        ratios.append(surprise[0])
    mean = np.mean(ratios, axis=0)
    assert mean[60:].mean() - mean[:60].mean() == pytest.approx(np.log(1.25), abs=0.04)
    drift = np.array(ratios)[:, :60]
    assert drift.std() == pytest.approx(full.rivals.drift, rel=0.35)


def test_orders_come_in_by_the_stated_law(full: Scenario) -> None:
    world = SimWorld(full, 5)
    crowd = [world.shoppers(h) for h in range(70, 90)]
    lag = np.concatenate([c.lag for c in crowd])
    assert lag.size > 2000
    assert (lag == 0).mean() == pytest.approx(0.45, abs=3 * np.sqrt(0.25 / lag.size))
    assert lag.mean() == pytest.approx(10.0, abs=3 * lag.std() / np.sqrt(lag.size))


def test_shoppers_come_at_their_true_rates(full: Scenario) -> None:
    came = expected = value = worth = orders = chance = 0.0
    for seed in SEEDS:
        world = SimWorld(full, seed)
        for h in range(0, 120, 12):
            crowd = world.shoppers(h)
            came += crowd.unit.size
            expected += world.truth.opportunities[:, h].sum()
            orders += crowd.orders.size
            chance += world.truth.cvr[crowd.unit, h].sum()
            value += crowd.value.sum()
            worth += world.truth.order_value[crowd.unit[crowd.orders]].sum()
    assert abs(came - expected) < 4 * np.sqrt(expected)
    assert abs(orders - chance) < 4 * np.sqrt(chance)
    assert value / worth == pytest.approx(1.0, abs=0.02)


def test_the_same_shoppers_meet_every_policy(scenario: Scenario) -> None:
    """Common random numbers: whatever was bid before, the next hour's crowd is the same."""
    shy, bold = SimPlatform(SimWorld(scenario, 9)), SimPlatform(SimWorld(scenario, 9))
    bold._bids *= 3
    for hour in shy.world.hours[:5]:
        shy.advance(hour)
        bold.advance(hour)
    a, b = shy.world.shoppers(5), bold.world.shoppers(5)
    assert (a.price == b.price).all()
    assert (a.unit == b.unit).all()
    assert (a.orders == b.orders).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_higher_bid_wins_all_that_a_lower_bid_wins(
    seed: int, resized: Callable[..., Scenario], publish: Callable
) -> None:
    scenario = resized(budget=1e9)
    factors = np.random.default_rng(seed).uniform(1.0, 2.0, 12)
    low, high = SimPlatform(SimWorld(scenario, seed)), SimPlatform(SimWorld(scenario, seed))
    publish(low, low.world.start_bids)
    publish(high, high.world.start_bids * factors)
    for hour in low.world.hours:
        low.advance(hour)
        high.advance(hour)
    for name in ("clicks", "spend", "impressions", "orders", "gmv"):
        assert (getattr(high.ledger, name) >= getattr(low.ledger, name) - 1e-9).all(), name
    assert high.ledger.clicks.sum() > low.ledger.clicks.sum()


def test_the_oracle_price_reaches_the_fluid_optimum(full: Scenario) -> None:
    """World and optimum vouch for each other: true click value / theta earns what the optimum says."""
    reached, efficient = [], []
    for seed in (60, 61, 62, 63):
        world = SimWorld(full, seed)
        plan = fluid_optimum(world.truth, world.budget, world.roi_target)
        platform = SimPlatform(world)
        for h, hour in enumerate(world.hours):
            platform._bids = plan.bids[:, h]
            platform.advance(hour)
        gmv = float((platform.ledger.clicks * world.truth.click_value).sum())
        reached.append(gmv / plan.gmv)
        efficient.append(gmv / best_gmv_at_spend(world.truth, float(platform.ledger.spend.sum())).gmv)
    assert np.mean(reached) == pytest.approx(1.0, abs=0.003)
    assert np.mean(efficient) == pytest.approx(1.0, abs=0.002)
    assert all(abs(r - 1) < 0.01 for r in reached)


def test_truth_bytes_differ_between_seeds_only(full: Scenario) -> None:
    digest = lambda seed: hashlib.sha256(SimWorld(full, seed).truth.opportunities.tobytes()).hexdigest()  # noqa: E731
    assert digest(1) == digest(1) != digest(2)
