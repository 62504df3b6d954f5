"""Budgets and ROI targets out of reach together: named as the smallest set, with the least that cures each."""

from dataclasses import replace

import numpy as np
import pytest

from bidding import LaminarSolver
from bidding.laminar import swept
from bidding.lost import collision
from domain.groups import Groups
from domain.problem import Problem, RowKind, Rows, Status


def test_sets_that_the_sweep_names_are_smallest_and_their_cures_are_the_nearest(laminar_problem) -> None:
    rng = np.random.default_rng(97)
    together = cured = 0
    for _ in range(300):
        p = laminar_problem(rng, units=25, forced=0.5)
        r = p.rows

        def reachable(keep: np.ndarray, target: np.ndarray, right: np.ndarray, p: Problem = p) -> bool:
            rows = Rows(p.rows.kind[keep], p.rows.group[keep], target[keep], right[keep])
            return LaminarSolver().solve(replace(p, rows=rows)).status is not Status.UNREACHABLE

        for y in swept(p).rays:
            some = np.flatnonzero(y > 0)
            if some.size == 1:
                continue
            assert not reachable(some, r.target, r.right)
            found = collision(p, some)
            assert found is not None
            kept = np.array(found.rows)
            assert set(found.rows) <= set(some.tolist())
            assert not reachable(kept, r.target, r.right)
            together += kept.size > 1
            for k, cure in zip(found.rows, found.cures, strict=False):
                assert reachable(kept[kept != k], r.target, r.right)
                if not (np.isfinite(cure) and cure > 0):
                    continue
                cured += 1
                ease = 1e-4 if r.kind[k] != RowKind.ROI else -1e-4
                for factor, works in ((1 + ease, True), (1 - ease, False)):
                    target, right = r.target.copy(), r.right.copy()
                    if r.kind[k] == RowKind.BUDGET:
                        right[k] = cure * factor if cure > 0 else cure / factor
                    else:
                        target[k] = cure * factor
                    assert reachable(kept, target, right) == works
    assert together > 6
    assert cured > 6


def test_a_budget_and_a_debt_of_roi_that_collide_are_told_together_with_both_cures() -> None:
    ramp = np.tile([1.0, 2.0, 3.0], (4, 1))
    gmv = np.tile([6.0, 10.0, 12.0], (4, 1))
    # 20 of gmv is owed beyond 2 per unit of spend; a budget of 4 earns at most 4 x 6 - 2 x 4 = 16 towards it.
    rows = Rows.of((RowKind.BUDGET, 0, 0.0, 4.0), (RowKind.ROI, 0, 2.0, -20.0))
    s = LaminarSolver().solve(Problem(ramp, ramp, ramp, gmv, Groups.single(4), rows))
    assert s.status is Status.UNREACHABLE
    words = s.certificate.words
    assert "budget of 4.00 on account and ROI target of 2.00 on account cannot be met together" in words
    assert "raise the budget of account to 6.00" in words  # two more units of money return 4 each
    assert "lower the ROI of account to 1.00" in words


@pytest.mark.parametrize("campaigns", [3, 40])
def test_a_collision_across_many_campaigns_tells_the_first_ones_and_counts_the_rest(campaigns: int) -> None:
    ramp = np.tile([1.0, 2.0, 3.0], (campaigns, 1))
    groups = Groups(
        ("account", *(f"campaign:{k}" for k in range(campaigns))),
        np.array([-1] + [0] * campaigns, np.int32),
        np.arange(1, campaigns + 1, dtype=np.int32),
    )
    caps = [(RowKind.BUDGET, g, 0.0, 1.0) for g in range(1, campaigns + 1)]
    rows = Rows.of(*caps, (RowKind.ROI, 0, 2.0, -5.0 * campaigns))
    p = Problem(ramp, ramp, ramp, ramp * 5.0, groups, rows)
    s = LaminarSolver().solve(p)
    assert s.status is Status.UNREACHABLE
    # Each campaign may earn 3 towards its share of 5; all budgets together with the debt are the conflict.
    assert "cannot be met together" in s.certificate.words
    assert ("more targets that take part" in s.certificate.words) == (campaigns > 5)
    assert "raise the budget of campaign:0 to" in s.certificate.words or campaigns > 5
