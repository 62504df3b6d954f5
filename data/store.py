"""One account's rows, cut at an hour: what the SQL store remembers, and honestly.

Two kinds of rows meet here: facts that were imported from files (`data.ingest`), from which units are found,
and rows of units that a platform reports directly (`append`), whose units were declared. A cut sees versions
learned at or before the hour's start, and nothing else.
"""

from datetime import datetime

import polars as pl

from data.database import Database
from data.ingest import FACT_TABLE, STORED_FACTS
from data.localtime import periods
from data.priors import PriorRows
from data.rows import STORED_BIDS, STORED_BUDGETS, STORED_CATALOG, STORED_REPORT, STORED_UNITS, Rows, add
from data.units import UnitRows, budgets_of, unit_rows
from data.versions import NUMBERS, in_force, settle, whole_rows
from data.warehouse import Warehouse
from domain.account import Account
from domain.errors import DataError
from domain.tables import (
    ARRIVALS,
    BIDS,
    BUDGETS,
    CATALOG,
    CREDITS,
    PERFORMANCE,
    REPORT,
    UNITS,
    UTC_TIME,
    BidTable,
    Known,
    Priors,
    ReportBatch,
    check,
)
from domain.time import Hour

UNIT_ROW = ("unit_id", "start_utc", "grain")
#: What a platform says of a unit's row; a change of any makes a version.
ROW_NUMBERS = (*NUMBERS, "hours", "bid_cpc")


class AccountStore:
    """`ReportStore` and `AsOf` of one account of a workspace."""

    def __init__(
        self, database: Database, warehouse: Warehouse, account: Account, priors: Priors | None = None
    ) -> None:
        self._database = database
        self._warehouse = warehouse
        self._account = account
        self._priors = priors
        self._prior_rows = PriorRows(database, warehouse, account.name)

        def rows(table: str, schema: object) -> Rows:
            return Rows(database, warehouse, account.name, table, schema)  # type: ignore[arg-type]

        self._facts = rows(FACT_TABLE, STORED_FACTS)
        self._reported = rows("unit_rows", STORED_REPORT)
        self._bids = rows("bids", STORED_BIDS)
        self._declared = rows("units", STORED_UNITS)
        self._budgets = rows("budgets", STORED_BUDGETS)
        self._catalog = rows("catalog", STORED_CATALOG)

    # -- writing ------------------------------------------------------------------------------------------------

    def append(self, batch: ReportBatch, live: BidTable, learned_at: datetime) -> None:
        """Keep what is new in a batch and in the live bids; both appear at once.

        Rows count from their own ``learned_at`` on, bids from `learned_at` on. Rows of units that nobody
        declared and no report named raise `DataError`.
        """
        rows = whole_rows(batch)
        add(
            self._database,
            self._warehouse,
            lambda: [
                (self._reported, self._news(rows)),
                (self._bids, self._new_bids(live.rows, learned_at)),
            ],
        )

    def declare_units(self, units: pl.DataFrame, learned_at: datetime) -> None:
        """Say which units there are, columns `UNITS`; later declarations of a unit supersede."""
        units = check(units, UNITS, "units")
        if units["unit_id"].is_duplicated().any():
            raise DataError(
                f"units declared twice: {units.filter(units['unit_id'].is_duplicated())['unit_id'][:5].to_list()}"
            )

        def make() -> list[tuple[Rows, pl.DataFrame]]:
            there = self._declared.all()
            first = there.group_by("unit_id").agg(pl.col("position").min())
            start = 0 if not there.height else int(there["position"].max()) + 1  # type: ignore[arg-type]
            placed = units.join(first, on="unit_id", how="left", maintain_order="left").with_columns(
                pl.coalesce("position", start + pl.int_range(pl.len())).alias("position"),
                pl.lit(learned_at).cast(UTC_TIME).alias("learned_at"),
            )
            return [(self._declared, placed)]

        add(self._database, self._warehouse, make)

    def store_budgets(self, budgets: pl.DataFrame) -> None:
        """Keep daily budgets that a platform told, columns `BUDGETS`."""
        frame = check(budgets, BUDGETS, "budgets")
        add(self._database, self._warehouse, lambda: [(self._budgets, frame)])

    def store_priors(self, priors: Priors, units: pl.Series, learned_at: datetime) -> None:
        """Keep what a forecast says of hours and units; `units` names the units that its arrays follow."""
        self._prior_rows.store(priors, units, learned_at)

    def store_bids(self, bids: BidTable, learned_at: datetime) -> None:
        """Keep live bids that were read apart from reports (a bulk sheet)."""
        add(self._database, self._warehouse, lambda: [(self._bids, self._new_bids(bids.rows, learned_at))])

    # -- reading ------------------------------------------------------------------------------------------------

    def at(self, hour: Hour) -> Known:
        """All that was known when `hour` started."""
        cut = hour.start
        versions = self.versions(cut)
        facts = unit_rows(versions, self.catalog(cut))
        units = self._units(facts, cut)
        position = units.select("unit_id").with_row_index("unit").with_columns(pl.col("unit").cast(pl.UInt32))
        reported = settle(self._reported.until(cut), UNIT_ROW, ROW_NUMBERS)
        told = facts.performance.with_columns(self._bid_in_force(facts.performance, cut))
        performance = pl.concat([told, reported.latest.select(told.columns)])
        arrivals = pl.concat([facts.arrivals, reported.steps.select(facts.arrivals.columns)])
        return Known(
            account=self._account,
            hour=hour,
            units=units,
            performance=performance.join(position, on="unit_id")
            .sort("start_utc", "grain", "unit")
            .select(list(PERFORMANCE)),
            arrivals=arrivals.join(position, on="unit_id")
            .sort("learned_at", "start_utc", "unit", "orders", "gmv")
            .select(list(ARRIVALS)),
            credits=reported.credits.filter(pl.col("grain") == "hour")
            .join(position, on="unit_id")
            .sort("learned_at", "start_utc", "unit", "clicks", "spend")
            .select(list(CREDITS)),
            live_bids=BidTable(self._live_bids(units, cut)),
            budgets=self._budgets_at(versions, cut),
            priors=self._prior_rows.at(units["unit_id"], cut) if self._priors is None else self._priors,
        )

    def notes(self, hour: Hour) -> tuple[str, ...]:
        """What a person should know of how the units at an hour were found."""
        return self._found(hour.start).notes

    def units(self, cut: datetime | None = None) -> pl.DataFrame:
        """Units as known at an instant (``None``: now), columns `UNITS`."""
        return self._units(self._found(cut), cut)

    def versions(self, cut: datetime | None = None) -> pl.DataFrame:
        """All versions of imported facts, with ``start_utc`` and ``hours``."""
        rows = self._facts.until(cut)
        spans = periods(rows, self._account.tz).with_columns(
            ((pl.col("end_utc") - pl.col("start_utc")).dt.total_seconds() / 3600.0).alias("hours")
        )
        placed = rows.join(
            spans.select("start_local", "grain", "start_utc", "hours"),
            on=("start_local", "grain"),
            maintain_order="left",
        )
        return placed.filter(pl.col("start_utc").is_not_null())

    def catalog(self, cut: datetime | None = None) -> pl.DataFrame:
        """What was known of goods at an instant (``None``: now), columns `CATALOG`."""
        rows = self._catalog.until(cut).sort("learned_at", "seq", maintain_order=True)
        return rows.unique("sku", keep="last").sort("sku").select(list(CATALOG))

    def budgets(self, cut: datetime | None = None) -> pl.DataFrame:
        """Daily budgets as known at an instant (``None``: now), columns `BUDGETS`."""
        return self._budgets_at(self.versions(cut), cut)

    # -- parts --------------------------------------------------------------------------------------------------

    def _found(self, cut: datetime | None) -> UnitRows:
        return unit_rows(self.versions(cut), self.catalog(cut))

    def _units(self, facts: UnitRows, cut: datetime | None) -> pl.DataFrame:
        declared = (
            self._declared.until(cut)
            .sort("learned_at", "seq", maintain_order=True)
            .unique("unit_id", keep="last")
            .sort("position", "unit_id")
            .select(list(UNITS))
        )
        # A campaign that only coarse reports tell of is one unit; its targets beside it would count it twice.
        coarse = facts.units.filter(pl.col("ad_group").is_null() & pl.col("target").is_null())
        declared = declared.join(coarse, on="campaign", how="anti", maintain_order="left").join(
            facts.units.select("unit_id", pl.col("sku").alias("_sku")), on="unit_id", how="left", maintain_order="left"
        )
        declared = declared.with_columns(pl.coalesce("sku", "_sku")).drop("_sku")
        found = facts.units.join(declared, on="unit_id", how="anti", maintain_order="left")
        missing = [pl.lit(None, UNITS[n]).alias(n) for n in UNITS if n not in found.columns]
        both = pl.concat([declared, found.with_columns(missing).select(list(UNITS))])
        both = both.join(facts.business_type, on="campaign", how="left", suffix="_told", maintain_order="left")
        both = both.with_columns(pl.coalesce("business_type", "business_type_told")).select(list(UNITS))
        goods = self.catalog(cut)
        filled = ("price", "margin_rate", "category", "stock")
        joined = both.join(goods, on="sku", how="left", suffix="_said", maintain_order="left")
        return joined.with_columns(pl.coalesce(n, f"{n}_said").alias(n) for n in filled).select(list(UNITS))

    def _bid_in_force(self, rows: pl.DataFrame, cut: datetime | None) -> pl.Series:
        """Known live bid of the unit when the row starts; null where unknown."""
        bids = self._bids.until(cut).filter(pl.col("known") & pl.col("bid_cpc").is_not_null())
        if not bids.height or not rows.height:
            return pl.Series("bid_cpc", [None] * rows.height, dtype=pl.Float64)
        placed = rows.select("unit_id", "start_utc").with_row_index("_row").sort("start_utc")
        joined = placed.join_asof(
            bids.select("unit_id", "learned_at", "bid_cpc").sort("learned_at"),
            left_on="start_utc",
            right_on="learned_at",
            by="unit_id",
            check_sortedness=False,
        )
        return joined.sort("_row")["bid_cpc"]

    def _live_bids(self, units: pl.DataFrame, cut: datetime | None) -> pl.DataFrame:
        newest = self._bids.until(cut).sort("learned_at", "seq", maintain_order=True).unique("unit_id", keep="last")
        joined = units.select("unit_id").join(newest, on="unit_id", how="left", maintain_order="left")
        return joined.with_columns(
            pl.col("state").fill_null("enabled"), pl.col("known").fill_null(False), pl.col("edits_today").fill_null(0)
        ).select(list(BIDS))

    def _budgets_at(self, versions: pl.DataFrame, cut: datetime | None) -> pl.DataFrame:
        told = self._budgets.until(cut).sort("learned_at", "seq", maintain_order=True).unique("campaign", keep="last")
        both = pl.concat([budgets_of(versions), told.select(list(BUDGETS))])
        newest = both.sort("learned_at", maintain_order=True).unique("campaign", keep="last")
        return newest.sort("campaign").select(list(BUDGETS))

    def _news(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of a batch that differ from the version in force when they were learned."""
        self._refuse_strangers(rows)
        rows = rows.unique((*UNIT_ROW, "learned_at"), keep="last", maintain_order=True)
        stored = self._reported.all()
        if not stored.height or not rows.height:
            return rows
        stored = stored.filter(pl.col("start_utc").is_between(rows["start_utc"].min(), rows["start_utc"].max()))
        joined = in_force(rows, stored, UNIT_ROW)
        same = pl.all_horizontal(pl.col(n).eq_missing(pl.col(f"{n}_old")) for n in ROW_NUMBERS)
        return joined.filter(~same | pl.col("seq").is_null()).select(list(REPORT))

    def _refuse_strangers(self, rows: pl.DataFrame) -> None:
        named = rows.select(pl.col("unit_id").unique())
        strangers = named.join(self._declared.all().select("unit_id"), on="unit_id", how="anti")
        if strangers.height:
            strangers = strangers.join(self._found(None).units, on="unit_id", how="anti")
        if strangers.height:
            raise DataError(
                f"reports name {strangers.height} units that account {self._account.name!r} does not have, such as "
                f"{strangers['unit_id'].sort().head(3).to_list()}; declare the units first, or import their reports"
            )

    def _new_bids(self, bids: pl.DataFrame, learned_at: datetime) -> pl.DataFrame:
        """Live bids that differ from those in force at `learned_at`."""
        told = check(bids, BIDS, "bid table").with_columns(pl.lit(learned_at).cast(UTC_TIME).alias("learned_at"))
        joined = in_force(told, self._bids.all(), ("unit_id",))
        same = pl.all_horizontal(pl.col(n).eq_missing(pl.col(f"{n}_old")) for n in BIDS if n != "unit_id")
        return joined.filter(~same | pl.col("seq").is_null()).select(*BIDS, "learned_at")
