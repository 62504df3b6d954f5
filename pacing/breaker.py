"""The breaker: stops a runaway without asking any model.

It looks at stored rows and fixed caps only. It *pauses* where a hard cap is reached or the next hour could
break it, *holds* live bids where reports are stale or contradict themselves, and says why. It knows nothing
of forecasts, prices or targets, so that an error there cannot silence it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import polars as pl

from domain.errors import ConfigError
from domain.phases import PromotionCalendar
from domain.plans import ACTION, INTERVENTIONS, Action, BidPlan
from domain.tables import Known
from domain.time import day_start


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


@dataclass(frozen=True, slots=True)
class Trip:
    """Why the breaker opened, and what it does: ``pause`` or ``hold``."""

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
        Age of the newest learned row from which on reports are stale, once anything was ever published.
    """

    caps: HardCaps = field(default_factory=HardCaps)
    calendar: PromotionCalendar = field(default_factory=PromotionCalendar)
    stale_after_hours: float = 6.0

    def review(self, plan: BidPlan, known: Known) -> BidPlan:
        """Same plan, or one that is paused or held as a whole, with one intervention per unit."""
        trip = self.trip(known)
        if trip is None:
            return plan
        units = plan.units
        live = pl.col("live_bid_cpc")
        if trip.action is Action.PAUSE:
            bid, action = pl.lit(0.0), pl.lit(Action.PAUSE.value)
        else:
            bid, action = live, pl.lit(Action.HOLD.value)
        zero = [f"{n}{e}" for n in ("spend", "clicks", "orders", "gmv") for e in ("", "_low", "_high")]
        changed = units.select(
            "unit_id", pl.lit(trip.rule).alias("rule"), pl.col("bid_cpc").alias("before"), bid.alias("after")
        )
        units = units.with_columns(
            bid.alias("bid_cpc"), action.cast(ACTION).alias("action"), pl.lit(trip.rule).alias("limit")
        )
        if trip.action is Action.PAUSE:
            units = units.with_columns(pl.lit(0.0).alias(name) for name in ("impressions", *zero))
        interventions = pl.concat([plan.interventions, changed.cast(dict(INTERVENTIONS))])  # pyright: ignore[reportArgumentType]
        return replace(plan, units=units, interventions=interventions, reason=f"breaker: {trip.words}")

    def trip(self, known: Known) -> Trip | None:
        """The first rule that is broken by what was known, or ``None``."""
        return self._contradiction(known) or self._stale(known) or self._caps(known)

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
            counted = rows if start is None else rows.filter(pl.col("start_utc") >= start)
            spent = float(counted["spend"].sum())
            if spent >= cap:
                return Trip(
                    Action.PAUSE, f"hard cap: {what}", f"{spent:,.2f} spent, the hard cap of the {what} is {cap:,.2f}"
                )
        if math.isfinite(self.caps.hour):
            last = rows.filter((pl.col("grain") == "hour") & (pl.col("start_utc") == hour.plus(-1).start))
            spent = float(last["spend"].sum())
            if spent > self.caps.hour:
                words = (
                    f"{spent:,.2f} spent in the last hour, the hard cap is {self.caps.hour:,.2f}; paused for one hour"
                )
                return Trip(Action.PAUSE, "hard cap: hour", words)
        return None

    def _stale(self, known: Known) -> Trip | None:
        earlier = known.planned.filter(pl.col("amount") > 0)
        if not earlier.height:
            return None  # nothing was decided yet, so nothing can be missing
        first = earlier["start_utc"].min()
        newest = known.performance["learned_at"].max()
        since = max(t for t in (first, newest) if isinstance(t, datetime))
        age = known.hour.start - since
        if age > timedelta(hours=self.stale_after_hours):
            hours = age / timedelta(hours=1)
            return Trip(
                Action.HOLD, "stale reports", f"the newest report row is {hours:.0f} hours old; live bids are held"
            )
        return None

    @staticmethod
    def _contradiction(known: Known) -> Trip | None:
        rows = known.performance
        bad = rows.filter(
            (pl.col("spend") < -1e-9)
            | (pl.col("clicks") < 0)
            | ((pl.col("clicks") <= 0) & (pl.col("spend") > 0.01))
            | ((pl.col("impressions") > 0) & (pl.col("clicks") > pl.col("impressions")))
        )
        share = float(bad["spend"].abs().sum()) / max(float(rows["spend"].abs().sum()), 1e-9) if rows.height else 0.0
        if bad.height and share > 0.05:
            what = "more clicks than impressions, or spend without clicks"
            words = f"{bad.height} report rows contradict themselves ({share:.0%} of spend): {what}"
            return Trip(Action.HOLD, "contradictory reports", words)
        return None
