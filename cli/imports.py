"""`steadybid import` and `steadybid quarantine`: files in, and what was set aside."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.accounts import JsonFlag
from cli.output import print_json, say, table, warn
from cli.workspace import SystemClock, open_workspace
from domain.account import Account
from domain.errors import ConfigError, SteadyBidError
from domain.time import Hour, zone

if TYPE_CHECKING:
    from connectors import BulkReading, CatalogReading, FileReading
    from data import Workspace

#: Longest lag that makes sense: reports are restated for up to 60 days.
_LONGEST_LAG_HOURS = 24.0 * 366


@dataclass(frozen=True, slots=True)
class _Call:
    """What holds for all files of one call."""

    workspace: "Workspace"
    account: str
    platform: str
    lag: float
    learned_at: datetime | None
    now: datetime


def import_files(
    files: Annotated[
        list[str],
        typer.Argument(help="Reports, catalogs or bulk sheets: csv, csv.gz or xlsx.", metavar="FILE..."),
    ],
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
    """Read reports, catalogs and bulk sheets. Importing twice changes nothing; corrections supersede."""
    call = _checked(account, platform, report_lag_hours, learned_at)
    records: list[dict[str, Any]] = []
    for file in files:
        record = _import_one(call, file)
        records.append(record)
        if not as_json:
            _say_record(record)
    reconciliation = _reconcile(call.workspace, account)
    if as_json:
        print_json({"account": account, "files": records, "reconciliation": reconciliation})
    else:
        _say_summary(records, reconciliation)
    if any(r["error"] is not None for r in records):
        raise typer.Exit(1)


def _checked(account: str, platform: str, lag: float | None, learned_at: str | None) -> _Call:
    """Refuse a wrong call as a whole, before any file is opened or anything is written."""
    from connectors import profile

    rules = profile(platform)
    Account(account, "XXX")  # refuses names that no account can bear
    if lag is not None and not lag <= _LONGEST_LAG_HOURS:
        raise ConfigError(f"--report-lag-hours {lag:g}: need hours from 0 to {_LONGEST_LAG_HOURS:g}")
    now = SystemClock().now()
    if learned_at is not None:
        _instant(learned_at, "UTC")
    workspace = open_workspace(create=True)
    there = next((a for a in workspace.accounts() if a.name == account), None)
    if there is not None and there.platform != platform:
        raise ConfigError(
            f"account {account!r} is on platform {there.platform}, these files are of {platform}; choose another account"
        )
    instant = None if learned_at is None else _instant(learned_at, there.timezone if there else "UTC")
    if instant is not None and instant > now:
        raise ConfigError(f"--learned-at {learned_at}: it lies ahead; files cannot have been learned later than now")
    return _Call(workspace, account, platform, rules.report_lag_hours if lag is None else lag, instant, now)


def _instant(text: str, timezone: str) -> datetime:
    Hour.parse(text, zone(timezone))  # refuses unreadable text with a remedy
    instant = datetime.fromisoformat(text.strip())
    return instant if instant.tzinfo else instant.replace(tzinfo=zone(timezone))


def _import_one(call: _Call, file: str) -> dict[str, Any]:
    """Record of one file; whatever is wrong with it stays with it."""
    record: dict[str, Any] = {
        "file": file,
        "report": None,
        "rows_read": 0,
        "rows_accepted": 0,
        "rows_quarantined": 0,
        "rows_ignored": 0,
        "rows_unchanged": 0,
        "reasons": {},
        "warnings": [],
        "error": None,
    }
    if not file.strip():
        return record | {"error": "a file name is empty; name the file to import"}
    try:
        _read_and_store(call, Path(file), record)
    except SteadyBidError as refused:
        record["error"] = str(refused)
    except MemoryError:
        record["error"] = f"{file} needs more memory than there is; split it into shorter periods"
    except OSError as refused:
        record["error"] = f"{file}: the system refused: {refused.strerror or refused}; check the disk and its rights"
    if record["error"] is not None:
        told = record["rows_quarantined"] + record["rows_ignored"]
        record |= {"rows_accepted": 0, "rows_unchanged": 0, "rows_refused": record["rows_read"] - told}
    return record


def _read_and_store(call: _Call, path: Path, record: dict[str, Any]) -> None:
    from connectors import BulkReading, CatalogReading, FileReading, profile, read_any
    from engine.intake import store

    there = next((a for a in call.workspace.accounts() if a.name == call.account), None)
    rules = profile(call.platform)
    limits = None if there is None else rules.bid_limits.get(there.currency, rules.any_currency)
    reading = read_any(path, call.platform, limits=limits)
    record |= {
        "report": reading.report,
        "rows_read": reading.rows_read,
        "rows_quarantined": reading.quarantined.height,
        "rows_ignored": reading.rows_ignored,
        "reasons": reading.reasons,
        "warnings": list(reading.warnings),
        "error": reading.error,
    }
    if reading.error is not None:
        return
    if isinstance(reading, BulkReading) and there is None:
        raise ConfigError(
            f"{path}: a bulk sheet does not name its currency, so it cannot make account {call.account!r}; first "
            f"steadybid init --account {call.account} --currency CODE --timezone ZONE, or import a report"
        )
    if isinstance(reading, FileReading | CatalogReading):
        _make_account(call, reading, record)
    told = store(
        call.workspace, call.account, _printable(reading), now=call.now, report_lag_hours=call.lag,
        learned_at=call.learned_at,
    )  # fmt: skip
    record |= {
        "rows_accepted": told.rows_new + told.rows_superseded,
        "rows_unchanged": told.rows_unchanged,
        "rows_quarantined": told.rows_quarantined,
        "reasons": dict(told.reasons),
    }
    record["warnings"] += [w for w in told.warnings if w not in record["warnings"]]
    if told.rows_superseded:
        record["warnings"].append(
            f"{told.rows_superseded:,} rows correct earlier ones; the earlier values are kept as history"
        )


def _make_account(call: _Call, reading: "FileReading | CatalogReading", record: dict[str, Any]) -> None:
    """Make the account of a report where there is none, and say what was assumed of it."""
    owner, made = call.workspace.ensure_account(
        call.account, currency=reading.currency, platform=call.platform, now=call.now
    )
    if made:
        money = "no currency yet" if reading.currency is None else f"currency {owner.currency}"
        record["warnings"].append(
            f"account {call.account!r} was made from this file: {money}, time zone {owner.timezone} (assumed); "
            f"state them with steadybid init --account {call.account} --currency {reading.currency or 'CODE'} "
            "--timezone ZONE"
        )


def _printable(
    reading: "FileReading | CatalogReading | BulkReading",
) -> "FileReading | CatalogReading | BulkReading":
    """Reading whose file name can be stored as text, whatever bytes the name on disk has."""
    name = reading.file.encode("utf-8", "backslashreplace").decode("utf-8")
    return reading if name == reading.file else replace(reading, file=name)


def _reconcile(workspace: "Workspace", account: str) -> list[str]:
    from connectors import reconcile

    try:
        facts = workspace.facts(account)
    except SteadyBidError:
        return []  # every file was refused, and each record says why
    return list(reconcile(facts).words) if facts.height else []


def _say_record(record: dict[str, Any]) -> None:
    if record["error"] is not None:
        error, file = record["error"], record["file"]
        warn(f"{file}: REFUSED: {error.removeprefix(f'{file}: ')}")
        return
    counts = "".join(
        f", {record[key]:,} {word}"
        for key, word in (
            ("rows_unchanged", "unchanged"),
            ("rows_quarantined", "quarantined"),
            ("rows_ignored", "ignored (blank rows, totals)"),
        )
        if record[key]
    )
    kind = record["report"].replace("_", " ")
    say(f"{record['file']}: {kind}, {record['rows_read']:,} rows: {record['rows_accepted']:,} accepted{counts}")
    for reason, count in record["reasons"].items():
        say(f"    quarantined: {count:,} x {reason}")
    for warning in record["warnings"]:
        say(f"    note: {warning}")


def _say_summary(records: list[dict[str, Any]], reconciliation: list[str]) -> None:
    sums = {key: sum(r[f"rows_{key}"] for r in records) for key in ("accepted", "unchanged", "quarantined")}
    refused = sum(r["error"] is not None for r in records)
    if len(records) > 1:
        counts = ", ".join(f"{count:,} {word}" for word, count in sums.items())
        say(f"{len(records)} files, {refused} refused; rows: {counts}")
    if sums["quarantined"]:
        say("what was set aside, and what to do about it: steadybid quarantine")
    for line in reconciliation:
        say(line)


def quarantine(
    account: Annotated[str | None, typer.Option("--account", "-a", help="Only this account.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the rows that were set aside, with file, row, reason and remedy."""
    workspace = open_workspace()
    if account is not None:
        workspace.account(account)  # refuses an unknown one
    found = workspace.quarantine(account)
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
