"""Draws the figures of the pages from small tables; titles and findings stand in the pages.

Times are the account's wall clock, carried as if they were UTC and drawn on a UTC scale: a browser in another
time zone shows the same hours. Tables by time have ``t`` and ``t2`` (start and end on that clock, ms) and ``when``
(the start in words).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl

from dashboard.theme import COLOURS, INK, MUTED, PHASE_SHADES, dress

alt.data_transformers.disable_max_rows()

_HOUR_MS = 3_600_000
#: Above this many rows a bar is thinner than a pixel or two, so areas are drawn instead.
_MANY = 200


# -- figures by time ----------------------------------------------------------------------------------------------


def spend_by_time(rows: pl.DataFrame, phases: pl.DataFrame, currency: str) -> Any:
    """Spend (bars) against what was planned for it (line), and the plan ahead (pale bars).

    Columns of `rows`: ``t, t2, when, spend, planned, ahead``; null where there is nothing to tell.
    """
    words = {"spend": "spent", "planned": "planned for it", "ahead": "planned ahead"}
    colours = {"spend": "actual", "planned": "planned", "ahead": "ahead"}
    there = [name for name in words if rows[name].count()]
    tips = _tips(**{name: f"{words[name]}, {currency}" for name in there})
    draw = _Pen(rows, f"spend, {currency}", {words[n]: colours[n] for n in there}, tips)
    marks = [draw.bars(name, words[name]) for name in ("ahead", "spend") if name in there]
    if "planned" in there:
        marks.append(draw.line("planned", words["planned"], step=True))
    return _over_phases(rows, phases, marks)


def budget_so_far(rows: pl.DataFrame, phases: pl.DataFrame, budget: float | None, currency: str) -> Any:
    """Money spent since the start, the plan for the rest, and the budget above them.

    Columns of `rows`: ``t, t2, when, spent, ahead`` (both cumulative).
    """
    series = {"spent": "actual", "plan for the rest": "planned"} | ({} if budget is None else {"budget": "target"})
    tips = _tips(spent="spent so far", ahead="planned so far")
    top = None if budget is None else 1.15 * budget  # room for the names of phases above the line
    draw = _Pen(rows, f"spend so far, {currency}", series, tips, top=top)
    marks = [draw.area("spent", "spent"), draw.line("ahead", "plan for the rest", dash=(6, 4))]
    return _over_phases(rows, phases, marks if budget is None else [*marks, draw.level(budget, "budget")])


def against_band(
    rows: pl.DataFrame, phases: pl.DataFrame, axis: str, *, target: float | None, target_words: str
) -> Any:
    """A cost or return by hour inside its expected band, with its target.

    Columns of `rows`: ``t, t2, when, value, expected, low, high, hindsight``; null where there is nothing to tell.
    """
    band, best = "expected band (80 %)", "hindsight optimum"
    series = {"actual": "actual"}
    if rows["low"].count():
        series[band] = "band"
    if rows["hindsight"].count():
        series[best] = "hindsight"
    if target is not None:
        series[target_words] = "target"
    tips = _tips(value=axis, expected="expected", low="band from", high="band to", hindsight=best)
    draw = _Pen(rows, axis, series, tips, zero=False)
    marks: list[Any] = []
    if band in series:
        marks.append(draw.between("low", "high", band))
    if best in series:
        marks.append(draw.line("hindsight", best, dash=(5, 4), width=1.4))
    marks.append(draw.line("value", "actual"))
    if target is not None:
        marks.append(draw.level(target, target_words))
    return _over_phases(rows, phases, marks)


def bid_history(rows: pl.DataFrame, currency: str) -> Any:
    """Bids of one unit. Columns ``t, t2, when, bid, cpc``."""
    tips = _tips(bid="bid", cpc="paid per click")
    draw = _Pen(rows, f"per click, {currency}", {"bid": "actual", "paid per click": "planned"}, tips)
    marks = [draw.line("bid", "bid", step=True), draw.line("cpc", "paid per click", width=1.4)]
    return _over_phases(rows, pl.DataFrame(), marks, height=200)


# -- other figures ------------------------------------------------------------------------------------------------


def profit_by_day(days: pl.DataFrame, currency: str) -> Any:
    """What is left of the margin after ads, by local day. Columns ``when, gmv, spend, profit``."""
    sign = alt.condition("datum.profit >= 0", alt.value(COLOURS["good"]), alt.value(COLOURS["bad"]))
    tips = [
        alt.Tooltip("when:N", title="day"),
        *_tips(gmv="sales from ads", spend="spent on ads", profit="profit after ads")[1:],
    ]
    bars = (
        alt.Chart(days)
        .mark_bar(cornerRadius=2, width=alt.RelativeBandSize(0.6))
        .encode(
            x=alt.X("when:N", sort=None, title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("profit:Q", title=f"profit after ads, {currency}"),
            color=sign,
            tooltip=tips,
        )
    )
    zero = alt.Chart(pl.DataFrame({"y": [0.0]})).mark_rule(color=MUTED).encode(y="y:Q")
    return dress(alt.layer(bars, zero), 240)


def phases_spent(table: pl.DataFrame, currency: str) -> Any:
    """Spend of each phase (dark) on its plan (pale). Columns ``phase, position, spent, plan``."""
    series = {"spent": "actual", "plan": "ahead"}
    scale = alt.Scale(domain=list(series), range=[COLOURS[c] for c in series.values()])
    tips = [
        alt.Tooltip("phase:N"),
        alt.Tooltip("plan:Q", title="plan", format=",.2f"),
        alt.Tooltip("spent:Q", title="spent", format=",.2f"),
    ]

    def bar(field: str, thick: float) -> alt.Chart:
        return (
            alt.Chart(table.with_columns(pl.lit(field).alias("series")))
            .mark_bar(height=alt.RelativeBandSize(thick), cornerRadius=2)
            .encode(
                x=alt.X(f"{field}:Q", title=f"spend, {currency}", axis=alt.Axis(tickCount=4)),
                y=alt.Y("phase:N", sort=table["phase"].to_list(), title=None, axis=alt.Axis(labelLimit=130)),
                color=alt.Color("series:N", scale=scale, legend=alt.Legend(title=None)),
                tooltip=tips,
            )
        )

    return dress(alt.layer(bar("plan", 0.75), bar("spent", 0.38)), max(120, 36 * table.height + 60))


def campaigns_spent(table: pl.DataFrame, currency: str) -> Any:
    """Spend of campaigns (bars), and what they sold. Columns ``campaign, spend, gmv``, in the order to show."""
    tips = [
        alt.Tooltip("campaign:N"),
        alt.Tooltip("spend:Q", title="spend", format=",.2f"),
        alt.Tooltip("gmv:Q", title="sales from ads", format=",.2f"),
    ]
    bars = (
        alt.Chart(table)
        .mark_bar(color=COLOURS["actual"], cornerRadius=2)
        .encode(
            x=alt.X("spend:Q", title=f"spend, {currency}", axis=alt.Axis(tickCount=4)),
            y=alt.Y("campaign:N", sort=table["campaign"].to_list(), title=None, axis=alt.Axis(labelLimit=170)),
            tooltip=tips,
        )
    )
    return dress(bars, max(120, 30 * table.height + 50))


def frontier(points: pl.DataFrame, marks: pl.DataFrame, currency: str) -> Any:
    """GMV that the rest of the horizon can buy at each ROI target, and where targets stand on it.

    Columns of `points`: ``target, roi, spend, gmv, words``; of `marks`: ``target, gmv, name`` (now, proposed).
    """
    tips = [
        alt.Tooltip("target:Q", title="ROI target", format=".2f"),
        alt.Tooltip("roi:Q", title="ROI of the rest", format=".2f"),
        alt.Tooltip("spend:Q", title=f"spend, {currency}", format=",.0f"),
        alt.Tooltip("gmv:Q", title=f"gmv, {currency}", format=",.0f"),
        alt.Tooltip("words:N", title="what sets it"),
    ]
    x = alt.X("target:Q", title="ROI target", scale=alt.Scale(zero=False, padding=18))
    y = alt.Y("gmv:Q", title=f"gmv of the rest, {currency}", scale=alt.Scale(zero=False, padding=18))
    dot = alt.OverlayMarkDef(color=COLOURS["actual"], size=36)
    curve = alt.Chart(points).mark_line(color=COLOURS["actual"], strokeWidth=2, point=dot).encode(x=x, y=y, order="target:Q", tooltip=tips)  # fmt: skip
    names = {"now": "hindsight", "proposed": "target"}
    shade = alt.Color("name:N", scale=alt.Scale(domain=list(names), range=[COLOURS[c] for c in names.values()]), legend=None)  # fmt: skip
    base = alt.Chart(marks).encode(x=x, y=y, color=shade)
    dots = base.mark_point(filled=True, size=190, opacity=1, stroke="white")
    text = base.mark_text(dx=11, dy=-11, align="left", fontSize=12, fontWeight="bold").encode(text="name:N")
    return dress(alt.layer(curve, dots, text), 250)


# -- their parts --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pen:
    """Draws columns of one table on common axes, with one legend for all marks.

    `series` maps the words of the legend to names in `COLOURS`.
    """

    rows: pl.DataFrame
    axis: str
    series: Mapping[str, str]
    tips: Sequence[alt.Tooltip]
    zero: bool = True
    top: float | None = None

    def bars(self, field: str, words: str) -> Any:
        """Bars from start to end of each row; an area where they would be too thin."""
        if self.rows.height > _MANY:
            return self.area(field, words)
        rows = self._there(field, words).with_columns(pl.lit(0.0).alias("zero"))
        mark = alt.Chart(rows).mark_rect(stroke="white", strokeWidth=0.4 if rows.height < 150 else 0)
        return self._encode(mark, field, words).encode(x2="t2:T", y2="zero:Q")

    def area(self, field: str, words: str) -> Any:
        """Area below a column."""
        return self._encode(alt.Chart(self._there(field, words)).mark_area(opacity=0.85), field, words)

    def between(self, low: str, high: str, words: str) -> Any:
        """Band between two columns."""
        chart = alt.Chart(self._there(low, words)).mark_area(opacity=0.9, interpolate="step-after")
        return self._encode(chart, low, words).encode(y2=f"{high}:Q")

    def line(
        self, field: str, words: str, *, step: bool = False, dash: Sequence[int] = (1, 0), width: float = 2
    ) -> Any:
        """Line through a column."""
        style = {"strokeWidth": width, "strokeDash": list(dash), "interpolate": "step-after" if step else "linear"}
        return self._encode(alt.Chart(self._there(field, words)).mark_line(**style), field, words)

    def level(self, value: float, words: str) -> Any:
        """Horizontal line over the whole span."""
        ends = pl.DataFrame(
            {"t": [self.rows["t"].min(), self.rows["t2"].max()], "level": [value] * 2, "series": [words] * 2}
        )
        mark = alt.Chart(ends).mark_line(strokeWidth=1.6, strokeDash=[2, 2])
        return self._encode(mark, "level", words).encode(tooltip=[alt.Tooltip("level:Q", title=words, format=",.2f")])

    def _scale(self) -> alt.Scale:
        if self.top is None:
            return alt.Scale(zero=self.zero, nice=True)
        return alt.Scale(zero=self.zero, domainMax=self.top)

    def _there(self, field: str, words: str) -> pl.DataFrame:
        return self.rows.filter(pl.col(field).is_not_null()).with_columns(pl.lit(words).alias("series"))

    def _encode(self, chart: Any, field: str, words: str) -> Any:
        scale = alt.Scale(domain=list(self.series), range=[COLOURS[c] for c in self.series.values()])
        return chart.encode(
            x=_x(self.rows),
            y=alt.Y(f"{field}:Q", title=self.axis, scale=self._scale(), axis=alt.Axis(tickCount=5)),
            color=alt.Color("series:N", scale=scale, legend=alt.Legend(title=None)),
            tooltip=list(self.tips),
        )


def _x(rows: pl.DataFrame, field: str = "t") -> alt.X:
    first, last = rows["t"].min(), rows["t2"].max()
    days = (float(last) - float(first)) / (24 * _HOUR_MS) if rows.height else 1.0  # type: ignore[arg-type]
    axis = alt.Axis(
        format="%H:%M" if days <= 1.5 else "%a %-d %b" if days <= 10 else "%-d %b",
        tickCount=8 if days <= 1.5 else {"interval": "day", "step": max(1, round(days / 9))},
        grid=False,
        labelOverlap=True,
    )
    return alt.X(f"{field}:T", title=None, scale=alt.Scale(type="utc", nice=False), axis=axis)


def _tips(**fields: str) -> list[alt.Tooltip]:
    """Tooltips: when, then column = words."""
    return [
        alt.Tooltip("when:N", title="from"),
        *(alt.Tooltip(f"{name}:Q", title=words, format=",.2f") for name, words in fields.items()),
    ]


def _over_phases(rows: pl.DataFrame, phases: pl.DataFrame, marks: Sequence[Any], *, height: int = 270) -> Any:
    """Marks, of which there is at least one, on shaded phases (``phase, kind, t, t2, middle``) with their names."""
    front = alt.layer(*marks)
    if not phases.height:
        return dress(front, height)
    kinds = list(PHASE_SHADES)
    shade = alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=[PHASE_SHADES[k] for k in kinds]), legend=None)
    band = alt.Chart(phases).mark_rect().encode(x=_x(rows), x2="t2:T", color=shade)
    label = (
        alt.Chart(phases)
        .mark_text(baseline="top", dy=4, color=INK, opacity=0.65, fontSize=11, limit=120)
        .encode(x=_x(rows, "middle"), y=alt.value(0), text="phase:N")
    )
    return dress(alt.layer(band, label, front).resolve_scale(color="independent"), height)
