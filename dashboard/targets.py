"""Targets: edited in tables, checked, their effect predicted, and only then saved with a name and a reason."""

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import streamlit as st

from dashboard import blocks, charts, edits, session
from dashboard.edits import Changes
from dashboard.final import LATELY, begun, final_roi, in_words
from dashboard.session import Sight
from dashboard.words import NOTHING, change, count, money, number, plain, share
from domain.account import Mode
from domain.errors import ConfigError, OptimizationError, PredictionError
from domain.goals import Goals, TargetKind
from domain.phases import PromotionCalendar
from domain.problem import Status
from domain.time import Hour
from engine.ahead import Ahead
from engine.what_if import Study, frontier, is_account_roi


def show(seen: Sight) -> None:
    """Draw the page."""
    saved, calendar = seen.goals(), seen.calendar()
    blocks.headline(
        _headline(seen, saved),
        f"{plain(seen.account.name)} · edit the tables; what it would change is shown before anything is saved",
    )
    words = st.session_state.pop("saved-words", None)
    if words:
        st.success(plain(words), icon=":material/check:")
    version = st.session_state.get(f"version-{seen.account.name}", 0)
    mark = f"{seen.account.name}-{version}-{_state(saved, calendar)}"
    goals, wanted, wrong = _tables(seen, saved, calendar, mark)
    if wrong:
        st.error(plain(wrong), icon=":material/error:")
        st.caption("Nothing can be saved until this is put right.")
    else:
        edit = edits.changes(saved, goals, calendar, wanted)
        _effect(seen, saved, calendar, goals, wanted, edit)
        if edit:
            _save(seen, saved, edit)
    _history(seen)


def _headline(seen: Sight, saved: Goals) -> str:
    """How the saved targets stand."""
    if not saved.targets:
        return "No target is set yet"
    n = len(saved.targets)
    many = "The target" if n == 1 else "Both targets" if n == 2 else f"All {n} targets"
    try:
        present = seen.study()
        ahead: Ahead = seen.kept("ahead", seen.hour.start, lambda: present.ahead(saved))
    except (PredictionError, OptimizationError):
        return f"{n} target{'s' if n != 1 else ''} in force"
    if ahead.feasible:
        return f"{many} can be kept"
    return "The target cannot be kept" if n == 1 else "Not all targets can be kept"


def _state(saved: Goals, calendar: PromotionCalendar) -> int:
    """Changes with what is saved: an edit of yesterday's table is never applied to today's."""
    return hash((saved, calendar))


def _tables(seen: Sight, saved: Goals, calendar: PromotionCalendar, mark: str) -> tuple[Goals, PromotionCalendar, str]:
    """Edited goals and phases, or what is wrong with them."""
    column = st.column_config
    units = seen.kept("units", seen.cut, lambda: seen.workspace.units(seen.account.name, seen.cut))
    st.subheader("Targets")
    table: Any = st.data_editor(
        edits.targets_table(saved).to_pandas() if not saved.targets else edits.targets_table(saved),
        column_config={
            "what": column.SelectboxColumn("target", options=list(edits.KINDS), required=True, width="small"),
            "on": column.SelectboxColumn("stands on", options=edits.places(units, calendar, saved), required=True, width="medium"),
            "value": column.NumberColumn(f"value (ratio, or {seen.currency})", format="localized", required=True, width="small"),
            "per": column.SelectboxColumn("per", options=list(edits.PERIODS), required=True, default="promotion", width="small",
                                          help="promotion: over its phases, or from now on where none runs. day: each local day anew."),
        },
        num_rows="dynamic",
        hide_index=True,
        width="stretch",
        placeholder="",
        key=f"targets-{mark}",
    )  # fmt: skip
    st.caption("ROI = sales from ads per unit of spend. CPC = cost of a click, CPA = cost of an order. Add a row at the foot of the table; select rows at their left edge to remove them.")  # fmt: skip
    with st.expander(f"Phases of a promotion ({len(calendar.phases)})"):
        phases: Any = st.data_editor(
            edits.phases_table(calendar, seen.account.tz),
            column_config={
                "name": column.TextColumn("phase", required=True, width="small"),
                "kind": column.SelectboxColumn("kind", options=edits.PHASE_KINDS, required=True, width="small"),
                "start": column.DatetimeColumn("start", format="ddd D MMM YYYY HH:mm", required=True, step=3600),
                "end": column.DatetimeColumn("end", format="ddd D MMM YYYY HH:mm", required=True, step=3600),
                "budget": column.NumberColumn(f"budget, {seen.currency}", help="Empty: the optimizer splits the money.", format="%.2f"),
                "traffic": column.NumberColumn("traffic ×", help="Against an ordinary hour.", default=1.0, format="%.2f", width="small"),
                "value": column.NumberColumn("value ×", help="Worth of a click against an ordinary hour.", default=1.0, format="%.2f", width="small"),
                "price": column.NumberColumn("price ×", help="Market price of a click against an ordinary hour.", default=1.0, format="%.2f", width="small"),
            },
            num_rows="dynamic",
            hide_index=True,
            width="stretch",
            placeholder="",
            key=f"phases-{mark}",
        )  # fmt: skip
        st.caption(f"Times are on the clock of {plain(seen.account.timezone)}, full hours.")
    try:
        wanted = edits.calendar_from(_polars(phases, edits.PHASE_COLUMNS), seen.account.tz)
        goals = edits.goals_from(_polars(table, edits.TARGET_COLUMNS), saved)
        _known_phases(goals, wanted)
    except ConfigError as error:
        return saved, calendar, str(error)
    return goals, wanted, ""


def _known_phases(goals: Goals, calendar: PromotionCalendar) -> None:
    names = {p.name for p in calendar.phases}
    for target in goals.targets:
        if target.scope.value == "phase" and target.key not in names:
            raise ConfigError(f"a target stands on phase {target.key!r}, which the calendar does not have; remove one of them")  # fmt: skip


def _polars(table: Any, columns: dict[str, Any]) -> pl.DataFrame:
    """What the editor gives back, with the columns' own types."""
    frame = table if isinstance(table, pl.DataFrame) else pl.from_pandas(table)
    return frame.select(pl.col(n).cast(t, strict=False) for n, t in columns.items())


# -- the effect ---------------------------------------------------------------------------------------------------


def _effect(
    seen: Sight, saved: Goals, calendar: PromotionCalendar, goals: Goals, wanted: PromotionCalendar, edit: Changes
) -> None:
    st.subheader("Predicted effect" if edit else "What to expect")
    try:
        present = seen.study()
        before = seen.kept("ahead", seen.hour.start, lambda: present.ahead(saved))
        changed = present if edit.calendar is None else _changed(seen, wanted)
        after = changed.ahead(goals) if edit else before
    except (PredictionError, OptimizationError) as error:
        st.warning(f"No effect can be predicted: {plain(error)}", icon=":material/warning:")
        return
    span = f"from {seen.when(seen.hour.start)} to {seen.when(changed.outlook.hours[-1].end)}"
    if after.feasible:
        st.success(plain(after.words), icon=":material/check_circle:")
    else:
        st.warning(plain(after.words), icon=":material/warning:")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.markdown(f"**The rest, {plain(span)}**")
        _compare(seen, before, after, changed=bool(edit))
        _outcomes(seen, after, calendar)
    with right:
        _frontier(seen, changed, goals, before, after, changed=bool(edit))
    for note in after.notes[:3]:
        st.caption(plain(note))


def _changed(seen: Sight, wanted: PromotionCalendar) -> Study:
    with st.spinner("Working out what the new phases change …"):
        return seen.kept(
            "study of phases",
            (seen.hour.start, hash(wanted)),
            lambda: seen.study().with_calendar(seen.workspace, wanted),
        )


def _compare(seen: Sight, before: Ahead, after: Ahead, *, changed: bool) -> None:
    cash = seen.currency
    figures = (
        (f"spend, {cash}", before.spend, after.spend, 0),
        ("clicks", before.clicks, after.clicks, 0),
        ("orders", before.orders, after.orders, 0),
        (f"gmv, {cash}", before.gmv, after.gmv, 0),
        ("ROI", before.roi, after.roi, 2),
        (f"CPC, {cash}", before.cpc, after.cpc, 2),
        (f"CPA, {cash}", before.cpa, after.cpa, 2),
    )
    table = pl.DataFrame(
        {
            "figure": [f[0] for f in figures],
            "before": [number(f[1], f[3]) for f in figures],
            "after": [number(f[2], f[3]) for f in figures],
            "change": [change(a / b - 1, 1) if a is not None and b else NOTHING for _, b, a, _ in figures],
        }
    )
    column = st.column_config
    columns = {"figure": column.TextColumn("expected"), "before": column.TextColumn("as saved")}
    if changed:
        columns |= {"after": column.TextColumn("with your change"), "change": column.TextColumn("change")}
    blocks.table(table, columns)


def _outcomes(seen: Sight, after: Ahead, calendar: PromotionCalendar) -> None:
    """Targets that are missed or set the pace; the others follow where there is room. ROI is told of what was bought, too."""
    rows = sorted(after.rows, key=lambda row: (row.met, not row.binds))
    shown = [row for row in rows if not row.met or row.binds] or rows
    shown = (shown + [row for row in rows if row not in shown])[: max(4, min(10, len(shown)))]
    for row in shown:
        icon = ":material/check:" if row.met else ":material/close:"
        st.markdown(f"{icon} {plain(row.words)}" + (" :gray-badge[sets the pace]" if row.binds else ""))
        if row.target.kind is TargetKind.ROI:
            _so_far(seen, row.target.label, begun(seen, calendar))
    if len(rows) > len(shown):
        kept = all(row.met for row in rows if row not in shown)
        st.caption(f"and {count(len(rows) - len(shown), 'more target')}{', all of them kept' if kept else ''}")


def _so_far(seen: Sight, group: str, since: datetime) -> None:
    """What was bought already on a group, as reported and in the end."""
    final = final_roi(seen, since).get(group)
    if final is not None:
        when = f"in the last {LATELY.days} days" if since == seen.hour.start - LATELY else "so far"
        st.caption(f"Bought {when}: counts as ROI {number(final['roi'], 2)}; {in_words(final)}")


def _frontier(seen: Sight, at: Study, goals: Goals, before: Ahead, after: Ahead, *, changed: bool) -> None:
    """What other ROI targets would buy, around the one in force."""
    saved = next((t.value for t in before.goals.targets if is_account_roi(t)), None)
    mine = next((t.value for t in goals.targets if is_account_roi(t)), None)
    middle = mine or after.roi
    if middle is None:
        return
    known = saved or middle  # the curve reaches what is in force, however far off the change lies
    low, high = min(0.7 * middle, 0.95 * known), max(1.4 * middle, 1.05 * known)
    grid = np.concatenate([np.geomspace(low, middle, 7), np.geomspace(middle, high, 7)[1:]])
    points = frontier(at, goals, grid.tolist())
    reached = points.filter(pl.col("status") != Status.UNREACHABLE.value)
    if reached.height < 2:
        return
    placed = [("now", saved, before)] + ([("proposed", mine, after)] if changed else [])
    marks = pl.DataFrame(
        [(name, target, a.gmv) for name, target, a in placed if target is not None and a.feasible],
        schema={"name": pl.String, "target": pl.Float64, "gmv": pl.Float64},
        orient="row",
    )
    higher = reached.filter(pl.col("target") > middle * 1.001)
    here = reached.filter((pl.col("target") - middle).abs() <= middle * 0.001)
    if here.height and higher.height:
        step, cost = higher["target"][0] / middle - 1, here["gmv"][0] - higher["gmv"][0]
        title = f"Asking for {share(step)} more ROI would cost {money(cost, seen.currency, 0)} of sales"
    else:
        title = f"No ROI target above {number(float(reached['target'].max()), 2)} can be met"  # type: ignore[arg-type]
    blocks.chart(title, charts.frontier(reached, marks, seen.currency), "What the rest of the horizon sells at other ROI targets of the account, as far as they can be met.")  # fmt: skip


# -- saving -------------------------------------------------------------------------------------------------------


def _save(seen: Sight, saved: Goals, edit: Changes) -> None:
    with st.container(border=True):
        st.markdown("**Save this change**")
        for line in edits.in_words(edit, saved):
            st.markdown(f"- {plain(line)}")
        if seen.past:
            st.info("You look at an earlier hour. Switch that off in the sidebar to save targets for the coming ones.", icon=":material/history:")  # fmt: skip
            return
        left, right = st.columns([1, 2])
        name = left.text_input("Your name", key="author", max_chars=80)
        reason = right.text_input("Reason", key=f"reason-{seen.account.name}", max_chars=300, placeholder="why, for the record")  # fmt: skip
        ready = bool(name.strip() and reason.strip())
        pressed = st.button("Save", type="primary", disabled=not ready)
        st.caption(_takes_effect(seen) if ready else "Give your name and a reason; both are stored with the change.")
        if pressed and ready:
            _store(seen, saved, edit, name.strip(), reason.strip())


def _takes_effect(seen: Sight) -> str:
    if seen.account.mode is Mode.PAUSED:
        return "The account is paused: the change is stored, and used when decisions are made again."
    newest = seen.decisions["hour"][0] if seen.decisions.height else None
    coming = seen.hour if newest is None or newest < seen.hour.start else Hour(newest).plus(1)
    return f"The decision for {seen.when(coming.start)} and all later ones use it; an hour that is decided already stays as it is."  # fmt: skip


def _store(seen: Sight, saved: Goals, edit: Changes, name: str, reason: str) -> None:
    account = seen.account.name
    if seen.workspace.goals(account) != saved or seen.workspace.phases(account) != seen.calendar():
        st.error("Somebody else has changed the targets in the meantime. Reload the page and look again.", icon=":material/error:")  # fmt: skip
        return
    edits.save(seen.workspace, account, edit, by=name, reason=reason, now=session.now())
    st.session_state[f"version-{account}"] = st.session_state.get(f"version-{account}", 0) + 1
    st.session_state["saved-words"] = f"Saved by {name}. {_takes_effect(seen)}"
    st.rerun()


def _history(seen: Sight) -> None:
    told = seen.kept("history", seen.cut, lambda: seen.workspace.target_history(seen.account.name))
    if not told.height:
        return
    with st.expander(f"Who changed what ({told.height})"):
        column = st.column_config
        rows = told.sort("set_at", descending=True).with_columns(
            pl.col("set_at").dt.convert_time_zone(seen.account.timezone).dt.strftime("%d %b %Y %H:%M").alias("when"),
            pl.concat_str(pl.col("scope"), pl.when(pl.col("key") != "").then(pl.format(": {}", "key")).otherwise(pl.lit(""))).alias("on"),
        )  # fmt: skip
        blocks.table(
            rows,
            {
                "when": column.TextColumn("when"),
                "author": column.TextColumn("who"),
                "kind": column.TextColumn("target"),
                "on": column.TextColumn("on"),
                "value": column.NumberColumn("value", format="%.2f", help="Empty: removed."),
                "reason": column.TextColumn("reason", width="large"),
            },
        )
