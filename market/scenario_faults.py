"""The disturbances of a scenario: what may go wrong in the world, on the platform and in what it tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from market.plans_part import Between


class FaultKind(StrEnum):
    """Disturbances; the first ones trouble what is told and edited, the others the world itself."""

    LATE_REPORTS = "late_reports"  #: `hours` later than they could be
    LOST_REPORTS = "lost_reports"  #: `share` of rows missing, found `hours` later
    DUPLICATED_REPORTS = "duplicated_reports"  #: `share` of rows told again
    RESTATED_REPORTS = "restated_reports"  #: `share` of rows first told off by `amount`, put right `hours` later
    ATTRIBUTION_OUTAGE = "attribution_outage"  #: from `start`, for `hours`
    DARK_HOURS = "dark_hours"  #: from `start`, for `hours`: nothing read, nothing edited
    CLOCK_SKEW = "clock_skew"  #: the platform's clock is `amount` minutes fast
    REJECTED_BIDS = "rejected_bids"  #: `share` of edits
    ROUNDED_BIDS = "rounded_bids"  #: to a tick of `amount`
    RATE_LIMITED = "rate_limited"  #: `amount` edits an hour
    EDITS_PER_DAY = "edits_per_day"  #: `amount` a unit and local day
    OVER_DELIVERY = "over_delivery"  #: the platform stops at `amount` times the budget
    DAILY_BUDGET = "daily_budget"  #: a day ends at its part of the budget, over-delivered by up to `amount` times
    PRICE_SHOCK = "price_shock"  #: market prices times `amount`, from `start` for `hours`
    DEMAND_SHOCK = "demand_shock"  #: opportunities times `amount`, from `start` for `hours`
    RIVAL_ENTRY = "rival_entry"  #: prices times `amount` for `share` of units, from `start` for `hours`
    STOCK_OUT = "stock_out"  #: `share` of units sells nothing, from `start` for `hours`
    PREDICTOR_BIAS = "predictor_bias"  #: last month's conversion rates times `amount`


#: Keys that a kind needs beside ``kind``.
FAULT_KEYS: Mapping[FaultKind, frozenset[str]] = {
    FaultKind.LATE_REPORTS: frozenset({"hours"}),
    FaultKind.LOST_REPORTS: frozenset({"share", "hours"}),
    FaultKind.DUPLICATED_REPORTS: frozenset({"share"}),
    FaultKind.RESTATED_REPORTS: frozenset({"share", "amount", "hours"}),
    FaultKind.ATTRIBUTION_OUTAGE: frozenset({"start", "hours"}),
    FaultKind.DARK_HOURS: frozenset({"start", "hours"}),
    FaultKind.CLOCK_SKEW: frozenset({"amount"}),
    FaultKind.REJECTED_BIDS: frozenset({"share"}),
    FaultKind.ROUNDED_BIDS: frozenset({"amount"}),
    FaultKind.RATE_LIMITED: frozenset({"amount"}),
    FaultKind.EDITS_PER_DAY: frozenset({"amount"}),
    FaultKind.OVER_DELIVERY: frozenset({"amount"}),
    FaultKind.DAILY_BUDGET: frozenset({"amount"}),
    FaultKind.PRICE_SHOCK: frozenset({"amount", "start", "hours"}),
    FaultKind.DEMAND_SHOCK: frozenset({"amount", "start", "hours"}),
    FaultKind.RIVAL_ENTRY: frozenset({"amount", "share", "start", "hours"}),
    FaultKind.STOCK_OUT: frozenset({"share", "start", "hours"}),
    FaultKind.PREDICTOR_BIAS: frozenset({"amount"}),
}


@dataclass(frozen=True, slots=True)
class FaultPart:
    """One disturbance; what the keys mean stands at its kind, and a kind takes no others.

    Attributes
    ----------
    kind
        Which.
    start, hours
        Local time at which it sets in, and how long it lasts or delays.
    share
        Of rows, edits or units that are hit.
    amount
        How strong.
    """

    kind: FaultKind
    start: datetime | None = None
    hours: Annotated[int | None, Between(1, 24 * 366)] = None
    share: Annotated[float | None, Between(0, 1)] = None
    amount: Annotated[float | None, Between(1e-6, 1e6)] = None
