r"""Win rate and price paid as functions of the bid, from single auctions of which most were lost at an unknown price.

The log of the lowest bid that would have won auction j of unit i is

    ln p_j = c_i + m_i + e_j,      m_i ~ N(mu, tau^2),      e_j ~ g (median 0, the same for all units)

with c_i a forecast where there is one. A won auction under second price tells p_j; one that was lost at b tells p_j > b; one
that was won at an untold price (first price) tells p_j <= b. So nothing is thrown away, and nothing made up:

    log L = sum_told ln g(ln p - c - m) + sum_lost ln (1 - G(ln b - c - m)) + sum_untold ln G(ln b - c - m)

g has no shape of its own: it is found by self-consistency over bins of 5 % (Efron 1967, Turnbull 1976), with a normal
law worth a few auctions behind it, so that there is something beyond the highest bid. m_i has its whole posterior on a grid, shrunk
to mu by as much as units are alike (mu, tau and g by EM). A unit of many auctions may differ in shape too: its own law is
found in the same way, with the pool's law at its place worth `POOL_WORTH` auctions. Win rates are distribution functions:
monotone in the bid by construction. Taking won auctions alone, as if lost ones had never been held, makes every market look cheap.

Support: bids between a unit's lowest and highest are its own, bids whose distance from the unit's market lies in the
range that all units together have tried are the pool's. Beyond it the band says what is known: above the highest tried bid a
win rate is at least what it is there, and at most one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from domain.errors import InsufficientHistory, SchemaMismatch
from domain.outlook import Auction
from domain.tables import Bools, Floats, Ints

#: Width of a bin of log price, bins on either side of the middle, and how far units are looked for from it, in bins.
STEP, REACH, APART = 0.05, 140, 60
#: Auctions that the pool's law is worth against a unit's own shape.
POOL_WORTH = 30.0
#: Auctions that the normal law behind g is worth, prior spread of units and units it is worth, rounds of EM.
LAW_WORTH, UNIT_SD, UNIT_WORTH, ROUNDS = 10.0, 0.3, 5.0, 25
#: Auctions that must have been held at a distance from the market, or beyond it, for a bid there to be supported.
TRIED = 20.0
#: Half of an 80 % band in standard errors.
BAND = 1.2816
#: Levels of support.
NONE, POOLED, OWN = 0, 1, 2

_SHIFTS = np.arange(-APART, APART + 1)
_BINS = 2 * REACH


@dataclass(frozen=True, slots=True)
class Auctions:
    """Single auctions, all (n_auctions,).

    Attributes
    ----------
    unit
        Position of the unit that bid.
    bid
        Account currency, positive.
    won
        Whether the bid won.
    price
        Lowest bid that would have won, account currency; NaN where nobody told. Where one pays one's own bid, that is
        not this price: leave it NaN.
    """

    unit: Ints
    bid: Floats
    won: Bools
    price: Floats

    def __post_init__(self) -> None:
        for name, kind in (("unit", np.int64), ("bid", np.float64), ("won", np.bool_), ("price", np.float64)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
        sizes = {name: getattr(self, name).size for name in Auctions.__slots__}
        if len(set(sizes.values())) > 1:
            raise SchemaMismatch(f"auctions: columns of different length: {sizes}")
        if not (np.isfinite(self.bid) & (self.bid > 0)).all():
            raise SchemaMismatch("auctions: every bid must be a positive number; leave out auctions without a bid")
        told = np.isfinite(self.price)
        if (self.price[told] <= 0).any():
            raise SchemaMismatch("auctions: a price to win must be positive, or NaN where nobody told it")
        at = self.bid * (1 + 1e-9)
        wrong = told & np.where(self.won, self.price > at, self.price * (1 + 1e-9) < self.bid)
        if wrong.any():
            raise SchemaMismatch(
                f"auctions: {int(wrong.sum())} prices contradict the outcome (won above the bid, or lost below it); where "
                "a price is not the lowest winning bid, leave it NaN"
            )


@dataclass(frozen=True, slots=True)
class WinForecast:
    """What bids win, all (n,).

    Attributes
    ----------
    win_rate, low, high
        Chance to win, and its 80 % band.
    price_paid
        Expected price of a won auction, account currency.
    support
        `OWN`, `POOLED` or `NONE`: whose bids the answer rests on.
    """

    win_rate: Floats
    low: Floats
    high: Floats
    price_paid: Floats
    support: Ints


@dataclass(frozen=True, slots=True)
class WinRates:
    """Fitted win rates; `fit_win_rates` makes them.

    Attributes
    ----------
    auction
        How a win is priced.
    centre
        (n_units + 1,) c_i + mu, log of account currency; the last one is that of a unit never seen.
    posterior
        (n_units + 1, n_shifts) chances of m_i - mu on the grid.
    law
        (n_units + 1, n_bins) chances of ln p - centre, by bins of it.
    held
        (n_units + 1,) auctions that each law rests on, those lent by the pool included.
    unit_sd
        tau.
    lowest, highest
        (n_units + 1,) bids that the unit tried; inf and 0 where none.
    tried
        Distances (log) from a unit's market that all units together have tried.
    counts
        Auctions by what they tell: told price, lost, won at an untold price.
    """

    auction: Auction
    centre: Floats
    posterior: Floats
    law: Floats
    held: Floats
    unit_sd: float
    lowest: Floats
    highest: Floats
    tried: tuple[float, float]
    counts: tuple[int, int, int]

    def predict(self, unit: Ints, bid: Floats) -> WinForecast:
        """Win rates of (n,) units at (n,) bids; a unit of -1 was never seen."""
        unit, bid = np.asarray(unit, np.int64), np.asarray(bid, np.float64)
        at = np.log(np.maximum(bid, 1e-300)) - self.centre[unit]
        cumulated = _cumulated(self.law)
        win = np.clip(_between(cumulated, unit, at), 0.0, 1.0)  # a sum of chances passes 1 by rounding
        # where the unit may lie, lower or higher, and luck of its own auctions
        mass = np.cumsum(self.posterior, axis=1)
        mean = self.posterior @ _SHIFTS * STEP
        ends: list[Floats] = []
        for chance, sign in ((0.9, -1.0), (0.1, 1.0)):
            far = (np.argmax(mass >= chance, axis=1) - APART) * STEP - mean
            moved = _between(cumulated, unit, at - far[unit]) - win
            luck = BAND * np.sqrt(win * (1 - win) / self.held[unit])
            ends.append(np.clip(win + sign * np.hypot(moved, luck), 0.0, 1.0))
        middle = at - mean[unit]
        own = (bid >= self.lowest[unit]) & (bid <= self.highest[unit])
        below, above = (middle < self.tried[0]) & ~own, (middle > self.tried[1]) & ~own
        # beyond what was tried the law is a guess: only monotonicity is left
        edge = [_between(cumulated, unit, mean[unit] + t) for t in self.tried]
        ends[0] = np.where(below, 0.0, np.where(above, np.minimum(ends[0], edge[1]), ends[0]))
        ends[1] = np.where(above, 1.0, np.where(below, np.maximum(ends[1], edge[0]), ends[1]))
        support = np.where(own, OWN, np.where(below | above, NONE, POOLED))
        if self.auction is Auction.FIRST_PRICE:
            paid = bid.copy()
        else:
            level = np.exp(self.centre)[:, None] * np.exp((np.arange(_BINS) - REACH + 0.5) * STEP)
            spend = _between(_cumulated(self.law * level), unit, at)
            paid = np.divide(spend, win, out=bid.copy(), where=win > 1e-12)
        return WinForecast(win, np.minimum(ends[0], win), np.maximum(ends[1], win), np.minimum(paid, bid), support)

    def tables(self, bids: Floats) -> tuple[Floats, Floats]:
        """Wins and spend per auction at (n_units, n_levels) bids: the response of every unit that was fitted."""
        n, levels = bids.shape
        found = self.predict(np.repeat(np.arange(n), levels), bids.ravel())
        return found.win_rate.reshape(n, levels), (found.win_rate * found.price_paid).reshape(n, levels)

    def score(self, auctions: Auctions) -> dict[str, float]:
        """How auctions that were not learned from are told: log loss of won or lost, against one constant rate.

        ``ratio`` is wins predicted over wins seen, ``price_ratio`` the money that won auctions were expected to cost over
        what they did, where their prices are told (NaN where none is).
        """
        found = self.predict(auctions.unit, auctions.bid)
        won, p = auctions.won, np.clip(found.win_rate, 1e-9, 1 - 1e-9)
        rate = float(np.clip(won.mean(), 1e-9, 1 - 1e-9)) if won.size else 0.5
        paid = won & (
            np.isfinite(auctions.price) if self.auction is Auction.SECOND_PRICE else np.ones(won.size, np.bool_)
        )
        cost = auctions.price if self.auction is Auction.SECOND_PRICE else auctions.bid
        return {
            "log_loss": float(-np.where(won, np.log(p), np.log1p(-p)).mean()) if won.size else float("nan"),
            "log_loss_constant": float(-(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))),
            "ratio": float(p.sum() / won.sum()) if won.any() else float("nan"),
            "price_ratio": float(found.price_paid[paid].sum() / cost[paid].sum()) if paid.any() else float("nan"),
            "auctions": float(won.size),
        }

    def manifest(self) -> dict[str, Any]:
        """What this rests on, for a person and for a registry."""
        middle = (np.arange(_BINS) - REACH + 0.5) * STEP
        law = self.law[-1]
        mean = float(law @ middle)
        return {
            "model": "win rate, censored likelihood",
            "auction": self.auction.value,
            "units": self.centre.size - 1,
            "told_prices": self.counts[0],
            "lost": self.counts[1],
            "won_untold": self.counts[2],
            "price_spread": float(np.sqrt(law @ (middle - mean) ** 2)),
            "unit_spread": self.unit_sd,
            "tried": list(self.tried),
        }


def fit_win_rates(
    auctions: Auctions, n_units: int, auction: Auction = Auction.SECOND_PRICE, forecast: Floats | None = None
) -> WinRates:
    """Win rates from single auctions.

    Parameters
    ----------
    auctions
        What happened; at least one.
    n_units
        Units in all; those without an auction get the pool's law and a wide band.
    forecast
        (n_units,) market price that is believed beforehand, account currency; ``None`` = one for all.
    """
    if not auctions.bid.size:
        raise InsufficientHistory("no auction was held: there is nothing to learn win rates from")
    if auctions.unit.min() < 0 or auctions.unit.max() >= n_units:
        raise SchemaMismatch(f"auctions: units must lie between 0 and {n_units - 1}")
    log_bid = np.log(auctions.bid)
    told = np.isfinite(auctions.price)
    log_price = np.log(np.where(told, auctions.price, auctions.bid))
    belief = np.zeros(n_units) if forecast is None else np.log(forecast)
    start = float(np.median(np.minimum(log_price, log_bid) - belief[auctions.unit]))
    away, bid_away = (x - belief[auctions.unit] - start for x in (log_price, log_bid))
    exact, lost, untold = told, ~told & ~auctions.won, ~told & auctions.won
    seen = _counts(auctions.unit[exact], np.floor(away[exact] / STEP), n_units)
    # a bid is a border between bins: so many of them lie below it
    over, under = (_counts(auctions.unit[c], np.rint(bid_away[c] / STEP), n_units) for c in (lost, untold))
    middle = (np.arange(_BINS) - REACH + 0.5) * STEP
    density = np.exp(-0.5 * (middle / 0.7) ** 2)
    density /= density.sum()
    mu, tau = 0, UNIT_SD
    posterior = np.zeros((n_units, _SHIFTS.size))
    for _ in range(ROUNDS):
        posterior = _locate(seen, over, under, density, tau, mu)
        density = _shape([_aligned(posterior, c, mu) for c in (seen, over, under)], density)
        # the median of g stays at 0: what it moved by is the market's
        half = int(np.searchsorted(np.cumsum(density), 0.5)) - REACH
        mean = float((posterior @ _SHIFTS).mean())
        spread = float((posterior @ _SHIFTS**2).mean()) - mean**2
        tau = float(np.sqrt((spread * STEP**2 * n_units + UNIT_WORTH * UNIT_SD**2) / (n_units + UNIT_WORTH)))
        mu, density = mu + half + round(mean), _rolled(density, -half)
    posterior = _locate(seen, over, under, density, tau, mu)
    new = _prior(tau)
    everybody = np.concatenate([posterior, new[None]])
    pool = _predictive(everybody, density, 0)
    none = np.zeros((1, _BINS))
    counts = [_moved(np.concatenate([c, none]), mu) for c in (seen, over, under)]
    law = pool.copy()
    for _ in range(ROUNDS):
        law = _own(counts, law, pool)
    held = sum((c.sum(1) for c in counts), np.full(n_units + 1, POOL_WORTH))
    centre = np.concatenate([belief, [belief.mean()]]) + start + mu * STEP
    lowest, highest = np.full(n_units + 1, np.inf), np.zeros(n_units + 1)
    np.minimum.at(lowest, auctions.unit, auctions.bid)
    np.maximum.at(highest, auctions.unit, auctions.bid)
    shift = posterior @ _SHIFTS * STEP
    distance = np.sort(log_bid - (centre[:-1] + shift)[auctions.unit])
    few = int(min(TRIED, max(distance.size // 2, 1))) - 1
    return WinRates(
        auction, centre, everybody, law, held, tau, lowest, highest,
        (float(distance[few]), float(distance[distance.size - 1 - few])),
        (int(exact.sum()), int(lost.sum()), int(untold.sum())),
    )  # fmt: skip


def _counts(unit: Ints, position: Floats, n_units: int) -> Floats:
    """(n_units, n_bins) how many lie in each bin; those beyond the ends lie in the last ones."""
    bin_ = np.clip(position.astype(np.int64) + REACH, 0, _BINS - 1)
    return np.bincount(unit * _BINS + bin_, minlength=n_units * _BINS).reshape(n_units, _BINS).astype(np.float64)


def _cumulated(law: Floats) -> Floats:
    """(n, n_bins + 1) sums of what lies below each border."""
    return np.concatenate([np.zeros((law.shape[0], 1)), np.cumsum(law, axis=1)], axis=1)


def _between(table: Floats, unit: Ints, at: Floats) -> Floats:
    """Cumulated (n_units, n_bins + 1) tables of units at log distances, straight lines between borders."""
    place = np.clip(at / STEP + REACH, 0.0, float(_BINS))
    low = np.minimum(place.astype(np.int64), _BINS - 1)
    left = table[unit, low]
    return left + (place - low) * (table[unit, low + 1] - left)


def _moved(counts: Floats, by: int) -> Floats:
    """Counts (n, n_bins) from a middle that lies so many bins higher."""
    to = np.clip(np.arange(_BINS) - by, 0, _BINS - 1)
    out = np.zeros_like(counts)
    np.add.at(out.T, to, counts.T)
    return out


def _predictive(posterior: Floats, density: Floats, mu: int) -> Floats:
    """(n, n_bins) law of the pool at the places where each unit may lie."""
    inside = np.arange(_BINS)[None] - (_SHIFTS + mu)[:, None]
    shifted = np.where((inside >= 0) & (inside < _BINS), density[np.clip(inside, 0, _BINS - 1)], 0.0)
    law = posterior @ shifted
    return law / law.sum(1, keepdims=True)


def _prior(tau: float) -> Floats:
    chance = np.exp(-0.5 * (_SHIFTS * STEP / tau) ** 2)
    return chance / chance.sum()


def _rolled(values: Floats, by: int) -> Floats:
    """Bins moved up by so many; what leaves stays in the last one."""
    return np.bincount(np.clip(np.arange(values.size) + by, 0, values.size - 1), values, values.size).astype(np.float64)


def _locate(seen: Floats, over: Floats, under: Floats, density: Floats, tau: float, mu: int) -> Floats:
    """(n_units, n_shifts) posterior of m_i - mu."""
    below = np.concatenate([[0.0], np.cumsum(density)])[:-1]  # share of g below the border before each bin
    rows = np.arange(_BINS)[:, None] - (_SHIFTS + mu)[None]
    inside = np.clip(rows, 0, _BINS - 1)
    fit = seen @ np.log(np.maximum(density, 1e-9))[inside]
    fit += over @ np.log(np.maximum(1 - below, 1e-9))[inside]
    fit += under @ np.log(np.maximum(below, 1e-9))[inside]
    fit += np.log(np.maximum(_prior(tau), 1e-300))
    fit -= fit.max(1, keepdims=True)
    chance = np.exp(fit)
    return chance / chance.sum(1, keepdims=True)


def _aligned(posterior: Floats, counts: Floats, mu: int) -> Floats:
    """(n_bins,) counts of all units by distance from where each unit lies."""
    to = np.clip(np.arange(_BINS)[None] - (_SHIFTS + mu)[:, None], 0, _BINS - 1)
    return np.bincount(to.ravel(), (posterior.T @ counts).ravel(), _BINS).astype(np.float64)


def _shape(counts: list[Floats], density: Floats) -> Floats:
    """Density g by a few self-consistency steps, with a normal law behind it."""
    middle = (np.arange(_BINS) - REACH + 0.5) * STEP
    for _ in range(4):
        mean = float(density @ middle)
        sd = float(np.sqrt(max(density @ (middle - mean) ** 2, STEP**2)))
        law = np.exp(-0.5 * ((middle - mean) / sd) ** 2)
        density = _own([c[None] for c in counts], density[None], law[None] / law.sum(), LAW_WORTH)[0]
        density = np.maximum(density, 1e-12)
        density /= density.sum()
    return density


def _own(counts: list[Floats], law: Floats, base: Floats, worth: float = POOL_WORTH) -> Floats:
    """One self-consistency step of (n, n_bins) laws from counts of told, lost and untold won prices."""
    seen, over, under = counts
    below = _cumulated(law)[:, :-1]
    # an auction lost at a border lies in the bins from there on, one won at an untold price in those before it
    share = under / np.maximum(below, 1e-9)
    spread = np.cumsum(over / np.maximum(1 - below, 1e-9), axis=1)
    spread += np.cumsum(share[:, ::-1], axis=1)[:, ::-1] - share
    total = seen + law * spread + worth * base
    return total / total.sum(1, keepdims=True)
