r"""Auctions for slots: what a bid buys against rivals, in expectation and shopper by shopper.

A shopper's page has S slots; slot s gets gamma_s = decay^s of the clicks that the top slot gets. Rivals' scores are
independent, log score_r = log level_r + noise, noise normal with sd sigma, or tail_factor sigma in a share of the auctions.
With x = bid / price level of the unit, N = rivals above x, Y = highest score below x (0 if none):

    clicks per opportunity   q(x) = E[ gamma_N 1{N < S} ]
    spend over price level   c(x) = E[ gamma_N max(Y, reserve) 1{N < S} ]      GSP
                             c(x) = x q(x)                                     first price

Exactly N above x and all others below y <= x has the Poisson-binomial probability with P(above) = 1 - F_r(x) and
P(below y) = F_r(y); c(x) integrates its tail over y on the grid. Curves are tabulated on a grid of x by category
and hour; between grid points they are interpolated in log x.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from domain.tables import Bools, Floats, Ints
from market.scenario import AuctionPart, Pricing

#: Grid of bids over price levels.
GRID = np.geomspace(0.1, 40.0, 121)
_LOG_GRID = np.log(GRID)
#: Least score that wins a free slot: the platform's reserve price over the price level.
RESERVE = 0.1
_SQRT2 = math.sqrt(2.0)


@njit(cache=True)
def _below(log_x: float, log_level: float, noise: float, tail_share: float, tail: float) -> float:
    """Probability that a rival's score is below x."""
    z = (log_x - log_level) / noise
    thin = 0.5 * math.erfc(-z / _SQRT2)
    return (1 - tail_share) * thin + tail_share * 0.5 * math.erfc(-z / tail / _SQRT2)


@njit(cache=True)
def _curve(levels, noise, tail_share, tail, decay, slots, first_price, log_grid, grid, reserve, q, c, top, shown):
    """Curve of one category and hour into q, c, top and shown, each (n_grid,)."""
    n_grid, n = grid.size, levels.size
    below = np.empty((n_grid, n))
    for k in range(n_grid):
        for r in range(n):
            below[k, r] = _below(log_grid[k], levels[r], noise, tail_share, tail)
    exact = np.empty(slots)
    for k in range(n_grid):
        spend = 0.0
        previous = np.zeros(slots)  # P(N = s, Y <= y) at the last y
        for j in range(k + 1):
            for s in range(slots):
                exact[s] = 0.0
            exact[0] = 1.0
            for r in range(n):
                up, down = 1.0 - below[k, r], below[j, r]
                for s in range(slots - 1, -1, -1):
                    exact[s] = exact[s] * down + (exact[s - 1] * up if s > 0 else 0.0)
            # mass of Y between the last grid point and this one, at its geometric middle
            price = reserve if j == 0 else max(math.sqrt(grid[j] * grid[j - 1]), reserve)
            factor = 1.0
            for s in range(slots):
                spend += factor * (exact[s] - previous[s]) * price
                previous[s] = exact[s]
                factor *= decay
        factor, clicks = 1.0, 0.0
        for s in range(slots):
            clicks += factor * previous[s]
            factor *= decay
        q[k] = clicks
        c[k] = grid[k] * clicks if first_price else spend
        top[k] = previous[0]
        shown[k] = previous.sum()


@njit(cache=True)
def hold_auctions(unit, bid_over_level, scores, first, count, luck, decay, slots, reserve, slot, price):
    """Slot (-1 = no click) and price over level (of the next below) of each opportunity."""
    for i in range(unit.size):
        x = bid_over_level[unit[i]]
        above, best = 0, reserve
        for r in range(first[unit[i]], first[unit[i]] + count[unit[i]]):
            s = scores[i, r - first[unit[i]]]
            if s > x:
                above += 1
            elif s > best:
                best = s
        slot[i] = -1
        if x >= reserve * (1 - 1e-9) and above < slots and luck[i] < decay**above:
            slot[i] = above
            price[i] = best


@njit(cache=True)
def _envelope(clicks, spend, marginal, vertex):
    """Upper concave envelope of clicks over spend from the origin.

    `vertex` gets the grid positions of its vertices and then -1, `marginal` the price of a click up to each, rising.
    """
    m = 0
    for k in range(clicks.size):
        while True:
            q0 = clicks[vertex[m - 1]] if m > 0 else 0.0
            c0 = spend[vertex[m - 1]] if m > 0 else 0.0
            if clicks[k] <= q0 + 1e-15:
                break
            slope = max(spend[k] - c0, 0.0) / (clicks[k] - q0)
            if m > 0 and slope <= marginal[m - 1]:
                m -= 1
                continue
            vertex[m], marginal[m] = k, slope
            m += 1
            break
    for k in range(m, clicks.size):
        vertex[k], marginal[k] = -1, np.inf


@njit(cache=True)
def _choose(worth, category, marginal, vertex, grid, best):
    """Grid bid of each unit and hour: the last vertex whose clicks cost no more than they are worth; 0 = none."""
    for i in range(worth.shape[0]):
        for h in range(worth.shape[1]):
            k = np.searchsorted(marginal[category[i], h], worth[i, h], side="right")
            best[i, h] = grid[vertex[category[i], h, k - 1]] if k > 0 else 0.0


def envelopes(clicks: Floats, spend: Floats) -> tuple[Floats, Ints]:
    """Marginal click prices and vertices of all tables (n_categories, n_hours, n_grid)."""
    marginal, vertex = np.empty(clicks.shape), np.empty(clicks.shape, np.int64)
    for c in range(clicks.shape[0]):
        for h in range(clicks.shape[1]):
            _envelope(clicks[c, h], spend[c, h], marginal[c, h], vertex[c, h])
    return marginal, vertex


@dataclass(frozen=True, slots=True)
class ArenaCurves:
    """Expected response of every unit and hour against rivals as they were; satisfies `market.fluid.Curves`.

    Attributes
    ----------
    opportunities
        (n_units, n_hours) shoppers who would click in the top slot; invalid clicks not counted.
    level
        (n_units, n_hours) price level, account currency.
    cvr, order_value
        (n_units, n_hours) orders per click and (n_units,) value of one, as in `market.truth.Truth`; net of refunds.
    category
        (n_units,) category of each unit.
    clicks_at, spend_at
        (n_categories, n_hours, n_grid) per opportunity, spend over price level, at `GRID`.
    marginal, vertex
        Envelopes of the tables: see `envelopes`.
    """

    opportunities: Floats
    level: Floats
    cvr: Floats
    order_value: Floats
    category: Ints
    clicks_at: Floats
    spend_at: Floats
    marginal: Floats
    vertex: Ints

    @property
    def click_value(self) -> Floats:
        """(n_units, n_hours) expected gmv of a click."""
        return self.cvr * self.order_value[:, None]

    @property
    def lowest_theta(self) -> float:
        """Price of money at which every unit takes the top of the grid."""
        worth = self.click_value > 0
        return float((self.click_value[worth] / self.level[worth]).min(initial=np.inf)) / 1e6

    @property
    def most_gmv(self) -> float:
        """Expected gmv of all opportunities."""
        return float((self.opportunities * self.click_value).sum())

    def at_hour(self, hour: int) -> "ArenaCurves":
        """Curves of one hour, as arrays of one column."""
        one = slice(hour, hour + 1)
        return ArenaCurves(
            self.opportunities[:, one],
            self.level[:, one],
            self.cvr[:, one],
            self.order_value,
            self.category,
            self.clicks_at[:, one],
            self.spend_at[:, one],
            self.marginal[:, one],
            self.vertex[:, one],
        )

    def best_bids(self, theta: float, offset: float = 0.0) -> Floats:
        """(n_units, n_hours) grid bids that maximise gmv + offset clicks - theta spend; 0 where no bid is worth it."""
        worth = (self.click_value + offset) / (
            theta * self.level
        )  # click value over price level, at this price of money
        best = np.zeros(worth.shape)
        _choose(worth, self.category, self.marginal, self.vertex, GRID, best)
        return best * self.level

    def subset(self, units: Bools) -> "ArenaCurves":
        """Curves of some units."""
        return replace(
            self,
            opportunities=self.opportunities[units],
            level=self.level[units],
            cvr=self.cvr[units],
            order_value=self.order_value[units],
            category=self.category[units],
        )

    def response(self, bids: Floats) -> tuple[Floats, Floats]:
        """Expected (clicks, spend), each (n_units, n_hours), at bids of that shape; a bid of 0 is a pause."""
        with np.errstate(divide="ignore"):
            place = (np.log(bids / self.level) - _LOG_GRID[0]) / (_LOG_GRID[1] - _LOG_GRID[0])
        there = place >= 0
        place = np.clip(np.where(there, place, 0.0), 0, GRID.size - 1.0 - 1e-9)
        low = place.astype(np.int64)
        share = place - low
        c, h = self.category[:, None], np.arange(bids.shape[1])[None, :]
        clicks = self.clicks_at[c, h, low] * (1 - share) + self.clicks_at[c, h, low + 1] * share
        spend = self.spend_at[c, h, low] * (1 - share) + self.spend_at[c, h, low + 1] * share
        n = self.opportunities * there
        return n * clicks, n * self.level * spend


@dataclass(frozen=True, slots=True)
class Tables:
    """What bids of `GRID` get per opportunity, each (n_categories, n_hours, n_grid).

    Attributes
    ----------
    clicks, spend
        Clicks, and spend over the price level.
    top, shown
        Chance of the top slot, and of any.
    """

    clicks: Floats
    spend: Floats
    top: Floats
    shown: Floats


def tabulate(part: AuctionPart, log_level: Floats, category: Ints) -> Tables:
    """Tables against rivals at (n_rivals, n_hours) log levels."""
    shape = (part.categories, log_level.shape[1], GRID.size)
    q, c, top, shown = (np.zeros(shape) for _ in range(4))
    for k in range(part.categories):
        mine = log_level[category == k]
        for h in range(shape[1]):
            awake = mine[:, h]
            _curve(
                awake[np.isfinite(awake)], part.noise, part.tail_share, part.tail_factor, part.slot_decay, part.slots,
                part.pricing is Pricing.FIRST_PRICE, _LOG_GRID, GRID, RESERVE, q[k, h], c[k, h], top[k, h], shown[k, h],
            )  # fmt: skip
    return Tables(q, c, top, shown)
