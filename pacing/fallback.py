"""Prices of money for hours in which the forecast or the solver failed."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from domain.errors import OptimizationError
from domain.goals import Goals
from domain.groups import Groups
from domain.outlook import Outlook
from domain.phases import PromotionCalendar
from domain.plans import SpendTargets
from domain.problem import Status
from domain.tables import Known


@dataclass(frozen=True, slots=True)
class MirrorFallback:
    """Prices without forecast or solver: dual mirror descent from the last known price.

    lambda <- lambda exp(eta (spend / plan - 1)); needs only what earlier hours planned. Used where the
    forecast or the solver fails in an expected way; raises `OptimizationError` where no earlier price exists.
    """

    eta: float = 0.1

    def targets(
        self, known: Known, outlook: Outlook, goals: Goals, calendar: PromotionCalendar, groups: Groups
    ) -> SpendTargets:
        """Continue the last prices, moved by the last hour's spend against its plan."""
        last = known.planned.filter(pl.col("start_utc") == known.planned["start_utc"].max())
        if not last.height:
            raise OptimizationError(f"no earlier price to continue at {known.hour}; live bids are held")
        price: dict[str, float] = dict(last.select("group", "theta").iter_rows())
        plan: dict[str, float] = dict(last.select("group", "amount").iter_rows())
        when = last["start_utc"][0]
        spent = float(known.performance.filter(pl.col("start_utc") == when)["spend"].sum())
        planned = plan.get("account", 0.0)
        step = float(np.exp(self.eta * np.clip(spent / planned - 1.0, -1.0, 1.0))) if planned > 0 else 1.0
        theta = np.array([price.get(name, np.inf) for name in groups.names])[groups.leaf] * step
        n = len(groups.names)
        amount = np.array([plan.get(name, 0.0) for name in groups.names])
        return SpendTargets(
            hour=known.hour,
            groups=groups,
            amount=amount,
            ceiling=np.full(n, np.inf),
            theta=theta,
            offset=np.zeros(groups.leaf.size),
            status=Status.SLACK,
            rows=(),
            certificate=None,
            reason="no forecast or solver this hour: the last price, moved by the last hour's spend",
            trim=step,
        )
