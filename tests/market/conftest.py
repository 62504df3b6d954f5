import tomllib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from domain.plans import ACTION, INTERVENTIONS, PLAN, Action, BidPlan
from domain.problem import Status
from domain.tables import empty
from market import Scenario, SimPlatform, SimWorld, load_scenario

REPOSITORY = Path(__file__).resolve().parents[2]
SHIPPED = REPOSITORY / "scenarios" / "demo.toml"


def small(scenario: Scenario, **goals: float) -> Scenario:
    """Two days of 12 SKUs in 3 campaigns."""
    return replace(
        scenario,
        end=datetime(2026, 11, 10),
        units=replace(scenario.units, count=12, campaigns=3),
        rivals=replace(scenario.rivals, rise_at=datetime(2026, 11, 9)),
        goals=replace(scenario.goals, **({"budget": 5000.0} | goals)),
        phases=scenario.phases[:1],
        peaks=(),
    )


@pytest.fixture(scope="session")
def shipped() -> Path:
    return SHIPPED


@pytest.fixture(scope="session")
def full() -> Scenario:
    return load_scenario(SHIPPED)


@pytest.fixture(scope="session")
def scenario(full: Scenario) -> Scenario:
    return small(full)


@pytest.fixture(scope="session")
def resized(full: Scenario) -> Callable[..., Scenario]:
    return lambda **goals: small(full, **goals)


@pytest.fixture
def world(scenario: Scenario) -> SimWorld:
    return SimWorld(scenario, seed=3)


def plan_of(platform: SimPlatform, bids: np.ndarray) -> BidPlan:
    """Plan that sets one bid per unit; 0 pauses."""
    units = platform.world.units
    given = pl.DataFrame(
        {
            "unit_id": units["unit_id"],
            "campaign": units["campaign"],
            "action": np.where(np.asarray(bids) > 0, Action.SET.value, Action.PAUSE.value),
            "bid_cpc": np.asarray(bids, float),
        }
    ).cast({"action": ACTION})
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in PLAN.items() if name not in given.columns]
    return BidPlan(
        account=platform.world.account.name,
        hour=platform.now,
        units=given.with_columns(missing).select(list(PLAN)),
        targets=None,
        interventions=empty(INTERVENTIONS),
        status=Status.SLACK,
        reason="test",
    )


@pytest.fixture
def publish() -> Callable[[SimPlatform, np.ndarray], pl.DataFrame]:
    return lambda platform, bids: platform.publish(plan_of(platform, bids)).rows


@pytest.fixture
def make_plan() -> Callable[[SimPlatform, np.ndarray], BidPlan]:
    return plan_of


@pytest.fixture
def shipped_raw() -> dict:
    """The shipped scenario as parsed TOML."""
    return tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
