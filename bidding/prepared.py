"""Keeps what is dear about a problem, its hulls, for the next question: other targets now, or scaled curves next hour.

    at = Prepared.of(problem)
    at.solve()                        the answer
    at.with_rows(rows).solve(last)    other targets: no response table is looked at but for the certificate
    at.next_hour(problem).solve(last) the coming hour: hulls of units whose curves only scaled are kept

More traffic multiplies a unit's clicks and spend, a higher market price its spend: both leave the hull's levels where they
are and multiply its marginal costs. That a curve only scaled is checked level by level, never assumed.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bidding import curves, rich_kernels
from bidding.rich import Dual, RichSolver, no_hulls, tables
from domain.errors import InvalidPlan, SolverFailed
from domain.problem import Problem, Rows, Solution

kernels: Any = rich_kernels


@dataclass(frozen=True, slots=True)
class Prepared:
    """A problem with its hulls.

    Attributes
    ----------
    dual
        Problem as `RichSolver` lays it out.
    kept
        How many hulls were taken over from the problem before.
    solver
        Solves it.
    """

    dual: Dual
    kept: int = 0
    solver: RichSolver = field(default_factory=RichSolver)

    @classmethod
    def of(cls, problem: Problem) -> "Prepared":
        """Check the tables and build all hulls; errors as those of `RichSolver.solve`."""
        curves.checked(problem)
        if problem.bids.shape[0] == 0:
            raise SolverFailed("rich: no units")
        return cls(Dual.of(problem))

    def with_rows(self, rows: Rows) -> "Prepared":
        """Same curves and groups under other rows."""
        d = self.dual
        problem = replace(d.problem, rows=rows)
        curves.orders_given(problem)
        return replace(self, dual=Dual.with_hulls(problem, d.hull, d.ends), kept=int(problem.bids.shape[0]))

    def next_hour(self, problem: Problem) -> "Prepared":
        """The same units with new tables, groups and rows; `InvalidPlan` where their number changed."""
        old = self.dual
        if problem.bids.shape != old.problem.bids.shape:
            raise InvalidPlan(f"prepared: {problem.bids.shape} units x levels now, {old.problem.bids.shape} before")
        curves.checked(problem)
        found = curves.ends(problem)
        cost, level, _rates, varied = old.hull
        hull = (cost.copy(), level.copy(), *no_hulls(*problem.bids.shape)[2:])
        near = 2e-6 if np.float32 in (problem.spend.dtype, old.problem.spend.dtype) else 1e-9
        kept = kernels.rescaled(
            old.tables[0], old.tables[1], old.ends.start, old.ends.end, varied, tables(problem), found.start, found.end,
            hull, near,
        )  # fmt: skip
        return replace(self, dual=Dual.with_hulls(problem, hull, found), kept=int(kept))

    def solve(self, last: Solution | None = None) -> Solution:
        """Answer with its certificate; starts from the prices of an earlier answer to rows in the same order."""
        return (self.solver if last is None else self.solver.warm_started(last)).solved(self.dual)
