"""Input that should not be: each kind has one stated behaviour (docs/pacing.md), and the loop goes on after it."""

from datetime import timedelta

import polars as pl
import pytest

from domain.errors import ConfigError, PredictionError
from domain.goals import Goals, Target, TargetKind
from domain.plans import Action, BidPlan, Decision
from domain.tables import REPORT, UTC_TIME, Known, ReportBatch, empty
from domain.time import Window
from engine.calendar import calendar_from_toml
from engine.cycle import know, run_cycle
from engine.desk import Desk
from evaluation.desks import desk_for
from market import Scenario, SimPlatform, make_platform, make_world

SEED = 12


class Counting:
    """A platform that counts what is published, and can be made to tell nothing."""

    def __init__(self, inner: SimPlatform) -> None:
        self.inner, self.sent, self.silent = inner, 0, False

    def read_reports(self, window: Window) -> ReportBatch:
        return ReportBatch(empty(REPORT)) if self.silent else self.inner.read_reports(window)

    def live_bids(self):
        return self.inner.live_bids()

    def publish(self, plan: BidPlan):
        self.sent += 1
        return self.inner.publish(plan)


def _start(scenario: Scenario) -> tuple[Desk, SimPlatform, Counting]:
    world = make_world(scenario, SEED)
    platform = make_platform(world)
    face = Counting(platform)
    return desk_for("steadybid", world, face), platform, face


def _play(desk: Desk, platform: SimPlatform, hours: int) -> list[Decision]:
    made: list[Decision] = []
    for _ in range(hours):
        hour = platform.now
        made.append(run_cycle(hour, desk))
        platform.advance(hour)
    return made


def _row_of(platform: SimPlatform) -> pl.DataFrame:
    """Some rows of the newest hour, as the platform tells them."""
    return platform.read_reports(Window(platform.now.plus(-6).start, platform.now.start)).rows.head(5)


def test_a_budget_below_what_is_spent_already_stops_delivery_at_once(short: Scenario) -> None:
    desk, platform, _ = _start(short)
    _play(desk, platform, 12)
    spent = float(platform.ledger.spend.sum())
    desk.goals = Goals(targets=(Target(TargetKind.BUDGET, 0.5 * spent),))
    after = _play(desk, platform, 3)
    assert all(set(d.plan.units["action"].cast(pl.String)) <= {"pause", "keep"} for d in after)
    assert float(platform.ledger.spend.sum()) == spent
    assert after[0].plan.targets is not None
    assert after[0].plan.targets.amount[0] == 0.0


def test_a_phase_that_ends_before_it_starts_is_refused_with_its_name(short: Scenario) -> None:
    desk, _, _ = _start(short)
    wrong = {"phase": [{"name": "burst", "kind": "burst", "start": "2026-11-09T00:00", "end": "2026-11-08T00:00"}]}
    with pytest.raises(ConfigError, match=r"burst.*ends before it starts"):
        calendar_from_toml(wrong, "phases.toml", desk.account.tz)


def test_targets_changed_within_an_hour_count_from_the_next_one(short: Scenario) -> None:
    desk, platform, face = _start(short)
    _play(desk, platform, 6)
    hour = platform.now
    before = run_cycle(hour, desk)
    roi = before.plan.targets.rows[-1].target  # pyright: ignore[reportOptionalMemberAccess]
    desk.goals = Goals(targets=(desk.goals.targets[0], Target(TargetKind.ROI, roi * 1.5)))
    sent = face.sent
    again = run_cycle(hour, desk)
    assert again == before
    assert face.sent == sent
    platform.advance(hour)
    after = run_cycle(platform.now, desk)
    assert after.plan.targets is not None
    assert after.plan.targets.rows[-1].target == roi * 1.5
    assert after.plan.units["theta"].mean() > before.plan.units["theta"].mean()


def test_a_clock_that_goes_back_finds_the_hour_decided_and_sends_nothing(short: Scenario) -> None:
    desk, platform, face = _start(short)
    made = _play(desk, platform, 8)
    sent = face.sent
    for decision in reversed(made):
        assert run_cycle(decision.hour, desk) == decision
    assert face.sent == sent
    assert _play(desk, platform, 1)[0].plan.reason


def test_reports_of_hours_to_come_change_nothing(short: Scenario) -> None:
    plain, platform, _ = _start(short)
    _play(plain, platform, 6)
    hour = platform.now
    wanted = know(hour, plain)
    rows = _row_of(platform)
    future = rows.with_columns(
        (pl.col("start_utc") + timedelta(hours=9)).cast(UTC_TIME),
        pl.lit(1e6).alias("spend"),
        pl.lit(1e6).alias("clicks"),
    )
    plain.reports.append(ReportBatch(future), platform.live_bids(), hour.start)
    found = know(hour, plain)
    assert future.height
    assert found.performance.equals(wanted.performance)
    assert found.performance["start_utc"].max() < hour.start


def test_six_hours_without_a_row_are_bridged_by_the_plan_and_then_held(short: Scenario) -> None:
    desk, platform, face = _start(short)
    _play(desk, platform, 10)
    face.silent = True
    before = float(platform.ledger.spend.sum())
    quiet = _play(desk, platform, 9)
    held = [bool(d.plan.units["action"].eq(Action.HOLD.value).all()) for d in quiet]
    assert not any(held[:6])
    assert all(held[7:])
    planned = sum(float(d.plan.targets.amount[0]) for d in quiet if d.plan.targets is not None)
    spent = float(platform.ledger.spend.sum()) - before
    assert spent == pytest.approx(planned, rel=0.35)
    face.silent = False
    back = _play(desk, platform, 4)
    assert not any(d.plan.units["action"].eq(Action.HOLD.value).all() for d in back)
    told = know(platform.now, desk).performance
    assert float(told["spend"].sum()) == pytest.approx(float(platform.ledger.spend.sum()), rel=0.2)


class Blind:
    """A model that fails."""

    def fit(self, history: Known) -> "Blind":
        return self

    def outlook(self, known: Known, hours: object):
        raise PredictionError("no forecast today")


def test_held_hours_go_on_in_memory_so_that_days_without_a_forecast_end_as_stale_and_not_as_new(
    short: Scenario,
) -> None:
    desk, platform, face = _start(short)
    _play(desk, platform, 4)
    model, desk.model = desk.model, Blind()
    blind = _play(desk, platform, 3)
    assert all("live bids are held" in d.plan.reason for d in blind)
    assert blind[-1].plan.targets is not None
    known = know(platform.now, desk)
    assert known.planned["start_utc"].max() == blind[-1].hour.start
    face.silent, desk.model = True, model
    late = platform.now.plus(60)  # the loop itself was away for more than its memory
    found = know(late, desk)
    assert found.planned.height
    decision = run_cycle(late, desk)
    assert "breaker" in decision.plan.reason
    assert "hours old" in decision.plan.reason
    assert decision.plan.units["action"].eq(Action.HOLD.value).all()


def test_units_that_were_paused_bid_again_when_there_is_money(short: Scenario) -> None:
    desk, platform, _ = _start(short)
    _play(desk, platform, 6)
    goals, desk.goals = desk.goals, Goals(targets=(Target(TargetKind.BUDGET, 1.0),))
    paused = _play(desk, platform, 2)[0]
    assert paused.plan.units["action"].eq(Action.PAUSE.value).all()
    desk.goals = goals
    again = _play(desk, platform, 2)
    assert again[0].plan.units["action"].eq(Action.SET.value).mean() > 0.8
    assert float(platform.ledger.spend[:, platform.clock - 1].sum()) > 0
