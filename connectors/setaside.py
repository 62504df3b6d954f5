"""Setting rows aside: one reason each, what is wrong and what to do, and the row as it was read."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from connectors.cells import ROW, RawTable
from domain.tables import QUARANTINE, check


@dataclass(slots=True)
class SetAside:
    """Collects what is wrong with rows; of several faults in one row the first that was added counts.

    Attributes
    ----------
    flags
        (condition, reason, detail) over the frame that `split` gets.
    """

    flags: list[tuple[pl.Expr, str, pl.Expr]] = field(default_factory=list)

    def when(self, condition: pl.Expr, reason: str, what: str, *parts: str, remedy: str) -> None:
        """Set rows aside where `condition` holds; `what` is a format with one ``{}`` for each column of `parts`."""
        cells = [pl.col(part).cast(pl.String).fill_null("blank") for part in parts]
        detail = pl.format("row {}: " + what + "; {}", pl.col(ROW), *cells, pl.lit(remedy))
        self.flags.append((condition.fill_null(False), reason, detail))

    def split(self, frame: pl.DataFrame, table: RawTable) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Good rows, and the others with columns `QUARANTINE`."""
        if not self.flags:
            return frame, quarantine(frame.clear(), table)
        judged = frame.with_columns(
            pl.coalesce([pl.when(c).then(pl.lit(r)) for c, r, _ in self.flags]).alias("reason"),
            pl.coalesce([pl.when(c).then(d) for c, _, d in self.flags]).alias("detail"),
        )
        bad = judged.filter(pl.col("reason").is_not_null())
        return judged.filter(pl.col("reason").is_null()).drop("reason", "detail"), quarantine(bad, table)


def quarantine(bad: pl.DataFrame, table: RawTable) -> pl.DataFrame:
    """Rows (``row_number``, ``reason``, ``detail``) as a quarantine, with their cells as JSON."""
    if bad.height == 0:
        return pl.DataFrame(schema=dict(QUARANTINE))
    names = unique_names(table.header)
    cells = table.cells.join(bad.select(ROW), on=ROW, how="semi")
    raw = cells.select(
        ROW, pl.struct([pl.col(f"c{i}").alias(name) for i, name in enumerate(names)]).struct.json_encode().alias("raw")
    )
    joined = bad.select(ROW, "reason", "detail").join(raw, on=ROW, how="left", maintain_order="left")
    return check(joined, QUARANTINE, table.name)


def together(*parts: pl.DataFrame) -> pl.DataFrame:
    """Several quarantines as one, in the order of the file."""
    return pl.concat(parts).sort(ROW, maintain_order=True)


def unique_names(header: Sequence[str]) -> list[str]:
    """Header names made unique and not empty."""
    seen: dict[str, int] = {}
    names: list[str] = []
    for position, text in enumerate(header):
        name = text.strip() or f"column {position + 1}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names
