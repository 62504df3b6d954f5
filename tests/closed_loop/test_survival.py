"""SteadyBid under each disturbance: every hour decided, nothing lost, nothing overspent beyond a report interval."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from evaluation.simulate import run
from market import Scenario
from market.scenario import FaultKind, FaultPart

NIGHT = {"start": datetime(2026, 11, 8, 14), "hours": 6}

FAULTS = [
    (FaultPart(FaultKind.LATE_REPORTS, hours=3),),
    (FaultPart(FaultKind.LOST_REPORTS, share=0.2, hours=6),),
    (FaultPart(FaultKind.DUPLICATED_REPORTS, share=0.5),),
    (FaultPart(FaultKind.RESTATED_REPORTS, share=0.3, amount=0.3, hours=4),),
    (FaultPart(FaultKind.ATTRIBUTION_OUTAGE, **NIGHT),),
    (FaultPart(FaultKind.DARK_HOURS, **NIGHT),),
    (FaultPart(FaultKind.CLOCK_SKEW, amount=20),),
    (FaultPart(FaultKind.REJECTED_BIDS, share=0.3),),
    (FaultPart(FaultKind.ROUNDED_BIDS, amount=0.05),),
    (FaultPart(FaultKind.RATE_LIMITED, amount=10),),
    (FaultPart(FaultKind.EDITS_PER_DAY, amount=2),),
    (FaultPart(FaultKind.OVER_DELIVERY, amount=2.0),),
    (FaultPart(FaultKind.DAILY_BUDGET, amount=2.0),),
    (FaultPart(FaultKind.PRICE_SHOCK, amount=1.6, **NIGHT),),
    (FaultPart(FaultKind.DEMAND_SHOCK, amount=2.5, **NIGHT),),
    (FaultPart(FaultKind.RIVAL_ENTRY, amount=1.5, share=0.3, **NIGHT),),
    (FaultPart(FaultKind.STOCK_OUT, share=0.2, **NIGHT),),
    (FaultPart(FaultKind.PREDICTOR_BIAS, amount=1.4),),
    (
        FaultPart(FaultKind.REJECTED_BIDS, share=0.2),
        FaultPart(FaultKind.DUPLICATED_REPORTS, share=0.3),
        FaultPart(FaultKind.LATE_REPORTS, hours=2),
        FaultPart(FaultKind.OVER_DELIVERY, amount=2.0),
    ),
]

#: Hours after which what was spent in an hour can be read, where it is more than one.
INTERVAL = {FaultKind.LATE_REPORTS: 4, FaultKind.LOST_REPORTS: 7, FaultKind.DARK_HOURS: 7, FaultKind.CLOCK_SKEW: 2}


@pytest.mark.parametrize("faults", FAULTS, ids=lambda faults: "+".join(f.kind.value for f in faults))
def test_steadybid_survives(short: Scenario, faults: tuple[FaultPart, ...]) -> None:
    # The budget binds, so that careless pacing would overspend; the platform is no help where it over-delivers.
    tight = replace(short, goals=replace(short.goals, budget=short.goals.budget * 0.6, roi_of_budget_optimum=0.8))
    result = run(replace(tight, faults=faults), "steadybid", 11)
    figures, trace = result.figures, result.trace
    assert np.isfinite(trace.spend).all()
    assert figures.overspend is not None
    interval = max(INTERVAL.get(f.kind, 1) for f in faults)
    busiest = np.convolve(trace.spend, np.ones(interval)).max()
    assert figures.overspend <= busiest
    # An edit limit that nobody was told of costs most: 0.73.
    assert figures.gmv_vs_hindsight > 0.70
    assert result.holds <= 12
