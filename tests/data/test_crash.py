"""A writer that is killed at any moment leaves what it acknowledged, all of it, and nothing half done."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from data import Workspace
from domain.plans import DecisionState
from domain.time import Hour

#: Imports two reports, sets a target and decides an hour per turn; tells of each once it is done.
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import polars as pl
from data import Workspace
from domain.account import Account
from domain.goals import Target, TargetKind
from domain.plans import INTERVENTIONS, PLAN, RECEIPTS, BidPlan, Receipts
from domain.problem import Status
from domain.tables import ARRIVALS, BIDS, FACTS, PERFORMANCE, QUARANTINE, UNITS, BidTable, Known, empty
from domain.time import Hour

home, first = Path(sys.argv[1]), int(sys.argv[2])
workspace = Workspace.open(home)
now = datetime(2026, 3, 1, tzinfo=UTC)
journal = workspace.journal("shop")
print("ready", flush=True)
for n in range(first, first + 10_000):
    rows = [{"report": "targeting", "start_local": datetime(2026, 1, 1), "grain": "day", "campaign": f"C{n}",
             "ad_group": "G", "target": f"t{k}", "match_type": "EXACT", "spend": 1.0, "row_number": k} for k in range(5)]
    frame = pl.DataFrame([{c: r.get(c) for c in FACTS} for r in rows], schema=dict(FACTS))
    bad = pl.DataFrame([(9, "negative spend", "", "{}")], schema=dict(QUARANTINE), orient="row")
    workspace.ingest("shop", frame, report="targeting", file=f"f{n}", sha256=f"f{n}", currency="INR",
                     attribution_days=14, quarantined=bad, now=now, report_lag_hours=1.0)
    print("import", n, flush=True)
    workspace.set_target("shop", Target(TargetKind.BUDGET, 1.0 + n), by="t", reason=str(n), now=now)
    print("target", n, flush=True)
    hour = Hour(datetime(2026, 3, 1, tzinfo=UTC)).plus(n)
    plan = BidPlan("shop", hour, empty(PLAN), None, empty(INTERVENTIONS), Status.SLACK, f"plan {n}")
    known = Known(Account("shop", "INR"), hour, empty(UNITS), empty(PERFORMANCE), empty(ARRIVALS), BidTable(empty(BIDS)))
    decision = journal.open(plan, known)
    print("open", n, flush=True)
    journal.close(decision, Receipts(empty(RECEIPTS)))
    print("close", n, flush=True)
"""


def kill_at_a_random_moment(workspace: Workspace, first: int, wait: float) -> list[tuple[str, int]]:
    """Run the writer, kill -9 it, and give what it had acknowledged."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(workspace.home), str(first)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    time.sleep(wait)
    os.kill(writer.pid, signal.SIGKILL)
    out, err = writer.communicate(timeout=60)
    assert writer.returncode == -signal.SIGKILL, err
    lines = [line.split() for line in out.splitlines()]
    return [(line[0], int(line[1])) for line in lines if len(line) == 2]


def check_all(workspace: Workspace, told: list[tuple[str, int]]) -> None:
    done: Callable[[str], set[int]] = lambda what: {n for w, n in told if w == what}  # noqa: E731
    facts = workspace.facts("shop")
    by_import = {int(c[1:]): n for c, n in facts.group_by("campaign").len().iter_rows()}
    assert set(by_import.values()) <= {5}, "an import is there in part"
    assert done("import") <= set(by_import)
    listed = {int(f[1:]) for f in workspace.files("shop")["file"]}
    aside = {int(f[1:]) for f in workspace.quarantine("shop")["file"]}
    assert listed == aside == set(by_import), "list of imports, quarantine and facts disagree"
    said = {int(r) for r in workspace.target_history("shop")["reason"]}
    assert done("target") <= said
    journal, start = workspace.journal("shop"), Hour(datetime(2026, 3, 1, tzinfo=UTC))
    for n in done("open"):
        decision = journal.find(start.plus(n))
        assert decision is not None
        assert decision.plan.reason == f"plan {n}"
        if n in done("close"):
            assert decision.state is DecisionState.PUBLISHED
    assert workspace.damaged_files() == []


def kill_often(workspace: Workspace, kills: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    told: list[tuple[str, int]] = []
    for k in range(kills):
        told += kill_at_a_random_moment(workspace, 1000 * k, float(rng.uniform(0.02, 0.4)))
        check_all(workspace, told)
    assert told, "the writer was never given the time to do anything"
    before = workspace.facts("shop").height
    workspace.sweep(datetime.now(UTC) + timedelta(hours=1), timedelta(0))
    named = {p.name for p in (workspace.home / "facts").rglob("*") if p.is_file()}
    assert not any(name.endswith(".tmp") for name in named)
    assert workspace.facts("shop").height == before
    assert workspace.damaged_files() == []


def test_nothing_acknowledged_is_lost_and_nothing_is_half_done(workspace: Workspace) -> None:
    kill_often(workspace, kills=6, seed=3)


@pytest.mark.soak
def test_nothing_acknowledged_is_lost_in_many_kills(workspace: Workspace) -> None:
    kill_often(workspace, kills=75, seed=4)
