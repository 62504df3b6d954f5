"""A run hour by hour: what was spent, at which price, and what was known of the ROI; what charts are drawn from."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from domain.goals import TargetKind
from domain.plans import Decision
from domain.tables import Floats
from market import FluidPlan, Ledger, SimWorld
from market.fluid import Curves


@dataclass(frozen=True, slots=True)
class Trace:
    """All arrays (n_hours,); money in account currency; NaN where there is nothing to tell.

    Attributes
    ----------
    local
        Wall-clock start of each hour, without offset.
    spend, clicks
        Delivered.
    gmv
        Expected matured gmv of the hour's clicks.
    bid
        Bid of the clicks that were won, on average.
    planned_spend, theta
        What the decision aimed to spend in the hour, and its mean price of money.
    reported_roi, matured_roi
        Gmv reported so far / spend, and the decision's estimate of the final ROI of the clicks so far; both as
        known when the hour started.
    """

    local: tuple[datetime, ...]
    spend: Floats
    clicks: Floats
    gmv: Floats
    bid: Floats
    planned_spend: Floats
    theta: Floats
    reported_roi: Floats
    matured_roi: Floats

    @property
    def cpc(self) -> Floats:
        """Spend per click of each hour."""
        return ratio(self.spend, self.clicks)

    @property
    def true_roi(self) -> Floats:
        """Expected matured gmv / spend of all clicks before each hour, as known to nobody in the run."""
        before = np.concatenate([[0.0], np.cumsum(self.gmv)[:-1]])
        return ratio(before, np.concatenate([[0.0], np.cumsum(self.spend)[:-1]]))


@dataclass(frozen=True, slots=True)
class Hindsight:
    """The hindsight optimum hour by hour, and its one price of money."""

    spend: Floats
    clicks: Floats
    gmv: Floats
    bid: Floats
    theta: float
    status: str

    @classmethod
    def of(cls, plan: FluidPlan, truth: Curves) -> "Hindsight":
        """Hourly totals of a plan."""
        clicks = plan.clicks.sum(axis=0)
        return cls(
            spend=plan.spend.sum(axis=0),
            clicks=clicks,
            gmv=(plan.clicks * truth.click_value).sum(axis=0),
            bid=ratio((plan.clicks * plan.bids).sum(axis=0), clicks),
            theta=plan.theta,
            status=plan.status.value,
        )

    @property
    def cpc(self) -> Floats:
        """Spend per click of each hour."""
        return ratio(self.spend, self.clicks)


class Recorder:
    """Notes what each decision said, and makes a `Trace` when the run is over."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world
        self._notes = {
            name: np.full(world.n_hours, np.nan) for name in ("planned_spend", "theta", "reported", "matured")
        }

    def note(self, position: int, decision: Decision, ledger: Ledger) -> None:
        """Take down one decision, before its hour runs."""
        spend = float(ledger.spend.sum())
        if spend > 0:
            self._notes["reported"][position] = float(ledger.gmv.sum()) / spend
        targets = decision.plan.targets
        if targets is None:
            return
        self._notes["planned_spend"][position] = targets.amount[0]
        bidding = targets.theta[np.isfinite(targets.theta)]
        if bidding.size:
            self._notes["theta"][position] = bidding.mean()
        for row in targets.rows:
            if row.kind == TargetKind.ROI.value and row.group == "account" and row.spent > 0:
                self._notes["matured"][position] = row.gained / row.spent

    def trace(self, ledger: Ledger, curves: Curves | None = None) -> Trace:
        """The whole run; `curves` are those of the run where rivals reacted to it."""
        world = self._world
        value = (world.curves if curves is None else curves).click_value
        clicks = ledger.clicks.sum(axis=0)
        return Trace(
            local=tuple(h.local(world.account.tz).replace(tzinfo=None) for h in world.hours),
            spend=ledger.spend.sum(axis=0),
            clicks=clicks,
            gmv=(ledger.clicks * value).sum(axis=0),
            bid=ratio((ledger.clicks * ledger.bids).sum(axis=0), clicks),
            planned_spend=self._notes["planned_spend"],
            theta=self._notes["theta"],
            reported_roi=self._notes["reported"],
            matured_roi=self._notes["matured"],
        )


def ratio(top: Floats, bottom: Floats) -> Floats:
    """Element-wise quotient; NaN where the bottom is 0."""
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
