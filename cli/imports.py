"""`steadybid import` and `steadybid quarantine`: files in, and what was set aside."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.accounts import JsonFlag
from cli.output import print_json, say, table, warn
from cli.workspace import SystemClock, open_workspace
from domain.errors import ConfigError, SteadyBidError
from domain.time import Hour, zone

if TYPE_CHECKING:
    from connectors import CatalogReading, FileReading
    from data import Workspace


def import_files(
    files: Annotated[list[Path], typer.Argument(help="Reports or a catalog: csv, csv.gz or xlsx.", metavar="FILE...")],
    account: Annotated[str, typer.Option("--account", "-a", help="Account that the files belong to.")] = "default",
    platform: Annotated[str, typer.Option(help="Platform that made the reports.")] = "amazon-sp",
    report_lag_hours: Annotated[
        float | None, typer.Option(min=0.0, help="Hours after a day's end at which its report could be read.")
    ] = None,
    learned_at: Annotated[
        str | None, typer.Option(help="When these files were learned, such as 2026-11-11T08:00+08:00.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Read reports and the catalog into the warehouse. Importing twice changes nothing; corrections supersede."""
    from connectors import profile

    lag = profile(platform).report_lag_hours if report_lag_hours is None else report_lag_hours
    workspace = open_workspace(create=True)
    records: list[dict[str, Any]] = []
    for path in files:
        record = _import_one(workspace, path, account, platform, lag, learned_at)
        records.append(record)
        if not as_json:
            _say_record(record)
    reconciliation = _reconcile(workspace, account)
    if as_json:
        print_json({"files": records, "reconciliation": reconciliation})
    else:
        for line in reconciliation:
            say(line)
    if any(r["error"] for r in records):
        raise typer.Exit(1)


def _import_one(
    workspace: "Workspace", path: Path, account: str, platform: str, lag: float, learned_at: str | None
) -> dict[str, Any]:
    from connectors import CatalogReading, read_any

    reading = read_any(path, platform)
    record: dict[str, Any] = {
        "file": str(path),
        "report": "catalog" if isinstance(reading, CatalogReading) else reading.report,
        "rows_read": reading.rows_read,
        "rows_accepted": 0,
        "rows_quarantined": reading.quarantined.height,
        "rows_ignored": reading.rows_ignored,
        "rows_unchanged": 0,
        "reasons": dict(Counter(reading.quarantined["reason"].to_list())),
        "warnings": list(reading.warnings),
        "error": reading.error,
    }
    if reading.error is None:
        try:
            _store(workspace, reading, record, account, platform, lag, learned_at)
        except SteadyBidError as refused:
            record["error"] = str(refused)
    if record["error"] is not None:
        record.update(rows_accepted=0, rows_unchanged=0)
        record["rows_refused"] = record["rows_read"] - record["rows_quarantined"] - record["rows_ignored"]
    return record


def _store(
    workspace: "Workspace",
    reading: "FileReading | CatalogReading",
    record: dict[str, Any],
    account: str,
    platform: str,
    lag: float,
    learned_at: str | None,
) -> None:
    from connectors import CatalogReading

    now = SystemClock().now()
    if isinstance(reading, CatalogReading):
        result = workspace.ingest_catalog(
            account, reading.rows, file=record["file"], sha256=reading.sha256, quarantined=reading.quarantined, now=now
        )
    else:
        owner, made = workspace.ensure_account(account, currency=reading.currency, platform=platform, now=now)
        if made:
            record["warnings"].append(
                f"account {account!r} was made from this file: currency {owner.currency}, time zone UTC (assumed); "
                f"set them with steadybid init --account {account} --currency ... --timezone ..."
            )
        instant = None if learned_at is None else _instant(learned_at, owner.timezone)
        result = workspace.ingest(
            account, reading.rows, report=reading.report or "", file=record["file"], sha256=reading.sha256,
            currency=reading.currency, attribution_days=reading.attribution_days, quarantined=reading.quarantined,
            now=now, report_lag_hours=lag, learned_at=instant,
        )  # fmt: skip
    record["rows_accepted"] = result.rows_new + result.rows_superseded
    record["rows_superseded_old"] = result.rows_superseded
    record["rows_unchanged"] = result.rows_unchanged
    record["warnings"].extend(result.warnings)
    # what superseded is told in words: counts named rows_* must add up to rows_read
    superseded = record.pop("rows_superseded_old")
    if superseded:
        record["warnings"].append(f"{superseded} rows correct earlier ones; the earlier values are kept as history")


def _instant(text: str, timezone: str):
    from datetime import datetime

    Hour.parse(text, zone(timezone))  # refuses unreadable text with a remedy
    instant = datetime.fromisoformat(text.strip())
    return instant if instant.tzinfo else instant.replace(tzinfo=zone(timezone))


def _reconcile(workspace: "Workspace", account: str) -> list[str]:
    from connectors import reconcile

    try:
        facts = workspace.facts(account)
    except ConfigError:
        return []
    return list(reconcile(facts).words) if facts.height else []


def _say_record(record: dict[str, Any]) -> None:
    if record["error"]:
        warn(f"{record['file']}: REFUSED: {record['error']}")
        return
    extra = "".join(
        f", {record[key]:,} {word}"
        for key, word in (
            ("rows_unchanged", "unchanged"),
            ("rows_quarantined", "quarantined"),
            ("rows_ignored", "ignored"),
        )
        if record[key]
    )
    say(
        f"{record['file']}: {record['report']}, {record['rows_read']:,} rows: {record['rows_accepted']:,} accepted{extra}"
    )
    for reason, count in record["reasons"].items():
        say(f"    quarantined: {count:,} x {reason}")
    for warning in record["warnings"]:
        say(f"    note: {warning}")


def quarantine(
    account: Annotated[str | None, typer.Option("--account", "-a", help="Only this account.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the rows that were set aside, with file, row, reason and remedy."""
    found = open_workspace().quarantine(account)
    if as_json:
        print_json({"quarantine": found.to_dicts()})
        return
    if not found.height:
        say("nothing is in quarantine")
        return
    table(
        ("account", "file", "row", "reason", "what to do"),
        [(r["account"], Path(r["file"]).name, r["row_number"], r["reason"], r["detail"]) for r in found.to_dicts()],
        right=(2,),
    )
