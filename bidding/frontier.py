"""What if one target were different: spend, gmv and price of money over a grid of values, in one sort.

Only the groups on the path from the target's group up to the account feel the change. Each of them gets its curve
once: its own members' and cut children's envelope segments, sorted by slope and summed up. A value on the grid then
is one cut per group of the path, found in the sums by bisection; no response table is touched again.
Beside CPC or CPA rows each value is a solve of its own, on hulls that all share and from its neighbour's prices.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from bidding import curves, envelope_kernels, laminar_kernels
from bidding.laminar import LaminarSolver, fits
from bidding.prepared import Prepared
from domain.errors import InvalidPlan
from domain.problem import Problem, RowKind, Rows, Solution, Status
from domain.tables import Bools, Floats

kernels: Any = laminar_kernels
envelopes: Any = envelope_kernels


def frontier(problem: Problem, row: int, values: Sequence[float]) -> pl.DataFrame:
    """Optimum of the account for each value of one row's target (ROI) or right side (budget).

    Returns
    -------
    pl.DataFrame
        One row per value: ``value``, ``spend``, ``gmv`` (of the whole account; the objective where it is another),
        ``roi``, ``theta`` (price of money of the row's group) and ``binds``, whether the changed row binds. Errors are
        those of the solvers; a value that nothing can meet stands there with its least violating answer.
    """
    rows = problem.rows
    if not 0 <= row < len(rows):
        raise InvalidPlan(f"frontier: there is no row {row}; the problem has {len(rows)}")
    if fits(problem) is not None:
        return _neighbour_by_neighbour(problem, row, values)
    forced = problem.may_pause is not None and not bool(problem.may_pause.all())
    if forced or bool(np.any((rows.kind == RowKind.ROI) & (rows.right < 0))):
        return _one_by_one(problem, row, values)
    curves.checked(problem)
    path = [int(rows.group[row])]
    while path[-1] != 0:
        path.append(int(problem.groups.parent[path[-1]]))
    layers = _layers(problem, path)
    found: list[tuple[float, float, float, float, bool]] = []
    for value in values:
        changed = _changed(rows, row, value)
        below: _Cut | None = None
        theta, binds = 0.0, False
        for depth, (group, curve) in enumerate(zip(path, layers, strict=True)):
            below, top, which = _cut(changed, group, curve, below)
            if depth == 0:
                theta, binds = top, which == row
            elif top > theta:
                theta, binds = top, False
        assert below is not None  # a path has at least the account
        found.append((value, below.spend, below.gain, theta, binds))
    frame = pl.DataFrame(found, schema=["value", "spend", "gmv", "theta", "binds"], orient="row")
    return frame.select("value", "spend", "gmv", (pl.col("gmv") / pl.col("spend")).alias("roi"), "theta", "binds")


def value_of_spend(problem: Problem) -> tuple[Floats, Floats]:
    """Most that any spend of the account buys, without the account's own rows: vertices of a concave curve.

    Returns
    -------
    (n_segments + 1,) spend and value (the objective), both rising. Between two vertices the curve is straight.
    """
    curves.checked(problem)
    curve = _layers(problem, [0])[0]
    return curve.spend, curve.gain


@dataclass(frozen=True, slots=True)
class _Curve:
    """Segments by falling slope (`falling` is minus the slope), and spend and gain before each (one entry more)."""

    falling: Floats
    spend: Floats
    gain: Floats

    def at(self, theta: float, *, with_ties: bool) -> tuple[float, float]:
        """Spend and gain of all segments steeper than theta, or as steep."""
        k = int(np.searchsorted(self.falling, -theta, side="right" if with_ties else "left"))
        return float(self.spend[k]), float(self.gain[k])


@dataclass(frozen=True, slots=True)
class _Cut:
    """A path group's layer on top of the cut group below it, itself cut: totals at the cut."""

    curve: _Curve
    below: "_Cut | None"
    spend: float
    gain: float

    def at(self, theta: float, *, with_ties: bool) -> tuple[float, float]:
        """Spend and gain at a slope, at most those of the cut."""
        spend, gain = self.curve.at(theta, with_ties=with_ties)
        if self.below is not None:
            more = self.below.at(theta, with_ties=with_ties)
            spend, gain = spend + more[0], gain + more[1]
        return (self.spend, self.gain) if spend > self.spend else (spend, gain)

    def layers(self) -> "list[_Curve]":
        """Own layer and those below it."""
        return [self.curve] if self.below is None else [self.curve, *self.below.layers()]


def _layers(problem: Problem, path: list[int]) -> list[_Curve]:
    """Per group of the path, innermost first: the curve of its members outside the next inner group, cut below."""
    groups, rows = problem.groups, problem.rows
    n, n_groups = int(problem.bids.shape[0]), len(groups.names)
    spend = np.ascontiguousarray(problem.spend)
    value = np.ascontiguousarray(curves.value_table(problem))
    found = curves.ends(problem)
    others = ~np.isin(rows.group, path)
    group, kind = rows.group[others], rows.kind[others]
    by_group = np.argsort(group, kind="stable")
    row_at = np.searchsorted(group[by_group], np.arange(n_groups + 1)).astype(np.int64)
    order, begin, stop = kernels.unit_ranges(groups.parent, groups.leaf)
    start = (found.start, found.start.copy(), np.ones(n), found.first)
    end = (found.end, found.end.copy(), np.ones(n))
    kernels.sweep(
        spend, value, order, begin, stop, groups.parent, row_at, kind[by_group],
        np.asarray(rows.target[others][by_group], np.float64), np.asarray(rows.right[others][by_group], np.float64),
        start, end, found.sums,
    )  # fmt: skip
    slope, dx, dy, unit = (np.asarray(a) for a in envelopes.all_segments(spend, value, order, start, end))
    outer: Bools = np.zeros(n, np.bool_)
    layers: list[_Curve] = []
    for g in path:
        inside = groups.members(g) & ~outer
        pick = inside[unit]
        falling, before, gained = envelopes.laid_out(slope[pick], dx[pick], dy[pick])
        base = (spend[inside, :], value[inside, :], found.start[inside])
        c0, v0 = (_starts(table, base[2]) for table in base[:2])
        layers.append(_Curve(falling, c0 + before, v0 + gained))
        outer |= inside
    return layers


def _starts(table: Any, start: Any) -> float:
    at = np.asarray(start, np.int64)
    on = at >= 0
    return float(np.asarray(table[np.flatnonzero(on), at[on]], np.float64).sum())


def _changed(rows: Rows, row: int, value: float) -> Rows:
    target, right = rows.target.copy(), rows.right.copy()
    (right if rows.kind[row] == RowKind.BUDGET else target)[row] = value
    return replace(rows, target=target, right=right)


def _cut(rows: Rows, group: int, curve: _Curve, below: _Cut | None) -> tuple[_Cut, float, int]:
    """Cut a layer and the cut group below it at the group's own rows; slope and row of the cut (-1: none binds)."""
    own = np.flatnonzero(rows.group == group)
    whole = _Cut(curve, below, float("inf"), float("inf"))

    def holds(theta: float, spend: float, gain: float) -> bool:
        """Whether the cut lies at or below theta; an ROI row only counts where it falls, below its target."""
        return all(
            spend <= rows.right[r]
            if rows.kind[r] == RowKind.BUDGET
            else theta >= rows.target[r] or rows.target[r] * spend - gain <= rows.right[r]
            for r in own
        )

    total = whole.at(0.0, with_ties=True)
    runs = [layer.falling for layer in whole.layers() if layer.falling.size]
    if not runs or holds(0.0, *total):
        return _Cut(curve, below, *total), 0.0, -1
    # The smallest slope before which everything steeper fits; its own segments are then taken in part.
    theta = -min(float(falling[0]) for falling in runs)
    for falling in runs:
        fits_to, breaks_at = -1, int(falling.size)
        while breaks_at - fits_to > 1:
            middle = (fits_to + breaks_at) // 2
            slope = -float(falling[middle])
            if slope >= theta or holds(slope, *whole.at(slope, with_ties=False)):
                fits_to = middle
            else:
                breaks_at = middle
        if fits_to >= 0:
            theta = min(theta, -float(falling[fits_to]))
    c0, v0 = whole.at(theta, with_ties=False)
    c1, v1 = whole.at(theta, with_ties=True)
    share, which = 1.0, -1
    for r in own:
        rho, gain = (1.0, 0.0) if rows.kind[r] == RowKind.BUDGET else (float(rows.target[r]), 1.0)
        fall = rho * (c1 - c0) - gain * (v1 - v0)
        room = float(rows.right[r]) - rho * c0 + gain * v0
        if fall > 0 and room < share * fall:
            share, which = max(room / fall, 0.0), int(r)
    return _Cut(curve, below, c0 + share * (c1 - c0), v0 + share * (v1 - v0)), theta, which


def _neighbour_by_neighbour(problem: Problem, row: int, values: Sequence[float]) -> pl.DataFrame:
    """Solves on shared hulls, by rising value, each from the prices of the one before."""
    at, last = Prepared.of(problem), None
    found: dict[int, Solution] = {}
    for k in sorted(range(len(values)), key=values.__getitem__):
        found[k] = at.with_rows(_changed(problem.rows, row, values[k])).solve(last)
        last = None if found[k].status is Status.UNREACHABLE else found[k]
    return _of_solutions(problem, row, values, [found[k] for k in range(len(values))])


def _one_by_one(problem: Problem, row: int, values: Sequence[float]) -> pl.DataFrame:
    """Full solves, where floors or debts force spend from below."""
    solver = LaminarSolver()
    found = [solver.solve(replace(problem, rows=_changed(problem.rows, row, value))) for value in values]
    return _of_solutions(problem, row, values, found)


def _of_solutions(problem: Problem, row: int, values: Sequence[float], solutions: Sequence[Solution]) -> pl.DataFrame:
    group = problem.groups.members(int(problem.rows.group[row]))
    found: list[tuple[float, float, float, float, bool]] = []
    for value, s in zip(values, solutions, strict=True):
        theta = float(s.theta[group].min()) if group.any() else 0.0
        found.append((float(value), float(s.spend.sum()), float(s.value.sum()), theta, bool(s.row_binds[row])))
    frame = pl.DataFrame(found, schema=["value", "spend", "gmv", "theta", "binds"], orient="row")
    return frame.select("value", "spend", "gmv", (pl.col("gmv") / pl.col("spend")).alias("roi"), "theta", "binds")
