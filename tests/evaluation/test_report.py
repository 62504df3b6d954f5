import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.report import figures, write_report
from evaluation.results import RunResult


@pytest.fixture(scope="module")
def page(results: list[RunResult], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(results, tmp_path_factory.mktemp("report"))


def test_the_page_asks_nobody_for_anything(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    addresses = set(re.findall(r"(?:https?:)?//[^\s\"'<>)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # names of XML dialects
    assert "<script" not in text
    assert "<img" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_the_page_shows_every_policy_and_every_figure(page: Path, results: list[RunResult]) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("<figure>") == text.count("<svg") == 5
    for name in ("SteadyBid", "static bids", "PID on spend"):
        assert name in text
    for result in results:
        assert f"{result.figures.spend:,.0f}" in text


def test_names_from_files_are_text_and_never_markup(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "small &lt;&amp;&gt;" in text
    assert "small <&>" not in text


def test_figures_lie_beside_the_page_as_png_and_svg(page: Path, results: list[RunResult]) -> None:
    names = set(figures(results))
    assert names == {"overview", "spend", "roi", "cpc", "price"}
    for name in names:
        assert (page.parent / "figures" / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert (page.parent / "figures" / f"{name}.svg").read_text(encoding="utf-8").startswith("<svg")


def test_titles_state_what_the_data_shows(results: list[RunResult]) -> None:
    title = figures(results)["overview"].to_dict()["title"]["text"]
    ours = [r.figures.gmv_vs_hindsight for r in results if r.policy == "steadybid"]
    assert f"{np.mean(ours):.1%}" in title
    worse = [
        replace(r, figures=replace(r.figures, gmv_vs_hindsight=0.5)) if r.policy == "steadybid" else r for r in results
    ]
    assert "50.0%" in figures(worse)["overview"].to_dict()["title"]["text"]


def test_a_report_of_baselines_alone_and_of_silent_runs_can_be_drawn(results: list[RunResult], tmp_path: Path) -> None:
    blank = np.full(48, np.nan)
    silent = [
        replace(r, trace=replace(r.trace, planned_spend=blank, theta=blank, reported_roi=blank, matured_roi=blank))
        for r in results
        if r.policy == "pid"
    ]
    assert write_report(silent, tmp_path).is_file()
