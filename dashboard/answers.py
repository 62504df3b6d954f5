"""What a person answers on the page Bids: yes or no to a plan that waits, and holds on single units."""

import polars as pl
import streamlit as st

from dashboard import session
from dashboard.session import Sight
from dashboard.words import count, money, plain
from domain.errors import SteadyBidError
from domain.plans import Action, Decision, DecisionState
from engine.hourly import approve


def to_plan(seen: Sight, decision: Decision) -> None:
    """Take a yes or no to a whole plan that waits; both need a name, which is stored."""
    row = seen.decisions.filter(pl.col("hour") == decision.hour.start).row(0, named=True)
    with st.container(border=True):
        if row["approved_at"] is not None:
            st.write(f"**{plain(row['approved_by'])} approved this plan** at {seen.when(row['approved_at'])}; it goes out with the next run of its hour.")  # fmt: skip
            return
        until = row["expires_at"] or decision.hour.end
        total = row["expected_spend"]
        st.write(f"**This plan waits for you** until {seen.when(until)}: {money(total, seen.currency, 0)} of expected spend in the hour. Without an answer nothing is sent.")  # fmt: skip
        name = st.text_input("Your name", key="approver", max_chars=80, placeholder="who approves or holds").strip()
        yes, no, _ = st.columns([1, 1, 4])
        said_yes = yes.button("Approve and send", type="primary", disabled=not name, width="stretch")
        said_no = no.button("Hold all bids", disabled=not name, width="stretch")
        st.caption(
            "To hold or to approve single units, select their rows below."
            if name
            else "Give your name first; it is stored with the answer."
        )
        if said_yes or said_no:
            _answer(seen, decision, name, yes=said_yes)


def _answer(seen: Sight, decision: Decision, name: str, *, yes: bool, only: list[str] | None = None) -> None:
    account = seen.account.name
    try:
        if yes:
            clock = session.SystemClock()
            came = approve(seen.workspace, account, decision.hour, name, clock, only=only, patience_seconds=10)
            words = came.words
        else:
            seen.workspace.journal(account).hold(decision.hour, name, session.now())
            words = "held: the live bids stay as they are"
    except SteadyBidError as error:
        st.error(plain(error), icon=":material/error:")
        return
    st.toast(plain(words), icon=":material/check:")
    st.rerun()


def to_units(seen: Sight, decision: Decision | None, chosen: pl.DataFrame) -> None:
    """Hold, release or approve the units that are selected; all of it needs a name."""
    if seen.past:
        return
    names = chosen["unit_id"].to_list()
    lasting = chosen.filter(pl.col("held_by").is_not_null(), ~pl.col("once"))
    waits = decision is not None and decision.state is DecisionState.AWAITING and seen.workspace.journal(seen.account.name).approval(decision.hour) is None  # fmt: skip
    moved = chosen.filter(pl.col("action").cast(pl.String).is_in([Action.SET.value, Action.PAUSE.value]))
    with st.container(border=True):
        what = "this unit" if len(names) == 1 else f"these {len(names):,} units"
        if lasting.height:
            who = ", ".join(plain(n) for n in lasting["held_by"].unique().sort())
            st.write(f"**Held by {who}** until released: the live bid stays, whatever is planned." if len(names) == 1 else f"**{lasting.height:,} of {len(names):,} are held** by {who} until released.")  # fmt: skip
        name = str(st.session_state.get("approver", "")) if waits else st.text_input("Your name", key="holder", max_chars=80, placeholder="who holds or releases")  # fmt: skip
        name = name.strip()
        first, second, third, _ = st.columns([2, 2, 2, 2])
        if first.button(f"Hold {what}", disabled=not name or lasting.height == len(names), width="stretch"):
            _hold(seen, names, name, held=True)
        if lasting.height and second.button(f"Release {what}", disabled=not name, width="stretch"):
            _hold(seen, lasting["unit_id"].to_list(), name, held=False)
        if waits and moved.height and third.button(f"Approve and send only {what}", disabled=not name, width="stretch"):
            assert decision is not None
            _answer(seen, decision, name, yes=True, only=moved["unit_id"].to_list())
        if not name:
            st.caption("Give your name above first; it is stored." if waits else "Give your name first; it is stored.")
        elif not lasting.height:
            st.caption("A held unit keeps its live bid, in this plan too if it has not gone out yet, until somebody releases it.")  # fmt: skip


def _hold(seen: Sight, units: list[str], name: str, *, held: bool) -> None:
    say = seen.workspace.hold_units if held else seen.workspace.release_units
    try:
        say(seen.account.name, units, by=name, reason="on the page Bids", now=session.now())
    except SteadyBidError as error:
        st.error(plain(error), icon=":material/error:")
        return
    st.toast(f"{count(len(units), 'unit')} {'held' if held else 'released'} by {plain(name)}", icon=":material/check:")
    st.rerun()
