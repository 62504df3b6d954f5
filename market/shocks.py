"""Disturbances of the world itself: prices, demand, rivals, stock; and of what last month's model believes.

Each one of a scenario's faults that is of such a kind changes the hidden curves before anything runs, so the hindsight
optimum knows it and nobody else does.
"""

from dataclasses import replace

import numpy as np

from domain.tables import Floats
from market.scenario import FaultKind, FaultPart, Scenario
from market.truth import Belief, Profiles, Truth, stream

_HIT, _DAYS = 30, 31  # random streams beside those of market.truth and market.faults


def shocked(truth: Truth, scenario: Scenario, seed: int) -> Truth:
    """Curves of a world in which the scenario's shocks happen."""
    for k, fault in enumerate(scenario.faults):
        if fault.kind is FaultKind.PRICE_SHOCK:
            truth = replace(truth, price_median=truth.price_median * _factor(fault, scenario, fault.amount or 1.0))
        elif fault.kind is FaultKind.DEMAND_SHOCK:
            truth = replace(truth, opportunities=truth.opportunities * _factor(fault, scenario, fault.amount or 1.0))
        elif fault.kind is FaultKind.RIVAL_ENTRY:
            factor = np.where(
                hit(fault, scenario, seed, k)[:, None], _factor(fault, scenario, fault.amount or 1.0), 1.0
            )
            truth = replace(truth, price_median=truth.price_median * factor)
        elif fault.kind is FaultKind.STOCK_OUT:
            factor = np.where(hit(fault, scenario, seed, k)[:, None], _factor(fault, scenario, 0.0), 1.0)
            truth = replace(truth, cvr=truth.cvr * factor)
    return truth


def biased(belief: Belief, scenario: Scenario) -> Belief:
    """What last month's model believes where it is biased beyond its prior errors."""
    for fault in scenario.faults:
        if fault.kind is FaultKind.PREDICTOR_BIAS:
            belief = replace(belief, cvr=np.minimum(belief.cvr * (fault.amount or 1.0), 0.95))
    return belief


def over_delivery(scenario: Scenario) -> float:
    """Multiple of the budget at which the platform stops."""
    return max((f.amount or 1.0 for f in scenario.faults if f.kind is FaultKind.OVER_DELIVERY), default=1.0)


def daily_caps(scenario: Scenario, seed: int, expected: Profiles) -> Floats:
    """(n_days,) spend at which each local day's delivery ends, account currency; infinite without daily budgets.

    A day's budget is the part of the whole that its expected traffic and prices ask for; the platform over-delivers
    it by a factor of the day's own.
    """
    most = max((f.amount or 1.0 for f in scenario.faults if f.kind is FaultKind.DAILY_BUDGET), default=None)
    days = int(expected.day[-1]) + 1
    if most is None:
        return np.full(days, np.inf)
    part = np.bincount(expected.day, expected.traffic * expected.price)
    return scenario.goals.budget * part / part.sum() * stream(seed, _DAYS).uniform(1.0, most, days)


def hit(fault: FaultPart, scenario: Scenario, seed: int, position: int) -> np.ndarray:
    """(n_units,) units that a fault hits: a share of them, at random."""
    n = scenario.units.count
    chosen = np.zeros(n, np.bool_)
    chosen[stream(seed, _HIT, position).permutation(n)[: round((fault.share or 0.0) * n)]] = True
    return chosen


def _factor(fault: FaultPart, scenario: Scenario, amount: float) -> np.ndarray:
    """(n_hours,) the amount while the fault lasts, else 1."""
    factor = np.ones(scenario.n_hours)
    if fault.start is not None and fault.hours is not None:
        first = scenario.position(fault.start)
        factor[first : first + fault.hours] = amount
    return factor
