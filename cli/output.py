"""What commands print: tables for people, JSON that stands alone on stdout, errors on stderr."""

import json
import math
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: Width of a table where nobody looks: in a file, or on the way to another program.
WIDTH_ELSEWHERE = 160


def make_writable() -> None:
    """Let any text be written, whatever the terminal can show: an odd file name must not end a command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def unicode_out() -> bool:
    """Whether stdout can carry every character."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")


def dash() -> str:
    """What stands between two numbers, and where there is none."""
    return "–" if unicode_out() else "-"


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
    text = json.dumps(clean(record), ensure_ascii=not unicode_out(), indent=2, allow_nan=False)
    sys.stdout.write(text + "\n")


def say(text: str = "") -> None:
    """One line for a person on stdout."""
    sys.stdout.write(text + "\n")


def warn(text: str) -> None:
    """One line for a person on stderr."""
    sys.stderr.write(text + "\n")


def width() -> int:
    """Columns of the terminal, or those of a wide page where stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_ELSEWHERE


def number(value: float | None) -> str:
    """Amount as a person reads it: two decimals, and two digits of what is below a tenth."""
    if value is None or not math.isfinite(value):
        return dash()
    return f"{value:.2g}" if 0.0001 <= abs(value) < 0.0995 else f"{value:,.2f}"


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    title: str = "",
    right: Sequence[int] = (),
    total: Sequence[Any] | None = None,
) -> None:
    """A plain table; `right` lists positions of right-aligned columns, `total` is a last row below a line."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Table(
        title=title or None,
        title_justify="left",
        show_edge=False,
        pad_edge=False,
        box=box.HEAVY_HEAD if unicode_out() else box.ASCII,
        show_footer=total is not None,
    )
    feet = [""] * len(columns) if total is None else [_cell(v) for v in total]
    for position, (name, foot) in enumerate(zip(columns, feet, strict=True)):
        side = "right" if position in right else "left"
        # numbers and short words stay whole; only text is folded where space is short
        shown.add_column(_cell(name), foot, justify=side, overflow="fold", no_wrap=position in right)
    for row in rows:
        shown.add_row(*(_cell(v) for v in row))
    console = Console(width=width(), highlight=False)
    with console.capture() as text:
        console.print(shown)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in text.get().splitlines()))


def _cell(value: Any) -> str:
    if value is None:
        return dash()
    if isinstance(value, float):
        return number(value)
    from rich.markup import escape

    return escape(str(value))
