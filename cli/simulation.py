"""`steadybid simulate`: a promotion run end to end in the simulated market, against baselines and hindsight."""

from pathlib import Path
from typing import Annotated

import typer

from cli.workspace import home
from domain.errors import ConfigError


def simulate(
    scenario: Annotated[str, typer.Option(help="Scenario by name, or a TOML file.")] = "four-phase-roi",
    seeds: Annotated[str, typer.Option(help="Seeds, such as 3, 0-4 or 1,5,9.")] = "0-1",
    policy: Annotated[str, typer.Option(help="Policies, separated by commas.")] = "steadybid,static,manual,pid",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures of every run to this file.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the report and figures.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Runs at the same time.")] = 2,
) -> None:
    """Run a promotion hour by hour through the very cycle that live accounts use, and compare."""
    from evaluation.simulate import POLICIES
    from evaluation.simulate import simulate as run_all

    from market.scenario import load_scenario

    wanted = [name.strip() for name in policy.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in POLICIES]
    if unknown or not wanted:
        raise ConfigError(f"--policy {policy!r}: unknown {unknown}; choose from {', '.join(POLICIES)}")
    numbers = parse_seeds(seeds)
    world = load_scenario(scenario)
    results = _with_progress(run_all, world, wanted, numbers, jobs)
    _report(results, scenario, json_file, (home() / "simulate" / Path(scenario).stem) if out is None else out)


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
