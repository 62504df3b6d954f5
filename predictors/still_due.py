"""Law of the gmv that past clicks have not told yet: what is still to come, less what is still to come back, by group.

Of a row's clicks c is still to come and r to come back, in the order's final value,

    c = believed (final - money) + r,     r = believed rho (1 - B(a)) / (1 - rho)

with B the share of returns that are told at age a. Variance and third central moment of the sum come from

    luck      orders to come and to come back are Poisson counts, each worth what its basket holds
    units     each unit's own orders per click and value
    level     what all units share, known from so many orders
    delay     the points of the law's posterior: a slower law means that more is to come *and* that rates are better, since
              the same orders were told of fewer that were due; so each point moves the level as well
    waiting   how many carts wait for the burst, and what that makes of the level; balances that may be forfeited
    returns   how many orders come back and how late, which are read off the same returns

A gamma law that is moved to that mean, variance and skewness gives the band (Pearson III); where next to nothing is to
come, it is as wide as nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv, ndtri

from domain.groups import Groups
from domain.tables import Bools, Floats, Ints
from predictors.delay import DelayLaw, lookup
from predictors.evidence import NEVER, Evidence
from predictors.past import Past
from predictors.rows import Positions
from predictors.settling import RETURN_WORTH
from predictors.sums import summed

#: Orders that the belief of a basket's spread is worth, and that spread squared, over the mean.
_BASKET_WORTH, _BASKET_CV2 = 10.0, 0.3
#: Share of a row's value to come, or to come back, below which it is not looked at any more.
_NOTHING = 1e-4


@dataclass(frozen=True, slots=True)
class StillDue:
    """Gmv to come, (n_groups,): mean, variance, third central moment; account currency."""

    mean: Floats
    variance: Floats
    third: Floats

    def band(self, share: float = 0.8) -> tuple[Floats, Floats]:
        """Ends of the band that leaves the same chance on both sides."""
        sd = np.sqrt(self.variance)
        skew = np.divide(self.third, sd**3, out=np.zeros_like(sd), where=sd > 0)
        tail = (1 - share) / 2
        low, high = _pearson(np.abs(skew), tail), _pearson(np.abs(skew), 1 - tail)
        return self.mean + sd * np.where(skew < 0, -high, low), self.mean + sd * np.where(skew < 0, -low, high)


@dataclass(frozen=True, slots=True)
class _Open:
    """Rows of which something is still to come or to come back; every array but `mine` is (n_open,).

    ``mine`` are positions of those whose totals are asked for: what all of them tell of the level counts for these.
    """

    at: Ints
    mine: Ints
    unit: Positions
    kind: Ints
    steps: Floats
    hourly: Bools
    to_burst: Ints
    due: Floats
    believed: Floats
    told: Floats
    money: Floats
    final: Floats
    returning: Floats

    @classmethod
    def of(cls, evidence: Evidence, past: Past, kept: Bools) -> "_Open":
        """Rows that are young, or wait for something."""
        rows, cohorts, laws = evidence.rows, evidence.rows.cohorts, past.conversions
        left = np.maximum(1 - laws.hourly.share, 1 - _with_delay(laws.hourly, laws.returned.law))
        oldest = int(np.flatnonzero((left > _NOTHING).any(0)).max(initial=0)) + 1
        young = cohorts.daily | (laws.steps <= oldest) | (np.abs(laws.final - laws.money) > _NOTHING)
        at = np.flatnonzero(young[rows.cohort])
        cohort, unit = rows.cohort[at], rows.unit[at]
        hour = evidence.factors.position(cohorts.hour[cohort])
        kind, steps, hourly = evidence.factors.phase[hour], laws.steps[cohort], ~cohorts.daily[cohort]
        due = past.due(rows, at)
        rho = laws.returned.share
        back = 1 - lookup(_with_delay(laws.hourly, laws.returned.law), kind, steps)
        return cls(
            at, np.flatnonzero(kept[at]), unit, kind, steps, hourly, evidence.factors.to_burst[hour],
            due, due * past.worth[unit], laws.told[cohort], laws.money[cohort], laws.final[cohort],
            np.where(hourly, rho * back / (1 - rho), 0.0),
        )  # fmt: skip


def still_due(evidence: Evidence, past: Past, groups: Groups, level_sd: float, kept: Bools) -> StillDue:
    """Law of what the rows that are kept, (n_rows,), have not told yet.

    Parameters
    ----------
    level_sd
        Relative error of the account's conversion level before any order was told.
    """
    rows, n, laws = evidence.rows, evidence.n_units, past.conversions
    open_rows = _Open.of(evidence, past, kept)
    mine, unit = open_rows.mine, open_rows.unit[open_rows.mine]

    def by_unit(values: Floats) -> Floats:
        return summed(unit, values[mine], n)

    def by_group(values: Floats) -> Floats:
        return groups.rolled_up(by_unit(values))

    pending = by_unit(open_rows.believed * (open_rows.final - open_rows.money))
    mean = groups.rolled_up(pending)
    worth, cv2 = past.worth[open_rows.unit], _basket_cv2(past)
    comes = np.maximum(1 - open_rows.told + open_rows.returning, 0.0)
    single = open_rows.due * worth**2 * (1 + cv2)
    luck = by_group(single * (comes + open_rows.returning))
    third = by_group(single * worth * (1 + cv2) ** 2 * (comes - open_rows.returning))
    units = groups.rolled_up((pending * np.hypot(laws.shrunk.own_cv, past.worth_cv)) ** 2)
    belief = level_sd**-2
    level = mean**2 * (1 + cv2) / (max(float(rows.orders.sum()), 0.0) + belief)
    # all that should have been told, in orders: what a slower law, or more that waits, moves the level by
    told = float((rows.by_cohort(rows.clicks, laws.cvr) * laws.per_click) @ laws.told) + belief
    carts, skew, waits = _carts(open_rows, past, mean, told, by_group)
    unpaid = np.where(open_rows.final < 1, 1 - open_rows.money / np.maximum(open_rows.final, 1e-9), 0.0)
    balances = by_group(open_rows.believed * (1 - open_rows.final) * np.clip(unpaid, 0.0, 1.0)) ** 2
    delay = np.zeros(mean.size)
    for law, whose in ((laws.hourly, open_rows.hourly), (laws.daily, ~open_rows.hourly)):
        if whose.any():
            delay = delay + _delay(open_rows, law, np.where(whose, 1 - waits, 0.0), mean, told, by_group)
    variance = luck + units + level + carts + balances + delay + _returns(open_rows, past, by_group)
    return StillDue(mean, variance, third + skew)


def _carts(
    rows: _Open, past: Past, mean: Floats, told: float, by_group: Callable[[Floats], Floats]
) -> tuple[Floats, Floats, Floats]:
    """Variance and third moment by group of carts that wait, and (n_open,) share of each row's orders that waits."""
    variance, third, waits = np.zeros(mean.size), np.zeros(mean.size), np.zeros(rows.unit.size)
    for k, wait in past.conversions.waits.items():
        mine = rows.hourly & (rows.kind == k) & (rows.to_burst < NEVER) & (rows.steps <= rows.to_burst)
        if wait.share_sd <= 0 or not mine.any():
            continue
        waits[mine] = wait.share
        # where more waits, less was due by now: the level is higher, for all rows
        plain = np.where(mine, np.minimum(rows.told, 1.0) / max(1 - wait.share, 0.1), 0.0)
        off = wait.share_sd * (by_group(rows.believed * plain) + mean * float(rows.due @ plain) / told)
        variance += off**2
        third += 2 * off**3 * wait.share_sd / max(wait.share, 1e-3)
    return variance, third, waits


def _delay(
    rows: _Open, law: DelayLaw, weight: Floats, mean: Floats, told: float, by_group: Callable[[Floats], Floats]
) -> Floats:
    """Variance by group over the points of a law's posterior; `weight` (n_open,) is the part of a row that follows it."""
    usual = lookup(law.share, rows.kind, rows.steps)
    moved: list[Floats] = []
    for scenario in law.scenarios:
        more = weight * (lookup(scenario, rows.kind, rows.steps) - usual)
        gain = told / max(told + float(rows.due @ more), 1e-9) - 1
        moved.append(mean * gain - by_group(rows.believed * more) * (1 + gain))
    return _spread(moved, np.full(len(moved), 1 / len(moved)))


def _returns(rows: _Open, past: Past, by_group: Callable[[Floats], Floats]) -> Floats:
    """Variance by group of what comes back still."""
    returned, hourly = past.conversions.returned, past.conversions.hourly
    young = np.flatnonzero(rows.returning > _NOTHING * returned.share)
    amounts: list[Floats] = []
    for law, share in zip(returned.laws, returned.shares, strict=True):
        back = np.zeros(rows.unit.size)
        left = 1 - lookup(_with_delay(hourly, law), rows.kind[young], rows.steps[young])
        back[young] = rows.believed[young] * left * share / (1 - share)
        amounts.append(by_group(back))
    few = 1 / (RETURN_WORTH + returned.learned_from)
    return _spread(amounts, returned.weights) + few * (returned.weights @ np.stack(amounts)) ** 2


def _spread(amounts: Sequence[Floats], weights: Floats) -> Floats:
    each = np.stack(amounts)
    return weights @ (each - weights @ each) ** 2


def _basket_cv2(past: Past) -> float:
    """Squared relative spread of single orders around what an order of their unit is worth."""
    sales = past.sales
    sold = np.flatnonzero((sales.orders >= 0.5) & (sales.gmv > 0))
    orders = sales.orders[sold]
    off = sales.gmv[sold] / (orders * past.worth[sales.unit[sold]]) - 1
    return float(orders @ off**2 + _BASKET_WORTH * _BASKET_CV2) / (orders.size + _BASKET_WORTH)


def _pearson(skew: Floats, chance: float) -> Floats:
    """Quantile of a standardised gamma law of some skewness >= 0."""
    shape = 4.0 / np.clip(skew, 0.02, 50.0) ** 2
    bent = (gammaincinv(shape, chance) - shape) / np.sqrt(shape)
    return np.where(skew > 0.02, bent, ndtri(chance))


def _with_delay(law: DelayLaw, returns: Floats) -> Floats:
    """(n_kinds, n_ages) share of the returns of a click's orders that is told: the orders' delay, then the returns'."""
    reach = np.diff(returns, prepend=0.0)
    n_ages = law.share.shape[1]
    return np.stack([np.convolve(np.diff(s, prepend=0.0), reach)[:n_ages] for s in law.share]).cumsum(1)
