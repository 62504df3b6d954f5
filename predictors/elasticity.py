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

#: Relative prior error of the forecast elasticity: where prices paid place the market, and where clicks alone do.
PRIOR_SD, FIRST_PRICE_SD = 0.06, 0.15
#: Spread of single rows beyond counting, and bounds of the correction.
ROW_SD, BOUND = 0.35, 0.35


def elasticity_seen(
    unit: Ints, hour: Ints, clicks: Floats, due: Floats, z: Floats, spread: Floats, n_units: int
) -> tuple[float, float]:
    """Weight of what rows say of the factor on the landscape's elasticity, and its product with (factor - 1).

    Parameters are those of `elasticity_correction`. The weight is the inverse variance; 0 = too few rows.
    """
    kept = due > 0.05
    if int(kept.sum()) < 50:
        return 0.0, 0.0
    unit, hour = unit[kept], hour[kept]
    clicks, due, z, spread = clicks[kept], due[kept], z[kept], spread[kept]
    steep = np.exp(-0.5 * z**2) / (2.5066282746310002 * np.maximum(ndtr(z), 1e-12)) / spread
    return _slope(unit, hour, clicks, due.copy(), steep, z * spread, n_units, int(hour.max()) + 1)


@njit(cache=True)
def _slope(unit, hour, clicks, mean, steep, x, n_units, n_hours):
    """Sum of squares of the regressor and its product with the clicks' misses, units and hours taken out of both."""
    for _ in range(4):  # volumes of units and traffic of hours
        for at, n in ((unit, n_units), (hour, n_hours)):
            got, due = np.ones(n), np.ones(n)
            for r in range(at.size):
                got[at[r]] += clicks[r]
                due[at[r]] += mean[r]
            for r in range(at.size):
                mean[r] *= got[at[r]] / due[at[r]]
    weight = mean / (1 + ROW_SD**2 * mean)
    y = clicks / mean - 1
    usual, held = np.zeros(n_units), np.full(n_units, 1e-12)
    for r in range(unit.size):
        usual[unit[r]] += weight[r] * x[r]
        held[unit[r]] += weight[r]
    # the correction acts in proportion to the landscape's own answer; how far it answers to bids is in `mean` already
    answer = steep * (x - (usual / held)[unit])
    for _ in range(3):
        for at, n in ((hour, n_hours), (unit, n_units)):
            held, of_answer, of_y = np.full(n, 1e-12), np.zeros(n), np.zeros(n)
            for r in range(at.size):
                held[at[r]] += weight[r]
                of_answer[at[r]] += weight[r] * answer[r]
                of_y[at[r]] += weight[r] * y[r]
            for r in range(at.size):
                answer[r] -= of_answer[at[r]] / held[at[r]]
                y[r] -= of_y[at[r]] / held[at[r]]
    return (weight * answer**2).sum(), (weight * answer * y).sum()


def elasticity_correction(
    unit: Ints, hour: Ints, clicks: Floats, due: Floats, z: Floats, spread: Floats, n_units: int, prior_sd: float
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
    information, pull = elasticity_seen(unit, hour, clicks, due, z, spread, n_units)
    total = information + prior_sd**-2
    return float(np.clip(1.0 + pull / total, 1 - BOUND, 1 + BOUND)), float(total**-0.5)
