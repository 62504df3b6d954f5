"""Merchant: one page in plain words. What was spent, what it sold, what is left, what the system did, did it help."""

from datetime import datetime

import polars as pl
import streamlit as st

from dashboard import blocks, charts, figures
from dashboard.figures import Per, Sums
from dashboard.session import Sight
from dashboard.words import NOTHING, change, count, money, number, plain, share
from data.kept import references
from domain.account import Mode
from domain.errors import PredictionError
from domain.goals import Scope, TargetKind
from domain.phases import PromotionCalendar
from domain.plans import DecisionState
from engine.new_customers import new_customers
from predictors.margins import learn_margins


def show(seen: Sight) -> None:
    """Draw the page."""
    rows, per = blocks.rows_of(seen)
    if not rows["spend"].count():
        blocks.headline("There is nothing to tell yet")
        blocks.empty(
            "No report has been read for this account.",
            "Ask whoever runs SteadyBid to import the reports of the ad platform:",
            f"steadybid import FILES --platform {seen.account.platform} --account {seen.account.name}",
        )
        return
    place = st.container()
    calendar = seen.calendar()
    start, end, words = blocks.span(seen, calendar, per, "merchant")
    view = figures.between(rows, start, end).filter(pl.col("spend").is_not_null())
    sums = Sums.of(view)
    margin, known = _margin(seen)
    with place:
        _headline(seen, sums, margin, words)
        _cards(seen, sums, margin)
    if not known:
        _ask_margin(seen)
    _to_come(seen, sums, start, end)
    _new_customers(seen)
    if margin is not None and view.height:
        days = _days(view, seen, margin)
        won = int((days["profit"] > 0).sum())
        title = f"Ads earned more than they cost on {won} of {count(days.height, 'day')}"
        blocks.chart(title, charts.profit_by_day(days, seen.currency), "Profit after ads = sales from ads × margin − spend on ads, as reported so far.")  # fmt: skip
    did, helped = st.columns(2, gap="large")
    with did:
        st.subheader("What SteadyBid did")
        _did(seen, start, end)
    with helped:
        st.subheader("Did it help?")
        _helped(seen, rows, per, calendar, start, end)


# -- money --------------------------------------------------------------------------------------------------------


def _margin(seen: Sight) -> tuple[float | None, bool]:
    """Share of the price that is left before ads, and whether the catalog tells it."""
    units = seen.kept("units", seen.cut, lambda: seen.workspace.units(seen.account.name, seen.cut))
    margins = seen.kept("margins", seen.cut, lambda: learn_margins(units)).rate
    if margins is not None:  # units that nobody spoke of take their category's
        sales = seen.kept("by campaign", seen.cut, lambda: seen.views.series(seen.account.name, by="campaign", at=seen.cut))  # fmt: skip
        weight = sales.group_by("campaign").agg(pl.col("gmv").sum())
        rates = (
            units.select("campaign", pl.Series("rate", margins.mean)).group_by("campaign").agg(pl.col("rate").mean())
        )
        both = rates.join(weight, on="campaign", how="left").with_columns(pl.col("gmv").fill_null(0.0))
        rate, gmv = both["rate"].to_numpy(), both["gmv"].to_numpy()
        return float(rate @ gmv / gmv.sum()) if gmv.sum() > 0 else float(rate.mean()), True
    return st.session_state.get(f"margin-{seen.account.name}"), False


def _ask_margin(seen: Sight) -> None:
    key = f"margin-{seen.account.name}"
    with st.container(border=True):
        left, right = st.columns([3, 1])
        left.write("**What is left of a sale before ads?** No catalog tells the margin, so profit cannot be worked out. Type a margin to try one, or import a catalog with the column margin_rate.")  # fmt: skip
        given = right.number_input("Margin, % of sales", 1.0, 99.0, value=_percent(st.session_state.get(key)), step=1.0, key=f"{key}-input", placeholder="for example 40")  # fmt: skip
        rate = None if given is None else given / 100
        if rate != st.session_state.get(key):
            st.session_state[key] = rate
            st.rerun()


def _percent(rate: float | None) -> float | None:
    return None if rate is None else 100 * rate


def _headline(seen: Sight, sums: Sums, margin: float | None, words: str) -> None:
    cash = seen.currency
    under = f"{plain(seen.account.name)} · {words}, {seen.known}"
    if sums.spend <= 0:
        blocks.headline("Nothing was spent on ads", under)
    elif margin is None:
        blocks.headline(f"Ads sold {money(sums.gmv, cash, 0)} for {money(sums.spend, cash, 0)}", under)
    else:
        profit = sums.gmv * margin - sums.spend
        verb = "earned" if profit >= 0 else "lost"
        blocks.headline(f"Ads {verb} {money(abs(profit), cash, 0)} after all they cost", under)


def _cards(seen: Sight, sums: Sums, margin: float | None) -> None:
    cash, roi = seen.currency, sums.roi
    items: list[tuple[str, str, str, str]] = [
        ("Spent on ads", money(sums.spend, cash, 0), f"{count(round(sums.clicks), 'click')} at {money(sums.cpc, cash, 2)} each", "plain"),
        ("Sales from ads", money(sums.gmv, cash, 0), f"{count(round(sums.orders), 'order')}, {money(sums.gmv / sums.orders if sums.orders else None, cash, 2)} each", "plain"),
    ]  # fmt: skip
    if margin is None:
        items.append(("Profit after ads", NOTHING, "tell the margin to see it", "plain"))
        items.append(
            ("For each 1.00 spent", number(roi, 2), "came back in sales; break-even needs the margin", "plain")
        )
    else:
        profit, even = sums.gmv * margin - sums.spend, 1 / margin
        items.append(("Profit after ads", money(profit, cash, 0), f"at a margin of {share(margin)}", "good" if profit >= 0 else "bad"))  # fmt: skip
        mood = "plain" if roi is None else "good" if roi >= even else "bad"
        items.append(("For each 1.00 spent", number(roi, 2), f"came back in sales; break-even is {number(even, 2)}", mood))  # fmt: skip
    blocks.cards(items)


def _to_come(seen: Sight, sums: Sums, start: datetime | None, end: datetime | None) -> None:
    """Orders that shoppers who clicked already will still place."""
    try:
        study = seen.study()
        final = Sums.of(figures.between(seen.kept("matured", seen.hour.start, study.matured), start, end))
    except PredictionError:
        return
    more = final.gmv - sums.gmv
    if sums.gmv > 0 and more > 0.01 * sums.gmv:
        st.info(f"About {money(more, seen.currency, 0)} more is likely to come from clicks that are paid already: some shoppers order hours or days later.", icon=":material/schedule:")  # fmt: skip


def _new_customers(seen: Sight) -> None:
    """Who orders, where reports tell it."""
    found = seen.kept("new customers", seen.cut, lambda: new_customers(seen.workspace, seen.account.name, seen.cut))
    if found.account is None:
        return
    rate, low, high = (float(v[0]) for v in (found.account.mean, found.account.low, found.account.high))
    told = f"{number(found.account.evidence[0], 0)} orders of which reports tell it"
    words = f"**{share(rate)} of the orders came from new customers** (80 % band {share(low)} to {share(high)}, from {told})"
    some = found.campaigns.filter(pl.col("high") - pl.col("low") < 0.3).sort("rate")
    if some.height > 1 and some["low"][-1] > some["high"][0]:
        most, least = some.row(-1, named=True), some.row(0, named=True)
        words += f": most in {plain(most['campaign'])} ({share(most['rate'])}), fewest in {plain(least['campaign'])} ({share(least['rate'])})"
    st.info(f"{words}.", icon=":material/person_add:")


def _days(view: pl.DataFrame, seen: Sight, margin: float) -> pl.DataFrame:
    local = pl.col("start_utc").dt.convert_time_zone(seen.account.timezone).dt.date()
    days = view.group_by(local.alias("day")).agg(pl.col("spend").sum(), pl.col("gmv").sum()).sort("day")
    return days.with_columns(
        (pl.col("gmv") * margin - pl.col("spend")).alias("profit"), pl.col("day").dt.strftime("%-d %b").alias("when")
    )


# -- what happened ------------------------------------------------------------------------------------------------


def _did(seen: Sight, start: datetime | None, end: datetime | None) -> None:
    made = seen.decisions
    if start is not None:
        made = made.filter(pl.col("hour") >= start)
    if end is not None:
        made = made.filter(pl.col("hour") < end)
    if not made.height:
        st.write("Nothing yet: no hour was decided in this time. SteadyBid starts in shadow mode, in which it decides and sends nothing.")  # fmt: skip
        return
    sent = made.filter(pl.col("state") == DecisionState.PUBLISHED.value)
    moves = int((sent["units_set"] + sent["units_pause"]).sum())
    lines = [f"It looked at the account every hour: **{count(made.height, 'decision')}**."]
    if sent.height:
        lines.append(f"It sent **{count(moves, 'change')} of bids** in {count(sent.height, 'hour')}, and left a bid alone {int(sent['units_keep'].sum()):,} times.")  # fmt: skip
    unsent = made.height - sent.height
    if unsent:
        lines.append(f"In {count(unsent, 'hour')} it decided and sent nothing{' (shadow mode)' if seen.account.mode is Mode.SHADOW else ''}.")  # fmt: skip
    held = int(made["units_hold"].sum())
    if held:
        lines.append(f"It kept its hands off {count(held, 'bid')} because it may not or should not decide on them.")
    binding = made["status"].value_counts(sort=True)
    lines.append(f"What held spending back most often: **{_STATUS.get(str(binding['status'][0]), plain(binding['status'][0]))}**.")  # fmt: skip
    for line in lines:
        st.markdown(f"- {line}")


_STATUS = {
    "slack": "nothing, every click was worth its price",
    "budget_binds": "the budget",
    "roi_binds": "the return that you asked for",
    "cpc_binds": "the cap on the cost of a click",
    "cpa_binds": "the cap on the cost of an order",
    "both_tight": "budget and return at once",
    "starved": "targets that leave almost nothing to buy",
    "unreachable": "targets that could not be met",
}


def _helped(
    seen: Sight,
    rows: pl.DataFrame,
    per: Per,
    calendar: PromotionCalendar,
    start: datetime | None,
    end: datetime | None,
) -> None:
    others = seen.kept("references", None, lambda: references(seen.workspace, seen.account.name))
    if others.height:
        last = seen.hour.start if end is None else min(end, seen.hour.start)
        _against_others(seen, figures.between(others, start, last))
        return
    sent = seen.decisions.filter(pl.col("state") == DecisionState.PUBLISHED.value)
    if not sent.height:
        st.write("It cannot be told yet: nothing that SteadyBid decided has been sent, so the ads ran as they would have anyway.")  # fmt: skip
        return
    _before_and_after(seen, rows, sent["hour"].min(), per)  # type: ignore[arg-type]


#: A return this much below its target, as a share, misses it.
_MISSED = 0.01
_NAMES = {"steadybid": "SteadyBid", "static": "bids left alone", "manual": "a trader's ±10 % rules", "pid": "a spend controller", "hindsight": "the best possible"}  # fmt: skip


def _against_others(seen: Sight, others: pl.DataFrame) -> None:
    """A simulation knows what other policies would have come to with the very same shoppers."""
    sums = others.group_by("source").agg(pl.col("spend").sum(), pl.col("gmv").sum()).filter(pl.col("spend") > 0)
    totals = {s: (spend, gmv) for s, spend, gmv in sums.select("source", "spend", "gmv").iter_rows()}
    if "steadybid" not in totals:
        st.write("There is nothing to compare with yet.")
        return
    spend, gmv = totals["steadybid"]
    words: list[str] = []
    if "static" in totals:
        s_spend, s_gmv = totals["static"]
        better = gmv / spend >= s_gmv / s_spend and gmv >= s_gmv
        lead = "**Yes.** " if better else ""
        words.append(f"{lead}With bids left alone, the same shoppers would have bought {money(s_gmv, seen.currency, 0)} for {money(s_spend, seen.currency, 0)} of ads. With SteadyBid they bought {money(gmv, seen.currency, 0)} ({change(gmv / s_gmv - 1)}) for {money(spend, seen.currency, 0)} ({change(spend / s_spend - 1)}).")  # fmt: skip
    if "hindsight" in totals:
        words.append(f"That is {share(gmv / totals['hindsight'][1])} of what could have been sold knowing everything in advance, under the same budget and target.")  # fmt: skip
    for text in words:
        st.markdown(text)
    table = pl.DataFrame(
        {
            "who": [_NAMES.get(s, s) for s in totals],
            "sales": [g for _, g in totals.values()],
            "spend": [c for c, _ in totals.values()],
            "return": [g / c for c, g in totals.values()],
        }
    ).sort("sales", descending=True)
    asked = next((t.value for t in seen.goals().of(TargetKind.ROI) if t.scope is Scope.ACCOUNT), None)
    if asked is not None:
        short = [1 - r / asked for r in table["return"]]
        table = table.with_columns(target=pl.Series([f"missed by {share(s)}" if s >= _MISSED else "kept" for s in short]))  # fmt: skip
    figure = st.column_config.NumberColumn
    blocks.table(
        table,
        {
            "who": st.column_config.TextColumn("who bids", width=135),
            "sales": figure(
                f"sales, {seen.currency}",
                format="%,.0f",
                width=80,
                help="Final: with every order that the clicks will bring.",
            ),
            "spend": figure(f"spend, {seen.currency}", format="%,.0f", width=80),
            "return": figure("per 1.00", format="%.2f", width=60, help="Sales per 1.00 spent."),
            "target": st.column_config.TextColumn(
                f"target of {number(asked, 2)}", width=105, help="Whether the ROI that you asked for was kept."
            ),
        },
    )
    st.caption("Only a simulation can tell this: it replays the same days for each. Sales count every order that the clicks will bring.")  # fmt: skip


def _before_and_after(seen: Sight, rows: pl.DataFrame, first: datetime, per: Per) -> None:
    told = rows.filter(pl.col("spend").is_not_null())
    before = told.filter(pl.col("start_utc") < first)
    after = told.filter(pl.col("start_utc") >= first)
    if not before.height or not after.height:
        st.write("It cannot be told yet: there is no time before and after the first change to compare.")
        return
    old, new = Sums.of(before), Sums.of(after)
    unit = 24 if per == "hour" else 1
    days = (before.height / unit, after.height / unit)
    table = pl.DataFrame(
        {
            "figure": ["sales per day", "spend per day", "sales per 1.00 spent", "cost of a click"],
            "before": [old.gmv / days[0], old.spend / days[0], old.roi, old.cpc],
            "since": [new.gmv / days[1], new.spend / days[1], new.roi, new.cpc],
        }
    )
    st.write(f"Since {seen.when(first)}, when the first change was sent, against the time before:")
    blocks.table(
        table,
        {
            "figure": st.column_config.TextColumn("figure"),
            "before": st.column_config.NumberColumn("before", format="%,.2f"),
            "since": st.column_config.NumberColumn("since", format="%,.2f"),
        },
    )
    st.caption("This does not prove that SteadyBid made the difference: season, prices and rivals change too.")
