"""The breaker: each rule trips on its own evidence, says why, and leaves a calm plan alone."""

import math
from datetime import timedelta

import polars as pl
import pytest

from domain.errors import ConfigError
from domain.goals import Goals, Target, TargetKind
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.plans import INTERVENTIONS, PLAN, Action, BidPlan
from domain.problem import Status
from domain.tables import PLANNED, BidTable, Known, empty
from domain.time import Window
from pacing import Breaker, HardCaps, TripRules


def _plan(known: Known) -> BidPlan:
    n = known.n_units
    units = empty(PLAN).clear(n).with_columns(
        known.units["unit_id"], known.units["campaign"], pl.lit("set").cast(PLAN["action"]).alias("action"),
        pl.lit(1.5).alias("bid_cpc"), pl.lit(1.0).alias("live_bid_cpc"), pl.lit(3.0).alias("spend"),
    )  # fmt: skip
    return BidPlan("demo", known.hour, units.select(list(PLAN)), None, empty(INTERVENTIONS), Status.SLACK, "calm")


def _planned(known: Known, amount: float = 10.0) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"start_utc": known.hour.plus(-h).start, "group": "account", "amount": amount, "theta": 1.0, "trim": 1.0}
            for h in range(24, 0, -1)
        ],
        schema=dict(PLANNED),
    )


def test_a_calm_hour_passes_unchanged(make_known) -> None:
    known = make_known()
    plan = _plan(known)
    assert Breaker(HardCaps(hour=1e6, day=1e6, total=1e6)).review(plan, known) is plan


@pytest.mark.parametrize(
    ("caps", "rule"),
    [
        (HardCaps(total=288.0), "hard cap: total"),
        (HardCaps(hour=11.9), "hard cap: hour"),
        (HardCaps(phases={"warm": 100.0}), "hard cap: phase warm"),
    ],
)
def test_a_reached_cap_pauses_every_unit_and_says_why(make_known, caps: HardCaps, rule: str) -> None:
    known = make_known()  # 24 h x 12 units x 1.0 spent, the last hour 12.0
    warm = Phase("warm", PhaseKind.WARM_UP, Window(known.hour.plus(-24).start, known.hour.plus(5).start))
    after = Breaker(caps, PromotionCalendar((warm,))).review(_plan(known), known)
    assert set(after.units["action"]) == {Action.PAUSE.value}
    assert set(after.units["bid_cpc"]) == {0.0}
    assert set(after.units["spend"]) == {0.0}
    assert set(after.interventions["rule"]) == {rule}
    assert after.interventions.height == known.n_units
    assert "cap" in after.reason


@pytest.mark.parametrize("caps", [HardCaps(total=288.1), HardCaps(hour=12.0), HardCaps(day=0.01)])
def test_a_cap_that_is_not_reached_does_nothing(make_known, caps: HardCaps) -> None:
    known = make_known()  # a new local day has just started: nothing was spent in it
    plan = _plan(known)
    assert Breaker(caps).review(plan, known) is plan


def test_stale_reports_hold_the_live_bids(make_known) -> None:
    known = make_known()
    late = make_known(planned=_planned(known))
    old = late.performance.filter(pl.col("learned_at") <= late.hour.start - timedelta(hours=7))
    stale = make_known(planned=_planned(known))
    object.__setattr__(stale, "performance", old)
    after = Breaker(stale_after_hours=6).review(_plan(stale), stale)
    assert set(after.units["action"]) == {Action.HOLD.value}
    assert after.units["bid_cpc"].to_list() == after.units["live_bid_cpc"].to_list()
    assert Breaker(stale_after_hours=8).trip(stale) is None


def _without_the_last(known: Known, hours: int, *, restated: bool = True) -> Known:
    """The same, but the last hours are missing; the first hour has just been told anew."""
    rows = known.performance.filter(pl.col("start_utc") < known.hour.plus(-hours).start)
    if restated:
        first = pl.col("start_utc") == rows["start_utc"].min()
        told = pl.when(first).then(pl.lit(known.hour.start)).otherwise("learned_at").alias("learned_at")
        rows = rows.with_columns(told.cast(rows.schema["learned_at"]))
    object.__setattr__(known, "performance", rows)
    return known


@pytest.mark.parametrize(("missing", "held"), [(6, False), (7, True)])
def test_an_old_hour_told_anew_does_not_hide_that_new_hours_are_missing(make_known, missing: int, held: bool) -> None:
    known = _without_the_last(make_known(planned=_planned(make_known())), missing)
    trip = Breaker(stale_after_hours=6).trip(known)
    assert (trip is not None) == held
    if trip is not None:
        assert trip.rule == "stale reports"
        assert "7 hours old" in trip.words


def test_reports_of_days_are_fresh_by_when_they_were_learned(make_known) -> None:
    known = make_known(planned=_planned(make_known()))
    days = known.performance.filter(pl.col("start_utc") == known.performance["start_utc"].min()).with_columns(
        pl.col("start_utc") - timedelta(days=1),
        pl.lit("day").cast(known.performance.schema["grain"]).alias("grain"),
        pl.lit(24.0).alias("hours"),
    )
    for learned_ago, held in ((5, False), (7, True)):
        learned = pl.lit(known.hour.start - timedelta(hours=learned_ago)).cast(days.schema["learned_at"])
        object.__setattr__(known, "performance", days.with_columns(learned.alias("learned_at")))
        assert (Breaker(stale_after_hours=6).trip(known) is not None) == held


def test_an_account_that_bids_nowhere_is_not_stale_for_want_of_new_hours(make_known) -> None:
    known = _without_the_last(make_known(planned=_planned(make_known())), 12)
    asleep = known.live_bids.rows.with_columns(
        pl.lit("paused").cast(known.live_bids.rows.schema["state"]).alias("state")
    )
    assert Breaker(stale_after_hours=6).trip(known) is not None
    object.__setattr__(known, "live_bids", BidTable(asleep))
    assert Breaker(stale_after_hours=6).trip(known) is None


def test_nothing_is_stale_before_the_first_decision(make_known) -> None:
    assert Breaker(stale_after_hours=0.1).trip(make_known(past_hours=0)) is None


@pytest.mark.parametrize(
    "broken",
    [
        pl.lit(-5.0).alias("spend"),
        pl.lit(0.0).alias("clicks"),
        pl.lit(1.0).alias("impressions"),
    ],
)
def test_contradictory_reports_hold_the_live_bids(make_known, broken: pl.Expr) -> None:
    known = make_known()
    object.__setattr__(known, "performance", known.performance.with_columns(broken))
    trip = Breaker().trip(known)
    assert trip is not None
    assert trip.action is Action.HOLD
    assert trip.rule == "contradictory reports"


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan])
def test_a_cap_must_be_a_positive_amount(wrong: float) -> None:
    with pytest.raises(ConfigError, match="positive amount"):
        HardCaps(hour=wrong)


def test_hours_that_no_report_covers_count_at_their_plan(make_known) -> None:
    known = make_known(planned=_planned(make_known()))  # 288 spent in 24 reported hours, 10 planned for each of them
    cut = known.performance.filter(pl.col("start_utc") < known.hour.plus(-3).start)
    object.__setattr__(known, "performance", cut)  # three hours in the dark: 252 told, 30 planned
    assert Breaker(HardCaps(total=282.5)).trip(known) is None
    trip = Breaker(HardCaps(total=281.5)).trip(known)
    assert trip is not None
    assert trip.action is Action.PAUSE
    assert "30.00 of it planned" in trip.words


def test_days_without_decisions_and_reports_are_stale_however_old_the_last_ones_are(make_known) -> None:
    known = make_known()
    old = _planned(known).with_columns(pl.col("start_utc") - timedelta(days=9))
    rows = known.performance.with_columns(
        pl.col("start_utc") - timedelta(days=9), pl.col("learned_at") - timedelta(days=9)
    )
    silent = make_known(planned=old)
    object.__setattr__(silent, "performance", rows)
    trip = Breaker().trip(silent)
    assert trip is not None
    assert trip.rule == "stale reports"
    assert "216 hours old" in trip.words


@pytest.mark.parametrize("amount", [3.9, 4.1])
def test_spend_far_ahead_of_plan_lowers_bids_until_it_is_back(make_known, amount: float) -> None:
    known = make_known(planned=_planned(make_known(), amount))  # 12 an hour spent
    trip = Breaker(HardCaps(day=500.0)).trip(known)
    assert (trip is not None) == (3 * amount < 12)
    if trip is None:
        return
    plan = _plan(known)
    after = Breaker(HardCaps(day=500.0)).review(plan, known)
    assert after.units["bid_cpc"].to_list() == pytest.approx([0.7] * known.n_units)  # 30 % below the live bid of 1.0
    assert after.units["spend"].to_list() == pytest.approx([3.0 * 0.7 / 1.5] * known.n_units)
    assert set(after.interventions["rule"]) == {"spend rate"}
    paused = plan.units.with_columns(pl.lit("pause").cast(PLAN["action"]).alias("action"))
    kept = Breaker(HardCaps(day=500.0)).review(
        BidPlan("demo", known.hour, paused, None, empty(INTERVENTIONS), Status.SLACK, ""), known
    )
    assert set(kept.units["action"]) == {"pause"}


def test_a_small_account_that_leaves_a_small_plan_does_not_trip(make_known) -> None:
    known = make_known(planned=_planned(make_known(), 3.0))
    assert Breaker(HardCaps(day=5000.0)).trip(known) is None  # 18 too much of 5000 is no runaway


@pytest.mark.parametrize(("target", "trips"), [(3.0, False), (40.0, True)])
def test_old_clicks_that_did_not_sell_lower_bids_with_evidence_only(make_known, target: float, trips: bool) -> None:
    # 4.0 of gmv for 1.0 of spend, 1.2 orders an hour: after 24 hours 29 orders
    goals = Goals(targets=(Target(TargetKind.ROI, target),))
    known = make_known()
    rules = TripRules(mature_hours=1)
    trip = Breaker(goals=goals, rules=rules).trip(known)
    assert (trip is not None) == trips
    assert Breaker(goals=goals).trip(known) is None  # no click is three days old yet
    if trip is not None:
        assert trip.rule == "cost over target"
        few = make_known()
        object.__setattr__(few, "performance", few.performance.head(12).with_columns(pl.col("orders") * 0.1))
        assert Breaker(goals=goals, rules=rules).trip(few) is None


def test_a_person_may_release_a_rule_for_a_time(make_known) -> None:
    known = make_known()
    caps = HardCaps(total=288.0)
    until = {"hard cap: total": known.hour.plus(2).start}
    assert Breaker(caps, released=until).trip(known) is None
    over = {"hard cap: total": known.hour.start}
    assert Breaker(caps, released=over).trip(known) is not None


def test_wrong_trip_rules_are_refused() -> None:
    with pytest.raises(ConfigError, match="surge > 1"):
        TripRules(surge=1.0)
