import json
from typing import Any

import polars as pl
import pytest

from dashboard import charts

HOUR = 3_600_000
START = 1_762_560_000_000


def rows(n: int = 6, **columns: list) -> pl.DataFrame:
    return pl.DataFrame(
        {"t": [START + h * HOUR for h in range(n)], "t2": [START + (h + 1) * HOUR for h in range(n)], "when": [f"h{h}" for h in range(n)], **columns}
    )  # fmt: skip


PHASES = pl.DataFrame(
    {"phase": ["<b>store</b>"], "kind": ["warm-up"], "t": [START], "t2": [START + 3 * HOUR], "middle": [START + HOUR]}
)


def made(chart: Any) -> dict:
    """Specification, checked against the grammar by Altair itself."""
    return chart.to_dict()


def marks(spec: dict) -> list[str]:
    found = []
    for layer in spec.get("layer", [spec]):
        found += marks(layer) if "layer" in layer else [layer["mark"]["type"]]
    return found


def series(spec: dict) -> set[str]:
    return {r["series"] for d in spec["datasets"].values() for r in d if "series" in r}


def test_spend_shows_actual_planned_and_coming_hours() -> None:
    frame = rows(spend=[1.0, 2.0, None, None, None, None], planned=[1.5, 1.5, None, None, None, None], ahead=[None, None, 3.0, 3.0, 3.0, 3.0])  # fmt: skip
    spec = made(charts.spend_by_time(frame, PHASES, "CNY"))
    assert series(spec) == {"spent", "planned for it", "planned ahead"}
    assert marks(spec) == ["rect", "text", "rect", "rect", "line"]


def test_many_hours_are_drawn_as_areas() -> None:
    frame = rows(500, spend=[1.0] * 500, planned=[1.0] * 500, ahead=[None] * 500)
    assert "rect" not in marks(made(charts.spend_by_time(frame, PHASES.clear(), "CNY")))


def test_a_band_without_hindsight_or_target_names_neither() -> None:
    nothing = pl.Series([None] * 6, dtype=pl.Float64)
    frame = rows(value=[1.0] * 6, expected=[1.0] * 6, low=[0.9] * 6, high=[1.1] * 6).with_columns(hindsight=nothing)
    spec = made(charts.against_band(frame, PHASES, "CPC", target=None, target_words="cap"))
    assert series(spec) == {"actual", "expected band (80 %)"}
    full = made(charts.against_band(frame.with_columns(hindsight=pl.lit(1.0)), PHASES, "CPC", target=2.0, target_words="cap"))  # fmt: skip
    assert series(full) == {"actual", "expected band (80 %)", "hindsight optimum", "cap"}


@pytest.mark.parametrize("budget", [None, 100.0])
def test_a_budget_is_a_line_of_its_own(budget: float | None) -> None:
    frame = rows(spent=[1.0, 2.0, 3.0, None, None, None], ahead=[None, None, 3.0, 4.0, 5.0, 6.0])
    assert ("budget" in series(made(charts.budget_so_far(frame, PHASES, budget, "CNY")))) == (budget is not None)


def test_the_other_figures_follow_the_grammar_and_hold_no_address() -> None:
    table = pl.DataFrame({"phase": ["a"], "position": [0], "spent": [1.0], "plan": [2.0]})
    campaigns = pl.DataFrame({"campaign": ["=cmd()"], "spend": [1.0], "gmv": [2.0]})
    points = pl.DataFrame(
        {"target": [3.0, 4.0], "roi": [3.0, 4.0], "spend": [2.0, 1.0], "gmv": [9.0, 8.0], "words": ["", ""]}
    )
    now = pl.DataFrame({"name": ["now"], "target": [3.0], "gmv": [9.0]})
    days = pl.DataFrame({"when": ["8 Nov"], "gmv": [3.0], "spend": [1.0], "profit": [-0.5]})
    bids = rows(2, bid=[1.0, 1.1], cpc=[0.8, None])
    for chart in (
        charts.phases_spent(table, "CNY"),
        charts.campaigns_spent(campaigns, "CNY"),
        charts.frontier(points, now, "CNY"),
        charts.profit_by_day(days, "CNY"),
        charts.bid_history(bids, "CNY"),
    ):
        spec = made(chart)
        del spec["$schema"]  # a name, which nobody fetches
        assert "://" not in json.dumps(spec)
