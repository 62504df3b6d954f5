import math

import numpy as np
import pytest
from scipy.optimize import linprog

from domain.problem import Status
from market import SimWorld, Truth, best_gmv_at_spend, fluid_optimum


def toy(seed: int, n: int = 3, hours: int = 2) -> Truth:
    rng = np.random.default_rng(seed)
    return Truth(
        opportunities=rng.uniform(5, 80, (n, hours)),
        price_median=rng.uniform(0.4, 2.0, (n, hours)),
        price_spread=rng.uniform(0.3, 0.9, n),
        cvr=rng.uniform(0.01, 0.06, (n, hours)),
        order_value=rng.uniform(40, 200, n),
    )


def level_program(truth: Truth, budget: float, roi: float | None, levels: int = 400) -> float:
    """The same program over a fine grid of bids, one variable per unit, hour and level, by HiGHS."""
    value = truth.click_value
    grid = np.geomspace(1e-3, 1e2, levels)
    clicks, spend, gmv = [], [], []
    for b in grid:
        q, c = truth.response(np.full(truth.cvr.shape, b))
        clicks.append(q.ravel())
        spend.append(c.ravel())
        gmv.append((value * q).ravel())
    c, v = np.array(spend).T.ravel(), np.array(gmv).T.ravel()
    cells = value.size
    one = np.kron(np.eye(cells), np.ones(levels))
    rows, right = [*one, c], [*np.ones(cells), budget]
    if roi is not None:
        rows.append(roi * c - v)
        right.append(0.0)
    answer = linprog(-v, A_ub=np.array(rows), b_ub=np.array(right), bounds=(0, 1), method="highs-ds")
    assert answer.status == 0
    return -answer.fun


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["budget binds", "roi binds", "budget only"])
def test_the_closed_form_agrees_with_a_linear_program_over_bid_levels(seed: int, kind: str) -> None:
    truth = toy(seed)
    budget = 0.3 * best_gmv_at_spend(truth, 1e9).total_spend
    alone = fluid_optimum(truth, budget, None)
    roi = {"budget binds": 0.9 * alone.roi, "roi binds": 1.15 * alone.roi, "budget only": None}[kind]
    plan = fluid_optimum(truth, budget, roi)
    by_levels = level_program(truth, budget, roi)
    # A grid can only do worse than the continuous curve, and a grid of 400 levels hardly does.
    assert by_levels <= plan.gmv * (1 + 1e-7)
    assert by_levels >= plan.gmv * (1 - 1e-3)
    assert plan.status is (Status.ROI_BINDS if kind == "roi binds" else Status.BUDGET_BINDS)


@pytest.mark.parametrize("seed", range(5))
def test_no_random_bids_within_the_rows_beat_the_optimum(seed: int) -> None:
    truth, rng = toy(seed), np.random.default_rng(100 + seed)
    budget = 0.3 * best_gmv_at_spend(truth, 1e9).total_spend
    roi = 1.1 * fluid_optimum(truth, budget, None).roi
    best = fluid_optimum(truth, budget, roi)
    feasible = 0
    for _ in range(2000):
        bids = best.bids * np.exp(rng.normal(-0.02, rng.choice([0.02, 0.1, 0.5]), best.bids.shape))
        q, c = truth.response(bids)
        gmv = float((truth.click_value * q).sum())
        if c.sum() <= budget and gmv >= roi * c.sum():
            feasible += 1
            assert gmv <= best.gmv * (1 + 1e-9)
    assert feasible > 50


@pytest.mark.parametrize("seed", range(5))
def test_the_binding_row_is_met_exactly_and_the_other_holds(seed: int) -> None:
    truth = toy(seed)
    budget = 0.25 * best_gmv_at_spend(truth, 1e9).total_spend
    alone = fluid_optimum(truth, budget, None)
    assert alone.total_spend == pytest.approx(budget, rel=1e-9)
    tight = fluid_optimum(truth, budget, 1.2 * alone.roi)
    assert tight.roi == pytest.approx(1.2 * alone.roi, rel=1e-9)
    assert tight.total_spend < budget
    assert tight.theta <= 1.2 * alone.roi


@pytest.mark.parametrize("seed", range(5))
def test_a_tighter_row_never_raises_the_optimum(seed: int) -> None:
    truth = toy(seed)
    whole = best_gmv_at_spend(truth, 1e9).total_spend
    by_budget = [fluid_optimum(truth, share * whole, None).gmv for share in (0.05, 0.1, 0.2, 0.4, 0.8)]
    assert by_budget == sorted(by_budget)
    by_roi = [fluid_optimum(truth, whole, roi).gmv for roi in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)]
    assert by_roi == sorted(by_roi, reverse=True)


def test_money_in_another_currency_changes_bids_and_nothing_else() -> None:
    truth = toy(4)
    dear = Truth(truth.opportunities, truth.price_median * 1e4, truth.price_spread, truth.cvr, truth.order_value * 1e4)
    a, b = fluid_optimum(truth, 30.0, 4.0), fluid_optimum(dear, 30e4, 4.0)
    assert b.theta == pytest.approx(a.theta, rel=1e-9)
    assert b.clicks == pytest.approx(a.clicks, rel=1e-7)
    assert b.gmv == pytest.approx(a.gmv * 1e4, rel=1e-9)


def test_more_money_than_there_is_to_buy_leaves_both_rows_slack() -> None:
    truth = toy(5)
    plan = fluid_optimum(truth, 1e9, None)
    assert plan.status is Status.SLACK
    assert plan.gmv == pytest.approx(float((truth.opportunities * truth.click_value).sum()), rel=1e-9)


def test_a_pause_buys_nothing() -> None:
    truth = toy(6)
    clicks, spend = truth.response(np.zeros(truth.cvr.shape))
    assert clicks.sum() == spend.sum() == 0


def test_expected_response_agrees_with_numerical_integration_of_the_price_law() -> None:
    truth = toy(7, n=1, hours=1)
    m, s, n = truth.price_median[0, 0], truth.price_spread[0], truth.opportunities[0, 0]
    for bid in (0.3, 1.0, 2.5):
        p = np.linspace(1e-6, bid, 200_001)
        density = np.exp(-0.5 * ((np.log(p) - math.log(m)) / s) ** 2) / (p * s * math.sqrt(2 * math.pi))
        q, c = truth.response(np.full((1, 1), bid))
        assert q[0, 0] == pytest.approx(n * np.trapezoid(density, p), rel=1e-4)
        assert c[0, 0] == pytest.approx(n * np.trapezoid(p * density, p), rel=1e-4)


def test_the_demo_worlds_bind_the_row_that_their_files_promise(full, shipped) -> None:
    from market import load_scenario

    budget_file = load_scenario(shipped.parent / "demo-budget.toml")
    for seed in (50, 51, 52):
        roi_world, budget_world = SimWorld(full, seed), SimWorld(budget_file, seed)
        assert fluid_optimum(roi_world.truth, roi_world.budget, roi_world.roi_target).status is Status.ROI_BINDS
        plan = fluid_optimum(budget_world.truth, budget_world.budget, budget_world.roi_target)
        assert plan.status is Status.BUDGET_BINDS
