r"""The best that one bid an hour could have done, the true curves known.

    max  sum_h q_h(b_h)    s.t.   sum_h c_h(b_h) <= B,    sum_h c_h(b_h) <= kappa sum_h q_h(b_h)

Every hour's clicks are worth the same, so with multipliers lambda of the budget and eta of the cap each hour's bid
answers to one number v = (1 + eta kappa) / (lambda + eta), what the last click may cost (mathematics: I.3):

    second price  b_h = v             first price  b_h + W_h / W_h' = v,    b (1 + s Phi(z) / phi(z)) = v

Spend and CPC both rise with v, so the optimum is the largest v that keeps both rows: one bisection, exact.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from domain.outlook import Auction
from domain.tables import Floats
from market.plans_world import PlanCampaign


@dataclass(frozen=True, slots=True)
class PlanOptimum:
    """Hindsight plan: (n_hours,) bids, clicks and spend, and the price of the last click `v`; `cpc` NaN if none."""

    bids: Floats
    clicks: Floats
    spend: Floats
    v: float

    @property
    def cpc(self) -> float:
        """Spend per click."""
        return float(self.spend.sum() / self.clicks.sum()) if self.clicks.sum() > 0 else float("nan")


def plan_at(campaign: PlanCampaign, v: float) -> PlanOptimum:
    """Plan whose last click of every hour costs `v`."""
    bids = np.full(campaign.n_hours, v)
    if campaign.auction is Auction.FIRST_PRICE:
        bids = campaign.price * np.exp(_shaded(v / campaign.price, campaign.spread))
    clicks, spend = campaign.response(bids)
    return PlanOptimum(bids, clicks, spend, v)


def plan_optimum(campaign: PlanCampaign, budget: float, target_cpc: float | None = None) -> PlanOptimum:
    """Most clicks under a budget, and a target CPC where there is one."""

    def breaks(v: float) -> bool:
        plan = plan_at(campaign, v)
        spend, clicks = float(plan.spend.sum()), float(plan.clicks.sum())
        return spend > budget or (target_cpc is not None and spend > target_cpc * clicks)

    return plan_at(campaign, _largest(breaks, campaign))


def constant_bid(campaign: PlanCampaign, budget: float, target_cpc: float | None = None) -> float:
    """Best single bid of all hours in hindsight."""

    def breaks(bid: float) -> bool:
        clicks, spend = campaign.response(np.full(campaign.n_hours, bid))
        total = float(spend.sum())
        return total > budget or (target_cpc is not None and total > target_cpc * float(clicks.sum()))

    return _largest(breaks, campaign)


def budget_of(campaign: PlanCampaign) -> float:
    """Budget with which the best constant bid wins `depth` of the impressions."""
    level = float(np.exp(np.average(np.log(campaign.price), weights=campaign.impressions)))

    def beyond(bid: float) -> bool:
        clicks, _ = campaign.response(np.full(campaign.n_hours, bid))
        return float(clicks.sum()) > campaign.depth * campaign.ctr * float(campaign.impressions.sum())

    low, high = level * math.exp(-6 * campaign.spread - 3), level * math.exp(6 * campaign.spread + 3)
    bid = _bisect(beyond, low, high)
    return float(campaign.response(np.full(campaign.n_hours, bid))[1].sum())


def _largest(breaks: object, campaign: PlanCampaign) -> float:
    low = float(campaign.price.min()) * math.exp(-8 * campaign.spread)
    high = float(campaign.price.max()) * math.exp(8 * campaign.spread)
    return _bisect(breaks, low, high)


def _bisect(beyond: object, low: float, high: float) -> float:
    """Largest point of the bracket, to rounding, that is not beyond."""
    a, b = math.log(low), math.log(high)
    while b - a > 1e-10:
        middle = 0.5 * (a + b)
        if beyond(math.exp(middle)):  # type: ignore[operator]
            b = middle
        else:
            a = middle
    return math.exp(a)


def _shaded(worth: Floats, spread: float) -> Floats:
    """Log of the first-price bid over the median price, for the worth of the last click over it."""
    low, high = np.full(worth.shape, -12.0 * spread - 12.0), np.log(worth)
    goal = np.log(worth)
    for _ in range(60):
        middle = 0.5 * (low + high)
        z = middle / spread
        mills = np.exp(log_ndtr(z) + 0.5 * z * z + 0.5 * math.log(2 * math.pi))
        above = middle + np.log1p(spread * mills) > goal
        high, low = np.where(above, middle, high), np.where(above, low, middle)
    return low
