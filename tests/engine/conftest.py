"""A small shop whose platform tells hourly rows, counts what it is sent, and can be told to fail."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data import Workspace
from domain.account import Account, Mode
from domain.goals import Period, Target, TargetKind
from domain.plans import RECEIPTS, BidPlan, Receipts
from domain.tables import BIDS, REPORT, UNITS, BidTable, ReportBatch
from domain.time import FixedClock, Hour, Window

N_UNITS = 12
SEED = 20261111
NOON = Hour(datetime(2026, 11, 11, 12, tzinfo=UTC))


def unit_table() -> pl.DataFrame:
    columns = {
        "unit_id": [f"unit {k}" for k in range(N_UNITS)],
        "campaign": [f"campaign {k % 2}" for k in range(N_UNITS)],
        "price": [20.0 + k for k in range(N_UNITS)],
    }
    rest = {n: [None] * N_UNITS for n in UNITS if n not in columns}
    return pl.DataFrame({**columns, **rest}, schema_overrides=dict(UNITS)).select(list(UNITS))


@dataclass
class CountingPlatform:
    """Satisfies `AdPlatform`; every hour's numbers follow from the seed and the hour alone."""

    bids: dict[str, float] = field(default_factory=lambda: {f"unit {k}": 0.5 for k in range(N_UNITS)})
    sent: list[BidPlan] = field(default_factory=list)
    while_reading: Callable[[], object] = lambda: None
    while_sending: Callable[[], object] = lambda: None
    after_sending: Callable[[], object] = lambda: None

    def read_reports(self, window: Window) -> ReportBatch:
        self.while_reading()
        first = max(window.start, NOON.start - timedelta(days=4))
        parts = [
            self._hour(Hour(first).plus(k)) for k in range(max(0, round((window.end - first) / timedelta(hours=1))))
        ]
        return ReportBatch(pl.concat(parts) if parts else pl.DataFrame(schema=dict(REPORT)), "counting platform")

    def _hour(self, hour: Hour) -> pl.DataFrame:
        rng = np.random.default_rng([SEED, int(hour.start.timestamp())])
        clicks = rng.poisson(6.0, N_UNITS).astype(float)
        orders = rng.binomial(clicks.astype(int), 0.1).astype(float)
        return pl.DataFrame(
            {
                "unit_id": [f"unit {k}" for k in range(N_UNITS)],
                "start_utc": [hour.start] * N_UNITS,
                "grain": ["hour"] * N_UNITS,
                "hours": [1.0] * N_UNITS,
                "impressions": clicks * 50 + 100,
                "clicks": clicks,
                "spend": clicks * rng.uniform(0.3, 0.5, N_UNITS),
                "orders": orders,
                "gmv": orders * 25.0,
                "bid_cpc": [0.5] * N_UNITS,
                "learned_at": [hour.end] * N_UNITS,
            },
            schema_overrides=dict(REPORT),
        ).select(list(REPORT))

    def live_bids(self) -> BidTable:
        n = len(self.bids)
        return BidTable(
            pl.DataFrame(
                {
                    "unit_id": list(self.bids),
                    "bid_cpc": list(self.bids.values()),
                    "state": ["enabled"] * n,
                    "known": [True] * n,
                    "edits_today": [0] * n,
                },
                schema=dict(BIDS),
            )
        )

    def publish(self, plan: BidPlan) -> Receipts:
        self.while_sending()
        self.sent.append(plan)
        set_ = plan.units.filter(pl.col("action").cast(pl.String) == "set")
        self.bids.update(set_.select("unit_id", "bid_cpc").iter_rows())
        self.after_sending()
        return Receipts(
            set_.select("unit_id", pl.lit("applied").alias("state"), "bid_cpc", pl.lit(None).alias("reason")).cast(
                dict(RECEIPTS)
            )
        )


@dataclass
class Shop:
    workspace: Workspace
    platform: CountingPlatform
    clock: FixedClock

    def mode(self, mode: Mode) -> None:
        self.workspace.set_mode("north", mode, by="Ada", reason="test", now=self.clock.now())

    def daily_budget(self, amount: float) -> None:
        target = Target(TargetKind.BUDGET, amount, period=Period.DAY)
        self.workspace.set_target("north", target, by="Ada", reason="test", now=self.clock.now())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Account ``north`` in EUR with 12 units and a daily budget, at five past noon."""
    workspace = Workspace.open(tmp_path / "ws", create=True)
    clock = FixedClock(NOON.start + timedelta(minutes=5))
    workspace.create_account(Account("north", "EUR", platform="sim"), clock.now())
    workspace.declare_units("north", unit_table(), learned_at=NOON.start - timedelta(days=30))
    made = Shop(workspace, CountingPlatform(), clock)
    made.daily_budget(900.0)
    return made
