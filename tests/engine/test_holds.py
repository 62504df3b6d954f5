"""What a person holds stays as it is, from the next moment on, and the plan says who holds it."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

import polars as pl
import pytest

from bidding import explain
from data import Workspace
from domain.account import Mode
from domain.errors import ConfigError
from domain.plans import Action, BidPlan, Decision, DecisionState
from domain.time import FixedClock, Hour
from engine.accounts import preview
from engine.holds import without_held
from engine.hourly import HourOutcome, approve, run_hour

NOON = Hour(datetime(2026, 11, 11, 12, tzinfo=UTC))
HELD = ("unit 3", "unit 5")


class Platform(Protocol):
    sent: list[BidPlan]
    bids: dict[str, float]
    while_reading: object


class Shop(Protocol):
    workspace: Workspace
    platform: Platform
    clock: FixedClock

    def mode(self, mode: Mode) -> None: ...


def run(shop: Shop, hour: Hour = NOON) -> HourOutcome:
    return run_hour(shop.workspace, "north", hour, clock=shop.clock, platform=shop.platform)


def hold(shop: Shop, *units: str, hour: Hour | None = None) -> None:
    shop.workspace.hold_units("north", units, by="Ada", reason="test", now=shop.clock.now(), hour=hour)


def release(shop: Shop, *units: str) -> None:
    shop.workspace.release_units("north", units, by="Ben", reason="test", now=shop.clock.now())


def changed(plan: BidPlan) -> set[str]:
    return set(plan.units.filter(pl.col("action").cast(pl.String).is_in(["set", "pause"]))["unit_id"])


def decided(outcome: HourOutcome) -> Decision:
    assert outcome.decision is not None
    return outcome.decision


def test_a_held_unit_keeps_its_bid_and_the_plan_says_who_holds_it(shop: Shop) -> None:
    shop.mode(Mode.LIVE)
    hold(shop, *HELD)
    plan = decided(run(shop)).plan
    rows = plan.units.filter(pl.col("unit_id").is_in(HELD))
    assert rows["action"].cast(pl.String).to_list() == ["hold"] * 2
    assert rows["bid_cpc"].to_list() == rows["live_bid_cpc"].to_list() == [0.5, 0.5]
    assert rows["limit"].to_list() == ["held by Ada"] * 2
    reasons = dict(zip(plan.units["unit_id"], explain(plan, "EUR"), strict=True))
    assert reasons["unit 3"] == "hold 0.50 EUR: held by Ada"
    assert plan.interventions.filter(pl.col("rule") == "held by Ada")["after"].to_list() == [0.5, 0.5]
    left = plan.units.filter(pl.col("action") == Action.KEEP.value)  # right already
    assert left["bid_cpc"].to_list() == left["live_bid_cpc"].to_list()
    kept = set(left["unit_id"])
    assert changed(shop.platform.sent[0]) == {f"unit {k}" for k in range(12)} - set(HELD) - kept
    assert changed(shop.platform.sent[0])
    assert [shop.platform.bids[u] for u in HELD] == [0.5, 0.5]


def test_a_hold_changes_its_unit_alone_and_the_spend_expected_of_it_is_that_of_the_live_bid(shop: Shop) -> None:
    run(shop)
    free = preview(shop.workspace, "north", NOON).plan.units
    hold(shop, "unit 3")
    seen = preview(shop.workspace, "north", NOON).plan.units
    others = pl.col("unit_id") != "unit 3"
    assert seen.filter(others).equals(free.filter(others))
    (before,), (after,) = (f.filter(~others).to_dicts() for f in (free, seen))
    assert before["bid_cpc"] != after["bid_cpc"] == 0.5
    assert after["spend"] == pytest.approx(before["spend"] * 0.5 / before["bid_cpc"], rel=1e-6)


def test_a_hold_said_after_the_plan_was_made_is_kept_when_it_is_sent(shop: Shop) -> None:
    shop.mode(Mode.APPROVE)
    waiting = decided(run(shop))
    assert set(HELD) <= changed(waiting.plan)
    hold(shop, *HELD)
    sent = decided(approve(shop.workspace, "north", NOON, "Grace", shop.clock, platform=shop.platform))
    assert changed(shop.platform.sent[0]) == changed(waiting.plan) - set(HELD)
    assert sent.receipts is not None
    told = {r["unit_id"]: (r["state"], r["reason"]) for r in sent.receipts.rows.to_dicts()}
    assert {told[u] for u in HELD} == {("not_sent", "held by Ada")}
    assert len(told) == len(changed(waiting.plan))  # one receipt for each
    assert sent.plan.units.equals(waiting.plan.units)  # what was decided stays as it was written down


def test_approving_some_units_sends_theirs_alone_and_only_this_once(shop: Shop) -> None:
    shop.mode(Mode.APPROVE)
    waiting = decided(run(shop))
    yes = set(sorted(changed(waiting.plan))[:2])  # which bids move is the forecast's affair
    approve(shop.workspace, "north", NOON, "Grace", shop.clock, only=yes, platform=shop.platform)
    assert changed(shop.platform.sent[0]) == yes
    assert changed(waiting.plan) > yes
    shop.clock.instant += timedelta(hours=1)
    later = decided(run(shop, NOON.plus(1)))
    assert "held by Grace" not in later.plan.units["limit"].to_list()
    assert shop.workspace.held_units("north").is_empty()


def test_units_without_a_change_cannot_be_approved(shop: Shop) -> None:
    shop.mode(Mode.APPROVE)
    hold(shop, "unit 3")
    run(shop)
    for strange in ("unit 3", "nobody"):
        with pytest.raises(ConfigError, match=strange):
            approve(shop.workspace, "north", NOON, "Grace", shop.clock, only={strange}, platform=shop.platform)
    found = shop.workspace.journal("north").find(NOON)
    assert found is not None
    assert found.state is DecisionState.AWAITING
    assert shop.platform.sent == []


def test_a_released_unit_is_decided_again(shop: Shop) -> None:
    shop.mode(Mode.LIVE)
    hold(shop, *HELD)
    run(shop)
    release(shop, "unit 3")
    shop.clock.instant += timedelta(hours=1)
    later = decided(run(shop, NOON.plus(1))).plan.units
    assert later.filter(pl.col("limit") == "held by Ada")["unit_id"].to_list() == ["unit 5"]
    history = shop.workspace.hold_history("north")
    assert history.select("unit_id", "held", "author").rows() == [
        ("unit 3", True, "Ada"),
        ("unit 5", True, "Ada"),
        ("unit 3", False, "Ben"),
    ]


def test_a_hard_cap_is_stronger_than_a_hold(shop: Shop) -> None:
    plan = decided(run(shop)).plan
    stop = plan.units.with_columns(
        pl.lit(Action.PAUSE.value).cast(plan.units.schema["action"]).alias("action"),
        pl.lit("hard cap: day").alias("limit"),
    )
    capped = BidPlan("north", NOON, stop, None, plan.interventions, plan.status, plan.reason)
    hold(shop, *HELD)
    sent, left_out = without_held(capped, shop.workspace.held_units("north", NOON))
    assert changed(sent) == changed(capped)
    assert left_out.rows.is_empty()


def test_a_crash_while_sending_sends_the_same_units_again(shop: Shop) -> None:
    """Publishing is repeated after a crash: a hold said before it is seen both times."""
    shop.mode(Mode.APPROVE)
    run(shop)
    hold(shop, *HELD)

    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    shop.platform.after_sending = die  # type: ignore[attr-defined]
    with pytest.raises(Killed):
        approve(shop.workspace, "north", NOON, "Grace", shop.clock, platform=shop.platform)
    shop.platform.after_sending = lambda: None  # type: ignore[attr-defined]
    assert decided(run(shop)).state is DecisionState.PUBLISHED
    assert [changed(p) for p in shop.platform.sent] == [changed(shop.platform.sent[0])] * 2
    assert not set(HELD) & changed(shop.platform.sent[0])


def test_holds_are_of_units_that_exist_and_have_an_author(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="no unit 'nobody'"):
        hold(shop, "nobody")
    with pytest.raises(ConfigError, match="name"):
        shop.workspace.hold_units("north", ["unit 1"], by=" ", reason="", now=shop.clock.now())
    with pytest.raises(ConfigError, match="no unit is named"):
        hold(shop)
    assert shop.workspace.held_units("north").is_empty()
