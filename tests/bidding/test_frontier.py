"""What-if over a grid of targets: the same answers as full solves, one by one."""

from dataclasses import replace

import numpy as np
import pytest

from bidding import LaminarSolver, RichSolver
from bidding.frontier import frontier
from domain.errors import InvalidPlan
from domain.problem import Problem, RowKind, Rows


def _with(problem: Problem, row: int, value: float) -> Problem:
    rows = problem.rows
    target, right = rows.target.copy(), rows.right.copy()
    (right if rows.kind[row] == RowKind.BUDGET else target)[row] = value
    return replace(problem, rows=Rows(rows.kind, rows.group, target, right))


@pytest.mark.parametrize("floors", [False, True])
def test_a_frontier_gives_what_full_solves_give(laminar_problem, floors: bool) -> None:
    rng = np.random.default_rng(30 + floors)
    checked = 0
    for _ in range(40):
        p = laminar_problem(rng, units=80, levels=12, forced=0.3 if floors else 0.0)
        p = replace(p, rows=replace(p.rows, right=np.maximum(p.rows.right, 0.0)))
        if not len(p.rows):
            continue
        row = int(rng.integers(len(p.rows)))
        base = float((p.rows.right if p.rows.kind[row] == RowKind.BUDGET else p.rows.target)[row])
        if base <= 0:
            continue
        grid = base * np.linspace(0.3, 2.0, 7)
        seen = frontier(p, row, grid.tolist())
        for value, spend, gmv in seen.select("value", "spend", "gmv").iter_rows():
            s = LaminarSolver().solve(_with(p, row, value))
            assert gmv == pytest.approx(s.gmv.sum(), rel=1e-7, abs=1e-9)
            assert spend == pytest.approx(s.spend.sum(), rel=1e-6, abs=1e-9)
        checked += 1
    assert checked > 20


def test_a_higher_roi_target_never_buys_more(laminar_problem) -> None:
    rng = np.random.default_rng(33)
    p = laminar_problem(rng, units=300, levels=20)
    average = float(p.gmv[:, -1].sum() / p.spend[:, -1].sum())
    p = replace(p, rows=Rows.of((RowKind.ROI, 0, average, 0.0)))
    seen = frontier(p, 0, (average * np.linspace(1.0, 4.0, 50)).tolist())
    assert np.all(np.diff(seen["gmv"].to_numpy()) <= 1e-9)
    assert np.all(
        seen["roi"].drop_nans().to_numpy() >= seen["value"].to_numpy()[: seen["roi"].drop_nans().len()] - 1e-9
    )


def test_a_frontier_beside_cpc_rows_gives_what_fresh_solves_give(laminar_problem, enriched) -> None:
    rng = np.random.default_rng(34)
    p = enriched(laminar_problem(rng, units=600, levels=20), rng)
    while p.bids.shape[0] < 200 or not np.any(p.rows.kind == RowKind.CPC) or not np.any(p.rows.group == 0):
        p = enriched(laminar_problem(rng, units=600, levels=20), rng)
    row = int(np.flatnonzero(p.rows.group == 0)[0])
    base = float((p.rows.right if p.rows.kind[row] == RowKind.BUDGET else p.rows.target)[row])
    grid = (base * np.array([1.2, 0.6, 0.9])).tolist()
    seen = frontier(p, row, grid)
    assert seen["value"].to_list() == grid
    for value, gmv in seen.select("value", "gmv").iter_rows():
        assert gmv == pytest.approx(RichSolver().solve(_with(p, row, value)).value.sum(), rel=1e-4)


def test_a_frontier_of_a_row_that_is_not_there_is_refused(laminar_problem) -> None:
    p = laminar_problem(np.random.default_rng(35))
    with pytest.raises(InvalidPlan, match="there is no row 99"):
        frontier(p, 99, [1.0])
