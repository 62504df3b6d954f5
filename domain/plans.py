"""What pacing asks for, what bidding proposes, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
import polars as pl

from domain.errors import InvalidPlan
from domain.groups import Groups
from domain.problem import Certificate, Status
from domain.tables import PLANNED, Floats, check
from domain.time import Hour


@dataclass(frozen=True, slots=True)
class RowReport:
    """One target as it stands at an hour.

    Attributes
    ----------
    kind, group, target
        Kind of row, label of the group, right number as the trader wrote it.
    spent, gained
        What the group has bought since the target's start: spend, and matured gmv.
    right
        Right side of the row for the rest of the horizon.
    binds
        Whether it binds in the planned rest.
    shadow_price
        d gmv / d right side.
    words
        One sentence a trader reads.
    """

    kind: str
    group: str
    target: float
    spent: float
    gained: float
    right: float
    binds: bool
    shadow_price: float
    words: str


@dataclass(frozen=True, slots=True)
class SpendTargets:
    """What each group should spend in an hour, and at which price of money.

    Attributes
    ----------
    hour
        The hour that is decided.
    groups
        Tree that the arrays below follow.
    amount, ceiling
        (n_groups,) aim and hard limit of spend in this hour, account currency; ``inf`` = no limit.
    theta, offset
        (n_units,) price of money and click-value offset (see `Solution`); theta ``inf`` = do not bid.
    status
        State of the rest of the horizon.
    rows
        Each target as it stands.
    certificate
        Of the horizon's program; ``None`` where no program was solved (fallback).
    reason
        Why, in one sentence.
    trim
        Factor that the controller put on theta, 1 = none.
    attempts
        Methods that failed before this answer.
    """

    hour: Hour
    groups: Groups
    amount: Floats
    ceiling: Floats
    theta: Floats
    offset: Floats
    status: Status
    rows: tuple[RowReport, ...]
    certificate: Certificate | None
    reason: str
    trim: float = 1.0
    attempts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.groups.names)
        if self.amount.shape != (n,) or self.ceiling.shape != (n,):
            raise InvalidPlan(f"spend targets for {self.hour}: need one amount and ceiling for each of {n} groups")
        if not bool(((self.amount >= 0) & (self.amount <= self.ceiling * (1 + 1e-9) + 1e-9)).all()):
            worst = int((self.amount - self.ceiling).argmax())
            raise InvalidPlan(
                f"spend target for {self.hour}, {self.groups.names[worst]}: need 0 <= amount <= ceiling, "
                f"got amount={self.amount[worst]} and ceiling={self.ceiling[worst]}"
            )

    def planned(self) -> pl.DataFrame:
        """Rows `PLANNED`: what the controller of later hours wants to remember, one row per group."""
        finite = np.isfinite(self.theta)
        count = self.groups.rolled_up(finite.astype(np.float64))
        total = self.groups.rolled_up(np.where(finite, self.theta, 0.0))
        n = len(self.groups.names)
        columns = {
            "start_utc": [self.hour.start] * n,
            "group": list(self.groups.names),
            "amount": self.amount,
            "theta": np.where(count > 0, total / np.maximum(count, 1.0), np.inf),
            "trim": np.full(n, self.trim),
        }
        return pl.DataFrame(columns, schema=dict(PLANNED))


class Action(StrEnum):
    """What a plan does with a unit."""

    SET = "set"  #: a new bid
    KEEP = "keep"  #: the bid stays: it is right, or the change is not worth an edit
    PAUSE = "pause"  #: no bid in this hour
    HOLD = "hold"  #: the bid stays because we may not or dare not decide
    BID_UNKNOWN = "bid_unknown"  #: a bid is advised, but the live bid is unknown, so nothing can be sent


ACTION = pl.Enum([a.value for a in Action])

#: One row per unit of a plan. `spend` .. `gmv` are expected for the hour at `bid_cpc`, with 80 % bands.
PLAN: Mapping[str, pl.DataType] = {
    "unit_id": pl.String(),
    "campaign": pl.String(),
    "action": ACTION,
    "bid_cpc": pl.Float64(),
    "live_bid_cpc": pl.Float64(),
    "click_value": pl.Float64(),
    "theta": pl.Float64(),
    "offset": pl.Float64(),
    "evidence_clicks": pl.Float64(),
    "limit": pl.String(),  # which limit or rule shaped the bid; null = none
    "impressions": pl.Float64(),
    **{f"{name}{end}": pl.Float64() for name in ("spend", "clicks", "orders", "gmv") for end in ("", "_low", "_high")},
}

#: What guardrails or the breaker changed.
INTERVENTIONS: Mapping[str, pl.DataType] = {
    "unit_id": pl.String(),
    "rule": pl.String(),
    "before": pl.Float64(),
    "after": pl.Float64(),
}


@dataclass(frozen=True, slots=True)
class BidPlan:
    """The table of bids for an hour of an account, with its reasons.

    `units` has columns `PLAN`; `interventions` has columns `INTERVENTIONS`.
    """

    account: str
    hour: Hour
    units: pl.DataFrame
    targets: SpendTargets | None
    interventions: pl.DataFrame
    status: Status
    reason: str
    notes: tuple[str, ...] = ()
    attempts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(self.units, PLAN, f"plan for {self.hour}")
        check(self.interventions, INTERVENTIONS, f"interventions for {self.hour}")
        bid = self.units["bid_cpc"]
        number = bid.to_numpy()  # null becomes NaN
        bad = np.isinf(number) | (number < 0)
        if bad.any() or int(np.isnan(number).sum()) > bid.null_count():
            bad |= np.isnan(number) & bid.is_not_null().to_numpy()
            raise InvalidPlan(
                f"plan for {self.hour}: bids that are negative or not finite: "
                f"{self.units['unit_id'].filter(bad).head(5).to_list()}"
            )


class ReceiptState(StrEnum):
    """What the platform did with one bid."""

    APPLIED = "applied"
    ADJUSTED = "adjusted"  #: applied at another value
    REJECTED = "rejected"
    UNSEEN = "unseen"  #: not answered yet
    NOT_SENT = "not_sent"


RECEIPTS: Mapping[str, pl.DataType] = {
    "unit_id": pl.String(),
    "state": pl.Enum([s.value for s in ReceiptState]),
    "bid_cpc": pl.Float64(),
    "reason": pl.String(),
}


@dataclass(frozen=True, slots=True)
class Receipts:
    """One row per unit that was sent, columns `RECEIPTS`."""

    rows: pl.DataFrame

    def __post_init__(self) -> None:
        check(self.rows, RECEIPTS, "receipts")


class DecisionState(StrEnum):
    """Where a decision stands."""

    OPEN = "open"  #: stored, not sent yet
    AWAITING = "awaiting_approval"
    PUBLISHED = "published"
    SHADOW = "shadow"  #: stored, by choice not sent
    EXPIRED = "expired"  #: not approved, or not sent, in time


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision of one account and hour, as journalled: stored before it is sent, one per (account, hour)."""

    account: str
    hour: Hour
    state: DecisionState
    plan: BidPlan
    receipts: Receipts | None
    known: Mapping[str, float] = field(default_factory=dict[str, float])
    decided_at: datetime | None = None
