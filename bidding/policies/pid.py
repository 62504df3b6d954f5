"""PID control of spend: one multiplier on prior click values follows a spend plan; no ROI target is known to it."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from bidding.policies.baselines import account_row, first_bids, kept, prior_value, started, stored
from bidding.policies.clipping import Live, legal
from domain.limits import BidLimits
from domain.outlook import Outlook
from domain.plans import BidPlan, SpendTargets
from domain.tables import Floats, Known


@dataclass(frozen=True, slots=True)
class PidPolicy:
    """Multiplies all prior-value bids by one factor, moved by the hourly error of spend against plan.

    The plan gives each hour of the horizon the share of the account's budget that its forecast traffic has. The
    multiplier is read off the live bids, the errors off the reports: nothing is remembered between hours.

    Attributes
    ----------
    proportional, integral, derivative
        Gains on log(spend / plan) of the last hour, on its decayed sum, and on its change.
    memory_hours
        Hours of errors that are summed.
    most
        Largest relative change of the multiplier within one hour.
    """

    proportional: float = 0.20
    integral: float = 0.03
    derivative: float = 0.05
    memory_hours: int = 12
    most: float = 0.25

    def propose(self, known: Known, outlook: Outlook, targets: SpendTargets, limits: BidLimits) -> BidPlan:
        """First bids before anything ran, then one common factor."""
        live = Live.of(known)
        if not started(known):
            return stored(known, outlook, targets, first_bids(known, targets, live, limits), "pid: first bids")
        errors = self._errors(known, targets)
        value = prior_value(known)
        usable = np.isfinite(live.bid) & (live.bid > limits.floor) & (live.bid < limits.cap) & (value > 0)
        if errors.size == 0 or not usable.any():
            return stored(known, outlook, targets, kept(live), "pid: no report to steer by")
        change = errors[-1] - errors[-2] if errors.size > 1 else 0.0
        decay = 0.8 ** np.arange(errors.size)[::-1]
        push = self.proportional * errors[-1] + self.integral * float(errors @ decay) + self.derivative * change
        multiplier = float(np.median(live.bid[usable] / value[usable]))
        wanted = value * multiplier * float(np.exp(-np.clip(push, -self.most, self.most)))
        return stored(known, outlook, targets, legal(wanted, live, limits), "pid: spend against plan")

    def _errors(self, known: Known, targets: SpendTargets) -> Floats:
        """log(spend / plan) of the last reported hours, oldest first; each plan divides what was then left."""
        row = account_row(targets, "budget")
        forecast = known.priors.hours
        if row is None or forecast.is_empty():
            return np.zeros(0)
        spent = known.performance.group_by("start_utc").agg(pl.col("spend").sum())
        hours = (
            forecast.select("start_utc", "traffic")
            .join(spent, on="start_utc", how="left")
            .sort("start_utc")
            .with_columns(pl.col("spend").fill_null(0.0))
        )
        traffic, spend = hours["traffic"].to_numpy(), hours["spend"].to_numpy()
        ahead = traffic[::-1].cumsum()[::-1]
        left = np.maximum(row.target - np.concatenate([[0.0], spend.cumsum()[:-1]]), 0.0)
        planned = left * traffic / np.maximum(ahead, 1e-12)
        past = (hours["start_utc"] < known.hour.start).to_numpy() & (planned > 0)
        recent = np.flatnonzero(past)[-self.memory_hours :]
        return np.clip(np.log(np.maximum(spend[recent], 1e-9) / planned[recent]), -1.0, 1.0)
