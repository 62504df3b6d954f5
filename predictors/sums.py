"""Sums over positions (units, hours, cells): the one grouping that all estimators use."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.tables import Floats


def summed(position: NDArray[Any], weight: Floats, n: int) -> Floats:
    """(n,) sum of the weights at each position; positions are integers 0 .. n - 1."""
    return np.bincount(position, weights=weight, minlength=n).astype(np.float64, copy=False)
