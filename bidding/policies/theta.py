"""The policy of SteadyBid: each unit bids up to where its last money returns the price of money.

Per unit i in the hour t, with g_i the expected gmv of a click and theta_i the price of money:

    dG/dC (b_i) = theta_i     G = gmv + offset x clicks, C = spend, both read off the response table of the hour

Under second price that is ``b_i = (g_i value_t + offset_i) / theta_i``, under first price the shaded bid, and with several
slots a bid below both, because a slot higher makes all clicks dearer (`bidding.policies.marginal`).
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from bidding.policies.clipping import Live, legal, proxied
from bidding.policies.dither import Dither
from bidding.policies.marginal import bids_at_price
from bidding.policies.steadiness import Steadiness, ahead_of_steps, lasting, losses
from bidding.policies.table import plan
from domain.limits import BidLimits
from domain.outlook import HourTable, Outlook
from domain.plans import BidPlan, SpendTargets
from domain.tables import Bools, Floats, Known


@dataclass(frozen=True, slots=True)
class ThetaPolicy:
    """Bids by click value and price of money; holds a unit it cannot value, advises where a bid is unknown.

    Attributes
    ----------
    steadiness
        Which bids are left alone though a slightly better one is known.
    dither
        Small moves by which the answer of clicks to bids is learned; ``None`` = none.
    """

    steadiness: Steadiness = field(default_factory=Steadiness)
    dither: Dither | None = None

    def propose(self, known: Known, outlook: Outlook, targets: SpendTargets, limits: BidLimits) -> BidPlan:
        """Plan for the first hour of the outlook; pure, and cheap enough for every hour of a simulation."""
        live = proxied(Live.of(known), outlook)
        lasts = steady_for(known, outlook, limits)
        table = lasts.at(0)
        wanted = wanted_bids(lasts, table, targets.theta, targets.offset) * ahead_of_steps(outlook, limits)
        if self.dither is not None:
            wanted = wanted * np.exp(self.dither.moves(known.hour, table, wanted, targets.offset))
        highest = table.bids[:, -1] if table.bids.size else np.zeros(0)
        stays = self._stays(known, table, live, wanted, targets, limits)
        proposal = legal(np.where(stays, live.bid, wanted), live, limits, highest)
        proposal.limit[stays & (proposal.limit == None)] = "steady"  # noqa: E711 - elementwise
        value = outlook.click_value * outlook.value[0]
        return plan(known, outlook, targets, proposal, click_value=value, theta=targets.theta, offset=targets.offset)

    def _stays(
        self, known: Known, table: HourTable, live: Live, wanted: Floats, targets: SpendTargets, limits: BidLimits
    ) -> Bools:
        """(n_units,) units whose live bid is near enough to the wanted one."""
        usable = live.known & ~live.paused & ~live.archived & (live.bid >= limits.floor) & (live.bid <= limits.cap)
        usable &= np.isfinite(wanted) & (wanted >= limits.floor) & (targets.theta > 0)
        safe = np.where(usable, live.bid, 1.0), np.where(usable, wanted, 1.0)
        gain, loss = losses(table, *safe, targets.theta, targets.offset)
        gain, loss = np.where(usable, gain, 0.0), np.where(usable, loss, np.inf)
        stays = self.steadiness.kept(loss, gain)
        if limits.edits_per_day is not None:
            stays |= self.steadiness.waiting(loss, gain, live.edits, limits.edits_per_day, _day_share(known))
        return stays & usable


def steady_for(known: Known, outlook: Outlook, limits: BidLimits) -> Outlook:
    """Outlook whose first hour stands for all hours until the next edit; the same where edits are free."""
    if limits.edits_per_day is None:
        return outlook
    slot = max(1.0, 24.0 / limits.edits_per_day)
    passed = 24.0 * _day_share(known)
    until = math.ceil((math.floor(passed / slot + 1e-9) + 1) * slot - passed - 1e-9)
    value, price = lasting(outlook, max(1, until))
    return replace(
        outlook,
        value=np.concatenate([[value], outlook.value[1:]]),
        price=np.concatenate([[price], outlook.price[1:]]),
    )


def _day_share(known: Known) -> float:
    """Share of the local day that is over."""
    local = known.hour.local(known.account.tz)
    return (local.hour + local.minute / 60) / 24


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
