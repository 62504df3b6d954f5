"""Report rows as arrays, and the one pass over them that all estimators share.

A *cohort* is all rows of one hour, or of one local day: delay, phase, forecast factors and age are the cohort's, so what
is learned of them is worked out once per cohort and not once per row. An account of a million units has twenty million
rows and a few hundred cohorts; then a pass over the rows is all that an estimator costs.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from domain.tables import US_PER_HOUR, Bools, Floats, Ints

Positions = NDArray[np.int32]
Column = TypeVar("Column", bound=NDArray[np.generic])
#: Lengths of daily rows that are told apart, hours.
_LONGEST = 62


@dataclass(frozen=True, slots=True)
class Cohorts:
    """Rows of the same time, every array (n_cohorts,), in order of time.

    Attributes
    ----------
    hour
        First hour, counted from the cut.
    length
        Whole hours: 1, or a local day's.
    daily
        Whether the rows tell of a day.
    """

    hour: Ints
    length: Ints
    daily: Bools

    @property
    def age(self) -> Ints:
        """(n_cohorts,) hours from the start of the rows to the cut."""
        return -self.hour


@dataclass(frozen=True, slots=True)
class Counted:
    """What rows sum up to; the first three are (n_units,), the next two (n_cohorts,).

    Attributes
    ----------
    impressions, clicks, orders
        Of units; clicks are those that stay.
    told, due
        Orders told, and the clicks that came times the rate of their unit.
    sold
        (n_sold,) positions of the rows with at least so many orders as were asked for.
    """

    impressions: Floats
    clicks: Floats
    orders: Floats
    told: Floats
    due: Floats
    sold: Positions


@dataclass(frozen=True, slots=True)
class Rows:
    """Report rows; every array is (n_rows,), in the order of `Known.performance`.

    ``cohort`` is the position in ``cohorts``; ``bid`` is NaN where unknown.
    """

    unit: Positions
    cohort: Positions
    cohorts: Cohorts
    impressions: Floats
    clicks: Floats
    spend: Floats
    orders: Floats
    gmv: Floats
    bid: Floats

    def __post_init__(self) -> None:
        # compiled passes tell arrays that may be written from those that may not: all of one kind compile once
        for name in ("unit", "cohort", "impressions", "clicks", "spend", "orders", "gmv", "bid"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    @property
    def hour(self) -> Ints:
        """(n_rows,) first hour of the row, counted from the cut."""
        return self.cohorts.hour[self.cohort]

    @property
    def length(self) -> Floats:
        """(n_rows,) hours of the row."""
        return self.cohorts.length[self.cohort].astype(np.float64)

    @property
    def daily(self) -> Bools:
        """(n_rows,) whether the row tells of a day."""
        return self.cohorts.daily[self.cohort]

    @property
    def age(self) -> Ints:
        """(n_rows,) hours from the start of the row to the cut."""
        return self.cohorts.age[self.cohort]

    def counted(self, stays: Floats, rate: Floats, least: float) -> Counted:
        """Sums of all counts in one pass; `stays` (n_cohorts,) of clicks, `rate` (n_units,) orders per click, `least` orders."""
        return Counted(*_counted(
            self.unit, self.cohort, self.impressions, self.clicks, self.orders, stays, rate, least
        ))  # fmt: skip

    def by_unit(self, amount: Floats, weight: Floats | None, n_units: int) -> Floats:
        """(n_units,) sums of (n_rows,) amounts, times the (n_cohorts,) weight of their cohort where there is one."""
        weight = np.ones(self.cohorts.hour.size) if weight is None else weight
        return _by_unit(self.unit, self.cohort, frozen(amount), weight, n_units)

    def by_cohort(self, amount: Floats, weight: Floats | None = None) -> Floats:
        """(n_cohorts,) sums of (n_rows,) amounts, times the (n_units,) weight of their unit where there is one."""
        n = self.cohorts.hour.size
        if weight is None:
            return _sums(self.cohort, frozen(amount), n)
        return _by_cohort(self.unit, self.cohort, frozen(amount), weight, n)


def frozen(column: Column) -> Column:
    """The same memory, not to be written."""
    if column.flags.writeable:
        column = column.view()
        column.flags.writeable = False
    return column


def cohorts_of(start: NDArray[np.int64], cut: int, daily: Bools, hours: Floats) -> tuple[Positions, Cohorts]:
    """Cohort of each row, and what they are.

    Parameters
    ----------
    start, daily, hours
        (n_rows,) microseconds of the rows' start, whether they tell of a day, and their hours.
    cut
        Microseconds that hours are counted from.
    """
    if not start.size:
        none = np.zeros(0, np.int64)
        return np.zeros(0, np.int32), Cohorts(none, none, np.zeros(0, np.bool_))
    kinds = _LONGEST + 2 if daily.any() else 1
    cohort = np.empty(start.size, np.int32)  # from NumPy: its large arrays come in large pages, which cost a third
    first, last = _hours(frozen(start), cut, cohort)
    code = np.zeros((last - first + 1) * kinds, np.int32)
    _place(cohort, first, frozen(daily), frozen(hours), kinds, code)
    used = np.flatnonzero(code)
    code[used] = np.arange(used.size)
    _number(cohort, code)
    kind = used % kinds
    return cohort, Cohorts(first + used // kinds, np.maximum(kind - 1, 1), kind > 0)


@njit(cache=True)
def _hours(start, cut, out):
    """Writes (n_rows,) hours from the cut; gives the first and the last of them."""
    before, hour = start[0], (start[0] - cut) // US_PER_HOUR
    first = last = hour
    for r in range(start.size):
        if start[r] != before:
            before, hour = start[r], (start[r] - cut) // US_PER_HOUR
            first, last = min(first, hour), max(last, hour)
        out[r] = hour
    return first, last


@njit(cache=True)
def _place(cohort, first, daily, hours, kinds, code):
    """Make places in the table of (hour, kind of row) of hours, and mark those that are taken."""
    for r in range(cohort.size):
        at = (cohort[r] - first) * kinds
        if kinds > 1 and daily[r]:
            at += 1 + int(min(max(hours[r], 1.0), _LONGEST))
        cohort[r] = at
        code[at] = 1


@njit(cache=True)
def _number(cohort, code):
    for r in range(cohort.size):
        cohort[r] = code[cohort[r]]


@njit(cache=True)
def _by_unit(unit, cohort, amount, weight, n_units):
    out = np.zeros(n_units)
    for r in range(unit.size):
        out[unit[r]] += amount[r] * weight[cohort[r]]
    return out


@njit(cache=True)
def _counted(unit, cohort, impressions, clicks, orders, stays, rate, least):
    seen, kept, sold = np.zeros(rate.size), np.zeros(rate.size), np.zeros(rate.size)
    told, due = np.zeros(stays.size), np.zeros(stays.size)
    sales, n_sold = np.empty(unit.size, np.int32), 0  # memory that nobody writes to is not taken
    at, told_here, due_here = -1, 0.0, 0.0  # of the cohort that rows are of, for as long as they are
    for r in range(unit.size):
        u, c = unit[r], cohort[r]
        if c != at:
            if at >= 0:
                told[at], due[at] = told_here, due_here
            at, told_here, due_here = c, told[c], due[c]
        seen[u] += impressions[r]
        kept[u] += clicks[r] * stays[c]
        sold[u] += orders[r]
        told_here += orders[r]
        due_here += clicks[r] * rate[u]
        if orders[r] >= least:
            sales[n_sold] = r
            n_sold += 1
    if at >= 0:
        told[at], due[at] = told_here, due_here
    return seen, kept, sold, told, due, sales[:n_sold].copy()


@njit(cache=True)
def _sums(cohort, amount, n_cohorts):
    out = np.zeros(n_cohorts)
    at, here = -1, 0.0  # a sum in a register need not wait for memory
    for r in range(cohort.size):
        if cohort[r] != at:
            if at >= 0:
                out[at] = here
            at = cohort[r]
            here = out[at]
        here += amount[r]
    if at >= 0:
        out[at] = here
    return out


@njit(cache=True)
def _by_cohort(unit, cohort, amount, weight, n_cohorts):
    out = np.zeros(n_cohorts)
    at, here = -1, 0.0
    for r in range(unit.size):
        if cohort[r] != at:
            if at >= 0:
                out[at] = here
            at = cohort[r]
            here = out[at]
        here += amount[r] * weight[unit[r]]
    if at >= 0:
        out[at] = here
    return out
