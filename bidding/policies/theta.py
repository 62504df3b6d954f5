"""The policy of SteadyBid: each unit bids up to where its last money returns the price of money.

Per unit i in the hour t, with g_i the expected gmv of a click and theta_i the price of money:

    dG/dC (b_i) = theta_i     G = gmv + offset x clicks, C = spend, both read off the response table of the hour

Under second price that is ``b_i = (g_i value_t + offset_i) / theta_i``, under first price the shaded bid, and with several
slots a bid below both, because a slot higher makes all clicks dearer (`bidding.policies.marginal`).
"""

from dataclasses import dataclass

import numpy as np

from bidding.policies.clipping import Live, legal, proxied
from bidding.policies.marginal import bids_at_price
from bidding.policies.table import plan
from domain.limits import BidLimits
from domain.outlook import HourTable, Outlook
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
    value, price = outlook.value[0], outlook.price[0]
    gain = outlook.gmv * value + offset[:, None] * outlook.clicks
    # the base hour's tables: an hour without traffic has slopes too
    wanted = bids_at_price(outlook.bids * price, outlook.clicks, outlook.spend * price, gain, np.nan_to_num(theta))
    free = (theta <= 0) | np.isposinf(wanted)
    wanted = np.where(free, table.bids[:, -1] if table.bids.size else 0.0, wanted)
    wanted = np.where(np.isposinf(theta) | (worth <= 0), 0.0, wanted)
    return np.where(np.isnan(worth) | np.isnan(theta), np.nan, wanted)
