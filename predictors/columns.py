"""A log that is read column by column, so that one larger than memory as a table can still be learned from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from domain.tables import Bools


class Columns(Protocol):
    """What the encoder asks of a table; a Polars frame has it, and so has `Log`."""

    @property
    def columns(self) -> list[str]:
        """Names."""
        ...

    @property
    def height(self) -> int:
        """Number of rows."""
        ...

    def __getitem__(self, name: str, /) -> pl.Series: ...


@dataclass(frozen=True, slots=True)
class Log:
    """Columns of a frame or of a parquet file, some of its rows, and columns put in the place of others.

    Attributes
    ----------
    source
        Frame, or path of a parquet file whose columns are read when they are asked for.
    schema
        Types of the columns.
    kept
        (n_source_rows,) rows of the source that count; ``None``: all.
    changed
        Columns that stand for those of the source, for the rows that count.
    """

    source: pl.DataFrame | Path
    schema: Mapping[str, pl.DataType]
    rows: int
    kept: Bools | None = None
    changed: Mapping[str, pl.Series] = field(default_factory=dict[str, pl.Series])

    @classmethod
    def of(cls, source: "pl.DataFrame | Path | Log") -> "Log":
        """Log of a frame or of a parquet file."""
        if isinstance(source, Log):
            return source
        if isinstance(source, pl.DataFrame):
            return cls(source, dict(source.schema), source.height)
        lazy = pl.scan_parquet(source)
        return cls(source, dict(lazy.collect_schema()), int(lazy.select(pl.len()).collect().item()))

    @property
    def columns(self) -> list[str]:
        """Names."""
        return list(self.schema)

    @property
    def height(self) -> int:
        """Number of rows that count."""
        return self.rows

    def __getitem__(self, name: str) -> pl.Series:
        if name in self.changed:
            return self.changed[name]
        if isinstance(self.source, pl.DataFrame):
            column = self.source[name]
        else:
            column = pl.read_parquet(self.source, columns=[name]).to_series()
        column = plain(column)
        return column if self.kept is None else column.filter(pl.Series(self.kept))

    def filter(self, mask: NDArray[np.bool_]) -> "Log":
        """The rows at which a mask of the rows that count is true."""
        if bool(mask.all()):
            return self
        kept = np.ones(mask.size, np.bool_) if self.kept is None else self.kept.copy()
        kept[kept] = mask
        changed = {name: column.filter(pl.Series(mask)) for name, column in self.changed.items()}
        return Log(self.source, self.schema, int(mask.sum()), kept, changed)

    def put(self, column: pl.Series) -> "Log":
        """The log with another column of a name it has."""
        return Log(self.source, self.schema, self.rows, self.kept, {**self.changed, column.name: column})

    def part(self, start: int, count: int, names: Sequence[str]) -> pl.DataFrame:
        """Some columns of a stretch of a log that has all its rows."""
        there = [name for name in names if name in self.schema]
        if isinstance(self.source, pl.DataFrame):
            rows = self.source.slice(start, count).select(there)
        else:
            rows = pl.scan_parquet(self.source).select(there).slice(start, count).collect()
        return rows.with_columns(plain(rows[name]) for name in there)


def plain(column: pl.Series) -> pl.Series:
    """A column as texts, numbers or instants, however it was stored: categories, decimals and durations too."""
    if column.dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    if column.dtype == pl.Duration:
        return column.dt.total_microseconds().cast(pl.Float64) / 1e6
    if column.dtype == pl.Binary:
        try:  # old writers store texts as bytes
            return column.cast(pl.String)
        except pl.exceptions.PolarsError:
            return pl.Series(column.name, ["x"]) + column.bin.encode("hex")
    return column.cast(pl.Float64) if column.dtype.is_decimal() else column
