"""A diligent trader without software: looks a few times a day and moves bids by 10 % on what the reports show."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from bidding.policies.baselines import account_row, first_bids, kept, started, stored
from bidding.policies.clipping import Live, legal
from domain.limits import BidLimits
from domain.outlook import Outlook
from domain.plans import BidPlan, SpendTargets
from domain.tables import Floats, Known


@dataclass(frozen=True, slots=True)
class ManualPolicy:
    """+-10 % rules on reported ROI per unit, with a minimum of evidence, and on the pace of the budget.

    Attributes
    ----------
    looks
        Local hours of the day at which the trader looks.
    step
        Relative change of a bid per look.
    memory_hours
        Stretch of reports that is looked at.
    least_clicks
        Clicks within it below which a unit is left alone.
    tolerance
        Relative distance from the target that is accepted.
    """

    looks: tuple[int, ...] = (0, 9, 13, 17, 21)
    step: float = 0.10
    memory_hours: int = 24
    least_clicks: float = 30.0
    tolerance: float = 0.10

    def propose(self, known: Known, outlook: Outlook, targets: SpendTargets, limits: BidLimits) -> BidPlan:
        """First bids before anything ran; at a look the rules; between looks all bids stay."""
        live = Live.of(known)
        if not started(known):
            return stored(known, outlook, targets, first_bids(known, targets, live, limits), "manual: first bids")
        if known.hour.local(known.account.tz).hour not in self.looks:
            return stored(known, outlook, targets, kept(live), "manual: not looking")
        factor = self._by_roi(known, targets) * self._by_pace(known, targets)
        proposal = legal(live.bid * factor, live, limits)
        return stored(known, outlook, targets, proposal, "manual: +-10 % rules")

    def _by_roi(self, known: Known, targets: SpendTargets) -> Floats:
        seen = (
            known.performance.lazy()
            .filter(pl.col("start_utc") >= known.hour.plus(-self.memory_hours).start)
            .group_by("unit")
            .agg(pl.col("clicks", "spend", "gmv").sum())
            .collect()
        )
        clicks, spend, gmv = np.zeros(known.n_units), np.zeros(known.n_units), np.zeros(known.n_units)
        at = seen["unit"].to_numpy()
        clicks[at], spend[at], gmv[at] = (seen[c].to_numpy() for c in ("clicks", "spend", "gmv"))
        row = account_row(targets, "roi")
        # Without a target the trader moves money toward what returns more than the average.
        wanted = row.target if row is not None else float(gmv.sum()) / max(float(spend.sum()), 1e-9)
        roi = np.divide(gmv, spend, out=np.full_like(gmv, wanted), where=(spend > 0) & (clicks >= self.least_clicks))
        up, down = roi > wanted * (1 + self.tolerance), roi < wanted * (1 - self.tolerance)
        return 1.0 + self.step * up - self.step * down

    def _by_pace(self, known: Known, targets: SpendTargets) -> float:
        row = account_row(targets, "budget")
        hours = known.priors.hours
        if row is None or hours.is_empty():
            return 1.0
        past = hours.filter(pl.col("start_utc") < known.hour.start).height
        gone = past / hours.height  # share of the time, as a trader sees it
        spent = row.spent / row.target
        if spent > gone * (1 + self.tolerance) + 0.01:
            return 1.0 - self.step
        return 1.0 + self.step if spent < gone * (1 - self.tolerance) - 0.01 else 1.0
