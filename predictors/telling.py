"""When a platform tells of orders, and when it is silent: missing news is not missing sales.

A report may come hours after its hour, and attribution may stop for half a day and then tell everything at once. Both
must not be read as orders that did not happen:

    lag      the youngest age at which any order was ever told, less one; ages are counted from there
    silence  a run of hours in which next to nothing was told although much was due (at least 10 orders more than three
             times what came): what is told after it may be as old as the silence, and while it lasts all rows are as
             old as they were when it began

What was due is reckoned from the forecast and a rough delay, scaled to what was told in all other hours.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from domain.tables import Bools, Floats, Ints
from predictors.sums import summed

#: Rough delay for what is due in an hour: share at once, and the part of the rest that comes in each later hour.
_AT_ONCE, _EACH_HOUR = 0.4, 1 / 12
#: Orders that must be missing before hours count as silent, and how much more than those told must be due.
MISSING, TIMES = 10.0, 3.0


@dataclass(frozen=True, slots=True)
class Telling:
    """How the platform told of orders.

    Attributes
    ----------
    lag
        Hours after the end of an hour before anything is told of it.
    silent_now
        Hours that the platform has been silent at the cut.
    silent_before
        (n_arrivals,) hours of silence just before each arrival was told.
    """

    lag: int
    silent_now: int
    silent_before: Ints

    def age(self, hours: Ints) -> Ints:
        """Age in steps of telling of rows that are so many hours old; 0 where nothing could have been told yet."""
        return np.maximum(hours - self.lag - self.silent_now, 0)


def listen(hour: Ints, due: Floats, told: Ints, age: Ints, orders: Floats) -> Telling:
    """Lag and silences.

    Parameters
    ----------
    hour, due
        (n_rows,) hours of the rows counted from the cut (negative), and orders that their clicks should bring.
    told, age, orders
        (n_arrivals,) when each arrival was learned, counted from the cut; its age then; its orders.
    """
    nothing = np.zeros(told.size, np.int64)
    if not hour.size:
        return Telling(0, 0, nothing)
    some = orders > 0
    if not some.any():
        return Telling(max(int(-hour.max()) - 1, 0), 0, nothing)
    lag = max(int(age[some].min()) - 1, 0)
    first = int(min(hour.min(), told.min()))
    came = summed(told[some] - first, orders[some], 1 - first)
    silent = _silent(summed(hour - first, due, 1 - first), came, lag)
    run = np.zeros(silent.size + 1, np.int64)  # silence that ends with the hour before
    for t in range(silent.size):
        run[t + 1] = run[t] + 1 if silent[t] else 0
    return Telling(lag, int(run[-1]), run[told - first])


@njit(cache=True)
def _expected(due, lag):
    out = np.zeros(due.size)
    stock = 0.0
    for t in range(1 + lag, due.size):
        fresh = due[t - 1 - lag]
        out[t] = _AT_ONCE * fresh + _EACH_HOUR * stock
        stock += (1 - _AT_ONCE) * fresh - _EACH_HOUR * stock
    return out


def _silent(due: Floats, came: Floats, lag: int) -> Bools:
    """(n_hours,) whether each hour told next to nothing of much that was due."""
    expected = _expected(due, lag)
    silent = np.zeros(due.size, np.bool_)
    for _ in range(2):  # hours found silent do not tell how much an hour tells
        heard = float(expected[~silent].sum())
        scale = float(came[~silent].sum()) / heard if heard > 0 else 0.0
        silent = _runs(scale * expected, came)
    return silent


def _runs(expected: Floats, came: Floats) -> Bools:
    """(n_hours,) hours of runs in which too much is missing for chance."""
    silent = np.zeros(came.size, np.bool_)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], came <= 0.1 * expected, [0]]).astype(np.int8)))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        run = slice(start, end)
        silent[run] = expected[run].sum() >= MISSING + TIMES * came[run].sum()
    return silent
