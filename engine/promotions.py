"""Phases of earlier promotions, as they were in force when they ran: what the predictors learn uplifts from.

A trader's calendar is superseded whole by the next one, so what has run is put together from all of them, oldest first: a
later calendar ends what runs of an earlier one, and speaks of any time that its own phases cover, past time too (so a
promotion of before SteadyBid can be told by setting its phases, and then those of the coming one).
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from data import Workspace
from domain.phases import Phase, PromotionCalendar
from domain.time import Hour, Window


def past_phases(workspace: Workspace, account: str, hour: Hour, calendar: PromotionCalendar) -> PromotionCalendar:
    """Phases of a stored account that were over when an hour began and belong to no phase of its present calendar."""
    edits = [e for e in workspace.phase_history(account) if e.said.said_at <= hour.start]
    return that_ran(
        ((e.calendar, max(e.said.said_at, e.said.effective_at or e.said.said_at)) for e in edits), hour, calendar
    )


def that_ran(
    said: Iterable[tuple[PromotionCalendar, datetime]], hour: Hour, calendar: PromotionCalendar
) -> PromotionCalendar:
    """The same from calendars and the instants from which they held, oldest first."""
    ran: list[Phase] = []
    for edit, since in said:
        ran = [piece for p in ran for piece in _outside(_until(p, since), edit.phases)]
        ran += edit.phases
    ran = [piece for p in ran for piece in _outside(_until(p, hour.start), calendar.phases)]
    return PromotionCalendar.of_several(replace(p, budget=None) for p in ran)


def _until(phase: Phase, end: datetime) -> Phase | None:
    """Part of a phase before an instant; ``None`` where there is none."""
    if phase.window.end <= end:
        return phase
    return replace(phase, window=Window(phase.window.start, end)) if phase.window.start < end else None


def _outside(phase: Phase | None, others: Iterable[Phase]) -> list[Phase]:
    """Parts of a phase that no other phase covers."""
    pieces = [] if phase is None else [phase]
    for other in others:
        a, b = other.window.start, other.window.end
        pieces = [
            replace(p, window=Window(start, end))
            for p in pieces
            for start, end in ((p.window.start, min(p.window.end, a)), (max(p.window.start, b), p.window.end))
            if start < end
        ]
    return pieces
