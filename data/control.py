"""What the trader said: targets, objective and phases, as edits with author and reason; nothing is overwritten.

An edit speaks of the time from `effective_at` on (``None``: always) and was said at `said_at`. What holds at an
instant is, for each target, the last thing said among the edits in effect then. Asking `known_at` an earlier time
gives what held before later edits were made.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from data.database import Database
from data.schema import calendar_edits, target_edits
from domain.errors import ConfigError
from domain.goals import Goals, Objective, Period, Scope, Target, TargetKind
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.tables import UTC_TIME
from domain.time import Window

_OBJECTIVE = "objective"
_TARGET_TABLE = {
    "id": pl.Int64(),
    "kind": pl.String(),
    "value": pl.Float64(),
    "objective": pl.String(),
    "scope": pl.String(),
    "key": pl.String(),
    "period": pl.String(),
    "set_at": UTC_TIME,
    "author": pl.String(),
    "reason": pl.String(),
    "effective_at": UTC_TIME,
}


@dataclass(frozen=True, slots=True)
class Said:
    """Who said something, why, when, and from when on it holds (``None``: always).

    Times are aware; `author` is the person's name.
    """

    author: str
    reason: str
    said_at: datetime
    effective_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.author.strip():
            raise ConfigError("a change of targets or phases needs a name: say who makes it")
        for what, instant in (("said_at", self.said_at), ("effective_at", self.effective_at)):
            if instant is not None and instant.tzinfo is None:
                raise ConfigError(f"{what} {instant.isoformat()} has no time zone; add one, such as +05:30 or Z")


@dataclass(frozen=True, slots=True)
class TargetEdit:
    """One thing said about targets: a target, a removal (`value` is ``None``) or the objective."""

    id: int
    kind: str
    scope: str
    key: str
    period: str
    value: float | None
    objective: str | None
    said: Said


@dataclass(frozen=True, slots=True)
class CalendarEdit:
    """One promotion calendar as it was said."""

    id: int
    calendar: PromotionCalendar
    said: Said


class Control:
    """Targets and phases of one account."""

    def __init__(self, database: Database, account: str) -> None:
        self._database = database
        self._account = account

    def set_target(self, target: Target, said: Said) -> None:
        """Set a target; an earlier one of its kind, group and period is superseded."""
        self._say(
            target.kind.value, target.scope, target.key, target.period, said, value=target.value, since=target.since
        )

    def remove_target(self, kind: TargetKind, scope: Scope, key: str, period: Period, said: Said) -> bool:
        """Take a target back; false where there is none."""
        if (kind, scope, key, period) not in [(t.kind, t.scope, t.key, t.period) for t in self.goals().targets]:
            return False
        self._say(kind.value, scope, key, period, said)
        return True

    def set_objective(self, objective: Objective, said: Said) -> None:
        """Say what is maximised."""
        self._say(_OBJECTIVE, Scope.ACCOUNT, "", Period.HORIZON, said, words=objective.value)

    def goals(self, at: datetime | None = None, known_at: datetime | None = None) -> Goals:
        """Objective and targets in effect at an instant (``None``: with every edit in effect)."""
        objective, targets = Objective.GMV, dict[tuple[str, ...], Target]()
        for edit, since in self._edits():
            if not _holds(edit.said, at, known_at):
                continue
            if edit.kind == _OBJECTIVE:
                objective = Objective(edit.objective or "gmv")
                continue
            mark = (edit.kind, edit.scope, edit.key, edit.period)
            targets.pop(mark, None)
            if edit.value is not None:
                scope, period = Scope(edit.scope), Period(edit.period)
                # what was bought before anyone wished for the target does not count for it
                counts_from = since or edit.said.effective_at or edit.said.said_at
                targets[mark] = Target(TargetKind(edit.kind), edit.value, scope, edit.key, period, counts_from)
        return Goals(objective, tuple(targets.values()))

    def target_history(self) -> list[TargetEdit]:
        """Everything said about targets, oldest first."""
        return [edit for edit, _ in self._edits()]

    def target_table(self, *, only_in_force: bool) -> pl.DataFrame:
        """The same as a table; with `only_in_force` just the targets that hold once every edit is in effect."""
        edits = [edit for edit, _ in self._edits()]
        if only_in_force:
            last = {(e.kind, e.scope, e.key, e.period): e for e in edits if e.kind != _OBJECTIVE}
            edits = [e for e in last.values() if e.value is not None]
        rows = [
            {
                **{f: getattr(e, f) for f in ("id", "kind", "value", "objective", "scope", "key", "period")},
                "set_at": e.said.said_at,
                "author": e.said.author,
                "reason": e.said.reason,
                "effective_at": e.said.effective_at,
            }
            for e in edits
        ]
        return pl.DataFrame(rows, schema=_TARGET_TABLE)

    def set_calendar(self, calendar: PromotionCalendar, said: Said) -> None:
        """Set the phases; the whole calendar is superseded."""
        with self._database.write() as connection:
            connection.execute(
                calendar_edits.insert().values(
                    account=self._account, calendar=json.dumps(_calendar_to_json(calendar)), **_said_columns(said)
                )
            )

    def calendar(self, at: datetime | None = None, known_at: datetime | None = None) -> PromotionCalendar:
        """Phases in effect at an instant (``None``: with every edit in effect); none at all give an empty calendar."""
        held = [e.calendar for e in self.calendar_history() if _holds(e.said, at, known_at)]
        return held[-1] if held else PromotionCalendar()

    def calendar_history(self) -> list[CalendarEdit]:
        """Every calendar that was said, oldest first."""
        query = sa.select(calendar_edits).where(calendar_edits.c.account == self._account).order_by(calendar_edits.c.id)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [CalendarEdit(r["id"], _calendar_from_json(json.loads(r["calendar"])), _said(r)) for r in rows]

    def _say(
        self,
        kind: str,
        scope: Scope,
        key: str,
        period: Period,
        said: Said,
        *,
        value: float | None = None,
        since: datetime | None = None,
        words: str | None = None,
    ) -> None:
        with self._database.write() as connection:
            connection.execute(
                target_edits.insert().values(
                    account=self._account,
                    kind=kind,
                    scope=scope.value,
                    key=key,
                    period=period.value,
                    value=value,
                    words=words,
                    since=since,
                    **_said_columns(said),
                )
            )

    def _edits(self) -> list[tuple[TargetEdit, datetime | None]]:
        query = sa.select(target_edits).where(target_edits.c.account == self._account).order_by(target_edits.c.id)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            (
                TargetEdit(r["id"], r["kind"], r["scope"], r["key"], r["period"], r["value"], r["words"], _said(r)),
                r["since"],
            )
            for r in rows
        ]


def _holds(said: Said, at: datetime | None, known_at: datetime | None) -> bool:
    in_effect = at is None or said.effective_at is None or said.effective_at <= at
    return in_effect and (known_at is None or said.said_at <= known_at)


def _said_columns(said: Said) -> dict[str, Any]:
    return {
        "author": said.author,
        "reason": said.reason,
        "said_at": said.said_at,
        "effective_at": said.effective_at,
    }


def _said(row: sa.RowMapping) -> Said:
    return Said(row["author"], row["reason"], row["said_at"], row["effective_at"])


def _calendar_to_json(calendar: PromotionCalendar) -> list[dict[str, Any]]:
    return [
        {
            "name": p.name,
            "kind": p.kind.value,
            "start": p.window.start.isoformat(),
            "end": p.window.end.isoformat(),
            "budget": p.budget,
            "traffic": p.traffic,
            "value": p.value,
            "price": p.price,
        }
        for p in calendar.phases
    ]


def _calendar_from_json(phases: list[dict[str, Any]]) -> PromotionCalendar:
    return PromotionCalendar(
        tuple(
            Phase(
                p["name"],
                PhaseKind(p["kind"]),
                Window(datetime.fromisoformat(p["start"]), datetime.fromisoformat(p["end"])),
                p["budget"],
                p["traffic"],
                p["value"],
                p["price"],
            )
            for p in phases
        )
    )
