"""A target CPC or ROI of an hourly campaign, as a second row beside its budget."""

import math
from dataclasses import dataclass

from domain.errors import ConfigError
from engine.hourly_belief import Belief, Stretch
from engine.hourly_log import HourLog

#: Orders that a predicted CVR is worth. Without one, orders count as so many more (the median of what may be true), and
#: by so many of their errors, less as the campaign goes on: a target that is held for want of orders never sees any.
TOLD_WORTH, UNTOLD, HOPE = 30.0, 0.7, 0.6
#: Relative spread of single prices paid, and how many of its errors the target is kept away from.
PAID_CV, ERRORS = 0.5, 0.2
MOST_MARGIN = 0.15
#: Errors of the mean price paid (second price), and at most this share of the target, that are taken for luck and not
#: run after: to make them good costs many times as many clicks.
PATIENCE, MOST_PATIENCE = 0.3, 0.01
#: Hourly memory of prices paid beside those believed, and units that it takes to believe half of it.
PAID_MEMORY, PAID_WORTH = 0.98, 20.0
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
    predicted_orders: float = 0.0
    predicted_clicks: float = 0.0

    def add(self, log: HourLog, budget: float, order_value: float | None) -> None:
        """Add the totals of an hour."""
        self.spend += log.spend / budget
        self.clicks += log.clicks
        self.orders += log.orders
        if log.predicted_cvr is not None:
            weight = max(log.clicks, 1e-3)  # an hour without clicks tells the prediction all the same
            self.predicted_orders += weight * log.predicted_cvr
            self.predicted_clicks += weight
        if log.gmv is not None:
            self.gmv += log.gmv / budget
        elif order_value is not None:
            self.gmv += log.orders * order_value


@dataclass(slots=True)
class Paid:
    """Spend seen beside the spend that was believed, of second-price hours with a target; fades by the hour.

    A belief of log-normal prices may think cheap what is dear: where the target is overdrawn, its word is not enough.
    """

    units: float = 0.0
    seen: float = 0.0
    due: float = 0.0

    def add(self, units: float, seen: float, due: float) -> None:
        """Count an hour in which something was charged."""
        if units > 0 and due > 0:
            self.units, self.seen, self.due = (
                PAID_MEMORY * old + new for old, new in ((self.units, units), (self.seen, seen), (self.due, due))
            )

    def dearer(self, *, overdrawn: bool) -> float:
        """Factor, 1 or more, by which prices paid exceed belief, drawn to 1 while few were paid; 1 unless overdrawn."""
        if not overdrawn or self.units <= 0:
            return 1.0
        worth = PAID_WORTH / self.units
        return max((self.seen / self.due + worth) / (1 + worth), 1.0)


@dataclass(frozen=True, slots=True)
class Target:
    """Target CPC (in budgets) and ROI, each ``None`` where there is none; `order_value` in budgets."""

    cpc: float | None
    roi: float | None
    order_value: float | None

    @classmethod
    def of(cls, budget: float, cpc: float | None, roi: float | None, order_value: float | None) -> "Target":
        """Target whose amounts are given in account currency."""
        cpc, order_value = (None if amount is None else amount / budget for amount in (cpc, order_value))
        return cls(cpc, roi, order_value)

    def click_value(self, bought: Bought, rest: float) -> float | None:
        """Expected gmv of a click, in budgets; ``None`` while nothing tells what an order is worth.

        `rest` is the share of the campaign's hours that are left.
        """
        if self.order_value is None and not (bought.orders > 0 and bought.gmv > 0):
            return None
        order = self.order_value if self.order_value is not None else bought.gmv / bought.orders
        if bought.predicted_orders > 0:
            clicks = TOLD_WORTH * bought.predicted_clicks / bought.predicted_orders
            return order * (bought.orders + TOLD_WORTH) / (bought.clicks + clicks)
        counted = bought.orders + UNTOLD
        return order * (counted + HOPE * rest * math.sqrt(counted)) / (bought.clicks + UNTOLD)

    @property
    def empty(self) -> bool:
        """Whether there is no target."""
        return self.cpc is None and self.roi is None

    def check(self, log: HourLog | None) -> None:
        """Raise `ConfigError` where orders come whose value nothing tells, and a target asks for it."""
        if self.roi is None or self.order_value is not None or log is None:
            return
        if log.orders > 0 and log.gmv is None:
            raise ConfigError("a target ROI needs the orders' value: give HourLog.gmv, or reset(..., order_value=...)")

    def cap(self, bought: Bought, rest: float) -> float | None:
        """Most that a click may cost in the mean: a target ROI is a CPC that follows the value of a click."""
        caps = [] if self.cpc is None else [self.cpc]
        value = None if self.roi is None else self.click_value(bought, rest)
        if self.roi is not None and value is not None:
            caps.append(value / self.roi)
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
    dearer: float = 1.0,
) -> float:
    """Largest log bid with which the campaign is expected to end with spend <= cap x clicks.

    Bidding the cap itself never pays more than it. Above, second price pays the market, so the bid may lie over the cap
    until the mean is the cap, less a margin for the luck that nobody can make good: that of the clicks to come.
    `dearer` is a factor on spend to come. Overdrawn already, the bid lies below, and at the least overdrawn point where the target can no longer be met.
    """
    log_cap = math.log(cap * clicks_per_unit)
    if price_sd > UNKNOWN:
        return log_cap  # the price is not known yet

    def excess(log_bid: float, errors: float) -> float:
        units, spend = belief.outcome(log_units, rest.slope, log_bid, math.inf, first_price=first_price, shift=shift)
        spend *= dearer
        clicks = units * clicks_per_unit
        if spend > left > 0:
            clicks, spend = clicks * left / spend, left
        total = bought.clicks + clicks
        margin = min(errors * PAID_CV * math.sqrt(clicks) / max(total, 1.0), MOST_MARGIN)
        if not first_price:
            margin -= min(PATIENCE * PAID_CV / math.sqrt(max(total, 1.0)), MOST_PATIENCE)
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
