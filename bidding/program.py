"""The bidding program, stated once in cvxpy and solved by Clarabel: the readable reference for every other solver.

For unit i and bid level l: spend c_il and gmv v_il (account currency), clicks q_il, orders n_il; what is maximised
is w_il (gmv unless the problem says otherwise). x_il is the share of the hour that unit i spends at level l:

    max   sum_il w_il x_il
    s.t.  x_il >= 0,   sum_l x_il <= 1        (= 1 where unit i may not pause; the rest of 1 is the pause)
          x_il  = 0                           where l lies outside the window first_i .. last_i
    budget(G)  sum_{i in G} c x                <= B_G                                    price lambda_G
    roi(G)     sum_{i in G} (rho_G c - v) x    <= s_G  = V0 - rho_G C0                   price mu_G
    cpc(G)     sum_{i in G} (c - kappa_G q) x  <= s'_G = kappa_G Q0 - C0                 price eta_G
    cpa(G)     sum_{i in G} (c - a_G n) x      <= s''_G = a_G n0 - C0                    price nu_G

Every ratio target is linear after multiplying out; C0, V0, Q0, n0 is what the group has bought already. Unit i's
best answer at given prices maximises A_i q - P_i c with

    A_i = g_i (1 + sum mu_G) + sum (eta_G kappa_G + nu_G a_G cvr_i)      P_i = sum (lambda_G + mu_G rho_G + eta_G + nu_G)

over the groups that contain it, so the second-price bid is A_i / P_i = (g_i + offset_i) / theta_i with
theta = P / (1 + sum mu) and offset = (A - g (1 + sum mu)) / (1 + sum mu). Where no point meets all rows, the
elastic program is solved: budgets stay hard where floors allow it, and the sum of ratio rows' shortfalls,
in account currency, is least.

Bid floors, caps and step windows are the windows first_i .. last_i and x that may not pause (`bidding.extended.window`).
Optional parts, for small accounts (`bidding.extended.solve_extended`); C_G, V_G are spend and gmv of x in G:

    new customers    w_il = (1 + u_i) v_il                      u_i = weight x share of new customers of unit i
    minimum(G)       sum_{i in G} d x  >= m                     d any table: spend, clicks, impressions
    crossing(G')     any of the rows above on groups of another tree, such as phases over campaigns
    smoothing        - eps sum_t (C_t - plan_t)^2               added to the objective; t = the period of a unit
    risk(G)          rho C_G - V_G + z sqrt( sum_i (s_i V_i)^2 + (s_0 V_G)^2 )  <= s_G

The last is P(true V_G >= rho C_G - s_G) >= Phi(z) for normal errors of relative size s_i of unit i's gmv and s_0
common to all: a second-order cone. Each part has a linear bound from above, so the dual bound stays one best level per unit:
for any d_t, -(C - p)^2 <= -2 d (C - p) + d^2; for any u with |u| <= z mu, -mu z |a| <= -u a.

Sources: linear autobidding program of Aggarwal, Badanidiyuru and Mehta (2019); affine bid for budget and CPC of
Yang et al. (KDD 2019).
"""

# cvxpy and scipy come without types.
# pyright: basic
import warnings
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bidding import curves
from bidding.certificate import Mix, certify, unit_prices
from domain.errors import SolverFailed
from domain.groups import Groups
from domain.problem import Problem, RowKind, Rows, Solution
from domain.tables import Floats, Ints


@dataclass(frozen=True, slots=True)
class ReferenceSolver:
    """Interior-point solver for any rows, meant for up to about 10,000 units x 20 levels.

    Attributes
    ----------
    most_units
        Largest problem it accepts; beyond it `SolverFailed` says so instead of running for minutes.
    """

    most_units: int = 20_000

    def solve(self, problem: Problem) -> Solution:
        """Best mix of levels per unit, prices, multipliers and a certificate; `SolverFailed` without an answer."""
        curves.checked(problem)
        n = problem.bids.shape[0]
        if n > self.most_units:
            raise SolverFailed(f"reference: {n} units are more than its {self.most_units}; use another solver")
        program = _Program.of(problem)
        if n == 0 or program.spend.size == 0:
            nothing = np.full(n, -1, np.int16)
            return self._answer(
                problem, (nothing, nothing, np.ones(n)), np.zeros(len(problem.rows)), _overdrawn(problem)
            )
        x, y, unreachable = program.optimum()
        return self._answer(problem, program.two_levels(x, y), y, unreachable)

    def _answer(self, problem: Problem, mix: Mix, y: Floats, unreachable: Ints) -> Solution:
        theta, offset = price_of_money(problem, y)
        return certify(
            problem,
            mix,
            theta=theta,
            offset=offset,
            multipliers=y,
            unreachable=unreachable,
            tied=bool((y > 0).sum() > 1),
            method="reference (cvxpy, Clarabel)",
        )


def price_of_money(problem: Problem, y: Floats) -> tuple[Floats, Floats]:
    """Theta and offset per unit, each (n_units,), that the multipliers (n_rows,) imply; see the module's text.

    Where no row prices money (P = 0), theta is the smallest slope at which a unit of the problem still gains, so
    that second-price bids stand at the end of the tables; 0 where nothing has value.
    """
    price, on_gmv, on_clicks, on_orders = unit_prices(problem, y)
    leaf = problem.groups.leaf
    clicks = np.asarray(problem.clicks[:, -1], float) if leaf.size else np.zeros(0)
    per_click = np.divide(1.0, clicks, out=np.zeros_like(clicks), where=clicks > 0)
    cvr = np.zeros_like(clicks) if problem.orders is None else np.asarray(problem.orders[:, -1], float) * per_click
    mass = 1.0 + on_gmv[leaf]
    theta = price[leaf] / mass
    free = theta <= 0
    if bool(free.any()):
        theta = np.where(free, _last_slope(problem, free), theta)
    return theta, (on_clicks[leaf] + on_orders[leaf] * cvr) / mass


def left_sides(problem: Problem, groups: Groups, rows: Rows, unit: NDArray[np.intp], level: NDArray[np.intp]) -> Floats:
    """(n_rows, n_pairs) left sides of rows over (unit, level) pairs; ROI rows divided by rho, so all in money spent."""
    c, v, q = (np.asarray(t[unit, level], np.float64) for t in (problem.spend, problem.gmv, problem.clicks))
    n = np.zeros_like(c) if problem.orders is None else np.asarray(problem.orders[unit, level], np.float64)
    blocks: list[Floats] = []
    for kind, g, t in zip(rows.kind, rows.group, rows.target, strict=True):
        gained = 0.0 * c if kind == RowKind.BUDGET else v / t if kind == RowKind.ROI else t * q
        if kind == RowKind.CPA:
            gained = t * n
        blocks.append(np.where(groups.members(int(g))[unit], c - gained, 0.0))
    return np.array(blocks) if blocks else np.zeros((0, c.size))


def _last_slope(problem: Problem, free: NDArray[np.bool_]) -> float:
    value = np.asarray(curves.value_table(problem)[free], float)
    cost = np.asarray(problem.spend[free], float)
    rise, run = value[:, -1:] - value[:, :-1], cost[:, -1:] - cost[:, :-1]
    slopes = rise[(rise > 0) & (run > 0)] / run[(rise > 0) & (run > 0)]
    return float(slopes.min()) if slopes.size else 0.0


def _overdrawn(problem: Problem) -> Ints:
    """Rows that even buying nothing breaks."""
    return np.flatnonzero(problem.rows.right < 0)


@dataclass(frozen=True, slots=True)
class _Program:
    """The program in sparse form over the allowed (unit, level) pairs; rows and objective scaled to about 1."""

    problem: Problem
    unit: NDArray[np.intp]
    level: NDArray[np.intp]
    spend: Floats
    value: Floats
    matrix: sparse.csr_array
    right: Floats
    scale: Floats

    @classmethod
    def of(cls, problem: Problem) -> "_Program":
        first, last, _may = curves.windows(problem)
        number = np.arange(problem.bids.shape[1])
        allowed = (number >= first[:, None]) & (number <= last[:, None])
        unit, level = np.nonzero(allowed)
        value, c = (
            np.asarray(table[unit, level], np.float64) for table in (curves.value_table(problem), problem.spend)
        )
        rows = problem.rows
        dense = left_sides(problem, problem.groups, rows, unit, level)
        per_target = np.where(rows.kind == RowKind.ROI, rows.target, 1.0)
        right = rows.right / per_target
        size = np.maximum(np.abs(dense).sum(axis=1) / max(problem.bids.shape[1], 1), np.abs(right))
        size = np.where(size > 0, size, 1.0)
        matrix = sparse.csr_array(dense / size[:, None])
        matrix.eliminate_zeros()
        return cls(problem, unit, level, c, value, matrix, right / size, size * per_target)

    @property
    def touched(self) -> NDArray[np.bool_]:
        """(n_rows,) whether any unit counts in a row; one of an empty group has no price."""
        return np.diff(self.matrix.indptr) > 0

    def optimum(self) -> tuple[Floats, Floats, Ints]:
        """Shares x of the allowed pairs, multipliers of the rows, and rows that cannot be met."""
        worth = max(float(np.abs(self.value).max()), 1e-300)
        x, shares = self._variables()
        rows: Any = self.matrix @ x <= self.right
        program = cp.Problem(cp.Maximize((self.value / worth) @ x), [*shares, rows])
        state = solve_quietly(program)
        if state in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
            y = np.zeros(0) if rows.dual_value is None else np.atleast_1d(np.asarray(rows.dual_value, float))
            y = np.where((y > 1e-9) & self.touched, y, 0.0) * worth / self.scale
            return np.asarray(x.value, float), y, np.zeros(0, np.intp)
        if state in (cp.INFEASIBLE, cp.INFEASIBLE_INACCURATE):
            return self._least_violation()
        raise SolverFailed(f"reference: Clarabel ended with {state!r}")

    def _least_violation(self) -> tuple[Floats, Floats, Ints]:
        kind = self.problem.rows.kind
        x, shares = self._variables()
        short = cp.Variable(len(self.problem.rows), nonneg=True)
        # Budgets come first: their shortfall costs so much more that it is used only where floors force it.
        weight = np.where(kind == RowKind.BUDGET, 1e3, 1.0) * self.scale
        rows: Any = self.matrix @ x <= self.right + short
        state = solve_quietly(cp.Problem(cp.Minimize((weight / weight.max()) @ short), [*shares, rows]))
        if state not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
            raise SolverFailed(f"reference: the elastic program ended with {state!r}")
        y = np.atleast_1d(np.asarray(rows.dual_value, float))
        y = np.where((y > 1e-9) & self.touched, y, 0.0) * weight.max() / self.scale
        missed = np.flatnonzero(np.asarray(short.value, float) > 1e-6 * np.maximum(np.abs(self.right), 1e-3))
        return (
            np.asarray(x.value, float),
            y,
            missed if missed.size else np.array([int(np.argmax(np.asarray(short.value)))]),
        )

    def _variables(self) -> tuple[Any, list[Any]]:
        x = cp.Variable(self.unit.size, nonneg=True)
        n = self.problem.bids.shape[0]
        sums = sparse.csr_array(
            (np.ones(self.unit.size), (self.unit, np.arange(self.unit.size))), shape=(n, self.unit.size)
        )
        _first, _last, may = curves.windows(self.problem)
        held = np.flatnonzero(~may)
        constraints: list[Any] = [sums @ x <= 1]
        if held.size:
            constraints.append(sums[held] @ x >= 1)
        return x, constraints

    def two_levels(self, x: Floats, y: Floats) -> Mix:
        """Mix of two neighbouring levels per unit that spends what x spends and is best at the prices y."""
        problem = self.problem
        _price, on_gmv, on_clicks, on_orders = unit_prices(problem, y)
        leaf = problem.groups.leaf
        gain = np.asarray(curves.value_table(problem), float) + on_gmv[leaf][:, None] * problem.gmv
        gain = gain + on_clicks[leaf][:, None] * problem.clicks
        if problem.orders is not None:
            gain = gain + on_orders[leaf][:, None] * problem.orders
        wanted = np.bincount(self.unit, weights=self.spend * np.maximum(x, 0.0), minlength=leaf.size)
        first, last, may = curves.windows(problem)
        n = leaf.size
        lower, upper, share = np.empty(n, np.int16), np.empty(n, np.int16), np.ones(n)
        for i in range(n):
            lower[i], upper[i], share[i] = _on_envelope(
                np.asarray(problem.spend[i], float), gain[i], int(first[i]), int(last[i]), bool(may[i]), wanted[i]
            )
        return lower, upper, share


def _on_envelope(
    cost: Floats, gain: Floats, first: int, last: int, may_pause: bool, wanted: float
) -> tuple[int, int, float]:
    """Neighbours on the upper envelope of (cost, gain) around a wanted cost, and the share of the upper one."""
    points = [(0.0, 0.0, -1)] if may_pause else []
    points += [(float(cost[k]), float(gain[k]), k) for k in range(first, last + 1)]
    hull: list[tuple[float, float, int]] = []
    for p in points:
        while hull and p[0] <= hull[-1][0] and p[1] >= hull[-1][1]:
            hull.pop()
        if hull and p[0] <= hull[-1][0]:
            continue
        while len(hull) > 1 and (hull[-1][1] - hull[-2][1]) * (p[0] - hull[-1][0]) <= (p[1] - hull[-1][1]) * (
            hull[-1][0] - hull[-2][0]
        ):
            hull.pop()
        hull.append(p)
    at = int(np.searchsorted([p[0] for p in hull], wanted))
    if at == 0:
        return hull[0][2], hull[0][2], 1.0
    if at == len(hull):
        return hull[-1][2], hull[-1][2], 1.0
    below, above = hull[at - 1], hull[at]
    part = (wanted - below[0]) / (above[0] - below[0])
    # An interior point's dust: shares this near to a level are that level.
    if part > 1 - 1e-7:
        return above[2], above[2], 1.0
    if part < 1e-7:
        return below[2], below[2], 1.0
    return below[2], above[2], part


def solve_quietly(program: cp.Problem) -> str:
    """Status after Clarabel; its complaints become statuses, not warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program.solve(solver=cp.CLARABEL)
        except cp.SolverError as error:
            raise SolverFailed(f"reference: Clarabel failed: {error}") from error
    return str(program.status)
