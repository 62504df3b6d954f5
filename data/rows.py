"""Rows of one account in one table of the warehouse: read once, kept up to date, added to in one transaction."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime

import polars as pl
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from data.database import Database
from data.warehouse import Staged, Warehouse
from domain.tables import BIDS, BUDGETS, CATALOG, REPORT, UNITS, UTC_TIME, check

_STORED: Mapping[str, pl.DataType] = {"account": pl.String(), "seq": pl.Int64()}
_LEARNED: Mapping[str, pl.DataType] = {"learned_at": UTC_TIME}

#: What platforms report of units, as handed over by `ReportStore.append`.
STORED_REPORT: Mapping[str, pl.DataType] = {**REPORT, **_STORED}
#: Live bids as they were read.
STORED_BIDS: Mapping[str, pl.DataType] = {**BIDS, **_LEARNED, **_STORED}
#: Units that were declared, in the order of their declaration.
STORED_UNITS: Mapping[str, pl.DataType] = {**UNITS, "position": pl.Int64(), **_LEARNED, **_STORED}
#: Daily budgets that were read apart from reports.
STORED_BUDGETS: Mapping[str, pl.DataType] = {**BUDGETS, **_STORED}
#: What the trader says of goods; `assumed` marks what counts as always known.
STORED_CATALOG: Mapping[str, pl.DataType] = {**CATALOG, **_LEARNED, "assumed": pl.Boolean(), **_STORED}

_ATTEMPTS = 3


class Rows:
    """All versions of an account's rows in one table.

    The rows of files that were read before are kept in memory; since files never change, only new ones are
    read. Other processes' commits are seen by the next call.
    """

    def __init__(
        self, database: Database, warehouse: Warehouse, account: str, table: str, schema: Mapping[str, pl.DataType]
    ) -> None:
        self._database = database
        self._warehouse = warehouse
        self.account = account
        self.table = table
        self.schema = schema
        self._read: tuple[str, ...] = ()
        self._rows = pl.DataFrame(schema=dict(schema))

    def all(self) -> pl.DataFrame:
        """Every version that counts, in the order of commits."""
        live = tuple(f.path for f in self._warehouse.live_now(self.account, self.table))
        if live != self._read:
            known = len(self._read) if live[: len(self._read)] == self._read else 0
            fresh = self._warehouse.collect(self._warehouse.scan(live[known:], self.schema))
            fresh = check(fresh, self.schema, f"facts of table {self.table}")
            self._rows = pl.concat([self._rows, fresh]) if known else fresh
            self._read = live
        return self._rows

    def until(self, cut: datetime | None) -> pl.DataFrame:
        """Versions learned at or before an instant; all of them where there is none."""
        return self.all() if cut is None else self.all().filter(pl.col("learned_at") <= cut)


Make = Callable[[], Sequence[tuple[Rows, pl.DataFrame]]]


def add(database: Database, warehouse: Warehouse, make: Make) -> None:
    """Add rows to several tables of an account at once: all appear, or none.

    `make` gives the rows without ``account`` and ``seq``. It is called again where another writer came between,
    so that it can compare with what that one stored.
    """
    for _ in range(_ATTEMPTS):
        try:
            _add_once(database, warehouse, make, None)
            return
        except IntegrityError:
            continue
    with database.write() as turn:  # others keep coming between: compare while they wait
        warehouse.take_turn(turn, make()[0][0].account)
        _add_once(database, warehouse, make, turn)


def _add_once(database: Database, warehouse: Warehouse, make: Make, turn: sa.Connection | None) -> None:
    wanted = [(rows, frame) for rows, frame in make() if frame.height]
    if not wanted:
        return
    account = wanted[0][0].account
    with database.read() if turn is None else nullcontext(turn) as connection:
        places = {rows.table: warehouse.next_seq(connection, account, rows.table) for rows, _ in wanted}
    staged: list[tuple[Staged, int]] = []
    for rows, frame in wanted:
        place = places[rows.table]
        marked = frame.with_columns(pl.lit(account).alias("account"), pl.lit(place, pl.Int64()).alias("seq"))
        staged.append((warehouse.stage(rows.table, check(marked, rows.schema, rows.table)), place))
    with database.write() if turn is None else nullcontext(turn) as connection:
        for file, place in staged:
            warehouse.register(connection, account, [file], place)
