"""Writes what runs came to as one self-contained HTML page, and its figures as PNG and SVG files.

The page holds its drawings inline: no script, no font, no request to anywhere.
"""

import html
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import vl_convert

from evaluation import charts
from evaluation.results import HEADINGS, RunResult, table

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.55 "Inter", "Segoe UI", Helvetica, Arial, sans-serif; color: #22313f; background: #f6f8fa;
  margin: 0; }
main { max-width: 980px; margin: 0 auto; padding: 36px 24px 60px; }
h1 { font-size: 27px; margin: 0 0 4px; letter-spacing: -.01em; }
h2 { font-size: 18px; margin: 40px 0 10px; }
p.lead { color: #5c6b73; margin: 0 0 22px; }
figure, .card { background: #fff; border: 1px solid #e3e8ed; border-radius: 10px; margin: 18px 0; padding: 10px;
  overflow-x: auto; }
figure svg { display: block; width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 8px 10px; border-bottom: 1px solid #eef1f4; white-space: nowrap; }
th { color: #5c6b73; font-weight: 600; font-size: 12.5px; white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
tr:last-child td { border-bottom: 0; }
tr.ours td { font-weight: 650; color: #0b7a75; background: #f2f9f8; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 18px; margin: 6px 10px; }
dt { font-weight: 600; } dd { margin: 0; color: #44535f; }
.small { font-size: 13px; }
"""

#: What the columns mean, in words a trader reads.
_MEANING = {
    "efficiency": "GMV against the best that the same spend could have bought.",
    "GMV / hindsight": "GMV against the best possible with everything known, under the same budget and ROI target. Where a "
    "policy missed the target, hindsight is given the ROI that the policy attained: breaking a target wins nothing.",
    "ROI miss": "ROI against the target; negative = below it. Mean over seeds, and the worst one.",
    "misallocation": "Share of the spend that went to the wrong SKUs, against the optimum at equal spend.",
    "hourly CPC CV": "How much the hourly cost of a click varies. Hindsight varies too: see the figure.",
}


def figures(results: Sequence[RunResult]) -> dict[str, Any]:
    """Charts by name: all runs together, then one seed in detail (SteadyBid's, or the first policy's)."""
    first = min(r.seed for r in results)
    one_seed = [r for r in results if r.seed == first]
    ours = next((r for r in one_seed if r.policy == "steadybid"), one_seed[0])
    return {
        "overview": charts.overview(results),
        "spend": charts.spend(ours),
        "roi": charts.roi(ours),
        "cpc": charts.cpc(one_seed),
        "price": charts.price(ours),
    }


def write_report(results: Sequence[RunResult], folder: Path) -> Path:
    """Write ``report.html`` and ``figures/*.png, *.svg`` into a folder; returns the path of the page."""
    drawings = folder / "figures"
    drawings.mkdir(parents=True, exist_ok=True)
    inline: dict[str, str] = {}
    for name, chart in figures(results).items():
        spec = chart.to_json()
        inline[name] = vl_convert.vegalite_to_svg(spec)
        (drawings / f"{name}.svg").write_text(inline[name], encoding="utf-8")
        (drawings / f"{name}.png").write_bytes(vl_convert.vegalite_to_png(spec, scale=2))
    page = folder / "report.html"
    page.write_text(_page(results, inline), encoding="utf-8")
    return page


def _page(results: Sequence[RunResult], inline: dict[str, str]) -> str:
    setting = results[0].setting
    seeds = sorted({r.seed for r in results})
    lead = (
        f"{html.escape(setting.purpose)} Budget {setting.budget:,.0f} {html.escape(setting.currency)}; "
        f"{len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'} ({', '.join(map(str, seeds))}); "
        "every policy meets the same shoppers."
    )
    rows = table(results)
    head = "".join(f"<th>{html.escape(text)}</th>" for text in HEADINGS.values())
    body = "".join(
        f"<tr{' class=ours' if row.policy == 'steadybid' else ''}>"
        + "".join(f"<td>{html.escape(charts.title(v) if k == 'policy' else v)}</td>" for k, v in asdict(row).items())
        + "</tr>"
        for row in rows
    )
    meaning = "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in _MEANING.items())
    drawings = "".join(f"<figure>{svg}</figure>" for svg in inline.values())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>SteadyBid: {html.escape(setting.scenario)}</title><style>{STYLE}</style></head>
<body><main>
<h1>{html.escape(setting.scenario)}</h1>
<p class="lead">{lead}</p>
<div class="card"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>
<div class="card small"><dl>{meaning}</dl></div>
<h2>What happened</h2>
{drawings}
<h2>Every run</h2>
<div class="card small">{_runs(results)}</div>
</main></body></html>
"""


def _runs(results: Sequence[RunResult]) -> str:
    heads = ("policy", "seed", "GMV", "spend", "ROI target", "ROI", "GMV / hindsight", "efficiency", "hours held")
    lines = "".join(
        f"<tr><td>{html.escape(charts.title(r.policy))}</td><td>{r.seed}</td><td>{r.figures.gmv:,.0f}</td>"
        f"<td>{r.figures.spend:,.0f}</td><td>{'-' if r.roi_target is None else format(r.roi_target, '.2f')}</td>"
        f"<td>{r.figures.gmv / r.figures.spend if r.figures.spend else 0:.2f}</td>"
        f"<td>{r.figures.gmv_vs_hindsight:.1%}</td><td>{r.figures.efficiency or 0:.1%}</td><td>{r.holds}</td></tr>"
        for r in results
    )
    return f"<table><thead><tr>{''.join(f'<th>{h}</th>' for h in heads)}</tr></thead><tbody>{lines}</tbody></table>"
