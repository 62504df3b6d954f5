"""Versions of rows: which one holds, and what each restatement added.

A row is stored again whenever its numbers change. Versions of one key are ordered by the time they were learned
and, learned at once, by the order in which they were stored. The last one holds; a version that only repeats
the numbers before it is no version.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from domain.errors import DataError
from domain.tables import REPORT, ReportBatch, check

#: Numbers whose change makes a version.
NUMBERS = ("impressions", "clicks", "spend", "orders", "gmv")


@dataclass(frozen=True, slots=True)
class Settled:
    """Versions, put in order.

    Attributes
    ----------
    latest
        One row per key: the version that holds.
    steps
        Columns of the rows, ``orders`` and ``gmv`` being what that version added to the one before; rows that
        added nothing are left out.
    credits
        Columns of the rows, ``clicks`` and ``spend`` being what a later version of a key changed; rows that changed
        neither, and first versions, are left out.
    """

    latest: pl.DataFrame
    steps: pl.DataFrame
    credits: pl.DataFrame


def settle(rows: pl.DataFrame, key: Sequence[str], numbers: Sequence[str] = NUMBERS) -> Settled:
    """Order versions by ``learned_at`` and ``seq`` within each key."""
    again = rows.select(key).is_duplicated()
    single, several = rows.filter(~again), rows.filter(again)
    if not several.height:
        return Settled(single, _that_added(single), single.clear())
    names = several.select(key).unique().with_row_index("_key")
    ordered = several.join(names, on=list(key), nulls_equal=True).sort("_key", "learned_at", "seq", maintain_order=True)
    before = {name: pl.col(name).shift(1) for name in numbers}
    first = pl.col("_key").ne_missing(pl.col("_key").shift(1))
    changed = first | pl.any_horizontal(pl.col(name).ne_missing(before[name]) for name in numbers)
    ordered = ordered.filter(changed)
    more = {
        name: pl.col(name).fill_null(0.0) - pl.when(first).then(0.0).otherwise(pl.col(name).shift(1).fill_null(0.0))
        for name in ("orders", "gmv", "clicks", "spend")
    }
    last = pl.col("_key").ne_missing(pl.col("_key").shift(-1))
    latest = ordered.filter(last).select(rows.columns)
    steps = ordered.with_columns(more["orders"], more["gmv"]).select(rows.columns)
    later = ordered.with_columns(more["clicks"], more["spend"], first.alias("_first")).filter(~pl.col("_first"))
    credits = later.filter((pl.col("clicks") != 0) | (pl.col("spend") != 0)).select(rows.columns)
    return Settled(pl.concat([single, latest]), _that_added(pl.concat([single, steps])), credits)


def _that_added(steps: pl.DataFrame) -> pl.DataFrame:
    return steps.filter((pl.col("orders") != 0) | (pl.col("gmv") != 0))


def in_force(rows: pl.DataFrame, stored: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Each row beside the stored version of its key that held when the row was learned.

    Columns of that version carry the suffix ``_old``; ``seq`` is null where there is none. Rows keep their order.
    """
    return (
        rows.with_row_index("_row")
        .sort("learned_at", maintain_order=True)
        .join_asof(
            stored.sort("learned_at", "seq", maintain_order=True).with_columns(pl.col("learned_at").alias("_since")),
            on="learned_at",
            by=list(key),
            suffix="_old",
            check_sortedness=False,
        )
        .sort("_row")
        .drop("_row", "_since")
    )


def whole_rows(batch: ReportBatch) -> pl.DataFrame:
    """Rows of a batch, columns `REPORT`; `DataError` where a number is missing that only the bid may lack."""
    rows = check(batch.rows, REPORT, batch.source)
    holes = {name: rows[name].null_count() for name in REPORT if name != "bid_cpc"}
    holes |= {name: int(np.isnan(rows[name].to_numpy()).sum()) for name in (*NUMBERS, "hours") if not holes[name]}
    found = [name for name, count in holes.items() if count]
    if found:
        raise DataError(f"{batch.source}: report rows without {', '.join(found)}; only bid_cpc may be unknown")
    return rows.with_columns(pl.col("bid_cpc").fill_nan(None))
