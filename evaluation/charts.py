"""Draws runs: one function per figure, each titled with what the data shows; no network, no script.

Colours belong to policies and stay the same in all figures: SteadyBid teal, the baselines warm or grey, the
hindsight optimum dark and dashed. Phases are shaded bands with their names on top.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from evaluation.results import RunResult, Setting

COLOURS = {
    "steadybid": "#0b7a75",
    "static": "#8d99ae",
    "manual": "#e09f3e",
    "pid": "#c8553d",
    "mirror": "#7b6d8d",
    "hold": "#b5a08c",
    "mpc_reference": "#4f6d9c",
    "constant_price": "#5e8c61",
    "oracle": "#22313f",
}
_INK, _GRID, _BAND = "#22313f", "#e3e8ed", "#dfe8ef"
HINDSIGHT = "hindsight optimum"
WIDTH = 860


def title(policy: str) -> str:
    """Policy as a reader calls it."""
    names = {
        "steadybid": "SteadyBid",
        "pid": "PID on spend",
        "manual": "manual ±10 %",
        "static": "static bids",
        "mirror": "mirror descent",
        "mpc_reference": "reference MPC",
        "constant_price": "best constant price",
    }
    return names.get(policy, policy)


def colour(policy: str) -> str:
    """Colour of a policy, the same in all figures."""
    return COLOURS.get(policy, "#5c6b73")


# -- figures ------------------------------------------------------------------------------------------------------


def overview(results: Sequence[RunResult]) -> Any:
    """Every run as a point: how far from the ROI target, and how much of the best possible gmv."""
    frame = pl.DataFrame(
        {
            "policy": [title(r.policy) for r in results],
            "seed": [r.seed for r in results],
            "miss": [100 * (r.figures.roi_miss or 0.0) for r in results],
            "gmv": [100 * r.figures.gmv_vs_hindsight for r in results],
        }
    )
    means = frame.group_by("policy", maintain_order=True).agg(pl.col("miss").mean(), pl.col("gmv").mean())
    names = frame["policy"].unique(maintain_order=True).to_list()
    scale = alt.Scale(domain=names, range=[colour(r) for r in dict.fromkeys(x.policy for x in results)])
    low, high = min(0.0, *frame["miss"]), max(0.0, *frame["miss"])
    pad = max(1.0, 0.06 * (high - low))
    x = alt.X("miss:Q", title="ROI against target, %  (left of 0: target missed)").scale(
        domain=[low - pad, high + pad], nice=False
    )
    bottom = min(frame["gmv"]) - 3.0
    y = alt.Y("gmv:Q", title="GMV, % of the hindsight optimum").scale(domain=[bottom, 102.0], nice=False, zero=False)
    hue = alt.Color("policy:N", scale=scale, legend=None)
    centre = alt.Chart(means).mark_circle(size=260, opacity=1).encode(x=x, y=y, color=hue)
    points = (
        alt.Chart(frame).mark_circle(size=60, opacity=0.8, stroke="white", strokeWidth=1).encode(x=x, y=y, color=hue)
    )
    means = means.with_columns(pl.Series("above", _crowded_below(means["miss"].to_numpy(), means["gmv"].to_numpy())))
    names_of_means: list[Any] = []
    for above, dy in ((True, -20), (False, 22)):
        some = means.filter(pl.col("above") == above)
        text = {"dy": dy, "fontSize": 13, "fontWeight": "bold"}
        halo = alt.Chart(some).mark_text(**text, stroke="white", strokeWidth=4).encode(x=x, y=y, text="policy:N")
        names_of_means += [halo, alt.Chart(some).mark_text(**text).encode(x=x, y=y, text="policy:N", color=hue)]
    rule = {"color": _INK, "strokeDash": [5, 4]}
    target = alt.Chart(pl.DataFrame({"miss": [0.0]})).mark_rule(**rule).encode(x=x)
    best = alt.Chart(pl.DataFrame({"gmv": [100.0]})).mark_rule(**rule).encode(y=y)
    note = (
        alt.Chart(pl.DataFrame({"gmv": [100.0], "text": [HINDSIGHT]}))
        .mark_text(dy=-8, color=_INK)
        .encode(x=alt.value(WIDTH / 2), y=y, text="text:N")
    )
    ours = [r for r in results if r.policy == "steadybid"] or list(results)
    gmv = float(np.mean([r.figures.gmv_vs_hindsight for r in ours]))
    miss = float(np.mean([r.figures.roi_miss or 0.0 for r in ours]))
    what = f"{title(ours[0].policy)} earns {gmv:.1%} of what hindsight could, at {_signed(miss)} against the ROI target"
    under = "Small: one seed. Large: mean. Breaking the target buys nothing here: hindsight is relaxed to the ROI that each run attained."
    return style(
        alt.layer(target, best, note, centre, points, *names_of_means).properties(width=WIDTH, height=380), what, under
    )


def spend(result: RunResult) -> Any:
    """Spend by hour against what was planned for it and against hindsight."""
    trace, best = result.trace, result.hindsight
    frame = _long(
        trace.local,
        {title(result.policy): trace.spend, "planned for the hour": trace.planned_spend, HINDSIGHT: best.spend},
    )
    off = np.nansum(np.abs(trace.spend - best.spend)) / best.spend.sum() / 2
    what = f"Spend follows the promotion: {off:.0%} of it lies in other hours than in the hindsight optimum"
    under = f"{result.figures.spend:,.0f} of {result.setting.budget:,.0f} {result.setting.currency} spent; what binds in hindsight: {_row(best.status)}."
    return _lines(result, frame, f"spend per hour, {result.setting.currency}", what, under)


def roi(result: RunResult) -> Any:
    """ROI of all clicks so far: as reported, as estimated, as true; against the target."""
    trace = result.trace
    frame = _long(
        trace.local,
        {
            "reported so far": trace.reported_roi,
            "estimate of the final ROI": trace.matured_roi,
            "true final ROI": trace.true_roi,
            "target": np.full(len(trace.local), np.nan if result.roi_target is None else result.roi_target),
        },
    ).filter(pl.col("value") < 2.2 * (result.roi_target or float(np.nanmax(trace.true_roi))))
    lag, error = _off(trace.reported_roi, trace.true_roi), _off(trace.matured_roi, trace.true_roi)
    told = [f"Reports are {lag:.0%} off the truth"] if lag is not None else []
    told += [f"our estimate of the final ROI is {error:.1%} off"] if error is not None else []
    what = "; ".join(told) or "ROI of all clicks so far"
    missed = result.figures.roi_miss or 0.0
    under = "Cumulative, clicks so far; distances from the second day on."
    if result.roi_target is not None:
        under += f" The promotion ends at {_signed(missed)} against the target of {result.roi_target:.2f}."
    shades = {
        "reported so far": ("#c9a227", [2, 3]),
        "estimate of the final ROI": (colour(result.policy), [1, 0]),
        "true final ROI": (_INK, [6, 4]),
        "target": ("#b23a48", [1, 0]),
    }
    return _lines(result, frame, "GMV / spend", what, under, shades, zero=False)


def cpc(results: Sequence[RunResult]) -> Any:
    """Hourly CPC of each policy beside that of the hindsight optimum, one panel per policy."""
    panels = []
    top = 1.08 * max(float(np.nanmax(np.concatenate([r.trace.cpc, r.hindsight.cpc]))) for r in results)
    for result in results:
        frame = _long(result.trace.local, {title(result.policy): result.trace.cpc, HINDSIGHT: result.hindsight.cpc})
        cv = result.figures.hourly_cpc_cv
        head = f"{title(result.policy)}: CV {cv:.2f}" if cv is not None else title(result.policy)
        shades = {title(result.policy): (colour(result.policy), [1, 0]), HINDSIGHT: (_INK, [5, 4])}
        panels.append(
            _layers(
                result.setting, frame, f"CPC, {result.setting.currency}", shades, top=top, legend=False, names=False
            )
            .properties(width=WIDTH // 2 - 45, height=190)
            .properties(title=alt.TitleParams(head, fontSize=13, color=colour(result.policy), anchor="start"))
        )
    grid = alt.concat(*panels, columns=2, spacing={"row": 22, "column": 30})
    seed = results[0]
    hind = seed.hindsight
    weight = hind.clicks / hind.clicks.sum()
    mean = float(np.nansum(weight * hind.cpc))
    cv = float(np.sqrt(np.nansum(weight * (hind.cpc - mean) ** 2))) / mean
    what = f"A steady cost is not a flat cost: the best possible hourly CPC varies too (CV {cv:.2f})"
    return style(grid, what, "Dashed: hindsight optimum. Dearer clicks in the burst are worth their price.")


def price(result: RunResult) -> Any:
    """Average bid by hour, and below it the price of money that sets it."""
    trace, best = result.trace, result.hindsight
    bids = _long(trace.local, {title(result.policy): trace.bid, HINDSIGHT: best.bid})
    shades = {title(result.policy): (colour(result.policy), [1, 0]), HINDSIGHT: (_INK, [5, 4])}
    upper = _layers(result.setting, bids, f"bid of the clicks won, {result.setting.currency}", shades)
    theta = _long(trace.local, {title(result.policy): trace.theta, HINDSIGHT: np.full(len(trace.local), best.theta)})
    lower = _layers(result.setting, theta, "price of money θ", shades, zero=False, legend=False, names=False)
    off = _off(trace.theta, np.full(len(trace.local), best.theta))
    what = "One price of money sets all bids"
    if off is not None:
        what += f"; from the second day on it is {off:.0%} off hindsight's"
    both = alt.vconcat(upper.properties(width=WIDTH, height=230), lower.properties(width=WIDTH, height=150), spacing=16)
    return style(
        both, what, "Bid of a unit = value of its click / θ. Hindsight needs a single θ for the whole promotion."
    )


# -- their parts --------------------------------------------------------------------------------------------------


def _lines(
    result: RunResult,
    frame: pl.DataFrame,
    axis: str,
    what: str,
    under: str,
    shades: dict[str, tuple[str, list[int]]] | None = None,
    zero: bool = True,
) -> Any:
    shades = shades or {
        title(result.policy): (colour(result.policy), [1, 0]),
        "planned for the hour": ("#5aa9a3", [2, 3]),
        HINDSIGHT: (_INK, [6, 4]),
    }
    return style(
        _layers(result.setting, frame, axis, shades, zero=zero).properties(width=WIDTH, height=330), what, under
    )


def _layers(
    setting: Setting,
    frame: pl.DataFrame,
    axis: str,
    shades: dict[str, tuple[str, list[int]]],
    *,
    zero: bool = True,
    top: float | None = None,
    legend: bool = True,
    names: bool = True,
) -> Any:
    """Phase bands, their names, and one line per series."""
    bands = pl.DataFrame(
        {
            "phase": [p[0] for p in setting.phases],
            "from": [p[1] for p in setting.phases],
            "to": [p[2] for p in setting.phases],
        }
    )
    first, last = setting.phases[0][1], setting.phases[-1][2]
    days = [first + timedelta(days=d) for d in range((last - first).days + 1)]
    time_axis = alt.Axis(
        format="%a %d %b", values=[alt.DateTime(year=d.year, month=d.month, date=d.day) for d in days], grid=True
    )
    band = (
        alt.Chart(bands[::2])
        .mark_rect(color=_BAND, opacity=0.55)
        .encode(x=alt.X("from:T", title=None, axis=time_axis), x2="to:T")
    )
    value_scale = alt.Scale(zero=zero, nice=True) if top is None else alt.Scale(domain=[0, top], nice=False)
    order = [name for name in shades if name in frame["series"].unique()]
    line = (
        alt.Chart(frame)
        .mark_line(strokeWidth=2, interpolate="linear")
        .encode(
            x=alt.X("hour:T", title=None, axis=time_axis),
            y=alt.Y("value:Q", title=axis, scale=value_scale),
            color=alt.Color(
                "series:N",
                scale=alt.Scale(domain=order, range=[shades[n][0] for n in order]),
                legend=alt.Legend(title=None, orient="top", symbolStrokeWidth=3, symbolSize=300, labelLimit=300)
                if legend
                else None,
            ),
            strokeDash=alt.StrokeDash(
                "series:N", scale=alt.Scale(domain=order, range=[shades[n][1] for n in order]), legend=None
            ),
        )
    )
    parts = [band, line]
    if names:
        middle = bands.with_columns((pl.col("from") + (pl.col("to") - pl.col("from")) / 2).alias("middle"))
        parts.append(
            alt.Chart(middle)
            .mark_text(baseline="top", dy=5, color="#7b8a97", fontSize=12)
            .encode(x="middle:T", y=alt.value(0), text="phase:N")
        )
    return alt.layer(*parts).resolve_scale(color="independent", strokeDash="independent")


def _long(hours: Sequence[Any], series: dict[str, np.ndarray]) -> pl.DataFrame:
    """Columns hour, series, value; without the hours that have nothing to tell."""
    parts = [
        pl.DataFrame({"hour": hours, "series": [name] * len(hours), "value": values}).filter(
            pl.col("value").is_finite()
        )
        for name, values in series.items()
    ]
    return pl.concat(parts)


def style(chart: Any, what: str, under: str) -> Any:
    """Title, subtitle and the house style."""
    return (
        chart.properties(
            title=alt.TitleParams(
                what, subtitle=under, anchor="start", fontSize=17, color=_INK, subtitleColor="#5c6b73", subtitleFontSize=12, offset=14
            ),
            background="white",
            padding=16,
        )
        .configure(font="DejaVu Sans, Helvetica, Arial, sans-serif")
        .configure_axis(
            gridColor=_GRID, domainColor="#c5ced6", tickColor="#c5ced6", labelColor="#44535f", titleColor="#44535f",
            labelFontSize=11, titleFontSize=12, titleFontWeight="normal", titlePadding=10,
        )
        .configure_legend(labelFontSize=12, labelColor=_INK)
        .configure_view(stroke=None)
    )  # fmt: skip


def _crowded_below(x: np.ndarray, y: np.ndarray) -> list[bool]:
    """Whether another point lies close below each one, where its name would stand."""
    near = (np.abs(x[:, None] - x) < 0.15 * max(float(np.ptp(x)), 1.0)) & (y < y[:, None])
    close: np.ndarray = near & (y[:, None] - y < 0.25 * max(float(np.ptp(y)), 1.0))
    return [bool(row.any()) for row in close]


def _off(told: np.ndarray, truth: np.ndarray) -> float | None:
    """Mean relative distance from the second day on; ``None`` where nothing was told."""
    distance = np.abs(told[24:] / truth[24:] - 1)
    distance = distance[np.isfinite(distance)]
    return float(distance.mean()) if distance.size else None


def _signed(share: float) -> str:
    return f"{share:+.1%}".replace("-", "−")


def _row(status: str) -> str:
    return {"roi_binds": "the ROI target", "budget_binds": "the budget", "both_tight": "budget and ROI target"}.get(
        status, "no target"
    )
