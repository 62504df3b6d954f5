"""Columns that rooms hand to each other: units, performance rows, live bids, and what was known at an hour.

Tables of units are columns (Polars), never lists of objects. Money is in account currency, times are UTC.
`unit` is the position of a unit in `Known.units`; arrays of units anywhere are in that order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from domain.account import Account
from domain.errors import LookAhead, SchemaMismatch
from domain.time import Hour

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

UTC_TIME = pl.Datetime("us", "UTC")
US_PER_HOUR = 3_600_000_000
GRAIN = pl.Enum(["hour", "day"])

#: One row per bid unit. Null where nobody said; ``prior_*`` is what last month's model says.
UNITS: Mapping[str, pl.DataType] = {
    "unit_id": pl.String(),
    "campaign": pl.String(),
    "ad_group": pl.String(),
    "target": pl.String(),
    "match_type": pl.String(),
    "sku": pl.String(),
    "business_type": pl.String(),
    "category": pl.String(),
    "price": pl.Float64(),
    "margin_rate": pl.Float64(),
    "stock": pl.Float64(),
    "prior_ctr": pl.Float64(),
    "prior_cvr": pl.Float64(),
    "prior_order_value": pl.Float64(),
}

#: What a unit did in one hour or one local day, as known at the cut (one row per unit, start and grain).
#: Orders and gmv are booked on the time of the *click* and grow as conversions come in.
PERFORMANCE: Mapping[str, pl.DataType] = {
    "unit": pl.UInt32(),
    "start_utc": UTC_TIME,
    "grain": GRAIN,
    "hours": pl.Float64(),  # length of the row in hours: 1 for an hour, 23 to 25 for a local day
    "impressions": pl.Float64(),
    "clicks": pl.Float64(),
    "spend": pl.Float64(),
    "orders": pl.Float64(),
    "gmv": pl.Float64(),
    "bid_cpc": pl.Float64(),  # bid in force, null where unknown
    "learned_at": UTC_TIME,
}

#: What one restatement added to a row of an hour: the raw material of the conversion-delay law.
ARRIVALS: Mapping[str, pl.DataType] = {
    "unit": pl.UInt32(),
    "start_utc": UTC_TIME,
    "learned_at": UTC_TIME,
    "orders": pl.Float64(),
    "gmv": pl.Float64(),
}

#: What one restatement changed of an hour's clicks and spend after they were told first: invalid clicks that come back.
CREDITS: Mapping[str, pl.DataType] = {
    "unit": pl.UInt32(),
    "start_utc": UTC_TIME,
    "learned_at": UTC_TIME,
    "clicks": pl.Float64(),
    "spend": pl.Float64(),
}

#: Daily budgets as the platform holds them.
BUDGETS: Mapping[str, pl.DataType] = {
    "campaign": pl.String(),
    "daily_budget": pl.Float64(),
    "learned_at": UTC_TIME,
}

#: What the platform (or last month's model) says of the hours to come, against an ordinary hour = 1.
HOURS: Mapping[str, pl.DataType] = {
    "start_utc": UTC_TIME,
    "traffic": pl.Float64(),
    "cvr_factor": pl.Float64(),
    "price_factor": pl.Float64(),
}

#: Live bids by unit. ``known`` is false where the platform did not tell (then ``bid_cpc`` is a proxy or null).
BIDS: Mapping[str, pl.DataType] = {
    "unit_id": pl.String(),
    "bid_cpc": pl.Float64(),
    "state": pl.Enum(["enabled", "paused", "archived"]),
    "known": pl.Boolean(),
    "edits_today": pl.Int64(),
}

#: What earlier decisions planned for their hour, one row per hour and group: the controller's memory.
PLANNED: Mapping[str, pl.DataType] = {
    "start_utc": UTC_TIME,
    "group": pl.String(),
    "amount": pl.Float64(),  # spend aimed at in that hour, account currency
    "theta": pl.Float64(),  # mean price of money of the group's units, after the trim
    "trim": pl.Float64(),  # factor that the controller put on theta
}

#: What a platform's report says of units and hours; `learned_at` is when it could first be read.
REPORT: Mapping[str, pl.DataType] = {
    "unit_id": pl.String(),
    "start_utc": UTC_TIME,
    "grain": GRAIN,
    "hours": pl.Float64(),
    "impressions": pl.Float64(),
    "clicks": pl.Float64(),
    "spend": pl.Float64(),
    "orders": pl.Float64(),
    "gmv": pl.Float64(),
    "bid_cpc": pl.Float64(),
    "learned_at": UTC_TIME,
}

#: One row of any platform report, as a reader in connectors/ hands it to the warehouse. Dimensions that a
#: report does not have are null. Day rows start at local midnight; the account's zone makes UTC of it.
FACTS: Mapping[str, pl.DataType] = {
    "report": pl.String(),  # targeting, search_term, advertised_product, placement, campaign, performance_over_time
    "start_local": pl.Datetime("us"),
    "grain": GRAIN,
    "campaign": pl.String(),
    "ad_group": pl.String(),
    "target": pl.String(),
    "match_type": pl.String(),
    "sku": pl.String(),
    "search_term": pl.String(),
    "placement": pl.String(),
    "impressions": pl.Float64(),
    "clicks": pl.Float64(),
    "spend": pl.Float64(),
    "orders": pl.Float64(),
    "units_sold": pl.Float64(),
    "new_customer_orders": pl.Float64(),  # orders of people who had not bought before; null where no report tells
    "gmv": pl.Float64(),
    "daily_budget": pl.Float64(),
    "campaign_status": pl.String(),
    "bidding_strategy": pl.String(),
    "portfolio": pl.String(),
    "row_number": pl.Int64(),  # line in the file, the header is line 1
}

#: Columns that together name a fact: a later row with the same key supersedes the earlier one.
FACT_KEY = (
    "report",
    "start_local",
    "grain",
    "campaign",
    "ad_group",
    "target",
    "match_type",
    "sku",
    "search_term",
    "placement",
)

#: Rows that were set aside, with where they came from and why.
QUARANTINE: Mapping[str, pl.DataType] = {
    "row_number": pl.Int64(),
    "reason": pl.String(),  # short, stable, countable: "negative spend"
    "detail": pl.String(),  # what, where, what to do
    "raw": pl.String(),  # the row as read, JSON
}

#: What the trader says of the shop's goods.
CATALOG: Mapping[str, pl.DataType] = {
    "sku": pl.String(),
    "price": pl.Float64(),
    "margin_rate": pl.Float64(),
    "category": pl.String(),
    "business_type": pl.String(),
    "stock": pl.Float64(),
}


def empty(contract: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Table of a contract without rows."""
    return pl.DataFrame(schema=dict(contract))


def check(frame: pl.DataFrame, contract: Mapping[str, pl.DataType], what: str) -> pl.DataFrame:
    """Same table, columns in the contract's order; `SchemaMismatch` names what is missing or of another type."""
    # One look at the schema: each costs a crossing into the data frame's own code, and every hour checks some twenty tables.
    schema = frame.schema
    missing = [name for name in contract if name not in schema]
    if missing:
        raise SchemaMismatch(f"{what}: columns {missing} are missing; it has {frame.columns}")
    wrong = {n: schema[n] for n, dtype in contract.items() if schema[n] != dtype}
    if wrong:
        raise SchemaMismatch(f"{what}: columns of another type: {wrong}; expected { {n: contract[n] for n in wrong} }")
    return frame if list(schema) == list(contract) else frame.select(list(contract))


def instants(column: pl.Series) -> NDArray[np.datetime64]:
    """(n,) times of a column in UTC, microseconds; shares the column's memory, and null becomes NaT.

    Every hour compares times some thirty times: on the shared memory that costs a hundredth of an expression.
    """
    return column.to_numpy()


def moment(instant: datetime) -> np.datetime64:
    """One instant in the form of `instants`."""
    return np.datetime64(instant.astimezone(UTC).replace(tzinfo=None), "us")


@dataclass(frozen=True, slots=True)
class BidTable:
    """Live bids, one row per unit, columns `BIDS`."""

    rows: pl.DataFrame

    def __post_init__(self) -> None:
        check(self.rows, BIDS, "bid table")


@dataclass(frozen=True, slots=True)
class ReportBatch:
    """Rows that a platform reported, columns `REPORT`; may repeat rows that were read before."""

    rows: pl.DataFrame
    source: str = "platform"

    def __post_init__(self) -> None:
        check(self.rows, REPORT, f"report batch from {self.source}")


@dataclass(frozen=True, slots=True)
class Priors:
    """What is believed before the account's own rows speak: last month's model, or pooled defaults.

    Attributes
    ----------
    hours
        Columns `HOURS`, one row per hour that the forecast covers; empty where there is none.
    clicks_per_hour
        (n_units,) click opportunities in an ordinary hour (traffic 1), or ``None``.
    price_median, price_spread
        (n_units,) median market price of a click in account currency and standard deviation of its
        logarithm, or ``None``.
    """

    hours: pl.DataFrame = field(default_factory=lambda: empty(HOURS))
    clicks_per_hour: Floats | None = None
    price_median: Floats | None = None
    price_spread: Floats | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """All that was known of an account when an hour started. Predictors and pacers see nothing else.

    Every row was learned at or before ``hour.start``; making one from later rows raises `LookAhead`.
    """

    account: Account
    hour: Hour
    units: pl.DataFrame
    performance: pl.DataFrame
    arrivals: pl.DataFrame
    live_bids: BidTable
    budgets: pl.DataFrame = field(default_factory=lambda: empty(BUDGETS))
    priors: Priors = field(default_factory=Priors)
    planned: pl.DataFrame = field(default_factory=lambda: empty(PLANNED))
    credits: pl.DataFrame = field(default_factory=lambda: empty(CREDITS))

    def __post_init__(self) -> None:
        check(self.units, UNITS, "units")
        for name, frame, contract in (
            ("performance", self.performance, PERFORMANCE),
            ("arrivals", self.arrivals, ARRIVALS),
            ("budgets", self.budgets, BUDGETS),
            ("credits", self.credits, CREDITS),
        ):
            check(frame, contract, name)
            latest = frame["learned_at"].max()
            if isinstance(latest, datetime) and latest > self.hour.start:
                raise LookAhead(f"{name} holds a row learned at {latest.isoformat()}, after the cut at {self.hour}")
        if self.live_bids.rows.height != self.units.height:
            raise SchemaMismatch(
                f"{self.live_bids.rows.height} live bids for {self.units.height} units; need one each, in order"
            )

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.units.height

    def reported_until(self) -> datetime | None:
        """End of the newest hour or day that a row describes; ``None`` without rows."""
        rows = self.performance
        if not rows.height:
            return None
        minutes = (rows["hours"].to_numpy() * 60).astype("timedelta64[m]")
        return (instants(rows["start_utc"]) + minutes).max().item().replace(tzinfo=UTC)

    def planned_for(self, group: str) -> tuple[NDArray[np.datetime64], Floats]:
        """(n,) hours that earlier decisions planned, in their order, and (n,) spend that each planned for a group."""
        mine = np.flatnonzero((self.planned["group"] == group).to_numpy())
        return instants(self.planned["start_utc"])[mine], self.planned["amount"].to_numpy()[mine]

    def spend_in(self, starts: NDArray[np.datetime64]) -> Floats:
        """(n,) spend that rows of single hours tell for hours that begin at `starts`; NaN where no row does."""
        rows = self.performance
        if not starts.size or not rows.height:
            return np.full(starts.size, np.nan)
        first = starts.min()
        begun = instants(rows["start_utc"])
        near = np.flatnonzero((begun >= first) & (begun <= starts.max()) & (rows["grain"] == "hour").to_numpy())
        hour, asked = ((at - first).astype(np.int64) // US_PER_HOUR for at in (begun[near], starts))
        size = int(asked.max()) + 1
        told = np.bincount(hour, weights=np.nan_to_num(rows["spend"].to_numpy()[near]), minlength=size)
        return np.where(np.bincount(hour, minlength=size)[asked] > 0, told[asked], np.nan)

    def totals(self) -> dict[str, float]:
        """Spend, clicks, orders and gmv of all that was known."""
        return {name: float(self.performance[name].sum()) for name in ("spend", "clicks", "orders", "gmv")}
