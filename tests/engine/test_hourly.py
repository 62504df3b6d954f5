"""One decision per hour, sent once, whatever happens to the runs of it."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from data import Workspace
from data.accounts import stop, stop_file
from domain.account import Account, Mode
from domain.errors import ConfigError, StoreBusy, Unavailable
from domain.plans import BidPlan, DecisionState
from domain.time import FixedClock, Hour
from engine.hourly import HourOutcome, What, approve, run_hour
from engine.turn import turn

NOON = Hour(datetime(2026, 11, 11, 12, tzinfo=UTC))


class Platform(Protocol):
    sent: list[BidPlan]
    bids: dict[str, float]
    while_reading: Callable[[], object]
    while_sending: Callable[[], object]
    after_sending: Callable[[], object]


class Shop(Protocol):
    workspace: Workspace
    platform: Platform
    clock: FixedClock

    def mode(self, mode: Mode) -> None: ...
    def daily_budget(self, amount: float) -> None: ...


class Killed(BaseException):
    """Stands for a process that ends at once: nothing below `BaseException` may catch it."""


def die() -> None:
    raise Killed


def run(shop: Shop, hour: Hour = NOON) -> HourOutcome:
    return run_hour(shop.workspace, "north", hour, clock=shop.clock, platform=shop.platform)


def test_a_new_account_decides_and_stores_but_sends_nothing(shop: Shop) -> None:
    outcome = run(shop)
    assert outcome.what is What.DECIDED
    assert outcome.mode is Mode.SHADOW
    assert outcome.decision is not None
    assert outcome.decision.state is DecisionState.SHADOW
    assert outcome.decision.plan.units.height == 12
    assert outcome.decision.decided_at == shop.clock.now()
    assert shop.platform.sent == []


def test_a_live_account_sends_what_it_stored(shop: Shop) -> None:
    shop.mode(Mode.LIVE)
    outcome = run(shop)
    assert outcome.decision is not None
    assert outcome.decision.state is DecisionState.PUBLISHED
    assert outcome.decision.receipts is not None
    assert len(shop.platform.sent) == 1
    stored = shop.workspace.journal("north").find(NOON)
    assert stored is not None
    assert stored.plan.units.equals(shop.platform.sent[0].units)
    assert stored.receipts is not None
    assert stored.receipts.rows.height == stored.plan.units.filter(stored.plan.units["action"] == "set").height > 0


def test_a_second_run_of_an_hour_changes_and_sends_nothing(shop: Shop) -> None:
    shop.mode(Mode.LIVE)
    first = run(shop)
    again = run(shop)
    assert again.what is What.ALREADY
    assert first.decision is not None
    assert again.decision is not None
    assert again.decision.plan.units.equals(first.decision.plan.units)
    assert len(shop.platform.sent) == 1


def test_runs_at_the_same_time_decide_and_send_once(shop: Shop) -> None:
    shop.mode(Mode.LIVE)
    outcomes: list[HourOutcome] = []
    threads = [threading.Thread(target=lambda: outcomes.append(run(shop))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(o.what.value for o in outcomes) == ["already decided"] * 3 + ["decided"]
    assert len(shop.platform.sent) == 1


def test_a_run_that_waits_too_long_for_another_may_be_tried_again(shop: Shop) -> None:
    with turn(shop.workspace.home, "north"), pytest.raises(StoreBusy) as busy:
        run_hour(shop.workspace, "north", NOON, clock=shop.clock, platform=shop.platform, patience_seconds=0.1)
    assert busy.value.retryable
    assert run(shop).what is What.DECIDED


def test_a_crash_before_the_sending_leaves_a_plan_that_the_next_run_sends(shop: Shop) -> None:
    shop.mode(Mode.LIVE)
    shop.platform.while_sending = die
    with pytest.raises(Killed):
        run(shop)
    left = shop.workspace.journal("north").find(NOON)
    assert left is not None
    assert left.state is DecisionState.OPEN
    shop.platform.while_sending = lambda: None
    shop.daily_budget(1.0)  # would make another plan
    outcome = run(shop)
    assert outcome.what is What.COMPLETED
    assert [p.units.equals(left.plan.units) for p in shop.platform.sent] == [True]


def test_a_platform_that_does_not_answer_leaves_the_plan_open_for_a_retry(shop: Shop) -> None:
    shop.mode(Mode.LIVE)

    def no_answer() -> None:
        raise Unavailable("no answer; try again")

    shop.platform.while_sending = no_answer
    with pytest.raises(Unavailable):
        run(shop)
    shop.platform.while_sending = lambda: None
    assert run(shop).what is What.COMPLETED
    assert len(shop.platform.sent) == 1


def test_a_crash_while_reading_loses_nothing(shop: Shop) -> None:
    shop.platform.while_reading = die
    with pytest.raises(Killed):
        run(shop)
    assert shop.workspace.journal("north").find(NOON) is None
    shop.platform.while_reading = lambda: None
    assert run(shop).what is What.DECIDED


def test_a_plan_that_nobody_began_to_send_is_not_sent_after_its_hour(shop: Shop) -> None:
    shop.mode(Mode.LIVE)
    shop.platform.while_reading = lambda: stop(
        shop.workspace.home, "north", author="Ada", reason="wait", now=shop.clock.now()
    )
    assert run(shop).what is What.PAUSED  # stopped between reading and sending
    shop.platform.while_reading = lambda: None
    shop.mode(Mode.LIVE)
    shop.clock.instant += timedelta(hours=1)
    outcome = run(shop, NOON.plus(1))
    left = shop.workspace.journal("north").find(NOON)
    assert left is not None
    assert left.state is DecisionState.EXPIRED
    assert [p.hour for p in shop.platform.sent] == [NOON.plus(1)]
    assert any("not sent any more" in note for note in outcome.notes)


def test_a_plan_that_died_while_being_sent_is_brought_to_its_end_before_the_next_hour(shop: Shop) -> None:
    shop.mode(Mode.LIVE)
    shop.platform.after_sending = die  # the platform has it, the journal does not know
    with pytest.raises(Killed):
        run(shop)
    shop.platform.after_sending = lambda: None
    shop.clock.instant += timedelta(hours=1)
    run(shop, NOON.plus(1))
    left = shop.workspace.journal("north").find(NOON)
    assert left is not None
    assert left.state is DecisionState.PUBLISHED
    assert [p.hour for p in shop.platform.sent] == [NOON, NOON, NOON.plus(1)]
    assert shop.platform.sent[0].units.equals(shop.platform.sent[1].units)


def test_another_machines_claim_is_respected_until_it_lapses(shop: Shop) -> None:
    shop.mode(Mode.LIVE)
    journal = shop.workspace.journal("north")
    shop.platform.while_reading = lambda: None
    shop.platform.while_sending = die
    with pytest.raises(Killed):
        run(shop)
    shop.platform.while_sending = lambda: None
    shop.clock.instant += timedelta(minutes=6)
    assert journal.claim(NOON, "another machine", shop.clock.now())
    assert run(shop).what is What.BUSY
    assert shop.platform.sent == []
    shop.clock.instant += timedelta(minutes=6)
    assert run(shop).what is What.COMPLETED
    assert len(shop.platform.sent) == 1


def test_late_reports_do_not_change_an_hour_that_is_decided(shop: Shop) -> None:
    first = run(shop)
    shop.platform.bids = dict.fromkeys(shop.platform.bids, 9.0)
    shop.clock.instant += timedelta(minutes=30)
    again = run(shop)
    assert first.decision is not None
    assert again.decision is not None
    assert again.decision.plan.units.equals(first.decision.plan.units)


def test_an_edit_while_the_hour_runs_counts_from_the_next_hour_on(shop: Shop) -> None:
    undisturbed = run(shop)
    shop.clock.instant += timedelta(hours=1)
    shop.platform.while_reading = lambda: shop.daily_budget(12.0)
    disturbed = run(shop, NOON.plus(1))
    shop.platform.while_reading = lambda: None
    shop.clock.instant += timedelta(hours=1)
    later = run(shop, NOON.plus(2))
    budgets = [
        [row.target for row in o.decision.plan.targets.rows if row.kind == "budget"]
        for o in (undisturbed, disturbed, later)
        if o.decision is not None and o.decision.plan.targets is not None
    ]
    assert budgets == [[900.0], [900.0], [12.0]]


def test_an_empty_account_gets_a_decision_that_says_so(shop: Shop) -> None:
    shop.workspace.create_account(Account("empty", "EUR", platform="sim"), shop.clock.now())
    outcome = run_hour(shop.workspace, "empty", NOON, clock=shop.clock)
    assert outcome.decision is not None
    assert outcome.decision.plan.units.height == 0
    assert "no unit is known" in outcome.words


def test_a_paused_account_reads_and_decides_nothing(shop: Shop) -> None:
    shop.mode(Mode.PAUSED)
    shop.platform.while_reading = die
    assert run(shop).what is What.PAUSED
    assert shop.workspace.journal("north").find(NOON) is None


def test_a_stop_file_pauses_with_a_broken_database(shop: Shop) -> None:
    shop.mode(Mode.LIVE)
    shop.workspace.close()
    for path in shop.workspace.home.glob("steadybid.db*"):
        path.write_bytes(b"not a database")
    stop(shop.workspace.home, "north", author="Ada", reason="fire", now=shop.clock.now())
    outcome = run(shop)
    assert outcome.what is What.PAUSED
    assert "paused" in outcome.words
    assert shop.platform.sent == []


def test_a_stop_that_comes_between_deciding_and_sending_holds_the_plan_back(shop: Shop) -> None:
    shop.mode(Mode.LIVE)
    file = stop_file(shop.workspace.home, "north")

    def stop_by_hand() -> None:
        file.parent.mkdir(exist_ok=True)
        file.touch()

    shop.platform.while_reading = stop_by_hand
    held = run(shop)
    assert held.what is What.PAUSED
    assert held.decision is not None
    assert held.decision.state is DecisionState.OPEN
    assert shop.platform.sent == []
    file.unlink()
    assert run(shop).what is What.COMPLETED
    assert len(shop.platform.sent) == 1


def test_approval_sends_the_stored_plan_once(shop: Shop) -> None:
    shop.mode(Mode.APPROVE)
    waiting = run(shop)
    assert waiting.decision is not None
    assert waiting.decision.state is DecisionState.AWAITING
    assert run(shop).what is What.ALREADY
    assert shop.platform.sent == []
    sent = approve(shop.workspace, "north", NOON, "Grace", shop.clock, platform=shop.platform)
    assert sent.decision is not None
    assert sent.decision.state is DecisionState.PUBLISHED
    with pytest.raises(ConfigError, match="published"):
        approve(shop.workspace, "north", NOON, "Grace", shop.clock, platform=shop.platform)
    assert [p.units.equals(waiting.decision.plan.units) for p in shop.platform.sent] == [True]
    approval = shop.workspace.journal("north").approval(NOON)
    assert approval is not None
    assert approval.who == "Grace"


def test_approval_comes_too_late_when_the_hour_is_over(shop: Shop) -> None:
    shop.mode(Mode.APPROVE)
    run(shop)
    shop.clock.instant = NOON.end
    with pytest.raises(ConfigError, match="expired"):
        approve(shop.workspace, "north", NOON, "Grace", shop.clock, platform=shop.platform)
    assert shop.platform.sent == []


def test_an_approved_plan_that_could_not_be_sent_is_sent_by_the_next_run_of_its_hour_only(shop: Shop) -> None:
    shop.mode(Mode.APPROVE)
    for later, state, times in ((20, DecisionState.PUBLISHED, 1), (80, DecisionState.EXPIRED, 1)):
        hour = NOON.plus(later // 60 * 2)
        shop.clock.instant = hour.start + timedelta(minutes=5)
        run(shop, hour)
        shop.platform.while_sending = die
        with pytest.raises(Killed):
            approve(shop.workspace, "north", hour, "Grace", shop.clock, platform=shop.platform)
        shop.platform.while_sending = lambda: None
        shop.clock.instant = hour.start + timedelta(minutes=later)
        run(shop, hour)
        decision = shop.workspace.journal("north").find(hour)
        assert decision is not None
        assert decision.state is state
        assert len(shop.platform.sent) == times


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.PAUSED])
def test_nothing_is_approved_in_a_mode_that_sends_nothing(shop: Shop, mode: Mode) -> None:
    shop.mode(Mode.APPROVE)
    run(shop)
    shop.mode(mode)
    with pytest.raises(ConfigError, match=mode.value):
        approve(shop.workspace, "north", NOON, "Grace", shop.clock, platform=shop.platform)
    assert shop.platform.sent == []


def test_what_waits_for_approval_expires_with_its_hour(shop: Shop) -> None:
    shop.mode(Mode.APPROVE)
    run(shop)
    shop.clock.instant += timedelta(hours=1)
    run(shop, NOON.plus(1))
    old = shop.workspace.journal("north").find(NOON)
    assert old is not None
    assert old.state is DecisionState.EXPIRED


def test_a_clock_that_jumps_back_sends_nothing_twice(shop: Shop) -> None:
    shop.mode(Mode.LIVE)
    run(shop)
    shop.clock.instant += timedelta(hours=1)
    run(shop, NOON.plus(1))
    shop.clock.instant -= timedelta(hours=1)
    assert run(shop, NOON).what is What.ALREADY
    assert [p.hour for p in shop.platform.sent] == [NOON, NOON.plus(1)]


def test_a_clock_that_jumped_ahead_does_not_lock_the_account_when_it_comes_back(shop: Shop) -> None:
    shop.mode(Mode.LIVE)
    ahead = NOON.plus(24)
    shop.clock.instant += timedelta(days=1)
    assert run(shop, ahead).what is What.DECIDED
    shop.clock.instant -= timedelta(days=1)
    assert run(shop, NOON).what is What.DECIDED
    assert run(shop, NOON.plus(1)).what is What.DECIDED
    assert [p.hour for p in shop.platform.sent] == [ahead, NOON, NOON.plus(1)]
    shop.clock.instant += timedelta(days=1)
    assert run(shop, ahead).what is What.ALREADY  # keeps its decision; the hour after it is an ordinary one
    assert run(shop, ahead.plus(1)).what is What.DECIDED


def test_an_hour_before_a_decided_one_is_decided_and_not_sent(shop: Shop) -> None:
    shop.mode(Mode.LIVE)
    run(shop)
    earlier = run(shop, NOON.plus(-5))
    assert earlier.decision is not None
    assert earlier.decision.state is DecisionState.SHADOW
    assert any("is decided already" in note for note in earlier.notes)
    assert [p.hour for p in shop.platform.sent] == [NOON]
