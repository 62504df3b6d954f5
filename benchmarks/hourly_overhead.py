"""What Prefect and the journal cost per hour, beside the plain cycle: an account of 200 units, hour after hour.

The unit of work is one hour of one live account that is connected by folders. *Plain* is a fresh process that
reads the workspace, decides the hour through `run_cycle` and keeps the decision in memory. *Served* is everything
that ``steadybid serve`` spends on a run of the hourly deployment: the run's own process, which also stores the
decision and writes the upload, the server and the runner.

    python -m benchmarks.hourly_overhead --runs 48
"""

import argparse
import importlib.util
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import psutil

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "make_reports.py"
FIRST = datetime(2026, 11, 10, tzinfo=UTC)
TARGETS_PER_GROUP, GROUPS_PER_CAMPAIGN = 10, 2


def make_account(home: Path, n_units: int) -> None:
    """Workspace with one live account of `n_units` units, three weeks of reports and a bulk sheet in its inbox."""
    from data import Workspace
    from domain.account import Account, Mode
    from domain.goals import Target, TargetKind

    shop = _example()
    goods = shop.GOODS
    groups = -(-n_units // TARGETS_PER_GROUP)
    shop.CAMPAIGNS = [
        (f"Campaign {c}", "Core", "Fixed bid", "Manual", 60.0, [
            (f"Group {g}", [goods[g % len(goods)][0]], [
                (f"word {g} {t}", "EXACT", 0.3 + 0.05 * (t % 10)) for t in range(min(TARGETS_PER_GROUP, n_units - g * TARGETS_PER_GROUP))
            ])
            for g in range(c * GROUPS_PER_CAMPAIGN, min((c + 1) * GROUPS_PER_CAMPAIGN, groups))
        ])
        for c in range(-(-groups // GROUPS_PER_CAMPAIGN))
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        shop.write_all(Path(folder))
        workspace = Workspace.open(home, create=True)
        workspace.create_account(Account("shop", "EUR", "UTC", "amazon-sp"), FIRST)
        workspace.set_mode("shop", Mode.LIVE, by="benchmark", reason="", now=FIRST)
        workspace.set_target("shop", Target(TargetKind.ROI, 3.0), by="benchmark", reason="", now=FIRST)
        inbox = home / "files" / "shop" / "inbox"
        inbox.mkdir(parents=True)
        for file in (Path(folder) / "bulk-sheet.xlsx", *(Path(folder) / "reports").glob("*.csv")):
            shutil.move(file, inbox / file.name)
            os.utime(inbox / file.name, (FIRST.timestamp(), FIRST.timestamp()))
    workspace.close()


def _example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reports", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(home: Path, hour: datetime) -> None:
    """Decide one hour in this process, without Prefect and journal; prints the CPU seconds since the process began."""
    from dataclasses import replace

    from data import MemoryJournal, Workspace
    from domain.account import Mode
    from domain.time import Hour
    from engine.accounts import desk_for
    from engine.cycle import run_cycle

    desk, known, _ = desk_for(Workspace.open(home), "shop", Hour(hour))
    desk.model = desk.model.fit(known)
    desk.journal = MemoryJournal()
    desk.account = replace(desk.account, mode=Mode.SHADOW)
    decision = run_cycle(Hour(hour), desk)
    used = resource.getrusage(resource.RUSAGE_SELF)
    sys.stdout.write(json.dumps({"cpu": used.ru_utime + used.ru_stime, "units": decision.plan.units.height}) + "\n")


class Session:
    """A served workspace."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with (home / "serve.out").open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "serve", "--port", "0"],
                env={**os.environ, "STEADYBID_HOME": str(home)},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        while b"stop " not in (home / "serve.out").read_bytes():
            if self.process.poll() is not None:
                raise SystemExit((home / "serve.out").read_text())
            time.sleep(0.1)
        self.url = json.loads((home / "prefect" / "served.json").read_text())["url"] + "/api"
        found = self.call("GET", "/deployments/name/hourly/hourly")
        self.deployment = found["id"]
        for schedule in found["schedules"]:  # runs of its own would come in between
            self.call("PATCH", f"/deployments/{self.deployment}/schedules/{schedule['id']}", {"active": False})
        (self.server,) = psutil.Process(self.process.pid).children()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        for patience in range(30):
            answer = httpx.request(method, self.url + path, json=body, timeout=60)
            if answer.status_code != 503:
                break
            time.sleep(0.1 * (patience + 1))
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def run(self, hour: datetime) -> str:
        """Run the deployment for an hour; gives the state it ended in."""
        run = self.call(
            "POST", f"/deployments/{self.deployment}/create_flow_run", {"parameters": {"hour": hour.isoformat()}}
        )
        while True:
            state = self.call("GET", f"/flow_runs/{run['id']}")["state"]["type"]
            if state in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                return state
            time.sleep(0.25)

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far: of ended flow processes, of the server, of the runner."""
        own, server = psutil.Process(self.process.pid).cpu_times(), self.server.cpu_times()
        return {
            "runs": own.children_user + own.children_system,
            "server": server.user + server.system,
            "runner": own.user + own.system,
        }

    def end(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


def measure(n_units: int, runs: int) -> dict[str, Any]:
    """Figures of `runs` served hours, one after another, beside plain ones."""
    home = Path(tempfile.mkdtemp(prefix="steadybid-"))
    try:
        make_account(home, n_units)
        session = Session(home)
        try:
            session.run(FIRST)  # takes the files in, and starts what starts once
            before, began = session.cpu(), time.monotonic()
            states, lone, aside = list[str](), list[dict[str, float]](), 0.0
            for k in range(1, runs + 1):
                states.append(session.run(FIRST + timedelta(hours=k)))
                if k % 4 == 0 or k == runs:  # in between, so that both meet the same load of the machine
                    paused = time.monotonic()
                    lone.append(_plain_process(home, FIRST + timedelta(hours=k + 1)))
                    aside += time.monotonic() - paused
            wall = time.monotonic() - began - aside
            time.sleep(2)  # the runner waits for the last process
            after = session.cpu()
        finally:
            session.end()
        served = {name: (after[name] - before[name]) / runs for name in before}
        plain_s = sum(p["cpu"] for p in lone) / len(lone)
        return {
            "units": lone[0]["units"],
            "runs": runs,
            "completed": states.count("COMPLETED"),
            "wall_s_per_run": wall / runs,
            "cpu_s_plain": plain_s,
            **{f"cpu_s_{name}": value for name, value in served.items()},
            "cpu_s_overhead": sum(served.values()) - plain_s,
            **_what_is_there(home),
        }
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _plain_process(home: Path, hour: datetime) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.hourly_overhead", "--plain", str(home), hour.isoformat()]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # as when served
    return json.loads(subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout)


def _what_is_there(home: Path) -> dict[str, Any]:
    from data import Views, Workspace

    decided = Views(Workspace.open(home)).decisions("shop")
    uploads = [p.stem for p in (home / "files" / "shop" / "outbox").rglob("bids-shop-*.xlsx")]
    return {
        "decisions": decided.height,
        "hours": decided["hour"].n_unique(),
        "states": dict(decided["state"].value_counts().iter_rows()),
        "uploads": len(uploads),
        "uploads_twice": len(uploads) - len(set(uploads)),
        "damaged": len(Workspace.open(home).damaged_files()),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--plain", nargs=2, metavar=("HOME", "HOUR"), help="measure one plain hour in this process")
    given = parser.parse_args()
    if given.plain:
        plain(Path(given.plain[0]), datetime.fromisoformat(given.plain[1]))
    else:
        sys.stdout.write(json.dumps(measure(given.units, given.runs), indent=2) + "\n")


if __name__ == "__main__":
    main()
