"""Hours, windows and clocks.

An `Hour` is the UTC instant at which an account-local hour starts; in zones with a half-hour offset that
instant lies at :30. Days and daily budgets are *local* days of 23, 24 or 25 hours. Nobody below the edge
(cli, flows, dashboard) asks the system for the time: a `Clock` is passed in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domain.errors import ConfigError

ONE_HOUR = timedelta(hours=1)

#: Years in which an hour that a person writes may lie; beyond them calendars and time zones mean nothing.
FIRST_YEAR, LAST_YEAR = 1990, 2100


def zone(name: str) -> ZoneInfo:
    """Time zone by IANA name; `ConfigError` with a remedy where there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"unknown time zone {name!r}; use an IANA name such as Asia/Kolkata or UTC") from error


@dataclass(frozen=True, slots=True, order=True)
class Hour:
    """One hour of an account.

    Attributes
    ----------
    start
        Instant at which the hour starts, aware, in UTC.
    """

    start: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.start.utcoffset() != timedelta(0):
            raise ConfigError(f"an Hour starts at an aware UTC instant, got {self.start!r}")
        if self.start.second or self.start.microsecond or self.start.minute % 15:
            raise ConfigError(f"an Hour starts on the hour of its account's time zone, got {self.start.isoformat()}")

    @classmethod
    def containing(cls, instant: datetime, tz: tzinfo) -> "Hour":
        """Hour of the zone `tz` in which an aware instant lies."""
        if instant.tzinfo is None:
            raise ConfigError(f"the instant {instant.isoformat()} has no time zone; add one, such as +05:30 or Z")
        local = instant.astimezone(tz)
        past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        return cls(instant.astimezone(UTC) - past)

    @classmethod
    def parse(cls, text: str, tz: tzinfo) -> "Hour":
        """Hour that contains an ISO 8601 instant; one without offset is read in `tz`."""
        try:
            instant = datetime.fromisoformat(text.strip())
        except ValueError as error:
            raise ConfigError(f"cannot read the time {text!r}; write it as 2026-11-11T20:00+08:00") from error
        if not FIRST_YEAR <= instant.year <= LAST_YEAR:
            raise ConfigError(f"the time {text!r} lies outside the years {FIRST_YEAR} to {LAST_YEAR}")
        return cls.containing(instant if instant.tzinfo else instant.replace(tzinfo=tz), tz)

    @property
    def end(self) -> datetime:
        """Instant at which the hour ends (exclusive)."""
        return self.start + ONE_HOUR

    def plus(self, hours: int) -> "Hour":
        """Return the hour that lies `hours` later (earlier where negative)."""
        return Hour(self.start + hours * ONE_HOUR)

    def hours_since(self, other: "Hour") -> int:
        """Whole hours from `other` to this hour."""
        return round((self.start - other.start) / ONE_HOUR)

    def local(self, tz: tzinfo) -> datetime:
        """Wall-clock time at which the hour starts."""
        return self.start.astimezone(tz)

    def __str__(self) -> str:
        return self.start.strftime("%Y-%m-%dT%H:%MZ")


def day_start(day: date, tz: tzinfo) -> datetime:
    """UTC instant at which a local day starts."""
    return datetime(day.year, day.month, day.day, tzinfo=tz).astimezone(UTC)


def day_end(day: date, tz: tzinfo) -> datetime:
    """UTC instant at which a local day ends (exclusive); days have 23, 24 or 25 hours."""
    return day_start(day + timedelta(days=1), tz)


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open stretch of time [start, end), aware UTC instants."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ConfigError(f"a window needs aware instants, got {self.start!r} and {self.end!r}")
        if self.end <= self.start:
            raise ConfigError(
                f"a window must end after it starts, got {self.start.isoformat()} to {self.end.isoformat()}"
            )

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def hours(self) -> Iterator[Hour]:
        """Hours that start inside the window, in order."""
        hour = Hour(self.start)
        while hour.start < self.end:
            yield hour
            hour = hour.plus(1)

    def overlaps(self, other: "Window") -> bool:
        """Whether the two windows share an instant."""
        return self.start < other.end and other.start < self.end


class Clock(Protocol):
    """Tells the time; passed in, so that past hours can be decided again."""

    def now(self) -> datetime:
        """Present instant, aware, in UTC."""
        ...


@dataclass(slots=True)
class FixedClock:
    """A clock that stands where it is put."""

    instant: datetime

    def now(self) -> datetime:
        """Instant at which the clock was put."""
        return self.instant
