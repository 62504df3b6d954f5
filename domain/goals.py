"""What a group of units should reach: an objective, and targets that bind it.

Every ratio target is linear after multiplying out (mathematics: docs/mathematics.md), so a target is a
kind, a number and the group it stands on; the optimizer makes a row of it.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.errors import ConfigError


class Objective(StrEnum):
    """What is maximised."""

    GMV = "gmv"
    ORDERS = "orders"
    CLICKS = "clicks"
    PROFIT = "profit"


class TargetKind(StrEnum):
    """Kinds of targets; each is one linear row."""

    BUDGET = "budget"  #: spend <= value, account currency, over the horizon or the local day
    ROI = "roi"  #: gmv / spend >= value
    CPC = "cpc"  #: spend / clicks <= value, account currency
    CPA = "cpa"  #: spend / orders <= value, account currency

    @property
    def allowed(self) -> str:
        """Values that a target of this kind may have, in words."""
        return _ALLOWED[self]


class Scope(StrEnum):
    """Kinds of groups a target can stand on."""

    ACCOUNT = "account"
    BUSINESS_TYPE = "business_type"
    CAMPAIGN = "campaign"
    UNIT = "unit"
    PHASE = "phase"


class Period(StrEnum):
    """What stretch of time a target speaks of."""

    HORIZON = "horizon"  #: the whole promotion, or from now on where there is none
    DAY = "day"  #: each local day anew (daily budgets)


_ALLOWED = {
    TargetKind.BUDGET: "a positive amount in account currency",
    TargetKind.ROI: "a positive ratio of gmv to spend, such as 4.0 for four to one, at most 1000",
    TargetKind.CPC: "a positive amount in account currency for one click",
    TargetKind.CPA: "a positive amount in account currency for one order",
}


@dataclass(frozen=True, slots=True)
class Target:
    """One target on one group.

    Attributes
    ----------
    kind
        What is bound.
    value
        Right side: money for budget, CPC and CPA, a ratio for ROI.
    scope, key
        Group it stands on: ``(Scope.CAMPAIGN, "Campaign 7")``; the account's key is empty.
    period
        Stretch of time it speaks of.
    since
        Instant from which purchases count for a target on ordinary days; ``None`` = ever. In a promotion
        purchases count from its start.
    """

    kind: TargetKind
    value: float
    scope: Scope = Scope.ACCOUNT
    key: str = ""
    period: Period = Period.HORIZON
    since: datetime | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value > 0) or (self.kind is TargetKind.ROI and self.value > 1000):
            raise ConfigError(f"{self.kind} target of {self.value} on {self.label}: need {self.kind.allowed}")
        if (self.scope is Scope.ACCOUNT) != (self.key == ""):
            raise ConfigError(f"{self.kind} target: a target on a {self.scope} needs a key, one on the account none")

    @property
    def label(self) -> str:
        """Group as a person writes it: ``account`` or ``campaign:Campaign 7``."""
        return self.scope.value if self.scope is Scope.ACCOUNT else f"{self.scope.value}:{self.key}"


@dataclass(frozen=True, slots=True)
class Goals:
    """All that an account wants: one objective and any number of targets."""

    objective: Objective = Objective.GMV
    targets: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        seen: set[tuple[str, str, str]] = set()
        for target in self.targets:
            mark = (target.kind.value, target.label, target.period.value)
            if mark in seen:
                raise ConfigError(f"two {target.kind} targets on {target.label}; keep one")
            seen.add(mark)

    def of(self, kind: TargetKind) -> tuple[Target, ...]:
        """Targets of one kind, in the order they were given."""
        return tuple(t for t in self.targets if t.kind is kind)
