"""A workspace opens, refuses what it does not know, places facts anew, and cleans up after crashes."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data import IngestResult, Workspace
from domain.account import Account
from domain.errors import ConfigError, DataError
from domain.plans import BidPlan
from domain.tables import QUARANTINE, Known, empty
from domain.time import Hour

Facts = Callable[..., pl.DataFrame]
Take = Callable[..., IngestResult]


def test_a_folder_without_a_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    for home in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match="steadybid init"):
            Workspace.open(home)


def test_making_a_workspace_twice_keeps_what_is_in_it(workspace: Workspace) -> None:
    again = Workspace.open(workspace.home, create=True)
    assert [a.name for a in again.accounts()] == ["shop"]


def test_a_workspace_of_a_newer_program_is_refused(workspace: Workspace) -> None:
    workspace.close()
    with sqlite3.connect(workspace.home / "steadybid.db") as connection:
        connection.execute("update meta set value = '999' where key = 'schema_version'")
    connection.close()
    for create in (False, True):
        with pytest.raises(ConfigError, match=r"newer SteadyBid.*999.*upgrade"):
            Workspace.open(workspace.home, create=create)


def test_a_workspace_of_the_first_tables_is_completed_and_nothing_of_it_is_lost(workspace: Workspace) -> None:
    workspace.close()
    with sqlite3.connect(workspace.home / "steadybid.db") as connection:
        connection.execute("drop table hold_edits")
        connection.execute("update meta set value = '1' where key = 'schema_version'")
    connection.close()
    again = Workspace.open(workspace.home)
    assert [a.name for a in again.accounts()] == ["shop"]
    assert again.held_units("shop").is_empty()


def test_a_database_address_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    for url in ("nonsense", "mysql+nodriver://host/db"):
        with pytest.raises(ConfigError, match="database URL"):
            Workspace.open(tmp_path / "home", database_url=url)


def test_the_control_database_may_lie_elsewhere(tmp_path: Path, facts: Facts) -> None:
    elsewhere = tmp_path / "control.db"
    made = Workspace.open(tmp_path / "home", create=True, database_url=f"sqlite:///{elsewhere}")
    made.create_account(Account("shop", "INR"), datetime(2026, 1, 1, tzinfo=UTC))
    assert elsewhere.is_file()
    assert not (tmp_path / "home" / "steadybid.db").exists()
    again = Workspace.open(tmp_path / "home", database_url=f"sqlite:///{elsewhere}")
    assert again.account("shop").currency == "INR"


# -- care --------------------------------------------------------------------------------------------------------------


def age(path: Path, now: datetime, days: float) -> None:
    then = (now - timedelta(days=days)).timestamp()
    os.utime(path, (then, then))


def test_a_sweep_removes_what_no_manifest_names_once_it_is_old(
    workspace: Workspace, facts: Facts, take: Take, now: datetime
) -> None:
    take(facts({}))
    folder = workspace.home / "facts" / "reports"
    kept = next(folder.glob("*.parquet"))
    age(kept, now, 9)
    for name, days in (("old.parquet", 2), ("half.parquet.tmp", 2), ("young.parquet", 0.5)):
        (folder / name).write_bytes(b"left by a crash")
        age(folder / name, now, days)
    swept = workspace.sweep(now, timedelta(days=1))
    assert (swept.files, swept.bytes) == (2, 2 * len(b"left by a crash"))
    assert {p.name for p in folder.iterdir()} == {kept.name, "young.parquet"}
    assert workspace.facts("shop").height == 1


def test_damaged_and_missing_fact_files_are_named(workspace: Workspace, facts: Facts, take: Take) -> None:
    take(facts({}), "a.csv")
    take(facts({"target": "boots"}), "b.csv")
    assert workspace.damaged_files() == []
    first, second = sorted((workspace.home / "facts" / "reports").glob("*.parquet"))
    first.write_bytes(first.read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read"):
        workspace.facts("shop")
    second.unlink()
    assert len(workspace.damaged_files()) == 2
    with pytest.raises(DataError, match="gone"):
        workspace.facts("shop")


def test_small_files_are_put_together_without_changing_what_is_known(
    workspace: Workspace, facts: Facts, take: Take, now: datetime
) -> None:
    for n in range(3):
        take(facts({"target": f"t{n}", "start_local": datetime(2026, 2, 1 + n)}), f"{n}.csv")
    take(facts({"target": "t0", "orders": 9.0}), "fix.csv")
    before = workspace.asof("shop").at(Hour(datetime(2026, 3, 2, tzinfo=UTC)))
    assert workspace.compact("shop", now) == 4
    assert workspace.compact("shop", now) == 0
    after = workspace.asof("shop").at(Hour(datetime(2026, 3, 2, tzinfo=UTC)))
    assert after.performance.equals(before.performance)
    assert after.arrivals.equals(before.arrivals)
    assert (take(facts({"target": "t0"}), "0.csv").rows_unchanged, workspace.facts("shop").height) == (1, 3)
    assert workspace.sweep(now + timedelta(hours=1), timedelta(days=1)).files == 0
    assert workspace.sweep(now + timedelta(days=2), timedelta(days=1)).files == 4
    assert workspace.damaged_files() == []


# -- stating what was assumed ------------------------------------------------------------------------------------------


def test_stating_the_time_zone_places_assumed_history_anew(
    workspace: Workspace, facts: Facts, take: Take, now: datetime
) -> None:
    workspace.ensure_account("in", currency="INR", now=now)
    take(facts({}), "history.csv", account="in")
    stated = datetime(2026, 2, 20, tzinfo=UTC)
    take(facts({"start_local": datetime(2026, 2, 2)}), "stated.csv", account="in", learned_at=stated)
    workspace.create_account(Account("in", "INR", "Asia/Kolkata"), now)
    assert workspace.account("in").assumed == ()
    known = workspace.asof("in").at(Hour(datetime(2026, 3, 1, 0, 30, tzinfo=UTC)))
    assert known.performance.select("start_utc", "learned_at").rows() == [
        (datetime(2026, 1, 31, 18, 30, tzinfo=UTC), datetime(2026, 2, 2, 6, 30, tzinfo=UTC)),
        (datetime(2026, 2, 1, 18, 30, tzinfo=UTC), stated),
    ]
    assert take(facts({}), "history.csv", account="in").rows_unchanged == 1
    with pytest.raises(ConfigError, match="exists with timezone Asia/Kolkata"):
        workspace.create_account(Account("in", "INR", "UTC"), now)


def test_a_currency_that_money_was_imported_in_stays(
    workspace: Workspace, facts: Facts, take: Take, now: datetime
) -> None:
    workspace.ensure_account("in", currency="INR", now=now)
    take(facts({}), account="in")
    with pytest.raises(ConfigError, match="holds reports in INR"):
        workspace.create_account(Account("in", "USD", "Asia/Kolkata"), now)


def test_the_time_zone_of_decided_hours_stays(
    workspace: Workspace, now: datetime, plan: Callable[..., BidPlan], known: Callable[..., Known]
) -> None:
    workspace.ensure_account("in", currency="INR", now=now)
    hour = Hour(datetime(2026, 3, 1, tzinfo=UTC))
    workspace.journal("in").open(plan(hour, account="in"), known(hour, "in"))
    with pytest.raises(ConfigError, match="decided hours"):
        workspace.create_account(Account("in", "INR", "Asia/Kolkata"), now)


# -- many processes ----------------------------------------------------------------------------------------------------


def test_an_import_that_others_keep_overtaking_gets_its_turn(
    workspace: Workspace, facts: Facts, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, overtaken = workspace.warehouse.stage, iter(range(3))
    other = Workspace.open(workspace.home)

    def overtake(*given: object, **named: object) -> object:
        n = next(overtaken, None)
        if n is not None:  # between our comparison and our transaction, somebody imports the same day
            row = facts({"target": f"other {n}"})
            other.ingest("shop", row, report="targeting", file=f"o{n}", sha256=f"o{n}", currency="INR",
                         attribution_days=14, quarantined=empty(QUARANTINE), now=datetime(2026, 2, 28, tzinfo=UTC),
                         report_lag_hours=12.0)  # fmt: skip
        return stage(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(workspace.warehouse, "stage", overtake)
    result = take(facts({}, {"target": "other 2"}))
    assert (result.rows_new, result.rows_unchanged) == (1, 1)
    assert next(overtaken, None) is None
    assert workspace.facts("shop")["target"].sort().to_list() == ["other 0", "other 1", "other 2", "shoes"]


IMPORTER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import polars as pl
from data import Workspace
from domain.goals import Target, TargetKind
from domain.tables import FACTS, QUARANTINE, empty

home, who = sys.argv[1], int(sys.argv[2])
workspace = Workspace.open(Path(home), create=True)
now = datetime(2026, 3, 1, tzinfo=UTC)
print("ready", flush=True)
sys.stdin.readline()
for n in range(8):
    row = {"report": "targeting", "start_local": datetime(2026, 1, 1 + n), "grain": "day", "campaign": f"C{who}",
           "ad_group": "G", "target": "t", "match_type": "EXACT", "spend": 1.0, "row_number": 2}
    rows = pl.DataFrame([{k: row.get(k) for k in FACTS}], schema=dict(FACTS))
    name = f"{who}-{n}"
    workspace.ingest("shop", rows, report="targeting", file=name, sha256=name, currency="INR", attribution_days=14,
                     quarantined=empty(QUARANTINE), now=now, report_lag_hours=1.0)
    workspace.set_target("shop", Target(TargetKind.ROI, 1.0 + n), by=f"p{who}", reason="", now=now)
print("done", flush=True)
"""


def test_processes_that_import_and_edit_at_once_lose_nothing_and_are_never_locked_out(
    tmp_path: Path, workspace: Workspace
) -> None:
    home = str(workspace.home)
    crowd = [
        subprocess.Popen([sys.executable, "-c", IMPORTER, home, str(k)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
        for k in range(4)
    ]  # fmt: skip
    for one in crowd:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in crowd:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    while any(one.poll() is None for one in crowd):
        seen = workspace.facts("shop")
        assert seen.height == seen.n_unique(("campaign", "start_local"))
    for one in crowd:
        out, err = one.communicate(timeout=60)
        assert (one.returncode, out.strip()) == (0, "done"), err
    assert workspace.facts("shop").height == 32
    assert workspace.target_history("shop").height == 32
    assert workspace.files("shop").height == 32
