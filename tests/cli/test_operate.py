"""Running accounts from the shell: the hour, approvals, modes, the stop, what was decided."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
AT = "2026-11-10T10:00"


@pytest.fixture
def tea(run: Run, home: Path) -> Path:
    """Account ``tea`` with the example's reports and bulk sheet in its inbox; gives the account's folder."""
    assert run("init", "--account", "tea", "--currency", "EUR", "--timezone", "Europe/Berlin").status == 0
    folder = home / "files" / "tea"
    (folder / "inbox").mkdir(parents=True)
    long_ago = time.time() - 3600
    for file in (EXAMPLES / "bulk-sheet.xlsx", *(EXAMPLES / "reports").glob("*.csv")):
        shutil.copyfile(file, folder / "inbox" / file.name)
        os.utime(folder / "inbox" / file.name, (long_ago, long_ago))
    return folder


def test_run_hour_takes_the_inbox_in_and_stores_a_decision_without_sending_it(run: Run, tea: Path) -> None:
    said = run("run-hour", "--account", "tea", "--at", AT, "--json")
    assert said.status == 0, said.err
    record = said.json
    assert (record["what"], record["mode"], record["state"]) == ("decided", "shadow", "shadow")
    assert len(record["units"]) == 23
    assert sum(record["counts"].values()) == 23
    assert all(unit["reason"] for unit in record["units"])
    assert record["known"]["clicks"] > 0
    assert not list((tea / "outbox").iterdir())
    assert not list((tea / "inbox").iterdir())


def test_run_hour_a_second_time_shows_what_was_decided(run: Run, tea: Path) -> None:
    first = run("run-hour", "--account", "tea", "--at", AT, "--json").json
    second = run("run-hour", "--account", "tea", "--at", "2026-11-10T10:59", "--json").json
    assert second["what"] == "already decided"
    assert second["units"] == first["units"]
    assert second["decided_at"] == first["decided_at"]


def test_a_live_account_sends_an_hour_that_is_not_the_present_one_only_when_told_to(run: Run, tea: Path) -> None:
    assert run("mode", "live", "--account", "tea", "--by", "Ada", "--reason", "ready").status == 0
    said = run("run-hour", "--account", "tea", "--at", AT)
    assert said.status == 2
    assert "--send" in said.err
    said = run("run-hour", "--account", "tea", "--at", AT, "--send")
    assert said.status == 0, said.err
    assert "decided (sent)" in said.out
    assert [p.name for p in (tea / "outbox").glob("bids*")] == ["bids-tea-20261110T0900Z.xlsx"]


def test_a_plan_is_approved_once_and_then_sent(run: Run, tea: Path) -> None:
    run("mode", "approve", "--account", "tea", "--by", "Ada")
    left = 3600 - time.time() % 3600
    if left < 30:  # what waits expires with its hour
        time.sleep(left)
    said = run("run-hour", "--account", "tea")  # the present hour: an older one would have expired
    assert "waits for approval" in said.out
    waiting = run("decisions", "--account", "tea", "--json").json["decisions"]
    assert [d["state"] for d in waiting] == ["awaiting_approval"]
    assert not list((tea / "outbox").glob("*"))
    said = run("approve", "--account", "tea", "--by", "Grace")
    assert said.status == 0, said.err
    decided = run("decisions", "--account", "tea", "--json").json["decisions"]
    assert [(d["state"], d["approved_by"]) for d in decided] == [("published", "Grace")]
    assert list((tea / "outbox").glob("audit*"))
    said = run("approve", "--account", "tea")
    assert said.status == 2
    assert "no plan of account 'tea' waits" in said.err


def test_an_hour_that_is_over_cannot_be_approved(run: Run, tea: Path) -> None:
    run("mode", "approve", "--account", "tea")
    run("run-hour", "--account", "tea", "--at", AT)
    said = run("approve", "--account", "tea", "--hour", AT)
    assert said.status == 2
    assert "expired" in said.err
    assert not list((tea / "outbox").iterdir())


def test_pause_and_resume_bring_back_the_mode_that_was(run: Run, tea: Path) -> None:
    run("mode", "live", "--account", "tea")
    said = run("pause", "--account", "tea", "--by", "Ada", "--reason", "stock is out")
    assert said.status == 0
    assert "resume" in said.out
    assert run("accounts", "--json").json["accounts"][0]["mode"] == "paused"
    assert "paused" in run("run-hour", "--account", "tea").out
    assert list((tea / "inbox").iterdir()), "a paused account reads nothing"
    said = run("mode", "shadow", "--account", "tea")
    assert said.status == 2
    assert "resume" in said.err
    assert "live" in run("resume", "--account", "tea").out
    assert run("accounts", "--json").json["accounts"][0]["mode"] == "live"
    said = run("resume", "--account", "tea")
    assert said.status == 2
    assert "not paused" in said.err


def test_pause_works_with_a_broken_database(run: Run, tea: Path, home: Path) -> None:
    run("mode", "live", "--account", "tea")
    for file in home.glob("steadybid.db*"):
        file.write_bytes(b"broken")
    said = run("pause", "--account", "tea")
    assert said.status == 0
    assert (home / "stop" / "tea").is_file()
    assert "could not be asked" in said.err
    assert "Traceback" not in said.out + said.err


def test_pausing_an_account_that_is_not_there_says_so_and_leaves_no_stop_behind(
    run: Run, tea: Path, home: Path
) -> None:
    said = run("pause", "--account", "tee")
    assert said.status == 2
    assert "tea" in said.err
    assert not (home / "stop" / "tee").exists()
    assert run("pause", "--account", "../tea").status == 2


def test_pausing_where_no_workspace_is_says_so(run: Run, home: Path) -> None:
    said = run("pause", "--account", "tea")
    assert said.status == 2
    assert "STEADYBID_HOME" in said.err
    assert not home.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("mode", "fast", "--account", "tea"), "shadow, approve, live"),
        (("mode", "paused", "--account", "tea"), "steadybid pause"),
        (("run-hour", "--account", "coffee"), "no account 'coffee'"),
        (("run-hour", "--account", "tea", "--at", "noon"), "cannot read the time"),
        (("approve", "--account", "tea", "--hour", AT), "mode shadow"),
        (("serve", "--port", "70000"), "port 70000"),
    ],
)
def test_a_wrong_call_is_told_in_words(run: Run, tea: Path, words: tuple[str, ...], told: str) -> None:
    said = run(*words)
    assert said.status == 2
    assert told in said.err
    assert "Traceback" not in said.err


def test_decisions_are_listed_newest_first(run: Run, tea: Path) -> None:
    assert "nothing has been decided" in run("decisions", "--account", "tea").out
    for hour in ("10:00", "11:00"):
        run("run-hour", "--account", "tea", "--at", f"2026-11-10T{hour}")
    rows = run("decisions", "--account", "tea", "--json").json["decisions"]
    assert [r["hour"][11:16] for r in rows] == ["10:00", "09:00"]
    out = run("decisions", "--account", "tea", "--last", "1").out
    assert "2026-11-10 11:00" in out
    assert "2026-11-10 10:00" not in out


def test_serve_needs_a_workspace_and_a_free_port(run: Run, home: Path, tmp_path: Path) -> None:
    said = run("serve", "--for", "1")
    assert said.status == 2
    assert "steadybid init" in said.err


def test_held_units_are_listed_kept_and_released_under_a_name(run: Run, tea: Path) -> None:
    units = [u["unit_id"] for u in run("run-hour", "--account", "tea", "--at", AT, "--json").json["units"]]
    said = run("hold", units[0], units[1], "--account", "tea", "--by", "Ada", "--reason", "new photos")
    assert said.status == 0, said.err
    told = run("holds", "--account", "tea", "--json").json["holds"]
    assert {(h["unit_id"], h["author"], h["reason"]) for h in told} == {(u, "Ada", "new photos") for u in units[:2]}
    later = run("run-hour", "--account", "tea", "--at", "2026-11-10T11:00", "--json").json["units"]
    assert {u["unit_id"] for u in later if u["limit"] == "held by Ada"} == set(units[:2])
    assert run("release", units[5], "--account", "tea").status == 2  # not held
    assert run("hold", "nobody", "--account", "tea", "--by", "Ada").status == 2
    assert run("release", "--account", "tea", "--by", "Ben").status == 0
    assert "no unit is held" in run("holds", "--account", "tea").out


def test_some_units_of_a_plan_are_approved_by_their_names(run: Run, tea: Path) -> None:
    assert run("mode", "approve", "--account", "tea", "--by", "Ada", "--reason", "x").status == 0
    units = run("run-hour", "--account", "tea", "--json").json["units"]
    moved = next(u["unit_id"] for u in units if u["action"] == "set")
    said = run("approve", "--account", "tea", "--unit", moved, "--by", "Ada", "--json")
    assert said.status == 0, said.err
    assert said.json["receipts"]["unseen"] == 1
    assert said.json["receipts"]["not_sent"] == sum(u["action"] in ("set", "pause") for u in units) - 1
