"""A server, a workspace and a browser for all tests of a file; every page that is opened is watched."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from dashboard import launch
from data import Workspace
from domain.account import Mode
from domain.time import FixedClock, Hour
from engine.cycle import run_cycle
from engine.hourly import run_hour
from evaluation.desks import desk_for
from evaluation.keep import Tape, keep
from evaluation.trace import Hindsight, Recorder
from market import SimPlatform, SimWorld, fluid_optimum, load_scenario

SEED = 5
HOURS_RUN = 30
STRANGE = "<script>document.title='hacked'</script>"
#: A browser at rest: no look at update servers, no component downloads.
FLAGS = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
)


def _run_into(workspace: Workspace, *accounts: str) -> Hour:
    """Keep the first hours of a small simulated promotion as live accounts; gives the first hour not decided."""
    full = load_scenario("demo")
    scenario = replace(
        full,
        end=datetime(2026, 11, 10),
        units=replace(full.units, count=12, campaigns=3),
        rivals=replace(full.rivals, rise_at=datetime(2026, 11, 9)),
        goals=replace(full.goals, budget=9000.0),
        phases=(
            replace(full.phases[0], end=datetime(2026, 11, 9)),
            replace(full.phases[2], start=datetime(2026, 11, 9), end=datetime(2026, 11, 10)),
        ),
        peaks=(),
    )
    world = SimWorld(scenario, SEED)
    world.units = world.units.with_columns(pl.col("campaign").replace({"C01": STRANGE, "C02": "=cmd()"}))
    platform = SimPlatform(world)
    desk = desk_for("steadybid", world, platform)
    tape, recorder = Tape(desk), Recorder(world)
    for position, hour in enumerate(world.hours[:HOURS_RUN]):
        recorder.note(position, run_cycle(hour, desk), platform.ledger)
        platform.advance(hour)
    best = Hindsight.of(fluid_optimum(world.truth, world.budget, world.roi_target), world.truth)
    kept, traces = tape.kept(world, platform, best), {"steadybid": recorder.trace(platform.ledger)}
    for account in accounts:
        keep(workspace, kept, traces, datetime(2026, 11, 21, tzinfo=UTC), account, "amazon-sp")
    return world.hours[HOURS_RUN]


@dataclass(slots=True)
class Served:
    """A running dashboard.

    Attributes
    ----------
    url
        Its address.
    workspace
        What it shows: ``shop`` in shadow mode, ``waits`` with a plan that waits for a person.
    hour
        First hour of ``shop`` that is not decided; the hour of the plan that waits.
    """

    url: str
    workspace: Workspace
    hour: Hour


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("workspace")
    workspace = Workspace.open(home, create=True)
    hour = _run_into(workspace, "shop", "waits")
    said = {"by": "test", "reason": "test", "now": datetime(2026, 11, 21, tzinfo=UTC)}
    workspace.set_mode("shop", Mode.SHADOW, **said)
    workspace.set_mode("waits", Mode.APPROVE, **said)
    run_hour(workspace, "waits", hour, clock=FixedClock(hour.start))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = launch.environment(home) | {"STEADYBID_NOW": hour.start.isoformat(), "POLARS_MAX_THREADS": "2"}
    log = (home / "server.log").open("w")
    process = subprocess.Popen(launch.command(port), env=environment, cwd=home, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/_stcore/health", process, Path(log.name))
        yield Served(url, workspace, hour)
    finally:
        process.terminate()
        process.wait(20)
        log.close()
        workspace.close()


def _wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
    raise AssertionError(f"the server did not answer: {log.read_text()}")


@pytest.fixture(scope="module")  # no longer: while it is open, nothing else in this process can run an event loop
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield opened
        opened.close()


@dataclass(slots=True)
class Watched:
    """A page of the browser, and what it said and asked for.

    Attributes
    ----------
    page
        The page.
    errors
        Errors of its console, and errors that no script caught.
    asked
        Addresses that it asked for.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def settle(self) -> None:
        """Wait until the server has drawn the whole page."""
        self.page.wait_for_selector("h1", timeout=60_000)
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=60_000)
        self.page.wait_for_selector("[data-testid=stSkeleton]", state="detached", timeout=60_000)


@pytest.fixture
def visit(browser: Browser, served: Served) -> Iterator[Callable[..., Watched]]:
    """Opens an address of the dashboard, in a browser of another time zone."""
    contexts = []

    def open_page(path: str = "/", account: str | None = None) -> Watched:
        context = browser.new_context(viewport={"width": 1440, "height": 1000}, timezone_id="America/New_York")
        contexts.append(context)
        watched = Watched(context.new_page())
        page = watched.page
        page.set_default_timeout(60_000)
        page.on("console", lambda m: watched.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: watched.errors.append(str(e)))
        page.on("request", lambda r: watched.asked.append(r.url))
        page.goto(f"{served.url}{path}")
        watched.settle()
        if account is not None:
            page.get_by_role("combobox").first.click()
            page.get_by_role("option", name=account, exact=True).click()
            page.wait_for_timeout(300)
            watched.settle()
        return watched

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session", autouse=True)
def no_proxy() -> Iterator[None]:
    """Local addresses are asked directly, whatever the machine's proxy is."""
    before = os.environ.get("NO_PROXY")
    os.environ["NO_PROXY"] = "127.0.0.1,localhost"
    yield
    if before is None:
        del os.environ["NO_PROXY"]
    else:
        os.environ["NO_PROXY"] = before
