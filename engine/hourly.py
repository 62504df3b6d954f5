"""The hour of a stored account: what the schedule, the command line and a second look after a crash all do.

    paused ──────────> nothing is read, decided or sent
    decided already ─> nothing; late reports count from the next hour on
    left open ───────> the stored plan is sent, never a new one
    not decided ─────> `run_cycle`, then by mode:  shadow   stored, not sent
                                                   approve  stored, waits for a person until the hour ends
                                                   live     stored, then sent

Any number of runs, late, repeated or at the same time, come to one decision per hour, sent once. What an earlier
hour has left undone is settled first: a plan whose hour is over is not sent any more.
"""

import socket
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

import polars as pl

from data import SqlJournal, Workspace
from data.accounts import stop_file
from domain.account import Mode
from domain.errors import ConfigError, PlatformError, SteadyBidError
from domain.plans import Action, BidPlan, Decision, DecisionState, Receipts, ReceiptState
from domain.protocols import AdPlatform
from domain.tables import BidTable, ReportBatch
from domain.time import Clock, Hour, Window
from engine.accounts import desk_for
from engine.champions import FitBook, fitted
from engine.cycle import run_cycle
from engine.folders import open_folders
from engine.holds import without_held
from engine.memory import keep_freed_memory
from engine.turn import turn


class What(StrEnum):
    """What a run of an hour did."""

    DECIDED = "decided"  #: stored a new plan; the decision's state tells what became of it
    COMPLETED = "completed"  #: brought to its end what an earlier run had stored
    ALREADY = "already decided"  #: nothing
    PAUSED = "paused"  #: nothing, or not the sending
    BUSY = "busy"  #: not the sending: another machine is at it


_BECAME = {
    DecisionState.OPEN: "stored, not sent yet",
    DecisionState.AWAITING: "waits for approval",
    DecisionState.PUBLISHED: "sent",
    DecisionState.SHADOW: "stored, not sent",
    DecisionState.EXPIRED: "not sent in time",
}


@dataclass(frozen=True, slots=True)
class HourOutcome:
    """What a run of an hour came to, for one account.

    Attributes
    ----------
    account, hour
        Whose hour.
    what
        What the run did.
    mode
        Mode of the account during the run.
    decision
        The hour's decision as stored; ``None`` where there is none.
    notes
        What a person should know.
    """

    account: str
    hour: Hour
    what: What
    mode: Mode
    decision: Decision | None = None
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """One sentence a person reads."""
        if self.decision is None:
            return "paused: nothing was read, decided or sent"
        return f"{self.what.value} ({_became(self.decision)}): {self.decision.plan.reason}"


def _became(decision: Decision) -> str:
    if decision.state is not DecisionState.PUBLISHED or decision.receipts is None:
        return _BECAME[decision.state]
    states = decision.receipts.rows["state"].cast(pl.String)
    if not states.len():
        return "nothing to send"
    if (states == ReceiptState.NOT_SENT.value).all():
        return f"not sent: {decision.receipts.rows['reason'][0]}"
    return _BECAME[decision.state]


class _NotSent(PlatformError):
    """A plan was not handed over, for a reason that is no fault."""

    def __init__(self, what: What) -> None:
        super().__init__(what.value)
        self.what = what


@dataclass(frozen=True, slots=True)
class _Gate:
    """The platform behind a last look: has the account been stopped by now, is it ours to send, and who holds what?"""

    platform: AdPlatform
    workspace: Workspace
    journal: SqlJournal
    clock: Clock

    def read_reports(self, window: Window) -> ReportBatch:
        return self.platform.read_reports(window)

    def live_bids(self) -> BidTable:
        return self.platform.live_bids()

    def publish(self, plan: BidPlan) -> Receipts:
        if stop_file(self.workspace.home, plan.account).exists():
            raise _NotSent(What.PAUSED)
        # one name per machine: on this one the turn keeps others out, so an older claim of ours is a dead run's
        if not self.journal.claim(plan.hour, socket.gethostname(), self.clock.now()):
            raise _NotSent(What.BUSY)
        sent, left_out = without_held(plan, self.workspace.held_units(plan.account, plan.hour))
        return Receipts(pl.concat([self.platform.publish(sent).rows, left_out.rows]))


def run_hour(
    workspace: Workspace,
    account: str,
    hour: Hour,
    *,
    clock: Clock,
    platform: AdPlatform | None = None,
    patience_seconds: float = 120.0,
) -> HourOutcome:
    """Decide an hour of a stored account, or complete what an earlier run of it has left.

    Parameters
    ----------
    workspace
        Where the account is kept.
    account
        Name of the account.
    hour
        The hour to decide; it need not be the present one. An hour that lies before a decided one is decided
        from what was known then, and not sent.
    clock
        Tells the time.
    platform
        Where reports come from and plans go to; ``None`` = as the account is connected.
    patience_seconds
        How long to wait for another run of this account.

    Raises
    ------
    StoreBusy
        Where another run of this account takes longer than that (retryable).
    PlatformError
        Where the platform could not be read or did not take the plan; a plan that was stored stays open, and
        the next run of the hour sends it.
    """
    if stop_file(workspace.home, account).exists():  # before anything that may be broken
        return HourOutcome(account, hour, What.PAUSED, Mode.PAUSED)
    with turn(workspace.home, account, patience_seconds):
        mode = workspace.account(account).mode
        if mode is Mode.PAUSED:
            return HourOutcome(account, hour, What.PAUSED, mode)
        said = (workspace.goals(account), workspace.phases(account))  # edits from here on are for the next hour
        platform, told = (platform, ()) if platform else _connected(workspace, account, hour, clock)
        journal = workspace.journal(account, clock)
        notes = (*told, *settle_earlier(workspace, account, hour, clock, platform))
        before = journal.find(hour)
        if before is not None and before.state is DecisionState.AWAITING and journal.approval(hour) is not None:
            return _send(workspace, before, journal, clock, platform, mode)  # approved, and then not sent
        if before is not None and before.state is not DecisionState.OPEN:
            return HourOutcome(account, hour, What.ALREADY, mode, before, notes)
        desk, known, of_goals = desk_for(workspace, account, hour, platform=platform, said=said)
        notes = (*notes, *of_goals)
        keep_freed_memory(known.n_units)
        desk.journal = journal
        desk.platform = _Gate(desk.platform, workspace, journal, clock)
        if known.n_units:
            desk.model = fitted(desk.model, known, FitBook.of(workspace.home, account))
        later = journal.later(hour, clock.now())
        if later is not None and mode is not Mode.SHADOW:
            desk.account = replace(desk.account, mode=Mode.SHADOW)
            notes = (*notes, f"{later} is decided already, so the plan of this earlier hour is stored and not sent")
        try:
            decision = run_cycle(hour, desk)
        except _NotSent as held:
            return HourOutcome(account, hour, held.what, mode, journal.find(hour), notes)
        return HourOutcome(account, hour, What.COMPLETED if before else What.DECIDED, mode, decision, notes)


def _connected(
    workspace: Workspace, account: str, hour: Hour, clock: Clock
) -> tuple[AdPlatform | None, tuple[str, ...]]:
    """Platform of a stored account and what it told on the way; ``None`` where it has none to talk to."""
    folders = open_folders(workspace, account, hour, clock)
    return (None, ()) if folders is None else (folders.platform, folders.notes)


def approve(
    workspace: Workspace,
    account: str,
    hour: Hour,
    who: str,
    clock: Clock,
    *,
    only: Collection[str] | None = None,
    platform: AdPlatform | None = None,
    patience_seconds: float = 120.0,
) -> HourOutcome:
    """Send the stored plan of an hour that waits for a person, once, and never after its hour has ended.

    With `only`, just the bids of these units go out; those of all others stay as they are in this hour.
    Raises `ConfigError` where there is no such decision, where it does not wait, where its hour is over, and
    where the account is paused or in shadow mode. Where the platform does not take the plan, the yes is kept
    and the next run of the hour sends it.
    """
    with turn(workspace.home, account, patience_seconds):
        mode = workspace.account(account).mode
        if mode in (Mode.PAUSED, Mode.SHADOW):
            raise ConfigError(
                f"account {account!r} is in mode {mode.value}, which sends nothing; "
                + ("resume it first" if mode is Mode.PAUSED else "change its mode to approve or live first")
            )
        journal = workspace.journal(account, clock)
        if only is not None:
            _choose(workspace, journal, account, hour, who, clock, only)
        decision = journal.approve(hour, who, clock.now())
        if decision.state is not DecisionState.AWAITING:
            return HourOutcome(account, hour, What.ALREADY, mode, decision)
        platform = platform or _connected(workspace, account, hour, clock)[0]
        return _send(workspace, decision, journal, clock, platform, mode)


def _choose(
    workspace: Workspace, journal: SqlJournal, account: str, hour: Hour, who: str, clock: Clock, only: Collection[str]
) -> None:
    """Hold, for one hour's plan that waits, the units that are not among those approved."""
    waits = journal.find(hour)
    if waits is None or waits.state is not DecisionState.AWAITING or journal.approval(hour) is not None:
        return  # the approval itself says what is wrong
    units = waits.plan.units.filter(pl.col("action").cast(pl.String).is_in([Action.SET.value, Action.PAUSE.value]))
    changed = set(units["unit_id"])
    if strange := [u for u in only if u not in changed]:
        raise ConfigError(
            f"the plan of {account!r} for {hour} changes nothing about {strange[0]!r}; approve units whose action is "
            "set or pause"
        )
    if rest := sorted(changed - set(only)):
        workspace.hold_units(account, rest, by=who, reason="only others were approved", now=clock.now(), hour=hour)
    if yes := sorted(set(only)):
        workspace.release_units(account, yes, by=who, reason="approved", now=clock.now(), hour=hour)


def waiting(workspace: Workspace, account: str, clock: Clock) -> list[Hour]:
    """Hours whose plan waits for a person, oldest first."""
    journal = workspace.journal(account, clock)
    journal.expire(clock.now())
    ahead = Hour.containing(clock.now(), workspace.account(account).tz).plus(24 * 366)
    return [u.hour for u in journal.unfinished(ahead) if u.state is DecisionState.AWAITING]


def _send(
    workspace: Workspace,
    decision: Decision,
    journal: SqlJournal,
    clock: Clock,
    platform: AdPlatform | None,
    mode: Mode,
) -> HourOutcome:
    """Hand a stored plan over, unless its hour has ended."""
    hour, account = decision.hour, decision.account
    if clock.now() >= hour.end:
        expired = journal.close(replace(decision, state=DecisionState.EXPIRED), None)
        return HourOutcome(account, hour, What.COMPLETED, mode, expired)
    if platform is None:
        raise ConfigError(f"account {account!r} has no platform to send to; set its mode to shadow, or use export-bids")
    try:
        receipts = _Gate(platform, workspace, journal, clock).publish(decision.plan)
    except _NotSent as held:
        return HourOutcome(account, hour, held.what, mode, journal.find(hour))
    return HourOutcome(account, hour, What.COMPLETED, mode, journal.close(decision, receipts))


def settle_earlier(
    workspace: Workspace, account: str, hour: Hour, clock: Clock, platform: AdPlatform | None
) -> tuple[str, ...]:
    """Bring to an end what hours before `hour` have left undone; gives what a person should know.

    A plan that nobody had begun to send is not sent any more: its hour is over. Where the sending had begun, a
    platform may have taken it or not; publishing is safe to repeat, so it is repeated and then written down.
    Plans that wait for a person expire with their hour.
    """
    journal = workspace.journal(account, clock)
    notes = list[str]()
    mode = workspace.account(account).mode
    journal.expire(clock.now())
    for left in journal.unfinished(hour):
        decision = journal.find(left.hour)
        if decision is None:
            continue
        if left.claimed and platform is not None and mode in (Mode.LIVE, Mode.APPROVE):
            try:
                receipts = _Gate(platform, workspace, journal, clock).publish(decision.plan)
            except _NotSent:
                continue
            except SteadyBidError as error:
                if error.retryable:
                    raise
                journal.close(replace(decision, state=DecisionState.EXPIRED), None)
                notes.append(f"the plan of {left.hour} was being sent when its run died, and is refused now: {error}")
                continue
            journal.close(decision, receipts)
            notes.append(f"the plan of {left.hour} was being sent when its run died; now it is sent")
        elif left.state is DecisionState.OPEN or clock.now() >= left.hour.end:
            journal.close(replace(decision, state=DecisionState.EXPIRED), None)
            notes.append(f"the plan of {left.hour} was not sent in its hour, and is not sent any more")
    return tuple(notes)
