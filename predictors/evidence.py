"""`Known` as arrays: report rows, and what was forecast for each hour they lie in.

Hours are counted from the cut: -1 is the hour that just ended, 0 the hour that is decided. This is the
only place where tables of the predictors are taken apart; everything after it is NumPy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from domain.phases import PhaseKind, PromotionCalendar
from domain.tables import US_PER_HOUR, Bools, Floats, Ints, Known, instants
from domain.time import Hour
from predictors.profile import WeekProfile
from predictors.rows import Rows, cohorts_of

PHASE_KINDS = tuple(PhaseKind)
#: Hours to a burst where there is none.
NEVER = 1 << 30


@dataclass(frozen=True, slots=True)
class HourFactors:
    """Forecast factors of a contiguous range of hours, position 0 is hour ``first``.

    Attributes
    ----------
    first
        Hour of position 0, counted from the cut (negative for the past).
    traffic, value, price
        (n_hours,) multiples of an ordinary hour: click opportunities, orders per click, market price.
    phase
        (n_hours,) position of the phase's kind in `PHASE_KINDS`.
    day
        (n_hours,) local day, days since 1970.
    hour_of_week
        (n_hours,) local hour since Monday 00:00.
    forecast
        (n_hours,) whether a forecast for that hour was given; else calendar and profile speak.
    to_burst
        (n_hours,) hours until the next burst of the calendar begins; `NEVER` where none lies ahead.
    """

    first: int
    traffic: Floats
    value: Floats
    price: Floats
    phase: Ints
    day: Ints
    hour_of_week: Ints
    forecast: Bools
    to_burst: Ints

    def position(self, hour: Ints) -> Ints:
        """Positions of hours counted from the cut."""
        return hour - self.first


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the estimators look at.

    ``arrival_*`` are (n_arrivals,): unit, hour of the click counted from the cut, age of the click in
    hours when the restatement was learned, and what it added. ``credit_*`` are (n_credits,): age of an hour when a
    restatement of its clicks and spend was learned, and what that changed.
    """

    n_units: int
    rows: Rows
    factors: HourFactors
    arrival_unit: Ints
    arrival_hour: Ints
    arrival_age: Ints
    arrival_orders: Floats
    arrival_gmv: Floats
    credit_age: Ints
    credit_clicks: Floats
    credit_spend: Floats

    @property
    def arrival_of_daily(self) -> Bools:
        """(n_arrivals,) whether the restated row is one of a day."""
        rows = self.rows
        daily = rows.cohorts.daily
        if not daily.any():
            return np.zeros(self.arrival_hour.size, np.bool_)
        if daily.all():
            return np.ones(self.arrival_hour.size, np.bool_)
        mine = np.flatnonzero(rows.daily)
        key = rows.unit[mine].astype(np.int64) * (1 << 32) + (rows.cohorts.hour[rows.cohort[mine]] + (1 << 31))
        return np.isin(self.arrival_unit * (1 << 32) + (self.arrival_hour + (1 << 31)), key)


def gather(known: Known, hours: Sequence[Hour], calendar: PromotionCalendar, profile: WeekProfile) -> Evidence:
    """Arrays of what was known; `hours` are the hours to come that factors are needed for."""
    cut = _micros(known.hour)
    frame = known.performance
    daily = frame["grain"] == "day"
    cohort, cohorts = cohorts_of(
        instants(frame["start_utc"]).view(np.int64),
        cut,
        daily.to_numpy() if daily.any() else np.zeros(frame.height, np.bool_),
        frame["hours"].to_numpy(),
    )
    rows = Rows(
        unit=frame["unit"].to_numpy().view(np.int32),
        cohort=cohort,
        cohorts=cohorts,
        **{name: _plain(frame[name]) for name in ("impressions", "clicks", "spend", "orders", "gmv")},
        bid=frame["bid_cpc"].to_numpy(),  # null becomes NaN
    )
    arrivals = known.arrivals
    arrival_hour = _relative(arrivals["start_utc"], cut)
    earliest = min(int(cohorts.hour.min(initial=0)), int(arrival_hour.min(initial=0)))
    latest = max((h.hours_since(known.hour) for h in hours), default=0)
    latest = max(latest, int((cohorts.hour + cohorts.length - 1).max(initial=0)))
    return Evidence(
        n_units=known.n_units,
        rows=rows,
        factors=_factors(known, earliest, latest, calendar, profile),
        arrival_unit=arrivals["unit"].to_numpy().astype(np.int64),
        arrival_hour=arrival_hour,
        arrival_age=_relative(arrivals["learned_at"], cut) - arrival_hour,
        arrival_orders=_plain(arrivals["orders"]),
        arrival_gmv=_plain(arrivals["gmv"]),
        credit_age=_relative(known.credits["learned_at"], cut) - _relative(known.credits["start_utc"], cut),
        credit_clicks=_plain(known.credits["clicks"]),
        credit_spend=_plain(known.credits["spend"]),
    )


def _micros(hour: Hour) -> int:
    return int(hour.start.timestamp()) * 1_000_000


def _plain(column: pl.Series) -> Floats:
    numbers = column.to_numpy()
    # finite squares sum up to a finite number, and nothing else does
    return numbers if np.isfinite(np.dot(numbers, numbers)) else np.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0)


def _relative(column: pl.Series, cut: int) -> Ints:
    return np.floor_divide(instants(column).astype(np.int64) - cut, US_PER_HOUR)


def _factors(known: Known, first: int, last: int, calendar: PromotionCalendar, profile: WeekProfile) -> HourFactors:
    cut = _micros(known.hour)
    n = last - first + 1
    starts = cut + (first + np.arange(n, dtype=np.int64)) * US_PER_HOUR
    local = pl.Series(starts).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(known.account.timezone)
    day = local.dt.date().to_physical().to_numpy().astype(np.int64)
    hour_of_week = (local.dt.weekday().to_numpy().astype(np.int64) - 1) * 24 + local.dt.hour().to_numpy()
    traffic, value, price = profile.traffic[hour_of_week], np.ones(n), np.ones(n)
    phase = np.zeros(n, np.int64)
    for p in calendar.phases:
        inside = slice(*np.searchsorted(starts, [_edge(p.window.start), _edge(p.window.end)]))
        phase[inside] = PHASE_KINDS.index(p.kind)
        traffic[inside] *= p.traffic
        value[inside] *= p.value
        price[inside] *= p.price
    to_burst = np.full(n, NEVER, np.int64)
    for p in calendar.phases[::-1]:
        if p.kind is PhaseKind.BURST:
            start = int(np.floor_divide(_edge(p.window.start) - cut, US_PER_HOUR)) - first
            before = np.arange(min(max(start, 0), n))
            to_burst[before] = start - before
    forecast = np.zeros(n, np.bool_)
    told = known.priors.hours
    if told.height:
        at = _relative(told["start_utc"], cut) - first
        inside = (at >= 0) & (at < n)
        at = at[inside]
        forecast[at] = True
        for factor, name in ((traffic, "traffic"), (value, "cvr_factor"), (price, "price_factor")):
            number = told[name].to_numpy()[inside]
            usable = np.isfinite(number) & (number > 0)
            factor[at[usable]] = number[usable]
    return HourFactors(first, traffic, value, price, phase, day, hour_of_week, forecast, to_burst)


def _edge(instant: datetime) -> int:
    return int(instant.timestamp() * 1_000_000)
