"""Pieces of pages that more than one page shows."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import altair as alt
import polars as pl
import streamlit as st

from dashboard.figures import Per, between, timeline
from dashboard.session import Sight
from dashboard.words import NOTHING, plain
from domain.phases import PromotionCalendar

#: How long after its end a promotion is still what one looks at.
AFTERGLOW = timedelta(days=3)
_SPANS = {"48 hours": timedelta(hours=48), "7 days": timedelta(days=7), "30 days": timedelta(days=30), "all": None}


def headline(title: str, *under: str) -> None:
    """Title of a page: what the page finds. Texts are Markdown; names in them went through `plain`."""
    st.title(title)
    for text in under:
        st.caption(text)


def chart(title: str, figure: alt.TopLevelMixin, under: str = "") -> None:
    """A figure under the sentence that it shows."""
    st.markdown(f"**{title}**")
    if under:
        st.caption(under)
    st.altair_chart(figure, width="stretch", theme=None, alt=title)  # type: ignore[arg-type]


def empty(what: str, remedy: str, command: str | None = None) -> None:
    """A place where there is nothing yet, with what to do next."""
    with st.container(border=True):
        st.write(f"**{plain(what)}**")
        st.write(plain(remedy))
        if command is not None:
            st.code(command, language=None)


def table(rows: pl.DataFrame, columns: dict[str, Any], *, height: int | None = None, key: str | None = None) -> None:
    """A table of chosen columns; names are shown as they are."""
    st.dataframe(
        rows.select([c for c in columns if c in rows.columns]),
        column_config=columns,
        hide_index=True,
        width="stretch",
        height="auto" if height is None else height,
        key=key,
        placeholder=NOTHING,
    )


def cards(items: Sequence[tuple[str, str, str, str]]) -> None:
    """Figures side by side: label, value, what to compare it with, and how that is meant (good, bad, plain).

    What stands below the first line of a note is always meant plainly.
    """
    for column, (label, value, note, mood) in zip(st.columns(len(items)), items, strict=True):
        with column, st.container(border=True, height="stretch"):
            st.metric(label, value)
            colour = {"good": "green", "bad": "red"}.get(mood, "gray")
            first, *more = note.split("\n")
            st.caption("  \n".join([f":{colour}[{first}]", *(f":gray[{line}]" for line in more)]))


def running(calendar: PromotionCalendar, seen: Sight) -> bool:
    """Whether a promotion runs at the hour, or has just ended."""
    window = calendar.window
    return window is not None and window.start <= seen.hour.start < window.end + AFTERGLOW


def rows_of(seen: Sight) -> tuple[pl.DataFrame, Per]:
    """All rows of the account: per hour where reports tell of hours, else per day."""
    hourly = seen.series("hour")
    per: Per = "hour" if hourly.height else "day"
    series = hourly if hourly.height else seen.series("day")
    made = seen.kept(f"timeline per {per}", seen.cut, lambda: timeline(series, seen.decisions, seen.account.tz, per))
    return made, per


def span(seen: Sight, calendar: PromotionCalendar, per: Per, page: str) -> tuple[datetime | None, datetime | None, str]:
    """Stretch of time that the charts of a page show, as the person chose it: start, end, words."""
    choices = [*(["promotion"] if running(calendar, seen) else []), *([] if per == "day" else ["48 hours"]), "7 days", "30 days", "all"]  # fmt: skip
    usual = "promotion" if "promotion" in choices else "7 days" if per == "hour" else "30 days"
    picked = st.segmented_control("Show", choices, default=usual, key=f"span-{page}-{seen.account.name}", required=True)
    window = calendar.window
    if picked == "promotion" and window is not None:
        return window.start, window.end, "the promotion"
    length = _SPANS.get(str(picked))
    return (None, None, "all rows") if length is None else (seen.hour.start - length, None, f"the last {picked}")


def shown(rows: pl.DataFrame, start: datetime | None, end: datetime | None) -> pl.DataFrame:
    """Rows of a stretch of time."""
    return between(rows, start, end)
