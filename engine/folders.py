"""The folders of an account as its platform: what is dropped into the inbox reaches the workspace, bids go out.

files/<account>/inbox     drop reports, the catalog and bulk-sheet downloads here
files/<account>/outbox    the bulk file to upload, and the audit file of every hour
files/<account>/archive   what was read;  refused/ what was not, each with its reason
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bidding import explain
from connectors import BulkReading, CatalogReading, FileReading, profile
from connectors.files import FilePlatform
from connectors.inbox import Outcome
from data import SqlJournal, Workspace
from domain.plans import BidPlan, DecisionState, Receipts
from domain.time import Clock, Hour
from engine.intake import store

#: Platforms whose reports and bulk sheets are files.
_WITH_FILES = {"amazon-sp"}
_LOOK_BACK_HOURS = 72


def folder_of(workspace: Workspace, account: str) -> Path:
    """Folder with the inbox and outbox of an account."""
    return workspace.home / "files" / account


@dataclass(frozen=True, slots=True)
class Folders:
    """An account's folders, and what they have told.

    Attributes
    ----------
    platform
        The folders as `AdPlatform`.
    notes
        Files that were refused, and what a person should know of the others.
    """

    platform: FilePlatform
    notes: tuple[str, ...]


def open_folders(workspace: Workspace, account: str, hour: Hour, clock: Clock) -> Folders | None:
    """Folders of an account, with everything that lies in the inbox taken in; ``None`` where it has no file platform.

    Parameters
    ----------
    workspace, account
        Whose folders.
    hour
        The hour that is about to be decided. What is taken in before that counts from the hour's start on, as far as
        it is news: what a bulk sheet says, corrections, and rows that earlier decisions were made without. Days
        before the first decision are history, learned when their report could first be read.
    clock
        Tells the time.
    """
    owner = workspace.account(account)
    rules = profile(owner.platform)
    if rules.name not in _WITH_FILES:
        return None
    warnings: list[str] = []
    journal = workspace.journal(account, clock)

    def keep(reading: FileReading | CatalogReading | BulkReading) -> None:
        now = clock.now()
        newest = journal.later(None, now)
        in_time = hour.start <= now < hour.end and (newest is None or newest < hour)
        stored = store(
            workspace,
            account,
            reading,
            now=now,
            report_lag_hours=rules.report_lag_hours,
            taken_at=hour.start if in_time else now,
            unknown_until=None if newest is None else newest.start,
        )
        warnings.extend(stored.warnings)

    def reasons(plan: BidPlan) -> pl.Series:
        return explain(plan, owner.currency)

    platform = FilePlatform(
        folder_of(workspace, account),
        owner,
        clock,
        use=keep,
        campaigns=lambda: workspace.units(account)["campaign"].drop_nulls().unique().to_list(),
        reasons=reasons,
    )
    waited = set(platform.waiting())
    taken = platform.collect()
    answered = waited - set(platform.waiting())
    write_answers(journal, platform, answered | recent(hour))
    refused = [f"{t.file} was refused: {t.reason}" for t in taken if t.outcome is Outcome.REFUSED]
    if not platform.entities().height and workspace.entities(account).height:
        warnings.append(
            "a bulk sheet was imported by hand, but none was dropped into the inbox: drop the newest one there, so that "
            "bids can be written for upload"
        )
    return Folders(platform, (*refused, *warnings))


def recent(hour: Hour) -> set[Hour]:
    """Hours whose answers are looked up again: a run may have died between reading one and writing it down."""
    return {hour.plus(-back) for back in range(_LOOK_BACK_HOURS)}


def write_answers(journal: SqlJournal, platform: FilePlatform, hours: Collection[Hour]) -> int:
    """Write down what downloads have answered of some hours; gives the number of those that say something new."""
    count = 0
    for sent, receipts in platform.answers(hours).items():
        decision = journal.find(sent)
        if decision is None or decision.state is not DecisionState.PUBLISHED or decision.receipts is None:
            continue
        rows = decision.receipts.rows
        fuller = rows.update(receipts.rows, on="unit_id", how="left", include_nulls=True).select(rows.columns)
        if not fuller.equals(rows):
            journal.answer(sent, Receipts(fuller))
            count += 1
    return count
