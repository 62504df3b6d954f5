"""Stating what was assumed of an account: its time zone moves the days of its facts, and when they were learned."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl
import sqlalchemy as sa

from data.database import Database
from data.ingest import FACT_TABLE, STORED_FACTS
from data.localtime import periods
from data.schema import accounts, decisions, files, imports
from data.warehouse import Staged, Warehouse
from domain.account import Account
from domain.errors import ConfigError
from domain.tables import UTC_TIME, check


def restate(
    database: Database,
    warehouse: Warehouse,
    old: Account,
    new: Account,
    now: datetime,
    *,
    keep_assumed: Sequence[str] = (),
) -> None:
    """Replace currency, time zone and platform of an account, and place its facts anew, in one transaction.

    The times at which history was *assumed* to be learned follow the local days; stated times stay.
    `ConfigError` where hours were decided under the old time zone: their decisions could not be told any more.
    """
    moved = old.timezone != new.timezone
    with database.read() as connection:
        live = warehouse.live(connection, old.name, FACT_TABLE) if moved else []
        told = connection.execute(
            sa.select(imports.c.id, imports.c.report_lag_hours, imports.c.imported_at).where(
                imports.c.account == old.name
            )
        ).all()
    lags = pl.DataFrame(
        [tuple(row) for row in told],
        schema={"file_id": pl.String, "_lag": pl.Float64, "_at": UTC_TIME},
        orient="row",
    )
    staged: list[Staged] = []
    for file in live:
        rows = warehouse.collect(warehouse.scan([file.path], STORED_FACTS))
        starts = rows["start_local"].dt.strftime("%Y-%m-%dT%H:%M:%S")
        staged.append(
            warehouse.stage(
                FACT_TABLE,
                _placed(rows, lags, new),
                part=file.part,
                first_start=str(starts.min()),
                last_start=str(starts.max()),
            )
        )
    with database.write() as connection:
        if moved and connection.execute(sa.select(decisions.c.id).where(decisions.c.account == old.name)).first():
            raise ConfigError(
                f"account {old.name!r} has decided hours in {old.timezone}; make a new account for {new.timezone}"
            )
        if moved and [f.path for f in warehouse.live(connection, old.name, FACT_TABLE)] != [f.path for f in live]:
            raise ConfigError(f"an import into {old.name!r} came between; try again")
        connection.execute(
            accounts.update()
            .where(accounts.c.name == old.name)
            .values(
                currency=new.currency,
                timezone=new.timezone,
                platform=new.platform,
                assumed=" ".join(f for f in old.assumed if f in keep_assumed),
            )
        )
        if live:
            connection.execute(
                files.update().where(files.c.path.in_([f.path for f in live])).values(live=False, retired_at=now)
            )
            for file in staged:
                warehouse.register(connection, old.name, [file])


def _placed(rows: pl.DataFrame, lags: pl.DataFrame, account: Account) -> pl.DataFrame:
    spans = periods(rows, account.tz).select("start_local", "grain", "end_utc")
    joined = rows.join(spans, on=("start_local", "grain"), how="left", maintain_order="left").join(
        lags, on="file_id", how="left", maintain_order="left"
    )
    anew = pl.min_horizontal(pl.col("end_utc") + pl.duration(seconds=pl.col("_lag") * 3600.0), "_at")
    learned = pl.when(pl.col("assumed") & anew.is_not_null()).then(anew).otherwise("learned_at")
    return check(joined.with_columns(learned.alias("learned_at")), STORED_FACTS, "facts")
