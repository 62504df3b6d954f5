"""Runs all scenarios with all policies, several at a time, and keeps every result as soon as it is there.

Results lie in a folder as one small JSON file per run. A file that was made by the same code in the same world is not
made again, so an evaluation that was stopped goes on where it was.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import ConfigError
from evaluation.crew import crew, unheard
from evaluation.results import RunResult, to_json
from evaluation.simulate import ALL_POLICIES, run
from market import Scenario, fingerprint, load_scenario
from market.scenario import SHIPPED

#: Scenarios that stand for the others when time is short.
QUICK = ("demo", "four-phase-roi", "four-phase-budget", "platform-outage")
QUICK_POLICIES = ("steadybid", "static", "mpc_reference")
#: Scenarios so large that they get these policies and so many seeds.
WIDE = ("wide-account",)
WIDE_POLICIES, WIDE_SEEDS = ("steadybid", "static", "oracle"), 2
#: Seeds on which SteadyBid's regret is split, in all and when time is short.
SPLIT_SEEDS, QUICK_SPLIT_SEEDS = 3, 1

#: Called with (runs done, runs in all, name of the run that was finished).
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Task:
    """One run to be made."""

    scenario: str
    policy: str
    seed: int
    split: bool = False

    @property
    def name(self) -> str:
        """File name of its result."""
        return f"{self.scenario}--{self.policy}--{self.seed}"


def scenarios() -> list[str]:
    """Names of all shipped scenarios."""
    return sorted(p.stem for p in SHIPPED.glob("*.toml"))


def tasks(
    names: Sequence[str], policies: Sequence[str], seeds: Sequence[int], split_seeds: int = SPLIT_SEEDS
) -> list[Task]:
    """Runs of an evaluation: seed by seed, so that what all policies of a world share is made once; wide accounts last."""
    unknown = [p for p in policies if p not in ALL_POLICIES]
    if unknown or not policies or not seeds or not names:
        raise ConfigError(
            f"an evaluation needs scenarios, seeds and policies; unknown policies: {unknown}, known ones: {', '.join(ALL_POLICIES)}"
        )
    found: list[Task] = []
    for name in sorted(names, key=lambda n: (n in WIDE, n)):
        wide = name in WIDE
        for k, seed in enumerate(seeds[:WIDE_SEEDS] if wide else seeds):
            for policy in policies:
                if wide and policy not in WIDE_POLICIES:
                    continue
                found.append(Task(name, policy, seed, policy == "steadybid" and not wide and k < split_seeds))
    return found


def code_version() -> str:
    """Digest of all code that a result depends on: another digest, another result."""
    root, digest = SHIPPED.parent, hashlib.sha256()
    for room in ("domain", "data", "predictors", "bidding", "pacing", "market", "engine", "evaluation"):
        for path in sorted((root / room).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def evaluate(
    jobs: Sequence[Task], folder: Path, workers: int = 2, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Results of all tasks as JSON records, in their order; made now, or taken from the folder.

    Each record holds what `results.to_json` says of a run, and ``code``: the version of the code that made it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    code = code_version()
    worlds = {name: load_scenario(name) for name in dict.fromkeys(t.scenario for t in jobs)}
    done = {t: record for t in jobs if (record := _stored(folder, t, worlds[t.scenario], code)) is not None}
    open_ones = [t for t in jobs if t not in done]
    if progress is not None and done:
        progress(len(done), len(jobs), "found")
    for task, record in _make(open_ones, worlds, workers):
        record["code"] = code
        _write(folder / f"{task.name}.json", record)
        done[task] = record
        if progress is not None:
            progress(len(done), len(jobs), task.name)
    return [done[t] for t in jobs]


def _make(
    open_ones: Sequence[Task], worlds: dict[str, Scenario], workers: int
) -> Iterator[tuple[Task, dict[str, Any]]]:
    if workers <= 1 or len(open_ones) <= 1:
        for task in open_ones:
            yield task, record_of(task, worlds[task.scenario])
        return
    with crew(workers) as (pool, _):
        with unheard():
            # Seeds of a policy go to whoever is free; results come as they are ready.
            running = {pool.submit(record_of, task, worlds[task.scenario]): task for task in open_ones}
        while running:
            # Not without end: the data frames' own handler restarts a wait that a Ctrl-C interrupts.
            ready, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in ready:
                yield running.pop(future), future.result()


def record_of(task: Task, scenario: Scenario) -> dict[str, Any]:
    """Make one run, and split its regret where that is asked for."""
    result: RunResult = run(scenario, task.policy, task.seed, regret=task.split)
    record = to_json([result])["runs"][0]
    return {**record, "holds": result.holds, "purpose": scenario.purpose}


def _stored(folder: Path, task: Task, scenario: Scenario, code: str) -> dict[str, Any] | None:
    try:
        record = json.loads((folder / f"{task.name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = record.get("code") == code and record.get("fingerprint") == fingerprint(scenario)
    return record if same and (record.get("regret") is not None or not task.split) else None


def _write(path: Path, record: dict[str, Any]) -> None:
    """Whole or not at all: a run that is cut off leaves no half file."""
    part = path.with_suffix(".tmp")
    part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
