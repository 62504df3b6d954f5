"""`steadybid doctor`: looks whether a workspace is well, and says what to do where it is not.

Every check stands alone: what is broken for one does not keep the others from being made. Nothing is changed.
"""

import importlib.metadata
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.accounts import JsonFlag
from cli.output import print_json, say
from cli.workspace import SystemClock, home, open_workspace
from domain.account import Account, Mode
from domain.errors import SteadyBidError

if TYPE_CHECKING:
    from data import Workspace

GOOD, NOTE, BAD = "good", "note", "bad"
_PACKAGES = (
    "steadybid",
    "polars",
    "duckdb",
    "sqlalchemy",
    "numpy",
    "numba",
    "cvxpy",
    "lightgbm",
    "prefect",
    "streamlit",
)
_LITTLE_ROOM = 500_000_000
#: A live account that was not decided for so long is not being run.
_SILENCE = timedelta(hours=2)
#: A file that lies in the inbox for so long is not being taken in.
_LEFT_LYING = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes
    ----------
    what
        What was looked at.
    state
        ``good``; ``note``: a person should know; ``bad``: something is wrong.
    words
        What was found, and what to do.
    """

    what: str
    state: str
    words: str


def doctor(as_json: JsonFlag = False) -> None:
    """Look whether workspace, database, facts, accounts and runs are well; exit status 1 where something is wrong."""
    findings = list(examine(home(), SystemClock().now()))
    wrong = [f for f in findings if f.state == BAD]
    if as_json:
        rows = [{"what": f.what, "state": f.state, "words": f.words} for f in findings]
        print_json({"home": str(home().absolute()), "well": not wrong, "findings": rows})
    else:
        for f in findings:
            say(f"{f.state:5} {f.what}: {f.words}")
        say("all is well" if not wrong else f"{len(wrong)} of {len(findings)} checks found something wrong")
    if wrong:
        raise typer.Exit(1)


def examine(folder: Path, now: datetime) -> Iterator[Finding]:
    """All checks of a workspace, at an instant."""
    yield _versions()
    yield from _guarded("disk", lambda: _disk(folder))
    yield from _guarded("served", lambda: _served(folder))
    try:
        workspace = open_workspace()
        accounts = workspace.accounts()
    except SteadyBidError as broken:
        yield Finding("database", BAD, str(broken))
        stopped = sorted(p.name for p in (folder / "stop").glob("*"))
        if stopped:
            yield Finding("stops", NOTE, f"paused by a file, whatever the database says: {', '.join(stopped)}")
        return
    yield Finding("database", GOOD, f"readable, {len(accounts)} accounts" if accounts else "readable, no account yet")
    yield from _guarded("facts", lambda: _facts(workspace))
    for account in accounts:
        yield from _guarded(f"account {account.name}", lambda account=account: _account(workspace, account, now))
    workspace.close()


def _guarded(what: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except (SteadyBidError, OSError) as broken:
        yield Finding(what, BAD, str(broken))


def _versions() -> Finding:
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    words = f"Python {sys.version.split()[0]}, " + ", ".join(f"{n} {v}" for n, v in found.items())
    missing = "missing" in found.values()
    return Finding("versions", BAD if missing else GOOD, words + ("; run 'make install'" if missing else ""))


def _disk(folder: Path) -> Iterator[Finding]:
    place = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free
    words = f"{free / 1e9:,.1f} GB free at {place}"
    yield Finding("disk", GOOD if free > _LITTLE_ROOM else BAD, words + ("" if free > _LITTLE_ROOM else "; make room"))


def _served(folder: Path) -> Iterator[Finding]:
    from flows.serve import served_at

    url = served_at(folder)
    yield Finding("served", GOOD if url else NOTE, f"at {url}" if url else "not served: hours run only by hand, or by a scheduler of your own; start: steadybid serve")  # fmt: skip


def _facts(workspace: "Workspace") -> Iterator[Finding]:
    damaged = workspace.damaged_files()
    if damaged:
        words = f"{len(damaged)} fact files are missing or damaged, such as {workspace.home / damaged[0]}; restore them from a backup"
        yield Finding("facts", BAD, words)
    else:
        yield Finding("facts", GOOD, "all fact files are whole")


def _account(workspace: "Workspace", account: Account, now: datetime) -> Iterator[Finding]:
    from data import Views
    from data.kept import SIMULATED

    what, views = f"account {account.name}", Views(workspace)
    yield Finding(what, NOTE if account.mode is Mode.PAUSED else GOOD, f"mode {account.mode.value}, {account.currency}, {account.timezone}, {account.platform}")  # fmt: skip
    if account.assumed:
        yield Finding(what, NOTE, f"assumed, not stated: {', '.join(account.assumed)}; state it with steadybid init")
    if account.platform == SIMULATED:
        return  # a finished simulation learns and decides nothing
    yield from _reports(views, account, what, now)
    yield from _runs(workspace, views, account, what, now)
    yield from _folders(workspace.home, account, what, now)
    held = workspace.held_units(account.name).height
    if held:
        yield Finding(what, NOTE, f"{held:,} units are held by persons; see steadybid holds --account {account.name}")


def _reports(views: Any, account: Account, what: str, now: datetime) -> Iterator[Finding]:
    from connectors import profile

    rules, learned = profile(account.platform), views.learned_until(account.name)
    if learned is None:
        yield Finding(what, NOTE, "no report was ever read: import some, or drop them into its inbox")
        return
    hours = (now - learned) / timedelta(hours=1)
    stale = hours > rules.stale_after_hours
    words = f"newest report row was learned {max(hours, 0):,.0f} hours ago"
    running = account.mode is not Mode.PAUSED
    yield Finding(what, (BAD if running else NOTE) if stale else GOOD, words + (f", more than the {rules.stale_after_hours:g} after which live bids are held; drop newer reports into its inbox" if stale else ""))  # fmt: skip


def _runs(workspace: "Workspace", views: Any, account: Account, what: str, now: datetime) -> Iterator[Finding]:
    from domain.plans import DecisionState
    from domain.time import Hour

    if account.mode is Mode.PAUSED:
        return
    newest = views.decisions(account.name, limit=1)
    acts = account.mode in (Mode.LIVE, Mode.APPROVE)
    if not newest.height:
        yield Finding(what, NOTE, "no hour was decided yet")
    else:
        silent = now - newest["hour"][0]
        words = f"newest decision is of {newest['hour'][0]:%Y-%m-%d %H:%M} UTC ({newest['state'][0]})"
        late = silent > _SILENCE
        yield Finding(what, (BAD if acts else NOTE) if late else GOOD, words + ("; nothing has run since: see whether steadybid serve runs" if late else ""))  # fmt: skip
    left = [u for u in workspace.journal(account.name).unfinished(Hour.containing(now, account.tz)) if u.state is DecisionState.OPEN]  # fmt: skip
    if left:
        yield Finding(what, BAD, f"{len(left)} plans of earlier hours were not brought to an end, the first of {left[0].hour}; the next run does that, so see why none came")  # fmt: skip


def _folders(workspace_home: Path, account: Account, what: str, now: datetime) -> Iterator[Finding]:
    root = workspace_home / "files" / account.name
    if not root.is_dir():
        return
    refused = [p for p in (root / "refused").glob("*") if not p.name.endswith(".reason.txt")]
    if refused:
        yield Finding(
            what, NOTE, f"{len(refused)} files were refused; the reasons lie beside them in {root / 'refused'}"
        )
    old = [p for p in (root / "inbox").glob("*") if p.is_file() and now.timestamp() - p.stat().st_mtime > _LEFT_LYING.total_seconds()]  # fmt: skip
    if old and account.mode is not Mode.PAUSED:
        yield Finding(
            what, NOTE, f"{len(old)} files wait in the inbox, such as {old[0].name}; the next run takes them in"
        )
