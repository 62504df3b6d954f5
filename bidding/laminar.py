"""Solves a bidding program with budget and ROI rows on nested groups exactly, without iterating to a tolerance.

Program (symbols as in docs/mathematics.md, part I; money in account currency):

    max  sum_i sum_l v_il x_il      x_il >= 0,  sum_l x_il <= 1   (= 1 where unit i may not pause)
    budget(G)   sum_{i in G} c_il x_il <= B_G
    roi(G)      sum_{i in G} (rho_G c_il - v_il) x_il <= s_G

Per group the best value V_G(C) for a spend C is concave: the units' upper envelopes laid out by falling slope.
A budget allows C <= B_G. An ROI row V_G(C) >= rho_G C - s_G allows an interval [C_lo, C_hi], because V_G is
concave. What is left of V_G between the two is concave again, so the parent group repeats the step with its
children's curves cut already. Slopes at the cuts give the multipliers in closed form: with theta_k the slope at
group k's cut, theta_a the effective slope of its nearest binding ancestor and M = 1 + sum of the ancestors' mu,

    lambda_k = M (theta_k - theta_a)      mu_k = M (theta_k - theta_a) / (rho_k - theta_k)

Both are positive exactly where the row binds: above C_hi theta_a < theta_k < rho_k, at a forced C_lo
theta_a > theta_k > rho_k. The certificate (`bidding.certificate`) checks them on the raw tables.

The objective may differ from gmv only where no ROI row stands. Sources: the single-budget case is Dantzig's
greedy for the linear multiple-choice knapsack (Sinha and Zoltners, 1979); value-per-spend targets as one
multiplier follow Aggarwal, Badanidiyuru and Mehta (2019).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidding import curves, envelope_kernels, laminar_kernels
from bidding.certificate import certify
from domain.errors import SolverFailed
from domain.problem import Problem, RowKind, Solution
from domain.tables import Bools, Floats, Ints

kernels: Any = laminar_kernels
envelopes: Any = envelope_kernels


def fits(problem: Problem) -> str | None:
    """Why a problem is not of the laminar kind; ``None`` where it is."""
    kind = problem.rows.kind
    if bool(np.any((kind == RowKind.CPC) | (kind == RowKind.CPA))):
        return "laminar: CPC or CPA rows need a second price beside theta"
    if problem.value is not None and problem.value is not problem.gmv and bool(np.any(kind == RowKind.ROI)):
        return "laminar: the objective is not the gmv that the ROI rows count"
    return None


@dataclass(frozen=True, slots=True)
class LaminarSolver:
    """Exact solver for budget and ROI rows on a tree of groups, with level windows and forced floors.

    `solve` raises `SolverFailed` where the problem has other rows, `InvalidPlan` where its tables make no sense.
    Cost is a few reads of the spend and value tables; see docs/decisions/solver.md.
    """

    def solve(self, problem: Problem) -> Solution:
        """Best mix of levels per unit, prices of money, multipliers and a certificate."""
        reason = fits(problem)
        if reason is not None:
            raise SolverFailed(reason)
        curves.checked(problem)
        cuts = swept(problem)
        answer = certify(
            problem,
            cuts.end,
            theta=cuts.theta,
            offset=np.zeros(int(problem.bids.shape[0])),
            multipliers=cuts.multipliers,
            unreachable=cuts.unreachable,
            tied=cuts.tied,
            method="laminar",
        )
        if not any(int((y > 0).sum()) > 1 for y in cuts.rays):
            return answer
        from bidding.lost import told  # it sweeps, too

        words = told(problem, cuts.unreachable, cuts.rays, answer.spend, answer.gmv)
        return replace(answer, certificate=replace(answer.certificate, words=words))


@dataclass(frozen=True, slots=True)
class Cuts:
    """What the sweep found.

    Attributes
    ----------
    end
        Mix of levels per unit.
    theta, multipliers
        (n_units,) and (n_rows,) prices.
    unreachable
        Rows that cannot be met.
    rays
        For each of them the prices (n_rows,) that prove it: rows with a positive one cannot be met together. Of a group
        around another that is lost already only its own row.
    tied
        Whether two rows are tight.
    """

    end: tuple[NDArray[np.int16], NDArray[np.int16], Floats]
    theta: Floats
    multipliers: Floats
    unreachable: Ints
    rays: tuple[Floats, ...]
    tied: bool


def swept(problem: Problem) -> Cuts:
    """Cut all groups at their rows, from the innermost up, and price the cuts."""
    groups, rows = problem.groups, problem.rows
    n, n_groups = int(problem.bids.shape[0]), len(groups.names)
    spend = np.ascontiguousarray(problem.spend)
    value = np.ascontiguousarray(curves.value_table(problem))
    found = curves.ends(problem)
    by_group = np.argsort(rows.group, kind="stable")
    row_at = np.searchsorted(rows.group[by_group], np.arange(n_groups + 1)).astype(np.int64)
    kind, rho = rows.kind[by_group], np.asarray(rows.target[by_group], np.float64)
    right = np.asarray(rows.right[by_group], np.float64)
    order, begin, stop = kernels.unit_ranges(groups.parent, groups.leaf)
    start = (found.start, found.start.copy(), np.ones(n), found.first)
    end = (found.end, found.end.copy(), np.ones(n))
    high, high_row, low, low_row, state, stood, stood_row = kernels.sweep(
        spend,
        value,
        order,
        begin,
        stop,
        groups.parent,
        row_at,
        kind,
        rho,
        right,
        start,
        end,
        found.sums,
    )
    theta, sorted_multipliers = kernels.prices(groups.parent, kind, rho, high, high_row, low, low_row, state)
    free: Bools = (theta <= 0.0) & (state != 2)
    if n and bool(free[groups.leaf].any()):
        least = float(envelopes.last_slope(spend, value, groups.leaf, free, start, end))
        theta[free] = least if np.isfinite(least) else 0.0
    multipliers = np.zeros(len(rows))
    multipliers[by_group] = sorted_multipliers
    lost = np.flatnonzero((state == 2) & (high_row >= 0))
    rays: list[Floats] = []
    above = np.zeros(n_groups, np.bool_)  # groups around a lost one: their cuts say nothing
    for g in lost[::-1]:
        sorted_ray, y = np.zeros(len(rows)), np.zeros(len(rows))
        alone = bool(above[g])
        up = int(groups.parent[g])
        while up >= 0 and not above[up]:
            above[up], up = True, int(groups.parent[up])
        kernels.ray(
            int(g), groups.parent, kind, rho, high, high_row, low, low_row, stood, stood_row, sorted_ray
        )  # fmt: skip
        if alone or not bool(np.isfinite(sorted_ray).all()):
            sorted_ray = np.zeros(len(rows))
            sorted_ray[high_row[g]] = 1.0
        y[by_group] = sorted_ray
        rays.append(y)
    at = by_group[high_row[lost]]
    return Cuts(end, theta[groups.leaf], multipliers, at, tuple(rays[::-1]), bool((state == 1).any()))
