"""Workspaces, report rows and plans for the data room's tests."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from data import IngestResult, Workspace
from domain.account import Account
from domain.groups import Groups
from domain.plans import ACTION, INTERVENTIONS, PLAN, RECEIPTS, BidPlan, Receipts, RowReport, SpendTargets
from domain.problem import Certificate, Status
from domain.tables import BIDS, FACTS, QUARANTINE, UNITS, BidTable, Known, empty
from domain.time import Hour

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    """When files are imported, unless a test says otherwise."""
    return NOW


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace with the account ``shop`` (INR, UTC)."""
    made = Workspace.open(tmp_path / "home", create=True)
    made.create_account(Account("shop", "INR"), NOW)
    return made


@pytest.fixture
def facts() -> Callable[..., pl.DataFrame]:
    """Report rows from dicts; what a dict leaves out is a plain row of the targeting report."""

    def make(*rows: Mapping[str, Any]) -> pl.DataFrame:
        plain: dict[str, Any] = {
            "report": "targeting",
            "start_local": datetime(2026, 2, 1),
            "grain": "day",
            "campaign": "C1",
            "ad_group": "G1",
            "target": "shoes",
            "match_type": "EXACT",
            "impressions": 100.0,
            "clicks": 10.0,
            "spend": 50.0,
            "orders": 2.0,
            "units_sold": 2.0,
            "gmv": 200.0,
        }
        whole = [{**plain, "row_number": n + 2, **row} for n, row in enumerate(rows)]
        return pl.DataFrame([{n: r.get(n) for n in FACTS} for r in whole], schema=dict(FACTS))

    return make


@pytest.fixture
def take(workspace: Workspace) -> Callable[..., IngestResult]:
    """Import rows as a file; the file's hash is its name unless given."""

    def ingest(rows: pl.DataFrame, file: str = "a.csv", **given: Any) -> IngestResult:
        report = rows["report"][0] if rows.height else "targeting"
        plain = {
            "account": "shop",
            "report": report,
            "file": file,
            "sha256": file,
            "currency": "INR",
            "attribution_days": 14,
            "quarantined": empty(QUARANTINE),
            "now": NOW,
            "report_lag_hours": 12.0,
        }
        options = {**plain, **given}
        return workspace.ingest(options.pop("account"), rows, **options)

    return ingest


@pytest.fixture
def known() -> Callable[..., Known]:
    """What is known of two units at an hour, without rows."""

    def make(hour: Hour, account: str = "shop") -> Known:
        columns = {"unit_id": ["u1", "u2"], "campaign": ["C1", "C2"]}
        rest = {n: [None, None] for n in UNITS if n not in columns}
        units = pl.DataFrame({**columns, **rest}, schema_overrides=dict(UNITS)).select(list(UNITS))
        from domain.tables import ARRIVALS, PERFORMANCE

        live = pl.DataFrame(
            {
                "unit_id": ["u1", "u2"],
                "bid_cpc": [0.5, 0.6],
                "state": ["enabled"] * 2,
                "known": [True] * 2,
                "edits_today": [0] * 2,
            },
            schema=dict(BIDS),
        )
        return Known(Account(account, "INR"), hour, units, empty(PERFORMANCE), empty(ARRIVALS), BidTable(live))

    return make


@pytest.fixture
def plan() -> Callable[..., BidPlan]:
    """A full plan of two units, with targets, interventions and infinities."""

    def make(
        hour: Hour, bids: Sequence[float | None] = (0.7, 0.0), account: str = "shop", reason: str = "budget binds"
    ) -> BidPlan:
        figures = {n: [1.5, None] for n in PLAN if n not in ("unit_id", "campaign", "action", "bid_cpc", "limit")}
        units = pl.DataFrame(
            {
                "unit_id": ["u1", "u2"],
                "campaign": ["C1", None],
                "bid_cpc": list(bids),
                "limit": [None, "cap"],
                **figures,
            },
            schema_overrides={n: t for n, t in PLAN.items() if n != "action"},
        )
        units = units.with_columns(pl.Series("action", ["set", "pause"]).cast(ACTION)).select(list(PLAN))
        groups = Groups(("account", "campaign:C1"), np.array([-1, 0], np.int32), np.array([1, 0], np.int32))
        targets = SpendTargets(
            hour=hour,
            groups=groups,
            amount=np.array([10.0, 1 / 3]),
            ceiling=np.array([np.inf, 5.0]),
            theta=np.array([1.25, np.inf]),
            offset=np.array([0.0, -0.1]),
            status=Status.BUDGET_BINDS,
            rows=(RowReport("budget", "account", 100.0, 20.0, 60.0, 80.0, True, 3.4, "80 of 100 left"),),
            certificate=Certificate(10.0, 10.5, 0.05, 0.0, "within 5 %"),
            reason="spends the budget",
            trim=0.97,
            attempts=("newton: no answer",),
        )
        changed = pl.DataFrame([("u2", "cap", 9.0, None)], schema=dict(INTERVENTIONS), orient="row")
        return BidPlan(
            account, hour, units, targets, changed, Status.BUDGET_BINDS, reason, ("a note",), ("an attempt",)
        )

    return make


@pytest.fixture
def receipts() -> Receipts:
    """One bid applied, one refused."""
    rows = [("u1", "applied", 0.7, None), ("u2", "rejected", None, "below the floor")]
    return Receipts(pl.DataFrame(rows, schema=dict(RECEIPTS), orient="row"))
