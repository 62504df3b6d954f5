"""What traders say is kept with name, reason and time; nothing is overwritten."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data import Workspace, stop
from domain.account import Account, Mode
from domain.errors import ConfigError, SteadyBidError
from domain.goals import Objective, Period, Scope, Target, TargetKind
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.time import Window

T0 = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ROI = Target(TargetKind.ROI, 4.0)


def set_roi(workspace: Workspace, value: float, said: datetime, effective: datetime | None = None) -> None:
    target = Target(TargetKind.ROI, value)
    workspace.set_target("shop", target, by="Asha", reason=f"to {value}", now=said, effective_at=effective)


def roi(workspace: Workspace, at: datetime | None = None, known_at: datetime | None = None) -> float | None:
    found = workspace.goals("shop", at, known_at).of(TargetKind.ROI)
    return found[0].value if found else None


def test_a_later_target_of_the_same_group_supersedes_and_others_stay(workspace: Workspace) -> None:
    cap = Target(TargetKind.CPC, 20.0, Scope.CAMPAIGN, "C1")
    daily = Target(TargetKind.BUDGET, 500.0, period=Period.DAY)
    whole = Target(TargetKind.BUDGET, 9000.0, since=T0)
    for target in (ROI, cap, daily, whole, Target(TargetKind.ROI, 2.2)):
        workspace.set_target("shop", target, by="Asha", reason="", now=T0)
    goals = workspace.goals("shop")
    wanted = {replace(t, since=T0) for t in (Target(TargetKind.ROI, 2.2), cap, daily, whole)}
    assert set(goals.targets) == wanted
    assert goals.objective is Objective.GMV
    workspace.set_objective("shop", Objective.PROFIT, by="Asha", reason="", now=T0)
    assert workspace.goals("shop").objective is Objective.PROFIT


def test_a_target_counts_what_is_bought_from_when_it_was_wished_for(workspace: Workspace) -> None:
    set_roi(workspace, 4.0, T0)
    assert workspace.goals("shop").targets[0].since == T0
    set_roi(workspace, 3.0, T0 + DAY, effective=T0 + 5 * DAY)
    assert workspace.goals("shop").targets[0].since == T0 + 5 * DAY
    stated = replace(ROI, since=T0 - DAY)
    workspace.set_target("shop", stated, by="Asha", reason="", now=T0 + 2 * DAY)
    assert workspace.goals("shop").targets == (stated,)


def test_a_target_holds_from_its_effective_time_as_last_said(workspace: Workspace) -> None:
    set_roi(workspace, 4.0, T0)
    set_roi(workspace, 3.0, T0 + DAY, effective=T0 + 10 * DAY)
    assert roi(workspace, at=T0 - 999 * DAY) == 4.0
    assert roi(workspace, at=T0 + 9 * DAY) == 4.0
    assert roi(workspace, at=T0 + 10 * DAY) == 3.0
    set_roi(workspace, 2.5, T0 + 2 * DAY)
    assert roi(workspace, at=T0 + 10 * DAY) == 2.5
    assert roi(workspace, at=T0 + 10 * DAY, known_at=T0 + DAY) == 3.0
    assert roi(workspace, at=T0 + 10 * DAY, known_at=T0 - DAY) is None


def test_a_removed_target_is_gone_and_its_history_stays(workspace: Workspace) -> None:
    set_roi(workspace, 4.0, T0)

    def remove() -> bool:
        return workspace.remove_target(
            "shop",
            kind=TargetKind.ROI,
            scope=Scope.ACCOUNT,
            key="",
            period=Period.HORIZON,
            by="Ben",
            reason="sale",
            now=T0 + DAY,
        )

    assert remove() is True
    assert remove() is False
    assert roi(workspace) is None
    assert roi(workspace, known_at=T0) == 4.0
    history = workspace.target_history("shop")
    assert history.select("kind", "value", "author", "reason", "set_at").rows() == [
        ("roi", 4.0, "Asha", "to 4.0", T0),
        ("roi", None, "Ben", "sale", T0 + DAY),
    ]
    assert workspace.target_history("shop", only_in_force=True).height == 0


def test_only_targets_in_force_are_listed_when_asked_for(workspace: Workspace) -> None:
    set_roi(workspace, 4.0, T0)
    set_roi(workspace, 2.2, T0 + DAY)
    listed = workspace.target_history("shop", only_in_force=True)
    assert listed.select("value", "scope", "key", "period").rows() == [(2.2, "account", "", "horizon")]


def test_nobody_changes_anything_without_a_name_or_in_an_unknown_account(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="name"):
        workspace.set_target("shop", ROI, by=" ", reason="", now=T0)
    with pytest.raises(ConfigError, match=r"no account 'other'.*shop"):
        workspace.set_target("other", ROI, by="Asha", reason="", now=T0)


def phases(budget: float | None) -> PromotionCalendar:
    return PromotionCalendar(
        (
            Phase("store", PhaseKind.WARM_UP, Window(T0, T0 + DAY), budget, 1.5, 0.7, 1.1),
            Phase("burst", PhaseKind.BURST, Window(T0 + DAY, T0 + 2 * DAY)),
        )
    )


def test_phases_come_back_as_they_were_set_and_earlier_ones_are_kept(workspace: Workspace) -> None:
    assert workspace.phases("shop") == PromotionCalendar()
    workspace.set_phases("shop", phases(100.0), by="Asha", reason="plan", now=T0)
    workspace.set_phases("shop", phases(None), by="Ben", reason="free", now=T0 + DAY)
    assert workspace.phases("shop") == phases(None)
    assert workspace.phases("shop", known_at=T0) == phases(100.0)
    assert [(e.said.author, e.said.reason) for e in workspace.phase_history("shop")] == [
        ("Asha", "plan"),
        ("Ben", "free"),
    ]


# -- accounts and modes ------------------------------------------------------------------------------------------------


def test_the_mode_is_shadow_until_a_person_says_otherwise(workspace: Workspace) -> None:
    assert workspace.account("shop").mode is Mode.SHADOW
    workspace.set_mode("shop", Mode.LIVE, by="Asha", reason="ready", now=T0)
    assert workspace.account("shop").mode is Mode.LIVE
    assert workspace.mode_history("shop").rows() == [("live", "Asha", "ready", T0)]


def test_a_paused_account_is_paused_until_it_is_given_another_mode(workspace: Workspace) -> None:
    workspace.set_mode("shop", Mode.PAUSED, by="Asha", reason="", now=T0)
    assert workspace.account("shop").mode is Mode.PAUSED
    workspace.set_mode("shop", Mode.LIVE, by="Asha", reason="", now=T0)
    assert workspace.account("shop").mode is Mode.LIVE


def test_pausing_works_with_broken_facts_and_a_broken_database(workspace: Workspace) -> None:
    workspace.set_mode("shop", Mode.LIVE, by="Asha", reason="", now=T0)
    facts = workspace.home / "facts"
    facts.mkdir(exist_ok=True)
    facts.chmod(0)
    workspace.set_mode("shop", Mode.PAUSED, by="Asha", reason="", now=T0)
    facts.chmod(0o755)
    workspace.set_mode("shop", Mode.LIVE, by="Asha", reason="", now=T0)
    workspace.close()
    database = workspace.home / "steadybid.db"
    whole = database.read_bytes()
    for rest in workspace.home.glob("steadybid.db*"):
        rest.write_bytes(b"not a database")
    with pytest.raises(SteadyBidError, match="cannot be used"):
        Workspace.open(workspace.home)
    stop(workspace.home, "shop", author="Asha", reason="fire", now=T0)
    for rest in workspace.home.glob("steadybid.db-*"):
        rest.unlink()
    database.write_bytes(whole)
    assert Workspace.open(workspace.home).account("shop").mode is Mode.PAUSED


@pytest.mark.parametrize("name", ["", "../shop", "a/b"])
def test_a_stop_is_written_nowhere_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        stop(tmp_path, name, author="x", reason="", now=T0)


def test_accounts_are_listed_and_names_are_taken_once(workspace: Workspace) -> None:
    workspace.create_account(Account("berlin", "EUR", "Europe/Berlin", "google-ads"), T0)
    assert [(a.name, a.currency, a.timezone, a.platform) for a in workspace.accounts()] == [
        ("berlin", "EUR", "Europe/Berlin", "google-ads"),
        ("shop", "INR", "UTC", "amazon-sp"),
    ]
    assert workspace.create_account(Account("shop", "INR"), T0) == workspace.account("shop")
    with pytest.raises(ConfigError, match="exists with currency INR"):
        workspace.create_account(Account("shop", "USD"), T0)


def test_an_import_makes_an_account_with_what_it_assumed_marked(workspace: Workspace) -> None:
    account, made = workspace.ensure_account("new", currency="GBP", now=T0)
    assert made
    assert (account.currency, account.timezone, account.assumed) == ("GBP", "UTC", ("currency", "timezone"))
    assert workspace.ensure_account("new", currency="GBP", now=T0) == (account, False)
