"""One decision per hour, stored before it is sent, and read back as it was."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data import MemoryJournal, SqlJournal, Workspace
from domain.errors import ConfigError
from domain.plans import BidPlan, Decision, DecisionState, Receipts
from domain.protocols import Journal
from domain.tables import PLANNED, Known
from domain.time import FixedClock, Hour

HOUR = Hour(datetime(2026, 11, 11, 12, 30, tzinfo=UTC))
LATER = datetime(2026, 11, 11, 12, 35, tzinfo=UTC)

Plan = Callable[..., BidPlan]
Knowing = Callable[..., Known]


@pytest.fixture(params=["sql", "memory"])
def journal(request: pytest.FixtureRequest, workspace: Workspace) -> Journal:
    clock = FixedClock(LATER)
    return workspace.journal("shop", clock) if request.param == "sql" else MemoryJournal(clock)


@pytest.fixture
def sql(workspace: Workspace) -> SqlJournal:
    return workspace.journal("shop")


def assert_equal(one: Any, two: Any) -> None:
    """Equality all the way down: dataclasses, arrays, tables."""
    assert type(one) is type(two)
    if isinstance(one, pl.DataFrame):
        assert_frame_equal(one, two)
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, two)
        assert one.dtype == two.dtype
    elif hasattr(one, "__dataclass_fields__"):
        for field in fields(one):
            assert_equal(getattr(one, field.name), getattr(two, field.name))
    elif isinstance(one, tuple):
        assert len(one) == len(two)
        for a, b in zip(one, two, strict=True):
            assert_equal(a, b)
    else:
        assert one == two


def test_a_decision_is_read_back_as_it_was_stored(
    journal: Journal, plan: Plan, known: Knowing, receipts: Receipts
) -> None:
    opened = journal.open(plan(HOUR), known(HOUR))
    assert opened.state is DecisionState.OPEN
    assert opened.decided_at == LATER
    found = journal.find(HOUR)
    assert found is not None
    assert_equal(found, opened)
    assert_equal(found.plan, plan(HOUR))
    closed = journal.close(found, receipts)
    assert closed.state is DecisionState.PUBLISHED
    assert closed.receipts is not None
    assert_frame_equal(closed.receipts.rows, receipts.rows)
    assert_equal(journal.find(HOUR), closed)
    assert closed.known == known(HOUR).totals()


def test_a_plan_without_targets_and_interventions_is_read_back_too(
    journal: Journal, plan: Plan, known: Knowing
) -> None:
    from dataclasses import replace

    bare = plan(HOUR)
    bare = replace(bare, targets=None, interventions=bare.interventions.clear(), notes=(), attempts=())
    journal.open(bare, known(HOUR))
    found = journal.find(HOUR)
    assert found is not None
    assert_equal(found.plan, bare)
    assert journal.planned(HOUR.plus(1), 5).height == 0


def test_an_hour_is_decided_once(journal: Journal, plan: Plan, known: Knowing, receipts: Receipts) -> None:
    first = journal.open(plan(HOUR, reason="first"), known(HOUR))
    second = journal.open(plan(HOUR, reason="second"), known(HOUR))
    assert (first.plan.reason, second.plan.reason) == ("first", "first")
    assert second.state is DecisionState.OPEN
    journal.close(first, receipts)
    assert journal.open(plan(HOUR, reason="third"), known(HOUR)).state is DecisionState.PUBLISHED
    assert journal.find(HOUR.plus(1)) is None


def test_a_closed_decision_stays_as_it_is(journal: Journal, plan: Plan, known: Knowing, receipts: Receipts) -> None:
    opened = journal.open(plan(HOUR), known(HOUR))
    shadow = journal.close(opened, None)
    assert shadow.state is DecisionState.SHADOW
    assert_equal(journal.close(opened, receipts), shadow)


def test_a_decision_that_was_not_opened_cannot_be_closed(journal: Journal, plan: Plan) -> None:
    with pytest.raises(ConfigError, match="no decision"):
        journal.close(Decision("shop", HOUR, DecisionState.OPEN, plan(HOUR), None), None)


def test_what_was_planned_is_remembered_hour_by_hour(journal: Journal, plan: Plan, known: Knowing) -> None:
    for back in (3, 1, 2, 0):
        journal.open(plan(HOUR.plus(-back)), known(HOUR.plus(-back)))
    told = journal.planned(HOUR, 2)
    assert told.schema == pl.Schema(PLANNED)
    assert told["start_utc"].unique(maintain_order=True).to_list() == [HOUR.plus(-2).start, HOUR.plus(-1).start]
    expected = plan(HOUR.plus(-2)).targets
    assert expected is not None
    assert_frame_equal(told.head(2), expected.planned())


def test_a_plan_of_another_account_is_refused(sql: SqlJournal, plan: Plan, known: Knowing) -> None:
    with pytest.raises(ConfigError, match="other"):
        sql.open(plan(HOUR, account="other"), known(HOUR, "other"))


# -- approval ----------------------------------------------------------------------------------------------------------


def awaiting(sql: SqlJournal, plan: Plan, known: Knowing) -> Decision:
    sql.open(plan(HOUR), known(HOUR))
    return sql.await_approval(HOUR, HOUR.end)


def test_an_approved_decision_is_published_once(
    sql: SqlJournal, workspace: Workspace, plan: Plan, known: Knowing, receipts: Receipts
) -> None:
    assert awaiting(sql, plan, known).state is DecisionState.AWAITING
    assert sql.approval(HOUR) is None
    workspace.approve("shop", HOUR, "Asha", LATER)
    workspace.approve("shop", HOUR, "Ben", LATER)
    yes = sql.approval(HOUR)
    assert yes is not None
    assert (yes.who, yes.at) == ("Asha", LATER)
    waiting = sql.find(HOUR)
    assert waiting is not None
    assert sql.close(waiting, receipts).state is DecisionState.PUBLISHED


def test_nobody_approves_too_late(sql: SqlJournal, workspace: Workspace, plan: Plan, known: Knowing) -> None:
    awaiting(sql, plan, known)
    with pytest.raises(ConfigError, match="expired"):
        workspace.approve("shop", HOUR, "Asha", HOUR.end)
    found = sql.find(HOUR)
    assert found is not None
    assert found.state is DecisionState.EXPIRED


def test_an_approved_decision_does_not_expire(sql: SqlJournal, plan: Plan, known: Knowing) -> None:
    awaiting(sql, plan, known)
    sql.approve(HOUR, "Asha", LATER)
    assert sql.expire(HOUR.end) == 0


@pytest.mark.parametrize("who", ["", "  "])
def test_an_approval_needs_a_name(sql: SqlJournal, plan: Plan, known: Knowing, who: str) -> None:
    awaiting(sql, plan, known)
    with pytest.raises(ConfigError, match="name"):
        sql.approve(HOUR, who, LATER)


def test_a_shadow_decision_cannot_be_approved(sql: SqlJournal, plan: Plan, known: Knowing) -> None:
    sql.close(sql.open(plan(HOUR), known(HOUR)), None)
    with pytest.raises(ConfigError, match="shadow"):
        sql.approve(HOUR, "Asha", LATER)


def test_closing_without_receipts_a_decision_that_waits_sets_its_end(
    sql: SqlJournal, plan: Plan, known: Knowing
) -> None:
    from dataclasses import replace

    opened = sql.open(plan(HOUR), known(HOUR))
    assert sql.close(replace(opened, state=DecisionState.AWAITING), None).state is DecisionState.AWAITING
    assert sql.expire(HOUR.end - timedelta(seconds=1)) == 0
    assert sql.expire(HOUR.end) == 1


def test_the_right_to_publish_is_held_by_one_until_its_lease_ends(sql: SqlJournal, plan: Plan, known: Knowing) -> None:
    sql.open(plan(HOUR), known(HOUR))
    assert sql.claim(HOUR, "run 1", LATER)
    assert sql.claim(HOUR, "run 1", LATER)
    assert not sql.claim(HOUR, "run 2", LATER)
    assert sql.claim(HOUR, "run 2", LATER + timedelta(minutes=5))


def test_receipts_that_come_later_replace_the_first(
    sql: SqlJournal, plan: Plan, known: Knowing, receipts: Receipts
) -> None:
    first = sql.open(plan(HOUR), known(HOUR))
    with pytest.raises(ConfigError, match="not published"):
        sql.answer(HOUR, receipts)
    sql.close(first, Receipts(receipts.rows.head(1)))
    assert_equal(sql.answer(HOUR, receipts).receipts, receipts)


# -- many processes ----------------------------------------------------------------------------------------------------

RACER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import polars as pl
from data import Workspace
from domain.account import Account
from domain.plans import ACTION, INTERVENTIONS, PLAN, BidPlan
from domain.problem import Status
from domain.tables import ARRIVALS, BIDS, PERFORMANCE, UNITS, BidTable, Known, empty
from domain.time import Hour

home, who = sys.argv[1:]
journal = Workspace.open(Path(home)).journal("shop")
start = Hour(datetime(2026, 11, 11, tzinfo=UTC))
print("ready", flush=True)
sys.stdin.readline()
for n in range(6):
    hour = start.plus(n)
    plan = BidPlan("shop", hour, empty(PLAN), None, empty(INTERVENTIONS), Status.SLACK, f"{who} {n}")
    known = Known(Account("shop", "INR"), hour, empty(UNITS), empty(PERFORMANCE), empty(ARRIVALS), BidTable(empty(BIDS)))
    print(journal.open(plan, known).plan.reason, flush=True)
"""


def test_of_processes_that_race_for_an_hour_one_decides_and_all_get_its_plan(workspace: Workspace) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(workspace.home), f"run{k}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for k in range(3)
    ]  # fmt: skip
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    told = []
    for racer in racers:
        out, err = racer.communicate(timeout=60)
        assert racer.returncode == 0, err
        told.append(out.split("\n")[:6])
    assert told[0] == told[1] == told[2]
    assert [line.split()[1] for line in told[0]] == [str(n) for n in range(6)]
    decided = [workspace.journal("shop").find(Hour(datetime(2026, 11, 11, n, tzinfo=UTC))) for n in range(6)]
    assert [d.plan.reason for d in decided if d is not None] == told[0]
