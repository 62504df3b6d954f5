"""Dual mirror descent: two prices that only react, one on the pace of spend and one on the return so far.

    lambda <- lambda exp(eta (spend / plan - 1))          plan: the hour's share of the budget by forecast traffic
    mu     <- mu     exp(eta (1 - V / (rho C)))            V, C: matured gmv and spend so far
    theta  =  (lambda + mu rho) / (1 + mu)                 bid = prior click value / theta

A baseline: it needs no solver, and learns a wrong level of the values only through the return (Balseiro, Lu and
Mirrokni, "The best of many worlds", 2022). Its state is recomputed from stored rows every hour.
"""

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from bidding.policies.baselines import account_row, first_bids, kept, prior_value, started, stored
from bidding.policies.clipping import Live, legal
from domain.limits import BidLimits
from domain.outlook import Outlook
from domain.plans import BidPlan, SpendTargets
from domain.tables import Known


@dataclass(frozen=True, slots=True)
class MirrorPolicy:
    """Prior-value bids at a price that dual mirror descent moves.

    Attributes
    ----------
    eta
        Step of both prices in an hour.
    most
        Largest relative error that one hour may count for.
    start_mu
        First price of the ROI row.
    """

    eta: float = 0.15
    most: float = 1.0
    start_mu: float = 1.0

    def propose(self, known: Known, outlook: Outlook, targets: SpendTargets, limits: BidLimits) -> BidPlan:
        """First bids before anything ran, then the prices that the reports lead to."""
        live = Live.of(known)
        if not started(known):
            return stored(known, outlook, targets, first_bids(known, targets, live, limits), "mirror: first bids")
        theta = self._theta(known, outlook, targets)
        if theta is None:
            return stored(known, outlook, targets, kept(live), "mirror: no report to steer by")
        factor = outlook.value[0] if outlook.value.size else 1.0
        proposal = legal(prior_value(known) * factor / theta, live, limits)
        return stored(known, outlook, targets, proposal, "mirror: dual mirror descent")

    def _theta(self, known: Known, outlook: Outlook, targets: SpendTargets) -> float | None:
        budget, roi = account_row(targets, "budget"), account_row(targets, "roi")
        forecast = known.priors.hours
        rows = known.performance.with_columns(pl.Series("matured", outlook.matured_gmv))
        hours = rows.group_by("start_utc").agg(pl.col("spend", "matured").sum()).sort("start_utc")
        if not hours.height or (budget is None and roi is None):
            return None
        plans: dict[object, float] = {}
        if budget is not None and not forecast.is_empty():
            traffic = forecast["traffic"].to_numpy()
            share = traffic / max(float(traffic.sum()), 1e-12)
            plans = dict(zip(forecast["start_utc"], (budget.target * share).tolist(), strict=True))
        rho = roi.target if roi is not None else 0.0
        price = rho if rho > 0 else float(np.median(outlook.click_value / np.maximum(outlook.bid_proxy, 1e-9)))
        # The first price is that of the first bids: lambda + mu rho = price (1 + mu).
        mu = self.start_mu if rho > 0 else 0.0
        lam = max(price * (1 + mu) - mu * rho, 0.05 * price)
        bought = gained = 0.0
        for start, spend, matured in hours.select("start_utc", "spend", "matured").iter_rows():
            plan = plans.get(start, 0.0)
            if plan > 0:
                lam *= math.exp(self.eta * max(-self.most, min(self.most, spend / plan - 1)))
            bought, gained = bought + spend, gained + matured
            if rho > 0 and bought > 0:
                mu *= math.exp(self.eta * max(-self.most, min(self.most, 1 - gained / (rho * bought))))
            mu = min(max(mu, 1e-3), 1e3)
            lam = min(max(lam, 1e-3 * price), 1e3 * price)
        return (lam + mu * rho) / (1 + mu)
