"""Final ROI of what was bought: read once for all pages, and in words."""

from datetime import datetime, timedelta
from typing import Any

from dashboard.session import Sight
from dashboard.words import number
from domain.errors import PredictionError
from domain.phases import PromotionCalendar

#: What "lately" means where no promotion runs.
LATELY = timedelta(days=7)


def begun(seen: Sight, calendar: PromotionCalendar) -> datetime:
    """Instant since which ROI is shown: the promotion's start once it has begun, else some days ago."""
    window = calendar.window
    return window.start if window is not None and window.start <= seen.hour.start else seen.hour.start - LATELY


def final_roi(seen: Sight, since: datetime) -> dict[str, dict[str, Any]]:
    """Rows of `Study.matured_roi` by group, of those in which anything was bought; empty where nothing can be told."""
    try:
        table = seen.kept("final roi", (seen.hour.start, since), lambda: seen.study().matured_roi(since))
    except PredictionError:
        return {}
    return {row["group"]: row for row in table.iter_rows(named=True) if row["roi"] is not None}


def in_words(row: dict[str, Any]) -> str:
    """What reports say by now and what they will end with: ``3.10 reported, final 3.40–3.80 (80 %)``."""
    told = f"{number(row['reported_roi'], 2)} reported, final {band(row)} (80 %)"
    return f"{told}; luck of few orders counts in part" if apart(row) else told


def band(row: dict[str, Any]) -> str:
    """Ends of the 80 % band."""
    low, high = number(row["roi_low"], 2), number(row["roi_high"], 2)
    return low if low == high else f"{low}–{high}"


def apart(row: dict[str, Any]) -> bool:
    """Whether the figure that targets use lies outside of what reports will end with (see `predictors.past`)."""
    return not row["roi_low"] - 0.005 <= row["roi"] <= row["roi_high"] + 0.005
