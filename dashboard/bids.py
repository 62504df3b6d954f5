"""Bids: every unit of the hour's plan, what is expected of it, why, and who holds it."""

from typing import Any

import polars as pl
import streamlit as st

from dashboard import answers, blocks, charts, figures
from dashboard.reasons import with_reasons
from dashboard.session import Sight
from dashboard.words import NOTHING, count, formula_safe, money, number, plain
from domain.errors import PredictionError
from domain.plans import Action, BidPlan, Decision, DecisionState

_ACTIONS = {
    Action.SET: "new bid",
    Action.KEEP: "keep",
    Action.PAUSE: "pause",
    Action.HOLD: "hold",
    Action.BID_UNKNOWN: "bid unknown",
}
#: Choice beside the actions: units that somebody holds.
_BY_PERSONS = "held by a person"
_ORDERS = {
    "largest spend first": ("spend", True),
    "largest change first": ("size", True),
    "largest rise first": ("change", True),
    "largest cut first": ("change", False),
    "most sales first": ("gmv", True),
    "unit": ("unit_id", False),
}
#: Columns of the file that can be downloaded.
_CSV = (
    "unit_id", "campaign", "what", "live_bid_cpc", "bid_cpc", "click_value", "theta", "evidence_clicks",
    "spend", "clicks", "orders", "gmv", "limit", "held_by", "reason",
)  # fmt: skip
_BECAME = {
    DecisionState.OPEN: "is stored and on its way out",
    DecisionState.AWAITING: "waits for a person",
    DecisionState.PUBLISHED: "was sent",
    DecisionState.SHADOW: "is stored and was not sent",
    DecisionState.EXPIRED: "expired: nobody approved it in time, so nothing was sent",
}


def show(seen: Sight) -> None:
    """Draw the page."""
    decision = seen.decision()
    plan = decision.plan if decision is not None else _preview(seen)
    if plan is None or not plan.units.height:
        return
    units = with_reasons(seen, plan).with_columns(
        (100 * (pl.col("bid_cpc") / pl.col("live_bid_cpc") - 1)).alias("change"),
        pl.col("action").cast(pl.String).replace_strict({k.value: v for k, v in _ACTIONS.items()}).alias("what"),
    )
    units = units.with_columns((pl.col("bid_cpc") / pl.col("live_bid_cpc")).log().abs().alias("size"))
    units = units.join(_held(seen, plan), on="unit_id", how="left", maintain_order="left")
    blocks.headline(*_headline(seen, plan, decision, units))
    if decision is None:
        st.info("A preview: nothing of this is stored or sent. Nothing has been decided for this account yet.", icon=":material/visibility:")  # fmt: skip
    if decision is not None and decision.state is DecisionState.AWAITING:
        answers.to_plan(seen, decision)
    _table(seen, plan, decision, units)


def _held(seen: Sight, plan: BidPlan) -> pl.DataFrame:
    """Who holds a unit of the plan: ``unit_id``, ``held_by``, and ``once`` where it is for this hour's plan only."""
    held = seen.workspace.held_units(seen.account.name, plan.hour, known_at=seen.cut)
    return held.select("unit_id", pl.col("author").alias("held_by"), pl.col("hour").is_not_null().alias("once"))


def _preview(seen: Sight) -> BidPlan | None:
    """What would be decided, where nothing is stored yet."""
    try:
        made = seen.preview()
    except PredictionError as error:
        blocks.headline("There are no bids to show yet")
        blocks.empty("No plan can be made.", str(error))
        return None
    if not made.plan.units.height:
        blocks.headline("There are no bids to show yet")
        blocks.empty(
            "No unit of this account is known.",
            "Import a targeting report or a bulk sheet first:",
            f"steadybid import FILES --platform {seen.account.platform} --account {seen.account.name}",
        )
        return None
    return made.plan


def _headline(seen: Sight, plan: BidPlan, decision: Decision | None, units: pl.DataFrame) -> tuple[str, str]:
    n = dict(units["what"].value_counts().iter_rows())
    moved = int(n.get("new bid", 0)) + int(n.get("pause", 0))
    unknown = int(n.get("bid unknown", 0))
    state = "would be decided" if decision is None else _became(seen, decision)
    under = f"{plain(seen.account.name)} · plan for {seen.when(plan.hour.start)}, {state} · {plain(plan.reason)}"
    if unknown and not moved:
        return f"{count(unknown, 'bid')} advised; the live bids are unknown, so none can be sent", under
    rest = ", ".join(f"{v:,} {k}" for k, v in sorted(n.items()) if k not in ("new bid", "pause"))
    return f"{moved:,} of {count(units.height, 'bid')} change" + (f" ({rest})" if rest else ""), under


def _became(seen: Sight, decision: Decision) -> str:
    row = seen.decisions.filter(pl.col("hour") == decision.hour.start).row(0, named=True)
    by = str(row["claimed_by"] or "")
    if decision.state is DecisionState.SHADOW and by.startswith("held by"):
        return f"is {plain(by)}: nothing of it was sent"
    return _BECAME[decision.state]


def _table(seen: Sight, plan: BidPlan, decision: Decision | None, units: pl.DataFrame) -> None:
    search, campaign, action, order = st.columns([3, 2, 2, 2])
    wanted = search.text_input("Search", placeholder="unit, campaign or reason", key="search").strip()
    campaigns = units["campaign"].drop_nulls().unique().sort().to_list()
    one = campaign.selectbox("Campaign", [None, *campaigns], format_func=lambda c: "all" if c is None else c)
    kinds = [*sorted(units["what"].unique()), *([_BY_PERSONS] if units["held_by"].count() else [])]
    what = action.selectbox("What happens", [None, *kinds], format_func=lambda a: a or "all")
    by, down = _ORDERS[order.selectbox("Order", list(_ORDERS))]
    rows = units
    if wanted:
        hit = [pl.col(c).fill_null("").str.to_lowercase().str.contains(wanted.lower(), literal=True) for c in ("unit_id", "campaign", "reason")]  # fmt: skip
        rows = rows.filter(pl.any_horizontal(hit))
    if one is not None:
        rows = rows.filter(pl.col("campaign") == one)
    if what is not None:
        rows = rows.filter(pl.col("held_by").is_not_null() if what == _BY_PERSONS else pl.col("what") == what)
    rows = rows.sort(by, descending=down, nulls_last=True)
    if not rows.height:
        st.caption("No unit fits. Clear the search or choose another campaign.")
        return
    shown = _columns(seen)
    if not units["held_by"].count():
        del shown["held_by"]
    picked = st.dataframe(
        rows.select(list(shown)),
        column_config=shown,
        hide_index=True,
        width="stretch",
        height=min(600, 38 + 35 * rows.height),
        on_select="rerun",
        selection_mode="multi-row",
        key=f"units-{seen.account.name}-{plan.hour}",
        placeholder=NOTHING,
    )
    chosen = picked["selection"]["rows"] if isinstance(picked, dict) else []
    _download(seen, plan, rows)
    chosen = [row for row in chosen if row < rows.height]
    if not chosen:
        st.caption(f"{count(rows.height, 'unit')}. Select a row to see one unit in full, with the history of its bids; select rows to hold, release or approve them.")  # fmt: skip
        return
    answers.to_units(seen, decision, rows[chosen])
    if len(chosen) == 1:
        _unit(seen, rows.row(chosen[0], named=True))


def _columns(seen: Sight) -> dict[str, Any]:
    """Columns of the table, narrow enough that the reason is in sight."""
    text, figure = st.column_config.TextColumn, st.column_config.NumberColumn
    expected = "Expected in the hour."
    return {
        "campaign": text("campaign", width=105),
        "unit": text("unit", width=190, help="Its name below the campaign."),
        "what": text("action", width=90),
        "live_bid_cpc": figure("live bid", format="%.2f", width=70, help=f"Bid in force, {seen.currency} per click."),
        "bid_cpc": figure("bid", format="%.2f", width=60),
        "change": figure("change", format="%+.0f %%", width=70),
        "spend": figure("spend", format="%.2f", width=75, help=expected),
        "gmv": figure("gmv", format="%.2f", width=80, help="Expected of these clicks, sooner or later."),
        "held_by": text("held by", width=90, help="Who keeps its live bid from being changed."),
        "why": text("why", width=900, help="Select a row to read it in full."),
    }


def _download(seen: Sight, plan: BidPlan, rows: pl.DataFrame) -> None:
    """The table as CSV, with texts that no spreadsheet takes for a formula."""

    def make() -> bytes:
        texts = [c for c in _CSV if rows.schema[c] == pl.String]
        safe = rows.select(_CSV).with_columns(formula_safe(c) for c in texts)
        return b"\xef\xbb\xbf" + safe.write_csv().encode()

    stamp = seen.local(plan.hour.start).strftime("%Y%m%dT%H%M")
    st.download_button("Download these rows (CSV)", make, f"bids-{seen.account.name}-{stamp}.csv", "text/csv", icon=":material/download:", on_click="ignore")  # fmt: skip


def _unit(seen: Sight, unit: dict[str, object]) -> None:
    cash = seen.currency
    with st.container(border=True):
        st.markdown(f"**{plain(unit['unit_id'])}** in {plain(unit['campaign'])}")
        st.write(plain(unit["reason"]))
        bands = [
            f"{what} {number(_float(unit[what]), 2)} ({number(_float(unit[f'{what}_low']), 2)} to {number(_float(unit[f'{what}_high']), 2)})"
            for what in ("clicks", "spend", "orders", "gmv")
        ]
        st.caption(f"Expected in the hour, with 80 % bands: {'; '.join(bands)}. A click is worth {money(_float(unit['click_value']), cash, 2)}, judged by {number(_float(unit['evidence_clicks']), 0)} clicks seen.")  # fmt: skip
        history = _history(seen, str(unit["unit_id"]))
        if history.height > 1:
            blocks.chart("Bids of this unit, and what its clicks cost", charts.bid_history(history, cash))


def _history(seen: Sight, unit: str) -> pl.DataFrame:
    rows = seen.views.unit_history(seen.account.name, unit, end=seen.hour.start, at=seen.cut)
    rows = rows.filter(pl.col("grain") == "hour") if (rows["grain"] == "hour").any() else rows
    per: figures.Per = "hour" if (rows["grain"] == "hour").any() else "day"
    cpc = pl.when(pl.col("clicks") > 0).then(pl.col("spend") / pl.col("clicks"))
    return figures.on_clock(rows.with_columns(cpc.alias("cpc"), pl.col("bid_cpc").alias("bid")), seen.account.tz, per)


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
