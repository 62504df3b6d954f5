"""What rows of a file say that is new, against the versions that are stored."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

#: Numbers that differ by less than this share are one number, written by two programs.
_SAME = 1e-9


def compare(
    rows: pl.DataFrame,
    stored: pl.DataFrame,
    key: Sequence[str],
    values: Sequence[str],
    *,
    learned_at: datetime | None,
    read_before: bool,
) -> pl.DataFrame:
    """Add to each row what is known of its key already.

    Parameters
    ----------
    rows
        Rows of a file, keys distinct.
    stored
        All versions, with ``learned_at`` and ``seq``.
    key, values
        Columns that name a row, and those whose change makes a version.
    learned_at
        When the rows were learned, where that is stated: they are compared with the version in force then.
    read_before
        Whether this very file was read before. Then a row that repeats any earlier version says nothing new,
        so that reading old files again does not undo corrections.

    Returns
    -------
    polars.DataFrame
        The rows in their order, with ``_before`` (when the version in force was learned, null where there is
        none), ``_same`` (nothing new) and ``_corrected`` (nothing new, and a later file said something else).
    """
    versions = stored.sort("learned_at", "seq", maintain_order=True)
    if learned_at is not None:
        versions = versions.filter(pl.col("learned_at") <= learned_at)
    force = versions.unique(key, keep="last").rename({"learned_at": "_before"})
    numbered = rows.with_row_index("_row")
    equal = pl.all_horizontal(_equal(name, rows.schema[name]) for name in values)
    joined = numbered.join(force, on=key, how="left", suffix="_old", nulls_equal=True, maintain_order="left")
    joined = joined.with_columns((equal & pl.col("_before").is_not_null()).alias("_same"))
    repeats = pl.lit(False)
    if read_before:
        earlier = (
            numbered.select("_row", *key, *values)
            .join(stored, on=key, how="inner", suffix="_old", nulls_equal=True)
            .filter(equal)
            .select(pl.col("_row").unique())
        )
        repeats = pl.col("_row").is_in(earlier["_row"].implode())
    return joined.with_columns(
        (pl.col("_same") | repeats).alias("_same"), (~pl.col("_same") & repeats).alias("_corrected")
    ).select(*rows.columns, "_before", "_same", "_corrected")


def _equal(name: str, dtype: pl.DataType) -> pl.Expr:
    new, old = pl.col(name), pl.col(f"{name}_old")
    if dtype != pl.Float64():
        return new.eq_missing(old)
    close = (new - old).abs() <= _SAME * pl.max_horizontal(new.abs(), old.abs())
    return new.eq_missing(old) | close.fill_null(False)
