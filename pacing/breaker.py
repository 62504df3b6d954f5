"""The breaker: stops a runaway without asking any model.

It looks at stored rows only: what was reported, what earlier decisions planned, fixed caps and the targets as
written. It *pauses* where a hard cap is reached, *holds* live bids where reports are stale or contradict
themselves, *lowers* bids where spend runs far ahead of its plan or where old clicks have clearly not
returned what was asked, and says why. It knows nothing of forecasts and prices, so that an error there cannot silence
it. Hours that no report covers yet count at what was planned for them; what a plan can overspend is therefore what
the platform delivers beyond plan within one report interval.

Every rule is a function of stored rows, so a trip ends by itself in the first hour in which its rule no longer
holds. A person may release a rule for a time (`Breaker.released`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from domain.errors import ConfigError
from domain.goals import Goals, Scope, TargetKind
from domain.phases import PromotionCalendar
from domain.plans import ACTION, INTERVENTIONS, PLAN, Action, BidPlan
from domain.tables import Known, instants, moment
from domain.time import day_start

_AMOUNTS = ("impressions", *(f"{n}{e}" for n in ("spend", "clicks", "orders", "gmv") for e in ("", "_low", "_high")))


#: Rows of hours that begin within this of the newest row of any grain make an account one that is told by the hour.
_HOURLY = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class HardCaps:
    """Most that may ever be spent, account currency; ``inf`` = no cap of that kind.

    Attributes
    ----------
    hour, day, total
        In one hour, in one local day, since the promotion's start (or ever).
    phases
        By phase name.
    """

    hour: float = math.inf
    day: float = math.inf
    total: float = math.inf
    phases: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        for what, amount in (("hour", self.hour), ("day", self.day), ("total", self.total), *self.phases.items()):
            if not amount > 0:
                raise ConfigError(f"hard cap of {what}: need a positive amount, got {amount}")

    @property
    def tightest(self) -> float:
        """Least cap of a day or more; ``inf`` where there is none."""
        return min(self.day, self.total, *self.phases.values())


@dataclass(frozen=True, slots=True)
class TripRules:
    """When the breaker trips on what is not a cap.

    Attributes
    ----------
    surge, surge_hours, surge_share
        Spend of the last reported hours over their plan from which on it runs away, over how many hours, and the
        least excess as a share of the tightest cap (of a day's spend where there is none).
    mature_hours, least_return, least_orders
        Age from which on clicks have had their chance, the share of an ROI target that they must have returned, and
        the orders that must have been due at that share before anything is concluded.
    contradictory_share
        Share of spend in rows that contradict themselves.
    lowered
        Factor on bids where bids are lowered.
    """

    surge: float = 3.0
    surge_hours: int = 2
    surge_share: float = 0.02
    mature_hours: int = 72
    least_return: float = 0.5
    least_orders: float = 20.0
    contradictory_share: float = 0.05
    lowered: float = 0.7

    def __post_init__(self) -> None:
        if not (self.surge > 1 and self.surge_hours >= 1 and 0 < self.lowered < 1 and 0 < self.least_return < 1):
            raise ConfigError(
                f"trip rules need surge > 1, surge_hours >= 1, 0 < lowered < 1 and 0 < least_return < 1, got {self}"
            )


@dataclass(frozen=True, slots=True)
class Trip:
    """Why the breaker opened, and what it does: ``pause``, ``hold``, or ``set`` for lowered bids."""

    action: Action
    rule: str
    words: str


@dataclass(frozen=True, slots=True)
class Breaker:
    """Implements `Guardrail`.

    Attributes
    ----------
    caps
        Hard caps.
    calendar
        Phases that the phase caps speak of.
    stale_after_hours
        Age of the newest reported hour from which on reports are stale, once anything was ever decided; of the newest
        learned row where days are reported.
    goals
        Targets as written; ROI targets of the account are watched.
    rules
        Settings of the rules that are no caps.
    released
        Rules that a person has released, and until when.
    """

    caps: HardCaps = field(default_factory=HardCaps)
    calendar: PromotionCalendar = field(default_factory=PromotionCalendar)
    stale_after_hours: float = 6.0
    goals: Goals = field(default_factory=Goals)
    rules: TripRules = field(default_factory=TripRules)
    released: Mapping[str, datetime] = field(default_factory=dict[str, datetime])

    def review(self, plan: BidPlan, known: Known) -> BidPlan:
        """Same plan, or one that is paused, held or lowered as a whole, with one intervention per changed unit."""
        trip = self.trip(known)
        if trip is None:
            return plan
        if trip.action is Action.SET:
            return self._lower(plan, trip)
        units = plan.units
        live = pl.col("live_bid_cpc")
        if trip.action is Action.PAUSE:
            bid, action = pl.lit(0.0), pl.lit(Action.PAUSE.value)
        else:
            bid, action = live, pl.lit(Action.HOLD.value)
        changed = units.select(
            "unit_id", pl.lit(trip.rule).alias("rule"), pl.col("bid_cpc").alias("before"), bid.alias("after")
        )
        units = units.with_columns(
            bid.alias("bid_cpc"), action.cast(ACTION).alias("action"), pl.lit(trip.rule).alias("limit")
        )
        if trip.action is Action.PAUSE:
            units = units.with_columns(pl.lit(0.0).alias(name) for name in _AMOUNTS)
        return _noted(plan, units, changed, trip)

    def _lower(self, plan: BidPlan, trip: Trip) -> BidPlan:
        """Bids at most `rules.lowered` times the lower of the live and the proposed one; pauses and holds stay."""
        bids = (pl.col("action") == Action.SET.value) | (pl.col("action") == Action.KEEP.value)
        least = pl.min_horizontal("bid_cpc", "live_bid_cpc") * self.rules.lowered
        marked = plan.units.with_columns(pl.when(bids & least.is_not_null()).then(least).alias("_after"))
        touched = pl.col("_after").is_not_null()
        share = pl.when(touched & (pl.col("bid_cpc") > 0)).then(pl.col("_after") / pl.col("bid_cpc")).otherwise(1.0)
        changed = marked.filter(touched).select(
            "unit_id",
            pl.lit(trip.rule).alias("rule"),
            pl.col("bid_cpc").alias("before"),
            pl.col("_after").alias("after"),
        )
        units = marked.with_columns(
            *((pl.col(name) * share).alias(name) for name in _AMOUNTS),
            pl.when(touched)
            .then(pl.lit(Action.SET.value))
            .otherwise(pl.col("action").cast(pl.String))
            .cast(ACTION)
            .alias("action"),
            pl.coalesce("_after", "bid_cpc").alias("bid_cpc"),
            pl.when(touched).then(pl.lit(trip.rule)).otherwise("limit").alias("limit"),
        ).select(list(PLAN))
        return _noted(plan, units, changed, trip)

    def trip(self, known: Known) -> Trip | None:
        """The first rule that is broken by what was known, hard caps first, or ``None``."""
        for look in (self._caps, self._contradiction, self._stale, self._surge, self._return):
            found = look(known)
            if found is not None and not self._is_released(found.rule, known):
                return found
        return None

    def _is_released(self, rule: str, known: Known) -> bool:
        until = self.released.get(rule)
        return until is not None and known.hour.start < until

    def _caps(self, known: Known) -> Trip | None:
        rows, hour, tz = known.performance, known.hour, known.account.tz
        midnight = day_start(hour.local(tz).date(), tz)
        window = self.calendar.window
        phase = self.calendar.phase_at(hour.start)
        starts = [("total", self.caps.total, window.start if window else None), ("day", self.caps.day, midnight)]
        if phase is not None and phase.name in self.caps.phases:
            starts.append((f"phase {phase.name}", self.caps.phases[phase.name], phase.window.start))
        for what, cap, start in starts:
            if math.isinf(cap):
                continue
            spend = rows["spend"].to_numpy()
            spent = float(spend.sum() if start is None else spend[instants(rows["start_utc"]) >= moment(start)].sum())
            dark = _unreported(known, start)
            if spent + dark >= cap:
                assumed = f", {dark:,.2f} of it planned for hours that no report covers yet" if dark > 0 else ""
                words = f"{spent + dark:,.2f} spent{assumed}, the hard cap of the {what} is {cap:,.2f}"
                return Trip(Action.PAUSE, f"hard cap: {what}", words)
        if math.isfinite(self.caps.hour):
            spent = float(known.spend_in(np.array([moment(hour.plus(-1).start)]))[0])
            if spent > self.caps.hour:
                words = (
                    f"{spent:,.2f} spent in the last hour, the hard cap is {self.caps.hour:,.2f}; paused for one hour"
                )
                return Trip(Action.PAUSE, "hard cap: hour", words)
        return None

    def _stale(self, known: Known) -> Trip | None:
        if not known.planned.height:
            return None  # nothing was decided yet, so nothing can be missing
        first = known.planned["start_utc"].min()
        newest, what = _newest(known)
        told = [t for t in (first, newest) if isinstance(t, datetime)]
        if not told:
            return None
        age = known.hour.start - max(told)
        if age > timedelta(hours=self.stale_after_hours):
            hours = age / timedelta(hours=1)
            return Trip(Action.HOLD, "stale reports", f"the newest {what} is {hours:.0f} hours old; live bids are held")
        return None

    def _contradiction(self, known: Known) -> Trip | None:
        rows = known.performance
        impressions, clicks, spend = (rows[name].to_numpy() for name in ("impressions", "clicks", "spend"))
        bad = (spend < -1e-9) | (clicks < 0) | ((clicks <= 0) & (spend > 0.01))
        bad |= (impressions > 0) & (clicks > impressions)
        if not bad.any():
            return None
        share = float(np.abs(spend[bad]).sum()) / max(float(np.abs(spend).sum()), 1e-9)
        if share > self.rules.contradictory_share:
            what = "more clicks than impressions, or spend without clicks"
            words = f"{int(bad.sum())} report rows contradict themselves ({share:.0%} of spend): {what}"
            return Trip(Action.HOLD, "contradictory reports", words)
        return None

    def _surge(self, known: Known) -> Trip | None:
        """Spend far ahead of plan in the newest reported hours."""
        starts, planned = known.planned_for("account")
        spent = known.spend_in(starts)
        told = np.flatnonzero(~np.isnan(spent))
        newest = told[np.argsort(starts[told], kind="stable")[-self.rules.surge_hours :]]
        if newest.size < self.rules.surge_hours:
            return None
        actual, plan = float(spent[newest].sum()), float(planned[newest].sum())
        scale = self.caps.tightest
        if math.isinf(scale):
            scale = 24 * float(planned.mean())
        if actual > self.rules.surge * plan and actual - plan > self.rules.surge_share * scale:
            words = (
                f"{actual:,.2f} spent in the last {newest.size} reported hours where {plan:,.2f} was planned; bids are "
                f"lowered by {1 - self.rules.lowered:.0%} until spend is back"
            )
            return Trip(Action.SET, "spend rate", words)
        return None

    def _return(self, known: Known) -> Trip | None:
        """Clicks old enough to have sold that returned clearly less than a share of the account's ROI target."""
        targets = [t for t in self.goals.of(TargetKind.ROI) if t.scope is Scope.ACCOUNT]
        if not targets:
            return None
        newest = known.hour.plus(-self.rules.mature_hours).start
        oldest = newest - timedelta(days=7)
        begun = [t for t in (targets[0].since, self.calendar.window.start if self.calendar.window else None) if t]
        start = max([oldest, *begun])
        rows = known.performance
        begun = instants(rows["start_utc"])
        old = (begun >= moment(start)) & (begun < moment(newest))
        spend, orders, gmv = (float(rows[name].to_numpy()[old].sum()) for name in ("spend", "orders", "gmv"))
        if spend <= 0 or orders <= 0 or gmv <= 0:
            return None  # without a single order nothing says what one is worth
        asked = self.rules.least_return * targets[0].value
        due = asked * spend * orders / gmv
        if due >= self.rules.least_orders and orders < due - 3 * math.sqrt(due):
            words = (
                f"clicks older than {self.rules.mature_hours} hours returned {gmv / spend:.2f} where {targets[0].value:g} "
                f"is asked; bids are lowered by {1 - self.rules.lowered:.0%}"
            )
            return Trip(Action.SET, "cost over target", words)
        return None


def _newest(known: Known) -> tuple[datetime | None, str]:
    """Until when reports tell what happened, and what that instant is.

    Where hours are reported it is the end of the newest hour that is described: an old hour that is told anew says
    nothing of the hours that are missing. Days are described long after they began, and an account of which no unit
    bids has no hours to describe: there the newest row counts by when it was learned.
    """
    rows = known.performance
    live = known.live_bids.rows
    bids = (live["state"] == "enabled").to_numpy() & ~(live["known"].to_numpy() & ~(live["bid_cpc"].to_numpy() > 0))
    newest = rows["start_utc"].max()
    of_hours = (rows["grain"] == "hour").to_numpy()
    hourly = newest if of_hours.all() else rows["start_utc"].filter(of_hours).max()
    if bids.any() and isinstance(hourly, datetime) and isinstance(newest, datetime) and hourly > newest - _HOURLY:
        return hourly + timedelta(hours=1), "hour that a report describes"
    learned = rows["learned_at"].max()
    return (learned if isinstance(learned, datetime) else None), "report row"


def _unreported(known: Known, start: datetime | None) -> float:
    """Spend planned for past hours that no report covers yet, account currency."""
    starts, planned = known.planned_for("account")
    dark = starts < moment(known.hour.start)
    for begin in (known.reported_until(), start):
        if begin is not None:
            dark &= starts >= moment(begin)
    return float(planned[dark].sum())


def _noted(plan: BidPlan, units: pl.DataFrame, changed: pl.DataFrame, trip: Trip) -> BidPlan:
    """Plan with changed units and the reason."""
    interventions = pl.concat([plan.interventions, changed.cast(dict(INTERVENTIONS))])  # pyright: ignore[reportArgumentType]
    return replace(plan, units=units, interventions=interventions, reason=f"breaker: {trip.words}")
