"""Cost stability: hourly CPC and ROI in their expected bands, and how steady they were against plan and hindsight."""

import polars as pl
import streamlit as st

from dashboard import blocks, charts, figures, fits
from dashboard.figures import Per
from dashboard.session import Sight
from dashboard.words import NOTHING, change, number, plain, share
from data.kept import references
from domain.errors import PredictionError
from domain.goals import Scope, TargetKind

_COLUMNS = {
    "figure": st.column_config.TextColumn("figure", width="large"),
    "actual": st.column_config.TextColumn("actual", width="small"),
    "plan": st.column_config.TextColumn("plan", width="small"),
    "hindsight": st.column_config.TextColumn("hindsight", width="small"),
}


def show(seen: Sight) -> None:
    """Draw the page."""
    rows, per = blocks.rows_of(seen)
    if not rows.height:
        blocks.headline("There is no cost to look at yet")
        blocks.empty(
            "No report has been read for this account.",
            "Import reports first; hourly figures need a platform that reports hours.",
            f"steadybid import FILES --platform {seen.account.platform} --account {seen.account.name}",
        )
        return
    calendar = seen.calendar()
    place = st.container()
    start, end, words = blocks.span(seen, calendar, per, "stability")
    least = figures.MIN_CLICKS if per == "hour" else 1
    cpc = figures.between(_cpc(seen, rows, least), start, end)
    roi = figures.between(_roi(seen, rows, least), start, end)
    with place:
        blocks.headline(*_headline(seen, cpc, per, words))
    bands = figures.phase_bands(calendar, seen.account.tz, cpc)
    cap, target = _target(seen, TargetKind.CPC), _target(seen, TargetKind.ROI)
    blocks.chart(
        _cpc_title(cpc, cap, per, seen.currency),
        charts.against_band(cpc, bands, f"CPC, {seen.currency}", target=cap, target_words="CPC cap"),
        "A dearer click in the burst is no fault: hindsight pays more there too. What counts is the distance from the plan."
        if blocks.running(calendar, seen)
        else "",
    )
    blocks.chart(
        _roi_title(roi, target, per),
        charts.against_band(roi, bands, "ROI (gmv / spend)", target=target, target_words="ROI target"),
        f"Estimated final gmv of the clicks of each {per}: orders that are still to come are counted in.",
    )
    st.subheader("How steady it was")
    _figures(cpc, roi, per)
    st.divider()
    fits.show(seen)


def _cpc(seen: Sight, rows: pl.DataFrame, least: int) -> pl.DataFrame:
    best = _hindsight(seen)
    made = figures.banded(rows, "spend", "clicks", least_value=least)
    ratio = best.select("start_utc", pl.when(pl.col("clicks") > 0).then(pl.col("spend") / pl.col("clicks")).alias("hindsight"),
                        pl.col("clicks").alias("best_clicks"), pl.col("spend").alias("best_spend"))  # fmt: skip
    return made.join(ratio, on="start_utc", how="left", maintain_order="left")


def _roi(seen: Sight, rows: pl.DataFrame, least: int) -> pl.DataFrame:
    try:
        study = seen.study()
        final = seen.kept("matured", seen.hour.start, study.matured)
    except PredictionError:
        final = pl.DataFrame()
    if final.height:
        known = final.select("start_utc", pl.col("gmv").alias("final"))
        rows = rows.join(known, on="start_utc", how="left", maintain_order="left").with_columns(
            pl.coalesce("final", "gmv").alias("gmv")
        )
    best = _hindsight(seen).select(
        "start_utc", pl.when(pl.col("spend") > 0).then(pl.col("gmv") / pl.col("spend")).alias("hindsight")
    )
    made = figures.banded(rows, "gmv", "spend", least_value=least)
    return made.join(best, on="start_utc", how="left", maintain_order="left")


def _hindsight(seen: Sight) -> pl.DataFrame:
    """What could have been done, known for simulated runs only; of a past hour nothing beyond it."""
    known = seen.kept("references", None, lambda: references(seen.workspace, seen.account.name))
    return figures.between(known.filter(pl.col("source") == "hindsight"), None, seen.hour.start)


def _target(seen: Sight, kind: TargetKind) -> float | None:
    return next((t.value for t in seen.goals().of(kind) if t.scope is Scope.ACCOUNT), None)


def _headline(seen: Sight, cpc: pl.DataFrame, per: Per, words: str) -> tuple[str, str]:
    under = f"{plain(seen.account.name)} · {words}, {seen.known}"
    inside = figures.share_inside(cpc)
    if inside is not None:
        return f"The cost of a click stayed in its expected band in {share(inside)} of {per}s", under
    cv = figures.cpc_cv(cpc) if per == "hour" else None
    if cv is not None:
        return f"The hourly cost of a click varies by {share(cv)} around its mean", under
    return f"Costs by {per}; there is no plan to compare them with yet", under


def _cpc_title(cpc: pl.DataFrame, cap: float | None, per: Per, currency: str) -> str:
    told = cpc["value"].drop_nulls()
    if not told.len():
        return f"No {per} has enough clicks to tell a cost"
    if cap is not None:
        above = float((told > cap).mean())  # type: ignore[arg-type]
        return f"CPC lay above its cap in {share(above)} of {per}s"
    both = cpc.filter(pl.col("value").is_not_null() & pl.col("expected").is_not_null())
    if not both.height:
        low, high = (number(float(v), 2) for v in (told.to_numpy().min(), told.to_numpy().max()))
        return f"A click cost between {low} and {high} {currency}, {per} by {per}"
    off = float((both["value"] / both["expected"]).log().mean())  # type: ignore[arg-type]
    return f"CPC was {change(off, 1)} against its plan on average"


def _roi_title(roi: pl.DataFrame, target: float | None, per: Per) -> str:
    told = roi.filter(pl.col("value").is_not_null())
    spend = float(told["spend"].sum())
    if not told.height or spend <= 0:
        return f"No {per} has enough clicks to tell an ROI"
    whole = float(told["gmv"].sum()) / spend
    if target is None:
        return f"ROI over these {per}s: {number(whole, 2)}"
    below = float((told["value"] < target).mean())  # type: ignore[arg-type]
    return f"ROI over these {per}s is {number(whole, 2)}, {change(whole / target - 1, 1)} against the target; single {per}s lay below it in {share(below)} of cases, as a pooled target allows"  # fmt: skip


def _figures(cpc: pl.DataFrame, roi: pl.DataFrame, per: Per) -> None:
    actual, plan = figures.cpc_cv(cpc), figures.cpc_cv(cpc, "expected_clicks", "expected_spend")
    best = figures.cpc_cv(cpc, "best_clicks", "best_spend")
    off, away = figures.off_plan(cpc), _elsewhere(cpc)
    table = pl.DataFrame(
        {
            "figure": [f"variation of the CPC by {per}", "spend off its plan", "spend in other hours than hindsight", f"{per}s with CPC in their band", f"{per}s with ROI in their band"],
            "actual": [_two(actual), share(off), share(away), share(figures.share_inside(cpc)), share(figures.share_inside(roi))],
            "plan": [_two(plan), "0 %" if off is not None else NOTHING, NOTHING, share(figures.BAND_SHARE), share(figures.BAND_SHARE)],
            "hindsight": [_two(best), NOTHING, "0 %" if away is not None else NOTHING, NOTHING, NOTHING],
        }
    )  # fmt: skip
    blocks.table(table.filter(pl.col("actual") != NOTHING), _COLUMNS)
    times = f" Here it was {actual / (best or plan):.2f} times that." if actual and (best or plan) else ""  # type: ignore[operator]
    for text in (
        f"Variation = standard deviation over mean, weighted by clicks. The best possible plan varies too, so compare with it.{times}",
        f"Spend off its plan = sum of the distances from the planned spend of each {per}, over the planned spend.",
        "Spend in other hours = share of the spend that hindsight would have moved; known for simulations only.",
        "Bands are made to hold 80 %. Well below that the forecast is too sure of itself, well above it too careful.",
    ):
        st.caption(text)


def _elsewhere(cpc: pl.DataFrame) -> float | None:
    both = cpc.filter(pl.col("best_spend").is_not_null() & pl.col("spend").is_not_null())
    total, best = float(both["spend"].sum()), float(both["best_spend"].sum())
    if total <= 0 or best <= 0:
        return None
    return float((both["spend"] / total - both["best_spend"] / best).abs().sum()) / 2


def _two(value: float | None) -> str:
    return number(value, 2)
