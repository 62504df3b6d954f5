from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import server, session
from dashboard.app import PAGES
from data import Views, Workspace
from domain.account import Account, Mode
from domain.errors import ConfigError
from domain.goals import Target, TargetKind
from domain.plans import DecisionState
from domain.time import FixedClock, Hour
from engine.champions import FitBook
from engine.hourly import run_hour
from predictors.champion import Verdict

ADDRESSES = list(PAGES)
STRANGE = ("<script>alert(1)</script>", "=cmd()|' /C calc'!A0", "![x](http://evil.example/x.png)")
Open = Callable[..., AppTest]


def texts(test: AppTest) -> list[str]:
    """Everything that is rendered as Markdown."""
    found = [e.value for kind in ("markdown", "caption", "title", "subheader", "info", "warning", "error", "success") for e in getattr(test, kind)]  # fmt: skip
    return [str(t) for t in found]


def press(test: AppTest, label: str) -> AppTest:
    next(b for b in test.button if b.label == label).click()
    return test.run()


def edit(test: AppTest, number: int, **cells: object) -> AppTest:
    """Edit cells of a row of the targets' table."""
    key = test.data_editor[0].key
    test.session_state[key] = {"edited_rows": {number: cells}, "added_rows": [], "deleted_rows": []}
    return test.run()


def sign(test: AppTest, name: str = "Ana", reason: str = "test") -> AppTest:
    test.text_input(key="author").set_value(name)
    next(t for t in test.text_input if t.label == "Reason").set_value(reason)
    return test.run()


def effect_of(test: AppTest) -> pd.DataFrame:
    """Table of what is expected."""
    return next(d.value for d in test.dataframe if "before" in d.value.columns)


def roi_row(test: AppTest) -> int:
    return test.data_editor[0].value["what"].tolist().index("ROI at least")


def test_the_door_knows_every_page() -> None:
    assert list(server.ADDRESSES) == ADDRESSES


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_page_shows_the_account_without_any_error(page: Open, address: str) -> None:
    test = page(address)
    assert not test.exception
    assert not test.error
    assert len(test.title) == 1
    assert test.selectbox(key="account").value == "shop"


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_page_of_an_empty_account_says_what_to_do_next(page: Open, workspace: Workspace, address: str) -> None:
    workspace.create_account(Account("empty", "USD"), datetime(2026, 11, 1, tzinfo=UTC))
    test = page(address, account="empty")
    assert not test.exception
    assert not test.error
    if address != "targets":  # where targets can be set before anything is known
        assert any("--account empty" in c.value for c in test.code), texts(test)


def test_without_a_workspace_the_page_says_how_to_make_one(
    page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEADYBID_HOME", str(tmp_path / "nowhere"))
    st.cache_resource.clear()
    test = page()
    assert test.title[0].value == "Nothing to show yet"
    assert test.code[0].value == "make demo"
    assert not (tmp_path / "nowhere").exists()


def test_hostile_names_are_shown_letter_by_letter(page: Open) -> None:
    for address in ADDRESSES:
        for text in texts(page(address)):
            assert "<script" not in text.replace(r"\<script", "")
            assert "](http" not in text.replace(r"\]\(http", "")


def test_the_table_of_bids_shows_hostile_names_as_they_are(page: Open) -> None:
    shown = page("bids").dataframe[0].value
    assert set(shown["campaign"]) == set(STRANGE)


def test_a_past_hour_shows_what_was_known_then_and_nothing_later(page: Open, workspace: Workspace) -> None:
    before, now = page(), workspace.asof("shop")
    hours = [h for h in before.session_state if str(h).startswith("hour-")]
    assert not hours
    before.toggle(key="replay-shop").set_value(True)
    test = before.run()
    hour = Hour(test.select_slider(key="hour-shop").value)
    known = now.at(hour).totals()
    spent = next(m for m in page("merchant", **{"replay-shop": True, "hour-shop": hour.start}).metric if m.label == "Spent on ads")  # fmt: skip
    assert spent.value == f"{known['spend']:,.0f} CNY"
    assert any("as known at" in t for t in texts(test))


@pytest.mark.parametrize(
    ("clock", "shown"),
    [(0, 0), (5, 5), (-72, 0), (24 * 400, 0)],
    ids=["on time", "a few hours later", "a clock that jumped back", "data that ended long ago"],
)
def test_the_present_is_the_hour_of_the_clock_unless_the_data_ends_far_from_it(
    page: Open, next_hour: Hour, monkeypatch: pytest.MonkeyPatch, clock: int, shown: int
) -> None:
    page()  # sets the environment
    monkeypatch.setenv("STEADYBID_NOW", next_hour.plus(clock).start.isoformat())
    assert session.sight("shop").hour == next_hour.plus(shown)


def test_a_wrong_instant_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEADYBID_NOW", "2026-11-11 20:00")
    with pytest.raises(ConfigError, match="STEADYBID_NOW"):
        session.now()


# -- targets ------------------------------------------------------------------------------------------------------


def test_an_edit_shows_its_effect_and_changes_nothing_until_it_is_saved(page: Open, workspace: Workspace) -> None:
    saved = workspace.goals("shop")
    test = page("targets")
    assert "after" not in effect_of(test).columns
    changed = edit(test, roi_row(test), value=6.5)  # more than is predicted, whether budget or ROI sets the pace
    assert not changed.exception
    assert any("Predicted effect" in t for t in texts(changed))
    effect = effect_of(changed)
    spend, roi = (effect[effect["figure"].str.startswith(name)].iloc[0] for name in ("spend", "ROI"))
    assert float(spend["after"].replace(",", "")) < float(spend["before"].replace(",", ""))
    assert float(roi["after"]) > float(roi["before"])
    assert workspace.goals("shop") == saved


def test_what_is_saved_is_used_by_the_next_decision(page: Open, workspace: Workspace, next_hour: Hour) -> None:
    test = page("targets")
    test = sign(edit(test, roi_row(test), value=3.25), "Ana", "end of season")
    test = press(test, "Save")
    assert not test.exception
    assert any("Saved by Ana" in t for t in texts(test))
    clock = FixedClock(next_hour.start)
    decision = run_hour(workspace, "shop", next_hour, clock=clock).decision
    assert decision is not None
    assert decision.plan.targets is not None
    told = {r.kind: r.target for r in decision.plan.targets.rows if r.group == "account"}
    assert told["roi"] == 3.25
    history = workspace.target_history("shop")
    assert history.filter(pl.col("author") == "Ana").select("value", "reason").rows() == [(3.25, "end of season")]


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "positive ratio"), (-4.0, "positive ratio"), (None, "give a value")]
)
def test_a_target_that_makes_no_sense_cannot_be_saved(page: Open, value: float | None, words: str) -> None:
    test = page("targets")
    test = edit(test, roi_row(test), value=value)
    assert words in test.error[0].value.replace("\\", "")
    assert not [b for b in test.button if b.label == "Save"]


def test_saving_waits_for_a_name_and_a_reason(page: Open) -> None:
    test = page("targets")
    test = edit(test, roi_row(test), value=3.0)
    assert next(b for b in test.button if b.label == "Save").disabled
    assert not next(b for b in sign(test).button if b.label == "Save").disabled


def test_targets_that_cannot_be_met_are_told_before_they_are_saved(page: Open) -> None:
    test = page("targets")
    test = edit(test, roi_row(test), value=500.0)
    assert any("cannot" in w.value or "next to nothing" in w.value for w in test.warning)
    assert not next(b for b in sign(test).button if b.label == "Save").disabled


def test_an_edit_made_on_targets_that_somebody_else_has_changed_is_not_saved(page: Open, workspace: Workspace) -> None:
    test = page("targets")
    test = sign(edit(test, roi_row(test), value=3.0))
    now = datetime(2026, 11, 21, tzinfo=UTC)
    workspace.set_target("shop", Target(TargetKind.ROI, 7.0), by="Ben", reason="other", now=now)
    next(b for b in test.button if b.label == "Save").click()
    test = test.run()
    roi = next(t for t in workspace.goals("shop").targets if t.kind is TargetKind.ROI)
    assert roi.value == 7.0


def test_targets_are_not_saved_from_a_past_hour(page: Open) -> None:
    test = page("targets", **{"replay-shop": True})
    test = edit(test, roi_row(test), value=3.0)
    assert not [b for b in test.button if b.label == "Save"]
    assert any("earlier hour" in i.value for i in test.info)


# -- bids ---------------------------------------------------------------------------------------------------------


def test_the_search_finds_units_by_name_campaign_and_reason(page: Open) -> None:
    test = page("bids")
    whole = test.dataframe[0].value
    test.text_input(key="search").set_value("<SCRIPT>")
    found = test.run().dataframe[0].value
    assert 0 < len(found) < len(whole)
    assert set(found["campaign"]) == {STRANGE[0]}
    test.text_input(key="search").set_value("(.*")
    test = test.run()
    assert not test.exception
    assert any("No unit fits" in t for t in texts(test))


def test_bids_come_in_the_order_that_was_asked_for_with_a_reason_each(page: Open) -> None:
    test = page("bids")
    spend = test.dataframe[0].value["spend"]
    assert spend.is_monotonic_decreasing
    next(s for s in test.selectbox if s.label == "Order").set_value("unit")
    shown = test.run().dataframe[0].value
    assert shown["unit"].is_monotonic_increasing
    assert (shown["why"].str.len() > 10).all()


@pytest.fixture
def waiting(workspace: Workspace, next_hour: Hour) -> Hour:
    """The next hour's plan waits for a person: a tighter target was set, so that it moves bids."""
    tighter = Target(TargetKind.ROI, 6.0)
    workspace.set_target("shop", tighter, by="test", reason="test", now=next_hour.start - timedelta(minutes=1))
    workspace.set_mode("shop", Mode.APPROVE, by="test", reason="test", now=datetime(2026, 11, 21, tzinfo=UTC))
    run_hour(workspace, "shop", next_hour, clock=FixedClock(next_hour.start))
    decision = workspace.journal("shop").find(next_hour)
    assert decision is not None
    assert decision.state is DecisionState.AWAITING
    assert (decision.plan.units["action"].cast(pl.String) == "set").sum() > 1
    return next_hour


def test_a_plan_is_approved_under_a_name(page: Open, workspace: Workspace, waiting: Hour) -> None:
    test = page("bids")
    assert next(b for b in test.button if b.label.startswith("Approve")).disabled
    test.text_input(key="approver").set_value("Ana")
    test = press(test.run(), "Approve and send")
    assert not test.exception
    approval = workspace.journal("shop").approval(waiting)
    assert approval is not None
    assert approval.who == "Ana"


def test_a_plan_that_a_person_holds_is_never_sent(page: Open, workspace: Workspace, waiting: Hour) -> None:
    test = page("bids")
    test.text_input(key="approver").set_value("Ana")
    test = press(test.run(), "Hold all bids")
    assert not test.exception
    decision = workspace.journal("shop").find(waiting)
    assert decision is not None
    assert decision.state is DecisionState.SHADOW
    assert decision.receipts is None
    assert Views(workspace).decisions("shop", 1)["claimed_by"].to_list() == ["held by Ana"]


def test_an_answer_that_comes_too_late_is_refused_in_words(
    page: Open, workspace: Workspace, waiting: Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = page("bids")
    test.text_input(key="approver").set_value("Ana")
    test = test.run()
    monkeypatch.setenv("STEADYBID_NOW", (waiting.end + timedelta(minutes=5)).isoformat())
    test = press(test, "Approve and send")
    assert not test.exception
    decision = workspace.journal("shop").find(waiting)
    assert decision is not None
    assert decision.state is not DecisionState.PUBLISHED


def select(test: AppTest, workspace: Workspace, *rows: int) -> AppTest:
    """Select rows of the table of bids, by their places."""
    newest = Views(workspace).latest("shop")
    assert newest is not None
    test.session_state[f"units-shop-{newest.hour}"] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    return test.run()


def test_units_are_held_and_released_under_a_name_and_the_next_plan_says_so(
    page: Open, workspace: Workspace, next_hour: Hour
) -> None:
    test = select(page("bids"), workspace, 0, 2)
    assert not test.exception
    assert next(b for b in test.button if b.label == "Hold these 2 units").disabled
    test.text_input(key="holder").set_value("Ana")
    test = press(test.run(), "Hold these 2 units")
    assert not test.exception
    held = workspace.held_units("shop")
    assert held["author"].to_list() == ["Ana", "Ana"]
    shown = test.dataframe[0].value
    assert (shown["held_by"] == "Ana").sum() == 2
    run_hour(workspace, "shop", next_hour, clock=FixedClock(next_hour.start))
    test = page("bids")
    shown = test.dataframe[0].value
    assert set(shown[shown["held_by"] == "Ana"]["why"]) == {"held by Ana"}
    first = shown["held_by"].tolist().index("Ana")
    test = select(test, workspace, first)
    assert any("Held by Ana" in t for t in texts(test))
    test.text_input(key="holder").set_value("Ben")
    press(test.run(), "Release this unit")
    assert workspace.held_units("shop").height == 1


def test_some_units_of_a_plan_that_waits_are_approved_alone(page: Open, workspace: Workspace, waiting: Hour) -> None:
    test = page("bids")
    row = test.dataframe[0].value["what"].tolist().index("new bid")
    test.text_input(key="approver").set_value("Ana")
    test = press(select(test.run(), workspace, row), "Approve and send only this unit")
    assert not test.exception
    decision = workspace.journal("shop").find(waiting)
    assert decision is not None
    changed = decision.plan.units.filter(pl.col("action").cast(pl.String).is_in(["set", "pause"]))
    assert workspace.held_units("shop", waiting).height == changed.height - 1
    assert workspace.held_units("shop").is_empty()  # for this hour's plan only
    approval = workspace.journal("shop").approval(waiting)
    assert approval is not None
    assert approval.who == "Ana"


# -- merchant -----------------------------------------------------------------------------------------------------


def test_profit_needs_a_margin_and_follows_from_it(page: Open) -> None:
    test = page("merchant")
    profit = next(m for m in test.metric if m.label == "Profit after ads")
    assert profit.value == "–"
    sums = {m.label: float(m.value.split()[0].replace(",", "")) for m in test.metric if m.label in ("Spent on ads", "Sales from ads")}  # fmt: skip
    test.number_input[0].set_value(40.0)
    test = test.run()
    after = next(m for m in test.metric if m.label == "Profit after ads").value
    told = float(after.split()[0].replace(",", "").replace("−", "-"))
    assert told == pytest.approx(0.4 * sums["Sales from ads"] - sums["Spent on ads"], abs=1.0)
    assert any("break-even is 2.50" in t for t in texts(test))


def test_what_the_nights_found_is_shown_and_a_damaged_book_is_said(
    page: Open, workspace: Workspace, next_hour: Hour
) -> None:
    assert any("No night has tried a fit yet" in t for t in texts(page("cost-stability")))
    book = FitBook.of(workspace.home, "shop")
    for k, promoted in enumerate((True, True, False)):
        until = next_hour.start - timedelta(days=5 - k)
        alarms = (f"clicks of {STRANGE[0]} came to 900",) if k == 1 else ()
        verdict = Verdict(promoted, f"reason {k}", None if k == 0 else 1.25, 1.2, 0.01, 300.0, alarms, 0.75, 8)
        book.enter(until + timedelta(days=2), until, verdict)
    test = page("cost-stability")
    assert not test.exception
    table = next(d.value for d in test.dataframe if "held" in d.value.columns)
    assert table["state"].to_list() == ["turned down", "champion", "earlier champion"]
    assert table["held"].to_list() == ["75 % of 8"] * 3
    words = texts(test)
    assert any("75 % of 24 bands held" in t and "1 alarm" in t for t in words)
    assert any("900" in t and "<script>" not in t for t in words)
    book.path.write_text("{", encoding="utf-8")
    assert any("damaged" in t for t in texts(page("cost-stability")))
