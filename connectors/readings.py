"""What a file said: its good rows, the rows set aside and why, and what a person should know of it."""

from dataclasses import dataclass, field

import polars as pl

from domain.errors import SchemaMismatch
from domain.tables import CATALOG, FACTS, QUARANTINE, check, empty


def _count(file: str, rows: pl.DataFrame, quarantined: pl.DataFrame, read: int, ignored: int) -> None:
    if read != rows.height + quarantined.height + ignored:
        raise SchemaMismatch(
            f"{file}: {read} rows read, but {rows.height} good, {quarantined.height} set aside and {ignored} ignored"
        )


@dataclass(frozen=True, slots=True)
class FileReading:
    """One report file as read.

    Attributes
    ----------
    file
        Path as it was given.
    report
        Kind of report, ``search_term`` and so on; ``None`` where the header is unknown.
    rows
        Good rows, columns `FACTS`.
    quarantined
        Rows set aside with their reason, columns `QUARANTINE`.
    rows_read
        Rows below the header = good + quarantined + ignored.
    rows_ignored
        Blank rows, totals, notes at the foot, repeated headers.
    currency
        ISO 4217 code of all money in `rows`; ``None`` where the file does not say.
    attribution_days
        Window in which orders are counted; ``None`` for a report without orders.
    warnings
        What a person should know; the rows are used all the same.
    error
        Why the file as a whole was refused: file, row, remedy; ``None`` where it was read.
    sha256
        Of the file's bytes, in hex; empty where not even they could be read.
    platform
        Profile the file was read for.
    """

    file: str
    report: str | None = None
    rows: pl.DataFrame = field(default_factory=lambda: empty(FACTS))
    quarantined: pl.DataFrame = field(default_factory=lambda: empty(QUARANTINE))
    rows_read: int = 0
    rows_ignored: int = 0
    currency: str | None = None
    attribution_days: int | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None
    sha256: str = ""
    platform: str = "amazon-sp"

    def __post_init__(self) -> None:
        check(self.rows, FACTS, self.file)
        check(self.quarantined, QUARANTINE, self.file)
        _count(self.file, self.rows, self.quarantined, self.rows_read, self.rows_ignored)

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows were set aside for each reason."""
        return reasons(self.quarantined)


@dataclass(frozen=True, slots=True)
class CatalogReading:
    """One catalog file as read; attributes as in `FileReading`, `rows` with columns `CATALOG`."""

    file: str
    rows: pl.DataFrame = field(default_factory=lambda: empty(CATALOG))
    quarantined: pl.DataFrame = field(default_factory=lambda: empty(QUARANTINE))
    rows_read: int = 0
    rows_ignored: int = 0
    warnings: tuple[str, ...] = ()
    error: str | None = None
    sha256: str = ""
    currency: str | None = None

    def __post_init__(self) -> None:
        check(self.rows, CATALOG, self.file)
        check(self.quarantined, QUARANTINE, self.file)
        _count(self.file, self.rows, self.quarantined, self.rows_read, self.rows_ignored)

    @property
    def report(self) -> str:
        """Kind of file, in the words of `recognise`."""
        return "catalog"

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows were set aside for each reason."""
        return reasons(self.quarantined)


def reasons(quarantined: pl.DataFrame) -> dict[str, int]:
    """Reasons of a quarantine with their counts, most frequent first."""
    counts = quarantined.group_by("reason").len().sort(["len", "reason"], descending=[True, False])
    return dict(counts.iter_rows())
