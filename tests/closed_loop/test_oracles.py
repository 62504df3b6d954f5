"""In every scenario the oracle earns what hindsight says could be earned; else the optimum or the world is wrong."""

from dataclasses import replace

import pytest

from evaluation.evaluate import WIDE, scenarios
from evaluation.metrics import measure
from evaluation.oracles import binding_rows, expected_ledger, play_oracle, rows_of
from market import fluid_optimum, load_scenario, make_world

#: What binds in hindsight, as each scenario's purpose says.
BINDS = {
    "four-phase-budget": ("budget",),
    "demo-budget": ("budget",),
    "cpc-capped": ("budget", "cpc"),
    "pooled-types": ("roi:beauty", "roi:food", "roi:home"),
}


@pytest.mark.parametrize("name", [n for n in scenarios() if n not in WIDE])
def test_the_oracle_reaches_the_hindsight_optimum(name: str) -> None:
    world = make_world(load_scenario(name), 305)
    platform = play_oracle(world, "oracle")
    curves, rows = platform.curves, rows_of(world)
    expected = measure(curves, expected_ledger(world, curves, platform.ledger.bids), rows)
    assert 0.995 <= expected.gmv_vs_hindsight <= 1.005
    assert all(miss is None or miss > -0.002 for miss in (expected.roi_miss, expected.cpc_miss))
    # The shoppers who came bring the same, within the noise of their number.
    realised = measure(curves, platform.ledger, rows)
    noise = 4 / platform.ledger.clicks.sum() ** 0.5
    assert realised.gmv_vs_hindsight == pytest.approx(expected.gmv_vs_hindsight, abs=0.01 + noise)
    best = world.hindsight(curves)
    assert binding_rows(world, best) == BINDS.get(name, ("roi",))


@pytest.mark.parametrize("cap", [0.7, 0.95])
def test_no_pair_of_prices_beats_the_optimum_under_a_cpc_cap(cap: float) -> None:
    """Brute force over affine bids (g + offset) / theta."""
    scenario = load_scenario("cpc-capped")
    scenario = replace(
        scenario,
        units=replace(scenario.units, count=8, campaigns=2),
        goals=replace(scenario.goals, budget=scenario.goals.budget * 0.03, cpc_of_budget_optimum=cap),
    )
    world = make_world(scenario, 2)
    curves = world.curves
    best = fluid_optimum(curves, world.budget, None, world.cpc_target)
    assert world.cpc_target is not None
    assert best.total_spend <= world.budget * (1 + 1e-6)
    assert best.total_spend / best.clicks.sum() <= world.cpc_target * (1 + 1e-6)
    for k in range(40):
        theta = best.theta * 1.15 ** (k - 20)
        for j in range(20):
            bids = curves.best_bids(theta, j * 0.25 * best.theta * world.cpc_target)
            clicks, spend = curves.response(bids)
            if spend.sum() <= world.budget and spend.sum() <= world.cpc_target * clicks.sum():
                assert (clicks * curves.click_value).sum() <= best.gmv * (1 + 1e-6)
