"""The list of imports, and what each of them set aside."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl
import sqlalchemy as sa

from data.database import Database
from data.schema import files, imports, quarantine_counts
from data.warehouse import Staged, Warehouse
from domain.tables import QUARANTINE, UTC_TIME, check

QUARANTINE_TABLE = "quarantine"

#: Columns of the stored quarantine.
STORED_QUARANTINE: Mapping[str, pl.DataType] = {
    **QUARANTINE,
    "file": pl.String(),
    "report": pl.String(),
    "file_id": pl.String(),
    "account": pl.String(),
    "at": UTC_TIME,
}

_LISTED: Mapping[str, pl.DataType] = {
    "id": pl.String(),
    "account": pl.String(),
    "file": pl.String(),
    "report": pl.String(),
    "sha256": pl.String(),
    "currency": pl.String(),
    "attribution_days": pl.Int64(),
    "report_lag_hours": pl.Float64(),
    "learned_at": UTC_TIME,
    "imported_at": UTC_TIME,
    "rows_new": pl.Int64(),
    "rows_unchanged": pl.Int64(),
    "rows_superseded": pl.Int64(),
    "rows_quarantined": pl.Int64(),
    "first_day": pl.String(),
    "last_day": pl.String(),
}


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of the rows of one file.

    `rows_new`, `rows_unchanged`, `rows_superseded` and `rows_quarantined` add up to the rows that were handed
    in, quarantined ones included; `reasons` counts the quarantined by reason.
    """

    rows_new: int
    rows_unchanged: int
    rows_superseded: int
    rows_quarantined: int
    warnings: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows come from and what the file says of all of them.

    Attributes
    ----------
    report
        Kind of report, as in ``FACTS.report``, or ``catalog``.
    file, sha256
        Name of the file, and its content's hash.
    currency, attribution_days
        Money of the amounts, and days after a click in which orders count; ``None`` where the file has none.
    report_lag_hours
        How long after its hour or day a row can first be read, by the platform's profile.
    learned_at
        When the rows were learned, where the caller knows; else ``None``.
    taken_at
        When the file was taken in, where that is not simply now: corrections and rows that come late hold from then.
    unknown_until
        An instant at which none of the rows were known: a decision was made without them. ``None`` = there is none.
    """

    report: str
    file: str
    sha256: str
    currency: str | None = None
    attribution_days: int | None = None
    report_lag_hours: float = 0.0
    learned_at: datetime | None = None
    taken_at: datetime | None = None
    unknown_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One import about to be entered, with its quarantine written but not yet counting."""

    id: str
    account: str
    source: Source
    now: datetime
    aside: Staged | None
    reasons: Mapping[str, int]


def was_read(connection: sa.Connection, account: str, source: Source) -> bool:
    """Whether this very file was imported into the account before."""
    query = sa.select(imports.c.id).where(
        imports.c.account == account, imports.c.sha256 == source.sha256, imports.c.report == source.report
    )
    return connection.execute(query).first() is not None


def prepare(
    warehouse: Warehouse, account: str, source: Source, quarantined: pl.DataFrame, now: datetime, *, read_before: bool
) -> Entry:
    """Write the quarantine of an import; that of a file that was read before is there already."""
    entry_id = uuid.uuid4().hex
    if not quarantined.height or read_before:
        return Entry(entry_id, account, source, now, None, {})
    marked = quarantined.with_columns(
        pl.lit(source.file).alias("file"),
        pl.lit(source.report).alias("report"),
        pl.lit(entry_id).alias("file_id"),
        pl.lit(account).alias("account"),
        pl.lit(now).cast(UTC_TIME).alias("at"),
    )
    aside = warehouse.stage(QUARANTINE_TABLE, check(marked, STORED_QUARANTINE, "quarantine"))
    return Entry(entry_id, account, source, now, aside, reasons_of(quarantined))


def enter(
    connection: sa.Connection,
    warehouse: Warehouse,
    entry: Entry,
    result: IngestResult,
    days: tuple[str, str] | None = None,
) -> None:
    """Enter an import into the list, within the caller's transaction."""
    source = entry.source
    connection.execute(
        imports.insert().values(
            id=entry.id,
            account=entry.account,
            file=source.file,
            report=source.report,
            sha256=source.sha256,
            currency=source.currency,
            attribution_days=source.attribution_days,
            report_lag_hours=source.report_lag_hours,
            learned_at=source.learned_at,
            imported_at=entry.now,
            rows_new=result.rows_new,
            rows_unchanged=result.rows_unchanged,
            rows_superseded=result.rows_superseded,
            rows_quarantined=result.rows_quarantined,
            first_day=None if days is None else days[0],
            last_day=None if days is None else days[1],
        )
    )
    if entry.aside is not None:
        connection.execute(
            quarantine_counts.insert(),
            [{"import_id": entry.id, "reason": r, "rows": n} for r, n in entry.reasons.items()],
        )
        warehouse.register(connection, entry.account, [entry.aside])


def reasons_of(quarantined: pl.DataFrame) -> dict[str, int]:
    """Rows by reason, most frequent first."""
    return dict(quarantined["reason"].value_counts(sort=True).iter_rows())


def list_imports(database: Database, account: str | None) -> pl.DataFrame:
    """Imports, oldest first: when, file, report, counts, days covered."""
    query = sa.select(imports).order_by(imports.c.imported_at, imports.c.file)
    if account is not None:
        query = query.where(imports.c.account == account)
    with database.read() as connection:
        rows = [dict(r) for r in connection.execute(query).mappings()]
    return pl.DataFrame(rows, schema=dict(_LISTED))


def list_quarantine(database: Database, warehouse: Warehouse, account: str | None) -> pl.DataFrame:
    """Rows that were set aside: account, file, report, row_number, reason, detail, raw, at."""
    query = sa.select(files.c.path).where(files.c.fact_table == QUARANTINE_TABLE, files.c.live).order_by(files.c.id)
    if account is not None:
        query = query.where(files.c.account == account)
    with database.read() as connection:
        paths = list(connection.execute(query).scalars())
    columns = ("account", "file", "report", "row_number", "reason", "detail", "raw", "at")
    return warehouse.collect(warehouse.scan(paths, STORED_QUARANTINE).select(columns))
