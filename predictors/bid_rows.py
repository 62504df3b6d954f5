"""Rows of hours at known bids, with what is forecast of their market: what price and traffic are learned from."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit

from domain.tables import Bools, Floats, Ints
from predictors.rows import Positions, Rows, frozen

#: Rows from which on single precision does: its rounding is a ten-millionth, and of each row alone.
SINGLE_FROM = 4_000_000
#: Rows from which on what all units share is learned from some units alone, and how many rows these have.
SAMPLED_FROM, SAMPLED = 4_000_000, 2_000_000
#: Knuth's multiplier: positions of units, times this, are spread over 32 bits without a pattern that catalogs have too.
_SPREAD = 2654435761


@dataclass(frozen=True, slots=True)
class BidRows:
    """Rows in order of time.

    Attributes
    ----------
    unit, hour
        (n_rows,) positions; hours count from the first one.
    clicks, spend, bid
        (n_rows,) as reported.
    log_median, spread
        (n_units,) log of the forecast median price in an ordinary hour, and log-sd of prices.
    per_hour
        (n_units,) click opportunities in an ordinary hour; NaN where nobody forecast them.
    log_factor, traffic
        (n_hours,) log of the hour's forecast factor on prices, and on opportunities.
    """

    unit: Positions
    hour: Positions
    clicks: Floats
    spend: Floats
    bid: Floats
    log_median: Floats
    spread: Floats
    per_hour: Floats
    log_factor: Floats
    traffic: Floats

    def __post_init__(self) -> None:
        for name in BidRows.__slots__:
            column = getattr(self, name)
            kind = np.int32 if name in ("unit", "hour") else np.float64
            object.__setattr__(self, name, frozen(column.astype(kind, copy=False)))

    @property
    def kind(self) -> Any:
        """Precision of what is reckoned by row: of millions of rows single does, for less memory and time."""
        return np.float32 if self.unit.size >= SINGLE_FROM else np.float64

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.log_median.size

    @property
    def n_hours(self) -> int:
        """Number of hours."""
        return self.log_factor.size

    @property
    def log_price(self) -> Floats:
        """(n_rows,) log of the forecast median price of the row's unit and hour."""
        return self.log_median[self.unit] + self.log_factor[self.hour]

    @property
    def coming(self) -> Floats:
        """(n_rows,) clicks that the forecast expects at an unbeatable bid."""
        return self.traffic[self.hour] * self.per_hour[self.unit]

    def with_median(self, log_median: Floats) -> "BidRows":
        """The rows with other medians."""
        return replace(self, log_median=log_median)

    def with_law(self, median: float, spread: float, volume: float) -> "BidRows":
        """The rows with another law of all units' forecasts: what is added to logarithms of median, spread and volume."""
        return replace(
            self, log_median=self.log_median + median, spread=self.spread * np.exp(spread),
            per_hour=self.per_hour * np.exp(volume),
        )  # fmt: skip

    def some(self, chosen: Ints) -> tuple["BidRows", Ints]:
        """Some of the rows, with their units and hours alone, and (n_hours,) which hours those are."""
        units, unit = np.unique(self.unit[chosen], return_inverse=True)
        hours, hour = np.unique(self.hour[chosen], return_inverse=True)
        rows = BidRows(
            unit.astype(np.int32), hour.astype(np.int32), self.clicks[chosen], self.spend[chosen], self.bid[chosen],
            self.log_median[units], self.spread[units], self.per_hour[units],
            self.log_factor[hours], self.traffic[hours],
        )  # fmt: skip
        return rows, hours.astype(np.int64)


@dataclass(frozen=True, slots=True)
class Sample:
    """All rows of some units, who are told from the others by their position alone.

    Attributes
    ----------
    rows
        The rows, with all hours and with those units alone.
    at
        (n_rows,) their positions among all rows.
    units
        (n_units,) positions of the units among all units.
    """

    rows: BidRows
    at: Ints
    units: Ints

    @classmethod
    def of(cls, rows: BidRows) -> "Sample | None":
        """About `SAMPLED` rows, or ``None`` where there are so few rows that all of them are looked at.

        What all units share (levels of hours, elasticity, spreads) is known from millions of rows more exactly than the model
        is true; what single units are needs their own rows, and those are all looked at.
        """
        if rows.unit.size < SAMPLED_FROM:
            return None
        share = int(2**32 * (SAMPLED / rows.unit.size))
        mixed = np.arange(rows.n_units, dtype=np.uint64) * np.uint64(_SPREAD) % np.uint64(2**32)
        units = np.flatnonzero(mixed < share)
        place = np.full(rows.n_units, -1, np.int32)
        place[units] = np.arange(units.size)
        at, unit = _of_units(rows.unit, place)
        return cls(
            BidRows(
                unit, rows.hour[at], rows.clicks[at], rows.spend[at], rows.bid[at],
                rows.log_median[units], rows.spread[units], rows.per_hour[units], rows.log_factor, rows.traffic,
            ), at, units,
        )  # fmt: skip


@njit(cache=True)
def _of_units(unit, place):
    """Positions of rows whose unit has a place, and that place."""
    n = 0
    for r in range(unit.size):
        n += place[unit[r]] >= 0
    at, found = np.empty(n, np.int64), np.empty(n, np.int32)
    k = 0
    for r in range(unit.size):
        if place[unit[r]] >= 0:
            at[k], found[k] = r, place[unit[r]]
            k += 1
    return at, found


@dataclass(frozen=True, slots=True)
class Told:
    """Which rows have a bid that was told.

    Attributes
    ----------
    rows, clicks
        How many there are, and their clicks.
    wanted
        (n_cohorts,) cohorts that price and traffic may be learned from.
    kept
        Number of rows with a bid in those cohorts.
    in_order
        Whether these are in order of time already.
    """

    rows: int
    clicks: float
    wanted: Bools
    kept: int
    in_order: bool

    @classmethod
    def of(cls, rows: Rows, oldest: float) -> "Told":
        """Rows with a bid; those of single hours not older than `oldest` hours are wanted."""
        wanted = ~rows.cohorts.daily & (rows.cohorts.age <= oldest)
        return cls(*_survey(rows.cohort, rows.bid, rows.clicks, wanted))

    def order(self, rows: Rows) -> "Ints | slice":
        """Positions of the rows that are kept, in order of time."""
        if self.in_order and self.kept == rows.unit.size:
            return slice(None)
        kept = np.flatnonzero(self.wanted[rows.cohort] & np.isfinite(rows.bid) & (rows.bid > 0))
        return kept if self.in_order else kept[np.argsort(rows.cohort[kept], kind="stable")]


@njit(cache=True)
def _survey(cohort, bid, clicks, wanted):
    told, clicked, kept, in_order, last = 0, 0.0, 0, True, -1
    for r in range(cohort.size):
        if bid[r] > 0.0 and bid[r] < np.inf:
            told += 1
            clicked += clicks[r]
            if wanted[cohort[r]]:
                kept += 1
                in_order = in_order and cohort[r] >= last
                last = cohort[r]
    return told, clicked, wanted, kept, in_order
