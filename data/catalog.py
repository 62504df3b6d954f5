"""What the trader says of the shop's goods: price, margin, category, business type, stock, with history.

A good that is told of for the first time counts as always known (marked assumed), so that plans for the past can
use it; what is told of it later counts from then on. A stated `learned_at` holds for all rows.
"""

from datetime import UTC, datetime

import polars as pl

from data.compare import compare
from data.database import Database
from data.imports import IngestResult, Source, enter, prepare, reasons_of, was_read
from data.rows import STORED_CATALOG, Rows, add
from data.warehouse import Warehouse
from domain.tables import CATALOG, QUARANTINE, UTC_TIME, check

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
_VALUES = tuple(name for name in CATALOG if name != "sku")


def ingest_catalog(
    database: Database,
    warehouse: Warehouse,
    account: str,
    rows: pl.DataFrame,
    quarantined: pl.DataFrame,
    source: Source,
    now: datetime,
) -> IngestResult:
    """Take a catalog, columns `CATALOG`; goods that it does not name keep what was said of them before."""
    rows = check(rows, CATALOG, f"catalog {source.file}")
    quarantined = check(quarantined, QUARANTINE, f"quarantined rows of {source.file}")
    distinct = rows.unique("sku", keep="last", maintain_order=True)
    with database.read() as connection:
        read_before = was_read(connection, account, source)
    stored = Rows(database, warehouse, account, "catalog", STORED_CATALOG)
    told = distinct.clear()

    def make() -> list[tuple[Rows, pl.DataFrame]]:
        nonlocal told
        compared = compare(
            distinct, stored.all(), ("sku",), _VALUES, learned_at=source.learned_at, read_before=read_before
        )
        told = compared.filter(~pl.col("_same"))
        first, stated = pl.col("_before").is_null(), source.learned_at
        if stated is None:
            present = pl.max_horizontal(pl.lit(now).cast(UTC_TIME), "_before")
            since, assumed = pl.when(first).then(pl.lit(ALWAYS).cast(UTC_TIME)).otherwise(present), first
        else:
            since, assumed = pl.lit(stated).cast(UTC_TIME), pl.lit(False)
        return [(stored, told.select(*CATALOG, since.alias("learned_at"), assumed.alias("assumed")))]

    add(database, warehouse, make)
    new = told.filter(pl.col("_before").is_null()).height
    repeated = rows.height - distinct.height
    result = IngestResult(
        new,
        rows.height - told.height,
        told.height - new,
        quarantined.height,
        (f"{repeated} rows name a sku that a later row names again; the last one counts",) if repeated else (),
        reasons_of(quarantined),
    )
    if not read_before or told.height:
        entry = prepare(warehouse, account, source, quarantined, now, read_before=read_before)
        with database.write() as connection:
            enter(connection, warehouse, entry, result)
    return result
