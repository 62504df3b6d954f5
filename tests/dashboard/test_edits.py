from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from dashboard import edits
from data import Workspace
from domain.errors import ConfigError
from domain.goals import Goals, Period, Scope, Target, TargetKind
from domain.phases import PromotionCalendar

TZ = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 21, tzinfo=UTC)
GOALS = Goals(
    targets=(
        Target(TargetKind.ROI, 4.0, since=datetime(2026, 11, 1, tzinfo=UTC)),
        Target(TargetKind.BUDGET, 90.0, Scope.CAMPAIGN, "a: b", Period.DAY),
        Target(TargetKind.CPC, 1.5, Scope.CAMPAIGN, "=cmd()"),
        Target(TargetKind.BUDGET, 50.0, Scope.PHASE, "burst"),
    )
)


def row(what: str | None, on: str | None, value: float | None, per: str | None = "promotion") -> pl.DataFrame:
    return pl.DataFrame([(what, on, value, per)], schema=edits.TARGET_COLUMNS, orient="row")


def test_a_table_that_nobody_edits_gives_the_saved_goals_back() -> None:
    back = edits.goals_from(edits.targets_table(GOALS), GOALS)
    assert set(back.targets) == set(GOALS.targets)
    assert not edits.changes(GOALS, back, PromotionCalendar(), PromotionCalendar())


def test_a_changed_value_keeps_since_when_the_target_counts() -> None:
    table = edits.targets_table(GOALS).with_columns(
        pl.when(pl.col("what") == "ROI at least").then(5.0).otherwise("value").alias("value")
    )
    edit = edits.changes(GOALS, edits.goals_from(table, GOALS), PromotionCalendar(), PromotionCalendar())
    assert edit.set == (Target(TargetKind.ROI, 5.0, since=datetime(2026, 11, 1, tzinfo=UTC)),)
    assert edits.in_words(edit, GOALS) == ["ROI at least on account: 4.00 → 5.00"]


def test_a_removed_row_removes_its_target_and_an_empty_one_is_passed_over() -> None:
    table = pl.concat(
        [edits.targets_table(GOALS).filter(pl.col("on") != "campaign: =cmd()"), row(None, None, None, None)]
    )
    edit = edits.changes(GOALS, edits.goals_from(table, GOALS), PromotionCalendar(), PromotionCalendar())
    assert [t.key for t in edit.removed] == ["=cmd()"]
    assert not edit.set


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (row("ROI at least", "account", 0.0), "need a positive ratio"),
        (row("ROI at least", "account", -1.0), "need a positive ratio"),
        (row("ROI at least", "account", None), "row 1"),
        (row("ROI at least", "account", float("nan")), "row 1"),
        (row(None, "account", 3.0), "row 1"),
        (row("CPC at most", "account", 3.0, "day"), "only budgets are per day"),
        (row("budget", "phase: burst", 3.0, "day"), "whole phase"),
        (pl.concat([row("budget", "account", 3.0), row("budget", "account", 4.0)]), "two budget targets"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_with_what_is_allowed(table: pl.DataFrame, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        edits.goals_from(table, Goals())


def test_phases_come_back_as_they_were_on_the_accounts_clock(workspace: Workspace) -> None:
    calendar = workspace.phases("shop")
    table = edits.phases_table(calendar, TZ)
    assert table["start"][0] == datetime(2026, 11, 8)
    assert edits.calendar_from(table, TZ) == calendar


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": None}, "'name' is missing"),
        ({"end": datetime(2026, 11, 1)}, "ends before it starts"),
        ({"start": datetime(2026, 11, 8, 0, 30)}, "full hour"),
        ({"budget": -5.0}, "positive amount"),
        ({"traffic": 0.0}, "positive number"),
    ],
)
def test_a_phase_that_makes_no_sense_is_refused(workspace: Workspace, change: dict, words: str) -> None:
    table = edits.phases_table(workspace.phases("shop"), TZ)
    first = table.head(1).with_columns(pl.lit(v, edits.PHASE_COLUMNS[k]).alias(k) for k, v in change.items())
    with pytest.raises(ConfigError, match=words):
        edits.calendar_from(pl.concat([first, table.tail(-1)]), TZ)


def test_an_empty_table_of_phases_is_ordinary_time() -> None:
    assert edits.calendar_from(pl.DataFrame(schema=edits.PHASE_COLUMNS), TZ) == PromotionCalendar()


def test_what_is_saved_is_in_force_with_its_author_and_reason(workspace: Workspace) -> None:
    saved, calendar = workspace.goals("shop"), workspace.phases("shop")
    wanted = Goals(saved.objective, (Target(TargetKind.ROI, 4.5), Target(TargetKind.CPC, 2.0)))
    first_only = PromotionCalendar(calendar.phases[:1])
    edit = edits.changes(saved, wanted, calendar, first_only)
    edits.save(workspace, "shop", edit, by="Ana", reason="less risk", now=NOW)
    now = workspace.goals("shop")
    assert {(t.kind, t.value) for t in now.targets} == {(TargetKind.ROI, 4.5), (TargetKind.CPC, 2.0)}
    assert workspace.phases("shop") == first_only
    newest = workspace.target_history("shop").sort("set_at").tail(1)
    assert newest.select("author", "reason").row(0) == ("Ana", "less risk")


@pytest.mark.parametrize(("name", "reason"), [("", "x"), ("Ana", " ")])
def test_nothing_is_saved_without_a_name_and_a_reason(workspace: Workspace, name: str, reason: str) -> None:
    saved = workspace.goals("shop")
    edit = edits.changes(saved, Goals(), PromotionCalendar(), PromotionCalendar())
    with pytest.raises(ConfigError, match="a name and a reason"):
        edits.save(workspace, "shop", edit, by=name, reason=reason, now=NOW)
    assert workspace.goals("shop") == saved


def test_targets_can_stand_on_every_group_of_the_account(workspace: Workspace) -> None:
    found = edits.places(workspace.units("shop"), workspace.phases("shop"), GOALS)
    assert found[0] == "account"
    assert "campaign: <script>alert(1)</script>" in found
    assert "phase: burst" in found
    assert len(found) == len(set(found))
