"""What a file says, put where the workspace keeps it: reports, catalogs and bulk sheets, from the inbox or by hand."""

from dataclasses import dataclass
from datetime import datetime

from connectors import BulkReading, CatalogReading, FileReading
from data import Workspace
from domain.errors import FileRefused


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a file's rows.

    Attributes
    ----------
    rows_new, rows_unchanged, rows_superseded
        Rows that were told for the first time, as known before, and otherwise than before.
    warnings
        What a person should know.
    """

    rows_new: int
    rows_unchanged: int
    rows_superseded: int
    warnings: tuple[str, ...] = ()


def store(
    workspace: Workspace,
    account: str,
    reading: FileReading | CatalogReading | BulkReading,
    *,
    now: datetime,
    report_lag_hours: float,
    learned_at: datetime | None = None,
) -> Stored:
    """Keep what a file said of an account; a second time changes nothing.

    Parameters
    ----------
    workspace, account
        Where.
    reading
        What a reader of `connectors` made of the file.
    now
        Present time.
    report_lag_hours
        Hours from the end of a day until its report can be read: when imported history counts as learned.
    learned_at
        When the file's contents were learned, where that is known; bulk sheets count from `now` without it.

    Raises
    ------
    FileRefused
        Where the reading as a whole is an error.
    DataError
        Where its money or attribution window differs from what the account holds.
    """
    if reading.error is not None:
        raise FileRefused(reading.error)
    if isinstance(reading, BulkReading):
        return _store_sheet(workspace, account, reading, learned_at or now)
    if isinstance(reading, CatalogReading):
        result = workspace.ingest_catalog(
            account,
            reading.rows,
            file=reading.file,
            sha256=reading.sha256,
            quarantined=reading.quarantined,
            now=now,
            learned_at=learned_at,
        )
    else:
        result = workspace.ingest(
            account,
            reading.rows,
            report=reading.report or "",
            file=reading.file,
            sha256=reading.sha256,
            currency=reading.currency,
            attribution_days=reading.attribution_days,
            quarantined=reading.quarantined,
            now=now,
            report_lag_hours=report_lag_hours,
            learned_at=learned_at,
        )
    return Stored(result.rows_new, result.rows_unchanged, result.rows_superseded, tuple(result.warnings))


def _store_sheet(workspace: Workspace, account: str, sheet: BulkReading, learned_at: datetime) -> Stored:
    """Live bids, ids, daily budgets, and the units that no report has named yet."""
    known = workspace.units(account)
    new = sheet.declared_units.join(known, on="unit_id", how="anti", maintain_order="left")
    if new.height:
        workspace.declare_units(account, new, learned_at=learned_at)
    workspace.store_bids(account, sheet.bids, sheet.entities, learned_at=learned_at)
    workspace.store_budgets(account, sheet.budgets(learned_at))
    return Stored(new.height, sheet.units.height - new.height, 0, tuple(sheet.warnings))
