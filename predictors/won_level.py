r"""Follows the market price where one pays one's bid: not what clicks cost tells it, but which units lose clicks.

When rivals bid more, units that win nearly every auction lose few clicks and those that win few lose many; when fewer
people come, all lose alike. With W the win rate, z = (ln b - mu) / s and lambda = phi / Phi,

    clicks_ih ~ mean mu_ih exp(t_h - d_ih l_h),      mu_ih = a_i due_ih W(z_ih),      d_ih = lambda(z_ih) / s_i

where t_h is the hour's traffic and l_h what the market price is off by. Each hour is a weighted regression with two
unknowns; t_h is taken out (prior sd 0.3), which leaves l_h with its precision. Hours are then put together by the same
filter that follows prices paid, volumes a_i of units are shrunk by credibility, and a few rounds settle both. Lasting
errors of a unit's market price cannot be told from errors of its volume here, and count as the latter.
"""

import numpy as np
from scipy.special import ndtr

from domain.tables import Floats, Ints
from predictors.price_level import PriceLevel, follow_level, smooth_level
from predictors.rows import Positions
from predictors.sums import summed

#: Prior sd of an hour's traffic, of a unit's volume, and relative sd of single rows beyond counting.
TRAFFIC_SD, VOLUME_SD, ROW_SD = 0.3, 0.25, 0.35
#: Rounds between levels and volumes, and the largest step of a level in one.
ROUNDS, STEP = 5, 0.3


def follow_won(
    unit: Ints | Positions,
    hour: Ints | Positions,
    clicks: Floats,
    bid: Floats,
    due: Floats,
    log_price: Floats,
    spread: Floats,
    n_units: int,
    n_past: int,
    n_ahead: int,
    unit_sd: float,
    shape: Floats | None = None,
) -> PriceLevel:
    """Level of the market price from clicks won at known bids; offsets of units are 0, with error `unit_sd`.

    Parameters
    ----------
    unit, hour, clicks, bid
        (n_rows,) rows; hour counts from the first one.
    due
        (n_rows,) clicks of an unbeatable bid according to the forecast; any common scale will do.
    log_price, spread
        (n_rows,) log of the forecast median price of the row's unit and hour, and its log-sd.
    shape
        (n_past + n_ahead,) how prices fall in the course of a day, as in `follow_price`.
    """
    level, told = np.zeros(n_past), np.zeros(n_past)
    noise = np.full(n_past, np.inf)
    distance = np.log(bid) - log_price
    total = float((due * ndtr(distance / spread)).sum())
    if total > 0 and clicks.sum() > 0:
        scale = float(clicks.sum()) / total
        for _ in range(ROUNDS):
            z = (distance - level[hour]) / spread
            won = ndtr(z)
            mean = scale * due * np.maximum(won, 1e-9)
            usable = mean > 1e-3
            mean = np.where(usable, mean, 1.0)
            answer = np.exp(-0.5 * z**2) / (2.5066282746310002 * np.maximum(won, 1e-9)) / spread
            for _turn in range(2):  # traffic of hours and volumes of units, at these levels
                expected = np.where(usable, mean, 0.0)
                held = summed(hour, expected, n_past)
                traffic = (summed(hour, clicks * usable, n_past) + 10) / (held + 10)
                expected = expected * traffic[hour]
                volume = (summed(unit, clicks * usable, n_units) + VOLUME_SD**-2) / (
                    summed(unit, expected, n_units) + VOLUME_SD**-2
                )
                mean = np.where(usable, scale * due * won * volume[unit], 1.0)
            weight = np.where(usable, mean / (1 + ROW_SD**2 * mean), 0.0)
            y = np.where(usable, clicks / mean - 1, 0.0)
            a11, a12, a22, r1, r2 = (
                summed(hour, weight * v, n_past) for v in (1.0, -answer, answer**2, y, -answer * y)
            )
            a11 = a11 + TRAFFIC_SD**-2
            precision = np.maximum(a22 - a12**2 / a11, 0.0)
            step = np.clip(
                np.divide(r2 - a12 * r1 / a11, precision, out=np.zeros(n_past), where=precision > 1e-9), -1, 1
            )
            noise = np.where(precision > 1e-6, 1 / np.maximum(precision, 1e-6), np.inf)
            told = level + step
            level = level + np.clip(smooth_level(told, noise) - level, -STEP, STEP)
    ahead, ahead_sd = follow_level(told, noise, n_ahead, shape)
    nothing = np.zeros(n_units)
    return PriceLevel(level, ahead, ahead_sd, nothing, np.full(n_units, unit_sd), unit_sd, 1.0)
