import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from data import Workspace
from domain.account import Mode
from domain.time import Hour
from engine.cycle import run_cycle
from evaluation.desks import desk_for
from evaluation.keep import KeptRun, Tape, keep
from evaluation.trace import Hindsight, Recorder, Trace
from market import SimPlatform, SimWorld, fluid_optimum, load_scenario

APP = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"
SEED = 5
HOURS_RUN = 30
STRANGE = ("<script>alert(1)</script>", "=cmd()|' /C calc'!A0", "![x](http://evil.example/x.png)")


def small_world() -> SimWorld:
    """Two days, 12 SKUs in 3 campaigns with hostile names, a burst on the second day."""
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
    names = dict(zip(("C01", "C02", "C03"), STRANGE, strict=True))
    world.units = world.units.with_columns(pl.col("campaign").replace(names))
    return world


@pytest.fixture(scope="session")
def run() -> tuple[KeptRun, dict[str, Trace]]:
    """SteadyBid's run through the first hours of the small world."""
    world = small_world()
    platform = SimPlatform(world)
    desk = desk_for("steadybid", world, platform)
    tape, recorder = Tape(desk), Recorder(world)
    for position, hour in enumerate(world.hours[:HOURS_RUN]):
        recorder.note(position, run_cycle(hour, desk), platform.ledger)
        platform.advance(hour)
    best = Hindsight.of(fluid_optimum(world.truth, world.budget, world.roi_target), world.truth)
    return tape.kept(world, platform, best), {"steadybid": recorder.trace(platform.ledger)}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, run: tuple[KeptRun, dict[str, Trace]]) -> Path:
    """Workspace with the account ``shop``: 30 decided hours of 48, in shadow mode."""
    home = tmp_path_factory.mktemp("template")
    opened = Workspace.open(home, create=True)
    keep(opened, *run, datetime(2026, 11, 21, tzinfo=UTC), "shop", "amazon-sp")
    opened.set_mode("shop", Mode.SHADOW, by="test", reason="goes on", now=datetime(2026, 11, 21, tzinfo=UTC))
    opened.close()
    return home


@pytest.fixture
def workspace(tmp_path: Path, template: Path) -> Iterator[Workspace]:
    """A copy of the template of one's own."""
    home = tmp_path / "workspace"
    shutil.copytree(template, home)
    opened = Workspace.open(home)
    yield opened
    opened.close()


@pytest.fixture
def next_hour(run: tuple[KeptRun, dict[str, Trace]]) -> Hour:
    """First hour that is not decided."""
    return run[0].hours[HOURS_RUN]


@pytest.fixture
def page(workspace: Workspace, next_hour: Hour, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    """Opens a page of the dashboard, as of the first hour that is not decided."""
    monkeypatch.setenv("STEADYBID_HOME", str(workspace.home))
    monkeypatch.setenv("STEADYBID_NOW", next_hour.start.isoformat())
    monkeypatch.delenv("STEADYBID_DATABASE_URL", raising=False)
    st.cache_resource.clear()

    def open_page(address: str = "overview", **state: object) -> AppTest:
        test = AppTest.from_file(str(APP), default_timeout=60)
        test.query_params["page"] = address
        for key, value in state.items():
            test.session_state[key] = value
        return test.run()

    yield open_page
    st.cache_resource.clear()
