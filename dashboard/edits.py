"""Targets and phases as tables that a person edits, and back as values that the domain has checked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any

import polars as pl

from data import Workspace
from domain.errors import ConfigError
from domain.goals import Goals, Period, Scope, Target, TargetKind
from domain.phases import PhaseKind, PromotionCalendar
from engine.calendar import calendar_from_toml

KINDS: Mapping[str, TargetKind] = {
    "ROI at least": TargetKind.ROI,
    "budget": TargetKind.BUDGET,
    "CPC at most": TargetKind.CPC,
    "CPA at most": TargetKind.CPA,
}
PERIODS: Mapping[str, Period] = {"promotion": Period.HORIZON, "day": Period.DAY}
_SCOPES = {
    Scope.BUSINESS_TYPE: "business type",
    Scope.CAMPAIGN: "campaign",
    Scope.UNIT: "unit",
    Scope.PHASE: "phase",
}
ACCOUNT = "account"
TARGET_COLUMNS = {"what": pl.String, "on": pl.String, "value": pl.Float64, "per": pl.String}
PHASE_COLUMNS = {
    "name": pl.String,
    "kind": pl.String,
    "start": pl.Datetime("us"),
    "end": pl.Datetime("us"),
    "budget": pl.Float64,
    "traffic": pl.Float64,
    "value": pl.Float64,
    "price": pl.Float64,
}
PHASE_KINDS = [k.value for k in PhaseKind]


@dataclass(frozen=True, slots=True)
class Changes:
    """What an edit changes.

    Attributes
    ----------
    set, removed
        Targets that are new or have another value, and targets that are gone.
    calendar
        The new phases; ``None`` where they stay.
    """

    set: tuple[Target, ...]
    removed: tuple[Target, ...]
    calendar: PromotionCalendar | None

    def __bool__(self) -> bool:
        return bool(self.set or self.removed or self.calendar is not None)


# -- targets ------------------------------------------------------------------------------------------------------


def place_of(target: Target) -> str:
    """Group of a target as the table shows it: ``account`` or ``campaign: C1``."""
    return ACCOUNT if target.scope is Scope.ACCOUNT else f"{_SCOPES[target.scope]}: {target.key}"


def places(units: pl.DataFrame, calendar: PromotionCalendar, goals: Goals) -> list[str]:
    """Groups that a target can stand on; single units only where one has a target already."""
    found = [ACCOUNT]
    for scope in (Scope.BUSINESS_TYPE, Scope.CAMPAIGN):
        keys = units[scope.value].drop_nulls().unique().sort().to_list()
        found += [f"{_SCOPES[scope]}: {key}" for key in keys]
    found += [f"{_SCOPES[Scope.PHASE]}: {p.name}" for p in calendar.phases]
    return list(dict.fromkeys([*found, *(place_of(t) for t in goals.targets)]))


def targets_table(goals: Goals) -> pl.DataFrame:
    """Targets as rows, account first."""
    kinds = {kind: words for words, kind in KINDS.items()}
    periods = {period: words for words, period in PERIODS.items()}
    order = sorted(goals.targets, key=lambda t: (t.scope is not Scope.ACCOUNT, t.scope.value, t.key))
    rows = [(kinds[t.kind], place_of(t), t.value, periods[t.period]) for t in order]
    return pl.DataFrame(rows, schema=TARGET_COLUMNS, orient="row")


def goals_from(table: pl.DataFrame, saved: Goals) -> Goals:
    """Goals of an edited table; `ConfigError` says which row is wrong and what is allowed.

    Rows without any entry are passed over. What a saved target has beyond the table (since when it counts) stays.
    """
    before = {_mark(t): t for t in saved.targets}
    targets: list[Target] = []
    for number, row in enumerate(table.iter_rows(named=True), start=1):
        if row["what"] is None and row["on"] is None and _missing(row["value"]):
            continue
        if row["what"] is None or row["on"] is None or _missing(row["value"]):
            raise ConfigError(f"target in row {number}: choose what it is, what it stands on, and give a value")
        scope, key = _scope(row["on"])
        period = PERIODS[row["per"] or "promotion"]
        target = Target(KINDS[row["what"]], float(row["value"]), scope, key, period)
        if period is Period.DAY and target.kind is not TargetKind.BUDGET:
            raise ConfigError(f"target in row {number}: only budgets are per day; choose promotion for {row['what']}")
        if scope is Scope.PHASE and period is Period.DAY:
            raise ConfigError(f"target in row {number}: a target on a phase is for the whole phase; choose promotion")
        there = before.get(_mark(target))
        targets.append(target if there is None else replace(there, value=target.value))
    return Goals(saved.objective, tuple(targets))


def _scope(place: str) -> tuple[Scope, str]:
    if place == ACCOUNT:
        return Scope.ACCOUNT, ""
    words, _, key = place.partition(": ")
    return next(scope for scope, name in _SCOPES.items() if name == words), key


def _mark(target: Target) -> tuple[str, str, str]:
    return target.kind.value, target.label, target.period.value


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


# -- phases -------------------------------------------------------------------------------------------------------


def phases_table(calendar: PromotionCalendar, tz: tzinfo) -> pl.DataFrame:
    """Phases as rows, times on the account's wall clock."""

    def wall(instant: datetime) -> datetime:
        return instant.astimezone(tz).replace(tzinfo=None)

    rows = [
        (p.name, p.kind.value, wall(p.window.start), wall(p.window.end), p.budget, p.traffic, p.value, p.price)
        for p in calendar.phases
    ]
    return pl.DataFrame(rows, schema=PHASE_COLUMNS, orient="row")


def calendar_from(table: pl.DataFrame, tz: tzinfo) -> PromotionCalendar:
    """Calendar of an edited table; `ConfigError` says which row is wrong and what is allowed."""
    rows: list[dict[str, Any]] = []
    for row in table.iter_rows(named=True):
        given = {k: v for k, v in row.items() if not _missing(v) and v != ""}
        if set(given) - {"traffic", "value", "price"}:
            rows.append(given)
    return calendar_from_toml({"phase": rows}, "the phases", tz) if rows else PromotionCalendar()


# -- what an edit comes to ----------------------------------------------------------------------------------------


def changes(saved: Goals, goals: Goals, calendar: PromotionCalendar, wanted: PromotionCalendar) -> Changes:
    """Difference between what is saved and what was edited."""
    before, after = ({_mark(t): t for t in g.targets} for g in (saved, goals))
    return Changes(
        set=tuple(t for mark, t in after.items() if mark not in before or before[mark].value != t.value),
        removed=tuple(t for mark, t in before.items() if mark not in after),
        calendar=None if wanted == calendar else wanted,
    )


def in_words(edit: Changes, saved: Goals) -> Sequence[str]:
    """One line per change, as ``ROI at least on account: 4.00 → 4.50``."""
    kinds = {kind: words for words, kind in KINDS.items()}
    before = {_mark(t): t.value for t in saved.targets}
    lines: list[str] = []
    for target in edit.set:
        old = before.get(_mark(target))
        day = " per day" if target.period is Period.DAY else ""
        was = "new" if old is None else f"{old:,.2f} →"
        lines.append(f"{kinds[target.kind]} on {place_of(target)}{day}: {was} {target.value:,.2f}")
    lines += [f"{kinds[t.kind]} on {place_of(t)}: removed" for t in edit.removed]
    if edit.calendar is not None:
        n = len(edit.calendar.phases)
        lines.append("all phases removed" if not n else f"{n} phase{'s' if n != 1 else ''} in the calendar")
    return lines


def save(workspace: Workspace, account: str, edit: Changes, *, by: str, reason: str, now: datetime) -> None:
    """Store an edit under a name and a reason; the next decision uses it."""
    if not by.strip() or not reason.strip():
        raise ConfigError("a change needs a name and a reason: say who makes it and why")
    for target in edit.removed:
        workspace.remove_target(
            account, kind=target.kind, scope=target.scope, key=target.key, period=target.period, by=by, reason=reason, now=now
        )  # fmt: skip
    for target in edit.set:
        workspace.set_target(account, target, by=by, reason=reason, now=now)
    if edit.calendar is not None:
        workspace.set_phases(account, edit.calendar, by=by, reason=reason, now=now)
