"""What changed in the newest hour, and why: the lower half of the overview."""

import polars as pl
import streamlit as st

from dashboard import blocks
from dashboard.reasons import with_reasons
from dashboard.session import Sight
from dashboard.words import count, number, plain, share
from domain.plans import BidPlan, Decision


def show(seen: Sight) -> None:
    """Draw the newest decision: how many bids changed, which targets shaped them, the largest changes."""
    decision = seen.decision()
    if decision is None:
        st.subheader("Nothing has been decided yet")
        blocks.empty(
            "SteadyBid has not decided an hour of this account.",
            "Look at what it would do on the Bids page, or let it decide the present hour (shadow mode sends nothing):",
            f"steadybid run-hour --account {seen.account.name}",
        )
        return
    plan = decision.plan
    row = seen.decisions.row(0, named=True)
    st.subheader(f"What changed at {seen.when(decision.hour.start)}, and why")
    changed, kept = row["units_set"] + row["units_pause"], row["units_keep"]
    held = row["units_hold"] + row["units_bid_unknown"]
    st.write(
        f"**{count(changed, 'bid')} changed**, {kept:,} kept, {held:,} held or unknown: {plain(plan.reason)}."
        + _theta_words(seen, plan)
    )
    left, right = st.columns([2, 3])
    with left:
        _rows(plan)
    with right:
        _changes(seen, decision)


def _theta_words(seen: Sight, plan: BidPlan) -> str:
    """How the price of money moved since the hour before."""
    if plan.targets is None or seen.decisions.height < 2:
        return ""
    before = seen.kept(
        "planned", plan.hour.start, lambda: seen.workspace.journal(seen.account.name).planned(plan.hour, 1)
    )
    old = before.filter(pl.col("group") == "account")["theta"].to_list()
    new = plan.targets.planned().filter(pl.col("group") == "account")["theta"].to_list()
    if not old or not new or not (0 < old[-1] < float("inf") and 0 < new[-1] < float("inf")):
        return ""
    step = new[-1] / old[-1] - 1
    moved = "stayed" if abs(step) < 0.001 else f"went {'up' if step > 0 else 'down'} {share(abs(step), 1)}"
    return f" One {plain(seen.currency)} of spend must now return {number(new[-1], 2)} of sales value at the margin; that price of money {moved} since the hour before."  # fmt: skip


def _rows(plan: BidPlan) -> None:
    rows = plan.targets.rows if plan.targets is not None else ()
    if not rows:
        st.caption("No target shaped this hour.")
    for row in rows[:8]:
        icon = ":material/flag:" if row.binds else ":material/check:"
        st.markdown(f"{icon} {plain(row.words)}")
    if len(rows) > 8:
        st.caption(f"and {count(len(rows) - 8, 'more target')}")
    if plan.interventions.height:
        rules = plan.interventions.group_by("rule").len().sort("len", descending=True)
        words = ", ".join(f"{plain(rule)} ({n})" for rule, n in rules.iter_rows())
        st.markdown(f":material/shield: Guardrails changed {count(plan.interventions.height, 'bid')}: {words}")
    if plan.notes:
        with st.expander("What the forecast says"):
            for note in plan.notes[:8]:
                st.caption(plain(note))


def _changes(seen: Sight, decision: Decision) -> None:
    changes = seen.kept("changes", decision.hour.start, lambda: seen.views.changes(seen.account.name, decision.hour))
    changes = changes.filter(pl.col("bid_cpc").ne_missing(pl.col("bid_cpc_before")))  # not what is merely kept now
    if not changes.height:
        st.caption("No bid differs from the hour before.")
        return
    top = changes.head(8).join(with_reasons(seen, decision.plan).select("unit_id", "unit", "why"), on="unit_id", how="left", maintain_order="left")  # fmt: skip
    top = top.with_columns((100 * (pl.col("bid_cpc") / pl.col("bid_cpc_before") - 1)).alias("change"))
    first = changes["bid_cpc_before"].null_count() == changes.height
    st.caption(
        f"The first plan, so nothing to compare with; all {count(changes.height, 'bid')} on the Bids page."
        if first
        else f"Largest of {count(changes.height, 'change')} against the hour before; all on the Bids page."
    )
    blocks.table(
        top,
        {
            "campaign": st.column_config.TextColumn("campaign", width=85),
            "unit": st.column_config.TextColumn("unit", width=120, help="Its name below the campaign."),
            "bid_cpc_before": st.column_config.NumberColumn("before", format="%.2f", width=60),
            "bid_cpc": st.column_config.NumberColumn("bid", format="%.2f", width=60),
            "change": st.column_config.NumberColumn("change", format="%+.0f %%", width=65),
            "why": st.column_config.TextColumn("why", width=500, help="In full on the Bids page."),
        },
    )
