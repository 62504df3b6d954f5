"""Set-up, broken surroundings and strange terminals: always words, never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

STEADYBID = str(Path(sys.executable).with_name("steadybid"))
HEAVY = {"polars", "numpy", "lightgbm", "cvxpy", "streamlit", "prefect", "numba", "duckdb", "sqlalchemy", "altair"}


def shell(*words, **environment):
    said = subprocess.run(
        [STEADYBID, *map(str, words)], capture_output=True, timeout=120, env={**os.environ, **environment}, check=False
    )
    assert b"Traceback" not in said.stdout + said.stderr
    return said


def test_init_alone_makes_the_workspace_and_may_be_repeated(done, home):
    for _ in range(2):
        assert str(home) in done("init").out
    assert (home / "steadybid.db").is_file()
    assert done("accounts", "--json").json == {"accounts": []}


def test_without_steadybid_home_the_workspace_lies_below_the_current_folder(done, home, monkeypatch):
    monkeypatch.delenv("STEADYBID_HOME")
    done("init")
    assert (home.parent / "var" / "steadybid.db").is_file()


def test_repeating_init_keeps_what_is_not_said_again(done, run):
    done("init", "-a", "in", "--currency", "inr")
    (account,) = done("accounts", "--json").json["accounts"]
    assert (account["currency"], account["timezone"], account["assumed"]) == ("INR", "UTC", ["timezone"])
    done("init", "-a", "in", "--currency", "INR", "--timezone", "Asia/Kolkata")
    done("init", "-a", "in", "--currency", "INR")
    (account,) = done("accounts", "--json").json["accounts"]
    assert (account["timezone"], account["assumed"]) == ("Asia/Kolkata", [])
    for other in (("--currency", "USD"), ("--currency", "INR", "--timezone", "UTC")):
        said = run("init", "-a", "in", *other)
        assert said.status == 2
        assert "INR" in said.err or "Asia/Kolkata" in said.err


@pytest.mark.parametrize(
    "words",
    [
        ("--account", "in"),
        ("--currency", "INR"),
        ("--timezone", "UTC"),
        ("--account", "in", "--currency", "EURO"),
        ("--account", "in", "--currency", ""),
        ("--account", "in", "--currency", "XXX"),
        ("--account", "a b", "--currency", "INR"),
        ("--account", "../in", "--currency", "INR"),
        ("--account", "x" * 65, "--currency", "INR"),
        ("--account", "in", "--currency", "INR", "--timezone", "Mars/Olympus"),
        ("--account", "in", "--currency", "INR", "--timezone", ""),
        ("--account", "in", "--currency", "INR", "--timezone", "../../etc/passwd"),
        ("--account", "in", "--currency", "INR", "--platform", "nowhere"),
    ],
)
def test_an_account_that_cannot_be_is_refused_before_anything_is_made(run, home, words):
    said = run("init", *words)
    assert said.status == 2
    assert said.err
    assert not home.exists()


def test_a_currency_without_bid_limits_is_told_at_once(done):
    assert "limits" in done("init", "-a", "au", "--currency", "AUD").err


@pytest.mark.parametrize(
    "words",
    [
        ("accounts",),
        ("plan", "-a", "in"),
        ("export-bids", "-a", "in"),
        ("quarantine",),
        ("targets", "list", "-a", "in"),
        ("phases", "show", "-a", "in"),
    ],
)
def test_without_a_workspace_every_command_says_how_to_make_one(run, words):
    said = run(*words)
    assert said.status == 2
    assert "steadybid init" in said.err


@pytest.mark.parametrize("words", [("accounts",), ("init",), ("plan", "-a", "shop"), ("targets", "list", "-a", "shop")])
def test_a_damaged_database_is_told_in_words(run, shop, home, words):
    for file in home.glob("steadybid.db*"):
        file.write_bytes(os.urandom(20_000))
    said = run(*words)
    assert said.status == 1
    assert "steadybid.db" in said.err
    assert "backup" in said.err


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_damaged_fact_files_are_told_in_words(run, shop, home, targeting, damage):
    for file in home.glob("facts/**/*.parquet"):
        if damage == "cut":
            file.write_bytes(file.read_bytes()[:100])
        else:
            file.unlink()
    for words in (("plan", "-a", shop), ("import", targeting("again.csv"), "-a", shop)):
        said = run(*words)
        assert said.status == 1
        assert "backup" in said.err


@pytest.mark.parametrize("where", ["/dev/null/workspace", "file"])
def test_a_workspace_that_cannot_be_made_is_a_wrong_call(run, targeting, tmp_path, monkeypatch, where):
    (tmp_path / "file").touch()
    monkeypatch.setenv("STEADYBID_HOME", where)
    for words in (("init",), ("import", targeting())):
        said = run(*words)
        assert said.status == 2
        assert where in said.err


def test_an_error_of_our_own_is_kept_in_a_file_and_named(run, done, home, monkeypatch):
    done("init")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr("cli.accounts.open_workspace", broken)
    said = run("accounts")
    assert said.status == 3
    assert "the sky fell" in said.err
    (kept,) = (home / "log").iterdir()
    assert str(kept) in said.err
    assert "RuntimeError" in kept.read_text()


def test_a_terminal_without_unicode_gets_plain_signs_and_valid_json(shop, done, home):
    done("init", "--account", "été", "--currency", "INR")
    plain = {"STEADYBID_HOME": str(home), "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    table = shell("plan", "-a", shop, "--at", "2026-03-16", **plain)
    assert table.returncode == 0
    assert "all units" in table.stdout.decode("ascii")
    listed = shell("accounts", "--json", **plain)
    assert "été" in {a["account"] for a in json.loads(listed.stdout.decode("ascii"))["accounts"]}


def test_a_reader_that_goes_away_is_no_failure(shop, home):
    command = f"{STEADYBID} plan -a {shop} --at 2026-03-16 --json | head -c 10; exit ${{PIPESTATUS[0]}}"
    said = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode, len(said.stdout), said.stderr) == (0, 10, "")


def test_a_full_disk_is_told_in_words(shop, home):
    with open("/dev/full", "w") as full:
        said = subprocess.run([STEADYBID, "accounts"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert said.returncode == 1
    assert "space" in said.stderr


def test_help_is_there_for_every_command_and_loads_nothing_heavy(home):
    code = f"""
import io, sys, contextlib
from cli.main import app
import typer
def told(words):
    out = io.StringIO()
    sys.argv = ["steadybid", *words, "--help"]
    with contextlib.redirect_stdout(out):
        try:
            app()
        except SystemExit as end:
            assert end.code in (0, None), (words, end.code)
    assert "Usage: steadybid" in out.getvalue(), words
def walk(group, words):
    told(words)
    for name, command in getattr(group, "commands", {{}}).items():
        walk(command, [*words, name])
walk(typer.main.get_command(app), [])
heavy = sorted({HEAVY!r} & set(sys.modules))
assert not heavy, heavy
print("all well")
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert said.stdout.strip().endswith("all well"), said.stderr
    assert said.returncode == 0
