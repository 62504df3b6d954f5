"""Finished runs in a workspace: a simulated promotion, kept so that people can look at it as at a live account.

A run is written down as it happened: rows with the times they were learned, decisions with what became of them,
and, what only a simulation knows, what others would have come to in the same hours (`references`).
"""

import json
import shutil
from collections.abc import Sequence
from datetime import datetime

import polars as pl
import sqlalchemy as sa

from data.accounts import stop_file
from data.journal import summary_of, taken_apart
from data.rows import Rows, add
from data.schema import (
    accounts,
    calendar_edits,
    decisions,
    files,
    hold_edits,
    imports,
    mode_edits,
    quarantine_counts,
    target_edits,
)
from data.workspace import Workspace
from domain.errors import ConfigError
from domain.plans import Decision
from domain.tables import UTC_TIME, check

#: Platform whose accounts are invented; only these may be forgotten.
SIMULATED = "sim"

#: What another policy, or hindsight, came to in the hours of an account; sums over all units.
REFERENCES = {
    "source": pl.String(),  # "hindsight", "static", ...
    "start_utc": UTC_TIME,
    "clicks": pl.Float64(),
    "spend": pl.Float64(),
    "orders": pl.Float64(),
    "gmv": pl.Float64(),  # final gmv of the hour's clicks
}
_STORED = {**REFERENCES, "learned_at": UTC_TIME, "account": pl.String(), "seq": pl.Int64()}


def forget(workspace: Workspace, account: str) -> bool:
    """Remove a simulated account with all that is remembered of it; false where there is none of that name.

    Its files stay until the next sweep, so whoever reads them just now can finish. `ConfigError` for a real account.
    """
    there = next((a for a in workspace.accounts() if a.name == account), None)
    if there is None:
        return False
    if there.platform != SIMULATED:
        raise ConfigError(
            f"account {account!r} is not a simulated one, so nothing of it is removed; rename the real account or "
            "keep the simulation in another workspace (STEADYBID_HOME)"
        )
    with workspace.database.write() as connection:
        mine = sa.select(imports.c.id).where(imports.c.account == account)
        connection.execute(quarantine_counts.delete().where(quarantine_counts.c.import_id.in_(mine)))
        for table in (imports, target_edits, calendar_edits, hold_edits, mode_edits, decisions, files):
            connection.execute(table.delete().where(table.c.account == account))
        connection.execute(accounts.delete().where(accounts.c.name == account))
    stop_file(workspace.home, account).unlink(missing_ok=True)
    shutil.rmtree(workspace.home / "marts" / account, ignore_errors=True)
    return True


def restore(workspace: Workspace, account: str, made: Sequence[Decision]) -> None:
    """Write down decisions that were made elsewhere, with their states, receipts and times; all appear at once."""
    warehouse, name = workspace.warehouse, workspace.account(account).name
    staged, rows = [], []
    for decision in made:
        if decision.plan.account != name:
            raise ConfigError(f"a decision of account {decision.plan.account!r} was handed to {name!r}")
        tables, text = taken_apart(decision.plan)
        part = str(decision.hour)
        mine = {n: warehouse.stage(n, frame, part=part) for n, frame in tables.items()}
        receipts = None
        if decision.receipts is not None:
            receipts = warehouse.stage("receipts", decision.receipts.rows, part=part)
        staged += [*mine.values(), *([] if receipts is None else [receipts])]
        rows.append(
            {
                "account": name,
                "hour": decision.hour.start,
                "state": decision.state.value,
                "status": decision.plan.status.value,
                "reason": decision.plan.reason,
                "known": json.dumps(dict(decision.known)),
                "plan": text,
                "plan_files": json.dumps({n: s.path for n, s in mine.items()}),
                "receipts_file": None if receipts is None else receipts.path,
                "decided_at": decision.decided_at,
                "closed_at": decision.decided_at,
                **summary_of(decision.plan),
            }
        )
    with workspace.database.write() as connection:
        if rows:
            connection.execute(decisions.insert(), rows)
        places: dict[str, int] = {}
        for file in staged:
            if file.fact_table not in places:
                places[file.fact_table] = warehouse.next_seq(connection, name, file.fact_table)
            warehouse.register(connection, name, [file], places[file.fact_table])
            places[file.fact_table] += 1


def store_reference(workspace: Workspace, account: str, rows: pl.DataFrame, learned_at: datetime) -> None:
    """Keep what another policy or hindsight came to, columns `REFERENCES`."""
    frame = check(rows, REFERENCES, "reference").with_columns(pl.lit(learned_at).cast(UTC_TIME).alias("learned_at"))
    table = _rows(workspace, account)
    add(workspace.database, workspace.warehouse, lambda: [(table, frame)])


def references(workspace: Workspace, account: str) -> pl.DataFrame:
    """What others came to in the hours of an account, columns `REFERENCES`; empty for a live account."""
    newest = _rows(workspace, account).all().unique(("source", "start_utc"), keep="last", maintain_order=True)
    return newest.select(list(REFERENCES)).sort("source", "start_utc")


def _rows(workspace: Workspace, account: str) -> Rows:
    return Rows(workspace.database, workspace.warehouse, workspace.account(account).name, "references", _STORED)
