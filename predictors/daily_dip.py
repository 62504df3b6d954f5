"""How far market prices fall in the course of a day: rivals' budgets run dry towards its end, and are new at midnight.

The share of rivals whose day's budget is spent grows with the share S of a day's traffic that has gone by, slowly at first:
budgets spread around what a day costs. With S^3 as its shape, the level of market prices holds

    - dip (S_h^3 - mean of it over the hours of a day)

`dip` is the weighted slope of hour-to-hour changes of the level on changes of that shape, shrunk to `DIP`: the fall says a
little, the first midnight most. Changes beyond what is usual (jumps) count as much as usual ones. Without it, what is seen
at 23:00 would be expected of the next morning.
"""

import numpy as np

from domain.tables import Floats, Ints

#: Fall of the price from a day's first hour to its last, log scale: expected and its spread before anything was seen.
DIP, DIP_SD = 0.06, 0.06
#: Least sd of an hour's change, and how many sd of a change count at most.
_CHANGE_SD, _COUNTED = 0.02, 2.0
HOURS_OF_DAY = 24


def dip_shape(traffic: Floats, hour_of_day: Ints) -> Floats:
    """(24,) fall of prices by local hour, mean 0, as multiples of the dip; from forecast `traffic` of (n_hours,) hours."""
    hours = np.bincount(hour_of_day, minlength=HOURS_OF_DAY)
    mean = float(traffic.mean()) if traffic.size else 1.0
    usual = (np.bincount(hour_of_day, traffic, HOURS_OF_DAY) + 0.1 * mean) / (hours + 0.1)
    gone = (np.cumsum(usual) - 0.5 * usual) / max(float(usual.sum()), 1e-12)
    shape = -(gone**3)
    return shape - shape.mean()


def learn_dip(level: Floats, noise: Floats, shape: Floats) -> tuple[float, float]:
    """Dip of the level's days, and its error.

    Parameters
    ----------
    level, noise
        (n_hours,) level of market prices by hour, and its error variance; infinite where nothing was seen.
    shape
        (n_hours,) shape of the dip in those hours.
    """
    seen = np.isfinite(noise)
    both = seen[1:] & seen[:-1]
    change, x = np.diff(level)[both], np.diff(shape)[both]
    if change.size < HOURS_OF_DAY // 2:
        return DIP, DIP_SD
    told = (noise[1:][both] + noise[:-1][both]) if both.any() else np.zeros(0)
    usual = (1.4826 * float(np.median(np.abs(change)))) ** 2 - float(np.median(told))
    variance = told + max(usual, _CHANGE_SD**2)
    dip = DIP
    held = float((x**2 / variance).sum()) + DIP_SD**-2
    for _ in range(3):
        miss = (change - dip * x) / np.sqrt(variance)
        pull = np.clip(miss, -_COUNTED, _COUNTED) / np.sqrt(variance)
        dip += (float((x * pull).sum()) + (DIP - dip) / DIP_SD**2) / held
    return dip, held**-0.5
