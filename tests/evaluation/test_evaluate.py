"""An evaluation goes on where it stopped, refuses nonsense, and never mixes worlds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from domain.errors import ConfigError
from evaluation import evaluate as evaluation
from evaluation import scoreboard
from evaluation.evaluate import Task
from market import Scenario, fingerprint, load_scenario

FROZEN = json.loads((Path(__file__).resolve().parents[2] / "scenarios" / "frozen.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", evaluation.scenarios())
def test_shipped_scenarios_are_frozen(name: str) -> None:
    """A change needs a page in docs/decisions with tables of both worlds, and then a new line in frozen.json."""
    assert fingerprint(load_scenario(name)) == FROZEN[name]


def test_every_number_of_a_scenario_is_in_its_fingerprint_and_its_purpose_is_not(scenario: Scenario) -> None:
    same = replace(scenario, purpose="other words")
    other = replace(scenario, demand=replace(scenario.demand, ctr=scenario.demand.ctr * 1.0001))
    assert fingerprint(same) == fingerprint(scenario)
    assert fingerprint(other) != fingerprint(scenario)


def test_the_wide_account_gets_fewer_runs_and_comes_last() -> None:
    todo = evaluation.tasks(["wide-account", "four-phase-roi"], ["steadybid", "pid"], [0, 1, 2, 3])
    assert [t.scenario for t in todo] == ["four-phase-roi"] * 8 + ["wide-account"] * 2
    assert [t.seed for t in todo if t.split] == [0, 1, 2]
    with pytest.raises(ConfigError, match="unknown policies: \\['luck'\\]"):
        evaluation.tasks(["four-phase-roi"], ["luck"], [0])


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, scenario: Scenario) -> list[Task]:
    """Evaluations of the small scenario, with a note of each run that is really made."""
    made: list[Task] = []
    real = evaluation.record_of

    def record_of(task: Task, world: Scenario) -> dict:
        made.append(task)
        return real(task, world)

    monkeypatch.setattr(evaluation, "record_of", record_of)
    monkeypatch.setattr(evaluation, "load_scenario", lambda name: replace(scenario, name=name))
    return made


def test_a_stopped_evaluation_goes_on_where_it_was(counted: list[Task], tmp_path: Path) -> None:
    todo = [Task("small", policy, seed) for policy in ("oracle", "constant_price") for seed in (1, 2)]
    first = evaluation.evaluate(todo[:2], tmp_path, workers=1)
    (tmp_path / "small--oracle--2.json").write_text("{cut off", encoding="utf-8")
    told: list[tuple[int, int, str]] = []
    records = evaluation.evaluate(todo, tmp_path, workers=1, progress=lambda *news: told.append(news))
    assert [t.name for t in counted] == [
        "small--oracle--1", "small--oracle--2", "small--oracle--2", "small--constant_price--1", "small--constant_price--2"
    ]  # fmt: skip
    assert records[:2] == first
    assert told[0] == (1, 4, "found")
    assert told[-1][:2] == (4, 4)


def test_results_of_other_code_or_another_world_are_made_anew(
    counted: list[Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scenario: Scenario
) -> None:
    todo = [Task("small", "oracle", 1)]
    evaluation.evaluate(todo, tmp_path, workers=1)
    monkeypatch.setattr(evaluation, "code_version", lambda: "another")
    evaluation.evaluate(todo, tmp_path, workers=1)
    dearer = replace(scenario, rivals=replace(scenario.rivals, price_per_value=0.3))
    monkeypatch.setattr(evaluation, "load_scenario", lambda name: dearer)
    evaluation.evaluate(todo, tmp_path, workers=1)
    assert len(counted) == 3


def test_parts_of_the_regret_add_up_to_the_whole(counted: list[Task], tmp_path: Path) -> None:
    record = evaluation.evaluate([Task("small", "steadybid", 3, split=True)], tmp_path, workers=1)[0]
    assert set(record["regret"]) == {"prediction", "pacing", "bidding", "edits", "noise"}
    assert sum(record["regret"].values()) == pytest.approx(record["regret_total"], abs=1e-9)
    assert record["regret"]["prediction"] > 0
    assert abs(record["regret"]["bidding"]) < 0.02


def test_the_scoreboard_has_a_line_per_policy_with_its_interval(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    records = [
        {
            "scenario": scenario, "policy": policy, "seed": seed, "gmv_vs_hindsight": 0.9 + 0.02 * rng.standard_normal(),
            "efficiency": 0.95, "roi_miss": -0.01 * seed, "cpc_miss": None, "misallocation": 0.1, "budget_utilisation": 0.8,
            "overspend": 0.0, "cpc_cv_vs_hindsight": 1.1, "binding": ["roi"], "fingerprint": "abc", "holds": 1,
            "purpose": "A <test>.", "code": "def", "regret": dict.fromkeys(scoreboard.PARTS, 0.02) if policy == "steadybid" else None,
        }
        for scenario in ("one", "two") for policy in ("steadybid", "static") for seed in range(4)
    ]  # fmt: skip
    board = scoreboard.lines(records)
    assert [(x.scenario, x.policy, x.seeds) for x in board] == [
        ("one", "steadybid", 4), ("one", "static", 4), ("two", "steadybid", 4), ("two", "static", 4)
    ]  # fmt: skip
    line = board[0]
    assert line.gmv is not None
    values = [r["gmv_vs_hindsight"] for r in records[:4]]
    assert line.gmv.low < np.mean(values) < line.gmv.high
    assert line.gmv.high - line.gmv.low == pytest.approx(2 * 3.182 * np.std(values, ddof=1) / 2, rel=1e-3)
    assert scoreboard.cells(line)[6] == "-1.5% (-3.0%)"
    page = scoreboard.write(records, tmp_path).read_text(encoding="utf-8")
    assert "A &lt;test&gt;." in page
    assert page.count("<svg") == 3
    assert "<script" not in page
