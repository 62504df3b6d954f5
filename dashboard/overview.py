"""Overview: spend against plan, what is left and how long it lasts, targets, and what changed this hour and why."""

from datetime import datetime
from typing import Any

import polars as pl
import streamlit as st

from dashboard import blocks, charts, figures, hour
from dashboard.figures import Money, Sums
from dashboard.final import LATELY, apart, band, begun, final_roi, in_words
from dashboard.session import Sight
from dashboard.words import NOTHING, change, count, money, number, plain, share
from domain.errors import OptimizationError, PredictionError
from domain.goals import Scope, TargetKind
from domain.phases import PromotionCalendar
from engine.ahead import Ahead
from engine.what_if import is_account_roi

_AHEAD = {"start_utc": pl.Datetime("us", "UTC"), "spend": pl.Float64}


def show(seen: Sight) -> None:
    """Draw the page."""
    rows, per = blocks.rows_of(seen)
    if not rows.height:
        blocks.headline(f"No report has been read for {plain(seen.account.name)} yet")
        blocks.empty(
            "Import reports first.",
            "Download them from the ad platform, then run this; the page fills by itself.",
            f"steadybid import FILES --platform {seen.account.platform} --account {seen.account.name}",
        )
        return
    calendar = seen.calendar()
    ahead, trouble = _ahead(seen)
    coming = pl.DataFrame(schema=_AHEAD) if ahead is None else ahead.hours.select("start_utc", "spend")
    reported = seen.kept("budgets", seen.cut, lambda: seen.workspace.reported_budgets(seen.account.name, seen.cut))
    budget = figures.budget_of(seen.goals(), reported, calendar, seen.hour, seen.account.tz)
    past = figures.between(rows, budget.start, budget.end)
    spent = Sums.of(past).spend
    inside = figures.between(coming, budget.start, budget.end)
    if per == "day" and budget.words == "today":
        blocks.headline(_last_day(seen, rows, budget), _under(seen))
    else:
        blocks.headline(_headline(seen, budget, spent, past, inside), _under(seen))
    _cards(seen, rows, budget, spent, inside, ahead)
    if trouble:
        st.info(plain(trouble), icon=":material/info:")
    _charts(seen, rows, per, coming, budget, calendar)
    st.divider()
    hour.show(seen)


def _ahead(seen: Sight) -> tuple[Ahead | None, str]:
    """The rest of the horizon under the saved targets, or why there is none."""
    try:
        study = seen.study()
        return seen.kept("ahead", seen.hour.start, lambda: study.ahead(seen.goals())), ""
    except (PredictionError, OptimizationError) as error:
        return None, f"There is no outlook for the rest: {error}"


def _under(seen: Sight) -> str:
    return f"{plain(seen.account.name)} · {seen.known} ({plain(seen.account.timezone)})"


def _last_day(seen: Sight, rows: pl.DataFrame, budget: Money) -> str:
    """Accounts that report days know nothing of today: what the newest report tells."""
    day = rows.filter(pl.col("spend").is_not_null()).tail(1).row(0, named=True)
    of = f" of {number(budget.amount, 0)}" if budget.amount is not None else ""
    return f"{day['when']}, the newest report: {money(day['spend'], seen.currency, 0)} spent{of}"


def _headline(seen: Sight, budget: Money, spent: float, past: pl.DataFrame, coming: pl.DataFrame) -> str:
    cash, now = seen.currency, seen.hour.start
    if budget.amount is None:
        on = "today" if budget.words == "today" else f"on {budget.words}"
        return f"{money(spent, cash, 0)} spent {on}; no budget is set"
    used = spent / budget.amount
    if now >= budget.end:
        return f"{budget.words.capitalize()} is over: {share(used)} of its budget was spent"
    end = figures.run_out(budget.amount - spent, coming, budget.end)
    gone = (now - budget.start) / (budget.end - budget.start)
    if end is not None:
        return f"The budget for {budget.words} will be used up by {seen.when(end)}"
    if spent <= 0:
        return f"The budget for {budget.words} is untouched"
    how = f"{share(used)} of the budget after {share(gone)} of {_span_words(budget)}"
    planned = float(past["expected_spend"].sum())
    if planned <= 0:
        return f"{how} is spent"
    off = spent / planned - 1
    lead = (
        "Spend is on plan" if abs(off) < 0.03 else f"Spend is {share(abs(off))} {'above' if off > 0 else 'below'} plan"
    )
    return f"{lead}: {how}"


def _span_words(budget: Money) -> str:
    return "the day" if budget.words == "today" else "the time"


def _cards(
    seen: Sight, rows: pl.DataFrame, budget: Money, spent: float, coming: pl.DataFrame, ahead: Ahead | None
) -> None:
    cash = seen.currency
    promotion = budget.words != "today"
    span = "so far" if promotion else f"last {LATELY.days} days"
    bought = Sums.of(figures.between(rows, budget.start if promotion else seen.hour.start - LATELY, None))
    items: list[tuple[str, str, str, str]] = [_left(seen, budget, spent, coming)]
    items.append(_roi(seen, span, bought, ahead, over=promotion and seen.hour.start >= budget.end))
    decision = seen.decision()
    cap = _target(seen, TargetKind.CPC)
    recent = figures.between(rows, seen.hour.plus(-24).start, None)
    plan_cpc = _ratio(float(recent["expected_spend"].sum()), float(recent["expected_clicks"].sum()))
    cpc = bought.cpc
    if cap is not None and cpc is not None:
        off = cpc / cap - 1
        items.append((f"CPC {span}", money(cpc, cash, 2), f"{change(off, 1)} against the cap of {number(cap, 2)}", "good" if off <= 0.005 else "bad"))  # fmt: skip
    else:
        day = Sums.of(recent).cpc
        off = day / plan_cpc - 1 if day is not None and plan_cpc is not None else None
        note = f"last 24 h: {number(day, 2)}" + (f", {change(off)} against plan" if off is not None else "")
        items.append((f"CPC {span}", money(cpc, cash, 2), note, "plain"))
    items.append((f"Sales {span}, as reported", money(bought.gmv, cash, 0), f"{number(bought.orders, 0)} orders, {number(bought.clicks, 0)} clicks", "plain"))  # fmt: skip
    if decision is not None and seen.decisions["expected_spend"][0] is not None:
        first = seen.decisions.row(0, named=True)
        note = f"{number(first['expected_clicks'], 0)} clicks, {number(first['expected_orders'], 1)} orders expected"
        items.append((f"Planned for {seen.local(first['hour']):%H:%M}–{seen.local(first['hour']).hour + 1:02d}:00", money(first["expected_spend"], cash, 0), note, "plain"))  # fmt: skip
    blocks.cards(items)


def _left(seen: Sight, budget: Money, spent: float, coming: pl.DataFrame) -> tuple[str, str, str, str]:
    cash = seen.currency
    if budget.amount is None:
        return "Budget", NOTHING, "set one on the Targets page", "plain"
    left = budget.amount - spent
    label = "Budget left" + (" today" if budget.words == "today" else "")
    if seen.hour.start >= budget.end:
        return label, money(left, cash, 0), f"of {number(budget.amount, 0)} {cash}; the time for it is over", "plain"
    of = f"of {number(budget.amount, 0)}"
    if not coming.height:
        return label, money(left, cash, 0), of, "plain"
    end = figures.run_out(left, coming, budget.end)
    if end is not None:
        return label, money(left, cash, 0), f"{of}; runs out {seen.when(end)}", "bad"
    over = max(0.0, left - float(coming["spend"].sum()))
    ends = "the plan uses all of it" if over < 0.005 * budget.amount else f"about {number(over, 0)} will be left over"
    return label, money(left, cash, 0), f"{of}; it lasts, and {ends}", "plain"


def _roi(seen: Sight, span: str, bought: Sums, ahead: Ahead | None, *, over: bool) -> tuple[str, str, str, str]:
    """Estimated final ROI against its target, and what reports say by now; as reported where nothing can be estimated."""
    final = final_roi(seen, begun(seen, seen.calendar())).get("account")
    roi = bought.roi if final is None else float(final["roi"])
    target = _target(seen, TargetKind.ROI)
    if final is not None and target is None and apart(final):  # nobody asks what a target would count
        return (
            f"ROI {span}, as reported",
            number(bought.roi, 2),
            f"no ROI target is set\nfinal {band(final)} (80 %)",
            "plain",
        )
    kind = "" if final is None else ", for targets" if apart(final) else ", estimated final"
    told = "" if final is None else f"\n{in_words(final)}"
    if target is None:
        return f"ROI {span}{kind}", number(roi, 2), f"no ROI target is set{told}", "plain"
    ends = None if ahead is None else next((r.reached for r in ahead.rows if is_account_roi(r.target)), None)
    toward = f" · plan ends at {number(ends, 2)}" if ends is not None and not over else ""
    off = None if roi is None else roi / target - 1
    mood = "plain" if off is None else "good" if off >= -0.005 else "bad"
    return (
        f"ROI {span}{kind}",
        number(roi, 2),
        f"{change(off, 1)} against the target of {number(target, 2)}{toward}{told}",
        mood,
    )


def _target(seen: Sight, kind: TargetKind) -> float | None:
    """Value of the account's own target of a kind."""
    return next((t.value for t in seen.goals().of(kind) if t.scope is Scope.ACCOUNT), None)


def _ratio(top: float, below: float) -> float | None:
    return top / below if below > 0 else None


# -- charts -------------------------------------------------------------------------------------------------------


def _charts(
    seen: Sight,
    rows: pl.DataFrame,
    per: figures.Per,
    coming: pl.DataFrame,
    budget: Money,
    calendar: PromotionCalendar,
) -> None:
    start, end, words = blocks.span(seen, calendar, per, "overview")
    tz, cash = seen.account.tz, seen.currency
    future = coming if per == "hour" else _by_day(coming, tz)
    both = pl.concat(
        [
            rows.select("start_utc", "spend", pl.col("expected_spend").alias("planned")),
            future.select("start_utc", pl.col("spend").alias("ahead")),
        ],
        how="diagonal",
    )
    view = figures.on_clock(figures.between(both, start, end).sort("start_utc"), tz, per)
    bands = figures.phase_bands(calendar, tz, view)
    past = figures.between(rows, start, end)
    off = figures.off_plan(past)
    title = (
        f"Spend stayed within {share(off)} of its hourly plan on average" if off is not None else f"Spend over {words}"
    )
    promo = blocks.running(calendar, seen)
    left, right = st.columns([3, 2] if promo else [1, 1])
    with left:
        blocks.chart(title, charts.spend_by_time(view, bands, cash), "" if off is not None else "No hour of it was decided by SteadyBid, so there is no plan to compare with.")  # fmt: skip
    with right:
        if promo:
            table = figures.by_phase(rows, coming, calendar, seen.hour)
            blocks.chart(_phases_title(table), charts.phases_spent(table, cash), _phases_words(table))
        else:
            blocks.chart(*_campaigns(seen, start, end))
    if budget.words != "today":
        line = figures.on_clock(
            figures.so_far(rows, figures.between(coming, None, budget.end), budget.start), tz, "hour"
        )
        last = line["ahead"].drop_nulls()
        total = float(last[-1]) if last.len() else None
        what = f"Planned to end at {money(total, cash, 0)}" if total is not None and coming.height and seen.hour.start < budget.end else f"{money(_last(line, 'spent'), cash, 0)} were spent"  # fmt: skip
        of = f" of {money(budget.amount, cash, 0)}" if budget.amount else ""
        blocks.chart(f"{what}{of}", charts.budget_so_far(line, figures.phase_bands(calendar, tz, line), budget.amount, cash))  # fmt: skip


def _last(rows: pl.DataFrame, column: str) -> float:
    told = rows[column].drop_nulls()
    return float(told[-1]) if told.len() else 0.0


def _by_day(coming: pl.DataFrame, tz: object) -> pl.DataFrame:
    local = pl.col("start_utc").dt.convert_time_zone(str(tz)).dt.truncate("1d")
    return (
        coming.group_by(local.dt.convert_time_zone("UTC").alias("start_utc"))
        .agg(pl.col("spend").sum())
        .sort("start_utc")
    )


def _phases_title(table: pl.DataFrame) -> str:
    started = table.filter(pl.col("state") != "to come")
    over = started.filter((pl.col("state") == "over") & (pl.col("plan") > 0))
    if not over.height:
        return "No phase is over yet"
    worst = over.with_columns((pl.col("spent") / pl.col("plan") - 1).alias("off")).sort(pl.col("off").abs())[-1]
    name, off = worst["phase"][0], worst["off"][0]
    return f"Finished phases ended within {share(abs(off))} of their plan" if abs(off) < 0.1 else f"Phase {plain(name)} ended {change(off)} against its plan"  # fmt: skip


def _phases_words(table: pl.DataFrame) -> str:
    running = table.filter(pl.col("state") == "running")
    budgets = "Plan = the phase's budget where it has one, else what the hours planned." if table["budget"].count() else "Plan = what was planned hour by hour, and the present plan ahead."  # fmt: skip
    return (f"Now: {plain(running['phase'][0])}. " if running.height else "") + budgets


def _campaigns(seen: Sight, start: datetime | None, end: datetime | None) -> tuple[str, Any, str]:
    series = seen.kept("campaigns", seen.cut, lambda: seen.views.series(seen.account.name, by="campaign", at=seen.cut))
    table = figures.between(series, start, end).group_by("campaign").agg(pl.col("spend").sum(), pl.col("gmv").sum())
    top = table.sort("spend", descending=True).head(8).with_row_index("position")
    total = float(table["spend"].sum())
    few = share(float(top["spend"].head(2).sum()) / total) if total > 0 else NOTHING
    title = (
        f"Two of {count(table.height, 'campaign')} take {few} of the spend" if table.height > 2 else "Spend by campaign"
    )
    return title, charts.campaigns_spent(top, seen.currency), "The largest eight, with what they sold."
