"""Colours, type and the look of charts: one place for all pages.

Nothing here is fetched: fonts are those of the machine, and Streamlit serves its own scripts.
"""

from collections.abc import Mapping
from typing import Any

INK, MUTED, GRID, PAPER = "#22313f", "#5c6b73", "#e6eaee", "#ffffff"
#: Meanings, not decorations: the same thing has the same colour on every page (as in the report of runs).
COLOURS: Mapping[str, str] = {
    "actual": "#0b7a75",
    "planned": "#e09f3e",
    "band": "#cfe6e4",
    "target": "#b23a48",
    "reported": "#c9a227",
    "hindsight": "#44535f",
    "static": "#8d99ae",
    "good": "#2a7f4f",
    "bad": "#b23a48",
    "ahead": "#f3d9ac",
}
#: Shades of phases, in turn; ordinary time is unshaded.
PHASE_SHADES: Mapping[str, str] = {
    "warm-up": "#f4f7fa",
    "pre-sale": "#eaf0f6",
    "burst": "#fdf0e3",
    "return": "#f0f5f1",
    "ordinary": "#ffffff",
}
FONT = "DejaVu Sans, Helvetica, Arial, sans-serif"

#: Options of the Streamlit server: what people see, and that nothing leaves the machine.
SERVER_OPTIONS: Mapping[str, Any] = {
    "server.address": "127.0.0.1",
    # Plans are approved here: a page of some other site must not reach the server under a name of its own.
    "server.allowedHosts": ("127.0.0.1", "localhost"),
    "server.headless": True,
    "server.fileWatcherType": "none",
    "server.showEmailPrompt": False,
    "server.enableStaticServing": False,
    "browser.gatherUsageStats": False,
    "browser.serverAddress": "127.0.0.1",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    # The built-in CSV download does not guard against formulas in names; pages offer their own.
    "client.disableDataExport": True,
    "runner.magicEnabled": False,
    "theme.base": "light",
    "theme.primaryColor": COLOURS["actual"],
    "theme.textColor": INK,
    "theme.backgroundColor": PAPER,
    "theme.secondaryBackgroundColor": "#f5f7f9",
    "theme.font": "sans-serif",
    "theme.baseRadius": "small",
    "theme.metricValueFontSize": "1.55rem",
    "theme.metricValueFontWeight": 600,
    "theme.headingFontSizes": '["1.9rem", "1.3rem", "1.1rem"]',
    "theme.baseFontSize": 15,
}


def dress(chart: Any, height: int = 260) -> Any:
    """Chart of the house: as wide as its place, quiet axes."""
    return (
        chart.properties(width="container", height=height, background=PAPER, padding={"left": 4, "right": 12, "top": 6, "bottom": 4})
        .configure(font=FONT)
        .configure_axis(
            gridColor=GRID, domainColor="#c5ced6", tickColor="#c5ced6", labelColor=MUTED, titleColor=MUTED,
            labelFontSize=11, titleFontSize=12, titleFontWeight="normal", titlePadding=8,
        )
        .configure_legend(labelFontSize=12, labelColor=INK, title=None, orient="top", symbolStrokeWidth=3, labelLimit=320, padding=2)
        .configure_view(stroke=None)
    )  # fmt: skip
