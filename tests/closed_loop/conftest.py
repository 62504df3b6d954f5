from dataclasses import replace
from datetime import datetime

import pytest

from market import Scenario, load_scenario


@pytest.fixture(scope="session")
def promotion() -> Scenario:
    """The demo's world: five days, 200 SKUs, ROI binds."""
    return load_scenario("demo")


@pytest.fixture(scope="session")
def short(promotion: Scenario) -> Scenario:
    """Two days and 30 SKUs of it, with a burst on the second day."""
    burst = replace(promotion.phases[2], start=datetime(2026, 11, 9), end=datetime(2026, 11, 10))
    return replace(
        promotion,
        end=datetime(2026, 11, 10),
        units=replace(promotion.units, count=30, campaigns=5),
        rivals=replace(promotion.rivals, rise_at=datetime(2026, 11, 9, 6)),
        goals=replace(promotion.goals, budget=promotion.goals.budget * 0.07),
        phases=(replace(promotion.phases[0], end=datetime(2026, 11, 9)), burst),
        peaks=(),
    )
