"""The table and the page of an evaluation: every scenario and policy, with intervals over seeds."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import polars as pl
import vl_convert
from scipy.stats import t as student

from evaluation import charts
from evaluation.regret import PARTS
from evaluation.report import STYLE

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Score:
    """Mean over seeds with its 95 % interval; `low` and `high` are the mean itself where there is one seed."""

    mean: float
    low: float
    high: float
    worst: float
    best: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Score | None":
        """Of numbers, or ``None`` of none."""
        if not values:
            return None
        x = np.array(values, np.float64)
        reach = float(student.ppf(0.975, x.size - 1) * x.std(ddof=1) / np.sqrt(x.size)) if x.size > 1 else 0.0
        mean = float(x.mean())
        return cls(mean, mean - reach, mean + reach, float(x.min()), float(x.max()))


@dataclass(frozen=True, slots=True)
class Line:
    """One scenario and policy."""

    scenario: str
    policy: str
    fingerprint: str
    seeds: int
    binding: str
    efficiency: Score | None
    gmv: Score | None
    miss: Score | None
    misallocation: Score | None
    budget_use: Score | None
    overspend: float
    cpc_cv: Score | None
    held: int


#: Headings of `cells`.
HEADINGS = (
    "scenario", "policy", "seeds", "binds", "efficiency", "GMV / hindsight [95 %]", "target miss (worst)",
    "misallocation", "budget use", "overspend", "CPC CV / hindsight", "hours held",
)  # fmt: skip

#: Positions of the cells that fit a terminal.
BRIEF = (0, 1, 2, 3, 4, 5, 6, 9, 10)


def lines(records: Sequence[Record]) -> list[Line]:
    """One line per scenario and policy, in order of appearance."""
    found: list[Line] = []
    for scenario, policy in dict.fromkeys((r["scenario"], r["policy"]) for r in records):
        mine = [r for r in records if (r["scenario"], r["policy"]) == (scenario, policy)]

        def score(name: str, mine: Sequence[Record] = mine) -> Score | None:
            return Score.of([r[name] for r in mine if r.get(name) is not None])

        binding = sorted({row for r in mine for row in r["binding"]})
        found.append(
            Line(
                scenario=scenario,
                policy=policy,
                fingerprint=mine[0]["fingerprint"],
                seeds=len(mine),
                binding="+".join(binding) or "none",
                efficiency=score("efficiency"),
                gmv=score("gmv_vs_hindsight"),
                miss=score("roi_miss") or score("cpc_miss"),
                misallocation=score("misallocation"),
                budget_use=score("budget_utilisation"),
                overspend=max((r["overspend"] or 0.0 for r in mine), default=0.0),
                cpc_cv=score("cpc_cv_vs_hindsight"),
                held=sum(r.get("holds", 0) for r in mine),
            )
        )
    return found


def cells(line: Line) -> tuple[str, ...]:
    """A line as a person reads it."""

    def share(score: Score | None) -> str:
        return "-" if score is None else f"{score.mean:.1%}"

    gmv = "-" if line.gmv is None else f"{line.gmv.mean:.1%} [{line.gmv.low:.1%}, {line.gmv.high:.1%}]"
    return (
        line.scenario,
        line.policy,
        str(line.seeds),
        line.binding,
        share(line.efficiency),
        gmv,
        "-" if line.miss is None else f"{line.miss.mean:+.1%} ({line.miss.worst:+.1%})",
        share(line.misallocation),
        share(line.budget_use),
        f"{line.overspend:,.2f}",
        "-" if line.cpc_cv is None else f"{line.cpc_cv.mean:.2f}",
        str(line.held),
    )


def write(records: Sequence[Record], folder: Path) -> Path:
    """Write ``evaluation.html`` and its figures into a folder; returns the path of the page."""
    drawings = folder / "figures"
    drawings.mkdir(parents=True, exist_ok=True)
    board = lines(records)
    inline: list[str] = []
    for name, chart in _figures(board, records).items():
        svg = vl_convert.vegalite_to_svg(chart.to_json())
        (drawings / f"{name}.svg").write_text(svg, encoding="utf-8")
        (drawings / f"{name}.png").write_bytes(vl_convert.vegalite_to_png(chart.to_json(), scale=2))
        inline.append(f"<figure>{svg}</figure>")
    page = folder / "evaluation.html"
    page.write_text(_page(board, records, inline), encoding="utf-8")
    return page


def _figures(board: Sequence[Line], records: Sequence[Record]) -> dict[str, Any]:
    figures = {
        "gmv": _dots(board, "gmv", 100.0, "GMV, % of the hindsight optimum", "How much of the best possible is earned"),
        "miss": _dots(board, "miss", 0.0, "target miss, % (left: missed)", "How well the ROI target or CPC cap is met"),
    }
    if any(r.get("regret") for r in records):
        figures["regret"] = _regret(records)
    return figures


def _dots(board: Sequence[Line], name: str, best: float, axis: str, what: str) -> Any:
    """One row per scenario, one dot with its interval per policy."""
    rows = [(line, score) for line in board if (score := getattr(line, name)) is not None]
    policies = list(dict.fromkeys(line.policy for line, _ in rows))
    frame = pl.DataFrame(
        {
            "scenario": [line.scenario for line, _ in rows],
            "policy": [charts.title(line.policy) for line, _ in rows],
            "mean": [100 * s.mean for _, s in rows],
            "low": [100 * s.low for _, s in rows],
            "high": [100 * s.high for _, s in rows],
        }
    )
    hue = alt.Color(
        "policy:N",
        scale=alt.Scale(domain=[charts.title(p) for p in policies], range=[charts.colour(p) for p in policies]),
        legend=alt.Legend(title=None, orient="top", labelLimit=300, columns=6),
    )
    y = alt.Y("scenario:N", title=None, sort=None, axis=alt.Axis(labelLimit=200, grid=True))
    offset = alt.YOffset("policy:N", sort=[charts.title(p) for p in policies])
    x = alt.X("mean:Q", title=axis, scale=alt.Scale(zero=False))
    rule = alt.Chart(pl.DataFrame({"mean": [best]})).mark_rule(color="#22313f", strokeDash=[5, 4]).encode(x=x)
    bars = alt.Chart(frame).mark_rule(strokeWidth=2).encode(y=y, yOffset=offset, x="low:Q", x2="high:Q", color=hue)
    dots = alt.Chart(frame).mark_circle(size=55, opacity=1).encode(y=y, yOffset=offset, x=x, color=hue)
    height = alt.Step(max(9, 5 + 2 * len(policies)) if len(policies) < 4 else 9)
    chart = alt.layer(rule, bars, dots).properties(width=charts.WIDTH - 150, height=height)
    return charts.style(chart, what, "Dots: means over seeds; lines: 95 % intervals of the mean.")


def _regret(records: Sequence[Record]) -> Any:
    """Parts of the regret of each scenario, in points of the best possible gmv."""
    split = [r for r in records if r.get("regret")]
    rows = [
        {
            "scenario": name,
            "part": part,
            "points": 100 * float(np.mean([r["regret"][part] for r in split if r["scenario"] == name])),
        }
        for name in dict.fromkeys(r["scenario"] for r in split)
        for part in PARTS
    ]
    colours = ["#0b7a75", "#e09f3e", "#4f6d9c", "#c8553d", "#b9c2cb"]
    chart = (
        alt.Chart(pl.DataFrame(rows))
        .mark_bar()
        .encode(
            y=alt.Y("scenario:N", title=None, sort=None, axis=alt.Axis(labelLimit=200)),
            x=alt.X("sum(points):Q", title="points of the best possible GMV"),
            color=alt.Color(
                "part:N",
                scale=alt.Scale(domain=list(PARTS), range=colours),
                legend=alt.Legend(title=None, orient="top"),
            ),
            order=alt.Order("part:N"),
        )
        .properties(width=charts.WIDTH - 150, height=alt.Step(24))
    )
    under = "SteadyBid; reruns on the same seeds with one thing after another put right. Negative: errors that made up for each other."
    return charts.style(chart, "Where the rest is lost", under)


def _page(board: Sequence[Line], records: Sequence[Record], inline: Sequence[str]) -> str:
    head = "".join(f"<th>{html.escape(h)}</th>" for h in HEADINGS)
    body = ""
    for line in board:
        mark = " class=ours" if line.policy == "steadybid" else ""
        body += f"<tr{mark}>" + "".join(f"<td>{html.escape(c)}</td>" for c in cells(line)) + "</tr>"
    about = {r["scenario"]: (r.get("purpose", ""), r["fingerprint"]) for r in records}
    worlds = "".join(
        f"<dt>{html.escape(n)}</dt><dd>{html.escape(p)} <code>{f}</code></dd>" for n, (p, f) in about.items()
    )
    codes = ", ".join(sorted({str(r.get("code", "")) for r in records}))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>SteadyBid: evaluation</title><style>{STYLE}</style></head>
<body><main>
<h1>SteadyBid against the simulated market</h1>
<p class="lead">{len(records)} runs; code {html.escape(codes)}. Same seed, same shoppers for every policy.</p>
{"".join(inline)}
<div class="card small"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>
<h2>Scenarios, each with its fingerprint</h2>
<div class="card small"><dl>{worlds}</dl></div>
</main></body></html>
"""
