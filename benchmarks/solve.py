"""Times one solve: bids for N units x 20 levels in K campaigns and an account, with its certificate.

    python -m benchmarks.solve --units 1000000 --campaigns 100 --problem t0 --json out.json [--rivals]

CPU seconds of this process, one thread, tables in memory to certified answer; compile time apart. The floor is one
compiled read of the two float32 tables (spend, gmv) in the same process, best of 5. With --positions the tables are those
of pages with four positions, where a click's worth depends on the bid.
"""

# ruff: noqa: E402 - the thread limits must stand before the libraries load
import argparse
import json
import multiprocessing as mp
import os
import resource
import threading
import time
from dataclasses import replace
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np
from numba import njit

from benchmarks.instances import instance
from bidding import LaminarSolver, RichSolver
from bidding.program import ReferenceSolver
from domain.problem import Problem, RowKind, Solution
from domain.protocols import Solver

RIVAL_SECONDS = 100.0


@njit(fastmath=True)
def _read(a, b):
    total = np.float32(0)
    for i in range(a.size):
        total += a[i] + b[i]
    return total


def floor_seconds(problem: Problem) -> float:
    """Best of five compiled sums over the spend and gmv tables."""
    flat = (problem.spend.ravel(), problem.gmv.ravel())
    _read(flat[0][:8], flat[1][:8])
    best = np.inf
    for _ in range(5):
        start = time.process_time()
        _read(*flat)
        best = min(best, time.process_time() - start)
    return float(best)


class PeakMemory:
    """Largest resident memory over that at entry, sampled every millisecond."""

    def __enter__(self) -> "PeakMemory":
        self._page, self._stop = resource.getpagesize(), threading.Event()
        self.base = self._now()
        self.peak = self.base
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.001):
            self.peak = max(self.peak, self._now())

    def _now(self) -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * self._page


def measure(problem: Problem, solver: Solver, repeats: int) -> tuple[Solution, float, int]:
    """Answer, least CPU seconds, peak extra bytes.

    Memory is watched in a first run of its own: watching costs time, and later runs reuse memory.
    """
    with PeakMemory() as memory:
        answer = solver.solve(problem)
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        answer = solver.solve(problem)
        best = min(best, time.process_time() - start)
    return answer, float(best), memory.peak - memory.base


def binding_share(problem: Problem, answer: Solution) -> float:
    """Share of the campaign rows that bind (of ROI and budget rows for t0; a CPC row counts as its own)."""
    campaign = problem.rows.group > 0
    return float(answer.row_binds[campaign].mean()) if campaign.any() else 0.0


def _rival(name: str, units: int, campaigns: int, kind: str, out: "mp.Queue[dict[str, object]]") -> None:
    problem = instance(units, campaigns, kind)
    start = time.process_time()
    if name == "cvxpy+clarabel":
        value = ReferenceSolver(most_units=10**9).solve(problem).certificate.value
    else:
        value = _highs(problem, name.rpartition(" ")[2])
    out.put({"cpu_seconds": time.process_time() - start, "value": value})


def _highs(problem: Problem, method: str) -> float:
    from scipy import sparse
    from scipy.optimize import linprog

    n, levels = problem.bids.shape
    size = n * levels
    unit = np.repeat(np.arange(n), levels)
    blocks = [sparse.csr_array((np.ones(size), (unit, np.arange(size))), shape=(n, size))]
    leaf = problem.groups.leaf[unit]
    c, v, q = (np.asarray(t, float).ravel() for t in (problem.spend, problem.gmv, problem.clicks))
    for kind, g, target in zip(problem.rows.kind, problem.rows.group, problem.rows.target, strict=True):
        terms = c if kind == RowKind.BUDGET else target * c - v if kind == RowKind.ROI else c - target * q
        at = np.arange(size) if g == 0 else np.flatnonzero(leaf == g)
        blocks.append(sparse.csr_array((terms[at], (np.zeros(at.size, int), at)), shape=(1, size)))
    found = linprog(
        -v,
        A_ub=sparse.vstack(blocks).tocsc(),
        b_ub=np.concatenate([np.ones(n), problem.rows.right]),
        bounds=(0, None),
        method=method,
    )
    return float(-found.fun) if found.status == 0 else float("nan")


def rivals(units: int, campaigns: int, kind: str) -> dict[str, object]:
    """The same instance by general solvers, each in a process of its own with 100 s of wall time."""
    found: dict[str, object] = {}
    context = mp.get_context("spawn")
    for name in ("cvxpy+clarabel", "highs highs-ds", "highs highs-ipm"):
        queue: mp.Queue[dict[str, object]] = context.Queue()
        process = context.Process(target=_rival, args=(name, units, campaigns, kind, queue))
        process.start()
        process.join(RIVAL_SECONDS)
        late = process.is_alive()
        if late:
            process.terminate()
            process.join()
        found[name] = (
            f"not finished in {RIVAL_SECONDS:.0f} s" if late else queue.get() if not queue.empty() else "failed"
        )
    return found


def run(
    units: int, campaigns: int, kind: str, repeats: int, with_rivals: bool, positions: bool = False
) -> dict[str, object]:
    """All figures of one instance; with `positions` on pages whose clicks are worth more or less by position."""
    solver: Solver = LaminarSolver() if kind == "t0" else RichSolver()
    start = time.process_time()
    solver.solve(instance(2000, min(campaigns, 20), kind, positions=positions))
    compiled = time.process_time() - start
    problem = instance(units, campaigns, kind, positions=positions)
    answer, seconds, extra = measure(problem, solver, repeats)
    floor = floor_seconds(problem)
    record: dict[str, object] = {
        "units": units,
        "campaigns": campaigns,
        "problem": kind,
        "positions": positions,
        "method": answer.method,
        "cpu_seconds": seconds,
        "floor_seconds": floor,
        "ratio_to_floor": seconds / floor,
        "gap": answer.certificate.gap,
        "violation": answer.certificate.violation,
        "binding_share": binding_share(problem, answer),
        "account_row_binds": bool(answer.row_binds[problem.rows.group == 0].any()),
        "peak_extra_bytes": extra,
        "compile_seconds": compiled,
    }
    if isinstance(solver, RichSolver):
        # Last hour's prices, and rows whose right sides have moved by 2 % since.
        noise = 1 + 0.02 * np.random.default_rng(1).standard_normal(len(problem.rows))
        rows = replace(problem.rows, right=problem.rows.right * noise)
        again, record["warm_cpu_seconds"], _ = measure(
            replace(problem, rows=rows), solver.warm_started(answer), repeats
        )
        record["warm_gap"], record["warm_violation"] = again.certificate.gap, again.certificate.violation
    if with_rivals:
        record["rivals"] = rivals(units, campaigns, kind)
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--campaigns", type=int, default=100)
    parser.add_argument("--problem", choices=["t0", "t1"], default="t0")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rivals", action="store_true")
    parser.add_argument("--positions", action="store_true")
    args = parser.parse_args()
    if args.rivals and args.positions:
        parser.error("--rivals runs the common instance; leave --positions out")
    if args.units < 1 or args.campaigns < 1 or args.repeats < 1:
        parser.error("--units, --campaigns and --repeats must be at least 1")
    record = run(args.units, args.campaigns, args.problem, args.repeats, args.rivals, args.positions)
    text = json.dumps(record, indent=2)
    if args.json:
        args.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
