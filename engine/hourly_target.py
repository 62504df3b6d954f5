"""A target CPC or ROI of an hourly campaign, as a second row beside its budget."""

import math
from dataclasses import dataclass

from domain.errors import ConfigError
from engine.hourly_belief import Belief, Stretch
from engine.hourly_log import HourLog

#: Orders that have to be seen before their value holds a target ROI, and orders' worth of shrinkage after that.
LEAST_ORDERS = 3.0
#: Relative spread of single prices paid, and how many of its errors the target is kept away from.
PAID_CV, ERRORS = 0.5, 0.2
MOST_MARGIN = 0.15
#: Error of the log price up to which bids go beyond the target at all, and up to which as far as they may; how far
#: they go in between.
UNKNOWN, KNOWN, RISE = 0.9, 0.6, 0.4
#: Overdrawn, bids down to the target less so many steps are tried.
STEP, N_STEPS = 0.1, 6


@dataclass(slots=True)
class Bought:
    """What was bought so far; money in budgets."""

    spend: float = 0.0
    clicks: float = 0.0
    orders: float = 0.0
    gmv: float = 0.0

    def add(self, log: HourLog, budget: float, order_value: float | None) -> None:
        """Add the totals of an hour."""
        self.spend += log.spend / budget
        self.clicks += log.clicks
        self.orders += log.orders
        if log.gmv is not None:
            self.gmv += log.gmv / budget
        elif order_value is not None:
            self.gmv += log.orders * order_value


@dataclass(frozen=True, slots=True)
class Target:
    """Target CPC (in budgets) and ROI, each ``None`` where there is none; `order_value` in budgets."""

    cpc: float | None
    roi: float | None
    order_value: float | None

    @property
    def empty(self) -> bool:
        """Whether there is no target."""
        return self.cpc is None and self.roi is None

    def cap(self, bought: Bought) -> float | None:
        """Most that a click may cost in the mean: a target ROI is a CPC that follows the value of a click."""
        caps = [] if self.cpc is None else [self.cpc]
        if self.roi is not None and bought.orders > 0 and bought.gmv == 0:
            raise ConfigError("a target ROI needs the orders' value: give HourLog.gmv, or reset(..., order_value=...)")
        if self.roi is not None and bought.orders >= LEAST_ORDERS and bought.gmv > 0:
            caps.append(bought.gmv / bought.clicks / self.roi)
        return min(caps, default=None)


def highest_within(
    belief: Belief,
    rest: Stretch,
    log_units: float,
    shift: float,
    bought: Bought,
    cap: float,
    clicks_per_unit: float,
    price_sd: float,
    *,
    first_price: bool,
    left: float,
) -> float:
    """Largest log bid with which the campaign is expected to end with spend <= cap x clicks.

    Bidding the cap itself never pays more than it. Above, second price pays the market, so the bid may lie over the cap
    until the mean is the cap, less a margin for the luck that nobody can make good: that of the clicks to come.
    Overdrawn already, it lies below, and at the least overdrawn point where the target can no longer be met.
    """
    log_cap = math.log(cap * clicks_per_unit)
    if price_sd > UNKNOWN:
        return log_cap  # the price is not known yet

    def excess(log_bid: float, errors: float) -> float:
        units, spend = belief.outcome(log_units, rest.slope, log_bid, math.inf, first_price=first_price, shift=shift)
        clicks = units * clicks_per_unit
        if spend > left > 0:
            clicks, spend = clicks * left / spend, left
        total = bought.clicks + clicks
        margin = min(errors * PAID_CV * math.sqrt(clicks) / max(total, 1.0), MOST_MARGIN)
        return bought.spend + spend - cap * (1 - margin) * total

    errors, low, high = ERRORS, log_cap, log_cap + (3.0 if price_sd <= KNOWN else RISE)
    if excess(log_cap, 0.0) > 0:
        # Overdrawn: cheaper clicks bring the mean down. Take the largest bid that does, else the best of a ladder.
        steps = [log_cap - STEP * k for k in range(1, N_STEPS + 1)]
        values = [excess(step, 0.0) for step in steps]
        met = next((k for k, value in enumerate(values) if value <= 0), None)
        if met is None:
            return steps[min(range(len(steps)), key=values.__getitem__)]
        errors, low, high = 0.0, steps[met], steps[met] + STEP
    for _ in range(9 if high - low < 1 else 12):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if excess(middle, errors) > 0 else (middle, high)
    return low
