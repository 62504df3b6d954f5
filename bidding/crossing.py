"""Solves programs whose groups overlap: account budgets per phase beside campaign totals over all phases.

Rows stand on the groups of two trees over the same units. Units that lie in the same groups of both form a *cell*
(campaign k in phase p): all that prices can tell apart. The dual of `bidding.rich` then has no inner rows, but
one Newton matrix over all rows, built from one 4 x 4 curvature per cell,

    H_rs = sum over cells in both groups of  k_r' G_cell k_s

with the same smoothing, stages and tightening of right sides. Meant for up to a few hundred rows.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bidding import certificate_kernels, curves, reach
from bidding.certificate import TIGHT, Mix
from bidding.rich import HELD, Dual, RichSolver
from domain.errors import InvalidPlan
from domain.groups import Groups
from domain.problem import Certificate, Problem, RowKind, Rows, Solution, Status
from domain.tables import Bools, Floats

kernels: Any = certificate_kernels


@dataclass(frozen=True, slots=True)
class Overlap:
    """A second tree over the same units, and the rows that stand on it.

    Attributes
    ----------
    groups
        For example account > phases.
    rows
        Rows on the groups of this tree.
    """

    groups: Groups
    rows: Rows


def solve_overlapping(problem: Problem, overlap: Overlap, solver: RichSolver | None = None) -> Solution:
    """Solve a problem whose rows stand on two trees.

    The answer's ``multipliers`` and ``row_binds`` have the problem's own rows first, then those of `overlap`.

    Raises
    ------
    InvalidPlan
        Where the trees know different units.
    GoalUnreachable
        Where no answer meets all rows, up to the size of the reference program; it names the rows that are missed at
        the least total shortfall.
    SolverFailed
        As `RichSolver` does, and where a larger problem's rows cannot all be met.
    """
    if overlap.groups.leaf.shape != problem.groups.leaf.shape:
        raise InvalidPlan(
            f"overlap: its groups know {overlap.groups.leaf.size} units, the problem {problem.groups.leaf.size}"
        )
    curves.checked(problem)
    joint, covers = _cells(problem, overlap)
    state, rich = CrossedDual.of(joint, covers), RichSolver() if solver is None else solver
    found = rich.descended(state)
    if found.certificate.violation > HELD and not reach.always(joint):
        from bidding.extended import MOST_UNITS, Extras, solve_extended  # it takes overlaps

        if problem.bids.shape[0] <= MOST_UNITS:
            solve_extended(problem, Extras(overlaps=(overlap,)))
    return found if found.certificate.violation <= HELD else rich.at_a_point(state, found)


def _cells(problem: Problem, overlap: Overlap) -> tuple[Problem, Bools]:
    """Same problem on a flat tree of cells, with all rows, and which cells each row holds (n_rows, n_cells + 1)."""
    width = len(overlap.groups.names)
    pair = problem.groups.leaf.astype(np.int64) * width + overlap.groups.leaf
    keys, cell = np.unique(pair, return_inverse=True)
    first, second = keys // width, keys % width
    inside: list[Bools] = []
    for groups, rows, leaf in ((problem.groups, problem.rows, first), (overlap.groups, overlap.rows, second)):
        at = replace(groups, leaf=leaf.astype(np.int32))
        inside += [at.members(int(g)) for g in rows.group]
    covers = np.zeros((len(inside), keys.size + 1), np.bool_)
    if inside:
        covers[:, 1:] = np.array(inside)
    names = ("account", *(f"cell:{k}" for k in range(keys.size)))
    parent = np.concatenate([[-1], np.zeros(keys.size)]).astype(np.int32)
    a, b = problem.rows, overlap.rows
    rows = Rows(
        np.concatenate([a.kind, b.kind]), np.zeros(len(a) + len(b), np.int32), np.concatenate([a.target, b.target]),
        np.concatenate([a.right, b.right]),
    )  # fmt: skip
    return replace(problem, groups=Groups(names, parent, (1 + cell).astype(np.int32)), rows=rows), covers


class CrossedDual(Dual):
    """The dual over cells: a row's units are those of the cells it covers, wherever they hang."""

    def prices(self, y: Floats) -> Floats:
        """(n_groups, 4) prices of spend, gmv, clicks, orders in each cell."""
        z = (self.covers * y[:, None]).T @ self.weights
        z[:, 1:] *= -1.0
        return z

    def scales(self, totals: Floats) -> Floats:
        """(n_rows,) size of each row's terms."""
        return np.maximum(np.abs(self.problem.rows.right), (np.abs(self.weights) * (self.covers @ totals)).sum(axis=1))

    def first_multipliers(self) -> Floats:
        """A price for every cell from the first row that holds it: half of what money returns at the ends."""
        sums = self.ends.sums
        y, priced = np.zeros(len(self.problem.rows)), np.zeros(sums.shape[0], np.bool_)
        for r, inside in enumerate(self.covers):
            if (inside & ~priced).any():
                y[r] = 0.5 * sums[inside, 3].sum() / max(float(sums[inside, 2].sum()), 1e-300) / self.weights[r, 0]
                priced |= inside
        return y

    def certified(self, mix: Mix, theta: Floats, offset: Floats, y: Floats) -> Solution:
        """Bound, gap and violation from one pass over the raw tables, with each cell's own prices."""
        problem, rows = self.problem, self.problem.rows
        found = curves.delivered(problem, *mix)
        value = found.gmv if problem.value is None else curves.mixed(problem.value, *mix)
        leaf, n_groups = problem.groups.leaf, len(problem.groups.names)
        orders = np.zeros(n_groups)
        if problem.orders is not None:
            sums = np.bincount(leaf, weights=curves.mixed(problem.orders, *mix), minlength=n_groups)
            orders = sums.astype(np.float64)
        # Basis of the weights: spend, gmv, clicks, orders.
        left = self.covers @ np.column_stack([found.sums, orders])
        slack = rows.right - (self.weights * left).sum(axis=1)
        scale = np.maximum(np.abs(rows.right), (np.abs(self.weights) * left).sum(axis=1))
        scale = np.where(scale > 0, scale, 1.0)
        z = self.prices(y)
        first, last, may = curves.windows(problem)
        clicks = np.ascontiguousarray(problem.clicks)
        ordered = clicks if problem.orders is None else np.ascontiguousarray(problem.orders)
        best = kernels.best_all(
            np.ascontiguousarray(problem.spend), np.ascontiguousarray(curves.value_table(problem)),
            np.ascontiguousarray(problem.gmv), clicks, ordered, leaf, np.ascontiguousarray(z[:, 0]),
            np.ascontiguousarray(z[:, 1]), np.ascontiguousarray(z[:, 2]), np.ascontiguousarray(z[:, 3]),
            first, last, may,
        )  # fmt: skip
        bound, total = float(best) + float(y @ rows.right), float(value.sum())
        violation = float((np.maximum(-slack, 0.0) / scale).max(initial=0.0))
        binds = (np.abs(slack) <= TIGHT * scale) & (y > 0)
        status = Status.SLACK
        if binds.any():
            kind = RowKind(int(rows.kind[int(np.argmax(np.where(binds, y * scale, -1.0)))]))
            status = {
                RowKind.BUDGET: Status.BUDGET_BINDS,
                RowKind.ROI: Status.ROI_BINDS,
                RowKind.CPC: Status.CPC_BINDS,
                RowKind.CPA: Status.CPA_BINDS,
            }[kind]
        words = f"{int(binds.sum())} of {len(rows)} targets on overlapping groups bind"
        lower, upper, share = mix
        return Solution(
            lower=lower, upper=upper, share=share, bid=found.bid, spend=found.spend, clicks=found.clicks, value=value,
            gmv=found.gmv, theta=theta, offset=offset, multipliers=y, status=status, row_binds=binds,
            certificate=Certificate(total, bound, (bound - total) / max(bound, 1.0), violation, words),
            method="rich (dual Newton), overlapping groups",
        )  # fmt: skip
