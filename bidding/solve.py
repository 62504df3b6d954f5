"""Picks the solver for a problem: the exact one where its rows allow, else the next; says what was tried."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bidding.laminar import LaminarSolver
from domain.errors import InvalidPlan, OptimizationError, SolverFailed
from domain.problem import Problem, Solution, Status
from domain.protocols import Solver


class _Reference:
    """The reference program; cvxpy takes a second to load, so only where it is asked."""

    def solve(self, problem: Problem) -> Solution:
        from bidding.program import ReferenceSolver

        return ReferenceSolver().solve(problem)


def _methods() -> tuple[Solver, ...]:
    return (LaminarSolver(), _Reference())


@dataclass(frozen=True, slots=True)
class AutoSolver:
    """Tries its methods in order; the first answer that holds its rows is given, with the attempts before it.

    Attributes
    ----------
    methods
        Solvers, best first.
    most_violation
        Relative violation above which an answer that claims to be feasible is not accepted.
    most_gap
        Relative gap above which an answer is not accepted.
    """

    methods: Sequence[Solver] = field(default_factory=_methods)
    most_violation: float = 1e-4
    most_gap: float = 1e-2

    def solve(self, problem: Problem) -> Solution:
        """Answer of the first method that has one; `SolverFailed` lists what each of them said."""
        attempts: list[str] = []
        for method in self.methods:
            try:
                found = method.solve(problem)
            except InvalidPlan:
                raise
            except (OptimizationError, ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
                attempts.append(str(error))
                continue
            proof = found.certificate
            if found.status is not Status.UNREACHABLE and not (
                proof.violation <= self.most_violation and proof.gap <= self.most_gap
            ):
                attempts.append(f"{found.method}: gap {proof.gap:.1e}, violation {proof.violation:.1e}: not accepted")
                continue
            return replace(found, attempts=(*attempts, *found.attempts))
        raise SolverFailed("no method found an answer: " + "; ".join(attempts))
