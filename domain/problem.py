"""The bidding program and its answer, as columns.

Choose one bid level per unit (or none) to maximise value under rows on nested groups of units:

    budget(G)   sum_G c            <= right        right = money left
    roi(G)      sum_G (rho c - v)  <= right        right = V0 - rho C0   (what was bought already)
    cpc(G)      sum_G (c - kappa q) <= right       right = kappa Q0 - C0
    cpa(G)      sum_G (c - a n)    <= right        right = a n0 - C0
"""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from domain.errors import InvalidPlan
from domain.groups import Groups
from domain.tables import Bools, Floats


class RowKind(IntEnum):
    """Kinds of rows, as stored in `Rows.kind`."""

    BUDGET = 0
    ROI = 1
    CPC = 2
    CPA = 3


class Status(StrEnum):
    """What the answer looks like."""

    SLACK = "slack"  #: no row binds: every unit at its best level
    BUDGET_BINDS = "budget_binds"
    ROI_BINDS = "roi_binds"
    CPC_BINDS = "cpc_binds"
    CPA_BINDS = "cpa_binds"
    BOTH_TIGHT = "both_tight"  #: two rows tight at once: their prices are not unique, theta is
    STARVED = "starved"  #: feasible, but next to nothing can be bought under the rows
    UNREACHABLE = "unreachable"  #: no feasible answer; the least violating one is given


@dataclass(frozen=True, slots=True)
class Rows:
    """Constraint rows as columns, all shape (n_rows,).

    Attributes
    ----------
    kind
        `RowKind` values.
    group
        Position of the group in `Groups`.
    target
        rho, kappa or a; ignored for budgets.
    right
        Right side, account currency.
    """

    kind: NDArray[np.int8]
    group: NDArray[np.int32]
    target: Floats
    right: Floats

    def __post_init__(self) -> None:
        n = self.kind.shape
        if not (self.group.shape == self.target.shape == self.right.shape == n):
            raise InvalidPlan("rows: kind, group, target and right differ in length")
        if not bool(np.all(np.isfinite(self.right))):
            raise InvalidPlan(
                f"rows {np.flatnonzero(~np.isfinite(self.right))[:5].tolist()}: the right side is not finite"
            )
        ratio = self.kind != RowKind.BUDGET
        bad = ratio & ~(np.isfinite(self.target) & (self.target > 0))
        if bool(bad.any()):
            raise InvalidPlan(f"rows {np.flatnonzero(bad)[:5].tolist()}: a ratio target must be positive and finite")

    @classmethod
    def of(cls, *rows: tuple[RowKind, int, float, float]) -> "Rows":
        """Rows from (kind, group, target, right) tuples."""
        return cls(
            np.array([r[0] for r in rows], np.int8),
            np.array([r[1] for r in rows], np.int32),
            np.array([r[2] for r in rows], np.float64),
            np.array([r[3] for r in rows], np.float64),
        )

    def __len__(self) -> int:
        return int(self.kind.size)


@dataclass(frozen=True, slots=True)
class Problem:
    """One bidding program.

    Attributes
    ----------
    bids, clicks, spend, gmv
        (n_units, n_levels); bids and spend ascend along levels, clicks and gmv never fall.
        float64, or float32 where memory counts.
    groups
        Tree of the units.
    rows
        Constraints.
    value
        (n_units, n_levels) what is maximised; ``None`` = gmv.
    orders
        (n_units, n_levels); needed by CPA rows.
    first, last
        (n_units,) first and last allowed level (step windows, floors, caps); ``None`` = all.
    may_pause
        (n_units,) whether a unit may be left without a bid; ``None`` = all may.
    """

    bids: NDArray[np.floating]
    clicks: NDArray[np.floating]
    spend: NDArray[np.floating]
    gmv: NDArray[np.floating]
    groups: Groups
    rows: Rows
    value: NDArray[np.floating] | None = None
    orders: NDArray[np.floating] | None = None
    first: NDArray[np.int16] | None = None
    last: NDArray[np.int16] | None = None
    may_pause: Bools | None = None

    def __post_init__(self) -> None:
        shape = self.bids.shape
        for name in ("clicks", "spend", "gmv", "value", "orders"):
            table = getattr(self, name)
            if table is not None and table.shape != shape:
                raise InvalidPlan(f"problem: {name} has shape {table.shape}, bids {shape}")
        if self.groups.leaf.shape != (shape[0],):
            raise InvalidPlan(f"problem: groups know {self.groups.leaf.size} units, the tables {shape[0]}")
        if len(self.rows) and not bool(np.all((self.rows.group >= 0) & (self.rows.group < len(self.groups.names)))):
            raise InvalidPlan("problem: a row names a group that does not exist")


@dataclass(frozen=True, slots=True)
class Certificate:
    """How good an answer provably is; made by an independent pass over the raw tables.

    Attributes
    ----------
    value, bound
        Objective reached, and an upper bound on what any feasible answer reaches.
    gap
        (bound - value) / max(bound, 1). Bound and gap are NaN where rows are out of reach (`Status.UNREACHABLE`):
        write them to JSON as null.
    violation
        Worst row excess over max(|right side|, sum of |terms|).
    words
        One or two sentences a trader reads.
    """

    value: float
    bound: float
    gap: float
    violation: float
    words: str = ""


@dataclass(frozen=True, slots=True)
class Solution:
    """Answer of a solver.

    Attributes
    ----------
    lower, upper
        (n_units,) levels that are mixed; -1 is the pause. Equal where one level is taken.
    share
        (n_units,) share of ``upper``, 0-1.
    bid
        (n_units,) interpolated bid, account currency; 0 = pause.
    spend, clicks, value, gmv
        (n_units,) expected of the mix.
    theta
        (n_units,) effective price of money of each unit: value per unit of spend at which its bidding
        stops; second price: bid = (click value + offset) / theta.
    offset
        (n_units,) what CPC or CPA rows add to the value of a click, account currency; 0 without them.
    multipliers
        (n_rows,) shadow prices: d value / d right side.
    status, row_status
        Overall, and for each row whether it binds.
    certificate
        Bound, gap, violation.
    method
        Name of the method that answered.
    attempts
        What was tried before, with the reason it failed.
    """

    lower: NDArray[np.int16]
    upper: NDArray[np.int16]
    share: Floats
    bid: Floats
    spend: Floats
    clicks: Floats
    value: Floats
    gmv: Floats
    theta: Floats
    offset: Floats
    multipliers: Floats
    status: Status
    row_binds: Bools
    certificate: Certificate
    method: str
    attempts: tuple[str, ...] = field(default=())
