"""Sums by campaign and hour that the night puts by, so that a page need not read weeks of unit rows.

marts/<account>/<table>.json names the file of sums and the fact files that they were made of. Fact files never
change: while those are the ones that count, or the first of them, the sums hold. A mart says nothing that the facts
do not; it may be deleted at any time, and one that does not fit, or cannot be read, is not used.
"""

import contextlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from domain.errors import SchemaMismatch
from domain.tables import check


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer, the files it was made of, and what else it depends on."""

    files: tuple[str, ...]
    rest: tuple[str, ...]
    rows: pl.DataFrame


class Marts:
    """Marts of a workspace.

    Parameters
    ----------
    home
        Folder of the workspace.
    """

    def __init__(self, home: Path) -> None:
        self._folder = home / "marts"

    def save(self, account: str, table: str, kept: Kept) -> None:
        """Put an answer by in place of the earlier one; readers find the one or the other."""
        folder = self._folder / account
        folder.mkdir(parents=True, exist_ok=True)
        before = self._note(account, table)
        name = f"{table}-{uuid.uuid4().hex}.parquet"
        kept.rows.write_parquet(folder / name, compression="zstd")
        note, draft = folder / f"{table}.json", folder / f".{table}.json.{os.getpid()}"
        draft.write_text(json.dumps({"rows": name, "files": kept.files, "rest": kept.rest}), encoding="utf-8")
        draft.replace(note)
        if before is not None:
            (folder / str(before["rows"])).unlink(missing_ok=True)

    def load(self, account: str, table: str, contract: Mapping[str, pl.DataType]) -> Kept | None:
        """The answer that was put by; ``None`` where there is none that can be read."""
        note = self._note(account, table)
        if note is None:
            return None
        with contextlib.suppress(OSError, pl.exceptions.PolarsError, SchemaMismatch, KeyError, TypeError):
            rows = pl.read_parquet(self._folder / account / note["rows"])
            return Kept(tuple(note["files"]), tuple(note["rest"]), check(rows, contract, "mart"))
        return None

    def _note(self, account: str, table: str) -> dict[str, str] | None:
        try:
            return json.loads((self._folder / account / f"{table}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
