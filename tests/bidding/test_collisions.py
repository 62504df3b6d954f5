"""Targets that collide, groups that overlap, and bids that changed."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.optimize import linprog

from bidding import LaminarSolver, ThetaPolicy
from bidding.changes import PARTS, nearby, why_changed
from bidding.conflicts import conflict
from bidding.crossing import Overlap, solve_overlapping
from domain.errors import GoalUnreachable, InvalidPlan
from domain.groups import Groups
from domain.limits import BidLimits
from domain.problem import Problem, RowKind, Rows, Status


def test_a_conflict_is_smallest_and_each_cure_cures_it(laminar_problem) -> None:
    rng = np.random.default_rng(40)
    found = 0
    for _ in range(60):
        p = laminar_problem(rng, units=20, forced=0.5)
        seen = conflict(p)
        unreachable = LaminarSolver().solve(p).status is Status.UNREACHABLE
        assert (seen is not None) == unreachable
        if seen is None:
            continue
        found += 1
        r, kept = p.rows, np.array(seen.rows)

        def status(keep: np.ndarray, target: np.ndarray, right: np.ndarray, p: Problem = p) -> Status:
            rows = Rows(p.rows.kind[keep], p.rows.group[keep], target[keep], right[keep])
            return LaminarSolver().solve(replace(p, rows=rows)).status

        assert status(kept, r.target, r.right) is Status.UNREACHABLE
        for k, cure in zip(kept, seen.cures, strict=True):
            assert status(kept[kept != k], r.target, r.right) is not Status.UNREACHABLE
            if 0 < cure < np.inf:
                target, right = r.target.copy(), r.right.copy()
                (right if r.kind[k] == RowKind.BUDGET else target)[k] = cure
                assert status(kept, target, right) is not Status.UNREACHABLE
        assert len(seen.words) == len(seen.rows)
    assert found > 10


@pytest.mark.parametrize("seed", range(3))
def test_phases_that_cross_campaigns_agree_with_highs(laminar_problem, seed: int) -> None:
    rng = np.random.default_rng(50 + seed)
    p = laminar_problem(rng, units=120, levels=12)
    while p.bids.shape[0] < 60 or p.bids.shape[1] < 6:
        p = laminar_problem(rng, units=120, levels=12)
    p = replace(p, may_pause=None, rows=replace(p.rows, right=np.maximum(p.rows.right, 0.0)))
    n, levels = p.bids.shape
    phases = Groups(
        ("account", "phase:a", "phase:b"), np.array([-1, 0, 0], np.int32), rng.integers(1, 3, n).astype(np.int32)
    )
    alone = phases.rolled_up(LaminarSolver().solve(p).spend)
    rows = Rows.of((RowKind.BUDGET, 1, 0.0, 0.7 * float(alone[1])), (RowKind.BUDGET, 2, 0.0, 0.9 * float(alone[2])))
    s = solve_overlapping(p, Overlap(phases, rows))
    left = [np.kron(np.eye(n), np.ones(levels))]
    for groups, some in ((p.groups, p.rows), (phases, rows)):
        for kind, g, target in zip(some.kind, some.group, some.target, strict=True):
            terms = p.spend if kind == RowKind.BUDGET else target * p.spend - p.gmv
            left.append(np.where(groups.members(int(g))[:, None], terms, 0.0).reshape(1, -1))
    oracle = linprog(
        -p.gmv.ravel(),
        A_ub=np.vstack(left),
        b_ub=np.concatenate([np.ones(n), p.rows.right, rows.right]),
        method="highs-ds",
    )
    assert s.certificate.violation <= 1e-12
    assert s.certificate.value <= -oracle.fun * (1 + 1e-6) + 1e-6
    assert s.certificate.bound >= -oracle.fun * (1 - 1e-6)
    assert s.certificate.gap <= 2e-4


def test_overlapping_rows_that_nothing_meets_are_named(laminar_problem) -> None:
    rng = np.random.default_rng(52)
    p = laminar_problem(rng, units=40, levels=6)
    n = p.bids.shape[0]
    p = replace(p, rows=Rows.of(), may_pause=np.zeros(n, bool))
    phases = Groups(("account", "phase:a"), np.array([-1, 0], np.int32), (np.arange(n) % 2).astype(np.int32))
    least = float(p.spend[phases.members(1), 0].sum())
    with pytest.raises(GoalUnreachable, match=r"budget of .* on phase:a: .* short at best"):
        solve_overlapping(p, Overlap(phases, Rows.of((RowKind.BUDGET, 1, 0.0, 0.5 * least))))
    fine = solve_overlapping(p, Overlap(phases, Rows.of((RowKind.BUDGET, 1, 0.0, 1.5 * least))))
    assert fine.certificate.violation <= 1e-9


def test_trees_over_different_units_cannot_overlap(laminar_problem) -> None:
    p = laminar_problem(np.random.default_rng(60))
    with pytest.raises(InvalidPlan, match="its groups know"):
        solve_overlapping(p, Overlap(Groups.single(p.bids.shape[0] + 1), Rows.of()))


def test_the_parts_of_a_changed_bid_add_up_and_name_what_moved(account_hour) -> None:
    limits = BidLimits(floor=0.0001, tick=0.0001)
    made = [account_hour(np.random.default_rng(70), theta=t, live=np.ones(12)) for t in (4.0, 5.0)]
    before, after = (ThetaPolicy().propose(*three, limits) for three in made)
    parts = why_changed(before, after)
    total = parts.select(pl.sum_horizontal(*PARTS)).to_series()
    np.testing.assert_allclose(total, parts["change"], atol=1e-12)
    inside = (after.units["limit"].is_null() & before.units["limit"].is_null()).to_numpy()
    assert inside.any()
    np.testing.assert_allclose(parts["theta"].to_numpy()[inside], parts["change"].to_numpy()[inside], rtol=0.01)
    assert np.all(parts["cvr"].to_numpy()[inside] == pytest.approx(0.0, abs=1e-9))


def test_a_higher_bid_buys_more_clicks_at_a_lower_return(account_hour) -> None:
    known, outlook, targets = account_hour(np.random.default_rng(71), live=np.ones(12))
    bid = ThetaPolicy().propose(known, outlook, targets, BidLimits()).units["bid_cpc"].to_numpy()
    seen = nearby(outlook, bid)
    assert seen.height == 24
    low, high = seen.filter(pl.col("factor") < 1), seen.filter(pl.col("factor") > 1)
    assert (low["clicks"] <= 0).all()
    assert (high["clicks"] >= 0).all()
    assert (high["roi"] <= low["roi"] + 1e-9).all()
