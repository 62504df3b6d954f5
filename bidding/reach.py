"""Which rows can be met, alone and together, and how little would cure those that cannot; at any size.

Rows k_r . T_G <= right_r (T = spend, gmv, clicks, orders of the group) have no common point exactly where some y >= 0 has

    D_0(y) = sum_rows y_r right_r - sum_i min_l ( sum_r y_r k_r . t_il )  <  0            (Farkas)

D_0 is the largest of its cuts, one pass over the tables each, so few rows are settled by Kelley's cutting planes; a row
alone needs a single pass. With y_r = 1 the least of D_0 is minus the least excess of row r while the others
hold, and the point behind it gives the next trial of r's target (Dinkelbach).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize  # pyright: ignore[reportMissingTypeStubs]

from bidding import certificate_kernels, curves
from bidding.words import amount, row_name
from domain.problem import Problem, RowKind
from domain.tables import Floats, Ints

kernels: Any = certificate_kernels
optimizer: Any = optimize

#: Shortfall, relative to the size of a row's terms, above which it counts.
NOISE = 1e-9
#: Most rows that are looked at together, and cuts per question.
MOST_ROWS, CUTS = 12, 120


@dataclass(frozen=True, slots=True)
class Collision:
    """Rows that cannot be met together, though any of them left out cures it.

    Attributes
    ----------
    rows
        Positions in the problem; a single one cannot be met even alone.
    cures
        For each the nearest target (right side of a budget) at which the others can be met; ``inf`` or 0 where none is.
    shortfalls
        For each what is missing in money, at least, where the others are met.
    """

    rows: tuple[int, ...]
    cures: tuple[float, ...]
    shortfalls: tuple[float, ...]

    def words(self, problem: Problem) -> str:
        """One sentence a trader reads."""
        names = [row_name(problem, r) for r in self.rows]
        told = [_cure_in_words(problem, r, cure) for r, cure in zip(self.rows, self.cures, strict=True)]
        if len(names) == 1:
            r, reach = self.rows[0], ""
            kind = RowKind(int(problem.rows.kind[r]))
            if kind is not RowKind.BUDGET and 0 < self.cures[0] < np.inf:
                reach = f"; best reachable {kind.name} is {amount(self.cures[0])}"
            missing = amount(self.shortfalls[0])
            return f"{names[0]} cannot be met: {missing} short at best{reach}; {told[0]}, or lower bid floors"
        return f"{' and '.join(names)} cannot be met together: {'; or '.join(told)}"


def _cure_in_words(problem: Problem, row: int, cure: float) -> str:
    kind = RowKind(int(problem.rows.kind[row]))
    name = {RowKind.BUDGET: "budget", RowKind.ROI: "ROI", RowKind.CPC: "CPC", RowKind.CPA: "CPA"}[kind]
    where = problem.groups.names[int(problem.rows.group[row])]
    if not 0 < cure < np.inf:
        return f"no other {name} target of {where} alone would do"
    return f"{'lower' if kind is RowKind.ROI else 'raise'} the {name} of {where} to {amount(cure)}"


def always(problem: Problem) -> bool:
    """Whether pausing everything meets all rows, so that nothing can be out of reach."""
    free = problem.may_pause is None or bool(problem.may_pause.all())
    return free and bool(np.all(problem.rows.right >= 0))


def least_value(problem: Problem) -> float:
    """Sum of the units' least values among their allowed levels."""
    worth = replace(problem, gmv=curves.value_table(problem))
    weights = np.tile([0.0, 1.0, 0.0, 0.0], (len(problem.groups.names), 1))
    return float(Reach.of(worth).least(weights)[:, 4].sum())


def row_weights(kind: int, target: float) -> Floats:
    """(4,) weights of a row on spend, gmv, clicks, orders."""
    weights = np.zeros(4)
    weights[0] = target if kind == RowKind.ROI else 1.0
    if kind != RowKind.BUDGET:
        weights[int(kind)] = -1.0 if kind == RowKind.ROI else -target
    return weights


@dataclass(frozen=True, slots=True)
class Reach:
    """A problem's tables, asked for least left sides."""

    problem: Problem
    tables: tuple[Any, ...]
    windows: tuple[Any, ...]
    everyone: Any

    @classmethod
    def of(cls, problem: Problem) -> "Reach":
        """Reader of a problem; makes no copy of contiguous tables."""
        clicks = np.ascontiguousarray(problem.clicks)
        orders = clicks if problem.orders is None else np.ascontiguousarray(problem.orders)
        tables = (np.ascontiguousarray(problem.spend), np.ascontiguousarray(problem.gmv), clicks, orders)
        return cls(problem, tables, curves.windows(problem), np.arange(problem.bids.shape[0]))

    def least(self, weights: Floats, units: Any = None) -> Floats:
        """(n_groups, 5) sums of direct members at least `weights[group] . t`: the four amounts, and that least."""
        sums = np.zeros((len(self.problem.groups.names), 5))
        who = self.everyone if units is None else units
        kernels.least(*self.tables, self.problem.groups.leaf, np.ascontiguousarray(weights), *self.windows, who, sums)
        return sums

    def alone(self) -> tuple[Floats, Floats]:
        """(n_rows,) slack at best of each row alone, negative where it is out of reach; and the size of its terms.

        Groups of one depth are disjoint, so the k-th row of each is settled in one pass.
        """
        groups, rows = self.problem.groups, self.problem.rows
        depth = np.zeros(len(groups.names), np.int64)
        for g in range(1, depth.size):
            depth[g] = depth[groups.parent[g]] + 1
        slack, size = np.zeros(len(rows)), np.ones(len(rows))
        turn = np.zeros(len(rows), np.int64)
        seen: dict[int, int] = {}
        for r, g in enumerate(rows.group.tolist()):
            turn[r] = seen[g] = seen.get(g, -1) + 1
        for d, k in sorted(set(zip(depth[rows.group].tolist(), turn.tolist(), strict=True))):
            some = np.flatnonzero((depth[rows.group] == d) & (turn == k))
            weights = np.zeros((len(groups.names), 4))
            for r in some:
                weights[rows.group[r]] = row_weights(int(rows.kind[r]), float(rows.target[r]))
            own = weights.copy()
            kernels.down(groups.parent, weights)
            sums = self.least(weights)
            kernels.up(groups.parent, sums)
            at = rows.group[some]
            slack[some] = rows.right[some] - sums[at, 4]
            terms = (np.abs(own[at]) * sums[at, :4]).sum(axis=1)
            size[some] = np.maximum(np.maximum(np.abs(rows.right[some]), terms), 1e-300)
        return slack, size

    def together(self, some: Sequence[int], targets: Floats, elastic: int | None = None) -> tuple[float, Floats]:
        """Least D_0 over prices of some rows, in parts of the rows' sizes, and amounts (n, 4) behind it per row.

        `targets` (n,) are the rows' ratio targets, or right sides of budgets. Without `elastic` all prices add up to 1
        at most, so the sign alone counts; with it that row's price is 1 and minus the least is its least excess, if any.
        """
        p = self.problem
        at, n = np.asarray(p.rows.group[list(some)]), len(some)
        budget = np.asarray(p.rows.kind[list(some)]) == RowKind.BUDGET
        rights = np.where(budget, targets, p.rows.right[list(some)])
        weights = np.array([row_weights(int(p.rows.kind[r]), float(t)) for r, t in zip(some, targets, strict=True)])
        units = np.flatnonzero(np.logical_or.reduce([p.groups.members(int(g)) for g in at]))
        size = self._sizes(weights, rights, at, units)
        cuts: list[Floats] = []
        points: list[Floats] = []

        def cut(u: Floats) -> float:
            prices = np.zeros((len(p.groups.names), 4))
            np.add.at(prices, at, (u / size)[:, None] * weights)
            kernels.down(p.groups.parent, prices)
            sums = self.least(prices, units)
            kernels.up(p.groups.parent, sums)
            points.append(sums[at, :4])
            cuts.append((rights - (weights * points[-1]).sum(axis=1)) / size)
            return float(u @ cuts[-1])

        low, top = np.zeros(n), np.full(n, 1.0 if elastic is None else 1e6)
        if elastic is not None:
            low[elastic] = top[elastic] = 1.0
        for start in (*np.eye(n), np.ones(n)):
            cut(start)
        goal = np.concatenate([np.zeros(n), [1.0]])
        best, mixed = 0.0 if elastic is None else np.inf, points[-1]
        for _ in range(CUTS):
            rows = np.column_stack([np.array(cuts), -np.ones(len(cuts))])
            limits = np.zeros(len(cuts))
            if elastic is None:
                rows, limits = np.vstack([rows, [*np.ones(n), 0.0]]), np.append(limits, 1.0)
            found = optimizer.linprog(
                goal,
                A_ub=rows,
                b_ub=limits,
                bounds=[*zip(low.tolist(), top.tolist(), strict=True), (None, None)],
                method="highs-ds",
            )
            if found.status != 0:
                break
            share = -np.asarray(found.ineqlin.marginals, float)[: len(cuts)]
            mixed = np.tensordot(share / max(float(share.sum()), 1e-300), np.array(points), axes=1)
            prices = np.asarray(found.x[:n], float)
            value = cut(prices)
            best = min(best, value)
            if value - float(found.fun) <= 0.1 * NOISE * max(1.0, float(prices.max())):
                break
            if elastic is None and (float(found.fun) >= -NOISE or best < -10 * NOISE):
                break
        return best * (1.0 if elastic is None else float(size[elastic])), mixed

    def _sizes(self, weights: Floats, rights: Floats, at: NDArray[np.integer[Any]], units: Any) -> Floats:
        sums = self.least(np.tile([0.0, 0.0, -1.0, 0.0], (len(self.problem.groups.names), 1)), units)
        kernels.up(self.problem.groups.parent, sums)
        return np.maximum(np.maximum(np.abs(rights), (np.abs(weights) * sums[at, :4]).sum(axis=1)), 1e-300)

    def targets(self, some: Sequence[int]) -> Floats:
        """Ratio targets of rows, right sides of budgets."""
        rows = self.problem.rows
        return np.where(rows.kind == RowKind.BUDGET, rows.right, rows.target)[list(some)]

    def collision(self, some: Sequence[int]) -> Collision | None:
        """Smallest colliding set among a few rows, by deletion, with cures; ``None`` where they agree."""
        kept = list(some)
        if self.together(kept, self.targets(kept))[0] >= -NOISE:
            return None
        for r in list(kept):
            rest = [k for k in kept if k != r]
            if rest and self.together(rest, self.targets(rest))[0] < -NOISE:
                kept = rest
        found = [self._cure(kept, k) for k in range(len(kept))]
        return Collision(tuple(kept), tuple(f[0] for f in found), tuple(f[1] for f in found))

    def _cure(self, some: Sequence[int], elastic: int) -> tuple[float, float]:
        """Nearest target of one row at which the others can be met, and its least shortfall as it stands."""
        rows, r = self.problem.rows, some[elastic]
        kind, right = RowKind(int(rows.kind[r])), float(rows.right[r])
        targets, first = self.targets(some), 0.0
        for turn in range(30):
            low, point = self.together(some, targets, elastic)
            first = -low if turn == 0 else first
            if kind is RowKind.BUDGET:
                return right + first, first
            spend, gained = float(point[elastic, 0]), float(point[elastic, int(kind)])
            over, under = (gained + right, spend) if kind is RowKind.ROI else (spend - right, gained)
            if over <= 0 or under <= 0:
                return (0.0 if kind is RowKind.ROI else float("inf")), first
            moved = over / under
            if abs(moved - targets[elastic]) <= 1e-7 * moved:
                break
            targets[elastic] = moved
        return float(targets[elastic]), first

    def collisions(self, multipliers: Floats) -> list[Collision]:
        """Colliding sets that prices which grew without bound point to: group by group, else across groups."""
        rows = self.problem.rows
        slack, size = self.alone()
        single = np.flatnonzero(slack < -NOISE * size)
        if single.size:
            found = [self.collision([int(r)]) for r in single[:MOST_ROWS]]
            return [c for c in found if c is not None]
        weight = np.where(np.isfinite(multipliers), multipliers, 1e300) * size
        loud = np.argsort(-weight, kind="stable")[:MOST_ROWS]
        several: list[Collision] = []
        for g in dict.fromkeys(rows.group[loud].tolist()):
            c = self.collision([int(r) for r in np.flatnonzero(rows.group == g)][:MOST_ROWS])
            if c is not None:
                several.append(c)
        if not several and len(rows):
            c = self.collision([int(r) for r in loud])
            if c is not None:
                several.append(c)
        return several


def softest(problem: Problem, collision: Collision) -> int:
    """Position in a collision of the row that gives way: ratio targets before budgets, the least shortfall first."""
    kinds = [int(problem.rows.kind[r]) for r in collision.rows]
    return min(range(len(kinds)), key=lambda k: (kinds[k] == RowKind.BUDGET, collision.shortfalls[k]))


def shortfalls_alone(problem: Problem) -> tuple[Ints, Floats, Floats]:
    """Rows that cannot be met even alone, what each misses at least, and the size of its terms."""
    slack, size = Reach.of(problem).alone()
    broken = np.flatnonzero(slack < -NOISE * size)
    return broken, -slack[broken], size[broken]
