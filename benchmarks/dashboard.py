"""Times the pages of the dashboard for an account of 2,000 units over 30 days of hours, with 720 decisions.

    python -m benchmarks.dashboard [--units 2000] [--days 30] [--folder FOLDER] [--browser]

Real unit of work: one page, drawn by the server as a person asks for it. *First* = right after the server's start,
with nothing read yet (and the rest of the horizon still to be worked out); *warm* = asked for again. With
``--browser`` a Chromium clicks from page to page of a real server, and time counts until the page is drawn. The
account is invented: steady spend with a daily rhythm, every row restated once when late orders come in.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from data import Workspace
from data.kept import restore
from domain.account import Account, Mode
from domain.goals import Target, TargetKind
from domain.groups import Groups
from domain.plans import ACTION, INTERVENTIONS, PLAN, BidPlan, Decision, DecisionState, RowReport, SpendTargets
from domain.problem import Status
from domain.tables import BIDS, REPORT, UNITS, UTC_TIME, BidTable, ReportBatch, empty
from domain.time import Hour

SEED = 11
START = datetime(2026, 10, 1, tzinfo=UTC)
APP = Path(__file__).resolve().parents[1] / "dashboard" / "app.py"
PORT = 8747
PAGES = ("overview", "cost-stability", "targets", "bids", "merchant")


def build(home: Path, n_units: int, days: int) -> Hour:
    """Workspace with the account ``big``; gives the first hour that has not run."""
    rng = np.random.default_rng(SEED)
    workspace = Workspace.open(home, create=True)
    workspace.create_account(Account("big", "CNY", "Asia/Shanghai", "sim"), START)
    units = pl.DataFrame(
        {
            "unit_id": [f"U{i:05d}" for i in range(n_units)],
            "campaign": [f"C{i % 40:02d}" for i in range(n_units)],
            "business_type": ["home" if i % 40 < 20 else "beauty" for i in range(n_units)],
            "price": rng.lognormal(4.4, 0.5, n_units),
            "margin_rate": np.full(n_units, 0.4),
        }
    )
    units = units.with_columns(pl.lit(None, t).alias(n) for n, t in UNITS.items() if n not in units.columns)
    workspace.declare_units("big", units.select(list(UNITS)).cast(dict(UNITS)), learned_at=START)
    store = workspace.asof("big")
    size, bid = rng.lognormal(0, 1, n_units), np.round(rng.uniform(0.5, 2.0, n_units), 2)
    for day in range(days):
        store.append(ReportBatch(_day(rng, units["unit_id"], size, bid, START + timedelta(days=day))), _live(units, bid), START + timedelta(days=day + 1))  # fmt: skip
    workspace.set_target("big", Target(TargetKind.ROI, 3.0), by="bench", reason="bench", now=START)
    hours = [Hour(START).plus(h) for h in range(days * 24)]
    restore(workspace, "big", [_decision(hour, units, size, bid) for hour in hours])
    workspace.compact("big", START)
    workspace.set_mode("big", Mode.SHADOW, by="bench", reason="bench", now=START)
    workspace.close()
    return hours[-1].plus(1)


def _day(
    rng: np.random.Generator, names: pl.Series, size: np.ndarray, bid: np.ndarray, start: datetime
) -> pl.DataFrame:
    n, hours = names.len(), 24
    rhythm = 1 + 0.6 * np.sin((np.arange(hours) - 8) / 24 * 2 * np.pi)
    clicks = rng.poisson(3 * size[:, None] * rhythm).ravel().astype(float)
    spend = clicks * np.repeat(0.7 * bid, hours) * rng.lognormal(0, 0.1, n * hours)
    orders = rng.binomial(clicks.astype(int), 0.03).astype(float)
    starts = np.tile(np.arange(hours), n)
    base = pl.DataFrame(
        {
            "unit_id": names.gather(np.repeat(np.arange(n), hours)),
            "start_utc": pl.Series([start + timedelta(hours=h) for h in range(hours)]).gather(starts),
            "grain": pl.repeat("hour", n * hours, eager=True),
            "hours": np.ones(n * hours),
            "impressions": clicks * 40,
            "clicks": clicks,
            "spend": spend,
            "orders": orders,
            "gmv": orders * 90.0,
            "bid_cpc": np.repeat(bid, hours),
        }
    )
    # what is reported first lacks the orders that come late
    early = (pl.col("orders") / 2).floor()
    first = base.with_columns(early.alias("orders"), (early * 90.0).alias("gmv"), (pl.col("start_utc") + pl.duration(hours=1)).alias("learned_at"))  # fmt: skip
    later = base.with_columns((pl.col("start_utc") + pl.duration(hours=30)).alias("learned_at"))
    both = pl.concat([first.select(later.columns), later.filter(pl.col("orders") > 0)])
    return both.with_columns(pl.col("start_utc").cast(UTC_TIME), pl.col("learned_at").cast(UTC_TIME), pl.col("grain").cast(REPORT["grain"])).select(list(REPORT))  # fmt: skip


def _live(units: pl.DataFrame, bid: np.ndarray) -> BidTable:
    n = units.height
    columns = {
        "unit_id": units["unit_id"],
        "bid_cpc": bid,
        "state": ["enabled"] * n,
        "known": [True] * n,
        "edits_today": [0] * n,
    }
    return BidTable(pl.DataFrame(columns, schema=dict(BIDS)))


def _decision(hour: Hour, units: pl.DataFrame, size: np.ndarray, bid: np.ndarray) -> Decision:
    n = units.height
    rhythm = 1 + 0.6 * np.sin((hour.start.hour - 8) / 24 * 2 * np.pi)
    clicks = 3 * size * rhythm
    moved = np.round(bid * (1 + 0.05 * np.sin(hour.hours_since(Hour(START)) + np.arange(n))), 2)
    figures = {"clicks": clicks, "spend": clicks * 0.7 * bid, "orders": clicks * 0.03, "gmv": clicks * 2.7}
    columns = {
        "unit_id": units["unit_id"],
        "campaign": units["campaign"],
        "action": pl.Series(["set"] * n).cast(ACTION),
        "bid_cpc": moved,
        "live_bid_cpc": bid,
        "click_value": np.full(n, 2.7),
        "theta": np.full(n, 2.5),
        "offset": np.zeros(n),
        "evidence_clicks": np.full(n, 300.0),
        "limit": pl.Series([None] * n, dtype=pl.String),
        "impressions": clicks * 40,
        **{f"{name}{end}": values * factor for name, values in figures.items() for end, factor in (("", 1.0), ("_low", 0.7), ("_high", 1.3))},
    }  # fmt: skip
    groups = Groups.from_units(units)
    k = len(groups.names)
    row = RowReport("roi", "account", 3.0, 1000.0, 3200.0, 200.0, True, 0.4, "roi target 3 on account binds")
    targets = SpendTargets(hour, groups, np.zeros(k), np.full(k, np.inf), np.full(n, 2.5), np.zeros(n), Status.ROI_BINDS, (row,), None, "the roi target sets the price of money")  # fmt: skip
    plan = BidPlan("big", hour, pl.DataFrame(columns).select(list(PLAN)), targets, empty(INTERVENTIONS), Status.ROI_BINDS, "the roi target sets the price of money")  # fmt: skip
    return Decision("big", hour, DecisionState.SHADOW, plan, None, {}, hour.start)


def measure(home: Path, now: datetime) -> list[tuple[str, float, float, float]]:
    """Seconds of wall time of each page: the first time in this process, and the best and worst of four warm ones."""
    os.environ |= {"STEADYBID_HOME": str(home), "STEADYBID_NOW": now.isoformat()}
    from streamlit.testing.v1 import AppTest

    found: list[tuple[str, float, float, float]] = []
    for address in PAGES:
        spent: list[float] = []
        for _ in range(5):
            test = AppTest.from_file(str(APP), default_timeout=600)
            test.query_params["page"] = address
            began = time.perf_counter()
            test.run()
            spent.append(time.perf_counter() - began)
            if test.exception or test.error:
                sys.exit(f"{address}: {[e.value for e in (*test.exception, *test.error)]}")
        found.append((address, spent[0], min(spent[1:]), max(spent[1:])))
    return found


def measure_in_browser(home: Path, now: datetime) -> list[tuple[str, float, float, float]]:
    """The same with a browser: from the click on a page's name until it stands there drawn."""
    from playwright.sync_api import Page, sync_playwright

    from dashboard import launch

    def settle(page: Page) -> None:
        page.wait_for_selector("h1", timeout=300_000)
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=300_000)
        page.wait_for_selector("[data-testid=stSkeleton]", state="detached", timeout=300_000)

    url = f"http://127.0.0.1:{PORT}"
    environment = launch.environment(home) | {"STEADYBID_NOW": now.isoformat()}
    server = subprocess.Popen(launch.command(PORT), env=environment, stdout=subprocess.DEVNULL)
    spent: dict[str, list[float]] = {}
    try:
        time.sleep(8)
        with sync_playwright() as playwright:
            flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
            page = browser.new_page()
            began = time.perf_counter()
            page.goto(url)
            settle(page)
            spent["Overview"] = [time.perf_counter() - began]
            for name in ("Cost stability", "Targets", "Bids", "Merchant", "Overview") * 4:
                old = page.inner_text("h1")
                began = time.perf_counter()
                page.get_by_role("link", name=name).click()
                page.wait_for_function("old => document.querySelector('h1')?.innerText !== old", arg=old)
                settle(page)
                spent.setdefault(name, []).append(time.perf_counter() - began)
            browser.close()
    finally:
        server.terminate()
        server.wait()
    return [(name, times[0], min(times[1:]), max(times[1:])) for name, times in spent.items()]


def main() -> None:
    """Build, measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=2000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--folder", type=Path, help="workspace to make, or to use again where it is there")
    parser.add_argument("--browser", action="store_true", help="measure in a Chromium instead")
    options = parser.parse_args()
    home = options.folder or Path(tempfile.mkdtemp(prefix="steadybid-bench-"))
    now = START + timedelta(days=options.days)
    if not (home / "steadybid.db").is_file():
        began = time.perf_counter()
        build(home, options.units, options.days)
        print(f"workspace made in {time.perf_counter() - began:.1f} s")
    print(
        f"{options.units} units, {options.days} days of hours\n{'page':16}{'first':>9}{'warm best':>11}{'warm worst':>12}"
    )
    for address, first, best, worst in (measure_in_browser if options.browser else measure)(home, now):
        print(f"{address:16}{first:8.2f}s{best:10.2f}s{worst:11.2f}s")


if __name__ == "__main__":
    main()
