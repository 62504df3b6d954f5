"""What a bid buys: win rate, price paid and their tables, under a log-normal market price per click.

The market price p of unit i in a base hour is log-normal with median m_i and log-sd s_i; z = (ln b - ln m) / s:

    win rate      W(b) = Phi(z)
    second price  spend per opportunity = m exp(s^2 / 2) Phi(z - s)
    first price   spend per opportunity = b Phi(z)
    several slots spend = factor ((1 - omega) second price + omega first price)

so tables are monotone in the bid by construction. A unit whose bid was never told is anchored at a proxy, its
average price paid: there the tables give the clicks and the spend that were seen, and away from it they follow
the pooled prior (win rate one half at the proxy and log-sd 0.6: 1 % more bid buys about 1.3 % more clicks).
Source: docs/mathematics.md, I.1.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.special import log_ndtr, ndtr

from domain.outlook import Auction
from domain.tables import Floats
from predictors.normal import near_cdf
from predictors.paid_prices import cdf

#: Bids from which on their tables are made in blocks of units that stay in the cache, with a tabled distribution.
WIDE_FROM, BLOCK = 2_000_000, 1024


@dataclass(frozen=True, slots=True)
class Landscape:
    """Response of every unit to its bid in a base hour.

    Attributes
    ----------
    opportunities
        (n_units,) clicks that an unbeatable bid would get in a base hour.
    median, spread
        (n_units,) median market price of a click, account currency, and log-sd.
    spend_scale
        (n_units,) factor on what second price costs; 1 but where prices seen say otherwise at the same clicks.
    auction
        How clicks are priced.
    pays, factor
        Part of the price that is the bid itself, and what a click costs over that mixture; see `payment`.
    """

    opportunities: Floats
    median: Floats
    spread: Floats
    spend_scale: Floats
    auction: Auction
    pays: float = 0.0
    factor: float = 1.0

    @classmethod
    def anchored(cls, proxy: Floats, clicks: Floats, spread: float, auction: Auction) -> "Landscape":
        """Landscape of units whose bid is unknown: `clicks` per base hour at `proxy` each."""
        shape = np.full(proxy.shape, spread)
        curve = cls(2.0 * clicks, proxy.astype(np.float64), shape, np.ones_like(shape), auction)
        paid = mean_price(np.zeros_like(shape), proxy, shape, proxy, auction)
        return cls(curve.opportunities, curve.median, shape, proxy / paid, auction)

    def levels(self, proxy: Floats, lowest: float, highest: float, n_levels: int) -> Floats:
        """(n_units, n_levels) geometric bid levels that cover market price and proxy on both sides."""
        low = lowest * np.minimum(self.median, proxy)
        high = highest * np.maximum(self.median, proxy)
        bids = np.empty((low.size, n_levels))
        _steps(low, (high / low) ** (1 / (n_levels - 1)), bids)
        return bids

    def tables(self, bids: Floats) -> tuple[Floats, Floats]:
        """Clicks and spend of a base hour at (n_units, n_levels) bids."""
        if self.auction is Auction.FIRST_PRICE:
            won = ndtr((np.log(bids) - np.log(self.median)[:, None]) / self.spread[:, None])
            clicks = self.opportunities[:, None] * won
            return clicks, (self.spend_scale * self.opportunities)[:, None] * bids * won
        clicks, spend = np.empty_like(bids), np.empty_like(bids)
        log_median, spread, volume, scale = np.log(self.median), self.spread, self.opportunities, self.spend_scale
        if bids.size < WIDE_FROM:
            _tables(bids, log_median, spread, volume, scale, self.pays, self.factor, clicks, spend)
            return clicks, spend
        for start in range(0, len(bids), BLOCK):
            of = slice(start, start + BLOCK)
            _wide_tables(
                bids[of], np.log(bids[of]), log_median[of], spread[of], volume[of], scale[of], self.pays, self.factor,
                clicks[of], spend[of],
            )  # fmt: skip
        return clicks, spend


@njit(cache=True)
def _steps(low, step, bids):
    for i in range(bids.shape[0]):
        bids[i, 0] = low[i]
        for k in range(1, bids.shape[1]):
            bids[i, k] = bids[i, k - 1] * step[i]


@njit(cache=True)
def _tables(bids, log_median, spread, opportunities, scale, pays, factor, clicks, spend):
    for i in range(bids.shape[0]):
        volume, s, per_spread = opportunities[i], spread[i], 1 / spread[i]
        second = (1 - pays) * scale[i] * volume * np.exp(log_median[i] + s * s / 2)
        for k in range(bids.shape[1]):
            z = (np.log(bids[i, k]) - log_median[i]) * per_spread
            won = volume * cdf(z)
            clicks[i, k] = won
            spend[i, k] = factor * (second * cdf(z - s) + pays * bids[i, k] * won)


@njit(cache=True)
def _wide_tables(bids, log_bids, log_median, spread, opportunities, scale, pays, factor, clicks, spend):
    for i in range(bids.shape[0]):
        volume, s, per_spread = opportunities[i], spread[i], 1 / spread[i]
        second = (1 - pays) * scale[i] * volume * np.exp(log_median[i] + s * s / 2)
        for k in range(bids.shape[1]):
            z = (log_bids[i, k] - log_median[i]) * per_spread
            won = volume * near_cdf(z)
            clicks[i, k] = won
            spend[i, k] = factor * (second * near_cdf(z - s) + pays * bids[i, k] * won)


def mean_price(z: Floats, median: Floats, spread: Floats, bid: Floats, auction: Auction) -> Floats:
    """Expected price paid per won click."""
    if auction is Auction.FIRST_PRICE:
        return np.broadcast_to(bid, np.shape(z)).astype(np.float64)
    return median * np.exp(spread**2 / 2 + log_ndtr(z - spread) - log_ndtr(z))
