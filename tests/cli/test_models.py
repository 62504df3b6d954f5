"""Fits of the forecast from the shell: which one is used, how good it was, and going back."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.champions import FitBook
from predictors.champion import Verdict

Run = Callable[..., Any]
FIRST = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def book(run: Run, home: Path) -> FitBook:
    """Account ``tea`` whose nights promoted a fit, turned one down and promoted another."""
    assert run("init", "--account", "tea", "--currency", "EUR", "--timezone", "Europe/Berlin").status == 0
    made = FitBook.of(home, "tea")
    for day, promoted in enumerate((True, False, True)):
        until = FIRST + timedelta(days=day)
        alarms = ("clicks came to 900 where 300 were forecast",) if day == 1 else ()
        words = "there was no champion" if day == 0 else f"log loss of day {day}"
        verdict = Verdict(promoted, words, None if day == 0 else 1.25, 1.20 + day / 10, 0.01, 300.0, alarms, 0.75, 8)
        made.enter(until + timedelta(days=2), until, verdict)
    return made


def test_fits_are_listed_with_scores_bands_and_the_champion(run: Run, book: FitBook) -> None:
    fits = run("models", "list", "--account", "tea", "--json").json["fits"]
    assert [f["state"] for f in fits] == ["champion", "turned down", "earlier champion"]
    assert fits[0]["until"].startswith("2026-11-03")
    assert fits[1]["loss"] == pytest.approx(1.3)
    assert fits[2]["champion_loss"] is None
    assert (fits[0]["coverage"], fits[0]["bands"]) == (0.75, 8)
    shown = run("models", "list", "--account", "tea", "--last", "2").out
    assert "2026-11-03 01:00" in shown  # Berlin's clock
    assert "75% of 8" in shown
    assert "alarm, 2026-11-02: clicks came to 900" in shown
    assert "no champion" not in shown


def test_a_person_goes_back_and_the_list_says_who_and_why(run: Run, book: FitBook) -> None:
    said = run("models", "roll-back", "--account", "tea", "--by", "Ada", "--reason", "bids look odd")
    assert said.status == 0, said.err
    assert "rows before 2026-11-01 01:00" in said.out
    assert book.champion() == FIRST
    fits = run("models", "list", "--account", "tea", "--json").json["fits"]
    assert [f["state"] for f in fits] == ["rolled back", "turned down", "champion"]
    assert "by Ada: bids look odd" in fits[0]["reason"]
    again = run("models", "roll-back", "--account", "tea", "--by", "Ada")
    assert again.status == 2
    assert "no earlier fit" in again.err


def test_without_any_fit_or_account_the_command_says_what_is_the_case(run: Run, home: Path) -> None:
    assert run("init", "--account", "tea", "--currency", "EUR").status == 0
    assert "no fit has been tried yet" in run("models", "list", "--account", "tea").out
    assert run("models", "list", "--account", "tea", "--json").json["fits"] == []
    assert run("models", "roll-back", "--account", "nobody").status == 2


def test_books_of_before_bands_were_counted_are_read(run: Run, book: FitBook) -> None:
    text = book.path.read_text(encoding="utf-8")
    book.path.write_text(text.replace('"coverage"', '"other"').replace('"bands"', '"more"'), encoding="utf-8")
    fits = run("models", "list", "--account", "tea", "--json").json["fits"]
    assert fits[0]["coverage"] is None
    shown = run("models", "list", "--account", "tea").out
    assert shown.count("not counted") == 3
    assert shown.count("none yet") == 1  # the first fit had no champion to beat
