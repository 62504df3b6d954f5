import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data import Views, Workspace
from data.kept import forget, references
from domain.account import Account, Mode
from domain.errors import ConfigError
from domain.plans import DecisionState
from engine.what_if import study
from evaluation.demo import keep_demo
from evaluation.results import RunResult
from evaluation.simulate import run
from market import Scenario

SEED = 3
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def runs(scenario: Scenario) -> list[RunResult]:
    """SteadyBid's run, kept, beside static bids in the same world."""
    return [run(scenario, "steadybid", SEED, keep=True), run(scenario, "static", SEED)]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, runs: list[RunResult]) -> Path:
    home = tmp_path_factory.mktemp("kept")
    workspace = Workspace.open(home, create=True)
    keep_demo(workspace, runs, NOW)
    workspace.close()
    return home


@pytest.fixture
def workspace(template: Path, tmp_path: Path) -> Workspace:
    home = tmp_path / "w"
    shutil.copytree(template, home)
    return Workspace.open(home)


def test_every_hour_is_known_as_the_run_knew_it(workspace: Workspace, runs: list[RunResult]) -> None:
    kept = runs[0].kept
    assert kept is not None
    store = workspace.asof("demo")
    for decision in kept.decisions[1::9]:
        known = store.at(decision.hour)
        assert known.totals() == pytest.approx(dict(decision.known))
        live = known.live_bids.rows.join(decision.plan.units, on="unit_id")
        assert live["bid_cpc"].to_numpy() == pytest.approx(live["live_bid_cpc"].fill_null(0.0).to_numpy())


def test_decisions_are_kept_with_their_plans_and_receipts(workspace: Workspace, runs: list[RunResult]) -> None:
    kept = runs[0].kept
    assert kept is not None
    journal = workspace.journal("demo")
    for decision in kept.decisions[::11]:
        stored = journal.find(decision.hour)
        assert stored is not None
        assert stored.state is DecisionState.PUBLISHED
        assert stored.plan.units.equals(decision.plan.units)
        assert stored.plan.targets is not None
        assert decision.plan.targets is not None
        np.testing.assert_array_equal(stored.plan.targets.theta, decision.plan.targets.theta)
        assert stored.receipts is not None
        assert decision.receipts is not None
        assert stored.receipts.rows.equals(decision.receipts.rows)


def test_what_an_hour_expected_can_be_worked_out_again_from_what_is_kept(
    workspace: Workspace, runs: list[RunResult]
) -> None:
    kept = runs[0].kept
    assert kept is not None
    decision = kept.decisions[30]
    made = study(workspace, "demo", decision.hour)
    expected = made.outlook.at(0).expected(decision.plan.units["bid_cpc"].fill_null(0.0).to_numpy())
    assert expected["spend"].to_numpy() == pytest.approx(
        decision.plan.units["spend"].fill_null(0.0).to_numpy(), rel=1e-6
    )


def test_targets_phases_and_what_others_came_to_are_kept(workspace: Workspace, runs: list[RunResult]) -> None:
    kept = runs[0].kept
    assert kept is not None
    assert {(t.kind, t.value) for t in workspace.goals("demo").targets} == {
        (t.kind, t.value) for t in kept.goals.targets
    }
    assert workspace.phases("demo") == kept.calendar
    assert workspace.account("demo").mode is Mode.PAUSED
    sums = references(workspace, "demo").group_by("source").agg(pl.col("gmv").sum(), pl.len())
    told = {source: gmv for source, gmv, _ in sums.iter_rows()}
    assert told["steadybid"] == pytest.approx(runs[0].figures.gmv)
    assert told["static"] == pytest.approx(runs[1].figures.gmv)
    assert told["hindsight"] == pytest.approx(runs[0].hindsight.gmv.sum())
    assert set(sums["len"]) == {len(kept.hours)}


def test_all_spend_is_there_once_and_late_orders_are_in_it(workspace: Workspace, runs: list[RunResult]) -> None:
    series = Views(workspace).series("demo", per="hour")
    assert series["spend"].sum() == pytest.approx(runs[0].figures.spend)
    last = workspace.asof("demo").at(runs[0].kept.decisions[-1].hour)  # type: ignore[union-attr]
    assert series["orders"].sum() > last.totals()["orders"]


def test_the_next_demo_takes_the_place_of_the_last_one(workspace: Workspace, runs: list[RunResult]) -> None:
    views = Views(workspace)
    before, mark = views.series("demo", per="hour"), views.mark("demo")
    keep_demo(workspace, runs, NOW)
    assert_frame_equal(Views(workspace).series("demo", per="hour"), before, rel_tol=1e-9)
    assert Views(workspace).decisions("demo").height == len(runs[0].kept.decisions)  # type: ignore[union-attr]
    assert views.mark("demo") != mark
    assert len(workspace.accounts()) == 1
    assert not workspace.damaged_files()


def test_a_real_account_of_that_name_is_left_alone(tmp_path: Path, runs: list[RunResult]) -> None:
    workspace = Workspace.open(tmp_path, create=True)
    workspace.create_account(Account("demo", "USD"), NOW)
    with pytest.raises(ConfigError, match="not a simulated one"):
        keep_demo(workspace, runs, NOW)
    assert workspace.account("demo").currency == "USD"


def test_forgetting_leaves_other_accounts_as_they_were(workspace: Workspace) -> None:
    workspace.create_account(Account("other", "USD"), NOW)
    assert forget(workspace, "demo")
    assert [a.name for a in workspace.accounts()] == ["other"]
    assert not forget(workspace, "demo")


def test_without_a_run_that_was_asked_to_be_kept_nothing_is_kept(tmp_path: Path, runs: list[RunResult]) -> None:
    workspace = Workspace.open(tmp_path, create=True)
    assert keep_demo(workspace, runs[1:], NOW) is None
    assert workspace.accounts() == []
