"""How clicks answer to bids, learned from bids that moved: what the forecast spread of prices says, corrected.

A unit's clicks in an hour go with its own volume, with the hour's traffic, and with its bid:

    clicks_ih ~ a_i t_h due_ih (b_ih / usual_ih)^delta

due_ih is what the forecast landscape expects; delta is the elasticity that it misses. Units and hours are taken out
(their volumes and traffic say nothing of bids), and delta is the weighted slope of what is left on the logarithm of the
bid, shrunk to 0: a tenth of dithering over a day and 60 units tells it to within a tenth. The spread of prices is scaled
so that the landscape's elasticity moves by it.
"""

import numpy as np
from scipy.special import ndtr

from domain.tables import Floats, Ints
from predictors.sums import summed

#: Relative prior error of the forecast elasticity, spread of single rows beyond counting, and bounds of the correction.
PRIOR_SD, ROW_SD, BOUND = 0.15, 0.35, 0.35


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
    n_hours = int(hour.max()) + 1
    # bids against the market: how far the landscape answers to them is in `due` already
    steep = np.exp(-0.5 * z**2) / (2.5066282746310002 * np.maximum(ndtr(z), 1e-12)) / spread
    x = z * spread
    mean = due.copy()
    for _ in range(4):  # volumes of units and traffic of hours
        mean *= ((summed(unit, clicks, n_units) + 1) / (summed(unit, mean, n_units) + 1))[unit]
        mean *= ((summed(hour, clicks, n_hours) + 1) / (summed(hour, mean, n_hours) + 1))[hour]
    weight = mean / (1 + ROW_SD**2 * mean)
    y = clicks / mean - 1
    # the correction acts in proportion to the landscape's own answer
    answer = steep * (x - (summed(unit, weight * x, n_units) / np.maximum(summed(unit, weight, n_units), 1e-12))[unit])
    for _ in range(3):
        for at, n in ((hour, n_hours), (unit, n_units)):
            held = np.maximum(summed(at, weight, n), 1e-12)
            answer = answer - (summed(at, weight * answer, n) / held)[at]
            y = y - (summed(at, weight * y, n) / held)[at]
    return float(weight @ answer**2), float(weight @ (answer * y))


def elasticity_correction(
    unit: Ints, hour: Ints, clicks: Floats, due: Floats, z: Floats, spread: Floats, n_units: int
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
    """
    information, pull = elasticity_seen(unit, hour, clicks, due, z, spread, n_units)
    total = information + PRIOR_SD**-2
    return float(np.clip(1.0 + pull / total, 1 - BOUND, 1 + BOUND)), float(total**-0.5)
