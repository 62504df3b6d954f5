"""From prices of money to bids: closed forms, limits, bands, and baselines that see reports only."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import nbinom

from bidding import (
    Guardrails,
    HoldPolicy,
    LaminarSolver,
    ManualPolicy,
    PidPolicy,
    StaticPolicy,
    ThetaPolicy,
    explain,
)
from bidding.policies import MpcReferencePolicy
from bidding.policies.steadiness import Steadiness
from bidding.policies.table import count_band
from bidding.policies.theta import wanted_bids
from domain.groups import Groups
from domain.limits import BidLimits
from domain.outlook import Auction
from domain.plans import Action, RowReport
from domain.problem import Problem, RowKind, Rows
from domain.tables import PERFORMANCE

START = datetime(2026, 11, 9, tzinfo=UTC)
FREE = BidLimits(floor=0.01, cap=1000.0)
BUDGET = RowReport("budget", "account", 6000.0, 1500.0, 9000.0, 4500.0, True, 3.0, "budget binds")
ROI = RowReport("roi", "account", 4.0, 1500.0, 9000.0, 0.0, False, 0.0, "met with room")


def _bids(plan) -> np.ndarray:
    return plan.units["bid_cpc"].fill_null(0.0).to_numpy()


def test_a_second_price_bid_is_click_value_over_the_price_of_money(account_hour) -> None:
    known, outlook, targets = account_hour(np.random.default_rng(0), theta=4.0, offset=0.5, live=np.ones(12))
    plan = ThetaPolicy(Steadiness(share=0.0)).propose(known, outlook, targets, FREE)
    exact = np.minimum((outlook.click_value * 1.1 + 0.5) / 4.0, outlook.bids[:, -1])
    assert np.all(np.abs(_bids(plan) - exact) <= FREE.tick + 0.003 * exact)


def test_bids_of_the_policy_buy_what_the_solver_planned(account_hour) -> None:
    _known, outlook, _ = account_hour(np.random.default_rng(1), n=60, live=np.ones(60))
    table = outlook.at(0)
    problem = Problem(
        table.bids, table.clicks, table.spend, table.gmv, Groups.single(60),
        Rows.of((RowKind.BUDGET, 0, 0.0, 0.2 * float(table.spend[:, -1].sum()))),
    )  # fmt: skip
    solved = LaminarSolver().solve(problem)
    bids = wanted_bids(outlook, table, solved.theta, solved.offset)
    bought = table.expected(bids)
    # Twenty levels, so single units may differ by a level; the account's totals agree closely.
    assert bought["spend"].sum() == pytest.approx(solved.spend.sum(), rel=0.1)
    assert bought["gmv"].sum() == pytest.approx(solved.gmv.sum(), rel=0.05)


def test_first_price_bids_are_shaded_to_the_best_bid_of_a_fine_grid(account_hour) -> None:
    _known, outlook, targets = account_hour(np.random.default_rng(2), n=40, theta=2.0, auction=Auction.FIRST_PRICE)
    table = outlook.at(0)
    bids = wanted_bids(outlook, table, targets.theta, targets.offset)
    grid = np.exp(np.linspace(np.log(table.bids[:, 0]), np.log(table.bids[:, -1]), 2000))
    clicks = np.array([np.interp(np.log(grid[:, i]), np.log(table.bids[i]), table.clicks[i]) for i in range(40)]).T
    payoff = clicks * (outlook.click_value * 1.1 - 2.0 * grid)
    best = payoff.max(axis=0)
    mine = np.array(
        [np.interp(np.log(b), np.log(table.bids[i]), table.clicks[i]) for i, b in enumerate(np.maximum(bids, 1e-9))]
    )
    mine = mine * (outlook.click_value * 1.1 - 2.0 * bids) * (bids > 0)
    assert np.all(bids < outlook.click_value * 1.1 / 2.0)
    assert mine.sum() >= 0.98 * best.sum()


def test_every_bid_lies_within_its_limits_on_a_tick_and_a_step_from_the_live_one(account_hour) -> None:
    limits = BidLimits(floor=0.10, cap=5.0, tick=0.05, max_step=0.3)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        live = np.round(np.exp(rng.normal(0, 1, 30)) / 0.05) * 0.05 + 0.10
        live = np.minimum(live, 5.0)
        known, outlook, targets = account_hour(rng, n=30, theta=float(rng.uniform(1, 20)), live=live)
        plan = ThetaPolicy().propose(known, outlook, targets, limits)
        sent = plan.units["action"].cast(pl.String).is_in(["set", "keep"]).to_numpy()
        bid = _bids(plan)[sent]
        assert np.all((bid >= 0.10 - 1e-9) & (bid <= 5.0 + 1e-9))
        assert np.all(np.abs(bid / 0.05 - np.rint(bid / 0.05)) < 1e-6)
        assert np.all(bid <= live[sent] * 1.3 + 1e-9)
        assert np.all(bid >= np.minimum(live[sent] * 0.7, 5.0) - 1e-9)
        assert Guardrails(limits).review(plan, known) is plan


def test_no_money_means_a_pause_and_no_pausing_means_the_floor(account_hour) -> None:
    known, outlook, targets = account_hour(np.random.default_rng(3), theta=np.inf, live=np.ones(12))
    plan = ThetaPolicy().propose(known, outlook, targets, FREE)
    assert set(plan.units["action"].cast(pl.String)) == {"pause"}
    assert plan.units["spend"].sum() == 0.0
    stuck = ThetaPolicy().propose(known, outlook, targets, BidLimits(floor=0.2, may_pause=False))
    assert set(stuck.units["bid_cpc"]) == {0.2}


def test_where_nothing_prices_money_bids_stand_at_the_end_of_their_tables(account_hour) -> None:
    known, outlook, targets = account_hour(np.random.default_rng(4), theta=0.0, live=np.ones(12))
    plan = ThetaPolicy().propose(known, outlook, targets, FREE)
    assert np.all(np.abs(_bids(plan) - outlook.bids[:, -1]) <= FREE.tick + 1e-9)


def test_where_the_reference_has_more_money_than_bids_can_spend_the_cap_decides(account_hour) -> None:
    rows = (replace(BUDGET, target=1e9),)
    known, outlook, targets = account_hour(np.random.default_rng(12), live=np.ones(12), rows=rows)
    priors = replace(known.priors, clicks_per_hour=np.full(12, 5.0), price_median=np.full(12, 0.8))
    seventh = pl.int_range(pl.len()) == 7
    units = known.units.with_columns(
        pl.when(seventh).then(0.0).otherwise(pl.col(name)).alias(name) for name in ("price", "prior_order_value")
    )
    plan = MpcReferencePolicy().propose(replace(known, priors=priors, units=units), outlook, targets, FREE)
    wanted = np.where(np.arange(12) == 7, 0.0, FREE.cap)  # a click of no worth is not wanted for any money
    assert np.array_equal(_bids(plan), wanted)
    assert plan.targets is not None
    assert np.isfinite(plan.targets.amount).all()


def test_an_unknown_live_bid_gets_advice_and_an_unknown_value_a_hold(account_hour) -> None:
    known, outlook, targets = account_hour(
        np.random.default_rng(5), live=np.full(12, 0.7), known_bids=np.arange(12) > 3
    )
    outlook.click_value[7] = np.nan
    plan = ThetaPolicy().propose(known, outlook, targets, FREE)
    action = plan.units["action"].cast(pl.String).to_list()
    assert action[:4] == ["bid_unknown"] * 4
    assert plan.units["bid_cpc"].head(4).is_not_null().all()
    assert action[7] == "hold"
    assert plan.units["limit"][7] == "no_estimate"
    assert plan.units["bid_cpc"][7] == 0.7


def test_a_bid_that_is_right_already_is_kept(account_hour) -> None:
    known, outlook, targets = account_hour(np.random.default_rng(6), live=np.ones(12))
    bids = _bids(ThetaPolicy().propose(known, outlook, targets, FREE))
    known, outlook, targets = account_hour(np.random.default_rng(6), live=bids)
    plan = ThetaPolicy().propose(known, outlook, targets, FREE)
    assert set(plan.units["action"].cast(pl.String)) == {"keep"}


def test_no_edits_left_today_holds_the_live_bid(account_hour) -> None:
    known, outlook, targets = account_hour(np.random.default_rng(7), live=np.ones(12), edits=4)
    plan = ThetaPolicy().propose(known, outlook, targets, BidLimits(edits_per_day=4))
    assert set(plan.units["action"].cast(pl.String)) <= {"hold", "keep"}
    assert set(plan.units["bid_cpc"]) == {1.0}


def test_bands_of_counts_hold_four_of_five_draws() -> None:
    for mean in (0.3, 1.0, 3.0, 12.0, 80.0):
        for cv in (0.05, 0.3, 0.8):
            size = 1.0 / cv**2
            law = nbinom(size, size / (size + mean))
            low, high = (float(x[0]) for x in count_band(np.array([mean]), np.array([cv**2])))
            held = law.cdf(np.floor(high)) - law.cdf(np.ceil(low) - 1)
            # Whole counts make a band of small means hold more.
            assert 0.74 <= held <= (0.90 if mean > 10 else 1.0), (mean, cv, low, high)


def test_expected_figures_are_those_of_the_outlook_at_the_bid_and_lie_in_their_bands(account_hour) -> None:
    known, outlook, targets = account_hour(np.random.default_rng(8), live=np.ones(12))
    units = ThetaPolicy().propose(known, outlook, targets, FREE).units
    expected = outlook.at(0).expected(units["bid_cpc"].fill_null(0.0).to_numpy())
    for name in ("spend", "clicks", "orders", "gmv"):
        np.testing.assert_allclose(units[name], expected[name])
        assert (units[f"{name}_low"] <= units[name] + 1e-12).all()
        assert (units[name] <= units[f"{name}_high"] + 1e-12).all()


def test_every_unit_has_a_reason_with_its_numbers(account_hour) -> None:
    known, outlook, targets = account_hour(
        np.random.default_rng(9), live=np.full(12, 0.7), known_bids=np.arange(12) > 3, rows=(BUDGET, ROI)
    )
    plan = ThetaPolicy().propose(known, outlook, targets, BidLimits(max_step=0.2))
    words = explain(plan, "INR")
    assert words.len() == 12
    assert words.null_count() == 0
    assert words.str.contains("a click is worth").all()
    assert words.str.contains("set by the budget of 6000 on account").all()
    assert words.str.contains("live bid unknown").sum() == 4
    assert words.str.contains("largest step").any()


# -- guardrails -----------------------------------------------------------------------------------------------------


def _rogue(account_hour, bids: list[float | None], limits: BidLimits, edits: int = 0):
    n = len(bids)
    known, outlook, targets = account_hour(np.random.default_rng(10), n=n, live=np.ones(n), edits=edits)
    plan = ThetaPolicy().propose(known, outlook, targets, FREE)
    units = plan.units.with_columns(
        pl.Series("bid_cpc", bids, dtype=pl.Float64), pl.lit("set").cast(plan.units.schema["action"]).alias("action")
    )
    return Guardrails(limits).review(replace(plan, units=units), known)


def test_guardrails_hold_a_rogue_plan_to_the_limits_and_write_down_each_change(account_hour) -> None:
    limits = BidLimits(floor=0.5, cap=1.4, tick=0.1, max_step=0.5)
    plan = _rogue(account_hour, [0.01, 900.0, 1.23, None, 1.2, 0.0], limits)
    assert plan.units["bid_cpc"].to_list() == pytest.approx([0.5, 1.4, 1.2, 1.0, 1.2, 1.0])
    assert plan.units["action"].cast(pl.String).to_list() == ["set", "set", "set", "hold", "set", "hold"]
    noted = dict(plan.interventions.select("unit_id", "rule").iter_rows())
    assert set(noted) == {"U0", "U1", "U2", "U3", "U5"}
    assert noted["U3"] == "not a bid"
    assert noted["U2"] == "tick"


def test_guardrails_stop_edits_when_the_day_has_none_left(account_hour) -> None:
    plan = _rogue(account_hour, [0.8, 1.2], BidLimits(edits_per_day=3), edits=3)
    assert plan.units["action"].cast(pl.String).to_list() == ["hold", "hold"]
    assert plan.units["bid_cpc"].to_list() == [1.0, 1.0]


# -- baselines ------------------------------------------------------------------------------------------------------


def _history(n: int, hours: int, spend: float, roi: np.ndarray) -> pl.DataFrame:
    """Hourly reports of n units with equal spend; roi is (n,)."""
    unit = np.tile(np.arange(n), hours)
    at = [START + timedelta(hours=int(h)) for h in np.repeat(np.arange(hours), n)]
    return pl.DataFrame(
        {
            "unit": unit,
            "start_utc": at,
            "grain": ["hour"] * unit.size,
            "hours": np.ones(unit.size),
            "impressions": np.full(unit.size, 100.0),
            "clicks": np.full(unit.size, 10.0),
            "spend": np.full(unit.size, spend),
            "orders": np.ones(unit.size),
            "gmv": spend * roi[unit],
            "bid_cpc": np.ones(unit.size),
            "learned_at": [t + timedelta(hours=1) for t in at],
        },
        schema_overrides=dict(PERFORMANCE),
    )


BASELINES = [HoldPolicy(), StaticPolicy(), ManualPolicy(), PidPolicy()]


@pytest.mark.parametrize("policy", BASELINES, ids=lambda p: type(p).__name__)
def test_a_baseline_is_a_pure_function_that_gives_every_unit_a_bid(account_hour, policy) -> None:
    known, outlook, targets = account_hour(
        np.random.default_rng(11), live=np.ones(12), reported=_history(12, 20, 5.0, np.full(12, 4.0)),
        rows=(BUDGET, ROI),
    )  # fmt: skip
    a, b = (policy.propose(known, outlook, targets, FREE) for _ in range(2))
    assert a.units.equals(b.units)
    assert a.units.height == 12
    assert explain(a, "INR").null_count() == 0


def test_static_bids_are_set_once(account_hour) -> None:
    known, outlook, targets = account_hour(np.random.default_rng(12), theta=5.0, live=np.ones(12))
    first = StaticPolicy().propose(known, outlook, targets, FREE)
    value = known.units["prior_cvr"].to_numpy() * known.units["prior_order_value"].to_numpy()
    assert np.all(np.abs(_bids(first) - value / 5.0) <= FREE.tick + 1e-9)


def test_the_manual_trader_raises_what_returns_well_and_lowers_what_does_not(account_hour) -> None:
    roi = np.where(np.arange(12) % 2 == 0, 8.0, 2.0)
    known, outlook, targets = account_hour(
        np.random.default_rng(13), live=np.ones(12), reported=_history(12, 27, 5.0, roi), rows=(ROI,), hour=27
    )
    looking = tuple(range(24))
    plan = ManualPolicy(looks=looking).propose(known, outlook, targets, FREE)
    assert np.all(_bids(plan)[::2] == pytest.approx(1.1))
    assert np.all(_bids(plan)[1::2] == pytest.approx(0.9))
    asleep = ManualPolicy(looks=()).propose(known, outlook, targets, FREE)
    assert set(asleep.units["action"].cast(pl.String)) == {Action.KEEP.value}


@pytest.mark.parametrize(("hourly", "direction"), [(20.0, -1), (0.5, 1)])
def test_pid_lowers_bids_when_spend_runs_ahead_of_plan_and_raises_them_behind(
    account_hour, hourly: float, direction: int
) -> None:
    rng = np.random.default_rng(14)
    known, outlook, targets = account_hour(rng, reported=_history(12, 27, hourly, np.full(12, 4.0)), hour=27)
    value = known.units["prior_cvr"].to_numpy() * known.units["prior_order_value"].to_numpy()
    known, outlook, targets = account_hour(
        np.random.default_rng(14), live=value / 5, reported=known.performance, rows=(BUDGET,), hour=27
    )
    plan = PidPolicy().propose(known, outlook, targets, BidLimits(tick=0.0001, floor=0.0001))
    moved = _bids(plan) / (value / 5) - 1
    assert np.all(moved * direction > 0.02)
    assert np.ptp(moved) < 0.01
