"""The parts of a scenario that the account brings: units, goals, legal bids, phases, and how its forecasts err."""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from domain.phases import PhaseKind
from market.plans_part import Between


@dataclass(frozen=True, slots=True)
class UnitsPart:
    """Which SKUs are advertised.

    Attributes
    ----------
    count
        Bid units; one per SKU.
    campaigns
        Campaigns they are dealt to, round robin, so that each holds SKUs of all sizes.
    business_types
        Names; campaigns are dealt to them in turn.
    cold_share
        Share of SKUs that are new: their prior conversion rate is little more than a guess.
    """

    count: Annotated[int, Between(1, 1_000_000)]
    campaigns: Annotated[int, Between(1, 100_000)]
    business_types: tuple[str, ...]
    cold_share: Annotated[float, Between(0, 1)]


@dataclass(frozen=True, slots=True)
class PriorPart:
    """How last month's model errs; all that a policy knows before the first report.

    Attributes
    ----------
    cvr_bias
        Common relative error of the conversion rates: 0.15 = 15 % too high.
    cvr_noise, cvr_noise_cold
        Standard deviation of the logarithm of each SKU's own error, and of each cold SKU's.
    traffic_error_day, traffic_error_unit
        Standard deviation of the logarithm of the traffic forecast's error by day and by SKU.
    """

    cvr_bias: Annotated[float, Between(-0.9, 10)]
    cvr_noise: Annotated[float, Between(0, 3)]
    cvr_noise_cold: Annotated[float, Between(0, 3)]
    traffic_error_day: Annotated[float, Between(0, 3)]
    traffic_error_unit: Annotated[float, Between(0, 3)]


class Pooling(StrEnum):
    """Who shares the targets."""

    ACCOUNT = "account"  #: all units
    BUSINESS_TYPE = "business_type"  #: the campaigns of each business type, with a budget and an ROI of their own


@dataclass(frozen=True, slots=True)
class GoalsPart:
    """What the account is asked to reach.

    Attributes
    ----------
    budget
        Account currency, over the whole scenario. Delivery stops when it is gone.
    roi_of_budget_optimum
        ROI target as a multiple of the ROI that the budget-only hindsight optimum of the same seed has:
        above 1 the ROI row binds before the budget does. Without it there is no ROI target.
    cpc_of_budget_optimum
        CPC cap on the account as a multiple of that optimum's CPC. Without it there is none. An ROI target and a CPC
        cap do not go together here.
    pooling
        Whose targets these are. By business type, each gets a part of the budget by its number of units, and
        its own ROI target by the same multiple.
    """

    budget: Annotated[float, Between(1e-2, 1e15)]
    roi_of_budget_optimum: Annotated[float | None, Between(0.01, 100)] = None
    cpc_of_budget_optimum: Annotated[float | None, Between(0.01, 100)] = None
    pooling: Pooling = Pooling.ACCOUNT


@dataclass(frozen=True, slots=True)
class LimitsPart:
    """Legal bids; see `domain.limits.BidLimits`. ``max_step_pct`` and ``edits_per_day`` are rules only if stated."""

    floor: Annotated[float, Between(1e-6, 1e9)]
    cap: Annotated[float, Between(1e-6, 1e9)]
    tick: Annotated[float, Between(1e-6, 1e9)]
    max_step_pct: Annotated[float, Between(1e-3, 1e9)] = math.inf
    edits_per_day: Annotated[int | None, Between(1, 10_000)] = None


@dataclass(frozen=True, slots=True)
class PhasePart:
    """One phase: its window in local time, and how it moves traffic, conversion rate and market price."""

    name: str
    kind: PhaseKind
    start: datetime
    end: datetime
    traffic: Annotated[float, Between(1e-3, 1e3)]
    cvr: Annotated[float, Between(1e-3, 1e3)]
    price: Annotated[float, Between(1e-3, 1e3)]


@dataclass(frozen=True, slots=True)
class PeakPart:
    """A rush inside a phase, on top of the phase's factors: the first hours after the burst's midnight."""

    start: datetime
    hours: Annotated[int, Between(1, 48)]
    traffic: Annotated[float, Between(1e-3, 1e3)]
    cvr: Annotated[float, Between(1e-3, 1e3)]
    price: Annotated[float, Between(1e-3, 1e3)]


@dataclass(frozen=True, slots=True)
class CharacterPart:
    """What the world was measured to be, over seeds; it makes nothing of the world, and tests hold it true.

    Attributes
    ----------
    binding
        Rows that bind in hindsight.
    opportunities_per_unit_hour
        Shoppers who would click the ad if they saw it, mean over units and hours: lowest and highest of a seed.
    orders_per_unit_day
        Orders of the hindsight optimum, mean over units: lowest and highest of a seed.
    """

    binding: tuple[str, ...]
    opportunities_per_unit_hour: Annotated[tuple[float, ...], Between(0, 1e9)]
    orders_per_unit_day: Annotated[tuple[float, ...], Between(0, 1e9)]
