"""The platform's own ids of units (campaign, ad group, keyword ...), kept as text: what an upload must name."""

from datetime import datetime

import polars as pl

from data.database import Database
from data.rows import Rows, add
from data.warehouse import Warehouse
from domain.errors import SchemaMismatch
from domain.tables import UTC_TIME

#: One row per unit and id: platforms differ in which ids they have.
STORED_ENTITIES = {
    "unit_id": pl.String(),
    "name": pl.String(),
    "value": pl.String(),
    "learned_at": UTC_TIME,
    "account": pl.String(),
    "seq": pl.Int64(),
}


def store_entities(
    database: Database, warehouse: Warehouse, account: str, entities: pl.DataFrame, learned_at: datetime
) -> None:
    """Keep the ids of units; text only, since ids read as numbers lose their digits."""
    names = [n for n in entities.columns if n != "unit_id"]
    bad = [n for n in entities.columns if entities.schema[n] != pl.String()]
    if "unit_id" not in entities.columns or bad:
        raise SchemaMismatch(f"entity ids need a text column unit_id and text columns only; not text: {bad}")
    long = entities.unpivot(names, index="unit_id", variable_name="name").with_columns(
        pl.lit(learned_at).cast(UTC_TIME).alias("learned_at")
    )
    rows = Rows(database, warehouse, account, "entities", STORED_ENTITIES)

    def make() -> list[tuple[Rows, pl.DataFrame]]:
        known = _newest(rows.until(learned_at)).select("unit_id", "name", "value")
        return [(rows, long.join(known, on=("unit_id", "name", "value"), how="anti", nulls_equal=True))]

    add(database, warehouse, make)


def read_entities(database: Database, warehouse: Warehouse, account: str, at: datetime | None) -> pl.DataFrame:
    """One row per unit, one text column per id, as known at an instant."""
    rows = _newest(Rows(database, warehouse, account, "entities", STORED_ENTITIES).until(at))
    if not rows.height:
        return pl.DataFrame(schema={"unit_id": pl.String})
    return rows.sort("unit_id", "name").pivot("name", index="unit_id", values="value")


def _newest(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort("learned_at", "seq", maintain_order=True).unique(("unit_id", "name"), keep="last")
