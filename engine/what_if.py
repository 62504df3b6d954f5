"""What changed targets would do, before anybody saves them: the rest of the horizon solved again.

Model (as its champion was fitted), program and solver are those of the hour's decision; only the goals differ. On
ordinary days, which end at midnight, a week is looked ahead, so that an edit in the evening shows more than what is left of the day.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from bidding import AutoSolver
from data import Workspace
from domain.errors import OptimizationError
from domain.goals import Goals, Period, Scope, Target, TargetKind
from domain.groups import Groups
from domain.outlook import Outlook
from domain.phases import PromotionCalendar
from domain.protocols import ResponseModel, Solver
from domain.tables import Known
from domain.time import ONE_HOUR, Hour, Window
from engine.accounts import completed, usable
from engine.ahead import FIGURES, Ahead, told
from engine.champions import FitBook, fitted
from engine.cycle import MEMORY_HOURS
from engine.desk import Horizon
from engine.promotions import past_phases
from pacing.horizon import build
from pacing.ledger import Ledger
from predictors import SteadyModel
from predictors.matured import Matured

#: How many days ordinary time is looked ahead, the present one included.
ORDINARY_DAYS = 7


@dataclass(frozen=True, slots=True)
class Study:
    """What is known of an account at an hour and what is expected of it: made once, asked for any goals.

    Attributes
    ----------
    known, outlook, groups, calendar
        What the hour's decision would be made of.
    solver
        Solves the program of the rest.
    model
        What made the outlook; ``None`` = a model that tells no bands of the past.
    """

    known: Known
    outlook: Outlook
    groups: Groups
    calendar: PromotionCalendar
    solver: Solver
    model: SteadyModel | None = None

    def ahead(self, goals: Goals) -> Ahead:
        """Rest of the horizon under goals; raises `OptimizationError` where no method answers."""
        full, added = completed(goals, self.known)
        used, waiting = usable(full, self.known, self.calendar)
        ledger = Ledger(self.known, self.outlook, self.groups)
        program = build(self.outlook, used, self.calendar, self.groups, ledger, self.known.account.tz)
        solution = self.solver.solve(program.problem)
        notes = (*added, *waiting, *program.notes)
        return told(used, self.outlook, program, solution, ledger, self.groups, self.calendar, notes)

    def with_calendar(self, workspace: Workspace, calendar: PromotionCalendar) -> "Study":
        """What is known under changed phases: nothing is read again but what past phases did."""
        if self.model is None:
            return study(workspace, self.known.account.name, self.known.hour, calendar=calendar)
        plain = SteadyModel(auction=self.model.auction, settings=self.model.settings)
        return _study(self.known, _fitted(workspace, self.known, calendar, plain), calendar)

    def matured(self) -> pl.DataFrame:
        """Estimated final orders and gmv of past clicks: ``start_utc, grain, spend, clicks, orders, gmv``."""
        rows = self.known.performance.select(
            "start_utc",
            "grain",
            "spend",
            "clicks",
            pl.Series("orders", self.outlook.matured_orders),
            pl.Series("gmv", self.outlook.matured_gmv),
        )
        return rows.group_by("start_utc", "grain").agg(pl.col(n).sum() for n in FIGURES).sort("start_utc")

    def matured_roi(self, since: datetime | None = None) -> pl.DataFrame:
        """Reported and final ROI of what was bought since an instant, by group, with 80 % bands of what is told at last.

        Columns of `Matured.table`, one row per group: ``account`` first, then business types and campaigns as `Groups` has
        them. Final figures are those of `outlook`. No row where the model tells no bands.
        """
        if self.model is None or not self.known.n_units:
            return Matured.none().table()
        return self.model.matured(self.known, self.groups, since).table()


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The rest of the horizon as the saved targets have it, and as changed ones would.

    Attributes
    ----------
    account, hour
        Whose rest, and its first hour.
    before, after
        Under the saved and under the changed goals.
    """

    account: str
    hour: Hour
    before: Ahead
    after: Ahead


def study(
    workspace: Workspace,
    account: str,
    hour: Hour,
    *,
    calendar: PromotionCalendar | None = None,
    model: ResponseModel | None = None,
) -> Study:
    """Study of a stored account at an hour.

    Parameters
    ----------
    calendar
        Phases to assume; ``None`` = those in force.
    model
        Predicts the responses; ``None`` = the product's own, as the hours use it.

    Raises
    ------
    PredictionError
        Where too little is known for a forecast.
    """
    phases = workspace.phases(account) if calendar is None else calendar
    planned = workspace.journal(account).planned(hour, MEMORY_HOURS)
    known = replace(workspace.asof(account).at(hour), planned=planned)
    made = _fitted(workspace, known, phases, SteadyModel()) if model is None else model.fit(known)
    return _study(known, made, phases)


def _fitted(workspace: Workspace, known: Known, calendar: PromotionCalendar, plain: SteadyModel) -> ResponseModel:
    """A plain model under phases, fitted as the hours have it."""
    account, hour = known.account.name, known.hour
    model = replace(plain, calendar=calendar, past=past_phases(workspace, account, hour, calendar))
    return fitted(model, known, FitBook.of(workspace.home, account))


def _study(known: Known, model: ResponseModel, calendar: PromotionCalendar) -> Study:
    outlook = model.outlook(known, hours_ahead(known, calendar))
    steady = model if isinstance(model, SteadyModel) else None
    return Study(known, outlook, Groups.from_units(known.units), calendar, AutoSolver(), steady)


def what_if(
    workspace: Workspace,
    account: str,
    hour: Hour,
    goals: Goals,
    *,
    calendar: PromotionCalendar | None = None,
    now: Study | None = None,
) -> WhatIf:
    """Predicted effect of changed goals, and phases if given, from an hour on; nothing is stored.

    Parameters
    ----------
    goals
        Changed goals; those in force are compared with them.
    calendar
        Changed phases; ``None`` leaves them.
    now
        Study of the account at the hour, where it was made before.

    Raises
    ------
    PredictionError, OptimizationError
        Where nothing can be forecast, or no method answers.
    """
    present = study(workspace, account, hour) if now is None else now
    changed = present
    if calendar is not None and calendar != present.calendar:
        changed = present.with_calendar(workspace, calendar)
    return WhatIf(account, hour, present.ahead(workspace.goals(account)), changed.ahead(goals))


def frontier(at: Study, goals: Goals, roi_targets: Sequence[float]) -> pl.DataFrame:
    """What the rest of the horizon buys at each ROI target of the account, all else in `goals` kept.

    Columns ``target, roi, spend, gmv, orders, clicks, status, words``; targets that no method answers are left out.
    """
    found: list[dict[str, object]] = []
    others = tuple(t for t in goals.targets if not is_account_roi(t))
    mine = next((t for t in goals.targets if is_account_roi(t)), None)
    for value in sorted(set(roi_targets)):
        target = Target(TargetKind.ROI, value, since=None if mine is None else mine.since)
        try:
            ahead = at.ahead(replace(goals, targets=(*others, target)))
        except OptimizationError:
            continue
        found.append(
            {"target": value, "roi": ahead.roi, **{n: getattr(ahead, n) for n in FIGURES},
             "status": ahead.status.value, "words": ahead.words}
        )  # fmt: skip
    numbers = dict.fromkeys(("target", "roi", *FIGURES), pl.Float64)
    return pl.DataFrame(found, schema={**numbers, "status": pl.String, "words": pl.String})


def is_account_roi(target: Target) -> bool:
    """Whether a target is the account's ROI over the horizon."""
    return target.kind is TargetKind.ROI and target.scope is Scope.ACCOUNT and target.period is Period.HORIZON


def hours_ahead(known: Known, calendar: PromotionCalendar) -> Sequence[Hour]:
    """Hours that a what-if speaks of: the rest of a promotion that runs, else `ORDINARY_DAYS` local days.

    A promotion that is still to come ends ordinary time.
    """
    window, hour = calendar.window, known.hour
    if window is not None and hour.start in window:
        return Horizon(calendar, known.account).hours_from(hour)
    midnight = hour.local(known.account.tz).replace(hour=0, minute=0)
    end = (midnight + timedelta(days=ORDINARY_DAYS)).astimezone(hour.start.tzinfo)
    if window is not None and hour.start < window.start:
        end = min(end, window.start)
    return [hour, *Window(hour.end, end).hours()] if end > hour.start + ONE_HOUR else [hour]
