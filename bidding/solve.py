"""Picks the solver for a problem: the exact one where its rows allow, else the dual Newton one, at last the reference."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bidding.laminar import LaminarSolver
from bidding.rich import RichSolver
from domain.errors import InvalidPlan, OptimizationError, SolverFailed
from domain.problem import Problem, Solution, Status
from domain.protocols import Solver


class _Reference:
    """The reference program; cvxpy takes a second to load, so only where it is asked."""

    def solve(self, problem: Problem) -> Solution:
        from bidding.program import ReferenceSolver

        return ReferenceSolver().solve(problem)


def _methods() -> tuple[Solver, ...]:
    return (LaminarSolver(), RichSolver(), _Reference())


@dataclass(frozen=True, slots=True)
class AutoSolver:
    """Tries its methods in order and gives the first good answer, or the best one that holds its rows.

    Attributes
    ----------
    methods
        Solvers, best first.
    good_gap
        Relative gap at which no further method is tried.
    most_gap, most_violation
        Relative gap and violation above which an answer that claims to be feasible is not accepted.
    """

    methods: Sequence[Solver] = field(default_factory=_methods)
    good_gap: float = 2e-4
    most_gap: float = 1e-2
    most_violation: float = 1e-5

    def solve(self, problem: Problem) -> Solution:
        """Answer with the attempts before it; `SolverFailed` lists what each method said where none has one."""
        attempts: list[str] = []
        best: Solution | None = None
        for method in self.methods:
            try:
                found = method.solve(problem)
            except InvalidPlan:
                raise
            except (OptimizationError, ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
                attempts.append(str(error))
                continue
            proof = found.certificate
            if found.status is Status.UNREACHABLE:
                return replace(found, attempts=(*attempts, *found.attempts))
            told = f"{found.method}: gap {proof.gap:.1e}, violation {proof.violation:.1e}"
            if proof.violation > self.most_violation or not proof.gap <= self.most_gap:
                attempts.append(f"{told}: not accepted")
                continue
            if best is None or proof.gap < best.certificate.gap:
                best = found
            if proof.gap <= self.good_gap:
                break
            attempts.append(f"{told}: a smaller gap was looked for")
        if best is None:
            raise SolverFailed("no method found an answer: " + "; ".join(attempts))
        return replace(best, attempts=(*attempts, *best.attempts))
