"""The night of a stored account: what need not be done while an hour waits.

    waiting plans whose hour is over ─> expire
    many small fact files ───────────> few large ones
    sums by campaign and hour ───────> put by (marts), so that pages open fast
    the newest fit ──────────────────> tried against the champion on a day that neither has seen: used, or turned down
    the coming hour ─────────────────> rehearsed: model fitted anew from all facts, plan made, nothing stored; what
                                       would fail in the morning is told at night
    files that nothing names ────────> swept, once for the workspace

Nothing is kept that could not be made again: models are fitted from the facts, which stay, and the book of fits
(`engine.champions`) says which rows.
"""

from dataclasses import dataclass

from data import Views, Workspace
from domain.account import Mode
from domain.errors import SteadyBidError
from domain.plans import DecisionState
from domain.time import Clock, Hour
from engine.accounts import preview
from engine.champions import challenge_tonight
from predictors.champion import Verdict


@dataclass(frozen=True, slots=True)
class NightOutcome:
    """What a night came to, for one account.

    Attributes
    ----------
    account
        Whose night.
    expired
        Plans whose wait for a person was ended.
    compacted
        Fact files that were put into larger ones.
    summed
        Sums by campaign and hour that were put by for the pages.
    n_units
        Units that the rehearsed plan covers.
    status
        State of the rehearsed plan, such as ``budget_binds``; ``None`` where the rehearsal failed.
    problem
        Why the rehearsal failed: what will keep the coming hours from being decided well.
    notes
        What a person should know.
    fit
        What became of the newest fit; ``None`` where none was tried.
    """

    account: str
    expired: int
    compacted: int
    summed: int
    n_units: int
    status: str | None
    problem: str | None
    notes: tuple[str, ...] = ()
    fit: Verdict | None = None

    @property
    def words(self) -> str:
        """One sentence a person reads."""
        if self.problem is not None:
            return f"the coming hour would fail: {self.problem}"
        done = [f"rehearsed {self.n_units} units ({self.status})"]
        done += [f"{self.expired} waiting plans expired"] if self.expired else []
        done += [f"{self.summed:,} sums put by for the pages"] if self.summed else []
        done += [f"{self.compacted} fact files put together"] if self.compacted else []
        if self.fit is not None:
            done.append("newest fit is used" if self.fit.promoted else "newest fit turned down")
        return ", ".join(done)


@dataclass(frozen=True, slots=True)
class Tidied:
    """What was done for the workspace as a whole.

    Attributes
    ----------
    files, bytes
        Files that nothing names, removed.
    damaged
        Fact files that count and cannot be read as they were written.
    """

    files: int
    bytes: int
    damaged: tuple[str, ...]


def run_night(workspace: Workspace, account: str, clock: Clock) -> NightOutcome:
    """Do an account's night work; safe to repeat and to run beside the hours.

    A rehearsal that fails is told, not raised: the rest of the night's work is done all the same.
    """
    now = clock.now()
    owner = workspace.account(account)
    expired = workspace.journal(account, clock).expire(now)
    compacted = workspace.compact(account, now)
    summed = Views(workspace).build_marts(account)
    hour = Hour.containing(now, owner.tz)
    fit, of_fit = _challenge(workspace, account, hour)
    try:
        seen = preview(workspace, account, hour)
    except SteadyBidError as error:
        return NightOutcome(
            account, expired, compacted, summed, 0, None, f"{type(error).__name__}: {error}", of_fit, fit
        )
    notes = [*of_fit, *seen.notes]
    if owner.mode is Mode.PAUSED:
        notes.append("the account is paused: nothing will be decided until it is resumed")
    waiting = [u for u in workspace.journal(account).unfinished(hour) if u.state is DecisionState.OPEN]
    if waiting:
        notes.append(f"{len(waiting)} plans of earlier hours were not brought to an end; the next run does")
    return NightOutcome(
        account, expired, compacted, summed, seen.plan.units.height, seen.plan.status.value, None, tuple(notes), fit
    )


def _challenge(workspace: Workspace, account: str, hour: Hour) -> tuple[Verdict | None, tuple[str, ...]]:
    """What became of the newest fit, and what a person should know of it; a trial that fails keeps the champion."""
    try:
        verdict = challenge_tonight(workspace, account, hour)
    except SteadyBidError as error:
        return None, (f"the newest fit could not be tried, the last one stays: {error}",)
    if verdict is None:
        return None, ()
    turned_down = () if verdict.promoted else (f"the newest fit is not used: {verdict.reason}",)
    return verdict, (*turned_down, *verdict.alarms)


def tidy(workspace: Workspace, clock: Clock) -> Tidied:
    """Sweep files that nothing names, and look whether all files that count are whole."""
    swept = workspace.sweep(clock.now())
    return Tidied(swept.files, swept.bytes, tuple(workspace.damaged_files()))
