"""When targets collide: the smallest set that cannot be met together, and how little of each would cure it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bidding.laminar import LaminarSolver, fits
from bidding.reach import MOST_ROWS, Reach, always
from bidding.rich import RichSolver
from bidding.words import amount, row_name
from domain.problem import Problem, RowKind, Rows, Status
from domain.protocols import Solver

#: Relative precision of the relaxations that are told.
PRECISION = 1e-4


@dataclass(frozen=True, slots=True)
class Conflict:
    """Rows that cannot be met together, though any of them left out cures it.

    Attributes
    ----------
    rows
        Their positions in the problem.
    cures
        For each, the nearest value of its target (right side of a budget) at which the others can be met; ``inf`` or
        0 where no value would do.
    words
        One sentence per row.
    """

    rows: tuple[int, ...]
    cures: tuple[float, ...]
    words: tuple[str, ...]


def conflict(problem: Problem) -> Conflict | None:
    """Smallest conflicting set by deletion, with the least relaxation of each member; ``None`` where rows agree.

    With budget and ROI rows alone each trial is a full solve; rows that lie on no path with the first broken one are dropped together first.
    """
    if fits(problem) is not None:
        return _at_any_rows(problem)
    solver = LaminarSolver()
    if _agree(problem, np.arange(len(problem.rows)), solver):
        return None
    kept = np.arange(len(problem.rows))
    size = max(len(kept) // 2, 1)
    while size >= 1:
        at = 0
        while at < kept.size:
            rest = np.concatenate([kept[:at], kept[at + size :]])
            if _agree(problem, rest, solver):
                at += size
            else:
                kept = rest
        size //= 2
    cures = tuple(_cure(problem, kept, int(r), solver) for r in kept)
    words = tuple(_words(problem, int(r), cure) for r, cure in zip(kept, cures, strict=True))
    return Conflict(tuple(int(r) for r in kept), cures, words)


def _at_any_rows(problem: Problem) -> Conflict | None:
    """Rows beside budgets and ROI: cutting planes where they are few, else where the prices of a solve point to."""
    if always(problem):
        return None
    reach = Reach.of(problem)
    if len(problem.rows) <= MOST_ROWS:
        found = reach.collision(range(len(problem.rows)))
        sets = [] if found is None else [found]
    else:
        sets = reach.collisions(RichSolver().solve(problem).multipliers)
    if not sets:
        return None
    first = min(sets, key=lambda c: len(c.rows))
    words = tuple(_words(problem, r, cure) for r, cure in zip(first.rows, first.cures, strict=True))
    return Conflict(first.rows, first.cures, words)


def _agree(problem: Problem, rows: NDArray[np.intp], solver: Solver, changed: Rows | None = None) -> bool:
    full = problem.rows if changed is None else changed
    some = Rows(full.kind[rows], full.group[rows], full.target[rows], full.right[rows])
    return solver.solve(replace(problem, rows=some)).status is not Status.UNREACHABLE


def _cure(problem: Problem, kept: NDArray[np.intp], row: int, solver: Solver) -> float:
    rows = problem.rows
    budget = rows.kind[row] == RowKind.BUDGET
    now = float(rows.right[row] if budget else rows.target[row])
    lowers = rows.kind[row] == RowKind.ROI

    def works(value: float) -> bool:
        target, right = rows.target.copy(), rows.right.copy()
        (right if budget else target)[row] = value
        return _agree(problem, kept, solver, Rows(rows.kind, rows.group, target, right))

    most = float(np.sum(problem.spend[:, -1])) if budget else now * (1e-6 if lowers else 1e6)
    if not works(max(most, now) if not lowers else most):
        return 0.0 if lowers else float("inf")
    bad, good = now, most
    while abs(good - bad) > PRECISION * max(abs(good), abs(bad)):
        middle = 0.5 * (bad + good) if bad * good <= 0 or max(bad, good) < 4 * min(bad, good) else (bad * good) ** 0.5
        bad, good = (bad, middle) if works(middle) else (middle, good)
    return good


def _words(problem: Problem, row: int, cure: float) -> str:
    verb = "lower it to" if problem.rows.kind[row] == RowKind.ROI else "raise it to"
    name = row_name(problem, row)
    if cure == 0.0 or cure == float("inf"):
        return f"{name}: no other value of it alone would do"
    return f"{name}: {verb} {amount(cure)}"
