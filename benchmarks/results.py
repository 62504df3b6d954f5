"""Writes the figures of an evaluation as a Markdown page: python -m benchmarks.results FIGURES.json PAGE.md

    python -m benchmarks.results FIGURES.json PAGE.md --anew A.json B.json --code e5f1c2d

FIGURES is what ``steadybid evaluate --json`` wrote. Runs that were made again by later code (``steadybid simulate --json``) take
the place of those of the same scenario, policy and seed, if they were played in the same world. The page holds a summary
(SteadyBid beside the plain controller), every scenario and policy, and where SteadyBid's missing gmv went.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.regret import PARTS
from evaluation.scoreboard import HEADINGS, Score, cells, lines

Record = Mapping[str, Any]
OURS, PLAIN = "steadybid", "mpc_reference"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Table whose first `left` columns are words and the others numbers."""
    ruler = ["---" if k < left else "--:" for k in range(len(heads))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, ruler, *rows)) + "\n"


def of(records: Sequence[Record], scenario: str, policy: str) -> list[Record]:
    """Runs of one policy in one scenario."""
    return [r for r in records if r["scenario"] == scenario and r["policy"] == policy]


def points(runs: Sequence[Record], value: Callable[[Record], float | None]) -> Score | None:
    """Of a figure in per cent."""
    return Score.of([100 * x for r in runs if (x := value(r)) is not None])


def summary(records: Sequence[Record]) -> str:
    """One line per scenario: SteadyBid's figures, and its regret beside that of the plain controller."""
    rows: list[tuple[str, ...]] = []
    for scenario in dict.fromkeys(r["scenario"] for r in records):
        ours, plain = of(records, scenario, OURS), of(records, scenario, PLAIN)
        if not ours:
            continue
        efficiency, gmv = points(ours, lambda r: r["efficiency"]), points(ours, lambda r: r["gmv_vs_hindsight"])
        miss = points(ours, lambda r: r["roi_miss"]) or points(ours, lambda r: r["cpc_miss"])
        steadiness = Score.of([r["cpc_cv_vs_hindsight"] for r in ours if r["cpc_cv_vs_hindsight"] is not None])
        regret, other = points(ours, lambda r: r["regret_total"]), points(plain, lambda r: r["regret_total"])
        rows.append(
            (
                scenario,
                "+".join(sorted({row for r in ours for row in r["binding"]})) or "none",
                "-" if efficiency is None else f"{efficiency.mean:.1f}",
                "-" if gmv is None else f"{gmv.mean:.1f} [{gmv.low:.1f}, {gmv.high:.1f}], worst {gmv.worst:.1f}",
                "-" if miss is None else f"{miss.mean:+.1f} ({miss.worst:+.1f})",
                f"{max((r['overspend'] or 0.0) for r in ours):,.1f}",
                "-" if steadiness is None else f"{steadiness.mean:.2f}",
                "-" if regret is None else f"{regret.mean:.1f}",
                "-" if other is None else f"{other.mean:.1f}",
            )
        )
    heads = (
        "scenario", "binds", "efficiency, %", "GMV / hindsight, % [95 %]", "target miss, % (worst)", "overspend",
        "CPC CV / hindsight", "regret, points", "regret of mpc_reference",
    )  # fmt: skip
    return markdown(heads, rows, left=2)


def losses(records: Sequence[Record]) -> str:
    """Parts of SteadyBid's regret, points of the best possible gmv."""
    rows: list[tuple[str, ...]] = []
    for scenario in dict.fromkeys(r["scenario"] for r in records):
        split = [r["regret"] for r in of(records, scenario, OURS) if r.get("regret")]
        if split:
            means = (sum(part[name] for part in split) / len(split) for name in PARTS)
            rows.append((scenario, str(len(split)), *(f"{100 * mean:.1f}" for mean in means)))
    return markdown(("scenario", "seeds", *PARTS), rows)


def renewed(records: Sequence[Record], later: Sequence[Record], code: str) -> list[Record]:
    """Records, those that were made again in the place of the old ones; raises `SystemExit` where a world is another one."""
    found = {(r["scenario"], r["policy"], r["seed"]): r for r in later}
    merged: list[Record] = []
    for old in records:
        new = found.pop((old["scenario"], old["policy"], old["seed"]), None)
        if new is not None and new["fingerprint"] != old["fingerprint"]:
            raise SystemExit(f"{old['scenario']} was changed between both: nothing can be compared")
        merged.append(old if new is None else {**old, **new, "code": code})
    if found:
        raise SystemExit(f"made again, but never made before: {sorted(found)[0]}")
    return merged


def page(records: Sequence[Record], before: Sequence[Record] | None = None, code: str = "") -> str:
    """The whole page; `before` are the records that some of these have replaced."""
    board = lines(records)
    split = records if before is None else before
    again = sum(r["code"] == code for r in records) if before is not None else 0
    worlds = [(x.scenario, f"`{x.fingerprint}`") for x in {x.scenario: x for x in board}.values()]
    codes = ", ".join(sorted({f"`{r['code']}`" for r in split}))
    note = (
        f"{again} of them, SteadyBid's own, were made again at commit `{code}` by `steadybid simulate` in the same worlds; "
        "the others, hours held, and where missing GMV went, are of the code before.\n"
    )
    return (
        f"# Figures of the full evaluation\n\n{len(records)} runs of code {codes}; `steadybid evaluate --json FIGURES.json`, "
        "then `python -m benchmarks.results FIGURES.json docs/results.md`.\nSame seed, same shoppers for every policy. "
        f"{note if before is not None else ''}`docs/market.md` says what the worlds are and what the figures mean.\n\n"
        f"## SteadyBid\n\n{summary(records)}\n"
        "Regret is what is missing to the best possible GMV, under targets relaxed to what a policy attained.\n\n"
        "![GMV of every policy](images/evaluation-gmv.svg)\n\n"
        f"## Where SteadyBid's missing GMV went\n\nPoints of the best possible GMV.\n\n{losses(split)}\n"
        f"## Every policy\n\n{markdown(HEADINGS, [cells(x) for x in board], left=2)}\n"
        f"## Worlds\n\n{markdown(('scenario', 'fingerprint'), worlds, left=2)}"
    )


def main() -> None:
    """Read, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("figures", type=Path)
    arguments.add_argument("page", type=Path)
    arguments.add_argument("--anew", type=Path, nargs="+", help="figures of runs that were made again by later code")
    arguments.add_argument("--code", help="commit of that code")
    given = arguments.parse_args()
    if bool(given.anew) != bool(given.code):
        arguments.error("--anew and --code come together")

    def runs(path: Path) -> list[Record]:
        return json.loads(path.read_text(encoding="utf-8"))["runs"]

    before = runs(given.figures)
    if given.anew:
        later = [r for path in given.anew for r in runs(path)]
        text = page(renewed(before, later, given.code), before, given.code)
    else:
        text = page(before)
    given.page.write_text(text, encoding="utf-8")
    print(f"wrote {given.page}")


if __name__ == "__main__":
    main()
