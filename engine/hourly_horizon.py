"""Hours of one campaign: from start to end, with the traffic that each is expected to bring."""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from domain.errors import ConfigError
from domain.tables import Floats
from domain.time import Hour
from predictors.profile import HOURS_OF_WEEK, WeekProfile

#: A point in time: a date and time (taken as local wall-clock time), an `Hour`, or a number of hours.
Moment = datetime | Hour | int

MOST_HOURS = 24 * 366
#: Without a forecast the shipped profile is taken at this power: other shops' days are less steep, or shifted.
SOFT = 0.65
#: Hours of no expected traffic count as this share of a mean hour: a forecast of nothing may be wrong.
LEAST_TRAFFIC = 1e-3


@dataclass(frozen=True, slots=True)
class HourlyHorizon:
    """Hours of a campaign; all arrays (n_hours,).

    Attributes
    ----------
    start
        Moment at which it starts.
    log_shape
        Log of expected traffic over that of a mean hour.
    waves
        (n_hours, 4) cosine and sine of the hour of day and of its double: the forms in which the day may differ.
    day
        Position of each hour's local day.
    expected
        Impressions expected in a mean hour; ``None`` where nobody forecast how many.
    told
        Whether the traffic was forecast by the caller.
    """

    start: Moment
    log_shape: Floats
    waves: Floats
    day: NDArray[np.int64]
    expected: float | None
    told: bool

    @property
    def n_hours(self) -> int:
        """Number of hours."""
        return self.log_shape.size

    @classmethod
    def of(cls, start: Moment, end: Moment, forecast: Sequence[float] | Floats | None) -> "HourlyHorizon":
        """Horizon between two moments; `ConfigError` where they or the forecast make no sense.

        Parameters
        ----------
        forecast
            Impressions expected in each hour from start to end; or 168 numbers from Monday 00:00, or 24 from
            midnight. Where they sum to 1 or have the mean 1 they are shares, and say nothing of the level.
        """
        n = hours_between(start, end, round_up=True)
        if n < 1:
            raise ConfigError(f"a campaign must end after it starts, got start {start} and end {end}")
        if n > MOST_HOURS:
            raise ConfigError(f"a campaign may last {MOST_HOURS} hours, got {n} from {start} to {end}")
        week = (_hour_of_week(start) + np.arange(n)) % HOURS_OF_WEEK
        expected: float | None = None
        if forecast is None:
            traffic = WeekProfile.default().traffic[week] ** SOFT
        else:
            traffic, expected = _told(forecast, week)
        shape = np.maximum(traffic / traffic.mean(), LEAST_TRAFFIC)
        angle = 2 * np.pi * (week % 24) / 24
        waves = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)], axis=-1)
        day = np.cumsum(np.concatenate([[0], (week[1:] // 24) != (week[:-1] // 24)]).astype(np.int64))
        return cls(start, np.log(shape / shape.mean()), waves, day, expected, forecast is not None)

    def new_day(self, position: int) -> bool:
        """Whether a local day begins with this hour of the campaign."""
        return 0 < position < self.n_hours and bool(self.day[position] != self.day[position - 1])

    def position(self, hour: Moment) -> int:
        """Hours from the start to a moment; below 0 before it."""
        return hours_between(self.start, hour)


def hours_between(first: Moment, second: Moment, *, round_up: bool = False) -> int:
    """Whole hours from one moment to another; `ConfigError` where they are not of one kind."""
    a, b = _plain(first), _plain(second)
    if isinstance(a, int) and isinstance(b, int):
        return b - a
    if isinstance(a, datetime) and isinstance(b, datetime):
        if (a.tzinfo is None) != (b.tzinfo is None):
            raise ConfigError(f"{a.isoformat()} and {b.isoformat()}: give both moments a time zone, or neither")
        hours = (b - a) / timedelta(hours=1)
        return math.ceil(hours) if round_up else math.floor(hours)
    raise ConfigError(f"give all moments as dates with time, or all as whole hours, got {first!r} and {second!r}")


def _plain(moment: object) -> datetime | int:
    if isinstance(moment, Hour):
        return moment.start
    if isinstance(moment, datetime):
        return moment
    if isinstance(moment, SupportsIndex) and not isinstance(moment, bool):
        return operator.index(moment)  # NumPy's whole numbers too
    raise ConfigError(f"a moment is a date with time or a whole number of hours, got {moment!r}")


def _hour_of_week(moment: Moment) -> int:
    """Of the wall clock as given; whole hours count from a Monday 00:00."""
    plain = _plain(moment)
    return plain % HOURS_OF_WEEK if isinstance(plain, int) else 24 * plain.weekday() + plain.hour


def _told(forecast: Sequence[float] | Floats, week: NDArray[np.int64]) -> tuple[Floats, float | None]:
    """Traffic of each hour, and of a mean one."""
    numbers = np.asarray(forecast, np.float64)
    if numbers.ndim != 1 or numbers.size not in (week.size, HOURS_OF_WEEK, 24):
        raise ConfigError(
            f"traffic_forecast: give {week.size} numbers, one per hour of the campaign (or 168 of a week, or 24 of a "
            f"day), got shape {numbers.shape}"
        )
    if not np.isfinite(numbers).all() or (numbers < 0).any() or not numbers.sum() > 0:
        raise ConfigError("traffic_forecast: numbers must be finite, 0 or more, and not all 0; leave it out otherwise")
    total, mean = float(numbers.sum()), float(numbers.mean())
    if numbers.size != week.size:
        numbers = numbers[week] if numbers.size == HOURS_OF_WEEK else numbers[week % 24]
    shares = total <= 1.5 or abs(mean - 1) < 0.05
    if not numbers.sum() > 0:
        numbers = np.ones(week.size)
    return numbers, None if shares else max(float(numbers.mean()), 1e-9)
