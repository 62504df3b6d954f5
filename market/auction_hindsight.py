r"""The best that could have been bought on a day of single auctions, all thresholds known, and the best constant multiplier.

Place s of auction i brings e_s v_i and costs e_s p_is. Over the places of one auction keep the upper concave envelope of
value over cost; its segments have the slope (e_s v - e_s' v) / (e_s p_s - e_s' p_s'). The linear program

    max sum e_s v_i x_is   s.t.  sum e_s p_is x_is <= C,   sum_s x_is <= 1

is solved exactly by taking the segments of all auctions in falling order of slope: a concave curve V(C). A target on
spend per value and a soft target's score are functions of (C, V(C)) alone, so the optimum under them is a search along it.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from domain.auctions import TargetMode, score
from domain.tables import Floats
from market.auction_world import AuctionDay


@dataclass(frozen=True, slots=True)
class Optimum:
    """Expected outcome of a plan.

    Attributes
    ----------
    value, spend
        Expected true conversions, and money.
    score
        What the day counts.
    theta
        Value per unit of money of the last thing bought; for a constant multiplier 1 / multiplier.
    """

    value: float
    spend: float
    score: float
    theta: float


@dataclass(frozen=True, slots=True)
class HindsightCurve:
    """(n_segments + 1,) spend and value along the exact optimum, and (n_segments,) falling slopes."""

    spend: Floats
    value: Floats
    slope: Floats

    @classmethod
    def of(cls, day: AuctionDay) -> "HindsightCurve":
        """Curve of a day, by its true values."""
        n = day.truth.size
        dc, dv = np.empty(n * day.exposure.size), np.empty(n * day.exposure.size)
        m = _segments(day.truth, day.thresholds, day.exposure, dc, dv)
        dc, dv = dc[:m], dv[:m]
        slope = dv / np.maximum(dc, 1e-300)
        order = np.argsort(-slope)
        spend = np.concatenate([[0.0], np.cumsum(dc[order])])
        return cls(spend, np.concatenate([[0.0], np.cumsum(dv[order])]), slope[order])

    def best(self, budget: float, cost_target: float | None, mode: TargetMode = TargetMode.SOFT) -> Optimum:
        """Optimum under a budget and a target on spend per value."""
        top = int(np.searchsorted(self.spend, budget, side="right"))
        c, v = self.spend[:top], self.value[:top]
        if top < self.spend.size:  # the last segment in part
            c = np.append(c, budget)
            v = np.append(v, np.interp(budget, self.spend, self.value))
        if cost_target is None:
            counts = v
        elif mode is TargetMode.SOFT:
            counts = score(v, c, cost_target)
        else:
            counts = np.where(c <= cost_target * v * (1 + 1e-12), v, 0.0)
        k = int(np.argmax(counts))
        theta = float(self.slope[min(k, self.slope.size - 1)])
        return Optimum(float(v[k]), float(c[k]), float(counts[k]), theta)


def best_constant(
    day: AuctionDay, budget: float, cost_target: float | None, mode: TargetMode = TargetMode.SOFT
) -> Optimum:
    """Best bid = multiplier x believed value for the whole day, in expectation; bidding ends with the budget."""
    best = Optimum(0.0, 0.0, 0.0, 0.0)
    middle = float(np.median(day.thresholds[:, -1])) / float(np.median(day.values))
    grid = middle * np.geomspace(0.02, 50.0, 61)
    for _ in range(3):
        found = [_constant(day, m, budget, cost_target, mode) for m in grid]
        k = int(np.argmax([o.score for o in found]))
        if found[k].score > best.score:
            best = found[k]
        grid = np.geomspace(grid[max(k - 1, 0)], grid[min(k + 1, grid.size - 1)], 9)
    return best


def _constant(
    day: AuctionDay, multiplier: float, budget: float, cost_target: float | None, mode: TargetMode
) -> Optimum:
    value, spend = _run(day.values, day.truth, day.thresholds, day.exposure, multiplier, budget)
    if cost_target is None:
        counts = value
    elif mode is TargetMode.SOFT:
        counts = float(score(value, spend, cost_target))
    else:
        counts = value if spend <= cost_target * value else 0.0
    return Optimum(value, spend, counts, 1 / multiplier)


@njit(cache=True)
def _run(values, truth, thresholds, exposure, multiplier, budget):
    value, spend = 0.0, 0.0
    for i in range(values.size):
        bid = multiplier * values[i]
        for s in range(exposure.size):
            if bid > thresholds[i, s]:
                spend += exposure[s] * thresholds[i, s]
                value += exposure[s] * truth[i]
                break
        if spend >= budget:
            break
    return value, spend


@njit(cache=True)
def _segments(truth, thresholds, exposure, dc, dv):
    """Envelope segments of all auctions; gives their number."""
    m = 0
    slots = exposure.size
    for i in range(truth.size):
        first = m
        c0, v0 = 0.0, 0.0
        start_c, start_v = np.zeros(slots + 1), np.zeros(slots + 1)
        for k in range(slots):
            s = slots - 1 - k
            c, v = exposure[s] * thresholds[i, s], exposure[s] * truth[i]
            while m > first:
                # a point above the chord of the last segment takes its place
                pc, pv = start_c[m - first - 1], start_v[m - first - 1]
                if (v - v0) * (c0 - pc) >= (v0 - pv) * (c - c0):
                    m -= 1
                    c0, v0 = pc, pv
                else:
                    break
            start_c[m - first], start_v[m - first] = c0, v0
            dc[m], dv[m] = c - c0, v - v0
            c0, v0 = c, v
            m += 1
    return m
