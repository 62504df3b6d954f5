"""What a run leaves to read in Prefect's UI: a summary of all accounts, and each account's table of bids."""

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

#: Rows of a table that a browser shows without trouble; the dashboard and the audit file have all.
TABLE_ROWS = 200


def key(kind: str, account: str) -> str:
    """Name of an account's artifact: Prefect takes small letters, digits and dashes; two accounts never share one."""
    small = re.sub(r"[^a-z0-9]+", "-", account.lower()).strip("-")
    return f"{kind}-{small}" if small == account else f"{kind}-{small}-{zlib.crc32(account.encode()):08x}"


def plain(text: str) -> str:
    """Text that stays text in a markdown table, whatever a campaign is called."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
    return re.sub(r"([\\`*_\[\]|#!])", r"\\\1", escaped)


def decision_table(account: str, hour: str, rows: Sequence[Mapping[str, Any]], n_units: int) -> None:
    """Table of an account's bids, the dearest units first."""
    shown = f" (the first {len(rows)} by expected spend)" if len(rows) < n_units else ""
    create_table_artifact(
        table=[dict(row) for row in rows],
        key=key("decision", account),
        description=f"Account {plain(account)}, hour {hour}: {n_units} units{shown}",
    )


def summary(flow: str, heading: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Markdown table with one line per account."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(plain(cell) for cell in row)} |" for row in rows]
    body = "\n".join(lines) if rows else "No accounts."
    create_markdown_artifact(markdown=f"## {plain(heading)}\n\n{body}\n", key=f"{flow}-summary")
