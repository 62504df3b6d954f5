"""The reference program: it agrees with the exact solver, and answers rows that the exact one cannot."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from bidding import AutoSolver, LaminarSolver
from bidding.program import ReferenceSolver
from domain.errors import InvalidPlan, SolverFailed
from domain.groups import Groups
from domain.problem import Problem, RowKind, Rows, Solution, Status


def test_reference_and_exact_solver_agree_on_laminar_problems(laminar_problem) -> None:
    rng = np.random.default_rng(21)
    for _ in range(40):
        p = laminar_problem(rng, forced=rng.choice([0.0, 0.3]), windows=bool(rng.random() < 0.3))
        a, b = LaminarSolver().solve(p), ReferenceSolver().solve(p)
        assert (a.status is Status.UNREACHABLE) == (b.status is Status.UNREACHABLE)
        if a.status is not Status.UNREACHABLE:
            assert b.certificate.value == pytest.approx(a.certificate.value, rel=1e-5, abs=1e-4)
            assert b.certificate.gap <= 1e-5
            assert b.certificate.violation <= 1e-5


def _auctions(rng: np.random.Generator, n: int, rows: Rows, value: str = "gmv") -> Problem:
    """n single auctions, each a unit of one level: one click at its market price."""
    price, gain = np.exp(rng.normal(0, 0.7, n)), np.exp(rng.normal(1.5, 0.8, n))
    cvr = rng.uniform(0.01, 0.1, n)
    ones = np.ones((n, 1))
    table = {"gmv": None, "clicks": ones, "orders": cvr[:, None]}[value]
    return Problem(
        price[:, None], ones, price[:, None], gain[:, None], Groups.single(n), rows, value=table, orders=cvr[:, None]
    )


def _bids(problem: Problem, s: Solution) -> np.ndarray:
    """Closed-form second-price bids: (click value + offset) / theta."""
    worth = (problem.gmv if problem.value is None else problem.value)[:, 0]
    return (worth + s.offset) / s.theta


@pytest.mark.parametrize(
    ("rows", "value"),
    [
        (Rows.of((RowKind.BUDGET, 0, 0.0, 100.0)), "gmv"),
        (Rows.of((RowKind.ROI, 0, 6.0, 0.0)), "gmv"),
        (Rows.of((RowKind.BUDGET, 0, 0.0, 250.0), (RowKind.ROI, 0, 6.0, 0.0)), "gmv"),
        (Rows.of((RowKind.CPC, 0, 0.8, 0.0)), "gmv"),
        (Rows.of((RowKind.BUDGET, 0, 0.0, 120.0), (RowKind.CPC, 0, 0.8, 0.0)), "gmv"),
        (Rows.of((RowKind.BUDGET, 0, 0.0, 120.0), (RowKind.CPC, 0, 0.8, 0.0)), "clicks"),
        (Rows.of((RowKind.BUDGET, 0, 0.0, 60.0), (RowKind.CPA, 0, 15.0, 0.0)), "orders"),
    ],
)
def test_no_auction_below_the_closed_form_bid_is_lost_and_none_above_is_won(rows: Rows, value: str) -> None:
    for seed in range(4):
        p = _auctions(np.random.default_rng(seed), 400, rows, value)
        s = ReferenceSolver().solve(p)
        # HiGHS decides which single auctions to win, knowing nothing of bids.
        worth = (p.gmv if p.value is None else p.value)[:, 0]
        left = np.array(
            [
                {0: p.spend, 1: t * p.spend - p.gmv, 2: p.spend - t * p.clicks, 3: p.spend - t * p.orders}[int(k)][:, 0]
                for k, t in zip(rows.kind, rows.target, strict=True)
            ]
        )
        oracle = linprog(-worth, A_ub=left, b_ub=rows.right, bounds=(0, 1), method="highs-ds")
        bid, price = _bids(p, s), p.bids[:, 0]
        assert np.all(oracle.x[price < bid * (1 - 1e-4)] > 1 - 1e-7)
        assert np.all(oracle.x[price > bid * (1 + 1e-4)] < 1e-7)
        assert s.certificate.value == pytest.approx(-oracle.fun, rel=1e-5)


@pytest.mark.parametrize("objective", ["uplift", "profit", "roi, cpc and budget"])
def test_bids_of_other_objectives_follow_from_the_multipliers_and_win_the_right_auctions(objective: str) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        p = _auctions(rng, 400, Rows.of((RowKind.BUDGET, 0, 0.0, 120.0), (RowKind.ROI, 0, 6.0, 0.0)))
        value, price = p.gmv[:, 0], p.bids[:, 0]
        uplift, margin = rng.uniform(0.5, 2.0, 400), 0.3
        if objective == "uplift":
            p = replace(p, value=p.gmv * uplift[:, None])
        elif objective == "profit":
            p = replace(p, value=margin * p.gmv - p.spend, rows=replace(p.rows, right=np.array([200.0, 0.0])))
        else:
            rows = Rows.of(
                (RowKind.BUDGET, 0, 0.0, 120.0), (RowKind.ROI, 0, 6.0, 0.0), (RowKind.CPC, 0, 0.55, 0.0)
            )  # fmt: skip
            p = replace(p, rows=rows)
        s = ReferenceSolver().solve(p)
        budget, roi = s.multipliers[:2]
        cpc = s.multipliers[2] if len(s.multipliers) > 2 else 0.0
        # Mathematics part I.3: value of one more click over the price of one unit of money, row set by row set.
        if objective == "uplift":
            bid = (uplift + roi) * value / (budget + 6.0 * roi)
        elif objective == "profit":
            bid = (margin + roi) * value / (1.0 + budget + 6.0 * roi)
        else:
            bid = ((1.0 + roi) * value + cpc * 0.55) / (budget + 6.0 * roi + cpc)
        worth = (p.gmv if p.value is None else p.value)[:, 0]
        left = [p.spend[:, 0], 6.0 * p.spend[:, 0] - p.gmv[:, 0], p.spend[:, 0] - 0.55][: len(p.rows)]
        oracle = linprog(-worth, A_ub=np.array(left), b_ub=p.rows.right, bounds=(0, 1), method="highs-ds")
        assert np.all(oracle.x[price < bid * (1 - 1e-4)] > 1 - 1e-7)
        assert np.all(oracle.x[price > bid * (1 + 1e-4)] < 1e-7)
        assert AutoSolver().solve(p).certificate.value == pytest.approx(-oracle.fun, rel=3e-4)


def test_orders_and_clicks_can_be_the_objective_of_the_exact_solver() -> None:
    for value in ("clicks", "orders"):
        p = _auctions(np.random.default_rng(1), 300, Rows.of((RowKind.BUDGET, 0, 0.0, 40.0)), value)
        s = AutoSolver().solve(p)
        assert s.method == "laminar"
        assert abs(s.certificate.gap) <= 1e-12


def test_a_cpc_target_below_every_price_is_unreachable_where_units_may_not_pause() -> None:
    p = _auctions(np.random.default_rng(2), 20, Rows.of((RowKind.CPC, 0, 0.01, 0.0)))
    s = AutoSolver().solve(replace(p, may_pause=np.zeros(20, bool)))
    assert s.status is Status.UNREACHABLE
    assert "CPC target of 0.01 on account cannot be met" in s.certificate.words


def test_attempts_that_failed_are_told_with_the_answer() -> None:
    p = _auctions(np.random.default_rng(3), 30, Rows.of((RowKind.CPC, 0, 0.8, 0.0)))
    s = AutoSolver().solve(p)
    assert s.attempts[0].startswith("laminar: CPC or CPA rows")
    assert s.status is Status.CPC_BINDS


def test_no_method_left_is_an_error_that_lists_what_was_tried() -> None:
    p = _auctions(np.random.default_rng(3), 30, Rows.of((RowKind.CPC, 0, 0.8, 0.0)))
    with pytest.raises(SolverFailed, match=r"no method found an answer.*30 units are more than its 5"):
        AutoSolver(methods=(LaminarSolver(), ReferenceSolver(most_units=5))).solve(p)


def test_a_cpa_row_without_orders_is_refused() -> None:
    p = _auctions(np.random.default_rng(3), 5, Rows.of((RowKind.CPA, 0, 8.0, 0.0)))
    with pytest.raises(InvalidPlan, match="needs the table of orders"):
        AutoSolver().solve(replace(p, orders=None))
