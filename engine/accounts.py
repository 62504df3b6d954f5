"""A stored account's desk: what the trader said and what the warehouse holds, put together for one hour."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bidding import AutoSolver, Guardrails, ThetaPolicy
from connectors import PlatformProfile, profile
from data import Workspace
from domain.account import Account
from domain.errors import ConfigError
from domain.goals import Goals, Period, Scope, Target, TargetKind
from domain.limits import BidLimits
from domain.phases import PromotionCalendar
from domain.plans import BidPlan, Receipts
from domain.protocols import AdPlatform, Guardrail
from domain.tables import REPORT, BidTable, Known, ReportBatch, empty
from domain.time import Hour, Window
from engine.champions import FitBook, fitted
from engine.cycle import decide
from engine.desk import Desk
from engine.holds import PersonsHolds
from engine.promotions import past_phases
from pacing import Breaker, HardCaps, MirrorFallback, RecedingHorizon
from predictors import SteadyModel


@dataclass(frozen=True, slots=True)
class StoredRows:
    """A platform that tells nothing new: what was imported is all there is. Publishing is refused."""

    live: BidTable

    def read_reports(self, window: Window) -> ReportBatch:
        """Nothing beyond what the warehouse holds."""
        return ReportBatch(empty(REPORT), "stored rows")

    def live_bids(self) -> BidTable:
        """Bids as stored."""
        return self.live

    def publish(self, plan: BidPlan) -> Receipts:
        """Refuse: there is nobody to send to."""
        raise ConfigError(f"account {plan.account!r} has no platform connection; use export-bids")


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be decided for an hour; nothing is stored or sent.

    Attributes
    ----------
    known, plan
        What was known, and the plan made of it.
    goals
        Targets that were used, with what was added to what the trader said.
    notes
        What a person should know of how the goals came about.
    """

    known: Known
    plan: BidPlan
    goals: Goals
    notes: tuple[str, ...]


def limits_of(account: Account, platform: PlatformProfile) -> BidLimits:
    """Bid limits of the account's platform in its currency."""
    return platform.limits(account.currency)


def goals_at(workspace: Workspace, account: str, known: Known) -> tuple[Goals, tuple[str, ...]]:
    """Targets in force, completed by the daily budgets that the platform holds anyway."""
    return completed(workspace.goals(account), known)


def completed(goals: Goals, known: Known) -> tuple[Goals, tuple[str, ...]]:
    """Goals with the daily budgets of the reports, and notes on what was added.

    A campaign without a budget target of its own gets the daily budget of its newest known report: the
    platform enforces it whatever we decide.
    """
    notes = list[str]()
    reported: Mapping[str, float] = {
        str(row["campaign"]): float(row["daily_budget"]) for row in known.budgets.iter_rows(named=True)
    }
    own = {t.key for t in goals.of(TargetKind.BUDGET) if t.scope is Scope.CAMPAIGN}
    named = set(known.units["campaign"].drop_nulls().unique().to_list())
    added = tuple(
        Target(TargetKind.BUDGET, reported[c], Scope.CAMPAIGN, c, Period.DAY)
        for c in sorted(named & set(reported) - own)
        if reported[c] > 0
    )
    if added:
        notes.append(f"daily budgets of {len(added)} campaigns are those of the reports")
    if not goals.targets:
        notes.append(
            "no targets are set: the plan maximises gmv within the daily budgets"
            if added
            else "no targets are set and no report states a budget: a click is bought up to what it is worth"
        )
    missing = sorted(named - own - set(reported))
    if missing and goals.targets and not any(t.scope is Scope.ACCOUNT for t in goals.of(TargetKind.BUDGET)):
        notes.append(f"no budget is known for {len(missing)} campaigns: {', '.join(missing[:5])}")
    return replace(goals, targets=(*goals.targets, *added)), tuple(notes)


def usable(goals: Goals, known: Known, calendar: PromotionCalendar) -> tuple[Goals, tuple[str, ...]]:
    """Targets that can be acted on at the hour; the others wait, and a note says so.

    A target waits while no unit of its group is known, and a budget over a promotion while no promotion runs.
    """
    there = {
        Scope.CAMPAIGN: set(known.units["campaign"].drop_nulls().to_list()),
        Scope.BUSINESS_TYPE: set(known.units["business_type"].drop_nulls().to_list()),
        Scope.UNIT: set(known.units["unit_id"].to_list()),
    }
    window = calendar.window
    running = window is not None and known.hour.start in window
    keep, notes = list[Target](), list[str]()
    for target in goals.targets:
        if target.scope in there and target.key not in there[target.scope]:
            notes.append(f"{target.kind.value} target on {target.label} waits: no unit of it was known at this hour")
        elif target.kind is TargetKind.BUDGET and target.period is Period.HORIZON and not running:
            notes.append(
                f"budget on {target.label} waits: it is for a promotion, and none runs at this hour (phases set)"
            )
        else:
            keep.append(target)
    return replace(goals, targets=tuple(keep)), tuple(notes)


def caps_of(goals: Goals, calendar: PromotionCalendar, platform: PlatformProfile, known: Known) -> HardCaps:
    """Hard caps that follow from the budgets: never more than the platform may over-deliver on a day.

    Daily budgets of campaigns cap the account only where every known campaign has one.
    """
    budgets = goals.of(TargetKind.BUDGET)
    daily = [t.value for t in budgets if t.period is Period.DAY and t.scope is Scope.ACCOUNT]
    total = [t.value for t in budgets if t.period is Period.HORIZON and t.scope is Scope.ACCOUNT]
    campaigns = {t.key: t.value for t in budgets if t.period is Period.DAY and t.scope is Scope.CAMPAIGN}
    if campaigns and not set(known.units["campaign"].drop_nulls().to_list()) - set(campaigns):
        daily.append(sum(campaigns.values()))
    return HardCaps(
        day=min(daily, default=math.inf) * platform.over_delivery,
        total=min(total, default=math.inf),
        phases={p.name: p.budget for p in calendar.phases if p.budget is not None},
    )


def desk_for(
    workspace: Workspace,
    name: str,
    hour: Hour,
    *,
    platform: AdPlatform | None = None,
    said: tuple[Goals, PromotionCalendar] | None = None,
) -> tuple[Desk, Known, tuple[str, ...]]:
    """Desk of a stored account for one hour, what is known then, and notes on its goals.

    `said` is what the trader had said when the hour's work began; ``None`` = what is in force now.
    """
    account = workspace.account(name)
    rules = profile(account.platform)
    asof = workspace.asof(name)
    known = asof.at(hour)
    wanted, calendar = said or (workspace.goals(name), workspace.phases(name))
    stated, notes = completed(wanted, known)
    limits = limits_of(account, rules)
    goals, waiting = usable(stated, known, calendar)
    guardrails: list[Guardrail] = [
        Guardrails(limits),
        PersonsHolds(workspace.held_units(name, hour)),
        Breaker(caps_of(goals, calendar, rules, known), calendar, rules.stale_after_hours, goals),
    ]
    desk = Desk(
        account=account,
        goals=goals,
        calendar=calendar,
        limits=limits,
        platform=platform or StoredRows(known.live_bids),
        reports=asof,
        asof=asof,
        journal=workspace.journal(name),
        model=SteadyModel(calendar=calendar, past=past_phases(workspace, name, hour, calendar)),
        pacer=RecedingHorizon(AutoSolver()),
        policy=ThetaPolicy(),
        guardrails=guardrails,
        fallback=MirrorFallback(),
    )
    return desk, known, asof.notes(hour) + notes + waiting


def preview(workspace: Workspace, name: str, hour: Hour) -> Preview:
    """Plan of an hour from what was known when it started; nothing is stored or sent."""
    desk, known, notes = desk_for(workspace, name, hour)
    known = replace(known, planned=desk.journal.planned(hour, 48))
    if known.n_units:
        desk.model = fitted(desk.model, known, FitBook.of(workspace.home, name))
    return Preview(known, decide(known, desk), desk.goals, notes + _age(known, profile(known.account.platform)))


def _age(known: Known, rules: PlatformProfile) -> tuple[str, ...]:
    """Say so where the newest row is older than reports of this platform should be."""
    newest = known.performance["learned_at"].max()
    if not isinstance(newest, datetime):
        return ()
    hours = (known.hour.start - newest) / timedelta(hours=1)
    if hours <= rules.stale_after_hours:
        return ()
    age = f"{hours:,.0f} hours" if hours < 96 else f"{hours / 24:,.0f} days"
    return (f"the newest report row is {age} old: the forecast is as old as that; import newer reports",)


def hour_of(workspace: Workspace, name: str, at: str | None, now: datetime) -> Hour:
    """Hour that a person means: the account-local hour of `at`, or the present one."""
    tz = workspace.account(name).tz
    return Hour.containing(now, tz) if at is None else Hour.parse(at, tz)
