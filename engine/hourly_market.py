"""What a campaign's hours have taught of its market: the belief, carried from hour to hour, and where its prices go.

Reports may come some hours late: the belief waits for them, and what is decided meanwhile rests on a copy of it.
"""

import math
from dataclasses import dataclass

import numpy as np

from domain.tables import Floats
from engine.hourly_belief import Belief, Stretch
from engine.hourly_charge import Charge
from engine.hourly_horizon import HourlyHorizon
from engine.hourly_log import HourLog
from engine.hourly_prior import first_belief
from engine.hourly_target import Paid, Target
from predictors.price_level import follow_level

#: Hours that a report may be late and still be learned from.
LATE = 3
#: Hours from which the price level is forecast, and for which.
PRICE_MEMORY, PRICE_AHEAD = 72, 48


@dataclass(slots=True)
class _Seen:
    """An hour as it was told: its position, and the log."""

    position: int
    log: HourLog


class HourlyMarket:
    """Market of one campaign as its hours tell; money in budgets.

    Parameters
    ----------
    budget
        Account currency: the unit that logs are counted in here.
    first_price
        Whether the winner pays the bid.

    Attributes
    ----------
    charge
        What is paid for.
    paid
        Spend seen beside the spend that was believed.
    """

    def __init__(self, horizon: HourlyHorizon, budget: float, target: Target, *, first_price: bool) -> None:
        self._horizon, self._budget, self._target, self._first = horizon, budget, target, first_price
        self.charge = Charge()
        self._seen: list[_Seen] = []
        self._begin()

    def _begin(self) -> None:
        """Before the first hour."""
        self._belief = first_belief(self._horizon, self.charge, self._target)
        self.paid = Paid()
        self._prices: list[float] = []
        self._price_vars: list[float] = []
        self._hour = 0

    def take(self, position: int, log: HourLog) -> None:
        """Learn from the totals of an hour."""
        seen = _Seen(position, log)
        if self.charge.count(log):
            self._begin()  # what was charged was taken for something else: read all hours again
            for earlier in self._seen:
                self._learn(earlier)
        self._seen.append(seen)
        self._learn(seen)

    def _learn(self, seen: _Seen) -> None:
        """Filter one hour, and pass to the next."""
        horizon, charge, belief, log = self._horizon, self.charge, self._belief, seen.log
        if seen.position < self._hour:
            return  # too late to learn from: the belief has gone past that hour
        while self._hour < seen.position:
            self._pass(self._hour)
        if log.bid > 0 and seen.position < horizon.n_hours:
            log_bid = math.log(log.bid / self._budget)
            at = seen.position
            belief.observe_volume(log_bid, charge.volume(log), float(horizon.log_shape[at]), horizon.waves[at])
            units = charge.units(log)
            if not self._first and not self._target.empty:
                won, spent = belief.outcome(
                    0.0, self.stretch(at, at + 1, belief).slope, log_bid, math.inf, first_price=False
                )
                self.paid.add(units, log.spend / self._budget, units * spent / won if won > 0 else 0.0)
            paid = log.spend / (units * log.bid) if units > 0 else 0.0
            if not self._first and 0 < paid <= (1.001 if charge.unit != "expected click" else 1.5):
                draws = min(charge.draws(log), 1e6)
                belief.observe_price(log_bid, log_bid + math.log(min(paid, 1.0)), draws)
        self._pass(seen.position)

    def _pass(self, position: int) -> None:
        """One hour goes by."""
        price, sd, _ = self._belief.price()
        self._prices.append(price)
        self._price_vars.append(sd * sd + 1e-4 if sd < 0.3 else math.inf)
        self._belief.pass_hour(new_day=self._horizon.new_day(position + 1))
        self._hour = position + 1

    def ahead(self, position: int) -> Belief:
        """Belief as of an hour; while reports of the last hours may still come, their hours pass in a copy alone."""
        while self._hour < position - LATE:
            self._pass(self._hour)
        if self._hour >= position:
            return self._belief
        view = self._belief.copy()
        for at in range(self._hour, position):
            view.pass_hour(new_day=self._horizon.new_day(at + 1))
        return view

    def stretch(self, first: int, end: int, belief: Belief) -> Stretch:
        """Hours from `first` to `end` (exclusive) as a belief sees them."""
        horizon = self._horizon
        today: Floats = (horizon.day[first:end] == horizon.day[first]).astype(np.float64)
        return belief.stretch(horizon.log_shape[first:end], horizon.waves[first:end], today)

    def expected_spend(self, at: int, log_bid: float, left: float) -> float:
        """Of an hour that nobody told of, in budgets."""
        belief = self.ahead(at)
        hour = self.stretch(at, at + 1, belief)
        log_units = hour.log_volume + math.log(self.charge.per_volume)
        return min(left, belief.outcome(log_units, hour.slope, log_bid, left, first_price=self._first)[1])

    def shift(self, rest: Stretch) -> float:
        """How far prices of the rest are expected over the present one: a level that rose may come back."""
        if self._first or len(self._prices) < 3:
            return 0.0
        variance = np.array(self._price_vars[-PRICE_MEMORY:])
        known = np.isfinite(variance)
        if known.sum() < 3:
            return 0.0
        level = np.array(self._prices[-PRICE_MEMORY:])
        level = level - np.average(level[known], weights=1 / variance[known])
        n = min(rest.share.size, PRICE_AHEAD)
        ahead, _ = follow_level(level, variance, n)
        return float(rest.share[:n] @ ahead + rest.share[n:].sum() * ahead[-1] - ahead[0])

    def price(self) -> tuple[float, float]:
        """Median price of what is charged, account currency, and the error of its logarithm."""
        price, sd, _ = self._belief.price()
        return math.exp(price) * self._budget, sd
