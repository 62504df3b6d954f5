"""The doctor says what is wrong and what to do, and is silent about nothing."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from data import Workspace
from domain.time import Hour
from engine.accounts import preview

Run = Callable[..., Any]
EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


def found(said: Any) -> dict[str, list[tuple[str, str]]]:
    """Findings by what was looked at."""
    told: dict[str, list[tuple[str, str]]] = {}
    for row in said.json["findings"]:
        told.setdefault(row["what"], []).append((row["state"], row["words"]))
    return told


@pytest.fixture
def shop(run: Run, home: Path) -> Path:
    """Account ``tea`` in shadow mode, with a report and a bulk sheet that were taken in; gives the workspace."""
    assert run("init", "--account", "tea", "--currency", "EUR", "--timezone", "Europe/Berlin").status == 0
    inbox = home / "files" / "tea" / "inbox"
    inbox.mkdir(parents=True)
    long_ago = time.time() - 3600
    for file in (EXAMPLES / "bulk-sheet.xlsx", *(EXAMPLES / "reports").glob("*argeting*.csv")):
        shutil.copyfile(file, inbox / file.name)
        os.utime(inbox / file.name, (long_ago, long_ago))
    assert run("run-hour", "--account", "tea").status == 0
    return home


def wrong(told: dict[str, list[tuple[str, str]]]) -> list[str]:
    return [words for rows in told.values() for state, words in rows if state == "bad"]


def test_a_new_workspace_is_well(run: Run, home: Path) -> None:
    assert run("init", "--account", "tea", "--currency", "EUR").status == 0
    said = run("doctor", "--json")
    assert said.status == 0, said.out
    told = found(said)
    assert said.json["well"]
    assert "polars" in told["versions"][0][1]
    assert told["database"][0] == ("good", "readable, 1 accounts")
    assert told["served"][0][0] == "note"
    assert "all is well" in run("doctor").out


def test_where_there_is_no_workspace_it_says_so(run: Run, home: Path) -> None:
    said = run("doctor", "--json")
    assert said.status == 1
    assert "steadybid init" in found(said)["database"][0][1]
    assert not home.exists()


def test_reports_that_are_too_old_are_wrong_unless_the_account_is_paused(run: Run, shop: Path) -> None:
    said = run("doctor", "--json")  # the examples end long ago
    assert said.status == 1
    (words,) = wrong(found(said))
    assert "newest report row was learned" in words
    assert "live bids are held" in words
    assert run("pause", "--account", "tea").status == 0
    said = run("doctor", "--json")
    assert said.status == 0
    assert ("note", "mode paused, EUR, Europe/Berlin, amazon-sp") in found(said)["account tea"]


def test_damaged_facts_are_named(run: Run, shop: Path) -> None:
    assert run("pause", "--account", "tea").status == 0
    path = next((shop / "facts").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:50])
    said = run("doctor", "--json")
    assert said.status == 1
    assert any(path.name in words for words in wrong(found(said)))
    assert "backup" in wrong(found(said))[0]


def test_a_broken_database_is_told_with_the_stops_that_lie_there(run: Run, shop: Path) -> None:
    for path in shop.glob("steadybid.db*"):
        path.write_bytes(b"not a database")
    assert run("pause", "--account", "tea").status == 0
    said = run("doctor", "--json")
    assert said.status == 1
    told = found(said)
    assert "backup" in told["database"][0][1]
    assert "tea" in told["stops"][0][1]


def test_a_plan_that_was_left_open_and_a_live_account_that_nobody_runs_are_told(run: Run, home: Path) -> None:
    assert run("init", "--account", "tea", "--currency", "EUR").status == 0
    assert run("mode", "live", "--account", "tea", "--by", "Ada").status == 0
    workspace = Workspace.open(home)
    hour = Hour.containing(datetime.now(UTC), workspace.account("tea").tz).plus(-5)
    made = preview(workspace, "tea", hour)
    workspace.journal("tea").open(made.plan, made.known)  # and then its run died
    workspace.close()
    said = run("doctor", "--json")
    assert said.status == 1
    silent, left = wrong(found(said))
    assert "nothing has run since" in silent
    assert "1 plans of earlier hours were not brought to an end" in left
    assert run("run-hour", "--account", "tea").status == 0
    assert wrong(found(run("doctor", "--json"))) == []


def test_held_units_refused_files_and_files_that_wait_are_noted(run: Run, shop: Path) -> None:
    unit = run("plan", "--account", "tea", "--json").json["units"][0]["unit_id"]
    assert run("hold", unit, "--account", "tea", "--by", "Ada").status == 0
    folder = shop / "files" / "tea"
    (folder / "refused" / "odd.csv").write_text("x")
    (folder / "refused" / "odd.csv.reason.txt").write_text("y")
    waiting = folder / "inbox" / "later.csv"
    waiting.write_text("x")
    before = (datetime.now(UTC) - timedelta(hours=5)).timestamp()
    os.utime(waiting, (before, before))
    told = found(run("doctor", "--json"))["account tea"]
    notes = " ".join(words for state, words in told if state == "note")
    assert "1 units are held" in notes
    assert "1 files were refused" in notes
    assert "later.csv" in notes


def test_a_workspace_that_is_served_is_told_with_its_address(run: Run, shop: Path) -> None:
    folder = shop / "prefect"
    folder.mkdir(exist_ok=True)
    (folder / "served.json").write_text(json.dumps({"url": "http://127.0.0.1:4242"}))
    assert found(run("doctor", "--json"))["served"][0][0] == "note"  # left by a session that was killed
    with (folder / "serve.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert found(run("doctor", "--json"))["served"] == [("good", "at http://127.0.0.1:4242")]
