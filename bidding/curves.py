"""Checks the response tables of a problem once, and finds where each unit's value curve starts and ends.

A unit's curve is the set of points (spend, value) of its allowed levels, with the pause (0, 0) where it may
pause. *Start* is its cheapest point (the best one of equal cost), *end* its most valuable one (the cheapest
of equal value): everything an optimum can use lies on the upper envelope between the two. A state of a unit
is a mix ``(lower, upper, share)`` of two levels; level -1 is the pause, and a pure level has lower = upper.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidding import curve_kernels
from domain.errors import InvalidPlan
from domain.problem import Problem, RowKind
from domain.tables import Floats

kernels: Any = curve_kernels
_FAULTS = {
    1: "not finite",
    2: "negative",
    3: "falling as the bid rises",
}


@dataclass(frozen=True, slots=True)
class Ends:
    """Start and end of each unit's curve as pure levels, its first allowed level, all (n_units,), and sums.

    `sums` is (n_groups, 4): spend and value of the starts, spend and value of the ends, of the units that lie
    directly in each group.
    """

    start: NDArray[np.int16]
    end: NDArray[np.int16]
    first: NDArray[np.int16]
    sums: Floats


def value_table(problem: Problem) -> NDArray[np.floating]:
    """(n_units, n_levels) what is maximised."""
    return problem.gmv if problem.value is None else problem.value


def windows(problem: Problem) -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.bool_]]:
    """First and last allowed level and whether the unit may pause, each (n_units,), checked."""
    n, levels = (int(k) for k in problem.bids.shape)
    first = np.zeros(n, np.int16) if problem.first is None else np.asarray(problem.first, np.int16)
    last = np.full(n, levels - 1, np.int16) if problem.last is None else np.asarray(problem.last, np.int16)
    may = np.ones(n, np.bool_) if problem.may_pause is None else np.asarray(problem.may_pause, np.bool_)
    if not (first.shape == last.shape == may.shape == (n,)):
        raise InvalidPlan(f"problem: first, last and may_pause need shape ({n},)")
    if problem.first is not None or problem.last is not None:
        bad = (first < 0) | (last >= levels) | (first > last + may)
        if bool(bad.any()):
            raise InvalidPlan(
                f"problem: units {np.flatnonzero(bad)[:5].tolist()} have a bid floor above their cap "
                f"(allowed levels first..last must lie in 0..{levels - 1})"
            )
    return first, last, may


def checked(problem: Problem) -> None:
    """Refuse tables from which no right number can come: `InvalidPlan` names the table and its units."""
    tables = [("bids", problem.bids), ("spend", problem.spend), ("gmv", problem.gmv), ("clicks", problem.clicks)]
    if problem.orders is not None:
        tables.append(("orders", problem.orders))
    orders_given(problem)
    for name, table in tables:
        unit, fault = kernels.first_fault(np.ascontiguousarray(table))
        if fault:
            raise InvalidPlan(
                f"problem: {name} of unit {unit} is {_FAULTS[fault]}: {table[unit].tolist()[:24]}; "
                "correct the response table of that unit"
            )
    if problem.value is not None:
        unit = kernels.first_infinite(np.ascontiguousarray(problem.value))
        if unit >= 0:
            raise InvalidPlan(f"problem: value of unit {unit} is not finite: {problem.value[unit].tolist()[:24]}")


def orders_given(problem: Problem) -> None:
    """Refuse CPA rows without the table they count."""
    if problem.orders is None and bool(np.any(problem.rows.kind == RowKind.CPA)):
        raise InvalidPlan("problem: a CPA row needs the table of orders; add it, or leave the CPA target out")


def ends(problem: Problem) -> Ends:
    """Start and end of each unit's curve."""
    n = int(problem.bids.shape[0])
    first, last, may = windows(problem)
    found = Ends(np.empty(n, np.int16), np.empty(n, np.int16), first, np.zeros((len(problem.groups.names), 4)))
    if n:
        kernels.ends(
            np.ascontiguousarray(problem.spend),
            np.ascontiguousarray(value_table(problem)),
            first,
            last,
            may,
            problem.groups.leaf,
            found.start,
            found.end,
            found.sums,
        )
    return found


@dataclass(frozen=True, slots=True)
class Delivery:
    """What mixes of levels deliver: (n_units,) each, and spend, gmv, clicks per group (n_groups, 3), direct members."""

    bid: Floats
    clicks: Floats
    spend: Floats
    gmv: Floats
    sums: Floats


def delivered(problem: Problem, lower: NDArray[np.int16], upper: NDArray[np.int16], share: Floats) -> Delivery:
    """Read the four tables at a mix of levels per unit, in one pass."""
    n, n_groups = int(lower.size), len(problem.groups.names)
    found = Delivery(np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.zeros((n_groups, 3)))
    tables = (np.ascontiguousarray(t) for t in (problem.bids, problem.clicks, problem.spend, problem.gmv))
    out = (found.bid, found.clicks, found.spend, found.gmv)
    kernels.delivered(*tables, lower, upper, share, problem.groups.leaf, out, found.sums)
    return found


def mixed(table: NDArray[np.floating], lower: NDArray[np.int16], upper: NDArray[np.int16], share: Floats) -> Floats:
    """(n_units,) what a mix of two levels gives in one table; level -1 gives 0."""
    out = np.empty(lower.size, np.float64)
    kernels.mixed(np.ascontiguousarray(table), lower, upper, share, out)
    return out
