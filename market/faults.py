"""Trouble on the way between the market and those who bid in it: wrappers around a platform's face, one fault each.

They compose: ``LateReports(RejectedBids(platform, share=0.1), lag=3)``. The market itself runs on as if nothing were
wrong; only what is told of it, and what becomes of edits, changes. Rows that come late carry the time at which
they were told, and never put numbers back in force that newer ones have replaced.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

import numpy as np
import polars as pl

from domain.plans import RECEIPTS, Action, BidPlan, Receipts, ReceiptState
from domain.tables import REPORT, BidTable, ReportBatch, empty
from domain.time import Hour, Window
from market.scenario import FaultKind, Scenario
from market.truth import stream
from market.world import SimWorld

#: Random streams of faults; beside those of market.truth.
_LOST, _TWICE, _RESTATED, _REJECTED = range(20, 24)


class Face(Protocol):
    """A simulated platform, or one that wraps another."""

    @property
    def world(self) -> SimWorld: ...

    @property
    def clock(self) -> int: ...

    @property
    def now(self) -> Hour: ...

    def read_reports(self, window: Window) -> ReportBatch: ...

    def live_bids(self) -> BidTable: ...

    def publish(self, plan: BidPlan) -> Receipts: ...


class Fault:
    """A face that passes everything on; faults change what they must.

    Parameters
    ----------
    inner
        The face that is wrapped.
    """

    def __init__(self, inner: Face) -> None:
        self.inner = inner

    @property
    def world(self) -> SimWorld:
        """World of the platform."""
        return self.inner.world

    @property
    def clock(self) -> int:
        """Position of the hour that is next to run."""
        return self.inner.clock

    @property
    def now(self) -> Hour:
        """Hour that is next to run."""
        return self.inner.now

    def read_reports(self, window: Window) -> ReportBatch:
        """As the platform protocol has it."""
        return self.inner.read_reports(window)

    def live_bids(self) -> BidTable:
        """As the platform protocol has it."""
        return self.inner.live_bids()

    def publish(self, plan: BidPlan) -> Receipts:
        """As the platform protocol has it."""
        return self.inner.publish(plan)


#: Rows that are to be told, and the clock hour from which on they can be read.
Told = tuple[int, pl.DataFrame]


class ReportFault(Fault):
    """A fault in what is reported, and when; reading twice at the same hour gives the same rows twice."""

    def __init__(self, inner: Face) -> None:
        super().__init__(inner)
        self._coming: list[Told] = []
        self._told: list[Told] = []
        self._read_at = self._read_before = -1
        self._newest = np.full((self.world.n_units, self.world.n_hours), -1, np.int64)
        self._names = pl.Enum(self.world.units["unit_id"])

    def schedule(self, rows: pl.DataFrame) -> Iterable[Told]:
        """When rows that are new at this hour are told, and how they then look."""
        raise NotImplementedError

    def read_reports(self, window: Window) -> ReportBatch:
        """What has become readable since the last hour in which reports were read."""
        if self.clock > self._read_at:
            self._read_before, self._read_at = self._read_at, self.clock
            fresh = empty(REPORT)
            if self.clock > 0:
                fresh = self.inner.read_reports(Window(self.world.hours[0].start, self.now.start)).rows
            version = pl.lit(self.clock).alias("_version")
            self._coming += [(when, rows.with_columns(version)) for when, rows in self.schedule(fresh) if rows.height]
            due = [told for told in self._coming if told[0] <= self.clock]
            self._coming = [told for told in self._coming if told[0] > self.clock]
            self._told = [told for told in self._told if told[0] > self._read_before]
            self._told += [(self.clock, self._current(rows)) for _, rows in due]
        parts = [rows for when, rows in self._told if when > self._read_before]
        rows = pl.concat(parts) if parts else empty(REPORT)
        inside = (pl.col("start_utc") >= window.start) & (pl.col("start_utc") < window.end)
        return ReportBatch(rows.filter(inside), source="sim")

    def _current(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows without those that newer numbers have replaced."""
        unit, hour = self.cells(rows)
        version = rows["_version"].to_numpy()
        fresh = version >= self._newest[unit, hour]
        np.maximum.at(self._newest, (unit, hour), version)
        return rows.filter(pl.Series(fresh)).select(list(REPORT))

    def cells(self, rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Unit and hour of each row, as positions."""
        unit = rows["unit_id"].cast(self._names).to_physical().to_numpy().astype(np.int64)
        passed = (rows["start_utc"] - self.world.hours[0].start).dt.total_hours()
        return unit, passed.to_numpy().astype(np.int64)

    def at(self, rows: pl.DataFrame, clock: int) -> pl.DataFrame:
        """Rows as told at a clock hour."""
        moment = self.world.hours[0].plus(clock).start
        return rows.with_columns(pl.lit(moment).cast(REPORT["learned_at"]).alias("learned_at"))

    def some(self, rows: pl.DataFrame, share: float, name: int) -> pl.Series:
        """Which rows are hit this hour, at random; the same ones in any process."""
        return pl.Series(stream(self.world.seed, name, self.clock).random(rows.height) < share)


class LateReports(ReportFault):
    """Every row is told `lag` hours later than it could be."""

    def __init__(self, inner: Face, lag: int) -> None:
        super().__init__(inner)
        self.lag = lag

    def schedule(self, rows: pl.DataFrame) -> Iterable[Told]:
        """All of them, later."""
        return [(self.clock + self.lag, self.at(rows, self.clock + self.lag))]


class LostReports(ReportFault):
    """A share of the rows is missing, and only found when asked for again `hours` later."""

    def __init__(self, inner: Face, share: float, hours: int = 24) -> None:
        super().__init__(inner)
        self.share, self.hours = share, hours

    def schedule(self, rows: pl.DataFrame) -> Iterable[Told]:
        """Those that are there, and the lost ones when they are found."""
        lost = self.some(rows, self.share, _LOST)
        found = self.clock + self.hours
        return [(self.clock, rows.filter(~lost)), (found, self.at(rows.filter(lost), found))]


class DuplicatedReports(ReportFault):
    """A share of the rows is told twice, and once more an hour later."""

    def __init__(self, inner: Face, share: float) -> None:
        super().__init__(inner)
        self.share = share

    def schedule(self, rows: pl.DataFrame) -> Iterable[Told]:
        """Everything, and some of it again."""
        twice = rows.filter(self.some(rows, self.share, _TWICE))
        return [(self.clock, rows), (self.clock, twice), (self.clock + 1, twice)]


class RestatedReports(ReportFault):
    """The first numbers of a share of the rows are off by up to `error`, and put right `hours` later."""

    def __init__(self, inner: Face, share: float, error: float = 0.3, hours: int = 6) -> None:
        super().__init__(inner)
        self.share, self.error, self.hours = share, error, hours
        self._seen = np.zeros((self.world.n_units, self.world.n_hours), np.bool_)

    def schedule(self, rows: pl.DataFrame) -> Iterable[Told]:
        """Rows at first sight with the error, then as they are."""
        unit, hour = self.cells(rows)
        first = ~self._seen[unit, hour]
        self._seen[unit, hour] = True
        off = first & self.some(rows, self.share, _RESTATED).to_numpy()
        draw = stream(self.world.seed, _RESTATED, self.clock, 1).uniform(-self.error, self.error, rows.height)
        factor = pl.Series(np.where(off, 1 + draw, 1.0))
        told = rows.with_columns(pl.col(n) * factor for n in ("impressions", "clicks", "spend", "orders", "gmv"))
        right = self.clock + self.hours
        return [(self.clock, told), (right, self.at(rows.filter(pl.Series(off)), right))]


class AttributionOutage(ReportFault):
    """From clock hour `start` on, for `hours`, no order is told; all of them come when it is over."""

    def __init__(self, inner: Face, start: int, hours: int) -> None:
        super().__init__(inner)
        self.start, self.end = start, start + hours
        shape = (self.world.n_units, self.world.n_hours)
        self._orders, self._gmv = np.zeros(shape), np.zeros(shape)

    def schedule(self, rows: pl.DataFrame) -> Iterable[Told]:
        """Rows with the orders of before the outage while it lasts, then as they are."""
        unit, hour = self.cells(rows)
        if not self.start <= self.clock < self.end:
            self._orders[unit, hour], self._gmv[unit, hour] = rows["orders"], rows["gmv"]
            return [(self.clock, rows)]
        blind = rows.with_columns(orders=pl.Series(self._orders[unit, hour]), gmv=pl.Series(self._gmv[unit, hour]))
        return [(self.clock, blind), (self.end, self.at(rows, self.end))]


class ClockSkew(ReportFault):
    """The platform's clock is `minutes` fast: rows are stamped so, and count that much later."""

    def __init__(self, inner: Face, minutes: int) -> None:
        super().__init__(inner)
        self.minutes = minutes

    def schedule(self, rows: pl.DataFrame) -> Iterable[Told]:
        """All rows at once, with the wrong stamp."""
        return [(self.clock, rows.with_columns(pl.col("learned_at") + pl.duration(minutes=self.minutes)))]


class DarkHours(ReportFault):
    """From clock hour `start` on, for `hours`, nothing can be read and no edit is taken; delivery goes on."""

    def __init__(self, inner: Face, start: int, hours: int) -> None:
        super().__init__(inner)
        self.start, self.end = start, start + hours

    @property
    def dark(self) -> bool:
        """Whether it is dark now."""
        return self.start <= self.clock < self.end

    def schedule(self, rows: pl.DataFrame) -> Iterable[Told]:
        """Nothing while it is dark, everything after."""
        return [(self.end, self.at(rows, self.end))] if self.dark else [(self.clock, rows)]

    def publish(self, plan: BidPlan) -> Receipts:
        """All rejected while it is dark."""
        return refuse(self.inner, plan, lambda units: np.full(units.height, self.dark), "the platform is dark")


class RejectedBids(Fault):
    """A share of the edits is rejected, for no reason that anybody could know."""

    def __init__(self, inner: Face, share: float) -> None:
        super().__init__(inner)
        self.share = share

    def publish(self, plan: BidPlan) -> Receipts:
        """Some rejected; the same ones when a plan is sent again."""
        draw = stream(self.world.seed, _REJECTED, self.clock).random(self.world.n_units)
        hit = {u for u, x in zip(self.world.units["unit_id"], draw, strict=True) if x < self.share}
        return refuse(self.inner, plan, lambda units: units["unit_id"].is_in(list(hit)).to_numpy(), "internal error")


class RateLimited(Fault):
    """No more than `most` edits an hour are taken, first come first served."""

    def __init__(self, inner: Face, most: int) -> None:
        super().__init__(inner)
        self.most = most
        self._hour, self._used = -1, 0

    def publish(self, plan: BidPlan) -> Receipts:
        """The first ones go through, the others are rejected."""
        if self.clock != self._hour:
            self._hour, self._used = self.clock, 0

        def beyond(units: pl.DataFrame) -> np.ndarray:
            left = max(self.most - self._used, 0)
            self._used += min(left, units.height)
            return np.arange(units.height) >= left

        return refuse(self.inner, plan, beyond, "too many requests; try again next hour")


class EditsPerDay(Fault):
    """A unit is edited at most `most` times a local day, whatever the account was told."""

    def __init__(self, inner: Face, most: int) -> None:
        super().__init__(inner)
        self.most = most
        self._day, self._used = "", dict[str, int]()

    def publish(self, plan: BidPlan) -> Receipts:
        """Edits beyond the day's are rejected; a bid that stays is none."""
        today = self.now.local(self.world.account.tz).date().isoformat()
        if today != self._day:
            self._day, self._used = today, {}
        live = dict(self.live_bids().rows.select("unit_id", "bid_cpc").iter_rows())

        def spent(units: pl.DataFrame) -> np.ndarray:
            found = np.zeros(units.height, np.bool_)
            for k, (unit, action, bid) in enumerate(units.select("unit_id", "action", "bid_cpc").iter_rows()):
                wanted = 0.0 if action == Action.PAUSE.value else bid
                if wanted == live.get(unit):
                    continue
                found[k] = self._used.get(unit, 0) >= self.most
                self._used[unit] = self._used.get(unit, 0) + (not found[k])
            return found

        return refuse(self.inner, plan, spent, f"{self.most} edits a day are used up")


class RoundedBids(Fault):
    """Bids are rounded to a coarse `tick` that the account was not told of."""

    def __init__(self, inner: Face, tick: float) -> None:
        super().__init__(inner)
        self.tick = tick

    def publish(self, plan: BidPlan) -> Receipts:
        """The nearest coarse bids, and receipts that say so."""
        coarse = (pl.col("bid_cpc") / self.tick).round().clip(lower_bound=1) * self.tick
        setting = pl.col("action") == Action.SET.value
        sent = plan.units.select("unit_id", wanted="bid_cpc")
        told = self.inner.publish(
            replace(
                plan, units=plan.units.with_columns(bid_cpc=pl.when(setting).then(coarse.round(9)).otherwise("bid_cpc"))
            )
        ).rows
        both = told.join(sent, on="unit_id", how="left", maintain_order="left")
        moved = (pl.col("state") == ReceiptState.APPLIED.value) & ((pl.col("bid_cpc") - pl.col("wanted")).abs() > 1e-9)
        rows = both.with_columns(
            state=pl.when(moved).then(pl.lit(ReceiptState.ADJUSTED.value)).otherwise(pl.col("state").cast(pl.String)),
            reason=pl.when(moved).then(pl.lit(f"rounded to {self.tick:g}")).otherwise("reason"),
        )
        return Receipts(rows.cast({"state": RECEIPTS["state"]}).select(list(RECEIPTS)))  # pyright: ignore[reportArgumentType]


def refuse(inner: Face, plan: BidPlan, hit: Callable[[pl.DataFrame], np.ndarray], reason: str) -> Receipts:
    """Publish a plan without the edits that are hit, which get a rejected receipt at the bid that stays in force."""
    edits = plan.units.filter(pl.col("action").is_in([Action.SET.value, Action.PAUSE.value]))
    refused = edits.filter(pl.Series(hit(edits), dtype=pl.Boolean))
    told = inner.publish(
        replace(plan, units=plan.units.filter(~pl.col("unit_id").is_in(refused["unit_id"].to_list())))
    ).rows
    live = inner.live_bids().rows.select("unit_id", live="bid_cpc")
    rejected = refused.select("unit_id").join(live, on="unit_id", how="left", maintain_order="left")
    rows = rejected.select(
        "unit_id",
        pl.lit(ReceiptState.REJECTED.value).cast(RECEIPTS["state"]).alias("state"),
        pl.col("live").alias("bid_cpc"),
        pl.lit(reason).alias("reason"),
    )
    order = edits.select("unit_id")
    return Receipts(
        order.join(pl.concat([told, rows]), on="unit_id", how="left", maintain_order="left").select(list(RECEIPTS))
    )


def troubled(platform: Face, scenario: Scenario) -> Face:
    """The platform's face with all of a scenario's faults in reporting and editing around it, first one innermost."""
    face = platform
    for fault in scenario.faults:
        hours, share, amount = fault.hours or 0, fault.share or 0.0, fault.amount or 0.0
        start = scenario.position(fault.start) if fault.start is not None else 0
        match fault.kind:
            case FaultKind.LATE_REPORTS:
                face = LateReports(face, hours)
            case FaultKind.LOST_REPORTS:
                face = LostReports(face, share, hours)
            case FaultKind.DUPLICATED_REPORTS:
                face = DuplicatedReports(face, share)
            case FaultKind.RESTATED_REPORTS:
                face = RestatedReports(face, share, amount, hours)
            case FaultKind.ATTRIBUTION_OUTAGE:
                face = AttributionOutage(face, start, hours)
            case FaultKind.DARK_HOURS:
                face = DarkHours(face, start, hours)
            case FaultKind.CLOCK_SKEW:
                face = ClockSkew(face, round(amount))
            case FaultKind.REJECTED_BIDS:
                face = RejectedBids(face, share)
            case FaultKind.ROUNDED_BIDS:
                face = RoundedBids(face, amount)
            case FaultKind.RATE_LIMITED:
                face = RateLimited(face, round(amount))
            case FaultKind.EDITS_PER_DAY:
                face = EditsPerDay(face, round(amount))
            case _:
                pass  # the world's own: market.shocks
    return face
