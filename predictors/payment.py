r"""What a won click costs against second price, learned from prices paid and from how clicks answer to bids.

With several slots a click costs more than under second price, for two reasons: who moves up a slot pays more for all of
the clicks, and the next rival's bid lies nearer to one's own. Two numbers describe both:

    price paid = factor ((1 - omega) second price + omega bid)

Pages of 2 to 4 slots with 5 to 13 rivals are met within 3 %, by factors of 1 to 1.2 and an omega that is larger the more
a lower slot still brings. Dear clicks can mean a dear market just as well. So for each payment levels and offsets of the
market price are fitted anew, and four things are weighed: what prices paid still miss, how far the first levels lie from
the forecast, and how clicks go with bids over the units and, where bids moved, within them; a market price too high makes
both too steep. Payments are tried from a few places on, and further where they do nearly as well as the best.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.special import ndtr

from domain.tables import Floats, Ints
from predictors.elasticity import elasticity_seen
from predictors.price_level import START_SD, cdf, observe, separate

_FACTORS = (1.0, 1.06, 1.12, 1.18, 1.24)
_PARTS = (0.0, 0.08, 0.16, 0.24, 0.32, 0.4, 0.5, 0.6)
#: Payments that can be tried, as positions in both of the above: the dearer by itself, the smaller the bid's part.
_GRID = [(i, j) for i in range(len(_FACTORS)) for j in range((8, 4, 3, 3, 3)[i])]
#: The same as numbers, (n_payments, 2): factor and omega.
PAYMENTS = np.array([(_FACTORS[i], _PARTS[j]) for i, j in _GRID])
#: Prior chances: half of it on plain second price.
_PRIOR = np.where(np.arange(len(_GRID)) == 0, 1.0, 1.0 / (len(_GRID) - 1))
#: Where the search starts, and how far behind the best one (log scale) neighbours of a payment are still tried.
_STARTS, _WITHIN = ((0, 0), (0, 3), (0, 6), (2, 1)), 3.0
_STEPS = {(1, 0), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, 1)}
#: Hours and rows that the payment is learned from.
_HOURS, _ROWS = 32, 2000
#: Rows that prices paid count as at most, in what they say of the payment: the law is met only roughly.
PAID_ROWS = 600
#: Relative error of the elasticity that the right payment leaves.
ELASTICITY_SD = 0.05
#: Spread of a unit's volume around its forecast beyond what its rows tell, and of the common one.
_VOLUME_SD, _COMMON_VOLUME_SD = 0.25, 0.25


@dataclass(frozen=True, slots=True)
class PriceRows:
    """Rows of hours with known bids, in order of time; all (n_rows,).

    Attributes
    ----------
    unit, hour
        Positions; hours count from the first one.
    clicks, spend, bid
        As reported.
    log_price, spread
        Log of the forecast median price of the row's unit and hour, and log-sd of the price.
    """

    unit: Ints
    hour: Ints
    clicks: Floats
    spend: Floats
    bid: Floats
    log_price: Floats
    spread: Floats

    def some(self, chosen: Ints) -> "PriceRows":
        """Some of the rows."""
        return PriceRows(*(getattr(self, name)[chosen] for name in PriceRows.__slots__))


def learn_payment(rows: PriceRows, opportunities: Floats, n_units: int, unit_sd: float) -> Floats:
    """(n_payments,) chance of each of `PAYMENTS`, from prices paid and clicks won at known bids.

    Parameters
    ----------
    opportunities
        (n_rows,) clicks that the forecast expects at an unbeatable bid; NaN where there is none.
    unit_sd
        Prior spread of the offsets of units' market prices.
    """
    chosen = _telling(rows, n_units)
    some, due = rows.some(chosen), opportunities[chosen]
    won = np.flatnonzero((some.clicks >= 1) & (some.spend > 0))
    if won.size < 20:
        return _PRIOR / _PRIOR.sum()
    _, slot = np.unique(some.hour, return_inverse=True)
    fit = np.full(len(_GRID), -np.inf)
    waiting = [_GRID.index(start) for start in _STARTS]
    while waiting:
        for k in waiting:
            fit[k] = np.log(_PRIOR[k]) + _fit(some, slot, won, due, n_units, unit_sd, *PAYMENTS[k])
        good = {_GRID[k] for k in np.flatnonzero(fit >= fit.max() - _WITHIN)}
        waiting = [
            k for k, (i, j) in enumerate(_GRID) if fit[k] == -np.inf and any((i - a, j - b) in _STEPS for a, b in good)
        ]
    weight = np.exp(fit - fit.max())
    return weight / weight.sum()


def _fit(
    some: PriceRows, slot: Ints, won: Ints, due: Floats, n_units: int, unit_sd: float, factor: float, part: float
) -> float:
    """Log score of a payment; `slot` (n_rows,) counts the hours that rows are of."""
    n_hours = int(slot[-1]) + 1
    spend = some.spend / factor
    precision, target, steep = observe(slot, some.clicks, spend, some.bid, some.log_price, some.spread, part)
    level, offset, _, weight, *_ = separate(some.unit, slot, precision, target, steep, n_units, n_hours, unit_sd)
    middle = some.log_price + level[slot] + offset[some.unit]
    paid = _misfit(some.clicks[won], spend[won], some.bid[won], middle[won], some.spread[won], part)
    # rows share errors that no law of prices knows: all of them together count as a few
    fit = -0.125 * min(won.size, PAID_ROWS) * float(np.log(paid))
    early = some.hour[np.searchsorted(slot, np.arange(n_hours))] <= some.hour[0] + 24
    start = float(weight[early] @ level[early]) / max(float(weight[early].sum()), 1e-12)
    fit -= 0.5 * start**2 / START_SD**2 + 0.125 * float((offset**2).sum()) / unit_sd**2
    if np.isfinite(due).all():
        z = (np.log(some.bid) - middle) / some.spread
        expected = due * ndtr(z)
        fit += 0.5 * _volume_fit(some, expected, n_units)
        held, pull = elasticity_seen(some.unit, slot, some.clicks, expected, z, some.spread, n_units)
        if held > 0:
            fit -= 0.5 * (pull / held) ** 2 / (ELASTICITY_SD**2 + 1 / held)
    return fit


def _telling(rows: PriceRows, n_units: int) -> Ints:
    """Rows of hours spread over the past, and of the units with most clicks; those without a click too."""
    if not rows.hour.size:
        return np.zeros(0, np.int64)
    last = int(rows.hour[-1])
    hours = np.unique(np.linspace(0, last, _HOURS).astype(np.int64)) if last >= _HOURS else None
    found = np.arange(rows.hour.size) if hours is None else np.flatnonzero(np.isin(rows.hour, hours))
    if found.size > _ROWS:
        clicks = np.bincount(rows.unit[found], rows.clicks[found], n_units)
        rank = np.argsort(-clicks, kind="stable")
        so_far = np.cumsum(np.bincount(rows.unit[found], minlength=n_units)[rank])
        kept = np.zeros(n_units, np.bool_)
        kept[rank[: max(int(np.searchsorted(so_far, _ROWS)), 5)]] = True
        found = found[kept[rows.unit[found]]]
    return found


def _volume_fit(rows: PriceRows, due: Floats, n_units: int) -> float:
    """Log likelihood of the units' clicks where so many were due: volumes of units and the common one are uncertain."""
    clicks, expected = np.bincount(rows.unit, rows.clicks, n_units), np.bincount(rows.unit, due, n_units)
    n_rows = np.bincount(rows.unit, minlength=n_units)
    seen = (expected > 1e-9) & (clicks > 0)
    miss = np.log(clicks[seen] / expected[seen])
    variance = _VOLUME_SD**2 + 1 / clicks[seen] + 0.1 / n_rows[seen]
    held = float((1 / variance).sum()) + _COMMON_VOLUME_SD**-2
    common = float((miss / variance).sum()) / held
    return -0.5 * (float(((miss - common) ** 2 / variance).sum()) + common**2 / _COMMON_VOLUME_SD**2)


@njit(cache=True)
def _misfit(clicks, spend, bid, log_price, spread, part):
    """Mean square of what prices paid miss their expectation by, log scale, weighted by clicks."""
    total, weight = 0.0, 0.0
    for r in range(clicks.size):
        z = (np.log(bid[r]) - log_price[r]) / spread[r]
        second = np.exp(log_price[r] + 0.5 * spread[r] ** 2) * max(cdf(z - spread[r]), 1e-30) / max(cdf(z), 1e-30)
        mean = (1.0 - part) * min(second, bid[r]) + part * bid[r]
        miss = np.log(spend[r] / clicks[r] / mean)
        total += clicks[r] * miss * miss
        weight += clicks[r]
    return total / weight
