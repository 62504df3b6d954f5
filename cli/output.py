"""What commands print: tables for people, JSON that stands alone on stdout, errors on stderr."""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def clean(value: Any) -> Any:
    """Value as JSON can carry it: NaN and infinity become null, times ISO text, NumPy numbers plain ones."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(v) for v in value]
    for attribute in ("isoformat", "item"):
        if hasattr(value, attribute):
            return clean(getattr(value, attribute)())
    return str(value)


def print_json(record: Any) -> None:
    """One JSON document on stdout, nothing else."""
    sys.stdout.write(json.dumps(clean(record), ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def say(text: str = "") -> None:
    """One line for a person on stdout."""
    sys.stdout.write(text + "\n")


def warn(text: str) -> None:
    """One line for a person on stderr."""
    sys.stderr.write(text + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", right: Sequence[int] = ()) -> None:
    """A plain table; `right` lists positions of right-aligned columns."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=title or None, title_justify="left", show_edge=False, pad_edge=False)
    for position, name in enumerate(columns):
        shown.add_column(name, justify="right" if position in right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(_cell(v) for v in row))
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(shown)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return "–" if not math.isfinite(value) else f"{value:,.2f}"
    from rich.markup import escape

    return escape(str(value))
