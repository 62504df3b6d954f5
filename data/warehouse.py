"""Facts as immutable Parquet files, and the manifest that says which of them count.

A file is written in full, made durable, and only then named in the manifest, by one SQL transaction that can
flip files of several tables at once. A crash before it leaves a file that nobody reads; `sweep` removes it.
Rows are never changed: a correction is a further row with the same key, learned later.
"""

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from data.database import Database
from data.schema import accounts, files
from domain.errors import DataError


@dataclass(frozen=True, slots=True)
class Staged:
    """A durable file that no manifest names yet."""

    fact_table: str
    path: str
    rows: int
    bytes: int
    part: str | None = None
    first_start: str | None = None
    last_start: str | None = None


@dataclass(frozen=True, slots=True)
class LiveFile:
    """A file that counts."""

    path: str
    seq: int
    rows: int
    part: str | None


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep removed."""

    files: int
    bytes: int


class Warehouse:
    """Parquet files below ``facts/`` of a workspace."""

    def __init__(self, home: Path, database: Database) -> None:
        self.home = home
        self._database = database

    def stage(
        self,
        fact_table: str,
        frame: pl.DataFrame,
        *,
        part: str | None = None,
        first_start: str | None = None,
        last_start: str | None = None,
    ) -> Staged:
        """Write rows to a file of their own and make it durable; nobody reads it until it is registered."""
        folder = self.home / "facts" / fact_table
        _make_folder(folder, self.home)
        name = f"{uuid.uuid4().hex}.parquet"
        target, draft = folder / name, folder / f"{name}.tmp"
        frame.write_parquet(draft, compression="zstd", compression_level=3)
        _sync(draft)
        draft.rename(target)
        _sync(folder)
        relative = target.relative_to(self.home).as_posix()
        return Staged(fact_table, relative, frame.height, target.stat().st_size, part, first_start, last_start)

    def register(
        self, connection: sa.Connection, account: str, staged: Sequence[Staged], seq: int | None = None
    ) -> None:
        """Make staged files count, within the caller's transaction, in turn with other writers of the account.

        With `seq` the caller says which place in the order it computed its rows for; where another writer
        has taken that place, the unique constraint fails the transaction.
        """
        self.take_turn(connection, account)
        for file in staged:
            place = self.next_seq(connection, account, file.fact_table) if seq is None else seq
            connection.execute(
                files.insert().values(
                    account=account,
                    fact_table=file.fact_table,
                    seq=place,
                    path=file.path,
                    rows=file.rows,
                    bytes=file.bytes,
                    part=file.part,
                    first_start=file.first_start,
                    last_start=file.last_start,
                    live=True,
                )
            )

    def take_turn(self, connection: sa.Connection, account: str) -> None:
        """Wait until no other transaction adds files to the account, and keep others out until this one ends.

        SQLite lets one writer in at a time anyway; Postgres locks the account's row.
        """
        connection.execute(sa.select(accounts.c.name).where(accounts.c.name == account).with_for_update())

    def next_seq(self, connection: sa.Connection, account: str, fact_table: str) -> int:
        """Next place in the order of commits of an account's table."""
        query = sa.select(sa.func.coalesce(sa.func.max(files.c.seq), 0)).where(
            files.c.account == account, files.c.fact_table == fact_table
        )
        return int(connection.execute(query).scalar_one()) + 1

    def live(
        self,
        connection: sa.Connection,
        account: str,
        fact_table: str,
        *,
        part: str | None = None,
        between: tuple[str, str] | None = None,
    ) -> list[LiveFile]:
        """Files that count, in the order of their commits; `between` = first and last local start wanted."""
        query = sa.select(files.c.path, files.c.seq, files.c.rows, files.c.part).where(
            files.c.account == account, files.c.fact_table == fact_table, files.c.live
        )
        if part is not None:
            query = query.where(files.c.part == part)
        if between is not None:
            query = query.where(files.c.last_start >= between[0], files.c.first_start <= between[1])
        return [LiveFile(*row) for row in connection.execute(query.order_by(files.c.seq))]

    def live_now(self, account: str, fact_table: str) -> list[LiveFile]:
        """Files that count at this moment."""
        with self._database.read() as connection:
            return self.live(connection, account, fact_table)

    def scan(self, paths: Sequence[str], schema: Mapping[str, pl.DataType], *, exact: bool = True) -> pl.LazyFrame:
        """Rows of some files, lazily; no files give no rows.

        Columns of the schema that older files lack are null in their rows; `exact` says that files have no others.
        """
        if not paths:
            return pl.LazyFrame(schema=dict(schema))
        missing = [p for p in paths if not (self.home / p).is_file()]
        if missing:
            raise DataError(
                f"{len(missing)} fact files that the manifest names are gone, such as {self.home / missing[0]}; "
                "restore them from a backup, or import the reports into a new workspace"
            )
        files = [self.home / p for p in paths]
        return (
            pl.scan_parquet(files, schema=dict(schema), missing_columns="insert") if exact else pl.scan_parquet(files)
        )

    def collect(self, rows: pl.LazyFrame) -> pl.DataFrame:
        """Run a query over fact files; a damaged file gives a `DataError`."""
        try:
            return rows.collect()
        except (pl.exceptions.ComputeError, pl.exceptions.SchemaError, OSError) as error:
            raise DataError(
                f"a fact file below {self.home / 'facts'} cannot be read ({str(error).splitlines()[0]}); find it with "
                "'steadybid doctor', restore it from a backup, or import the reports into a new workspace"
            ) from error

    def damaged(self) -> list[str]:
        """Files that count but are missing, shortened or unreadable."""
        with self._database.read() as connection:
            named = connection.execute(sa.select(files.c.path, files.c.bytes, files.c.rows).where(files.c.live)).all()
        return [path for path, size, rows in named if not _is_whole(self.home / path, size, rows)]

    def compact(self, account: str, fact_table: str, schema: Mapping[str, pl.DataType], now: datetime) -> int:
        """Replace an account's small files of a table by one per part; gives the number that was replaced.

        Rows keep their order and their `seq`; readers that hold the old list keep reading the old files until
        the sweep's grace period ends.
        """
        with self._database.read() as connection:
            old = self.live(connection, account, fact_table)
        replaced = 0
        for part in sorted({f.part for f in old}, key=str):
            group = [f for f in old if f.part == part]
            if len(group) < 2:
                continue
            rows = self.collect(self.scan([f.path for f in group], schema))
            starts = rows["start_local"].dt.strftime("%Y-%m-%dT%H:%M:%S") if "start_local" in rows.columns else None
            merged = self.stage(
                fact_table,
                rows,
                part=part,
                first_start=None if starts is None else str(starts.min()),
                last_start=None if starts is None else str(starts.max()),
            )
            with self._database.write() as connection:
                still = {f.path for f in self.live(connection, account, fact_table)}
                if not {f.path for f in group} <= still:
                    continue  # somebody else compacted; our file is swept later
                connection.execute(
                    files.update().where(files.c.path.in_([f.path for f in group])).values(live=False, retired_at=now)
                )
                self.register(connection, account, [merged])
            replaced += len(group)
        return replaced

    def sweep(self, now: datetime, grace: timedelta) -> Swept:
        """Remove files that do not count and have not counted for the grace period."""
        before = now - grace
        with self._database.write() as connection:
            retired = connection.execute(
                sa.select(files.c.path).where(~files.c.live, files.c.retired_at < before)
            ).scalars()
            gone = set(retired)
            if gone:
                connection.execute(files.delete().where(~files.c.live, files.c.retired_at < before))
            named = set(connection.execute(sa.select(files.c.path)).scalars())
        count = size = 0
        for path in sorted((self.home / "facts").rglob("*.parquet*")):
            relative = path.relative_to(self.home).as_posix()
            if relative in named:
                continue
            try:
                state = path.stat()
                if relative in gone or state.st_mtime < before.timestamp():
                    path.unlink()
                    count, size = count + 1, size + state.st_size
            except FileNotFoundError:
                continue  # another sweep was faster
        return Swept(count, size)


def _make_folder(folder: Path, home: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    _sync(folder.parent)
    _sync(home)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_whole(path: Path, size: int, rows: int) -> bool:
    try:
        return path.stat().st_size == size and pl.scan_parquet(path).select(pl.len()).collect().item() == rows
    except (OSError, pl.exceptions.ComputeError):
        return False
