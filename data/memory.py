"""One account's rows in memory: the store of simulated runs, where an hour may cost a few milliseconds.

What holds now is kept in dense columns, one block of units per hour or day, and changed in place. Every
version is kept too, so that a cut at an earlier hour is made anew from what was known then. Answers are the same
as those of the SQL store (tests/contracts).
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data.versions import whole_rows
from domain.account import Account
from domain.errors import DataError
from domain.tables import (
    ARRIVALS,
    BIDS,
    BUDGETS,
    CREDITS,
    GRAIN,
    PERFORMANCE,
    UNITS,
    UTC_TIME,
    BidTable,
    Ints,
    Known,
    Priors,
    ReportBatch,
    check,
    empty,
    instants,
)
from domain.time import Hour

_VALUES = ("hours", "impressions", "clicks", "spend", "orders", "gmv", "bid_cpc")
_ORDERS, _GMV = _VALUES.index("orders"), _VALUES.index("gmv")
_CLICKS, _SPEND = _VALUES.index("clicks"), _VALUES.index("spend")


def _order(contract: Mapping[str, pl.DataType]) -> list[str]:
    """Columns by which rows of a contract stand: time learned, start, unit, numbers."""
    unit, start, learned, *numbers = contract
    return [learned, start, unit, *numbers]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Versions that were stored at once: block, unit, values (n_rows, n_values) and time learned (µs)."""

    block: NDArray[np.int32]
    unit: NDArray[np.int32]
    values: NDArray[np.float64]
    learned: Ints

    def rows(self, chosen: NDArray[np.intp]) -> "_Batch":
        """Some of the versions."""
        return _Batch(self.block[chosen], self.unit[chosen], self.values[chosen], self.learned[chosen])

    def slot(self, n_units: int) -> Ints:
        """Number of the row that each version is of."""
        return self.block.astype(np.int64) * n_units + self.unit


class _Steps:
    """What versions added to those before, a table that grows at its end."""

    def __init__(self, contract: Mapping[str, pl.DataType]) -> None:
        self._contract, self._order = contract, _order(contract)
        self._rows = empty(contract)
        self._fresh: list[tuple[_Batch, NDArray[np.float64]]] = []

    def take(self, batch: _Batch, added: NDArray[np.float64]) -> None:
        """Note versions and what each added, (n_rows, 2); those that added nothing are left out."""
        some = np.flatnonzero(added.any(axis=1))
        if some.size:
            self._fresh.append((batch.rows(some), added[some]))

    def table(self, start: Ints, kept: NDArray[np.bool_] | None = None) -> pl.DataFrame:
        """Rows of the contract; `start` in µs, and whether steps of a block are kept, are by block."""
        if self._fresh:
            batches, added = zip(*self._fresh, strict=True)
            block = np.concatenate([b.block for b in batches])
            mine = slice(None) if kept is None else kept[block]
            numbers = np.concatenate(added)[mine]
            fresh = pl.DataFrame(
                [
                    pl.Series(np.concatenate([b.unit for b in batches])[mine].astype(np.uint32)),
                    _instants(start[block[mine]]),
                    _instants(np.concatenate([b.learned for b in batches])[mine]),
                    pl.Series(numbers[:, 0]),
                    pl.Series(numbers[:, 1]),
                ],
                schema=list(self._contract),
            ).sort(self._order)
            before = self._rows
            joined = pl.concat([before, fresh], rechunk=True)
            later = not before.height or not fresh.height or fresh["learned_at"][0] > before["learned_at"][-1]
            self._rows = joined if later else joined.sort(self._order)
            self._fresh.clear()
        return self._rows


class _State:
    """What holds after some versions: columns (n_blocks, n_units) that grow by doubling."""

    def __init__(self, n_units: int) -> None:
        self._n_units = n_units
        self._values = np.full((len(_VALUES), 0, n_units), np.nan)
        self._learned = np.zeros((0, n_units), np.int64)
        self._arrivals = _Steps(ARRIVALS)
        self._credits = _Steps(CREDITS)
        self.newest = np.iinfo(np.int64).min

    def in_order(self, batch: _Batch, n_blocks: int) -> bool:
        """Whether no version was learned before the one of its row that is in force."""
        self.grow(n_blocks)
        return bool((batch.learned >= self._learned[batch.block, batch.unit]).all())

    def take(self, batch: _Batch) -> _Batch:
        """Put versions of distinct rows in force; gives those that changed something."""
        old = self._values[:, batch.block, batch.unit].T
        same = ((old == batch.values) | (np.isnan(old) & np.isnan(batch.values))).all(axis=1)
        keep = np.flatnonzero(~same)
        if keep.size < same.size:
            batch, old = batch.rows(keep), old[keep]
        self._values[:, batch.block, batch.unit] = batch.values.T
        self._learned[batch.block, batch.unit] = batch.learned
        added = batch.values[:, [_ORDERS, _GMV]] - np.nan_to_num(old[:, [_ORDERS, _GMV]])
        self._arrivals.take(batch, added)
        again = np.flatnonzero(~np.isnan(old[:, 0]))
        if again.size:
            changed = batch.values[again][:, [_CLICKS, _SPEND]] - old[again][:, [_CLICKS, _SPEND]]
            self._credits.take(batch.rows(again), changed)
        if batch.learned.size:
            self.newest = max(self.newest, int(batch.learned.max()))
        return batch

    def performance(self, order: NDArray[np.intp], start: Ints, day: NDArray[np.bool_]) -> pl.DataFrame:
        """Rows `PERFORMANCE` of the blocks in `order`; `start` in µs and `day` are by block."""
        n = order.size
        in_order = bool((order == np.arange(n)).all())
        values = self._values[:, :n] if in_order else self._values[:, order]
        learned = self._learned[:n] if in_order else self._learned[order]
        there = ~np.isnan(values[0])
        if there.all():
            block, unit = np.repeat(order, self._n_units), np.tile(np.arange(self._n_units), n)
            columns = values.reshape(len(_VALUES), -1).copy()
            when = learned.reshape(-1).copy()
        else:
            place, unit = np.nonzero(there)
            block = order[place]
            columns, when = values[:, place, unit], learned[place, unit]
        frame = {
            "unit": pl.Series(unit.astype(np.uint32)),
            "start_utc": _instants(start[block]),
            "grain": _grains(day[block]),
            **{name: pl.Series(column) for name, column in zip(_VALUES, columns, strict=True)},
            "learned_at": _instants(when),
        }
        return pl.DataFrame(frame).with_columns(pl.col("bid_cpc").fill_nan(None)).select(list(PERFORMANCE))

    def arrivals(self, start: Ints) -> pl.DataFrame:
        """Rows `ARRIVALS`; `start` in µs is by block."""
        return self._arrivals.table(start)

    def credits(self, start: Ints, day: NDArray[np.bool_]) -> pl.DataFrame:
        """Rows `CREDITS`; `start` in µs and `day` are by block."""
        return self._credits.table(start, ~day)

    def grow(self, n_blocks: int) -> None:
        """Make room for blocks."""
        room = self._learned.shape[0]
        if n_blocks <= room:
            return
        more = max(n_blocks, 2 * room, 32) - room
        empty_values = np.full((len(_VALUES), more, self._n_units), np.nan)
        self._values = np.concatenate([self._values, empty_values], axis=1)
        self._learned = np.concatenate([self._learned, np.zeros((more, self._n_units), np.int64)])


class MemoryStore:
    """`ReportStore` and `AsOf` of one account with fixed units.

    Parameters
    ----------
    account
        Whose rows these are.
    units
        Columns `UNITS`; positions of units anywhere are positions in it.
    priors
        What is believed before rows speak; handed on with every cut.
    budgets
        Daily budgets, columns `BUDGETS`; each counts from when it was learned.
    """

    def __init__(
        self, account: Account, units: pl.DataFrame, priors: Priors | None = None, budgets: pl.DataFrame | None = None
    ) -> None:
        self._account = account
        self._units = check(units, UNITS, "units")
        twice = self._units.filter(units["unit_id"].is_duplicated())["unit_id"]
        if twice.len():
            raise DataError(f"units declared twice: {twice.head(5).to_list()}")
        self._names = pl.Enum(units["unit_id"])
        self._priors = priors or Priors()
        self._budgets = check(empty(BUDGETS) if budgets is None else budgets, BUDGETS, "budgets")
        self._blocks: dict[tuple[int, bool], int] = {}
        self._start, self._day = np.zeros(0, np.int64), np.zeros(0, np.bool_)
        self._history: list[_Batch] = []
        self._state = _State(units.height)
        self._in_order = True
        self._bids: list[tuple[int, pl.DataFrame]] = []
        self._live: tuple[int, BidTable] | None = None

    def append(self, batch: ReportBatch, live: BidTable, learned_at: datetime) -> None:
        """Keep what is new in a batch and in the live bids.

        Rows count from their own ``learned_at`` on, bids from `learned_at` on. Rows of unknown units raise
        `DataError`.
        """
        bids = check(live.rows, BIDS, "bid table")
        if batch.rows.height:
            self._take(self._as_arrays(whole_rows(batch)))
        moment = _micros(learned_at)
        place = bisect_right(self._bids, moment, key=lambda told: told[0])
        if bids.height and not (place and self._bids[place - 1][1].equals(bids)):
            self._bids.insert(place, (moment, bids))
            self._live = None

    def at(self, hour: Hour) -> Known:
        """All that was known when `hour` started."""
        cut = _micros(hour.start)
        state = self._state if self._in_order and self._state.newest <= cut else self._rebuilt(cut)
        order = np.lexsort((self._day, self._start))
        return Known(
            account=self._account,
            hour=hour,
            units=self._units,
            performance=state.performance(order, self._start, self._day),
            arrivals=state.arrivals(self._start),
            credits=state.credits(self._start, self._day),
            live_bids=self._live_bids(cut),
            budgets=self._budgets_at(hour.start),
            priors=self._priors,
        )

    # -- parts --------------------------------------------------------------------------------------------------

    def _take(self, batch: _Batch) -> None:
        for versions in _in_turn(batch, self._units.height):
            kept = versions
            if self._in_order and self._state.in_order(versions, len(self._blocks)):
                kept = self._state.take(versions)
            else:
                self._in_order = False  # told late: versions are put in order when they are asked for
            if kept.block.size:
                self._history.append(kept)

    def _rebuilt(self, cut: int) -> _State:
        """State made of the versions learned until `cut`, in the order in which they were learned."""
        state = _State(self._units.height)
        state.grow(len(self._blocks))
        if not self._history:
            return state
        every = _Batch(*(np.concatenate([getattr(b, n) for b in self._history]) for n in _Batch.__slots__))
        for versions in _in_turn(every.rows(np.flatnonzero(every.learned <= cut)), self._units.height, twice=True):
            state.take(versions)
        if not self._in_order and cut >= int(every.learned.max()):
            self._state, self._in_order = state, True
        return state

    def _as_arrays(self, rows: pl.DataFrame) -> _Batch:
        names = rows["unit_id"].cast(self._names, strict=False)
        if names.null_count():
            strangers = rows.filter(names.is_null())["unit_id"].unique().sort()
            raise DataError(
                f"reports name {strangers.len()} units that account {self._account.name!r} does not have, such as "
                f"{strangers.head(3).to_list()}; declare the units first, or import their reports"
            )
        start = instants(rows["start_utc"]).astype(np.int64)
        day = (rows["grain"] == "day").to_numpy()
        distinct, inverse = np.unique(start * 2 + day, return_inverse=True)
        block = np.array([self._block(int(m) // 2, bool(m % 2)) for m in distinct], np.int32)[inverse]
        return _Batch(
            block,
            names.to_physical().to_numpy().astype(np.int32),
            np.column_stack([rows[n].to_numpy() for n in _VALUES]),
            instants(rows["learned_at"]).astype(np.int64),
        )

    def _block(self, start: int, day: bool) -> int:
        block = self._blocks.get((start, day))
        if block is None:
            block = self._blocks[start, day] = len(self._blocks)
            self._start, self._day = np.append(self._start, start), np.append(self._day, day)
        return block

    def _live_bids(self, cut: int) -> BidTable:
        """Newest bid of each unit that was learned until `cut`."""
        known = bisect_right(self._bids, cut, key=lambda told: told[0])
        if self._live is None or self._live[0] != known:
            names = self._units["unit_id"]
            rows = _unknown_bids(names)
            for _, table in self._bids[_last_full(self._bids[:known], names) : known]:
                rows = _overlaid(rows, table)
            self._live = (known, BidTable(rows))
        return self._live[1]

    def _budgets_at(self, cut: datetime) -> pl.DataFrame:
        if not self._budgets.height:
            return self._budgets
        known = self._budgets.filter(pl.col("learned_at") <= cut).sort("learned_at", maintain_order=True)
        return known.unique("campaign", keep="last").sort("campaign")


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _instants(micros: Ints) -> pl.Series:
    return pl.Series(micros, dtype=pl.Int64).cast(UTC_TIME)


def _grains(day: NDArray[np.bool_]) -> pl.Series:
    return pl.Series(day.astype(np.uint8)).cat.to(GRAIN)


def _in_turn(batch: _Batch, n_units: int, *, twice: bool = False) -> Iterator[_Batch]:
    """Versions in rounds of distinct rows, each row's in the order in which they were learned.

    Of versions learned at once the last one counts, unless `twice` keeps them all.
    """
    slot = batch.slot(n_units)
    order = np.lexsort((batch.learned, slot))  # stable: learned at once, stored later comes later
    ranked = slot[order]
    again = ranked[1:] == ranked[:-1]
    if not again.any():
        yield batch
        return
    if not twice:
        at_once = again & (np.diff(batch.learned[order]) == 0)
        order = order[np.r_[~at_once, True]]
        ranked = slot[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    nth = np.arange(ranked.size) - np.repeat(starts, np.diff(np.r_[starts, ranked.size]))
    for turn in range(int(nth.max()) + 1):
        yield batch.rows(np.sort(order[nth == turn]))


def _unknown_bids(names: pl.Series) -> pl.DataFrame:
    n = names.len()
    return pl.DataFrame(
        {
            "unit_id": names,
            "bid_cpc": [None] * n,
            "state": ["enabled"] * n,
            "known": [False] * n,
            "edits_today": [0] * n,
        },
        schema=dict(BIDS),
    )


def _last_full(tables: Sequence[tuple[int, pl.DataFrame]], names: pl.Series) -> int:
    """Position of the newest table that names every unit; earlier ones no longer matter."""
    for k in range(len(tables) - 1, -1, -1):
        if tables[k][1].height == names.len() and tables[k][1]["unit_id"].equals(names):
            return k
    return 0


def _overlaid(rows: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    if table["unit_id"].equals(rows["unit_id"]):
        return table
    newest = table.unique("unit_id", keep="last").with_columns(pl.lit(True).alias("_told"))
    joined = rows.join(newest, on="unit_id", how="left", suffix="_new", maintain_order="left")
    told = pl.col("_told").is_not_null()
    return joined.with_columns(
        pl.when(told).then(pl.col(f"{n}_new")).otherwise(pl.col(n)).alias(n) for n in BIDS if n != "unit_id"
    ).select(list(BIDS))
