"""A tea shop from the examples, connected by folders; and a served workspace with a client to talk to it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

from data import Workspace
from domain.account import Account, Mode
from domain.goals import Target, TargetKind

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
NOW = datetime(2026, 11, 10, 7, tzinfo=UTC)


def make_shop(home: Path, *, mode: Mode = Mode.LIVE, name: str = "tea") -> Workspace:
    """Account whose reports and bulk sheet lie in its inbox."""
    workspace = Workspace.open(home, create=True)
    workspace.create_account(Account(name, "EUR", "Europe/Berlin", "amazon-sp"), NOW)
    workspace.set_mode(name, mode, by="Ada", reason="test", now=NOW)
    workspace.set_target(name, Target(TargetKind.ROI, 3.0), by="Ada", reason="test", now=NOW)
    inbox = home / "files" / name / "inbox"
    inbox.mkdir(parents=True)
    for file in (EXAMPLES / "bulk-sheet.xlsx", *(EXAMPLES / "reports").glob("*.csv")):
        shutil.copyfile(file, inbox / file.name)
        os.utime(inbox / file.name, (NOW.timestamp(), NOW.timestamp()))
    return workspace


@pytest.fixture
def shop() -> Callable[..., Workspace]:
    """``shop(home, mode=..., name=...)``."""
    return make_shop


@dataclass
class Served:
    """A workspace that ``steadybid serve`` serves in a process of its own."""

    home: Path
    process: subprocess.Popen[bytes]
    url: str
    due: dict[str, list[datetime]] = field(default_factory=dict)
    silent: str = ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        for patience in range(30):
            answer = httpx.request(method, f"{self.url}/api{path}", json=body, timeout=60)
            if answer.status_code != 503:  # its database is busy for a moment
                break
            time.sleep(0.1 * (patience + 1))
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def wait_for_schedules(self, seconds: float = 60) -> None:
        """Wait until both schedules have made their runs, and keep in `due` when those are due."""
        names = {d["id"]: d["name"] for d in self.call("POST", "/deployments/filter", {})}
        wanted = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
        deadline = time.monotonic() + seconds
        while len(self.due) < len(names):
            assert time.monotonic() < deadline, f"no run was scheduled of all but {list(self.due)}"
            for run in self.call("POST", "/flow_runs/filter", wanted):
                due = self.due.setdefault(names[run["deployment_id"]], [])
                due.append(datetime.fromisoformat(run["expected_start_time"]))
            time.sleep(0.2)

    def silence(self) -> None:
        """Take the schedules back: a test across minute 5 or 35 would meet a run that it did not start."""
        for deployment in self.call("POST", "/deployments/filter", {}):
            for schedule in deployment["schedules"]:
                self.call("PATCH", f"/deployments/{deployment['id']}/schedules/{schedule['id']}", {"active": False})

    def begin_silent_run(self) -> None:
        """A run that shows one sign of life and no more, watched as the served automation watches, only sooner."""
        flow = self.call("GET", "/flows/name/hourly")
        self.silent = self.call("POST", "/flow_runs/", {"flow_id": flow["id"], "state": {"type": "RUNNING"}})["id"]
        resource = {"prefect.resource.id": f"prefect.flow-run.{self.silent}"}
        ours = next(a for a in self.call("POST", "/automations/filter", {}) if a["name"].startswith("steadybid"))
        trigger = {**ours["trigger"], "within": 10, "match": resource}
        self.call("POST", "/automations/", {"name": "sooner", "trigger": trigger, "actions": ours["actions"]})
        sign_of_life = {
            "id": str(uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": "prefect.flow-run.heartbeat",
            "resource": resource,
        }
        self.call("POST", "/events", [sign_of_life])

    def start_run(self, flow: str, **parameters: Any) -> str:
        deployment = self.call("GET", f"/deployments/name/{flow}/{flow}")
        run = self.call("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
        return run["id"]

    def state(self, run: str) -> tuple[str, str]:
        found = self.call("GET", f"/flow_runs/{run}")["state"]
        return found["type"], found["message"] or ""

    def wait(self, run: str, seconds: float = 120) -> tuple[str, str]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.state(run)
            if state[0] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                return state
            time.sleep(0.1)
        raise AssertionError(f"run {run} is still {state}")

    def wait_for_state(self, run: str, wanted: str, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while self.state(run)[0] != wanted:
            assert time.monotonic() < deadline, f"run {run} is {self.state(run)}, not {wanted}"
            time.sleep(0.02)

    def flow_process(self, seconds: float = 60) -> psutil.Process:
        """Process in which the present flow run lives."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                try:
                    if "prefect.engine" in child.cmdline():
                        return child
                except psutil.Error:
                    continue
            time.sleep(0.01)
        raise AssertionError("no flow process came up")


def serve(home: Path, *options: str, seconds: int = 1200) -> Served:
    """Start ``steadybid serve`` and wait until it serves."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "STEADYBID_"))}
    command = [sys.executable, "-m", "cli.main", "serve", "--port", "0", "--for", str(seconds), *options]
    with (home / "serve.out").open("wb") as out:
        process = subprocess.Popen(
            command,
            env={
                **environment,
                "STEADYBID_HOME": str(home),
                "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
            },
            cwd=home,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    deadline = time.monotonic() + 180
    while b"watch" not in (home / "serve.out").read_bytes():
        assert process.poll() is None, (home / "serve.out").read_text()
        assert time.monotonic() < deadline, (home / "serve.out").read_text()
        time.sleep(0.1)
    note = json.loads((home / "prefect" / "served.json").read_text())
    return Served(home, process, note["url"])


def end(served: Served) -> int:
    """Ctrl-C, and the exit status."""
    if served.process.poll() is None:
        served.process.send_signal(signal.SIGINT)
    return served.process.wait(60)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The tea shop, live and served; shared by the tests that need a server."""
    home = tmp_path_factory.mktemp("served")
    make_shop(home).close()
    running = serve(home)
    running.begin_silent_run()
    running.wait_for_schedules()
    running.silence()
    yield running
    end(running)


@pytest.fixture
def serve_again() -> Iterator[Callable[[Path], Served]]:
    """``serve_again(home)`` serves a workspace once more; it is stopped afterwards."""
    started: list[Served] = []

    def start(home: Path) -> Served:
        started.append(serve(home))
        started[-1].silence()
        return started[-1]

    yield start
    for one in started:
        end(one)
