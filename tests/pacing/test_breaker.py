"""The breaker: each rule trips on its own evidence, says why, and leaves a calm plan alone."""

import math
from datetime import timedelta

import polars as pl
import pytest

from domain.errors import ConfigError
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.plans import INTERVENTIONS, PLAN, Action, BidPlan
from domain.problem import Status
from domain.tables import PLANNED, Known, empty
from domain.time import Window
from pacing import Breaker, HardCaps


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
