"""Same seed, same bytes: in any process, whatever Python does with its hashes."""

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, sys
from dataclasses import replace
from datetime import datetime
from evaluation.results import to_json
from evaluation.simulate import run
from market import load_scenario
from market.scenario import FaultKind, FaultPart

full = load_scenario("four-phase-roi")
small = replace(
    full,
    end=datetime(2026, 11, 8, 10),
    units=replace(full.units, count=20, campaigns=4),
    rivals=replace(full.rivals, rise_at=datetime(2026, 11, 8, 6)),
    goals=replace(full.goals, budget=3000.0),
    phases=(replace(full.phases[0], end=datetime(2026, 11, 8, 10)),),
    peaks=(),
    faults=(FaultPart(FaultKind.LOST_REPORTS, share=0.2, hours=3), FaultPart(FaultKind.REJECTED_BIDS, share=0.2)),
)
runs = [run(small, policy, 5) for policy in ("steadybid", "mpc_reference")]
told = to_json(runs) | {"spend": [r.trace.spend.tolist() for r in runs]}
sys.stdout.write(json.dumps(told, sort_keys=True))
"""


def test_a_run_against_rivals_on_a_bad_platform_is_the_same_in_every_process() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONHASHSEED": seed, "POLARS_MAX_THREADS": threads},
            capture_output=True,
            check=True,
        ).stdout
        for seed, threads in (("1", "1"), ("2", "2"))
    ]
    assert said[0] == said[1]
    runs = json.loads(said[0])["runs"]
    assert all(r["spend"] > 0 for r in runs)
    assert len({r["gmv"] for r in runs}) == 2
