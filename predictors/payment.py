r"""What a won click costs against second price, learned from prices paid and from how clicks answer to bids.

With several slots a click costs more than under second price, for two reasons: who moves up a slot pays more for all of
the clicks, and the next rival's bid lies nearer to one's own. Two numbers describe both:

    price paid = factor ((1 - omega) second price + omega bid)

Pages of 2 to 4 slots with 5 to 13 rivals are met within 3 %, by factors of 1 to 1.2 and an omega that is larger the more
a lower slot still brings. Dear clicks can mean a dear market just as well. So for each payment levels and offsets of the
market price are fitted anew, around the forecast as it stands once what it absorbed of that payment is taken out, and four things are weighed: what prices paid still miss, how far the first levels lie from
the forecast, and how clicks go with bids over the units and, where bids moved, within them; a market price too high makes
both too steep. Payments are tried from a few places on, and further where they do nearly as well as the best.
"""

import numpy as np
from numba import njit
from scipy.special import ndtr

from domain.tables import Floats, Ints
from predictors.bid_rows import BidRows
from predictors.elasticity import elasticity_seen
from predictors.paid_prices import cdf, observe, separate
from predictors.price_level import START_SD

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


def learn_payment(rows: BidRows, unit_sd: float, absorbed: Floats | None = None) -> Floats:
    """(n_payments,) chance of each of `PAYMENTS`, from prices paid and clicks won at known bids.

    Parameters
    ----------
    unit_sd
        Prior spread of the offsets of units' market prices.
    absorbed
        (n_payments, 3) what forecasts have absorbed of each payment: see `absorbed`; ``None`` = nothing.
    """
    some, hours = rows.some(_telling(rows))
    won = np.flatnonzero((some.clicks >= 1) & (some.spend > 0))
    if won.size < 20:
        return _PRIOR / _PRIOR.sum()
    laws = np.zeros((len(_GRID), 3)) if absorbed is None else absorbed
    fit = np.full(len(_GRID), -np.inf)
    waiting = [_GRID.index(start) for start in _STARTS]
    while waiting:
        for k in waiting:
            fit[k] = np.log(_PRIOR[k]) + _fit(some.with_law(*laws[k]), hours, won, rows.n_units, unit_sd, *PAYMENTS[k])
        good = {_GRID[k] for k in np.flatnonzero(fit >= fit.max() - _WITHIN)}
        waiting = [
            k for k, (i, j) in enumerate(_GRID) if fit[k] == -np.inf and any((i - a, j - b) in _STEPS for a, b in good)
        ]
    weight = np.exp(fit - fit.max())
    return weight / weight.sum()


def _fit(some: BidRows, hours: Ints, won: Ints, n_all: int, unit_sd: float, factor: float, part: float) -> float:
    """Log score of a payment; `hours` (n_hours,) are those of the rows, `n_all` counts units without rows too."""
    seen = observe(some, factor, part)
    level, offset, _, weight, *_ = separate(*seen, some.n_hours, unit_sd, n_all)
    middle = some.log_price + level[some.hour] + offset[some.unit]
    spread = some.spread[some.unit]
    paid = _misfit(some.clicks[won], some.spend[won] / factor, some.bid[won], middle[won], spread[won], part)
    # rows share errors that no law of prices knows: all of them together count as a few
    fit = -0.125 * min(won.size, PAID_ROWS) * float(np.log(paid))
    early = hours <= hours[0] + 24
    start = float(weight[early] @ level[early]) / max(float(weight[early].sum()), 1e-12)
    fit -= 0.5 * start**2 / START_SD**2 + 0.125 * float((offset**2).sum()) / unit_sd**2
    due = some.coming
    if np.isfinite(due).all():
        z = (np.log(some.bid) - middle) / spread
        expected = due * ndtr(z)
        fit += 0.5 * _volume_fit(some, expected)
        held, pull = elasticity_seen(some.unit, some.hour, some.clicks, expected, z, spread, some.n_units)
        if held > 0:
            fit -= 0.5 * (pull / held) ** 2 / (ELASTICITY_SD**2 + 1 / held)
    return fit


def _telling(rows: BidRows) -> Ints:
    """Rows of hours spread over the past, and of the units with most clicks; those without a click too."""
    chosen = np.ones(rows.n_hours, np.bool_)
    if rows.n_hours > _HOURS:
        chosen[:] = False
        chosen[np.linspace(0, rows.n_hours - 1, _HOURS).astype(np.int64)] = True
    clicks, n_rows = _busy(rows.unit, rows.hour, rows.clicks, chosen, rows.n_units)
    kept = np.ones(rows.n_units, np.bool_)
    if n_rows.sum() > _ROWS:
        rank = np.argsort(-clicks, kind="stable")
        so_far = np.cumsum(n_rows[rank])
        kept[:] = False
        kept[rank[: max(int(np.searchsorted(so_far, _ROWS)), 5)]] = True
    return _of_busy(rows.unit, rows.hour, chosen, kept, int(n_rows[kept].sum()))


@njit(cache=True)
def _busy(unit, hour, clicks, chosen, n_units):
    """(n_units,) clicks and rows in hours that are chosen."""
    got, n_rows = np.zeros(n_units), np.zeros(n_units, np.int64)
    for r in range(unit.size):
        if chosen[hour[r]]:
            got[unit[r]] += clicks[r]
            n_rows[unit[r]] += 1
    return got, n_rows


@njit(cache=True)
def _of_busy(unit, hour, chosen, kept, n):
    """(n,) positions of rows in hours that are chosen of units that are kept."""
    found, k = np.empty(n, np.int64), 0
    for r in range(unit.size):
        if chosen[hour[r]] and kept[unit[r]]:
            found[k] = r
            k += 1
    return found


def _volume_fit(rows: BidRows, due: Floats) -> float:
    """Log likelihood of the units' clicks where so many were due: volumes of units and the common one are uncertain."""
    n_units = rows.n_units
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
