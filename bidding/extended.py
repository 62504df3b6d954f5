"""Solves the program with its optional parts for small accounts: minimum delivery, smoothing, risk, crossing groups.

The mathematics stands in `bidding.program`. Every answer is bounded from above by one best level per unit at the
parts' own prices, measured on the raw tables, whatever the interior-point solver says of itself.
"""

# cvxpy comes without types.
# pyright: basic
from dataclasses import dataclass, replace
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import ndtri

from bidding import curves
from bidding.crossing import Overlap
from bidding.program import left_sides, solve_quietly
from bidding.words import amount, row_name
from domain.errors import GoalUnreachable, InvalidPlan, SolverFailed
from domain.problem import Problem, RowKind
from domain.tables import Bools, Floats

MOST_UNITS = 20_000
#: Relative shortfall above which a row of the elastic program counts as missed.
MISSED = 1e-6


@dataclass(frozen=True, slots=True)
class Minimum:
    """Least delivery of a group.

    Attributes
    ----------
    what
        Name of what is delivered, such as ``impressions``.
    table
        (n_units, n_levels) how much each level delivers.
    group
        Position of the group.
    least
        Amount, in the table's unit.
    """

    what: str
    table: NDArray[np.floating]
    group: int
    least: float


@dataclass(frozen=True, slots=True)
class Smoothing:
    """Cost of spend that leaves its plan.

    Attributes
    ----------
    period
        (n_units,) period that a unit's spend falls into, 0 .. n_periods - 1.
    plan
        (n_periods,) planned spend, account currency.
    weight
        Value lost per squared unit of account currency.
    """

    period: NDArray[np.integer[Any]]
    plan: Floats
    weight: float


@dataclass(frozen=True, slots=True)
class Risk:
    """ROI target of a group that holds with a given probability.

    Attributes
    ----------
    group
        Position of the group.
    target
        Gmv per spend.
    confidence
        Probability in [0.5, 1).
    own_error
        (n_units,) relative standard error of each unit's gmv, independent of the others.
    common_error
        Relative standard error that all units share.
    right
        V0 - rho C0 of what was bought already.
    """

    group: int
    target: float
    confidence: float
    own_error: Floats
    common_error: float = 0.0
    right: float = 0.0


@dataclass(frozen=True, slots=True)
class Extras:
    """Optional parts of a program; `uplift` (n_units,) weighs the objective as gmv x (1 + uplift)."""

    minimums: tuple[Minimum, ...] = ()
    risks: tuple[Risk, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    smoothing: Smoothing | None = None
    uplift: Floats | None = None


@dataclass(frozen=True, slots=True)
class Extended:
    """Answer of a program with optional parts.

    Attributes
    ----------
    shares
        (n_units, n_levels) share of the hour at each level; what is missing to 1 is the pause.
    bid, spend, clicks, gmv
        (n_units,) expected of the shares; the bid is their mean over the time that is bid.
    objective, bound, gap
        Value reached (smoothing deducted), what no answer exceeds, and their relative distance.
    violation
        Worst excess of any row over the size of its terms.
    prices
        Per row its value per unit of right side: the problem's own rows, overlaps, minimums, risks.
    names
        What each of them is called.
    """

    shares: Floats
    bid: Floats
    spend: Floats
    clicks: Floats
    gmv: Floats
    objective: float
    bound: float
    gap: float
    violation: float
    prices: Floats
    names: tuple[str, ...]


def window(
    bids: NDArray[np.floating],
    floor: Floats | float = 0.0,
    cap: Floats | float = np.inf,
    live: Floats | None = None,
    max_step: float = np.inf,
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """First and last level (n_units,) within floor and cap, and within max_step of the live bid where that is finite.

    `InvalidPlan` names the units that have a floor above their cap, or no level between the two.
    """
    n, levels = bids.shape
    low, high = np.broadcast_to(floor, n).astype(float), np.broadcast_to(cap, n).astype(float)
    if live is not None and np.isfinite(max_step):
        known = np.isfinite(live) & (live > 0)
        low = np.where(known, np.clip(live * (1 - max_step), low, high), low)
        high = np.where(known, np.clip(live * (1 + max_step), low, high), high)
    first = (bids < low[:, None] * (1 - 1e-12)).sum(axis=1)
    last = (bids <= high[:, None] * (1 + 1e-12)).sum(axis=1) - 1
    bad = (low > high) | (first > last) | (first >= levels)
    if bool(bad.any()):
        raise InvalidPlan(
            f"window: units {np.flatnonzero(bad)[:5].tolist()} have a bid floor above their cap, or no bid level "
            "between them; widen the limits, or add levels"
        )
    return first.astype(np.int16), last.astype(np.int16)


def solve_extended(problem: Problem, extras: Extras) -> Extended:
    """Best shares of levels under all parts, with a certified bound.

    Raises
    ------
    InvalidPlan
        Tables, groups or parts that make no sense, named.
    GoalUnreachable
        No answer meets all rows; the message names those that are missed at the least total shortfall.
    SolverFailed
        Beyond 20,000 units, or where Clarabel ends without an answer.
    """
    n = problem.bids.shape[0]
    if extras.uplift is not None:
        problem = replace(problem, value=problem.gmv * (1 + _sized(extras.uplift, n, "uplift"))[:, None])
    curves.checked(problem)
    if n == 0 or n > MOST_UNITS:
        raise SolverFailed(f"reference: {n} units; it takes 1 to {MOST_UNITS}")
    return _Extended.of(problem, extras).answer()


def _sized(column: Floats, n: int, name: str) -> Floats:
    if column.shape != (n,) or not bool(np.all(np.isfinite(column) & (column >= 0))):
        raise InvalidPlan(f"{name}: need {n} finite numbers, none negative")
    return np.asarray(column, float)


@dataclass(frozen=True, slots=True)
class _Extended:
    """All rows in matrix form over the allowed (unit, level) pairs; linear rows are `matrix x <= right`."""

    problem: Problem
    extras: Extras
    unit: NDArray[np.intp]
    level: NDArray[np.intp]
    matrix: Floats
    right: Floats
    names: tuple[str, ...]
    value: Floats

    @classmethod
    def of(cls, problem: Problem, extras: Extras) -> "_Extended":
        first, last, _may = curves.windows(problem)
        number = np.arange(problem.bids.shape[1])
        unit, level = np.nonzero((number >= first[:, None]) & (number <= last[:, None]))
        n, n_groups = problem.bids.shape[0], len(problem.groups.names)
        blocks = [left_sides(problem, problem.groups, problem.rows, unit, level)]
        rights = [_right(problem)]
        names = [row_name(problem, r) for r in range(len(problem.rows))]
        for overlap in extras.overlaps:
            other = replace(problem, groups=overlap.groups, rows=overlap.rows)
            blocks.append(left_sides(other, overlap.groups, overlap.rows, unit, level))
            rights.append(_right(other))
            names += [row_name(other, r) for r in range(len(overlap.rows))]
        for part in (*extras.minimums, *extras.risks):
            if not 0 <= part.group < n_groups:
                raise InvalidPlan(f"{type(part).__name__.lower()}: there is no group {part.group}")
        for m in extras.minimums:
            if m.table.shape != problem.bids.shape or not bool(np.all(np.isfinite(m.table))) or m.table.min() < 0:
                raise InvalidPlan(f"minimum {m.what}: its table must have the shape of the bids, finite, none negative")
            if not np.isfinite(m.least):
                raise InvalidPlan(f"minimum {m.what} on {problem.groups.names[m.group]}: {m.least} is no amount")
            inside = problem.groups.members(m.group)[unit]
            blocks.append(np.where(inside, -np.asarray(m.table[unit, level], float), 0.0)[None])
            rights.append(np.array([-m.least]))
            names.append(f"minimum {m.what} of {amount(m.least)} on {problem.groups.names[m.group]}")
        for risk in extras.risks:
            _sized(risk.own_error, n, "risk: own_error")
            if not (0.5 <= risk.confidence < 1 and np.isfinite(risk.target) and risk.target > 0):
                raise InvalidPlan("risk: need a confidence from 0.5 to below 1 and a positive target")
            names.append(
                f"ROI target of {amount(risk.target)} on {problem.groups.names[risk.group]} with {risk.confidence:.1%}"
            )
        s = extras.smoothing
        if s is not None and not (
            s.period.shape == (n,) and int(s.period.min()) >= 0 and int(s.period.max()) < s.plan.size and s.weight >= 0
        ):
            raise InvalidPlan(f"smoothing: need a period 0 .. {s.plan.size - 1} for each of {n} units, and weight >= 0")
        value = np.asarray(curves.value_table(problem)[unit, level], float)
        return cls(problem, extras, unit, level, np.vstack(blocks), np.concatenate(rights), tuple(names), value)

    def answer(self) -> Extended:
        x, shares = self._variables()
        size = self._sizes()
        worth = max(float(np.abs(self.value).max(initial=0.0)), 1e-300)
        linear: Any = sparse.csr_array(self.matrix / size[:, None]) @ x <= self.right / size
        objective: Any = (self.value / worth) @ x
        constraints = [*shares, linear] if self.right.size else list(shares)
        cones: list[Any] = []
        deviation: Any = None
        s = self.extras.smoothing
        if s is not None:
            deviation = cp.Variable(s.plan.size)
            tied: Any = self._periods() @ x - s.plan == deviation
            constraints.append(tied)
            objective = objective - s.weight / worth * cp.sum_squares(deviation)
        for risk in self.extras.risks:
            scale, mean, error = self._risk(risk)
            z = float(ndtri(risk.confidence))
            cones.append(cp.SOC((risk.right - mean @ x) / scale, z / scale * (error @ x)))
        program = cp.Problem(cp.Maximize(objective), [*constraints, *cones])
        state = solve_quietly(program)
        if state not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
            # An interior point sometimes only wanders off where nothing meets all rows; the elastic program tells.
            told = self._missed()
            if told:
                raise GoalUnreachable(f"targets cannot be met together: {told}. Relax one of them, or lower bid floors")
            raise SolverFailed(f"reference: Clarabel ended with {state!r}")
        y = (
            np.maximum(np.atleast_1d(np.asarray(linear.dual_value, float)), 0.0) * worth / size
            if self.right.size
            else 0
        )
        slopes = [] if s is None else [np.asarray(deviation.value, float)]
        pairs = [(float(np.ravel(c.dual_value[0])[0]), np.ravel(c.dual_value[1])) for c in cones]
        return self._measured(np.asarray(x.value, float), np.asarray(y, float), slopes, pairs, worth)

    def _measured(
        self, raw: Floats, y: Floats, slopes: list[Floats], pairs: list[tuple[float, Floats]], worth: float
    ) -> Extended:
        """Figures of the shares and the bound at the prices, on the raw tables."""
        p, n = self.problem, self.problem.bids.shape[0]
        _first, _last, may = curves.windows(p)
        x = np.clip(raw, 0.0, 1.0)
        total = np.bincount(self.unit, weights=x, minlength=n)
        x = x / np.where(may, np.maximum(total, 1.0), np.where(total > 0, total, 1.0))[self.unit]
        left = self.matrix @ x
        terms = np.maximum(np.abs(self.matrix) @ x, np.maximum(np.abs(self.right), 1e-300))
        violation = float((np.maximum(left - self.right, 0.0) / terms).max(initial=0.0))
        reached = self.value @ x
        # Prices of each pair, and what right sides add to the bound.
        price, constant = y @ self.matrix if y.size else np.zeros(x.size), float(y @ self.right) if y.size else 0.0
        s = self.extras.smoothing
        if s is not None:
            off = self._periods() @ x - s.plan
            reached -= s.weight * float(off @ off)
            d = slopes[0]
            price = price + 2 * s.weight * (d @ self._periods())
            constant += s.weight * float(2 * d @ s.plan + d @ d)
        multipliers: list[float] = []
        for risk, (t, u) in zip(self.extras.risks, pairs, strict=True):
            scale, mean, error = self._risk(risk)
            z = float(ndtri(risk.confidence))
            mu = max(t, 0.0) * worth / scale
            # The cone's dual direction, cut back so that |u| <= z mu holds to the last digit.
            direction = -u / max(float(np.linalg.norm(u)), t, 1e-300) * z * mu
            price = price + mu * mean + direction @ error
            constant += mu * risk.right
            multipliers.append(mu)
            spread = z * float(np.linalg.norm(error @ x))
            over = mean @ x + spread - risk.right
            violation = max(violation, float(over) / max(float(np.abs(mean) @ x) + spread, abs(risk.right), 1e-300))
        gain = self.value - price
        best = np.where(may, 0.0, -np.inf)
        np.maximum.at(best, self.unit, gain)
        bound = float(best.sum()) + constant

        def per_unit(table: NDArray[np.floating]) -> Floats:
            weights = np.asarray(table[self.unit, self.level], float) * x
            return np.bincount(self.unit, weights=weights, minlength=n).astype(np.float64)

        shares = np.zeros(p.bids.shape)
        shares[self.unit, self.level] = x
        time = shares.sum(axis=1)
        bid = np.divide(per_unit(p.bids), time, out=np.zeros(n), where=time > 1e-9)
        return Extended(
            shares, bid, per_unit(p.spend), per_unit(p.clicks), per_unit(p.gmv), float(reached), bound,
            (bound - float(reached)) / max(abs(bound), 1.0), violation,
            np.concatenate([np.atleast_1d(y)[: self.right.size], multipliers]), self.names,
        )  # fmt: skip

    def _missed(self) -> str:
        """Names of the rows that the least total shortfall misses, and by how much; empty where all are met."""
        x, shares = self._variables()
        size = self._sizes()
        short = cp.Variable(self.right.size, nonneg=True)
        limits: list[Any] = list(shares)
        if self.right.size:
            limits.append(sparse.csr_array(self.matrix / size[:, None]) @ x <= self.right / size + short)
        spare: Any = cp.Variable(max(len(self.extras.risks), 1), nonneg=True)
        scales: list[float] = []
        for k, risk in enumerate(self.extras.risks):
            scale, mean, error = self._risk(risk)
            scales.append(scale)
            z = float(ndtri(risk.confidence))
            limits.append(cp.SOC((risk.right - mean @ x) / scale + spare[k], z / scale * (error @ x)))
        state = solve_quietly(cp.Problem(cp.Minimize(cp.sum(short) + cp.sum(spare)), limits))
        if state not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
            raise SolverFailed(f"reference: the elastic program ended with {state!r}")
        lacks = [*np.atleast_1d(np.asarray(short.value, float)), *np.asarray(spare.value)[: len(scales)]]
        told = [
            f"{name}: {amount(float(lack * scale))} short at best"
            for name, lack, scale in zip(self.names, lacks, [*size, *scales], strict=True)
            if lack > MISSED
        ]
        return "; ".join(told)

    def _variables(self) -> tuple[Any, list[Any]]:
        n = self.problem.bids.shape[0]
        x = cp.Variable(self.unit.size, nonneg=True)
        sums = sparse.csr_array((np.ones(self.unit.size), (self.unit, np.arange(self.unit.size))), shape=(n, x.size))
        _first, _last, may = curves.windows(self.problem)
        held = np.flatnonzero(~may)
        return x, [sums @ x <= 1] + ([sums[held] @ x >= 1] if held.size else [])

    def _sizes(self) -> Floats:
        size = np.maximum(np.abs(self.matrix).sum(axis=1) / max(self.problem.bids.shape[1], 1), np.abs(self.right))
        return np.where(size > 0, size, 1.0)

    def _periods(self) -> Any:
        s = self.extras.smoothing
        assert s is not None  # only asked where there is smoothing
        spend = np.asarray(self.problem.spend[self.unit, self.level], float)
        at = (s.period[self.unit], np.arange(self.unit.size))
        return sparse.csr_array((spend, at), shape=(s.plan.size, self.unit.size))

    def _risk(self, risk: Risk) -> tuple[float, Floats, Any]:
        """Scale of the row, its mean part rho c - v per pair, and the errors (n_units + 1, n_pairs)."""
        inside: Bools = self.problem.groups.members(risk.group)[self.unit]
        c, v = (np.asarray(t[self.unit, self.level], float) for t in (self.problem.spend, self.problem.gmv))
        mean, own = np.where(inside, risk.target * c - v, 0.0), np.where(inside, v, 0.0)
        n, pairs = self.problem.bids.shape[0], np.arange(self.unit.size)
        rows = np.concatenate([self.unit, np.full(self.unit.size, n)])
        errors = np.concatenate([risk.own_error[self.unit] * own, risk.common_error * own])
        error = sparse.csr_array((errors, (rows, np.tile(pairs, 2))), shape=(n + 1, self.unit.size))
        levels = max(self.problem.bids.shape[1], 1)
        return max(float(np.abs(mean).sum()) / levels, abs(risk.right), 1e-300), mean, error


def _right(problem: Problem) -> Floats:
    rows = problem.rows
    return rows.right / np.where(rows.kind == RowKind.ROI, rows.target, 1.0)
