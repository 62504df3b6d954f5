"""From the rows of one report file to facts: what is new, what is the same, what is corrected.

The same rows change nothing, whatever the file around them looks like. A row that was imported before with
other numbers becomes a further version; the old one stays. All of a file's facts, its entry in the list of
imports and the index of its quarantine appear in one transaction, or not at all.

When a row was learned: rows of a day that no import of that report and campaign had told of before are history,
learned at the end of the hour or day they describe plus the platform's report lag (an assumption, marked as
such, and never later than now). Corrections, and rows that turn up later for a day that was imported before, are
learned now; so is history that a decision was made without although it could have been read. A `learned_at` that the
caller states holds for all rows.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from data.compare import compare
from data.database import Database
from data.imports import IngestResult, Source, enter, prepare, reasons_of, was_read
from data.localtime import periods
from data.schema import imports
from data.warehouse import LiveFile, Warehouse
from domain.account import Account
from domain.errors import ConfigError, DataError
from domain.tables import FACT_KEY, FACTS, QUARANTINE, UTC_TIME, check, empty

FACT_TABLE = "reports"

#: Columns of the stored facts.
STORED_FACTS: Mapping[str, pl.DataType] = {
    **FACTS,
    "learned_at": UTC_TIME,
    "assumed": pl.Boolean(),
    "file_id": pl.String(),
    "account": pl.String(),
    "seq": pl.Int64(),
}

VALUES = tuple(name for name in FACTS if name not in FACT_KEY and name != "row_number")
_COVER = ("start_local", "campaign")
_ATTEMPTS = 3


class Ingestion:
    """Takes report files into one account."""

    def __init__(self, database: Database, warehouse: Warehouse, account: Account) -> None:
        self._database = database
        self._warehouse = warehouse
        self._account = account

    def ingest(self, rows: pl.DataFrame, quarantined: pl.DataFrame, source: Source, now: datetime) -> IngestResult:
        """Take the rows of one file; raises `DataError` and imports nothing where they do not fit the account."""
        rows = check(rows, FACTS, f"rows of {source.file}")
        quarantined = check(quarantined, QUARANTINE, f"quarantined rows of {source.file}")
        other = rows.filter(pl.col("report") != source.report)["report"].unique().to_list()
        if other:
            raise DataError(f"{source.file}: rows of report {sorted(other)} in a file of report {source.report!r}")
        if source.learned_at is not None and source.learned_at > now:
            raise ConfigError(
                f"{source.file}: it cannot have been learned at {source.learned_at.isoformat()}, which lies ahead"
            )
        rows, aside = _set_aside(rows, self._account)
        quarantined = pl.concat([quarantined, aside])
        for _ in range(_ATTEMPTS):
            try:
                return self._once(rows, quarantined, source, now, None)
            except IntegrityError:
                continue  # another import of this account came between: compare again
        with self._database.write() as turn:  # they keep coming between: compare while they wait
            self._warehouse.take_turn(turn, self._account.name)
            return self._once(rows, quarantined, source, now, turn)

    def _once(
        self,
        rows: pl.DataFrame,
        quarantined: pl.DataFrame,
        source: Source,
        now: datetime,
        turn: sa.Connection | None,
    ) -> IngestResult:
        """Compare and store; in the transaction `turn` where there is one, else in one of its own."""
        name, span = self._account.name, _span(rows)
        with self._database.read() if turn is None else nullcontext(turn) as connection:
            warnings = self._refuse_mixtures(connection, source)
            files = self._warehouse.live(connection, name, FACT_TABLE, part=source.report, between=span) if span else []
            seq = self._warehouse.next_seq(connection, name, FACT_TABLE)
            read_before = was_read(connection, name, source)
        found = _sort_out(rows, self._stored(files, rows), source, now, read_before=read_before)
        result = IngestResult(
            found.new,
            rows.height - found.told.height,
            found.told.height - found.new,
            quarantined.height,
            (*warnings, *found.warnings),
            reasons_of(quarantined),
        )
        if read_before and not found.told.height:
            return result
        entry = prepare(self._warehouse, name, source, quarantined, now, read_before=read_before)
        staged = []
        if found.told.height:
            facts = found.told.with_columns(
                pl.lit(entry.id).alias("file_id"), pl.lit(name).alias("account"), pl.lit(seq, pl.Int64()).alias("seq")
            )
            first, last = _span(facts) or (None, None)
            facts = check(facts, STORED_FACTS, "facts")
            staged.append(
                self._warehouse.stage(FACT_TABLE, facts, part=source.report, first_start=first, last_start=last)
            )
        with self._database.write() if turn is None else nullcontext(turn) as connection:
            self._refuse_mixtures(connection, source)  # again: now nobody can come between
            enter(connection, self._warehouse, entry, result, None if span is None else (span[0][:10], span[1][:10]))
            self._warehouse.register(connection, name, staged, seq)
        return result

    def _stored(self, files: list[LiveFile], rows: pl.DataFrame) -> pl.DataFrame:
        scan = self._warehouse.scan([f.path for f in files], STORED_FACTS)
        if rows.height:
            scan = scan.filter(pl.col("start_local").is_between(rows["start_local"].min(), rows["start_local"].max()))
        return self._warehouse.collect(scan.select("learned_at", "seq", *FACT_KEY, *VALUES))

    def _refuse_mixtures(self, connection: sa.Connection, source: Source) -> list[str]:
        """Refuse another currency or another attribution window; warn where two reports differ in the window."""
        account = self._account
        if source.currency is not None and source.currency != account.currency:
            raise DataError(
                f"{source.file}: its money is {source.currency}, account {account.name!r} keeps {account.currency}; "
                "import it into an account of its own (--account NAME)"
            )
        if source.attribution_days is None:
            return []
        query = (
            sa.select(imports.c.report, imports.c.attribution_days, imports.c.file)
            .where(imports.c.account == account.name, imports.c.attribution_days.is_not(None))
            .order_by(imports.c.imported_at)
        )
        warnings: dict[str, str] = {}
        for report, days, file in connection.execute(query):
            if days == source.attribution_days:
                continue
            if report == source.report:
                raise DataError(
                    f"{source.file}: counts orders within {source.attribution_days} days of the click, earlier "
                    f"{report} reports of account {account.name!r} ({file}) within {days}; download it with {days} "
                    "days, or import it into an account of its own (--account NAME)"
                )
            warnings[report] = (
                f"counts orders within {source.attribution_days} days of the click, the {report} report within {days}: "
                "their orders and sales cannot be compared"
            )
        return list(warnings.values())


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows that say something new, with ``learned_at`` and ``assumed``; `new` of them have no earlier version."""

    told: pl.DataFrame
    new: int
    warnings: tuple[str, ...]


def _sort_out(rows: pl.DataFrame, stored: pl.DataFrame, source: Source, now: datetime, *, read_before: bool) -> _Found:
    compared = compare(rows, stored, FACT_KEY, VALUES, learned_at=source.learned_at, read_before=read_before)
    told = compared.filter(~pl.col("_same"))
    covered = stored.select(_COVER).unique().with_columns(pl.lit(True).alias("_covered"))
    told = told.join(covered, on=_COVER, how="left", nulls_equal=True, maintain_order="left")
    first = pl.col("_before").is_null()
    history = first & pl.col("_covered").is_null()
    warnings: list[str] = []
    corrected = int(compared["_corrected"].sum())
    if corrected:
        warnings.append(
            f"this very file was imported before; {corrected} of its rows were corrected since and stay as corrected"
        )
    if source.learned_at is not None:
        learned, assumed = pl.lit(source.learned_at).cast(UTC_TIME), pl.lit(False)
    else:
        present = pl.lit(source.taken_at or now).cast(UTC_TIME)
        readable = pl.col("end_utc") + timedelta(hours=source.report_lag_hours)
        # What a decision was made without was not known then, however long ago it could have been read.
        missed = pl.lit(False) if source.unknown_until is None else readable <= source.unknown_until
        assumed = history & ~missed
        # A correction holds from now on, even where the clock stands behind the version it corrects.
        held_from = pl.max_horizontal(present, "_before")
        learned = pl.when(assumed).then(pl.min_horizontal(readable, present)).otherwise(held_from)
        late = told.filter(first & ~history).height
        if late:
            warnings.append(
                f"{late} new rows of days that were imported before count as learned now; "
                "state when the file was downloaded if that was earlier"
            )
    return _Found(
        told.select(*FACTS, learned.alias("learned_at"), assumed.alias("assumed")),
        told.filter(first).height,
        tuple(warnings),
    )


def _set_aside(rows: pl.DataFrame, account: Account) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows that can be stored, with ``end_utc``; and the rest as quarantine."""
    spans = periods(rows, account.tz).select("start_local", "grain", "end_utc", "problem")
    placed = rows.join(spans, on=("start_local", "grain"), how="left", nulls_equal=True, maintain_order="left")
    placed = placed.with_columns(
        pl.when(pl.col("problem").is_not_null())
        .then(pl.lit("impossible time"))
        .when(pl.int_range(pl.len()).over(FACT_KEY) > 0)
        .then(pl.lit("duplicate row"))
        .alias("reason"),
        pl.coalesce(
            "problem",
            pl.format(
                "line {} names the same day and place as line {}, which is kept; remove one of them",
                "row_number",
                pl.col("row_number").first().over(FACT_KEY),
            ),
        ).alias("detail"),
    )
    bad = placed.filter(pl.col("reason").is_not_null())
    good = placed.filter(pl.col("reason").is_null()).select(*FACTS, "end_utc")
    if not bad.height:
        return good, empty(QUARANTINE)
    written = pl.col("start_local").dt.to_string("iso")
    raw = pl.struct(written, *(c for c in FACTS if c != "start_local")).struct.json_encode()
    return good, check(bad.with_columns(raw.alias("raw")), QUARANTINE, "quarantine")


def _span(rows: pl.DataFrame) -> tuple[str, str] | None:
    """First and last local start, ISO; ``None`` without rows."""
    if not rows.height:
        return None
    ends = rows.select(pl.col("start_local").min().alias("first"), pl.col("start_local").max().alias("last"))
    first, last = ends.select(pl.all().dt.strftime("%Y-%m-%dT%H:%M:%S")).row(0)
    return str(first), str(last)
