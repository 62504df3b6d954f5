"""`steadybid simulate`: a promotion run end to end in the simulated market, against baselines and hindsight."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import clean, say, table, warn
from cli.workspace import SystemClock, home, open_workspace
from domain.errors import ConfigError

if TYPE_CHECKING:
    from evaluation.results import RunResult
    from market import Scenario


def simulate(
    scenario: Annotated[str, typer.Option(help="Scenario by name, or a TOML file.")] = "four-phase-roi",
    seeds: Annotated[str, typer.Option(help="Seeds, such as 3, 0-4 or 1,5,9.")] = "0-1",
    policy: Annotated[str, typer.Option(help="Policies, separated by commas.")] = "steadybid,static,manual,pid",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures of every run to this file.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the report and figures.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Runs at the same time.")] = 2,
    regret: Annotated[
        bool, typer.Option("--regret", help="Split each run's regret, by three more runs of it; see --json.")
    ] = False,
) -> None:
    """Run a promotion hour by hour through the very cycle that live accounts use, and compare."""
    from evaluation.results import to_json
    from evaluation.simulate import ALL_POLICIES
    from evaluation.simulate import simulate as run_all
    from market import load_scenario

    wanted = [name.strip() for name in policy.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in ALL_POLICIES]
    if unknown or not wanted:
        what = f"there is no policy {unknown[0]!r}" if unknown else "names no policy"
        raise ConfigError(f"--policy {policy!r}: {what}; choose from {', '.join(ALL_POLICIES)}")
    if len(set(wanted)) != len(wanted):
        raise ConfigError(f"--policy {policy!r}: a policy stands twice")
    numbers = parse_seeds(seeds)
    world = load_scenario(scenario)
    folder = (home() / "simulate" / world.name) if out is None else out
    _check_targets(json_file, folder)
    say(f"scenario {world.name}: {world.purpose}")
    results = _with_progress(world, wanted, numbers, jobs, run_all, regret=regret)
    if json_file is not None:  # first of all: whatever fails later, the figures are there
        _write_whole(json_file, json.dumps(clean(to_json(results)), indent=2, allow_nan=False) + "\n")
    _report(results, folder)
    if json_file is not None:
        say(f"figures of every run: {json_file}")
    _keep(results)


def _check_targets(json_file: Path | None, folder: Path) -> None:
    """Make the folders, so that minutes of simulation are not lost to a path that cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if json_file is not None:
            json_file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        raise ConfigError(f"cannot make the folder {refused.filename}: {refused.strerror}; choose another") from refused
    if json_file is not None and json_file.is_dir():
        raise ConfigError(f"--json {json_file} is a folder; name a file")


def _write_whole(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _with_progress(
    world: "Scenario",
    policies: Sequence[str],
    seeds: Sequence[int],
    jobs: int,
    run_all: Callable[..., list["RunResult"]],
    *,
    regret: bool,
) -> list["RunResult"]:
    """Run with one bar over all hours of all runs, on stderr; without a terminal, a line for each finished run."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[Any] = [
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("hours"), TimeRemainingColumn()
    ]  # fmt: skip
    done: dict[tuple[str, int], int] = {}
    watched = sys.stderr.isatty()
    with Progress(*columns, refresh_per_second=4, console=Console(stderr=True), disable=not watched) as bar:
        task = bar.add_task(f"{len(policies) * len(seeds)} runs", total=len(policies) * len(seeds) * world.n_hours)

        def told(policy: str, seed: int, hours: int, of: int) -> None:
            done[policy, seed] = hours
            bar.update(task, completed=sum(done.values()), description=f"{policy}, seed {seed}")
            if hours == of and not watched:
                warn(f"{policy}, seed {seed}: {hours} hours done")

        results = run_all(world, policies, seeds, jobs, told, keep=True, regret=regret)
        bar.update(task, completed=sum(done.values()), description=f"{len(results)} runs done")
    return results


def _report(results: Sequence["RunResult"], folder: Path) -> None:
    from evaluation.report import write_report
    from evaluation.results import HEADINGS
    from evaluation.results import table as rows_of

    rows = rows_of(results)
    seeds = sorted({r.seed for r in results})
    title = f"{results[0].setting.scenario}, seeds {', '.join(map(str, seeds))}; hindsight = the best that could have been done"
    names = list(HEADINGS)
    table(
        [HEADINGS[n] for n in names],
        [[getattr(r, n) for n in names] for r in rows],
        title=title,
        right=range(1, len(names)),
    )
    say(f"report with figures: {write_report(results, folder)}")


def _keep(results: Sequence["RunResult"]) -> None:
    """Keep SteadyBid's run as an account that the dashboard shows."""
    from evaluation.demo import keep_demo

    workspace = open_workspace(create=True)
    kept = keep_demo(workspace, results, SystemClock().now())
    if kept is not None:
        say(f"kept as account {kept.name} of the workspace {home()}; look at it with: steadybid dashboard")


def parse_seeds(text: str) -> list[int]:
    """Seeds of ``3``, ``0-4`` or ``1,5,9``; `ConfigError` for anything else."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ConfigError(f"--seeds {text!r}: write a number, a range such as 0-4, or a list such as 1,5,9")
        a, b = int(first), int(last) if dash else int(first)
        if b < a or b - a >= 10_000:
            raise ConfigError(f"--seeds {text!r}: the range {part.strip()!r} is empty or has more than 10,000 seeds")
        found.extend(range(a, b + 1))
    if len(set(found)) != len(found):
        raise ConfigError(f"--seeds {text!r}: a seed stands twice")
    return found
