"""How clicks answer to bids, learned from bids that moved: what the forecast spread of prices says, corrected.

A unit's clicks in an hour go with its own volume, with the hour's traffic, and with its bid:

    clicks_ih ~ a_i t_h due_ih (b_ih / usual_ih)^delta

due_ih is what the forecast landscape expects; delta is the elasticity that it misses. Units and hours are taken out
(their volumes and traffic say nothing of bids), and delta is the weighted slope of what is left on the logarithm of the
bid, shrunk to 0: a tenth of dithering over a day and 60 units tells it to within a tenth. The spread of prices is scaled
so that the landscape's elasticity moves by it.
"""

import numpy as np
from numba import njit
from scipy.special import ndtr

from domain.tables import Floats, Ints
from predictors.apart import Apart, Groups
from predictors.bid_rows import BidRows
from predictors.paid_prices import cdf
from predictors.rows import Positions

#: Relative prior error of the forecast elasticity: where prices paid place the market, and where clicks alone do.
PRIOR_SD, FIRST_PRICE_SD = 0.06, 0.15
#: Spread of single rows beyond counting, and bounds of the correction.
ROW_SD, BOUND = 0.35, 0.35
#: Clicks that must be due for a row to count, and rows that must be there.
LEAST_DUE, LEAST_ROWS = 0.05, 50


def elasticity_seen(
    unit: Ints | Positions, hour: Ints | Positions, clicks: Floats, due: Floats, z: Floats, spread: Floats, n_units: int
) -> tuple[float, float]:
    """Weight of what rows say of the factor on the landscape's elasticity, and its product with (factor - 1).

    Parameters are those of `elasticity_correction`. The weight is the inverse variance; 0 = too few rows.
    """
    kept = due > LEAST_DUE
    if int(kept.sum()) < LEAST_ROWS:
        return 0.0, 0.0
    at = (unit[kept].astype(np.int32, copy=False), hour[kept].astype(np.int32, copy=False))
    z, spread = z[kept], spread[kept]
    steep = np.exp(-0.5 * z**2) / (2.5066282746310002 * np.maximum(ndtr(z), 1e-12)) / spread
    return _slope(*at, clicks[kept], due[kept], steep, z * spread, n_units, int(at[1].max()) + 1)


@njit(cache=True)
def _answers(
    unit, hour, clicks, bid, middle, market, group, apart, spread, traffic, per_hour,
    of_unit, of_hour, got, due, steep, distance,
):  # fmt: skip
    """Writes rows of which enough is due: clicks, what is due, the landscape's elasticity, and how far the bid lies from the
    market price.
    """
    k = 0
    for r in range(unit.size):
        u, h = unit[r], hour[r]
        most = traffic[h] * per_hour[u]
        if most <= LEAST_DUE:
            continue
        x = np.log(bid[r]) - middle[u] - market[h] - apart[group[u], h]
        z = x / spread[u]
        won = cdf(z)
        expected = most * won
        if expected > LEAST_DUE:
            of_unit[k], of_hour[k], got[k], due[k], distance[k] = u, h, clicks[r], expected, x
            steep[k] = np.exp(-0.5 * z * z) / (2.5066282746310002 * max(won, 1e-12)) / spread[u]
            k += 1
    return k


@njit(cache=True)
def _slope(unit, hour, clicks, mean, steep, x, n_units, n_hours):
    """Sum of squares of the regressor and its product with the clicks' misses, units and hours taken out of both.

    The arrays of rows are written over: the memory of millions of rows is what this costs.
    """
    n = unit.size
    got_unit, got_hour = np.ones(n_units), np.ones(n_hours)
    for r in range(n):
        got_unit[unit[r]] += clicks[r]
        got_hour[hour[r]] += clicks[r]
    of_unit, of_hour = np.ones(n_units), np.ones(n_hours)  # volumes of units and traffic of hours
    for _ in range(4):
        due = np.zeros(n_units)
        for r in range(n):
            due[unit[r]] += mean[r] * of_hour[hour[r]]
        of_unit *= got_unit / (1.0 + due * of_unit)
        due = np.zeros(n_hours)
        for r in range(n):
            due[hour[r]] += mean[r] * of_unit[unit[r]]
        of_hour *= got_hour / (1.0 + due * of_hour)
    weight, y, answer = mean, clicks, steep
    usual, held_unit, held_hour = np.zeros(n_units), np.full(n_units, 1e-12), np.full(n_hours, 1e-12)
    for r in range(n):
        u, h = unit[r], hour[r]
        expected = mean[r] * of_unit[u] * of_hour[h]
        w = expected / (1 + ROW_SD**2 * expected)
        y[r] = clicks[r] / expected - 1
        weight[r] = w
        usual[u] += w * x[r]
        held_unit[u] += w
        held_hour[h] += w
    usual /= held_unit
    a_unit, y_unit = np.zeros(n_units), np.zeros(n_units)
    a_hour, y_hour = np.zeros(n_hours), np.zeros(n_hours)
    for turn in range(3):  # means of hours and of units, taken out as the next ones are reckoned
        a_hour[:] = 0.0
        y_hour[:] = 0.0
        for r in range(n):
            u, h = unit[r], hour[r]
            if turn == 0:
                # the correction acts in proportion to the landscape's own answer; how far it answers to bids is in `mean`
                answer[r] = steep[r] * (x[r] - usual[u])
            else:
                answer[r] -= a_unit[u]
                y[r] -= y_unit[u]
            a_hour[h] += weight[r] * answer[r]
            y_hour[h] += weight[r] * y[r]
        a_hour /= held_hour
        y_hour /= held_hour
        a_unit[:] = 0.0
        y_unit[:] = 0.0
        for r in range(n):
            u, h = unit[r], hour[r]
            answer[r] -= a_hour[h]
            y[r] -= y_hour[h]
            a_unit[u] += weight[r] * answer[r]
            y_unit[u] += weight[r] * y[r]
        a_unit /= held_unit
        y_unit /= held_unit
    squares, product = 0.0, 0.0
    for r in range(n):
        a = answer[r] - a_unit[unit[r]]
        squares += weight[r] * a * a
        product += weight[r] * a * (y[r] - y_unit[unit[r]])
    return squares, product


def elasticity_of(
    rows: BidRows, middle: Floats, market: Floats, prior_sd: float, apart: Apart | None = None
) -> tuple[float, float]:
    """As `elasticity_correction`, of rows of forecasts.

    Market prices are, as logarithms, `middle` of the unit, `market` of the hour, and what the unit's category is `apart`.
    """
    if apart is None:
        apart = Apart.nothing(Groups.none(rows.n_units, rows.n_hours), rows.n_hours)
    per_hour = rows.per_hour if np.isfinite(rows.per_hour).all() else np.ones(rows.n_units)
    n = rows.unit.size
    at, told = [np.empty(n, np.int32) for _ in range(2)], [np.empty(n, rows.kind) for _ in range(4)]
    k = _answers(
        rows.unit, rows.hour, rows.clicks, rows.bid, middle, market, apart.of_unit, apart.past, rows.spread, rows.traffic, per_hour,
        at[0], at[1], told[0], told[1], told[2], told[3],
    )  # fmt: skip
    if k < LEAST_ROWS:
        return _shrunk(0.0, 0.0, prior_sd)
    clicks, due, steep, distance = (column[:k] for column in told)
    found = _slope(at[0][:k], at[1][:k], clicks, due, steep, distance, rows.n_units, rows.n_hours)
    return _shrunk(*found, prior_sd)


def elasticity_correction(
    unit: Ints | Positions,
    hour: Ints | Positions,
    clicks: Floats,
    due: Floats,
    z: Floats,
    spread: Floats,
    n_units: int,
    prior_sd: float,
) -> tuple[float, float]:
    """Factor on the landscape's elasticity, shrunk to 1, and its relative error.

    Parameters
    ----------
    unit, hour, clicks
        (n_rows,) rows; hour counts from 0.
    due
        (n_rows,) clicks that the landscape expects.
    z, spread
        (n_rows,) standardised log bid, and the log-sd of prices.
    prior_sd
        Relative prior error of the landscape's elasticity.
    """
    return _shrunk(*elasticity_seen(unit, hour, clicks, due, z, spread, n_units), prior_sd)


def _shrunk(information: float, pull: float, prior_sd: float) -> tuple[float, float]:
    total = information + prior_sd**-2
    return float(np.clip(1.0 + pull / total, 1 - BOUND, 1 + BOUND)), float(total**-0.5)
