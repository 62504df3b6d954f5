"""The figures of a run, as the mathematics defines them (part IV).

Truth = expected matured value of the clicks that were bought: a run is not praised for lucky draws, nor for
conversions that its reports promised.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from domain.tables import Floats
from market import FluidPlan, Ledger, best_gmv_at_spend, fluid_optimum
from market.fluid import Curves, Pool, pooled_optimum

#: Hours with fewer clicks say nothing about the price of a click.
MIN_CLICKS = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run came to; shares are fractions, money is account currency, ``None`` = no such target or no spend.

    Attributes
    ----------
    gmv, spend
        Expected matured gmv of the bought clicks, and what they cost.
    gmv_vs_hindsight
        Gmv over that of the hindsight optimum. A row that was missed or overspent is relaxed to what the run
        attained, so nothing is won by breaking it.
    efficiency
        Gmv over the best that the same spend could have bought.
    roi_miss, cpc_miss, cpa_miss
        roi / target - 1, target / cpc - 1, target / cpa - 1; negative = missed, in all three.
    misallocation
        Share of spend on the wrong unit, against the optimum at equal spend.
    budget_utilisation
        Spend / budget.
    overspend
        Spend beyond the budget, account currency.
    hourly_cpc_cv
        Click-weighted standard deviation / mean of hourly CPC, hours with `MIN_CLICKS` clicks or more.
    cpc_cv_vs_hindsight
        `hourly_cpc_cv` over that of the executed best constant price of the same seed.
    """

    gmv: float
    spend: float
    gmv_vs_hindsight: float
    efficiency: float | None
    roi_miss: float | None
    cpc_miss: float | None
    cpa_miss: float | None
    misallocation: float | None
    budget_utilisation: float | None
    overspend: float | None
    hourly_cpc_cv: float | None
    cpc_cv_vs_hindsight: float | None = None

    @property
    def regret_total(self) -> float:
        """Share of the best possible gmv that is missing."""
        return 1.0 - self.gmv_vs_hindsight

    def as_dict(self) -> dict[str, float | None]:
        """Figures by name."""
        return {**asdict(self), "regret_total": self.regret_total}


@dataclass(frozen=True, slots=True)
class Rows:
    """Targets a run is measured against; ``None`` = none of that kind.

    With `pools` each of them has its own budget and ROI target; the ROI miss is then that of the worst one.
    """

    budget: float | None = None
    roi: float | None = None
    cpc: float | None = None
    cpa: float | None = None
    pools: Sequence[Pool] = ()


def hindsight_for(truth: Curves, rows: Rows, spend: float, gmv: float, clicks: float = 0.0) -> FluidPlan:
    """Best plan under the rows, each relaxed to what a run attained where it broke it."""
    budget = None if rows.budget is None else max(rows.budget, spend)
    roi = rows.roi if rows.roi is None or spend <= 0 else min(rows.roi, gmv / spend)
    cpc = rows.cpc if rows.cpc is None or clicks <= 0 else max(rows.cpc, spend / clicks)
    return fluid_optimum(truth, budget, roi if roi is None or roi > 0 else None, cpc)


def hourly_cpc_cv(clicks: Floats, spend: Floats) -> float | None:
    """Click-weighted standard deviation over mean of hourly CPC; arguments (n_hours,)."""
    enough = clicks >= MIN_CLICKS
    if not enough.any():
        return None
    cpc = spend[enough] / clicks[enough]
    weight = clicks[enough] / clicks[enough].sum()
    mean = float((weight * cpc).sum())
    return float(np.sqrt((weight * (cpc - mean) ** 2).sum())) / mean if mean > 0 else None


def measure(truth: Curves, ledger: Ledger, rows: Rows) -> Figures:
    """Figures of a finished run."""
    gmv = float((ledger.clicks * truth.click_value).sum())
    orders = float((ledger.clicks * truth.cvr).sum())
    clicks = float(ledger.clicks.sum())
    spend = float(ledger.spend.sum())
    best = best_gmv_at_spend(truth, spend) if spend > 0 else None
    misallocation = None
    if best is not None:
        wrong = np.abs(ledger.spend.sum(axis=1) - best.spend.sum(axis=1)).sum()
        misallocation = float(0.5 * wrong / spend)
    overspend = max(0.0, spend - rows.budget) if rows.budget else None
    roi_miss = gmv / spend / rows.roi - 1 if rows.roi and spend > 0 else None
    hindsight = hindsight_for(truth, rows, spend, gmv, clicks) if not rows.pools else None
    if rows.pools:
        value, cost = (ledger.clicks * truth.click_value).sum(axis=1), ledger.spend.sum(axis=1)
        attained = [(p, float(value[p.units].sum()), float(cost[p.units].sum())) for p in rows.pools]
        hindsight = pooled_optimum(
            truth,
            [replace(p, budget=max(p.budget, c), roi=min(p.roi, v / c) if c > 0 else p.roi) for p, v, c in attained],
        )
        roi_miss = min((v / c / p.roi - 1 for p, v, c in attained if c > 0), default=None)
        overspend = max(overspend or 0.0, sum(max(0.0, c - p.budget) for p, _, c in attained))
    assert hindsight is not None
    return Figures(
        gmv=gmv,
        spend=spend,
        gmv_vs_hindsight=gmv / hindsight.gmv,
        efficiency=gmv / best.gmv if best is not None else None,
        roi_miss=roi_miss,
        cpc_miss=rows.cpc * clicks / spend - 1 if rows.cpc and spend > 0 else None,
        cpa_miss=rows.cpa * orders / spend - 1 if rows.cpa and spend > 0 else None,
        misallocation=misallocation,
        budget_utilisation=spend / rows.budget if rows.budget else None,
        overspend=overspend,
        hourly_cpc_cv=hourly_cpc_cv(ledger.clicks.sum(axis=0), ledger.spend.sum(axis=0)),
    )
