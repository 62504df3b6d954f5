"""Says which rows on nested groups cannot be met together, from the prices that prove it, and what would cure each.

When the sweep finds a group's row r out of reach, the cuts of the groups below it price their own rows (`Cuts.rays`):
y >= 0 with y_r = 1 and, in the notation of `bidding.reach`,

    D_0(y) = sum_rows y right - sum_i min_l (sum_rows y k . t_il) = - excess of r at best  <  0.

So the rows with y > 0 have no common point. They are thinned out by deletion, halves first: rows without which the sweep
still proves a collision are not needed, nor those that its new prices leave out. Easing row k by what it takes to make
D_0(y) = 0 is the least that could cure; the sweep is run anew on the eased rows, and as the excess is convex in what
is eased, a few such Newton steps end at the least that does.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bidding import certificate_kernels
from bidding.laminar import swept
from bidding.reach import NOISE, Collision, Reach, row_weights
from bidding.words import unreachable_row
from domain.problem import Problem, RowKind, Rows
from domain.tables import Floats, Ints

kernels: Any = certificate_kernels

#: Most collisions, and members of each, that are told; Newton steps per cure, deletions that are tried.
MOST_TOLD, MOST_MEMBERS, STEPS, DELETIONS = 3, 6, 20, 100


def told(problem: Problem, lost: Ints, rays: Sequence[Floats], spend: Floats, gmv: Floats) -> str:
    """Words on rows out of reach, alone or together; `spend` and `gmv` (n_units,) are those of the answer."""
    paid, gained = problem.groups.rolled_up(spend), problem.groups.rolled_up(gmv)
    words: list[str] = []
    for r, y in list(zip(lost.tolist(), rays, strict=True))[:MOST_TOLD]:
        some = np.flatnonzero(y > 0)
        found = collision(problem, some) if some.size > 1 else None
        words.append(unreachable_row(problem, r, paid, gained) if found is None else _words(problem, found))
    more = f"; and {len(rays) - len(words)} more targets" if len(rays) > len(words) else ""
    return "; ".join(words) + more


def _words(problem: Problem, found: Collision) -> str:
    shown = Collision(found.rows[:MOST_MEMBERS], found.cures[:MOST_MEMBERS], found.shortfalls[:MOST_MEMBERS])
    left = len(found.rows) - len(shown.rows)
    return shown.words(problem) + (f" (with {left} more targets that take part)" if left else "")


def collision(problem: Problem, some: Ints) -> Collision | None:
    """Smallest collision among rows `some`, with the first members' cures; ``None`` where they agree after all.

    Of hundreds of rows that are all needed only `DELETIONS` are tried, so a few of the rest may not be.
    """
    first = _excess(problem, some)
    if first is None:
        return None
    kept, found, tries = some[first[1] > 0], first, 0
    size = max(kept.size // 2, 1)
    while size >= 1:
        at = 0
        while at < kept.size and kept.size > 1 and tries < DELETIONS:
            tries += 1
            seen = _excess(problem, np.delete(kept, slice(at, at + size)))
            if seen is None:
                at += size
            else:
                kept, found = np.delete(kept, slice(at, at + size))[seen[1] > 0], seen
        size //= 2
    excess, y = found[0], found[1][found[1] > 0]
    cures = tuple(_cure(problem, kept, k) for k in range(min(kept.size, MOST_MEMBERS)))
    unknown = (float("nan"),) * (kept.size - len(cures))
    return Collision(tuple(kept.tolist()), cures + unknown, tuple((excess / y).tolist()))


def _excess(problem: Problem, some: Ints) -> tuple[float, Floats] | None:
    """Least excess that rows `some` prove, and their prices; ``None`` where they agree."""
    rows = _only(problem.rows, some)
    rays = swept(replace(problem, rows=rows)).rays
    if not rays:
        return None
    y = rays[-1]  # of the innermost group that is lost
    excess, size, _spend = _proven(problem, rows, y)
    return (excess, y) if excess > NOISE * size else None


def _only(rows: Rows, some: Ints) -> Rows:
    return Rows(rows.kind[some], rows.group[some], rows.target[some], rows.right[some])


def _proven(problem: Problem, rows: Rows, y: Floats) -> tuple[float, float, Floats]:
    """- D_0(y) by one pass over the raw tables, the size of its terms, and the spend (n_rows,) of the groups there."""
    groups = problem.groups
    own = np.array([row_weights(int(k), float(t)) for k, t in zip(rows.kind, rows.target, strict=True)])
    weights = np.zeros((len(groups.names), 4))
    np.add.at(weights, rows.group, y[:, None] * own)
    kernels.down(groups.parent, weights)
    sums = Reach.of(problem).least(weights)
    kernels.up(groups.parent, sums)
    at = sums[rows.group, :4]
    size = float(y @ np.maximum(np.abs(rows.right), (np.abs(own) * at).sum(axis=1)))
    return float(sums[0, 4] - y @ rows.right), size, at[:, 0]


def _cure(problem: Problem, some: Ints, k: int) -> float:
    """Nearest target (right side of a budget) of the k-th row at which all of `some` can be met; 0 or inf if none."""
    rows = _only(problem.rows, some)
    target, right = rows.target.copy(), rows.right.copy()
    everyone, budget = np.arange(some.size), rows.kind[k] == RowKind.BUDGET
    for _ in range(STEPS):
        eased = Rows(rows.kind, rows.group, target.copy(), right.copy())
        seen = _excess(replace(problem, rows=eased), everyone)
        if seen is None:
            break
        excess, y = seen
        if not y[k] > 0:
            return float("inf") if budget else 0.0
        if budget:
            right[k] += excess / float(y[k])
            continue
        # D_0(y) is convex in the target: Newton from the far side ends where it crosses 0.
        spend = _proven(problem, eased, y)[2]
        for _turn in range(STEPS):
            step = excess / max(float(y[k] * spend[k]), 1e-300)
            if not step < target[k]:
                return 0.0
            target[k] -= step
            if abs(step) <= 1e-9 * target[k]:
                break
            excess, _size, spend = _proven(problem, replace(eased, target=target), y)
    return float((right if budget else target)[k])
