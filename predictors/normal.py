"""The standard normal distribution from a table: for tables of millions of bids, where it takes a quarter of the time."""

import math

import numpy as np
from numba import njit
from scipy.special import ndtr

#: Steps of the table per standard deviation, a power of two so that its places are exact, and where it ends.
_STEPS, _END = 128, 8
_AT = np.arange(-_END * _STEPS, _END * _STEPS + 1) / _STEPS
_BELOW, _DENSITY = ndtr(_AT), np.exp(-0.5 * _AT**2) / np.sqrt(2 * np.pi)


@njit(cache=True)
def near_cdf(x):
    """Standard normal distribution to 3e-10 of itself: four terms of its Taylor series about the nearest place of the table."""
    if not abs(x) < _END:
        return 0.5 * math.erfc(-x * 0.7071067811865476)
    at = int((x + _END) * _STEPS + 0.5)
    z = at * (1.0 / _STEPS) - _END
    d = x - z
    cubic = (z * z - 1) * (1 / 6) - d * z * (z * z - 3) * (1 / 24)
    return _BELOW[at] + _DENSITY[at] * d * (1 - d * (0.5 * z - d * cubic))
