"""What a file says, put where the workspace keeps it: reports, catalogs and bulk sheets, from the inbox or by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from connectors import BulkReading, CatalogReading, FileReading
from data import Workspace
from domain.errors import FileRefused
from domain.time import Hour


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a file's rows.

    Attributes
    ----------
    rows_new, rows_unchanged, rows_superseded
        Rows that were told for the first time, as known before, and otherwise than before.
    rows_quarantined, reasons
        Rows set aside, by the reader or by the warehouse, and how many for each reason.
    warnings
        What a person should know.
    """

    rows_new: int
    rows_unchanged: int
    rows_superseded: int
    rows_quarantined: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict[str, int])
    warnings: tuple[str, ...] = ()


def store(
    workspace: Workspace,
    account: str,
    reading: FileReading | CatalogReading | BulkReading,
    *,
    now: datetime,
    report_lag_hours: float,
    learned_at: datetime | None = None,
    taken_at: datetime | None = None,
    unknown_until: datetime | None = None,
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
        When the file's contents were learned, where that is known.
    taken_at
        When the file was taken in, where that is not simply `now`; bulk sheets, corrections and rows that
        `unknown_until` speaks of count from then.
    unknown_until
        The newest decision's hour: what it could have known and did not was not known then.

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
        return _store_sheet(workspace, account, reading, learned_at or taken_at or now, now)
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
            taken_at=taken_at,
            unknown_until=unknown_until,
        )
    return Stored(
        result.rows_new,
        result.rows_unchanged,
        result.rows_superseded,
        result.rows_quarantined,
        result.reasons,
        tuple(result.warnings),
    )


def _store_sheet(workspace: Workspace, account: str, sheet: BulkReading, learned_at: datetime, now: datetime) -> Stored:
    """Live bids, ids, daily budgets, and the units that no report has named yet."""
    new, changed, same = _compared(workspace, account, sheet, learned_at)
    undeclared = sheet.declared_units.join(workspace.units(account), on="unit_id", how="anti", maintain_order="left")
    if undeclared.height:
        workspace.declare_units(account, undeclared, learned_at=learned_at)
    workspace.store_bids(account, sheet.bids, sheet.entities, learned_at=learned_at)
    workspace.store_budgets(account, sheet.budgets(learned_at))
    told = Stored(new, same, changed, sheet.quarantined.height, sheet.reasons, tuple(sheet.warnings))
    workspace.enter_file(
        account,
        report=sheet.report,
        file=sheet.file,
        sha256=sheet.sha256,
        quarantined=sheet.quarantined,
        rows=(told.rows_new, told.rows_unchanged, told.rows_superseded),
        now=now,
    )
    return told


def _compared(workspace: Workspace, account: str, sheet: BulkReading, at: datetime) -> tuple[int, int, int]:
    """How many units and campaigns of a sheet are new, told otherwise than before, and told as before."""
    known = workspace.asof(account).at(Hour.containing(at, workspace.account(account).tz).plus(1))
    live = known.live_bids.rows.filter("known")
    pairs = (
        (sheet.bids.rows, live, "unit_id", ("bid_cpc", "state")),
        (sheet.budgets(at), known.budgets, "campaign", ("daily_budget",)),
    )
    new = changed = 0
    for told, before, key, values in pairs:
        unheard = told.join(before, on=key, how="anti").height
        other = told.join(before, on=(key, *values), how="anti", nulls_equal=True).height
        new, changed = new + unheard, changed + other - unheard
    return new, changed, sheet.units.height + sheet.campaigns.height - new - changed
