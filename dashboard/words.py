"""Numbers and names as people read them, and names made harmless before they enter a text.

A campaign may be called ``<script>``, ``=cmd()`` or ``![x](http://...)``. Tables show names as they are; wherever
a name enters a text that is rendered as Markdown, it goes through `plain` first.
"""

import math
import re
from collections.abc import Sequence
from datetime import datetime

import polars as pl

_MARKDOWN = re.compile(r"([!-/:-@\[-`{-~])")
_FORMULA = r"^[=+\-@\t\r\n]"
NOTHING = "–"


def plain(text: object) -> str:
    """Text that Markdown shows letter by letter: no markup, image, formula or icon can come of it."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(text).split()))


def formula_safe(column: str) -> pl.Expr:
    """Texts of a column for a CSV file, so that no spreadsheet takes one for a formula."""
    text = pl.col(column)
    return pl.when(text.str.contains(_FORMULA)).then(pl.concat_str(pl.lit("'"), text)).otherwise(text).alias(column)


def number(value: float | None, digits: int | None = None) -> str:
    """Number with as many digits as a person wants: 12,345 or 12.3 or 0.123."""
    if value is None or not math.isfinite(value):
        return NOTHING
    size = abs(value)
    if digits is None:
        digits = 0 if size >= 1000 or value == round(value) else 1 if size >= 100 else 2
    return f"{value:,.{digits}f}".replace("-", "−")


def money(value: float | None, currency: str = "", digits: int | None = None) -> str:
    """Amount with its currency, as in ``12,345 CNY``."""
    shown = number(value, digits)
    return shown if shown == NOTHING or not currency else f"{shown} {currency}"


def share(value: float | None, digits: int = 0) -> str:
    """Share as a percentage, as in ``64 %``."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{100 * value:.{digits}f} %".replace("-", "−")


def change(value: float | None, digits: int = 0) -> str:
    """Relative change with its sign, as in ``+12 %``."""
    if value is None or not math.isfinite(value):
        return NOTHING
    shown = f"{100 * value:+.{digits}f}"
    return (f"±{shown[1:]} %" if float(shown) == 0 else f"{shown} %").replace("-", "−")


def moment(local: datetime) -> str:
    """Local time of an hour, as in ``Wed 11 Nov 20:00``."""
    return f"{local:%a} {local.day} {local:%b %H:%M}"


def day(local: datetime) -> str:
    """Local day, as in ``Wed 11 Nov``."""
    return f"{local:%a} {local.day} {local:%b}"


def count(n: int, one: str, many: str | None = None) -> str:
    """Number with its noun: ``1 campaign``, ``2,000 campaigns``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names in a row, harmless in Markdown, cut after `most`."""
    shown = ", ".join(plain(n) for n in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
