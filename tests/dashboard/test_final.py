"""Final ROI on the pages: the same figures as everywhere else, with their band; words where none can be told."""

from collections.abc import Callable

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import final
from data import Workspace
from domain.goals import Period, Scope, TargetKind
from domain.time import Hour
from engine.what_if import Study, study

Open = Callable[..., AppTest]


def told(test: AppTest) -> list[str]:
    return [str(e.value) for kind in ("markdown", "caption") for e in getattr(test, kind)]


def test_overview_and_targets_tell_reported_and_final_roi_with_the_band(
    page: Open, workspace: Workspace, next_hour: Hour
) -> None:
    start = workspace.phases("shop").window.start  # type: ignore[union-attr]
    row = study(workspace, "shop", next_hour).matured_roi(start).row(0, named=True)
    words = f"{row['reported_roi']:.2f} reported, final {row['roi_low']:.2f}–{row['roi_high']:.2f} (80 %)"
    overview = page("overview")
    card = next(m for m in overview.metric if m.label.startswith("ROI"))
    assert card.label.endswith("estimated final")
    assert card.value == f"{row['roi']:.2f}"
    assert any(words in t for t in told(overview))
    targets = page("targets")
    assert any(f"Bought so far: counts as ROI {row['roi']:.2f}; {words}" in t for t in told(targets))


def test_what_no_target_counts_is_not_shown_where_it_lies_outside_of_the_band(
    page: Open, workspace: Workspace, next_hour: Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lucky(*_: object) -> pl.DataFrame:
        columns = ("group", "reported_roi", "roi", "roi_low", "roi_high")
        return pl.DataFrame([("account", 3.1, 2.2, 3.4, 3.8)], schema=columns, orient="row")

    monkeypatch.setattr(Study, "matured_roi", lucky)
    card = next(m for m in page("overview").metric if m.label.startswith("ROI"))
    assert (card.label.split(", ")[1], card.value) == ("for targets", "2.20")
    said = {"by": "Ana", "reason": "test", "now": next_hour.start}
    workspace.remove_target("shop", kind=TargetKind.ROI, scope=Scope.ACCOUNT, key="", period=Period.HORIZON, **said)
    test = page("overview")
    card = next(m for m in test.metric if m.label.startswith("ROI"))
    assert card.label.endswith("as reported")
    assert card.value != "2.20"
    assert any("final 3.40–3.80 (80 %)" in t for t in told(test))


def test_without_a_roi_target_the_band_is_told_all_the_same(page: Open, workspace: Workspace, next_hour: Hour) -> None:
    said = {"by": "Ana", "reason": "test", "now": next_hour.start}
    workspace.remove_target("shop", kind=TargetKind.ROI, scope=Scope.ACCOUNT, key="", period=Period.HORIZON, **said)
    assert any("no ROI target is set" in t and "reported, final" in t for t in told(page("overview")))
    assert not any("Bought so far" in t for t in told(page("targets")))


@pytest.mark.parametrize(
    ("roi", "words"),
    [
        (3.5, "3.10 reported, final 3.40–3.80 (80 %)"),
        (3.2, "3.10 reported, final 3.40–3.80 (80 %); luck of few orders counts in part"),
    ],
)
def test_a_figure_outside_of_its_band_is_explained(roi: float, words: str) -> None:
    assert final.in_words({"reported_roi": 3.1, "roi": roi, "roi_low": 3.4, "roi_high": 3.8}) == words


def test_what_is_known_in_full_has_no_band() -> None:
    row = {"reported_roi": 3.1, "roi": 3.1, "roi_low": 3.0999, "roi_high": 3.1001}
    assert final.in_words(row) == "3.10 reported, final 3.10 (80 %)"
