"""Plays a day of single auctions with a bidder, and what simple bidders to compare with do.

The exchange stops an account at its budget: an auction whose price is no longer covered is lost. Shoppers' luck is that
of the day, so every bidder meets the same ones.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numba import njit

from domain.auctions import TargetMode, TickLog, score
from domain.tables import Floats
from market.auction_world import AuctionDay


class TickBidder(Protocol):
    """What plays: told the values of a tick's auctions, it bids once in each."""

    def reset(self, budget: float, target: float | None, n_ticks: int) -> Any:
        """Start a day."""
        ...

    def bid(
        self, tick: int, values: Floats, value_sds: Floats, remaining_budget: float, observed: TickLog | None
    ) -> Floats:
        """(n_auctions,) bids; <= 0 stays out."""
        ...


@dataclass(frozen=True, slots=True)
class DayResult:
    """What became of a day.

    Attributes
    ----------
    value
        Expected true conversions of what was exposed: what policies are judged by.
    realised
        Conversions that happened.
    spend
        Account currency.
    logs
        One `TickLog` per tick.
    seconds
        (n_ticks,) CPU time of each bid call, where a clock was handed over.
    """

    value: float
    realised: float
    spend: float
    logs: tuple[TickLog, ...]
    seconds: Floats

    def score(self, cost_target: float | None, mode: TargetMode = TargetMode.SOFT) -> float:
        """What the day counts, by expected conversions."""
        if cost_target is None or mode is TargetMode.HARD:
            return self.value
        return float(score(self.value, self.spend, cost_target))


def play_day(
    day: AuctionDay,
    bidder: TickBidder,
    budget: float,
    target: float | None,
    told: str = "all",
    cpu_clock: Callable[[], float] | None = None,
) -> DayResult:
    """One day; `told` says of which auctions the price to win is told: ``all``, ``won`` or ``none``."""
    bidder.reset(budget, target, day.n_ticks)
    remaining, expected, realised = budget, 0.0, 0.0
    logs: list[TickLog] = []
    seconds = np.zeros(day.n_ticks)
    for t in range(day.n_ticks):
        part = day.tick(t)
        values, sds = day.values[part], day.value_sds[part]
        start = cpu_clock() if cpu_clock else 0.0
        bids = np.asarray(bidder.bid(t, values, sds, remaining, logs[-1] if logs else None), np.float64)
        seconds[t] = cpu_clock() - start if cpu_clock else 0.0
        position, price, seen = _hold(bids, day.thresholds[part], day.exposure, day.luck_seen[part], remaining)
        bought = seen & (day.luck_bought[part] < day.chance[part])
        spend = float(price @ seen)
        expected += float(day.truth[part] @ seen)
        realised += float(bought.sum())
        remaining = max(remaining - spend, 0.0)
        lowest = day.thresholds[part][:, -1]
        shown = lowest if told == "all" else np.where((position > 0) & (told == "won"), lowest, np.nan)
        logs.append(TickLog(values, sds, bids, position, price, seen, bought.astype(np.float64), shown, spend))
    return DayResult(expected, realised, budget - remaining, tuple(logs), seconds)


@njit(cache=True)
def _hold(bids, thresholds, exposure, luck, budget):
    """Place, price and whether seen, of each auction in order, until the money is gone."""
    n, slots = thresholds.shape
    position, price, seen = np.zeros(n, np.int16), np.zeros(n), np.zeros(n, np.bool_)
    for i in range(n):
        for s in range(slots):
            if bids[i] > thresholds[i, s]:
                if thresholds[i, s] <= budget:
                    position[i], price[i] = s + 1, thresholds[i, s]
                    if luck[i] < exposure[s]:
                        seen[i] = True
                        budget -= price[i]
                break
    return position, price, seen


@dataclass(slots=True)
class ConstantMultiplier:
    """Bids multiplier x value all day."""

    multiplier: float

    def reset(self, budget: float, target: float | None, n_ticks: int) -> None:
        """Nothing to remember."""

    def bid(
        self, tick: int, values: Floats, value_sds: Floats, remaining_budget: float, observed: TickLog | None
    ) -> Floats:
        """Bids of the tick."""
        return np.minimum(self.multiplier * values, remaining_budget)


@dataclass(slots=True)
class PidMultiplier:
    """PID on the log of spend over an even plan; starts from the target itself (or from `start`), which caps nothing else."""

    start: float
    gains: tuple[float, float, float] = (0.30, 0.05, 0.10)
    multiplier: float = 0.0
    _plan: float = 0.0
    _sum: float = 0.0
    _last: float = 0.0

    def reset(self, budget: float, target: float | None, n_ticks: int) -> None:
        """Start a day."""
        self.multiplier = self.start if target is None else target
        self._plan, self._sum, self._last = budget / n_ticks, 0.0, 0.0

    def bid(
        self, tick: int, values: Floats, value_sds: Floats, remaining_budget: float, observed: TickLog | None
    ) -> Floats:
        """Bids of the tick."""
        if observed is not None:
            error = float(np.clip(math.log(max(observed.paid, 1e-3 * self._plan) / self._plan), -1.5, 1.5))
            self._sum = float(np.clip(self._sum + error, -5, 5))
            p, i, d = self.gains
            self.multiplier *= math.exp(-p * error - i * self._sum - d * (error - self._last))
            self._last = error
        return np.minimum(self.multiplier * values, remaining_budget)
