"""Nights try the newest fit on a day it has not seen; hours use the champion; a person can go back."""

from datetime import datetime, timedelta

import pytest

from data import Workspace
from domain.errors import ConfigError
from domain.time import FixedClock, Hour
from engine.champions import FitBook, challenge_tonight, fitted, roll_back
from engine.hourly import run_hour
from engine.nightly import run_night
from engine.what_if import study
from predictors import SteadyModel


@pytest.fixture
def days(shop) -> tuple[Workspace, list[Hour]]:
    """The shop after six days in each of which one hour was run, and the hours of six nights."""
    start = Hour(datetime.fromisoformat("2026-11-08T12:00:00+00:00"))
    for k in range(6):
        hour = start.plus(24 * k)
        clock = FixedClock(hour.start + timedelta(minutes=5))
        run_hour(shop.workspace, "north", hour, clock=clock, platform=shop.platform)
    return shop.workspace, [start.plus(24 * k + 14) for k in range(6)]


def test_each_night_tries_one_fit_and_hours_use_the_champion(days) -> None:
    workspace, nights = days
    book = FitBook.of(workspace.home, "north")
    assert book.champion() is None
    verdicts = [challenge_tonight(workspace, "north", night) for night in nights]
    tried = [v for v in verdicts if v is not None]
    assert len(tried) >= 3
    assert tried[0].reason == "there was no champion"
    assert challenge_tonight(workspace, "north", nights[-1]) is None  # a second time is harmless
    assert len(book.history()) == len(tried)
    until = book.champion()
    assert until is not None
    assert until < nights[-1].start - timedelta(hours=24)
    known = workspace.asof("north").at(nights[-1])
    used = fitted(SteadyModel(), known, book)
    assert used.cvr.rate != SteadyModel().fit(known).cvr.rate
    looked = study(workspace, "north", nights[-1]).model  # pages look through the champion's eyes, too
    assert looked is not None
    assert looked.cvr is used.cvr
    # what the nights counted is in the book, and an earlier look at it shows the fits of then
    assert [(f.coverage, f.bands) for f in book.fits()] == [(v.coverage, v.bands) for v in tried]
    assert all(f.bands > 0 and 0 <= (f.coverage or 0.0) <= 1 for f in book.fits())
    then = book.fits(book.fits()[1].tried_at)
    assert [f.until for f in then] == [f.until for f in book.fits()[:2]]
    assert [f.state for f in then].count("champion") == 1
    # a person goes back: then being newer is not enough for a while
    before = [e["until"] for e in book.history() if e["action"] == "promote"]
    assert len(before) >= 2
    back = roll_back(workspace, "north", nights[-2].start, "looks odd")
    assert back.isoformat() == before[-2]
    assert book.champion() == back
    assert book.doubted(nights[-1].start)
    assert not book.doubted(nights[-1].start + timedelta(days=8))


def test_the_night_says_what_became_of_the_fit_and_a_damaged_book_stops_no_hour(days) -> None:
    workspace, nights = days
    book = FitBook.of(workspace.home, "north")
    with pytest.raises(ConfigError, match="no earlier fit"):
        roll_back(workspace, "north", nights[-1].start, "looks odd")
    outcome = run_night(workspace, "north", FixedClock(nights[-1].start + timedelta(minutes=3)))
    assert outcome.fit is not None
    assert outcome.fit.promoted
    assert "newest fit is used" in outcome.words
    book.path.write_text("{", encoding="utf-8")
    known = workspace.asof("north").at(nights[-1])
    assert fitted(SteadyModel(), known, book).cvr.rate == SteadyModel().fit(known).cvr.rate
    outcome = run_night(workspace, "north", FixedClock(nights[-1].start + timedelta(minutes=3)))
    assert outcome.fit is None
    assert any("could not be tried" in note for note in outcome.notes)
