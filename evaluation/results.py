"""Results of runs: what each came to, as JSON and as the rows of a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from evaluation.keep import KeptRun
from evaluation.metrics import Figures
from evaluation.trace import Hindsight, Trace

#: Figures that stand in the JSON of a run, in this order.
JSON_FIGURES = (
    "gmv",
    "spend",
    "gmv_vs_hindsight",
    "efficiency",
    "roi_miss",
    "misallocation",
    "budget_utilisation",
    "overspend",
    "hourly_cpc_cv",
    "regret_total",
    "cpc_miss",
    "cpa_miss",
    "cpc_cv_vs_hindsight",
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What all runs of a scenario have in common, as far as a reader of the report needs it.

    Attributes
    ----------
    scenario, purpose, currency
        As the scenario's file states them.
    budget
        Account currency.
    phases
        Name, local start and local end of each.
    fingerprint
        Names scenario and market to the last number; results of another one cannot be compared.
    """

    scenario: str
    purpose: str
    currency: str
    budget: float
    phases: tuple[tuple[str, datetime, datetime], ...]
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class RunResult:
    """One policy's run on one seed.

    Attributes
    ----------
    setting
        The scenario.
    policy, seed
        Who ran, in which world.
    roi_target
        Gmv per unit of spend that was asked for, or ``None``; it depends on the seed.
    figures
        What it came to.
    trace, hindsight
        The run and the hindsight optimum, hour by hour.
    holds
        Hours in which live bids were held because nothing could be decided.
    binding
        Rows that bind in hindsight: ``budget``, ``roi``, ``cpc``.
    regret
        Parts of the regret, where they were asked for; see `evaluation.regret`.
    kept
        All that the run's desk saw and decided, where the run was asked for it.
    """

    setting: Setting
    policy: str
    seed: int
    roi_target: float | None
    figures: Figures
    trace: Trace
    hindsight: Hindsight
    holds: int = 0
    binding: tuple[str, ...] = ()
    regret: Mapping[str, float] | None = None
    kept: KeptRun | None = None


def to_json(results: Sequence[RunResult]) -> dict[str, list[dict[str, Any]]]:
    """Figures of every run: fractions or account currency, null where there is no such target."""
    runs: list[dict[str, Any]] = []
    for result in results:
        figures = result.figures.as_dict()
        runs.append(
            {
                "scenario": result.setting.scenario,
                "policy": result.policy,
                "seed": result.seed,
                **{name: figures[name] for name in JSON_FIGURES},
                "binding": list(result.binding),
                "regret": None if result.regret is None else dict(result.regret),
                "fingerprint": result.setting.fingerprint,
            }
        )
    return {"runs": runs}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result table, each cell as a person reads it."""

    policy: str
    efficiency: str
    gmv_vs_hindsight: str
    roi_miss: str
    misallocation: str
    budget_use: str
    overspend: str
    hourly_cpc_cv: str


#: Headings of the table, in the order of `Row`.
HEADINGS: Mapping[str, str] = {
    "policy": "policy",
    "efficiency": "efficiency",
    "gmv_vs_hindsight": "GMV / hindsight [min, max]",
    "roi_miss": "ROI miss (worst)",
    "misallocation": "misallocation",
    "budget_use": "budget use",
    "overspend": "overspend",
    "hourly_cpc_cv": "hourly CPC CV",
}


def table(results: Sequence[RunResult]) -> list[Row]:
    """One row per policy, in order of first appearance: means over seeds, with the worst where it matters.

    Negative ROI miss = below the target.
    """
    rows: list[Row] = []
    for policy in dict.fromkeys(r.policy for r in results):
        mine = [r.figures for r in results if r.policy == policy]
        gmv = [f.gmv_vs_hindsight for f in mine]
        miss = _some(mine, lambda f: f.roi_miss)
        rows.append(
            Row(
                policy=policy,
                efficiency=_percent(_some(mine, lambda f: f.efficiency)),
                gmv_vs_hindsight=f"{np.mean(gmv):.1%} [{min(gmv):.1%}, {max(gmv):.1%}]",
                roi_miss=f"{np.mean(miss):+.1%} ({min(miss):+.1%})" if miss else "-",
                misallocation=_percent(_some(mine, lambda f: f.misallocation)),
                budget_use=_percent(_some(mine, lambda f: f.budget_utilisation)),
                overspend=f"{max(_some(mine, lambda f: f.overspend), default=0.0):,.2f}",
                hourly_cpc_cv=_number(_some(mine, lambda f: f.hourly_cpc_cv)),
            )
        )
    return rows


def _some(figures: Sequence[Figures], of: Callable[[Figures], float | None]) -> list[float]:
    return [value for f in figures if (value := of(f)) is not None]


def _percent(values: Sequence[float]) -> str:
    return f"{np.mean(values):.1%}" if values else "-"


def _number(values: Sequence[float]) -> str:
    return f"{np.mean(values):.2f}" if values else "-"
