"""Targets out of reach beside CPC and CPA rows: seen wherever HiGHS sees them, with cures that cure."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from bidding import AutoSolver, RichSolver
from bidding.conflicts import conflict
from bidding.reach import Reach
from domain.groups import Groups
from domain.problem import Problem, RowKind, Rows, Status


def possible(problem: Problem, keep: np.ndarray, target: np.ndarray, right: np.ndarray) -> bool:
    """Whether HiGHS finds a point that meets some rows."""
    n, levels = problem.bids.shape
    sums = np.kron(np.eye(n), np.ones(levels))
    left, limits = [sums], [*np.ones(n)]
    for r in keep:
        t = target[r]
        terms = {
            RowKind.BUDGET: problem.spend,
            RowKind.ROI: t * problem.spend - problem.gmv,
            RowKind.CPC: problem.spend - t * problem.clicks,
            RowKind.CPA: problem.spend - t * problem.orders,
        }[RowKind(int(problem.rows.kind[r]))]
        inside = problem.groups.members(int(problem.rows.group[r]))
        size = max(np.abs(terms[inside]).sum(), abs(right[r]), 1e-9)
        left.append(np.where(inside[:, None], terms, 0.0).reshape(1, -1) / size)
        limits.append(right[r] / size)
    held = ~problem.may_pause
    found = linprog(
        np.zeros(n * levels), np.vstack(left), limits, sums[held] if held.any() else None,
        np.ones(int(held.sum())) if held.any() else None, method="highs-ds",
    )  # fmt: skip
    return found.status == 0


@pytest.fixture(scope="module")
def forced_problem(laminar_problem):
    """Problem with rows of all kinds, units that may not pause, and debts."""

    def make(rng: np.random.Generator, units: int = 15) -> Problem:
        p = laminar_problem(rng, units=units, forced=0.5)
        rows, groups = p.rows, p.groups
        kind, target, right = rows.kind.copy(), rows.target.copy(), rows.right.copy()
        spend = groups.rolled_up(p.spend[:, -1])
        for r, g in enumerate(rows.group):
            if rng.random() < 0.5:
                table, k = ((p.clicks, RowKind.CPC), (p.orders, RowKind.CPA))[int(rng.integers(2))]
                kind[r] = k
                target[r] = max(spend[g] / max(groups.rolled_up(table[:, -1])[g], 1e-9) * rng.uniform(0.2, 1.2), 1e-6)
                right[r] = rng.choice([0.0, 0.1, -0.1]) * spend[g]
        return replace(p, rows=Rows(kind, rows.group, target, right))

    return make


def test_collisions_are_those_that_highs_sees_and_each_cure_is_the_nearest(forced_problem) -> None:
    rng = np.random.default_rng(80)
    collided = together = 0
    for _ in range(120):
        p = forced_problem(rng)
        everyone, r = np.arange(len(p.rows)), p.rows
        if not 0 < len(p.rows) <= 12:
            continue
        found = Reach.of(p).collision(everyone.tolist())
        assert (found is None) == possible(p, everyone, r.target, r.right)
        if found is None:
            continue
        collided += 1
        together += len(found.rows) > 1
        kept = np.array(found.rows)
        assert not possible(p, kept, r.target, r.right)
        for k, cure in zip(kept, found.cures, strict=True):
            assert possible(p, kept[kept != k], r.target, r.right)
            budget = r.kind[k] == RowKind.BUDGET
            if not (np.isfinite(cure) and cure > 0):
                continue
            eased = 1 + (1e-4 if r.kind[k] != RowKind.ROI else -1e-4)
            for factor, works in ((eased, True), (2 - eased, False)):
                target, right = r.target.copy(), r.right.copy()
                (right if budget else target)[k] = cure * factor
                assert possible(p, kept, target, right) == works
    assert collided > 25
    assert together > 3


def test_the_rich_solver_tells_what_cannot_be_met_and_never_fails_for_it(forced_problem) -> None:
    rng = np.random.default_rng(81)
    lost = 0
    for _ in range(60):
        p = forced_problem(rng, units=40)
        if p.bids.shape[0] == 0 or not 0 < len(p.rows) <= 12:
            continue
        s = RichSolver().solve(p)
        unreachable = not possible(p, np.arange(len(p.rows)), p.rows.target, p.rows.right)
        assert (s.status is Status.UNREACHABLE) == unreachable
        if unreachable:
            lost += 1
            assert "cannot be met" in s.certificate.words
            assert s.certificate.violation > 0
            assert np.isnan(s.certificate.gap)
            assert np.isnan(s.certificate.bound)
    assert lost > 10


def _many(units: int, campaigns: int, seed: int, kappa: float) -> Problem:
    rng = np.random.default_rng(seed)
    levels = 10
    clicks = np.cumsum(rng.uniform(0.5, 1, (units, levels)), axis=1)
    spend = np.cumsum(np.sort(rng.uniform(0.2, 2, (units, levels)), axis=1), axis=1)
    gmv = clicks * rng.uniform(3, 9, (units, 1))
    leaf = (1 + np.arange(units) % campaigns).astype(np.int32)
    groups = Groups(
        ("account", *(f"campaign:{k}" for k in range(campaigns))),
        np.array([-1] + [0] * campaigns, np.int32),
        leaf,
    )
    rows = [(RowKind.CPC, g, kappa if g == 3 else 2.0, 0.0) for g in range(1, campaigns + 1)]
    rows.append((RowKind.BUDGET, 0, 0.0, 0.6 * float(spend[:, -1].sum())))
    may = rng.random(units) < 0.5
    ramp = np.tile(np.linspace(0.5, 3, levels), (units, 1))
    return Problem(ramp, clicks, spend, gmv, groups, Rows.of(*rows), orders=clicks * 0.05, may_pause=may)


def test_one_campaign_of_a_large_account_is_out_of_reach_and_the_others_are_bid_for_all_the_same() -> None:
    p = _many(30_000, 200, 0, kappa=0.01)
    s = AutoSolver().solve(p)
    assert s.status is Status.UNREACHABLE
    assert s.method.startswith("rich")
    assert "CPC target of 0.01 on campaign:2 cannot be met" in s.certificate.words
    assert "best reachable CPC is" in s.certificate.words
    assert "raise the CPC of campaign:2 to" in s.certificate.words
    outside = ~p.groups.members(3)
    left = (s.spend - p.rows.target[0] * s.clicks)[p.groups.members(1)].sum()
    assert left <= 1e-6
    assert s.spend.sum() <= p.rows.right[-1] * (1 + 1e-9)
    fine = AutoSolver().solve(_many(30_000, 200, 0, kappa=2.0))
    assert fine.status is not Status.UNREACHABLE
    assert s.gmv[outside].sum() == pytest.approx(fine.gmv[outside].sum(), rel=5e-3)
    # The campaign itself misses by no more than it must.
    least = Reach.of(p).collision([2])
    assert least is not None
    inside = p.groups.members(3)
    missed = s.spend[inside].sum() - 0.01 * s.clicks[inside].sum()
    assert least.shortfalls[0] <= missed <= 1.01 * least.shortfalls[0]


def test_an_account_that_only_starves_is_not_called_unreachable() -> None:
    p = replace(_many(2000, 20, 1, kappa=2.0), may_pause=None)
    rows = Rows.of((RowKind.ROI, 0, 900.0, 0.0), (RowKind.CPC, 0, 2.0, 0.0))
    s = AutoSolver().solve(replace(p, rows=rows))
    assert s.status is Status.STARVED
    assert s.certificate.violation <= 1e-9
    assert "the best unit returns" in s.certificate.words


def test_the_smallest_conflict_is_told_beside_cpc_rows_too(forced_problem) -> None:
    p = _many(3000, 20, 2, kappa=0.01)
    found = conflict(p)
    assert found is not None
    assert found.rows == (2,)
    assert found.words[0].startswith("CPC target of 0.01 on campaign:2: raise it to")
    assert conflict(_many(3000, 20, 2, kappa=2.0)) is None
