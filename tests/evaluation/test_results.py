import json
from dataclasses import replace

import pytest

from evaluation.results import HEADINGS, Row, RunResult, table, to_json

KEYS = [
    "scenario", "policy", "seed", "gmv", "spend", "gmv_vs_hindsight", "efficiency", "roi_miss", "misallocation",
    "budget_utilisation", "overspend", "hourly_cpc_cv", "regret_total", "cpc_miss", "cpa_miss", "cpc_cv_vs_hindsight", "binding", "regret",
    "fingerprint",
]  # fmt: skip


def test_the_json_of_runs_holds_exactly_the_promised_keys(results: list[RunResult]) -> None:
    told = json.loads(json.dumps(to_json(results)))
    assert list(told) == ["runs"]
    assert len(told["runs"]) == len(results)
    for run, result in zip(told["runs"], results, strict=True):
        assert list(run) == KEYS
        assert (run["policy"], run["seed"]) == (result.policy, result.seed)
        assert run["gmv"] == result.figures.gmv


def test_a_figure_without_a_target_is_null_in_the_json(results: list[RunResult]) -> None:
    bare = replace(results[0], figures=replace(results[0].figures, roi_miss=None, overspend=None))
    run = to_json([bare])["runs"][0]
    assert run["roi_miss"] is None
    assert run["overspend"] is None
    assert table([bare])[0].roi_miss == "-"


def test_the_table_has_one_row_per_policy_with_means_and_the_worst(results: list[RunResult]) -> None:
    rows = table(results)
    assert [r.policy for r in rows] == ["steadybid", "static", "pid"]
    assert list(HEADINGS) == list(Row.__dataclass_fields__)
    mine = [r.figures for r in results if r.policy == "pid"]
    misses = [f.roi_miss for f in mine if f.roi_miss is not None]
    assert rows[2].roi_miss == f"{sum(misses) / 2:+.1%} ({min(misses):+.1%})"
    shares = [f.gmv_vs_hindsight for f in mine]
    assert rows[2].gmv_vs_hindsight == f"{sum(shares) / 2:.1%} [{min(shares):.1%}, {max(shares):.1%}]"
    assert rows[0].overspend == "0.00"


@pytest.mark.parametrize("overspend", [0.0, 12.5])
def test_the_table_shows_the_worst_overspend(results: list[RunResult], overspend: float) -> None:
    pair = [results[0], replace(results[1], figures=replace(results[1].figures, overspend=overspend))]
    assert table(pair)[0].overspend == f"{overspend:.2f}"
