"""What must hold for any problem: order, scale, monotony, and a certificate that never lies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidding import AutoSolver, LaminarSolver, RichSolver
from bidding.certificate import dual_bound
from domain.errors import InvalidPlan
from domain.groups import Groups
from domain.problem import Problem, RowKind, Rows, Status

SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=60, deadline=None, derandomize=True)


@FEW
@given(seed=SEEDS)
def test_the_order_of_units_changes_nothing(laminar_problem, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = laminar_problem(rng, forced=0.2)
    turn = rng.permutation(p.bids.shape[0])
    turned = Problem(
        p.bids[turn], p.clicks[turn], p.spend[turn], p.gmv[turn],
        Groups(p.groups.names, p.groups.parent, p.groups.leaf[turn]), p.rows, may_pause=p.may_pause[turn],
    )  # fmt: skip
    a, b = LaminarSolver().solve(p), LaminarSolver().solve(turned)
    assert a.status is b.status
    assert b.certificate.value == pytest.approx(a.certificate.value, rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(b.theta, a.theta[turn], rtol=1e-9)
    np.testing.assert_allclose(b.multipliers, a.multipliers, rtol=1e-6, atol=1e-9)


@FEW
@given(seed=SEEDS, factor=st.sampled_from([1e-6, 0.1, 10.0, 1e6]))
def test_ten_times_all_money_is_ten_times_the_bids(laminar_problem, seed: int, factor: float) -> None:
    p = laminar_problem(np.random.default_rng(seed), forced=0.2)
    scaled = replace(
        p, bids=p.bids * factor, spend=p.spend * factor, gmv=p.gmv * factor,
        rows=Rows(p.rows.kind, p.rows.group, p.rows.target, p.rows.right * factor),
    )  # fmt: skip
    a, b = LaminarSolver().solve(p), LaminarSolver().solve(scaled)
    assert a.status is b.status
    np.testing.assert_allclose(b.bid, a.bid * factor, rtol=1e-6, atol=1e-9 * factor)
    np.testing.assert_allclose(b.theta, a.theta, rtol=1e-9)


@FEW
@given(seed=SEEDS)
def test_a_tighter_target_never_raises_and_more_budget_never_lowers_the_optimum(laminar_problem, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = laminar_problem(rng)
    if not len(p.rows):
        return
    row = int(rng.integers(len(p.rows)))
    target, right = p.rows.target.copy(), p.rows.right.copy()
    if p.rows.kind[row] == RowKind.BUDGET:
        right[row] *= 1.3
        loose, tight = replace(p, rows=Rows(p.rows.kind, p.rows.group, target, right)), p
    else:
        target[row] *= 1.3
        loose, tight = p, replace(p, rows=Rows(p.rows.kind, p.rows.group, target, right))
    a, b = LaminarSolver().solve(loose), LaminarSolver().solve(tight)
    if b.status is not Status.UNREACHABLE:
        assert a.status is not Status.UNREACHABLE
        assert b.certificate.value <= a.certificate.value * (1 + 1e-9) + 1e-9


@FEW
@given(seed=SEEDS)
def test_no_feasible_answer_found_at_random_beats_the_bound(laminar_problem, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = laminar_problem(rng, units=6)
    n, levels = p.bids.shape
    bounds = [dual_bound(p, np.abs(rng.normal(0, 1, len(p.rows)))), dual_bound(p, np.zeros(len(p.rows)))]
    found = LaminarSolver().solve(p)
    if found.status is not Status.UNREACHABLE:
        bounds.append(found.certificate.bound)
    for _ in range(300):
        x = rng.dirichlet(np.full(levels + 1, 0.3), n)[:, 1:] * (rng.random((n, 1)) < 0.7)
        spend, gmv = (p.spend * x).sum(axis=1), (p.gmv * x).sum(axis=1)
        c, v = p.groups.rolled_up(spend)[p.rows.group], p.groups.rolled_up(gmv)[p.rows.group]
        left = np.where(p.rows.kind == RowKind.BUDGET, c, p.rows.target * c - v)
        if np.all(left <= p.rows.right):
            assert gmv.sum() <= min(bounds) * (1 + 1e-9) + 1e-9


@FEW
@given(seed=SEEDS, forced=st.sampled_from([0.0, 0.4]))
def test_what_a_solution_says_of_itself_is_what_its_levels_give(laminar_problem, seed: int, forced: float) -> None:
    p = laminar_problem(np.random.default_rng(seed), forced=forced)
    s = LaminarSolver().solve(p)
    unit = np.arange(p.bids.shape[0])
    assert np.all((s.lower <= s.upper) & (s.share >= 0) & (s.share <= 1))
    assert np.all(p.may_pause | (s.lower >= 0) | (s.upper < 0)) or s.status is Status.UNREACHABLE

    def read(table: np.ndarray, level: np.ndarray) -> np.ndarray:
        return np.where(level < 0, 0.0, table[unit, np.maximum(level, 0)])

    for table, told in ((p.spend, s.spend), (p.gmv, s.gmv), (p.clicks, s.clicks), (p.bids, s.bid)):
        low, high = read(table, s.lower), read(table, s.upper)
        np.testing.assert_allclose(told, low + s.share * (high - low), rtol=1e-9, atol=1e-12)
    assert np.all(s.theta >= 0)


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_order_scale_and_bound_hold_beside_cpc_and_cpa_rows_too(laminar_problem, enriched, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = enriched(laminar_problem(rng, units=30), rng)
    n, levels = p.bids.shape
    plain, turn = AutoSolver().solve(p), rng.permutation(n)
    value = None if p.value is None else p.value[turn]
    turned = AutoSolver().solve(
        Problem(
            p.bids[turn], p.clicks[turn], p.spend[turn], p.gmv[turn],
            Groups(p.groups.names, p.groups.parent, p.groups.leaf[turn]), p.rows, value, p.orders[turn],
        )
    )  # fmt: skip
    near = {"rel": 5e-4, "abs": 2e-3}  # both within the gap that is looked for
    assert turned.certificate.value == pytest.approx(plain.certificate.value, **near)
    ratio = np.where(p.rows.kind == RowKind.ROI, p.rows.target, 10 * p.rows.target)
    dearer = replace(
        p, bids=p.bids * 10, spend=p.spend * 10, gmv=p.gmv * 10, value=None if p.value is None else p.value * 10,
        rows=Rows(p.rows.kind, p.rows.group, ratio, p.rows.right * 10),
    )  # fmt: skip
    assert AutoSolver().solve(dearer).certificate.value == pytest.approx(10 * plain.certificate.value, **near)
    tables = {RowKind.ROI: p.gmv, RowKind.CPC: p.clicks, RowKind.CPA: p.orders}
    worth = p.gmv if p.value is None else p.value
    for _ in range(100):
        x = rng.dirichlet(np.full(levels + 1, 0.3), n)[:, 1:] * (rng.random((n, 1)) < 0.7)
        held = True
        for kind, g, target, right in zip(p.rows.kind, p.rows.group, p.rows.target, p.rows.right, strict=True):
            inside = p.groups.members(int(g))
            spend = float((p.spend * x)[inside].sum())
            if kind == RowKind.BUDGET:
                held &= spend <= right
            else:
                gained = float((tables[RowKind(int(kind))] * x)[inside].sum())
                held &= (target * spend - gained if kind == RowKind.ROI else spend - target * gained) <= right
        assert not held or float((worth * x).sum()) <= plain.certificate.bound * (1 + 1e-9) + 1e-9


def _flat(n: int, levels: int = 3, spend: float = 1.0, gmv: float = 2.0) -> Problem:
    """n equal units whose levels all have the same slope gmv / spend."""
    ramp = np.tile(np.arange(1.0, levels + 1), (n, 1))
    return Problem(ramp, ramp, ramp * spend, ramp * gmv, Groups.single(n), Rows.of((RowKind.BUDGET, 0, 0.0, 4.0)))


def test_equal_slopes_still_use_the_budget_to_the_last_unit_of_money() -> None:
    for n in (2, 30, 500):
        s = LaminarSolver().solve(_flat(n))
        assert s.spend.sum() == pytest.approx(4.0)
        assert s.certificate.gap == pytest.approx(0.0, abs=1e-12)
        assert int(((s.share > 0) & (s.share < 1)).sum()) <= 1


def test_units_without_value_get_no_money_and_units_without_cost_are_taken() -> None:
    worthless = LaminarSolver().solve(_flat(4, gmv=0.0))
    assert worthless.spend.sum() == 0.0
    assert worthless.status is Status.SLACK
    free = LaminarSolver().solve(_flat(4, spend=0.0))
    assert free.gmv.sum() == pytest.approx(4 * 6.0)
    assert free.status is Status.SLACK


def test_no_unit_one_unit_and_an_empty_group_are_answered() -> None:
    none = LaminarSolver().solve(_flat(0))
    assert none.bid.shape == (0,)
    assert none.status is Status.SLACK
    assert LaminarSolver().solve(_flat(1)).spend.sum() == pytest.approx(3.0)
    groups = Groups(("account", "campaign:empty"), np.array([-1, 0], np.int32), np.zeros(2, np.int32))
    rows = Rows.of((RowKind.BUDGET, 1, 0.0, 0.0), (RowKind.ROI, 1, 3.0, 0.0))
    assert LaminarSolver().solve(replace(_flat(2), groups=groups, rows=rows)).status is Status.SLACK


def test_a_target_that_nothing_reaches_starves_the_account_and_says_what_is_reachable() -> None:
    rows = Rows.of((RowKind.ROI, 0, 3.0, 0.0))
    s = LaminarSolver().solve(replace(_flat(3), rows=rows))
    assert s.status in (Status.STARVED, Status.SLACK, Status.ROI_BINDS)
    assert s.spend.sum() == pytest.approx(0.0, abs=1e-12)
    forced = LaminarSolver().solve(replace(_flat(3), rows=rows, may_pause=np.zeros(3, bool)))
    assert forced.status is Status.UNREACHABLE
    assert "best reachable ROI is 2.00" in forced.certificate.words
    assert forced.certificate.violation > 0


def test_floors_that_cost_more_than_the_budget_are_told_with_the_amount_missing() -> None:
    p = replace(_flat(6), may_pause=np.zeros(6, bool))
    s = LaminarSolver().solve(p)
    assert s.status is Status.UNREACHABLE
    assert "raise the budget by 2" in s.certificate.words
    assert s.spend.sum() == pytest.approx(6.0)


def test_budget_and_roi_tight_at_once_are_told_as_such() -> None:
    ramp = np.array([[1.0, 2.0, 3.0]])
    p = Problem(
        ramp, ramp, np.array([[1.0, 2.0, 3.0]]), np.array([[4.0, 6.0, 7.0]]), Groups.single(1),
        Rows.of((RowKind.BUDGET, 0, 0.0, 2.0), (RowKind.ROI, 0, 3.0, 0.0)),
    )  # fmt: skip
    s = LaminarSolver().solve(p)
    assert s.status is Status.BOTH_TIGHT
    assert s.gmv.sum() == pytest.approx(6.0)
    assert s.certificate.gap == pytest.approx(0.0, abs=1e-12)


def test_magnitudes_from_a_billionth_to_a_trillion_live_in_one_problem() -> None:
    rng = np.random.default_rng(8)
    size = 10.0 ** rng.uniform(-9, 12, 200)[:, None]
    ramp = np.cumsum(rng.random((200, 6)), axis=1)
    gmv = np.cumsum(np.sort(rng.random((200, 6)), axis=1)[:, ::-1], axis=1) * 10.0 ** rng.uniform(-2, 2, (200, 1))
    p = Problem(
        ramp, ramp, ramp * size, gmv * size, Groups.single(200),
        Rows.of((RowKind.BUDGET, 0, 0.0, 1e12), (RowKind.ROI, 0, 2.0, 0.0)),
    )  # fmt: skip
    s = LaminarSolver().solve(p)
    assert abs(s.certificate.gap) <= 1e-9
    assert s.certificate.violation <= 1e-9


CPC_BESIDE = Rows.of((RowKind.BUDGET, 0, 0.0, 4.0), (RowKind.CPC, 0, 0.9, 1.0))


@pytest.mark.parametrize("n", [0, 1, 2, 30, 500])
def test_equal_units_beside_a_cpc_row_share_the_budget(n: int) -> None:
    s = AutoSolver().solve(replace(_flat(n), rows=CPC_BESIDE))
    assert s.spend.sum() == pytest.approx(min(3.0 * n, 4.0), rel=1e-4)
    assert s.certificate.violation <= 1e-9
    assert s.certificate.gap <= 1e-4


def test_free_worthless_and_starved_units_beside_a_cpc_row() -> None:
    for p, value in ((_flat(4, gmv=0.0), 0.0), (_flat(4, spend=0.0), 24.0), (_flat(4, spend=0.0, gmv=0.0), 0.0)):
        s = RichSolver().solve(replace(p, rows=CPC_BESIDE))
        assert s.value.sum() == pytest.approx(value)
        assert s.spend.sum() == 0.0
        assert s.status is Status.SLACK
    groups = Groups(("account", "campaign:empty"), np.array([-1, 0], np.int32), np.zeros(4, np.int32))
    empty = Rows.of((RowKind.CPC, 1, 1.0, 0.0), (RowKind.BUDGET, 1, 0.0, 0.0), (RowKind.BUDGET, 0, 0.0, 4.0))
    assert RichSolver().solve(replace(_flat(4), groups=groups, rows=empty)).spend.sum() == pytest.approx(4.0, rel=1e-4)
    starved = RichSolver().solve(replace(_flat(4), rows=Rows.of((RowKind.CPC, 0, 0.5, 0.0))))
    assert starved.status is Status.STARVED
    assert starved.spend.sum() == 0.0


def test_rows_that_are_tight_at_every_point_are_solved_though_nothing_can_be_tightened() -> None:
    rows = Rows.of((RowKind.CPC, 0, 1.0, 0.0), (RowKind.BUDGET, 0, 0.0, 4.0), (RowKind.ROI, 0, 2.0, 0.0))
    s = RichSolver().solve(replace(_flat(5), rows=rows))
    assert s.value.sum() == pytest.approx(8.0, rel=1e-4)
    assert s.certificate.violation <= 1e-9


@pytest.mark.parametrize("varying", [False, True])
def test_magnitudes_from_a_billionth_to_a_trillion_live_beside_a_cpc_row(varying: bool) -> None:
    rng = np.random.default_rng(9)
    size = 10.0 ** rng.uniform(-9, 12, 200)[:, None]
    clicks = np.cumsum(np.sort(rng.random((200, 6)), axis=1)[:, ::-1], axis=1) / (size if not varying else 1.0)
    spend = np.cumsum(np.sort(rng.random((200, 6)), axis=1), axis=1) * size
    shape = np.cumsum(rng.uniform(0.5, 1.5, (200, 6)), axis=1) if varying else clicks * size
    gmv = shape * size * 10.0 ** rng.uniform(-1, 2, (200, 1))
    rows = Rows.of((RowKind.BUDGET, 0, 0.0, 1e12), (RowKind.ROI, 0, 2.0, 0.0), (RowKind.CPC, 0, 1e9, 0.0))
    s = RichSolver().solve(Problem(clicks, clicks, spend, gmv, Groups.single(200), rows))
    assert s.row_binds.any()
    assert s.certificate.gap <= 1e-4
    assert s.certificate.violation <= 1e-9


@pytest.mark.parametrize(
    ("table", "entry", "told"),
    [
        ("spend", float("nan"), "not finite"),
        ("gmv", float("inf"), "not finite"),
        ("clicks", -1.0, "negative"),
        ("spend", 0.5, "falling"),
        ("bids", 0.5, "falling"),
    ],
)
def test_tables_that_make_no_sense_are_refused_with_the_unit_named(table: str, entry: float, told: str) -> None:
    p = _flat(5)
    bad = np.array(getattr(p, table))
    bad[3, 1] = entry
    with pytest.raises(InvalidPlan, match=rf"{table} of unit 3 is {told}"):
        AutoSolver().solve(replace(p, **{table: bad}))


def test_a_bid_floor_above_the_cap_is_refused() -> None:
    with pytest.raises(InvalidPlan, match="floor above their cap"):
        LaminarSolver().solve(
            replace(_flat(3), first=np.array([0, 3, 0], np.int16), last=np.array([2, 1, 2], np.int16))
        )


def test_targets_and_groups_that_make_no_sense_are_refused_with_rows_and_units_named() -> None:
    for target in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidPlan, match=r"rows \[1\]: a ratio target must be positive"):
            Rows.of((RowKind.BUDGET, 0, 0.0, 4.0), (RowKind.ROI, 0, target, 0.0))
    with pytest.raises(InvalidPlan, match=r"rows \[0\]: the right side is not finite"):
        Rows.of((RowKind.BUDGET, 0, 0.0, float("nan")))
    with pytest.raises(InvalidPlan, match="a row names a group that does not exist"):
        replace(_flat(3), rows=Rows.of((RowKind.BUDGET, 7, 0.0, 4.0)))
    with pytest.raises(InvalidPlan, match="a unit points to a group that does not exist"):
        Groups(("account",), np.array([-1], np.int32), np.array([0, 5], np.int32))
    with pytest.raises(InvalidPlan, match="groups know 4 units, the tables 3"):
        replace(_flat(3), groups=Groups.single(4))
    with pytest.raises(InvalidPlan, match="orders of unit 1 is negative"):
        AutoSolver().solve(replace(_flat(3), orders=np.array([[1.0] * 3, [-1.0] * 3, [1.0] * 3])))
    with pytest.raises(InvalidPlan, match="value of unit 2 is not finite"):
        AutoSolver().solve(replace(_flat(3), value=np.array([[1.0] * 3, [1.0] * 3, [np.nan] * 3])))
