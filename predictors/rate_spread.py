"""How far groups of rows lie from their prediction beyond binomial noise: the part of a band that no fold's model tells."""

import numpy as np
from numpy.typing import NDArray

from domain.tables import Floats
from predictors.rate_training import MANY_ROWS, Training
from predictors.rate_units import unit_columns, units_of_rows
from predictors.sums import summed


def units_of(work: Training) -> NDArray[np.int64] | None:
    """(n_rows,) groups of rows of the same categories, where rows are those of a report; else ``None``."""
    columns = unit_columns(work.data, always=False)
    if work.weight.max(initial=0.0) <= 1.0 or not columns or work.share.size >= MANY_ROWS:
        return None
    return units_of_rows(work.data, columns)[1]


def spread_of_groups(rate: Floats, share: Floats, weight: Floats, group: NDArray[np.int64] | None) -> float:
    """Standard deviation of the log-odds of groups around their prediction, beyond binomial noise.

    A group's successes s vary by v + v^2 tau^2 around what was expected, v being their binomial variance.
    """
    if group is None:
        return 0.0
    _, place = np.unique(group, return_inverse=True)
    n = int(place.max(initial=0)) + 1
    off = summed(place, weight * (share - rate), n)
    noise = summed(place, weight * rate * (1 - rate), n)
    # large groups must not decide alone: each counts by what it can tell at a spread of one half
    worth = 1.0 / (1.0 + 0.25 * noise) ** 2
    found = float((worth * (off**2 - noise)).sum() / max(float((worth * noise**2).sum()), 1e-12))
    return float(np.sqrt(np.clip(found, 0.0, 4.0)))
