"""The policy of SteadyBid: bids are what a click is worth, divided by the price of money.

Second price, from docs/mathematics.md, part I.3, per unit i in the hour t:

    b_i = (g_i value_t + offset_i) / theta_i        g_i: expected gmv of a click, account currency

First price: the level that maximises ``gmv + offset clicks - theta spend`` on the response table of the hour, moved
to the vertex of the parabola through it and its neighbours in log(bid); between levels that is the shading
``b + W/W' = A/P`` to second order.
"""

from dataclasses import dataclass

import numpy as np

from bidding.policies.clipping import Live, legal, proxied
from bidding.policies.table import plan
from domain.limits import BidLimits
from domain.outlook import Auction, HourTable, Outlook
from domain.plans import BidPlan, SpendTargets
from domain.tables import Floats, Known


@dataclass(frozen=True, slots=True)
class ThetaPolicy:
    """Bids by click value and price of money; holds a unit it cannot value, advises where a bid is unknown."""

    def propose(self, known: Known, outlook: Outlook, targets: SpendTargets, limits: BidLimits) -> BidPlan:
        """Plan for the first hour of the outlook; pure, and cheap enough for every hour of a simulation."""
        table = outlook.at(0)
        value = outlook.click_value * outlook.value[0]
        wanted = wanted_bids(outlook, table, targets.theta, targets.offset)
        highest = table.bids[:, -1] if table.bids.size else np.zeros(0)
        proposal = legal(wanted, proxied(Live.of(known), outlook), limits, highest)
        return plan(known, outlook, targets, proposal, click_value=value, theta=targets.theta, offset=targets.offset)


def wanted_bids(outlook: Outlook, table: HourTable, theta: Floats, offset: Floats) -> Floats:
    """(n_units,) best bids at prices of money theta, before any limit; 0 = no bid, NaN = no estimate.

    theta = inf asks for no bid; theta = 0 (no target binds and nothing prices money) for the last level of the
    table where a click has value.
    """
    worth = outlook.click_value * outlook.value[0] + offset
    if outlook.auction is Auction.FIRST_PRICE:
        wanted = _shaded(table, theta, offset)
    else:
        price = theta if outlook.marginal_price is None else theta * outlook.marginal_price
        wanted = np.divide(worth, price, out=np.full_like(worth, np.inf), where=price > 0)
    free = (theta <= 0) | np.isposinf(wanted)
    wanted = np.where(free, table.bids[:, -1] if table.bids.size else 0.0, wanted)
    wanted = np.where(np.isposinf(theta) | (worth <= 0), 0.0, wanted)
    return np.where(np.isnan(worth) | np.isnan(theta), np.nan, wanted)


def _shaded(table: HourTable, theta: Floats, offset: Floats) -> Floats:
    n, levels = (int(k) for k in table.bids.shape)
    row = np.arange(n)
    price = np.where(np.isfinite(theta), theta, 0.0)[:, None]
    gain = table.gmv + offset[:, None] * table.clicks - price * table.spend
    best = gain.argmax(axis=1) if n else np.zeros(0, np.intp)
    top = gain[row, best]
    bid = table.bids[row, best]
    inner = (best > 0) & (best < levels - 1)
    left, right = np.maximum(best - 1, 0), np.minimum(best + 1, levels - 1)
    x0, x1, x2 = (np.log(np.maximum(table.bids[row, k], 1e-300)) for k in (left, best, right))
    y0, y2 = gain[row, left] - top, gain[row, right] - top
    # Vertex of the parabola through (x0, y0), (x1, 0), (x2, y2); both sides lie below the middle.
    a, b = x1 - x0, x2 - x1
    steep = a * y2 + b * y0
    shift = np.divide(a * a * y2 - b * b * y0, 2 * steep, out=np.zeros_like(bid), where=inner & (steep < 0))
    # d/dx of the parabola at x1 is (a^2 y2 - b^2 y0) / (a b (a + b)), its curvature 2 steep / (a b (a + b)).
    bid = bid * np.exp(np.clip(-shift, -a, b))
    return np.where(top > 0, bid, 0.0)
