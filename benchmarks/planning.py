"""Times a what-if frontier of 50 targets, phases that cross campaigns, and a second solve of the same tables.

    python -m benchmarks.planning --units 100000 --campaigns 100 --json out.json

CPU seconds of this process, one thread, least of the repeats, tables in memory to answer (of `crossing` and `reuse`:
to certified answer).
"""

# ruff: noqa: E402 - the thread limits must stand before the libraries load
import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

from benchmarks.instances import instance
from bidding import LaminarSolver
from bidding.crossing import Overlap, solve_overlapping
from bidding.frontier import frontier
from bidding.prepared import Prepared
from domain.groups import Groups
from domain.problem import RowKind, Rows

GRID = np.linspace(0.5, 2.0, 50)


def timed(work: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    """Answer and least CPU seconds; the first run, which may compile, does not count."""
    answer, best = work(), np.inf
    for _ in range(repeats):
        start = time.process_time()
        answer = work()
        best = min(best, time.process_time() - start)
    return answer, float(best)


def frontiers(units: int, campaigns: int, repeats: int) -> dict[str, float]:
    """Seconds for 50 values of the account's budget, of a campaign's budget and of a campaign's ROI target."""
    problem = instance(units, campaigns, "t0")
    rows = problem.rows
    found: dict[str, float] = {}
    for label, row in (("account_budget", len(rows) - 1), ("campaign_budget", 0), ("campaign_roi", 1)):
        base = float(rows.right[row] if rows.kind[row] == RowKind.BUDGET else rows.target[row])
        _, found[label] = timed(lambda r=row, b=base: frontier(problem, r, (b * GRID).tolist()), repeats)
    return found


def crossing(units: int, campaigns: int, repeats: int, phases: int = 4) -> dict[str, float]:
    """A budget for each of several phases beside the campaigns' own rows over all phases."""
    problem = instance(units, campaigns, "t0")
    phase = np.random.default_rng(1).integers(1, phases + 1, units).astype(np.int32)
    names = ("account", *(f"phase:{k}" for k in range(phases)))
    groups = Groups(names, np.array([-1] + [0] * phases, np.int32), phase)
    alone = groups.rolled_up(LaminarSolver().solve(problem).spend)
    budgets = [(RowKind.BUDGET, g, 0.0, float(alone[g] * (0.7 + 0.1 * g))) for g in range(1, phases + 1)]
    overlap = Overlap(groups, Rows.of(*budgets))
    answer, seconds = timed(lambda: solve_overlapping(problem, overlap), repeats)
    proof = answer.certificate
    binding = float(answer.row_binds.mean())
    return {"cpu_seconds": seconds, "gap": proof.gap, "violation": proof.violation, "binding_share": binding}


def reuse(units: int, campaigns: int, repeats: int) -> dict[str, float]:
    """A solve from scratch, one with other targets on kept hulls, and one of the next hour, whose curves only scaled."""
    problem = instance(units, campaigns, "t1")
    rng = np.random.default_rng(2)
    traffic, price = rng.uniform(0.7, 1.4, (units, 1)).astype(np.float32), np.float32(1.1)
    scaled = {name: getattr(problem, name) * traffic for name in ("clicks", "gmv", "orders")}
    rows = replace(problem.rows, right=problem.rows.right * 1.02)
    hour = replace(problem, bids=problem.bids * price, spend=problem.spend * traffic * price, rows=rows, **scaled)
    at = Prepared.of(problem)
    last, fresh = timed(lambda: Prepared.of(problem).solve(), repeats)
    _, targets = timed(lambda: at.with_rows(rows).solve(last), repeats)
    later, laid = timed(lambda: at.next_hour(hour), repeats)
    answer, solved = timed(lambda: later.solve(last), repeats)
    return {
        "from_scratch": fresh,
        "other_targets": targets,
        "next_hour": laid + solved,
        "hulls_kept": later.kept / units,
        "gap": answer.certificate.gap,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--campaigns", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.units < 1 or args.campaigns < 2 or args.repeats < 1:
        parser.error("--units and --repeats must be at least 1, --campaigns at least 2")
    record = {
        "units": args.units,
        "campaigns": args.campaigns,
        "frontier_of_50": frontiers(args.units, args.campaigns, args.repeats),
        "crossing": crossing(args.units, args.campaigns, args.repeats),
        "reuse": reuse(args.units, args.campaigns, args.repeats),
    }
    text = json.dumps(record, indent=2)
    if args.json:
        args.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
