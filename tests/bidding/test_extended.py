"""The optional parts of the program against HiGHS and fine grids, with bounds that never lie."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.special import ndtri

from bidding.crossing import Overlap
from bidding.extended import Extras, Minimum, Risk, Smoothing, solve_extended, window
from bidding.program import ReferenceSolver
from domain.errors import GoalUnreachable, InvalidPlan
from domain.groups import Groups
from domain.problem import Problem, RowKind, Rows


def small(rng: np.random.Generator, n: int, levels: int, budget: float = 0.5) -> Problem:
    """n units with concave curves and one budget, a share of what the last levels spend."""
    spend = np.cumsum(rng.uniform(0.2, 1.0, (n, levels)), axis=1)
    clicks = np.cumsum(np.sort(rng.uniform(0.2, 1.0, (n, levels)), axis=1)[:, ::-1], axis=1)
    gmv = clicks * rng.uniform(2, 8, (n, 1))
    rows = Rows.of((RowKind.BUDGET, 0, 0.0, budget * float(spend[:, -1].sum())))
    ramp = np.tile(np.arange(1.0, levels + 1), (n, 1))
    return Problem(ramp, clicks, spend, gmv, Groups.single(n), rows)


def grid(n: int, points: int) -> np.ndarray:
    """All shares of n single-level units on a grid."""
    return np.array(list(itertools.product(np.linspace(0, 1, points), repeat=n)))


def test_without_extras_it_is_the_reference_program() -> None:
    p = small(np.random.default_rng(0), 40, 8)
    a, b = solve_extended(p, Extras()), ReferenceSolver().solve(p)
    assert a.objective == pytest.approx(b.certificate.value, rel=1e-6)
    assert a.gap <= 1e-6
    assert a.prices[0] == pytest.approx(b.multipliers[0], rel=1e-3)


@pytest.mark.parametrize("what", ["spend", "clicks", "impressions"])
def test_minimum_delivery_agrees_with_highs(what: str) -> None:
    for seed in range(4):
        p = small(np.random.default_rng(seed), 12, 5)
        n, levels = p.bids.shape
        groups = Groups(("account", "campaign:a"), np.array([-1, 0], np.int32), (np.arange(n) % 2).astype(np.int32))
        p = replace(p, groups=groups)
        table = {"spend": p.spend, "clicks": p.clicks, "impressions": p.clicks * 30}[what]
        most = float(table[groups.members(1)][:, -1].sum())
        answer = solve_extended(p, Extras(minimums=(Minimum(what, table, 1, 0.9 * most),)))
        left = np.vstack(
            [
                np.kron(np.eye(n), np.ones(levels)),
                p.spend.ravel(),
                np.where(groups.members(1)[:, None], -table, 0).ravel(),
            ]
        )
        oracle = linprog(-p.gmv.ravel(), left, [*np.ones(n), p.rows.right[0], -0.9 * most], method="highs-ds")
        assert answer.objective == pytest.approx(-oracle.fun, rel=1e-6)
        assert answer.bound >= -oracle.fun * (1 - 1e-9)
        assert answer.violation <= 1e-6
        assert answer.prices[1] > 0


def test_a_chance_constrained_roi_agrees_with_a_fine_grid() -> None:
    for seed in range(6):
        rng = np.random.default_rng(100 + seed)
        p = small(rng, 3, 1, budget=0.9)
        rho = float(p.gmv.sum() / p.spend.sum()) * 0.8
        error, common, z = rng.uniform(0.05, 0.4, 3), 0.05, float(ndtri(0.9))
        answer = solve_extended(p, Extras(risks=(Risk(0, rho, 0.9, error, common),)))
        x = grid(3, 101)
        c, v = x * p.spend[:, 0], x * p.gmv[:, 0]
        spread = z * np.sqrt(((error * v) ** 2).sum(axis=1) + (common * v.sum(axis=1)) ** 2)
        fits = (rho * c.sum(axis=1) - v.sum(axis=1) + spread <= 1e-12) & (c.sum(axis=1) <= p.rows.right[0])
        best = float(v.sum(axis=1)[fits].max())
        assert best <= answer.bound * (1 + 1e-9)
        assert answer.objective == pytest.approx(best, rel=0.03, abs=1e-4)
        assert answer.gap <= 1e-5
        assert answer.violation <= 1e-6


def test_more_confidence_never_buys_more() -> None:
    p = small(np.random.default_rng(7), 20, 4, budget=2.0)
    rho = float(p.gmv[:, -1].sum() / p.spend[:, -1].sum())
    bought = [
        solve_extended(p, Extras(risks=(Risk(0, rho, q, np.full(20, 0.3), 0.1),))).objective
        for q in (0.5, 0.7, 0.9, 0.99)
    ]
    assert np.all(np.diff(bought) <= 1e-6)
    assert bought[-1] < bought[0]


def test_smoothing_agrees_with_a_fine_grid_and_draws_spend_to_its_plan() -> None:
    p = small(np.random.default_rng(8), 3, 1, budget=2.0)
    plan, weight = np.array([0.3, 0.4]), 3.0
    smooth = Smoothing(np.array([0, 0, 1]), plan, weight)
    answer = solve_extended(p, Extras(smoothing=smooth))
    x = grid(3, 101)
    c = x * p.spend[:, 0]
    off = np.column_stack([c[:, :2].sum(axis=1), c[:, 2]]) - plan
    best = float(((x * p.gmv[:, 0]).sum(axis=1) - weight * (off**2).sum(axis=1)).max())
    assert best <= answer.bound + 1e-9
    assert answer.objective == pytest.approx(best, rel=1e-2)
    assert answer.gap <= 1e-6
    free = solve_extended(p, Extras())
    tight = solve_extended(p, Extras(smoothing=replace(smooth, weight=1e4)))
    assert abs(tight.spend[2] - plan[1]) < 0.01 < abs(free.spend[2] - plan[1])


def test_budgets_of_phases_that_cross_campaigns_agree_with_highs() -> None:
    rng = np.random.default_rng(9)
    p = small(rng, 16, 4, budget=0.8)
    n, levels = p.bids.shape
    phases = Groups(("account", "phase:a"), np.array([-1, 0], np.int32), (np.arange(n) < 6).astype(np.int32))
    rows = Rows.of((RowKind.BUDGET, 1, 0.0, 2.0), (RowKind.CPC, 1, 0.9, 0.0))
    answer = solve_extended(p, Extras(overlaps=(Overlap(phases, rows),)))
    mask = phases.members(1)[:, None]
    left = np.vstack(
        [
            np.kron(np.eye(n), np.ones(levels)), p.spend.ravel(), np.where(mask, p.spend, 0).ravel(),
            np.where(mask, p.spend - 0.9 * p.clicks, 0).ravel(),
        ]
    )  # fmt: skip
    oracle = linprog(-p.gmv.ravel(), left, [*np.ones(n), p.rows.right[0], 2.0, 0.0], method="highs-ds")
    assert answer.objective == pytest.approx(-oracle.fun, rel=1e-6)
    assert answer.gap <= 1e-6


def test_weight_on_new_customers_moves_money_to_their_units() -> None:
    p = small(np.random.default_rng(10), 20, 4)
    uplift = np.where(np.arange(20) < 10, 1.0, 0.0)
    plain, weighed = solve_extended(p, Extras()), solve_extended(p, Extras(uplift=uplift))
    assert weighed.spend[:10].sum() > plain.spend[:10].sum()
    assert weighed.objective == pytest.approx(float((weighed.gmv * (1 + uplift)).sum()))


def test_windows_follow_floors_caps_and_the_largest_step() -> None:
    bids = np.tile([1.0, 2.0, 3.0, 4.0], (3, 1))
    first, last = window(
        bids, floor=1.5, cap=np.array([4.0, 3.0, 9.0]), live=np.array([3.0, np.nan, 2.0]), max_step=0.5
    )
    assert first.tolist() == [1, 1, 1]
    assert last.tolist() == [3, 2, 2]
    with pytest.raises(InvalidPlan, match=r"units \[1\] have a bid floor above their cap"):
        window(bids, floor=np.array([0.0, 5.0, 0.0]), cap=np.array([9.0, 4.0, 9.0]))


def test_deliveries_that_money_cannot_buy_are_named_with_what_is_missing() -> None:
    p = small(np.random.default_rng(11), 10, 4, budget=0.2)
    most = float(p.clicks[:, -1].sum())
    with pytest.raises(GoalUnreachable, match=r"minimum clicks of .* on account: .* short at best"):
        solve_extended(p, Extras(minimums=(Minimum("clicks", p.clicks, 0, most),)))


def test_parts_that_make_no_sense_are_refused() -> None:
    p = small(np.random.default_rng(12), 4, 3)
    bad = p.clicks.copy()
    bad[2, 1] = np.nan
    for extras, told in (
        (Extras(minimums=(Minimum("clicks", bad, 0, 1.0),)), "minimum clicks: its table"),
        (Extras(minimums=(Minimum("clicks", p.clicks, 7, 1.0),)), "there is no group 7"),
        (Extras(risks=(Risk(0, 4.0, 1.0, np.zeros(4)),)), "a confidence from 0.5"),
        (Extras(risks=(Risk(0, 4.0, 0.9, np.full(4, -1.0)),)), "own_error"),
        (Extras(uplift=np.full(3, 1.0)), "uplift: need 4"),
        (Extras(smoothing=Smoothing(np.full(4, 2), np.ones(2), 1.0)), "a period 0 .. 1"),
    ):
        with pytest.raises(InvalidPlan, match=told):
            solve_extended(p, extras)
