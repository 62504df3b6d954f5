"""Proves how good an answer is, by one pass over the raw tables that shares nothing with the solvers.

For any multipliers y >= 0 (lambda, mu, eta, nu per row) the dual function

    D(y) = sum_i max_l ( w_il + M_i v_il + E_i q_il + N_i n_il - P_i c_il )  +  sum_rows y_row right_row
    M_i = sum mu_G,  E_i = sum eta_G kappa_G,  N_i = sum nu_G a_G,  P_i = sum (lambda_G + mu_G rho_G + eta_G + nu_G)

over the groups G that contain unit i is an upper bound on every feasible answer (weak duality); the pause (0) is
among the levels only where pausing is allowed. ``gap`` = (D - value) / max(D, 1); ``violation`` = worst row
excess / max(|right|, sum of |terms|).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidding import certificate_kernels, curves
from bidding.words import answer_in_words
from domain.problem import Certificate, Problem, RowKind, Rows, Solution, Status
from domain.tables import Bools, Floats, Ints

kernels: Any = certificate_kernels
Mix = tuple[NDArray[np.int16], NDArray[np.int16], Floats]

_BINDS = {
    RowKind.BUDGET: Status.BUDGET_BINDS,
    RowKind.ROI: Status.ROI_BINDS,
    RowKind.CPC: Status.CPC_BINDS,
    RowKind.CPA: Status.CPA_BINDS,
}
#: Relative room below which a row counts as tight.
TIGHT = 1e-4


@dataclass(frozen=True, slots=True)
class Totals:
    """Left sides of rows: spend, gmv, clicks, orders per group, and slack and scale per row."""

    spend: Floats
    gmv: Floats
    clicks: Floats
    orders: Floats
    slack: Floats
    scale: Floats


def totals(problem: Problem, sums: Floats) -> Totals:
    """Roll sums of direct members, (n_groups, 4): spend, gmv, clicks, orders, up the tree; compare the rows' sides."""
    up = sums.copy()
    kernels.up(problem.groups.parent, up)
    c, v, q, n = up.T
    rows = problem.rows
    g, t = rows.group, np.where(rows.kind == RowKind.BUDGET, 0.0, rows.target)
    gained = np.select(
        [rows.kind == RowKind.ROI, rows.kind == RowKind.CPC, rows.kind == RowKind.CPA],
        [v[g], t * q[g], t * n[g]],
        default=0.0,
    ).astype(np.float64)
    paid = np.asarray(np.where(rows.kind == RowKind.ROI, t * c[g], c[g]), np.float64)
    scale = np.maximum(np.abs(rows.right), np.abs(paid) + np.abs(gained))
    return Totals(c, v, q, n, rows.right - (paid - gained), np.where(scale > 0, scale, 1.0))


def dual_bound(problem: Problem, multipliers: Floats) -> float:
    """D(y): no feasible answer is worth more. Holds for every y >= 0; NaN or negative entries count as 0."""
    y = np.where(multipliers > 0, multipliers, 0.0)
    price, on_gmv, on_clicks, on_orders = unit_prices(problem, y)
    n = problem.bids.shape[0]
    bound = float(np.dot(y, problem.rows.right))
    if n == 0:
        return bound
    first, last, may = curves.windows(problem)
    spend = np.ascontiguousarray(problem.spend)
    gmv = np.ascontiguousarray(problem.gmv)
    value = np.ascontiguousarray(curves.value_table(problem))
    leaf = problem.groups.leaf
    if problem.value is None and not on_clicks.any() and not on_orders.any():
        return bound + float(kernels.best_two(spend, gmv, leaf, 1.0 + on_gmv, price, first, last, may))
    clicks = np.ascontiguousarray(problem.clicks)
    orders = clicks if problem.orders is None else np.ascontiguousarray(problem.orders)
    return bound + float(
        kernels.best_all(spend, value, gmv, clicks, orders, leaf, price, on_gmv, on_clicks, on_orders, first, last, may)
    )


def unit_prices(problem: Problem, y: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """(n_groups,) each: price of spend P, and what rows add to gmv (M), clicks (E), orders (N) in a group."""
    rows = problem.rows
    own = np.zeros((len(problem.groups.names), 4))
    ratio = np.where(rows.kind == RowKind.BUDGET, 0.0, rows.target)
    np.add.at(own[:, 0], rows.group, np.where(rows.kind == RowKind.ROI, y * ratio, y))
    for column, kind, weight in ((1, RowKind.ROI, y), (2, RowKind.CPC, y * ratio), (3, RowKind.CPA, y * ratio)):
        np.add.at(own[:, column], rows.group, np.where(rows.kind == kind, weight, 0.0))
    kernels.down(problem.groups.parent, own)
    return own[:, 0], own[:, 1], own[:, 2], own[:, 3]


def certify(
    problem: Problem,
    mix: Mix,
    *,
    theta: Floats,
    offset: Floats,
    multipliers: Floats,
    unreachable: Ints,
    tied: bool,
    method: str,
    attempts: tuple[str, ...] = (),
) -> Solution:
    """Make a `Solution` of a mix of levels and multipliers, measured anew on the tables.

    Parameters
    ----------
    mix
        ``(lower, upper, share)`` per unit; see `bidding.curves`.
    theta, offset
        (n_units,) price of money and click-value offset.
    multipliers
        (n_rows,) shadow prices.
    unreachable
        Rows that no answer can meet.
    tied
        Whether the solver saw two rows tight at once.
    """
    lower, upper, share = mix
    found = curves.delivered(problem, lower, upper, share)
    value = found.gmv if problem.value is None else curves.mixed(problem.value, lower, upper, share)
    n_groups = len(problem.groups.names)
    ordered = np.zeros(n_groups)
    if problem.orders is not None and bool(np.any(problem.rows.kind == RowKind.CPA)):
        orders = curves.mixed(problem.orders, lower, upper, share)
        ordered = np.bincount(problem.groups.leaf, weights=orders, minlength=n_groups).astype(np.float64)
    reached = totals(problem, np.column_stack([found.sums, ordered]))
    total = float(value.sum())
    # An elastic program may name rows that the answer meets after all.
    broken = unreachable[reached.slack[unreachable] < 0]
    unreachable = broken if broken.size else unreachable
    excess = np.maximum(-reached.slack, 0.0) / reached.scale
    violation = float(excess.max()) if excess.size else 0.0
    binds: Bools = (np.abs(reached.slack) <= TIGHT * reached.scale) & (multipliers > 0)
    bound = gap = float("nan")
    if not unreachable.size:
        bound = dual_bound(problem, multipliers)
        gap = (bound - total) / max(bound, 1.0)
    status = _status(problem, reached, multipliers, binds, unreachable, tied)
    words = answer_in_words(problem, status, reached.spend, reached.gmv, multipliers, binds, unreachable)
    return Solution(
        lower=lower,
        upper=upper,
        share=share,
        bid=found.bid,
        spend=found.spend,
        clicks=found.clicks,
        value=value,
        gmv=found.gmv,
        theta=theta,
        offset=offset,
        multipliers=multipliers,
        status=status,
        row_binds=binds,
        certificate=Certificate(total, bound, gap, violation, words),
        method=method,
        attempts=attempts,
    )


def _status(
    problem: Problem, reached: Totals, multipliers: Floats, binds: Bools, unreachable: Ints, tied: bool
) -> Status:
    rows: Rows = problem.rows
    if unreachable.size:
        return Status.UNREACHABLE
    if not binds.any():
        return Status.SLACK
    root = binds & (rows.group == 0)
    candidates = np.flatnonzero(root if root.any() else binds)
    # The row whose whole right side (or spend, for ratio rows) is worth most names the answer.
    weight = multipliers * np.maximum(np.abs(rows.right), reached.scale)
    kind = RowKind(int(rows.kind[candidates[np.argmax(weight[candidates])]]))
    if kind != RowKind.BUDGET and reached.spend[0] <= 1e-3 * _reach(problem):
        return Status.STARVED
    return Status.BOTH_TIGHT if tied and root.any() and _two_tight(rows, reached) else _BINDS[kind]


def _two_tight(rows: Rows, reached: Totals) -> bool:
    """Whether two rows of one group are tight."""
    tight = np.abs(reached.slack) <= 1e-9 * reached.scale
    return bool(np.any(np.bincount(rows.group[tight], minlength=1) > 1))


def _reach(problem: Problem) -> float:
    """Spend with every unit at its last level, at most the account's budget."""
    _first, last, _may = curves.windows(problem)
    most = float(problem.spend[np.arange(last.size), last].sum())
    caps = problem.rows.right[(problem.rows.kind == RowKind.BUDGET) & (problem.rows.group == 0)]
    return min([most, *caps.tolist()])
