"""Plays one hourly campaign from start to end with any bidder, and says what it came to."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from domain.tables import Floats
from market.plans_world import HourResult, PlanCampaign, play_hour

#: Bid for an hour by its position, after the result of the hour before and the bid that was in force then.
Decide = Callable[[int, HourResult | None, float], float]

#: Hours with fewer clicks have no CPC worth the name.
LEAST_CLICKS = 20


@dataclass(frozen=True, slots=True)
class PlanRun:
    """What a bidder made of a campaign.

    Attributes
    ----------
    bids, clicks, spend
        (n_hours,) as executed; clicks and spend with the luck of the shoppers who came.
    expected_clicks
        Clicks that the executed bids are worth on the true curves, for as long as there was money.
    gone_at
        Hour in which the budget went, ``None`` where it lasted to the end.
    budget
        Account currency.
    """

    bids: Floats
    clicks: Floats
    spend: Floats
    expected_clicks: float
    gone_at: int | None
    budget: float

    @property
    def budget_use(self) -> float:
        """Spend over budget."""
        return float(self.spend.sum()) / self.budget

    @property
    def gone_early(self) -> bool:
        """Whether the budget went before the last hour began."""
        return self.gone_at is not None and self.gone_at < self.bids.size - 1

    @property
    def cpc(self) -> float:
        """Spend per click; NaN without clicks."""
        return float(self.spend.sum() / self.clicks.sum()) if self.clicks.sum() > 0 else math.nan

    @property
    def cpc_cv(self) -> float:
        """Click-weighted relative spread of hourly CPC over hours with enough clicks; NaN with fewer than two such."""
        enough = self.clicks >= LEAST_CLICKS
        if enough.sum() < 2:
            return math.nan
        cpc, weight = self.spend[enough] / self.clicks[enough], self.clicks[enough]
        mean = float(np.average(cpc, weights=weight))
        return math.sqrt(float(np.average((cpc - mean) ** 2, weights=weight))) / mean


def play(campaign: PlanCampaign, budget: float, decide: Decide) -> PlanRun:
    """One campaign under one bidder; the same seed brings the same shoppers to every bidder."""
    n = campaign.n_hours
    bids, clicks, spend, running = np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n)
    left, before, bid, gone_at = budget, None, 0.0, None
    for h in range(n):
        bid = decide(h, before, bid)
        before = play_hour(campaign, h, bid, left)
        left -= before.spend
        bids[h], clicks[h], spend[h], running[h] = bid, before.clicks, before.spend, before.running
        if before.running < 1 and gone_at is None:
            gone_at = h
    due, _ = campaign.response(bids)
    return PlanRun(bids, clicks, spend, float((due * running).sum()), gone_at, budget)
