"""The laminar solver against brute force on three units, and against HiGHS on random trees."""

import itertools

import numpy as np
import pytest

from bidding import LaminarSolver
from domain.groups import Groups
from domain.problem import Problem, RowKind, Rows, Status


def brute_force(problem: Problem) -> float | None:
    """Best value over all choices of pure levels in which at most one unit mixes two levels; None = infeasible.

    One mixed unit is enough for an optimum of one budget and one ROI row: both depend on one price, theta.
    """
    n, levels = problem.bids.shape
    c = np.column_stack([np.zeros(n), problem.spend])
    v = np.column_stack([np.zeros(n), problem.gmv])
    states = [range(0 if problem.may_pause is None or problem.may_pause[i] else 1, levels + 1) for i in range(n)]
    best = None
    for mixed in range(n):
        others = [states[i] if i != mixed else [0] for i in range(n)]
        fixed = np.array(list(itertools.product(*others)))
        keep = np.arange(n) != mixed
        c0 = c[np.arange(n), fixed][:, keep].sum(axis=1)
        v0 = v[np.arange(n), fixed][:, keep].sum(axis=1)
        pairs = np.array(list(itertools.combinations_with_replacement(states[mixed], 2)))
        a, b = pairs.T
        ca, va = c0[:, None] + c[mixed, a], v0[:, None] + v[mixed, a]
        dc, dv = c[mixed, b] - c[mixed, a], v[mixed, b] - v[mixed, a]
        low, high = np.zeros_like(ca), np.ones_like(ca)
        for kind, target, right in zip(problem.rows.kind, problem.rows.target, problem.rows.right, strict=True):
            rho, gain = (1.0, 0.0) if kind == RowKind.BUDGET else (target, 1.0)
            room, rate = right - (rho * ca - gain * va), np.broadcast_to(rho * dc - gain * dv, ca.shape)
            limit = np.divide(room, rate, out=np.zeros_like(room), where=rate != 0)
            high = np.where(rate > 0, np.minimum(high, limit), high)
            low = np.where(rate < 0, np.maximum(low, limit), low)
            high = np.where((rate == 0) & (room < -1e-12), -1.0, high)
        possible = high >= low - 1e-12
        if possible.any():
            top = float((va + dv * np.where(possible, np.maximum(high, low), 0.0))[possible].max())
            best = top if best is None else max(best, top)
    return best


@pytest.mark.parametrize("seed", range(4))
def test_three_units_of_four_levels_agree_with_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    solver = LaminarSolver()
    reachable = 0
    for _ in range(600):
        n, levels = 3, 4
        # Whole numbers make ties, flat stretches and rows that are met exactly.
        spend = np.cumsum(rng.integers(0, 4, (n, levels)), axis=1).astype(float)
        gmv = np.cumsum(rng.integers(0, 6, (n, levels)), axis=1).astype(float)
        bids = np.tile(np.arange(1.0, levels + 1), (n, 1))
        rows = []
        if rng.random() < 0.8:
            rows.append((RowKind.BUDGET, 0, 0.0, float(rng.integers(0, 15))))
        if rng.random() < 0.8:
            rows.append((RowKind.ROI, 0, float(rng.integers(1, 12)) / 4, float(rng.integers(-4, 3))))
        problem = Problem(
            bids, spend, spend, gmv, Groups.single(n), Rows.of(*rows), may_pause=rng.random(n) < rng.choice([0.5, 1.0])
        )
        found, best = solver.solve(problem), brute_force(problem)
        if best is None:
            assert found.status is Status.UNREACHABLE
            continue
        reachable += 1
        assert found.status is not Status.UNREACHABLE
        assert found.certificate.value == pytest.approx(best, abs=1e-9)
        assert found.certificate.violation <= 1e-12
    assert reachable > 300


@pytest.mark.parametrize(("forced", "windows"), [(0.0, False), (0.4, False), (0.0, True), (0.4, True)])
def test_trees_with_rows_on_every_node_agree_with_highs(laminar_problem, highs, forced: float, windows: bool) -> None:
    rng = np.random.default_rng(int(10 * forced) + 7 * windows)
    solver = LaminarSolver()
    solved = 0
    for _ in range(160):
        problem = laminar_problem(rng, units=60, forced=forced, windows=windows)
        if np.any(np.abs(problem.rows.right[problem.rows.right != 0]) < 1e-5):
            continue  # HiGHS meets rows to 1e-7 only
        found, oracle = solver.solve(problem), highs(problem)
        assert (oracle.status == 2) == (found.status is Status.UNREACHABLE)
        if oracle.status == 2:
            continue
        solved += 1
        assert found.certificate.value == pytest.approx(-oracle.fun, rel=1e-7, abs=1e-7)
        assert abs(found.certificate.gap) <= 1e-9
        assert found.certificate.violation <= 1e-12
    assert solved > 25


def test_a_large_tree_is_solved_to_the_last_digit(laminar_problem) -> None:
    rng = np.random.default_rng(11)
    for units in (400, 3000):
        problem = laminar_problem(rng, units=units, levels=20)
        found = LaminarSolver().solve(problem)
        assert found.status is Status.UNREACHABLE or abs(found.certificate.gap) <= 1e-11
        assert found.status is Status.UNREACHABLE or found.certificate.violation <= 1e-11


def test_float32_tables_are_solved_as_exactly(laminar_problem) -> None:
    rng = np.random.default_rng(5)
    for _ in range(10):
        p = laminar_problem(rng, units=300)
        narrow = Problem(
            *(t.astype(np.float32) for t in (p.bids, p.clicks, p.spend, p.gmv)), p.groups, p.rows, may_pause=p.may_pause
        )
        found = LaminarSolver().solve(narrow)
        if found.status is not Status.UNREACHABLE:
            assert abs(found.certificate.gap) <= 1e-11
            assert found.certificate.violation <= 1e-11


def test_multipliers_are_the_derivatives_of_the_optimum(laminar_problem) -> None:
    rng = np.random.default_rng(3)
    checked = 0
    for _ in range(40):
        problem = laminar_problem(rng, units=200, levels=20)
        found = LaminarSolver().solve(problem)
        if found.status is Status.UNREACHABLE:
            continue
        for r in np.flatnonzero(found.multipliers > 1e-3):
            rows = problem.rows
            step = 1e-6 * max(abs(rows.right[r]), 1.0)
            values = []
            for sign in (-1, 1):
                right = rows.right.copy()
                right[r] += sign * step
                moved = Problem(
                    problem.bids, problem.clicks, problem.spend, problem.gmv, problem.groups,
                    Rows(rows.kind, rows.group, rows.target, right), may_pause=problem.may_pause,
                )  # fmt: skip
                values.append(LaminarSolver().solve(moved).certificate.value)
            below = (found.certificate.value - values[0]) / step
            above = (values[1] - found.certificate.value) / step
            # The optimum is concave in the right side, so its price lies between the one-sided slopes.
            assert above * (1 - 1e-3) - 1e-4 <= found.multipliers[r] <= below * (1 + 1e-3) + 1e-4
            checked += 1
    assert checked > 20
