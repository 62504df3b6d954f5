"""The real server, runner and schedules: what a merchant starts with ``steadybid serve``."""

import contextlib
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
import psutil
import pytest

from data import Views, Workspace
from domain.errors import ConfigError
from domain.plans import DecisionState
from domain.time import Hour
from flows.serve import _only_one, served_at
from flows.settings import ServeSettings

REPOSITORY = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.xdist_group("prefect")


class Served(Protocol):
    home: Path
    process: "subprocess.Popen[bytes]"
    url: str
    due: dict[str, list[datetime]]
    silent: str

    def call(self, method: str, path: str, body: Any = None) -> Any: ...
    def start_run(self, flow: str, **parameters: Any) -> str: ...
    def state(self, run: str) -> tuple[str, str]: ...
    def wait(self, run: str, seconds: float = 120) -> tuple[str, str]: ...
    def wait_for_state(self, run: str, wanted: str, seconds: float = 120) -> None: ...
    def flow_process(self, seconds: float = 60) -> psutil.Process: ...


def hour_of(served: Served, text: str) -> Hour:
    return Hour.parse(text, Workspace.open(served.home).account("tea").tz)


def test_a_run_of_the_served_deployment_decides_its_hour_and_can_be_read_back(served: Served) -> None:
    run = served.start_run("hourly", hour="2026-11-10T10:00")  # the deployment knows its workspace
    assert served.wait(run) == ("COMPLETED", "1 accounts")
    decision = Workspace.open(served.home).journal("tea").find(hour_of(served, "2026-11-10T10:00"))
    assert decision is not None
    assert decision.state is DecisionState.PUBLISHED
    found = served.call("POST", "/artifacts/latest/filter", {})
    assert {a["key"] for a in found} >= {"hourly-summary", "decision-tea"}


def test_runs_of_one_hour_at_the_same_time_decide_and_send_it_once(served: Served) -> None:
    runs = [served.start_run("hourly", hour="2026-11-10T20:00") for _ in range(2)]
    assert [served.wait(run) for run in runs] == [("COMPLETED", "1 accounts")] * 2
    mine = {"key": {"any_": ["hourly-summary"]}, "flow_run_id": {"any_": runs}}  # the schedule's own runs tell too
    told = served.call("POST", "/artifacts/filter", {"artifacts": mine})
    words = sorted("already decided" in a["data"] for a in told)
    assert words == [False, True]
    assert uploads(served.home)["20261110T1900Z"] == 1


def test_both_flows_are_scheduled(served: Served) -> None:
    assert {t.minute for t in served.due["hourly"]} == {5, 35}
    assert {(t.hour, t.minute) for t in served.due["nightly"]} == {(3, 30)}
    assert min(served.due["hourly"]) < datetime.now(UTC) + timedelta(minutes=31)


def test_a_page_of_another_origin_is_refused(served: Served) -> None:
    body = {"content": b"{}", "headers": {"Content-Type": "text/plain", "Origin": "http://elsewhere.example"}}
    assert httpx.post(f"{served.url}/api/flow_runs/count", **body).status_code == 403
    assert httpx.get(f"{served.url}/api/health", headers={"Host": "elsewhere.example"}).status_code == 400
    assert httpx.post(f"{served.url}/api/flow_runs/count", json={}, headers={"Origin": served.url}).status_code == 200
    assert httpx.get(served.url).status_code == 200  # the pages


def test_only_this_machine_is_listened_to(served: Served) -> None:
    tree = [psutil.Process(served.process.pid), *psutil.Process(served.process.pid).children(recursive=True)]
    heard = {c.laddr.ip for p in tree for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    assert heard == {"127.0.0.1"}


def test_nothing_is_told_to_prefects_makers(served: Served) -> None:
    settings = served.call("GET", "/admin/settings")
    assert settings["server"]["analytics_enabled"] is False
    assert settings["server"]["ui"]["show_promotional_content"] is False


def test_a_workspace_is_served_once(served: Served) -> None:
    with pytest.raises(ConfigError, match=f"served already at {served.url}"), _only_one(served.home / "prefect"):
        pass
    assert served_at(served.home) == served.url


def uploads(home: Path) -> dict[str, int]:
    """Bulk files that left through the outbox, by the stamp of their hour."""
    count: dict[str, int] = {}
    for path in (home / "files/tea/outbox").rglob("bids-tea-*.xlsx"):
        stamp = path.stem.removeprefix("bids-tea-")
        count[stamp] = count.get(stamp, 0) + 1
    return count


def kill_and_go_on(served: Served, first: Hour, kills: int, seed: int) -> None:
    """Kill the process of a run at a random moment; the next run of the hour must bring it to its end."""
    chance = random.Random(seed)
    journal = Workspace.open(served.home).journal("tea")
    for k in range(kills):
        hour = first.plus(k)
        run = served.start_run("hourly", hour=hour.start.isoformat())
        process = served.flow_process()
        if k % 2 == 0:  # half of them while it works, half anywhere from its first breath on
            served.wait_for_state(run, "RUNNING")
            time.sleep(chance.uniform(0.0, 1.0))
        else:
            time.sleep(chance.uniform(0.0, 4.0))
        with contextlib.suppress(psutil.NoSuchProcess):  # it was done already
            process.kill()
        assert served.wait(run)[0] in ("CRASHED", "COMPLETED")
        left = journal.find(hour)
        again = served.start_run("hourly", hour=hour.start.isoformat())
        assert served.wait(again) == ("COMPLETED", "1 accounts")
        decision = journal.find(hour)
        assert decision is not None
        assert decision.state is DecisionState.PUBLISHED
        assert decision.receipts is not None
        if left is not None:  # what was written down is what is sent
            assert decision.plan.units.equals(left.plan.units)
            assert decision.decided_at == left.decided_at
    decided = Views(Workspace.open(served.home)).decisions("tea")
    stamps = {h.strftime("%Y%m%dT%H%MZ") for h in decided["hour"]}
    sent = uploads(served.home)
    assert set(sent) <= stamps
    assert set(sent.values()) == {1}, "a plan left twice"
    assert decided["hour"].n_unique() == decided.height
    assert Workspace.open(served.home).damaged_files() == []


def test_a_run_that_is_killed_loses_nothing_and_sends_nothing_twice(served: Served) -> None:
    kill_and_go_on(served, hour_of(served, "2026-11-11T00:00"), kills=1, seed=1)


def test_a_run_without_a_sign_of_life_is_marked_crashed(served: Served) -> None:
    """It was begun with the session: the patience of the automation is longer than a test's."""
    ours = next(a for a in served.call("POST", "/automations/filter", {}) if a["name"].startswith("steadybid"))
    assert ours["enabled"]
    assert ours["trigger"]["within"] > 2 * ServeSettings(served.home).heartbeat_seconds
    state, message = served.wait(served.silent)
    assert state == "CRASHED"
    assert "no sign of life" in message


@pytest.mark.soak
def test_twenty_runs_that_are_killed_lose_nothing_and_send_nothing_twice(served: Served) -> None:
    kill_and_go_on(served, hour_of(served, "2026-11-12T00:00"), kills=20, seed=2)


@pytest.mark.soak
def test_forty_eight_hours_run_one_after_another_are_decided_and_sent_once_each() -> None:
    command = [sys.executable, "-m", "benchmarks.hourly_overhead", "--units", "200", "--runs", "48"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["units"] == 200
    assert told["completed"] == 48
    assert told["decisions"] == told["hours"] == told["states"]["published"] == 49  # one run before the count began
    assert told["uploads_twice"] == 0
    assert told["damaged"] == 0


def test_a_killed_session_leaves_nothing_behind_that_the_next_one_does_not_settle(
    served: Served, serve_again: Callable[[Path], Served]
) -> None:
    """Comes last: it ends the session that the other tests share."""
    run = served.start_run("hourly", hour="2026-11-15T10:00")
    served.wait_for_state(run, "RUNNING")
    family = psutil.Process(served.process.pid).children(recursive=True)
    assert len(family) >= 2  # the server and the run
    served.flow_process().kill()
    served.process.kill()
    assert not psutil.wait_procs(family, timeout=30)[1], "the server outlived the session"

    second = serve_again(served.home)
    state, message = second.state(run)
    assert state == "CRASHED"
    assert "runner is gone" in message or "status code" in message
    again = second.start_run("hourly", hour="2026-11-15T10:00")
    assert second.wait(again) == ("COMPLETED", "1 accounts")
    decision = Workspace.open(served.home).journal("tea").find(hour_of(served, "2026-11-15T10:00"))
    assert decision is not None
    assert decision.state is DecisionState.PUBLISHED

    family = psutil.Process(second.process.pid).children(recursive=True)
    second.process.send_signal(signal.SIGINT)
    assert second.process.wait(60) == 0
    assert not psutil.wait_procs(family, timeout=10)[1]
    assert not (served.home / "prefect" / "served.json").exists()
    told = (served.home / "serve.out").read_text()
    assert "Traceback" not in told
    assert told.rstrip().endswith("stopped")
