"""The rich solver: rows held exactly, a small certified gap, and agreement with the reference program."""

from dataclasses import replace

import numpy as np
import pytest

from bidding import AutoSolver, LaminarSolver, RichSolver
from bidding.program import ReferenceSolver
from domain.errors import SolverFailed
from domain.problem import Problem, RowKind, Rows


def enriched(problem: Problem, rng: np.random.Generator) -> Problem:
    """Same tables with CPC and CPA rows among the others, and in some draws an uplifted objective."""
    rows, groups = problem.rows, problem.groups
    kind, target, right = rows.kind.copy(), rows.target.copy(), rows.right.copy()
    spend = groups.rolled_up(problem.spend[:, -1])
    cpc = spend / np.maximum(groups.rolled_up(problem.clicks[:, -1]), 1e-9)
    cpa = spend / np.maximum(groups.rolled_up(problem.orders[:, -1]), 1e-9)
    for r, g in enumerate(rows.group):
        draw = rng.random()
        if draw < 0.5:
            kind[r], price = (RowKind.CPC, cpc[g]) if draw < 0.35 else (RowKind.CPA, cpa[g])
            target[r], right[r] = max(price * rng.uniform(0.3, 1.1), 1e-6), 0.0
        elif kind[r] == RowKind.ROI:
            right[r] = max(right[r], 0.0)
    value = problem.gmv * rng.uniform(0.5, 1.5, (problem.gmv.shape[0], 1)) if rng.random() < 0.4 else None
    return replace(problem, rows=Rows(kind, rows.group, target, right), value=value, may_pause=None)


@pytest.mark.parametrize("seed", [0, 1])
def test_rich_answers_hold_every_row_and_come_within_a_ten_thousandth(laminar_problem, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(25):
        p = enriched(laminar_problem(rng, units=1200, levels=20), rng)
        if p.bids.shape[1] < 5 or p.bids.shape[0] < 50:
            continue
        s = RichSolver().solve(p)
        assert s.certificate.violation == 0.0
        assert s.certificate.gap <= 1e-4
        assert np.all((s.share >= 0) & (s.share <= 1) & (s.lower <= s.upper))


def test_rich_and_reference_agree_on_small_problems(laminar_problem) -> None:
    rng = np.random.default_rng(4)
    for _ in range(30):
        p = enriched(laminar_problem(rng, units=80, levels=12), rng)
        a, b = AutoSolver().solve(p), ReferenceSolver().solve(p)
        assert a.certificate.value <= b.certificate.bound * (1 + 1e-6) + 1e-6
        assert a.certificate.value >= b.certificate.value * (1 - 3e-4) - 1e-3
        assert a.certificate.violation <= 1e-5


def test_rich_and_exact_solver_find_the_same_prices_where_both_apply(laminar_problem) -> None:
    rng = np.random.default_rng(6)
    for _ in range(8):
        p = laminar_problem(rng, units=1500, levels=20)
        p = replace(p, rows=replace(p.rows, right=np.maximum(p.rows.right, 0.0)))
        if p.bids.shape[0] < 200 or p.bids.shape[1] < 8:
            continue
        a, b = LaminarSolver().solve(p), RichSolver().solve(p)
        assert b.certificate.value == pytest.approx(a.certificate.value, rel=1e-4)
        clear = a.theta > 0.05
        np.testing.assert_allclose(b.theta[clear], a.theta[clear], rtol=0.05)


def test_last_hours_prices_lead_to_the_same_answer(laminar_problem) -> None:
    rng = np.random.default_rng(7)
    p = enriched(laminar_problem(rng, units=1200, levels=20), rng)
    cold = RichSolver().solve(p)
    moved = replace(p, rows=replace(p.rows, right=p.rows.right * 1.05))
    warm, fresh = RichSolver().warm_started(cold).solve(moved), RichSolver().solve(moved)
    assert warm.certificate.violation == 0.0
    assert warm.certificate.value == pytest.approx(fresh.certificate.value, rel=1e-4)


def test_a_click_value_that_depends_on_the_bid_is_left_to_the_reference(laminar_problem) -> None:
    rng = np.random.default_rng(8)
    p = enriched(laminar_problem(rng, units=60, levels=8), rng)
    p = replace(p, gmv=p.gmv * np.linspace(1.0, 1.5, p.gmv.shape[1]), value=None)
    with pytest.raises(SolverFailed, match="value per click depends on its bid"):
        RichSolver().solve(p)
    s = AutoSolver().solve(p)
    assert s.method.startswith("reference")
    assert s.certificate.violation <= 1e-5
