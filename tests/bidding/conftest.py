"""Accounts and problems for the bidding room's tests; every draw takes a seed in sight."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.optimize import OptimizeResult, linprog
from scipy.special import ndtr

from domain.account import Account
from domain.groups import Groups
from domain.outlook import Auction, Outlook, RateForecast
from domain.plans import RowReport, SpendTargets
from domain.problem import Problem, RowKind, Rows, Status
from domain.tables import (
    ARRIVALS,
    BIDS,
    HOURS,
    PERFORMANCE,
    UNITS,
    BidTable,
    Known,
    Priors,
    empty,
)
from domain.time import Hour

START = datetime(2026, 11, 9, 0, tzinfo=UTC)


def log_normal_tables(rng: np.random.Generator, n: int, levels: int) -> dict[str, np.ndarray]:
    """Second-price response of n units at `levels` bids: log-normal market prices, heavy-tailed click values."""
    median, spread = np.exp(rng.normal(0, 0.6, n)), rng.uniform(0.3, 1.2, n)
    offers, value = np.exp(rng.normal(3, 1, n)), np.exp(rng.normal(1.5, 1, n))
    grid = np.linspace(-2.5, 2.5, levels)
    z = grid / spread[:, None]
    clicks = offers[:, None] * ndtr(z)
    spend = (offers * median * np.exp(spread**2 / 2))[:, None] * ndtr(z - spread[:, None])
    return {
        "bids": median[:, None] * np.exp(grid),
        "clicks": clicks,
        "spend": spend,
        "gmv": value[:, None] * clicks,
        "orders": clicks * rng.uniform(0.01, 0.1, n)[:, None],
        "value": value,
    }


def tree(rng: np.random.Generator, n: int, kinds: int, campaigns: int) -> Groups:
    """Account > business types > campaigns; units may hang on any of them."""
    names, parent = ["account"], [-1]
    for b in range(kinds):
        names.append(f"business_type:{b}")
        parent.append(0)
    for k in range(campaigns):
        names.append(f"campaign:{k}")
        parent.append(int(rng.integers(1, kinds + 1)) if kinds else 0)
    leaf = rng.integers(0, len(names), n)
    return Groups(tuple(names), np.array(parent, np.int32), leaf.astype(np.int32))


@pytest.fixture(scope="session")
def laminar_problem() -> Callable[..., Problem]:
    """Random problem with budget and ROI rows on most nodes of a tree of up to three levels."""

    def make(rng: np.random.Generator, units: int = 40, levels: int = 8, forced: float = 0.0, windows: bool = False):
        n = int(rng.integers(1, units + 1))
        t = log_normal_tables(rng, n, int(rng.integers(1, levels + 1)))
        width = t["bids"].shape[1]
        groups = tree(rng, n, int(rng.integers(0, 3)), int(rng.integers(0, 6)))
        spend, gmv = groups.rolled_up(t["spend"][:, -1]), groups.rolled_up(t["gmv"][:, -1])
        rows: list[tuple[RowKind, int, float, float]] = []
        for g in range(len(groups.names)):
            if rng.random() < 0.8:
                rows.append((RowKind.BUDGET, g, 0.0, float(spend[g] * rng.uniform(0.02, 1.1))))
            if rng.random() < 0.8:
                target = max(gmv[g] / max(spend[g], 1e-9) * rng.uniform(0.7, 3), 1e-3)
                rows.append(
                    (RowKind.ROI, g, float(target), float(rng.choice([0, 0, 1, -1]) * gmv[g] * rng.uniform(0, 0.15)))
                )
        first = last = None
        if windows:
            first = rng.integers(0, width, n).astype(np.int16)
            last = np.minimum(width - 1, first + rng.integers(0, 4, n)).astype(np.int16)
        return Problem(
            t["bids"],
            t["clicks"],
            t["spend"],
            t["gmv"],
            groups,
            Rows.of(*rows),
            orders=t["orders"],
            first=first,
            last=last,
            may_pause=rng.random(n) >= forced,
        )

    return make


@pytest.fixture(scope="session")
def highs() -> Callable[[Problem], OptimizeResult]:
    """The program in its plain form, by HiGHS' dual simplex."""

    def solve(problem: Problem) -> OptimizeResult:
        n, levels = problem.bids.shape
        first = np.zeros(n, int) if problem.first is None else problem.first
        last = np.full(n, levels - 1) if problem.last is None else problem.last
        number = np.arange(levels)
        allowed = (number >= first[:, None]) & (number <= last[:, None])
        sums = np.kron(np.eye(n), np.ones(levels))
        left = []
        for kind, g, target in zip(problem.rows.kind, problem.rows.group, problem.rows.target, strict=True):
            terms = {
                RowKind.BUDGET: problem.spend,
                RowKind.ROI: target * problem.spend - problem.gmv,
                RowKind.CPC: problem.spend - target * problem.clicks,
                RowKind.CPA: problem.spend - target * (problem.clicks if problem.orders is None else problem.orders),
            }[RowKind(int(kind))]
            left.append(np.where(problem.groups.members(int(g))[:, None], terms, 0.0).ravel())
        held = np.zeros(n, bool) if problem.may_pause is None else ~problem.may_pause
        return linprog(
            -(problem.gmv if problem.value is None else problem.value).ravel(),
            A_ub=np.vstack([sums, *left]),
            b_ub=np.concatenate([np.ones(n), problem.rows.right]),
            A_eq=sums[held] if held.any() else None,
            b_eq=np.ones(int(held.sum())) if held.any() else None,
            bounds=np.column_stack([np.zeros(n * levels), allowed.ravel().astype(float)]),
            method="highs-ds",
        )

    return solve


@pytest.fixture(scope="session")
def enriched() -> Callable[[Problem, np.random.Generator], Problem]:
    """Same tables with CPC and CPA rows among the others, and in some draws an uplifted objective."""

    def make(problem: Problem, rng: np.random.Generator) -> Problem:
        rows, groups = problem.rows, problem.groups
        kind, target, right = rows.kind.copy(), rows.target.copy(), rows.right.copy()
        spend = groups.rolled_up(problem.spend[:, -1])
        cpc = spend / np.maximum(groups.rolled_up(problem.clicks[:, -1]), 1e-9)
        cpa = spend / np.maximum(groups.rolled_up(problem.orders[:, -1]), 1e-9)
        for r, g in enumerate(rows.group):
            draw = rng.random()
            if draw < 0.5:
                kind[r], price = (RowKind.CPC, cpc[g]) if draw < 0.35 else (RowKind.CPA, cpa[g])
                target[r], right[r] = max(price * rng.uniform(0.3, 1.1), 1e-6), 0.0
            elif kind[r] == RowKind.ROI:
                right[r] = max(right[r], 0.0)
        value = problem.gmv * rng.uniform(0.5, 1.5, (problem.gmv.shape[0], 1)) if rng.random() < 0.4 else None
        return replace(problem, rows=Rows(kind, rows.group, target, right), value=value, may_pause=None)

    return make


@pytest.fixture(scope="session")
def positioned() -> Callable[[Problem, np.random.Generator], Problem]:
    """Same problem with clicks that convert better or worse at higher bids, as on pages with several positions."""

    def make(problem: Problem, rng: np.random.Generator) -> Problem:
        n, levels = problem.bids.shape
        steps = rng.uniform(0.9, 1.25, (2, n, levels))
        gmv, orders = (
            np.maximum.accumulate(table * np.cumprod(step, axis=1), axis=1)
            for table, step in zip((problem.gmv, problem.orders), steps, strict=True)
        )
        return replace(problem, gmv=gmv, orders=orders)

    return make


@pytest.fixture(scope="session")
def account_hour() -> Callable[..., tuple[Known, Outlook, SpendTargets]]:
    """What a policy sees in one hour of a small account."""

    def make(
        rng: np.random.Generator,
        n: int = 12,
        theta: float | np.ndarray = 4.0,
        offset: float = 0.0,
        live: np.ndarray | None = None,
        known_bids: np.ndarray | None = None,
        reported: pl.DataFrame | None = None,
        hour: int = 30,
        auction: Auction = Auction.SECOND_PRICE,
        rows: tuple[RowReport, ...] = (),
        edits: int = 0,
    ) -> tuple[Known, Outlook, SpendTargets]:
        t = log_normal_tables(rng, n, 20)
        value = t["value"]
        if auction is Auction.FIRST_PRICE:
            t["spend"] = t["bids"] * t["clicks"]
        hours = tuple(Hour(START + timedelta(hours=hour + h)) for h in range(4))
        columns = {
            "unit_id": [f"U{i}" for i in range(n)],
            "campaign": [f"C{i % 3}" for i in range(n)],
            "price": value / 0.05,
            "prior_cvr": np.full(n, 0.05),
            "prior_order_value": value / 0.05,
        }
        units = pl.DataFrame({k: columns.get(k, [None] * n) for k in UNITS}, schema=dict(UNITS), strict=False)
        bids = np.full(n, np.nan) if live is None else live
        told = np.ones(n, np.bool_) if known_bids is None else known_bids
        table = pl.DataFrame(
            {
                "unit_id": units["unit_id"],
                "bid_cpc": pl.Series(bids, nan_to_null=True),
                "state": pl.Series(["enabled"] * n, dtype=BIDS["state"]),
                "known": told,
                "edits_today": np.full(n, edits),
            },
            schema_overrides=dict(BIDS),
        )
        forecast = pl.DataFrame(
            {
                "start_utc": [START + timedelta(hours=h) for h in range(120)],
                "traffic": np.ones(120),
                "cvr_factor": np.ones(120),
                "price_factor": np.ones(120),
            },
            schema_overrides=dict(HOURS),
        )
        known = Known(
            Account("test", "INR", "Asia/Kolkata"),
            hours[0],
            units,
            empty(PERFORMANCE) if reported is None else reported,
            empty(ARRIVALS),
            BidTable(table),
            priors=Priors(hours=forecast),
        )
        ones = np.ones(n)
        outlook = Outlook(
            hours=hours,
            bids=t["bids"],
            impressions=t["clicks"] * 20,
            clicks=t["clicks"],
            spend=t["spend"],
            orders=t["clicks"] * 0.05,
            gmv=t["gmv"],
            traffic=np.ones((n, 4)),
            price=np.array([1.0, 1.2, 1.0, 0.9]),
            value=np.array([1.1, 1.0, 1.0, 1.0]),
            click_value=value,
            cvr=RateForecast(0.05 * ones, 0.04 * ones, 0.06 * ones, 100 * ones),
            click_value_cv=0.2 * ones,
            volume_cv=0.2 * ones,
            common_value_cv=0.05,
            bid_proxy=t["bids"][:, 8],
            bid_known=told,
            support_low=t["bids"][:, 3],
            support_high=t["bids"][:, 15],
            matured_orders=np.zeros(known.performance.height),
            matured_gmv=np.zeros(known.performance.height),
            auction=auction,
        )
        groups = Groups.from_units(units)
        g = len(groups.names)
        targets = SpendTargets(
            hours[0],
            groups,
            np.zeros(g),
            np.full(g, np.inf),
            np.broadcast_to(theta, n).astype(float),
            np.full(n, offset),
            Status.BUDGET_BINDS,
            rows,
            None,
            "budget binds",
        )
        return known, outlook, targets

    return make
