"""Solves programs with CPC and CPA rows, or an objective beside gmv, at scale: Newton on the dual, rows held exactly.

The dual D(y) of `bidding.program` splits, at given multipliers of the rows that stand on groups of groups (*outer*
rows: the account, business types), into one small convex problem per innermost group with its own few rows (*inner*
rows). So two Newton loops are nested:

    inner   per group: projected Newton over its 1 to 4 multipliers, on the units' smoothed responses
    outer   Newton on the outer multipliers, with the Schur complement of the inner Hessians

Smoothing (`bidding.rich_kernels`) turns each jump from one level to the next into a ramp of relative width epsilon
about its marginal cost; epsilon shrinks in stages, the first on a sample of the units. The last stage tightens
every right side by a hair, so that the answer violates nothing. The bound is evaluated unsmoothed on the
original tables and right sides, so the gap counts what smoothing and tightening cost.

Gmv, orders and the objective need not be in proportion to clicks: units whose value per click depends on the bid (pages
with several positions) get their envelope anew at each price (`bidding.level_kernels`), some five times the work.
Sources: smoothing as in Nesterov (2005) and DuaLip; the affine bid of Yang et al. (KDD 2019) is A / P here.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bidding import curves, laminar_kernels, reach, rich_kernels
from bidding.certificate import Mix, certify, unit_prices
from domain.errors import SolverFailed
from domain.problem import Problem, RowKind, Solution
from domain.tables import Bools, Floats, Ints

kernels: Any = rich_kernels
trees: Any = laminar_kernels

#: Relative width of the ramps, units per group that are looked at (0 = all), tolerance of the rows.
STAGES = ((1.0, 200, 1e-2), (0.3, 1000, 1e-3), (0.1, 0, 1e-3), (0.03, 0, 4e-6))
#: Part by which right sides are tightened in the last stage; twice its tolerance.
HAIR = 1e-5
#: Gap at which it stops, and stages of a quarter of the width that it adds where the last one leaves more.
GOOD_GAP, FURTHER = 5e-5, 6
#: Violation up to which rows count as held; room that a row out of reach is given, of its terms' size.
HELD, ROOM = 1e-9, 1e-3
#: Violation up to which an answer at a single point, which leaves no room to tighten, counts.
MET = 1e-5


@dataclass(frozen=True, slots=True)
class RichSolver:
    """Dual Newton solver for any rows on nested groups.

    Rows that floors or debts put out of reach give an answer of status ``unreachable`` whose certificate names the smallest
    colliding sets, what would cure each, and has no bound or gap (NaN); see `bidding.reach`.

    Attributes
    ----------
    start
        (n_rows,) multipliers to start from, such as last hour's; ``None`` starts cold.
    """

    start: Floats | None = None

    def warm_started(self, solution: Solution) -> "RichSolver":
        """Solver that starts from the multipliers of an earlier answer to the same rows."""
        return replace(self, start=solution.multipliers)

    def solve(self, problem: Problem) -> Solution:
        """Best mix of levels per unit, prices of money, multipliers and a certificate."""
        curves.checked(problem)
        if problem.bids.shape[0] == 0:
            raise SolverFailed("rich: no units")
        return self.solved(Dual.of(problem))

    def solved(self, state: "Dual") -> Solution:
        """Answer to a problem that is laid out already, diagnosed where rows are out of reach."""
        problem = state.problem
        if reach.always(problem):
            found = self.descended(state)
            return found if found.certificate.violation <= HELD else self.at_a_point(state, found)
        broken, missing, size = reach.shortfalls_alone(problem)
        if not broken.size:
            found = self.descended(state)
            if found.certificate.violation <= HELD:
                return found
            told = reach.Reach.of(problem).collisions(found.multipliers)
            return self._least_violating(state, told) if told else self.at_a_point(state, found)
        told = [c for r in broken[: reach.MOST_ROWS] if (c := reach.Reach.of(problem).collision([int(r)]))]
        return self._least_violating(
            state, told, dict(zip(broken.tolist(), (missing + HAIR * size).tolist(), strict=True))
        )

    def _least_violating(
        self, state: "Dual", told: list[reach.Collision], relaxed: dict[int, float] | None = None
    ) -> Solution:
        """Answer that misses colliding rows by little more than it must, and says what would cure each collision.

        `relaxed` holds rows that cannot be met alone, and by how much their right sides are to be raised.
        """
        problem = state.problem
        raised = {} if relaxed is None else dict(relaxed)
        size = reach.Reach.of(problem).alone()[1]
        fresh, found, words = ([] if raised else told), None, [c.words(problem) for c in told]
        for turn in range(FURTHER):
            for c in fresh:
                k = reach.softest(problem, c)
                raised[c.rows[k]] = raised.get(c.rows[k], 0.0) + c.shortfalls[k] + ROOM * float(size[c.rows[k]])
            right = problem.rows.right.copy()
            for r, more in raised.items():
                right[r] += more + (ROOM * 4.0**turn - HAIR) * float(size[r])
            eased = replace(problem, rows=replace(problem.rows, right=right))
            found = replace(self, start=None).descended(replace(state, problem=eased))
            if found.certificate.violation <= HELD:
                break
            fresh = reach.Reach.of(eased).collisions(found.multipliers)
            words += [c.words(eased) for c in fresh]
        assert found is not None  # at least one turn is made
        answer = certify(
            problem, (found.lower, found.upper, found.share), theta=found.theta, offset=found.offset,
            multipliers=found.multipliers, unreachable=np.array(sorted(raised), np.int64), tied=False,
            method=found.method,
        )  # fmt: skip
        more = f"; and {len(raised) - len(words)} more targets" if len(raised) > len(words) else ""
        return replace(answer, certificate=replace(answer.certificate, words="; ".join(words[:3]) + more))

    def at_a_point(self, state: "Dual", found: Solution) -> Solution:
        """Answer where rows leave no room to be tightened, because they meet at a single point."""
        second = replace(self, start=None).descended(state, hair=0.0)
        best = second if _better(second, found) else found
        if best.certificate.violation > MET:
            raise SolverFailed(f"rich: its answer misses a row by {best.certificate.violation:.1e} of its size")
        return best

    def descended(self, state: "Dual", hair: float = HAIR) -> Solution:
        """Run the stages on a problem that is laid out already."""
        warm = self.start is not None and self.start.shape == (len(state.problem.rows),)
        y = np.maximum(self.start, 0.0) if warm and self.start is not None else state.first_multipliers()
        for epsilon, sample, tol in STAGES[2:] if warm else STAGES:
            y, lost = state.stage(y, epsilon, sample, tol, hair=hair if tol < HAIR else 0.0)
            if lost:
                return state.answer(y, epsilon)
        best = state.answer(y, STAGES[-1][0])
        epsilon = STAGES[-1][0]
        for _ in range(FURTHER):
            if best.certificate.gap <= GOOD_GAP and best.certificate.violation == 0.0:
                break
            epsilon *= 0.25
            y, lost = state.stage(y, epsilon, 0, STAGES[-1][2], hair=hair)
            if lost:
                break
            found = state.answer(y, epsilon)
            if _better(found, best):
                best = found
        return best


def _better(found: Solution, best: Solution) -> bool:
    """Whether an answer holds its rows better, or as well at a smaller gap."""
    a, b = found.certificate, best.certificate
    if (a.violation <= 1e-9) != (b.violation <= 1e-9):
        return a.violation < b.violation
    return a.gap < b.gap if a.violation <= 1e-9 else a.violation < b.violation


def _newton_step(hessian: Floats, gradient: Floats) -> Floats:
    """Step to the least of a quadratic; rows that no unit feels, such as those of empty groups, get a tiny one."""
    try:
        return np.asarray(np.linalg.solve(hessian, -gradient), np.float64)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(hessian, -gradient)[0], np.float64)


def tables(problem: Problem) -> Any:
    """Spend, clicks, gmv, orders and value as contiguous tables; clicks stand in for orders that are not given."""
    clicks = np.ascontiguousarray(problem.clicks)
    orders = clicks if problem.orders is None else np.ascontiguousarray(problem.orders)
    return (
        np.ascontiguousarray(problem.spend), clicks, np.ascontiguousarray(problem.gmv), orders,
        np.ascontiguousarray(curves.value_table(problem)),
    )  # fmt: skip


def no_hulls(units: int, levels: int) -> Any:
    """Room for hulls, as `bidding.rich_kernels` lays them out."""
    wide = np.int16 if levels > 127 else np.int8
    return (
        np.empty((units, levels), np.float32), np.empty((units, levels + 1), wide), np.empty((units, 3)),
        np.empty(units, np.bool_),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dual:
    """A problem laid out for the two loops; rows are sorted into inner ones (by group) and outer ones."""

    problem: Problem
    tables: Any
    hull: Any
    allowed: Any
    scratch: Any
    order: Any
    begin: Ints
    stop: Ints
    inner: Ints
    outer: Ints
    row_at: Ints
    weights: Floats
    covers: Bools
    reference: Floats
    ends: curves.Ends
    least: float

    @classmethod
    def of(cls, problem: Problem, covers: Bools | None = None) -> "Dual":
        """Lay a problem out; `covers` (n_rows, n_groups) makes all rows outer ones that hold these groups' units."""
        n, levels = (int(k) for k in problem.bids.shape)
        found, hull = curves.ends(problem), no_hulls(n, levels)
        kernels.hulls(tables(problem), found.start, found.end, hull)
        return cls.with_hulls(problem, hull, found, covers)

    @classmethod
    def with_hulls(cls, problem: Problem, hull: Any, found: curves.Ends, covers: Bools | None = None) -> "Dual":
        """Lay out rows and groups over hulls that are there already."""
        groups, rows, n_groups = problem.groups, problem.rows, len(problem.groups.names)
        direct = np.bincount(groups.leaf, minlength=n_groups)
        order, begin, _stop = trees.unit_ranges(groups.parent, groups.leaf)
        parents = np.zeros(n_groups, np.bool_)
        parents[groups.parent[1:]] = True
        is_inner = ~parents[rows.group] if len(rows) and covers is None else np.zeros(len(rows), np.bool_)
        inner = np.flatnonzero(is_inner)
        inner = inner[np.argsort(rows.group[inner], kind="stable")]
        outer = np.flatnonzero(~is_inner)
        row_at = np.searchsorted(rows.group[inner], np.arange(n_groups + 1)).astype(np.int64)
        weights = np.zeros((len(rows), 4))
        ratio = rows.kind == RowKind.ROI
        weights[:, 0] = np.where(ratio, rows.target, 1.0)
        weights[ratio, 1] = -1.0
        for kind, column in ((RowKind.CPC, 2), (RowKind.CPA, 3)):
            at = rows.kind == kind
            weights[at, column] = -rows.target[at]
        if covers is None:
            covers = np.zeros((outer.size, n_groups), np.bool_)
            covers[np.arange(outer.size), rows.group[outer]] = True
            for g in range(1, n_groups):
                covers[:, g] |= covers[:, groups.parent[g]]
        room = int(problem.bids.shape[1]) + 1
        scratch = (np.empty(room), np.empty(room), np.empty(room, np.int16))
        # Where pausing meets all rows nothing can be out of reach; else no answer is worth less than this.
        least = -np.inf if reach.always(problem) else reach.least_value(problem) - 1e-6 * float(found.sums[:, 3].sum())
        return cls(
            problem, tables(problem), hull, curves.windows(problem), scratch, order, begin, begin + direct, inner, outer,
            row_at, weights, covers, np.ones(n_groups), found, least,
        )  # fmt: skip

    def first_multipliers(self) -> Floats:
        """Half of what money returns at the ends of the curves, as the price of the first row on every path."""
        problem = self.problem
        rows = problem.rows
        y = np.zeros(len(rows))
        trees_sums = self.ends.sums.copy()
        for g in range(len(problem.groups.names) - 1, 0, -1):
            trees_sums[problem.groups.parent[g]] += trees_sums[g]
        spend, value = np.maximum(trees_sums[:, 2], 1e-300), trees_sums[:, 3]
        priced = np.zeros(len(problem.groups.names), np.bool_)
        for r in np.argsort(rows.group, kind="stable"):
            g = int(rows.group[r])
            above = g > 0 and bool(priced[problem.groups.parent[g]])
            if not above and not priced[g]:
                y[r] = 0.5 * value[g] / spend[g] / self.weights[r, 0]
            priced[g] = True
        return y

    def stage(self, y: Floats, epsilon: float, sample: int, tol: float, hair: float) -> tuple[Floats, bool]:
        """Minimise the smoothed dual from y; right sides are tightened by `hair` times their rows' scale.

        Gives the multipliers, and whether the dual fell below what any answer is worth: then no answer meets the rows.
        """
        right = self.problem.rows.right.copy()
        prices = self.prices(y)
        self.reference[:] = np.maximum(prices[:, 0], 1e-12 * max(float(prices[:, 0].max()), 1e-300))
        y_in, y_out = y[self.inner].copy(), y[self.outer].copy()
        value, totals, bends = self._inner(y_in, y_out, right, epsilon, sample, tol)
        if hair > 0.0:
            scale = self.scales(totals)
            right = right - hair * scale
            value, totals, bends = self._inner(y_in, y_out, right, epsilon, sample, tol)
        w = self.weights[self.outer]
        damping, covers = 1e-6, self.covers.astype(np.float64)
        for _ in range(60 if self.outer.size else 0):
            if value < self.least:  # of a sample that is no proof, so it is left
                return (y, False) if sample else (self._joined(y_in, y_out), True)
            left = np.where(self.covers.T, totals @ w.T, 0.0).sum(axis=0)
            gradient = right[self.outer] - left
            scale = np.maximum(self.scales(totals)[self.outer], 1e-300)
            free = (y_out > 0) | (gradient < 0)
            if not free.any() or float(np.max(np.abs(gradient[free]) / scale[free])) <= tol:
                break
            if damping > 1e6:
                break
            price = max(float(prices[:, 0].max()), 1e-300)
            bent = (covers[:, :, None] * np.einsum("ra,gab->rgb", w, bends)).reshape(w.shape[0], -1)
            hessian = bent @ (covers[:, :, None] * w[:, None, :]).reshape(w.shape[0], -1).T
            # Levenberg: with damping 1 a row that is off by a percent moves the price by a percent.
            hessian += np.diag(damping * scale * w[:, 0] / price)
            move = np.zeros_like(y_out)
            move[free] = _newton_step(hessian[np.ix_(free, free)], gradient[free])
            # No group's price of spend moves by more than 70 % in one step.
            change = covers.T @ (np.abs(move) * w[:, 0])
            room = 0.7 * np.maximum(prices[:, 0], 1e-3 * price)
            length = float(np.min(np.divide(room, change, out=np.ones_like(room), where=change > room)))
            y_new = np.maximum(y_out + length * move, 0.0)
            slope = min(float(gradient @ (y_new - y_out)), 0.0)
            trial_in = y_in.copy()
            trial, t_new, b_new = self._inner(trial_in, y_new, right, epsilon, sample, tol)
            if trial <= value + 1e-4 * slope + 1e-12 * abs(value):
                damping = max(0.05 * damping, 1e-8)
                y_in, y_out, value, totals, bends = trial_in, y_new, trial, t_new, b_new
                prices = self.prices(self._joined(y_in, y_out))
            else:
                damping = max(10.0 * damping, 1e-4)
        return self._joined(y_in, y_out), False

    def _inner(
        self, y_in: Floats, y_out: Floats, right: Floats, epsilon: float, sample: int, tol: float
    ) -> tuple[float, Floats, Floats]:
        n_groups = len(self.problem.groups.names)
        totals, bends = np.zeros((n_groups, 4)), np.zeros((n_groups, 4, 4))
        above = self._outer_prices(y_out)
        value, _looked = kernels.descend_all(
            self.tables, self.hull, self.allowed, self.scratch, self.order, self.begin, self.stop, sample, above,
            self.row_at, self.weights[self.inner], right[self.inner], y_in, epsilon, self.reference, 0.5 * tol, totals,
            bends,
        )  # fmt: skip
        return float(value) + float(y_out @ right[self.outer]), totals, bends

    def _outer_prices(self, y_out: Floats) -> Floats:
        z = (self.covers * y_out[:, None]).T @ self.weights[self.outer]
        z[:, 1:] *= -1.0
        return np.ascontiguousarray(z)

    def prices(self, y: Floats) -> Floats:
        """(n_groups, 4) prices of spend, gmv, clicks, orders for the units that hang on each group."""
        price, gmv, clicks, orders = unit_prices(self.problem, y)
        return np.column_stack([price, gmv, clicks, orders])

    def scales(self, totals: Floats) -> Floats:
        rows = self.problem.rows
        up = totals.copy()
        for g in range(up.shape[0] - 1, 0, -1):
            up[self.problem.groups.parent[g]] += up[g]
        return np.maximum(np.abs(rows.right), (np.abs(self.weights) * up[rows.group]).sum(axis=1))

    def _joined(self, y_in: Floats, y_out: Floats) -> Floats:
        y = np.zeros(len(self.problem.rows))
        y[self.inner], y[self.outer] = y_in, y_out
        return y

    def answer(self, y: Floats, epsilon: float) -> Solution:
        """Two-level mixes of the smoothed answer at y, certified on the raw tables."""
        problem, n = self.problem, int(self.problem.bids.shape[0])
        lower, upper, share = np.empty(n, np.int16), np.empty(n, np.int16), np.empty(n)
        prices = self.prices(y)
        kernels.answers(
            self.tables, self.hull, self.allowed, self.scratch, self.order, self.begin, self.stop, prices, epsilon,
            self.reference, lower, upper, share,
        )  # fmt: skip
        leaf = problem.groups.leaf
        mass = 1.0 + prices[:, 1]
        cvr = self._orders_per_click((lower, upper, share))
        offset = prices[leaf, 2] / mass[leaf] + cvr * (prices[:, 3] / mass)[leaf]
        return self.certified((lower, upper, share), (prices[:, 0] / mass)[leaf], offset, y)

    def _orders_per_click(self, mix: Mix) -> Floats | float:
        """(n_units,) orders per click; of the answer where they depend on the bid."""
        orders, varies = self.problem.orders, self.hull[3]
        if orders is None or not bool(varies.any()):
            return 0.0 if orders is None else self.hull[2][:, 1]
        bought, clicks = curves.mixed(orders, *mix), curves.mixed(self.problem.clicks, *mix)
        here = np.divide(bought, clicks, out=self.hull[2][:, 1].copy(), where=clicks > 0)
        return np.where(varies, here, self.hull[2][:, 1])

    def certified(self, mix: Mix, theta: Floats, offset: Floats, y: Floats) -> Solution:
        """Measure an answer on the raw tables."""
        return certify(
            self.problem,
            mix,
            theta=theta,
            offset=offset,
            multipliers=y,
            unreachable=np.zeros(0, np.int64),
            tied=False,
            method="rich (dual Newton)",
        )
