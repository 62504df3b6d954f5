"""`steadybid evaluate`: all scenarios with all policies, a table with intervals, and a page of figures."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.output import clean, say, table
from cli.simulation import parse_seeds
from cli.workspace import home


def evaluate(
    scenario: Annotated[str, typer.Option(help="Scenarios, separated by commas; default: all shipped ones.")] = "",
    seeds: Annotated[str, typer.Option(help="Seeds, such as 3, 0-4 or 1,5,9.")] = "",
    policy: Annotated[str, typer.Option(help="Policies, separated by commas; default: all.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="Four scenarios, three seeds, three policies.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures of every run to this file.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for results and page; an earlier run goes on there.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Runs at the same time.")] = 2,
) -> None:
    """Play every policy in every scenario. What is done already is not done again, so it may be stopped at any time."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from evaluation import evaluate as evaluation
    from evaluation import scoreboard
    from evaluation.simulate import ALL_POLICIES

    def listed(text: str, otherwise: list[str]) -> list[str]:
        return [name.strip() for name in text.split(",") if name.strip()] or otherwise

    names = listed(scenario, list(evaluation.QUICK) if quick else evaluation.scenarios())
    policies = listed(policy, list(evaluation.QUICK_POLICIES if quick else ALL_POLICIES))
    numbers = parse_seeds(seeds or ("0-2" if quick else "0-9"))
    split_seeds = evaluation.QUICK_SPLIT_SEEDS if quick else evaluation.SPLIT_SEEDS
    todo = evaluation.tasks(names, policies, numbers, split_seeds)
    folder = (home() / "evaluate") if out is None else out
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("runs"), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=2) as bar:
        line = bar.add_task("starting", total=len(todo))

        def told(done: int, _of: int, name: str) -> None:
            bar.update(line, completed=done, description=name)

        records = evaluation.evaluate(todo, folder / "runs", jobs, told)
    board = scoreboard.lines(records)
    worlds = ", ".join(dict.fromkeys(f"{x.scenario} {x.fingerprint}" for x in board))
    brief = [[scoreboard.cells(x)[k] for k in scoreboard.BRIEF] for x in board]
    heads = [scoreboard.HEADINGS[k] for k in scoreboard.BRIEF]
    table(heads, brief, title=f"{len(records)} runs, means over seeds", right=range(4, len(heads)))
    say(f"worlds: {worlds}")
    say(f"page with figures: {scoreboard.write(records, folder)}")
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(clean({"runs": records}), indent=2, allow_nan=False) + "\n", encoding="utf-8")
        say(f"figures of every run: {json_file}")
