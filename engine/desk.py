"""The desk: everything one account's hour needs, in one place. Live, simulated and by-hand runs differ only here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from domain.account import Account, Mode
from domain.goals import Goals
from domain.groups import Groups
from domain.limits import BidLimits
from domain.phases import PromotionCalendar
from domain.protocols import AdPlatform, AsOf, BidPolicy, Guardrail, Journal, Pacer, ReportStore, ResponseModel
from domain.tables import Known
from domain.time import Hour, Window
from pacing.ramp import Ramp


@dataclass(frozen=True, slots=True)
class Horizon:
    """Which hours a decision looks ahead over.

    A promotion's decision looks to the promotion's end; an ordinary day's to the end of the local day.
    """

    calendar: PromotionCalendar
    account: Account

    def hours_from(self, hour: Hour) -> Sequence[Hour]:
        """Hours from the one that is decided to the end of the horizon; at least that one hour."""
        window = self.calendar.window
        if window is not None and hour.start in window:
            end = window.end
        else:
            local = hour.local(self.account.tz)
            end = (local.replace(hour=0, minute=0) + timedelta(days=1)).astimezone(hour.start.tzinfo)
            if window is not None and hour.start < window.start:
                end = min(end, window.start)
        return [hour, *Window(hour.end, end).hours()] if end > hour.end else [hour]


@dataclass(slots=True)
class Desk:
    """One account's desk.

    Attributes
    ----------
    account, goals, calendar, limits
        What the trader said, as in force at the hour.
    platform, reports, asof, journal
        Where rows come from and go to.
    model, pacer, policy, guardrails
        Who thinks. Guardrails review in order; the breaker comes last and has the last word.
    fallback
        Pacer that needs neither forecast nor solver; ``None`` = hold live bids when the first one fails.
    groups
        Tree of the account's units; ``None`` = made from what is known at the hour.
    lookback_hours
        How far back reports are asked for again (late and restated rows).
    ramp
        Change of goals that is under way; ``None`` = `goals` as they are.
    """

    account: Account
    goals: Goals
    calendar: PromotionCalendar
    limits: BidLimits
    platform: AdPlatform
    reports: ReportStore
    asof: AsOf
    journal: Journal
    model: ResponseModel
    pacer: Pacer
    policy: BidPolicy
    guardrails: Sequence[Guardrail]
    fallback: Pacer | None = None
    groups: Groups | None = None
    lookback_hours: int = 24 * 16
    ramp: Ramp | None = None
    horizon: Horizon = field(init=False)
    _tree: tuple[pl.DataFrame, Groups] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.horizon = Horizon(self.calendar, self.account)

    def lookback(self, hour: Hour) -> Window:
        """Window that reports are asked for: up to the start of the hour, never beyond."""
        return Window(hour.start - timedelta(hours=self.lookback_hours), hour.start)

    def groups_of(self, known: Known) -> Groups:
        """Tree of the units that are known; made once for as long as the store hands out the same table of them."""
        if self.groups is not None:
            return self.groups
        if self._tree is None or self._tree[0] is not known.units:
            self._tree = known.units, Groups.from_units(known.units)
        return self._tree[1]

    def goals_at(self, hour: Hour) -> Goals:
        """Goals that an hour is decided under."""
        return self.goals if self.ramp is None else self.ramp.goals_at(hour)

    @property
    def publishes(self) -> bool:
        """Whether decisions go out by themselves."""
        return self.account.mode is Mode.LIVE

    @property
    def awaits_approval(self) -> bool:
        """Whether a person has to say yes first."""
        return self.account.mode is Mode.APPROVE
