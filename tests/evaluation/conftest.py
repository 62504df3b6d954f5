from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from evaluation.metrics import Rows, measure
from evaluation.results import RunResult, Setting
from evaluation.trace import Hindsight, Recorder
from market import Scenario, SimPlatform, SimWorld, fluid_optimum, load_scenario


@pytest.fixture(scope="session")
def scenario() -> Scenario:
    """Two days, 20 SKUs, a burst on the second."""
    full = load_scenario("demo")
    burst = replace(full.phases[2], start=datetime(2026, 11, 9), end=datetime(2026, 11, 10))
    return replace(
        full,
        end=datetime(2026, 11, 10),
        units=replace(full.units, count=20, campaigns=4),
        rivals=replace(full.rivals, rise_at=datetime(2026, 11, 9)),
        goals=replace(full.goals, budget=9000.0),
        phases=(replace(full.phases[0], end=datetime(2026, 11, 9)), burst),
        peaks=(),
    )


def with_bids(world: SimWorld, bids: np.ndarray) -> SimPlatform:
    """Finished run that bids (n_units, n_hours)."""
    platform = SimPlatform(world)
    for h, hour in enumerate(world.hours):
        platform._bids = bids[:, h].copy()
        platform.advance(hour)
    platform.run_out()
    return platform


@pytest.fixture(scope="session")
def bid() -> Callable[[SimWorld, np.ndarray], SimPlatform]:
    return with_bids


@pytest.fixture(scope="session")
def results(scenario: Scenario) -> list[RunResult]:
    """Runs of three simple bid tables on two seeds, without any engine."""
    found = []
    for policy, factor in (("steadybid", 1.0), ("static", 0.7), ("pid", 1.4)):
        for seed in (1, 2):
            world = SimWorld(scenario, seed)
            plan = fluid_optimum(world.truth, world.budget, world.roi_target)
            platform = with_bids(world, plan.bids * factor)
            trace = Recorder(world).trace(platform.ledger)
            told = np.linspace(0.9, 1.0, world.n_hours) * world.roi_target
            trace = replace(
                trace, planned_spend=plan.spend.sum(axis=0), theta=np.full(48, plan.theta), reported_roi=told
            )
            found.append(
                RunResult(
                    setting=Setting("small <&>", 'A "test".', "CNY", world.budget,
                                    tuple((p.name, p.start, p.end) for p in scenario.phases)),
                    policy=policy,
                    seed=seed,
                    roi_target=world.roi_target,
                    figures=measure(world.truth, platform.ledger, Rows(world.budget, world.roi_target)),
                    trace=trace,
                    hindsight=Hindsight.of(plan, world.truth),
                )
            )  # fmt: skip
    return found
