"""What clicks that are paid already sold in the end, by group, with an 80 % band: "reported 3.1, final 3.6, 3.4 to 3.8".

The figure is the one that decisions use (`past`). The band is of what will be told at last, luck included: what is told
stays, and of a row's clicks c is still to come and r to come back,

    c = believed (final - money) + r,     r = believed rho (1 - B(a)) / (1 - rho)

with B the share of returns that are told at age a. Variance and third cumulant of the sum come from

    luck      orders to come and to come back are Poisson counts, each worth what its basket holds
    units     each unit's own orders per click and value
    level     what all units share, known from so many orders
    delay     the points of the law's posterior: a slower law means that more is to come *and* that rates are better, since
              the same orders were told of fewer that were due; so each point moves the level as well
    waiting   how many carts wait for the burst, and what that makes of the level; balances that may be forfeited
    returns   how many orders come back

A gamma law moved to that mean, variance and skewness gives the ends (Pearson III). Where next to nothing is to come, the
band is what was told. Of few orders the luck counts in part for decisions (`past.luck_kept`), so their figure may lie
outside of the band.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import gammaincinv, ndtri

from domain.groups import Groups
from domain.tables import Bools, Floats, Ints
from predictors.delay import DelayLaw
from predictors.evidence import NEVER, Evidence
from predictors.past import Past
from predictors.sums import summed

#: Orders that the belief of a basket's spread is worth, and its square over the squared mean.
_BASKET_WORTH, _BASKET_CV2 = 10.0, 0.3
_RATIOS = ("reported_roi", "roi", "roi_low", "roi_high")


@dataclass(frozen=True, slots=True)
class Matured:
    """Totals of past clicks by group, all (n_groups,), account currency.

    Attributes
    ----------
    groups
        Labels of the groups, as in `Groups`.
    spend, reported
        What was charged and what gmv was told so far.
    final_spend, gmv
        Estimated final spend and gmv, as decisions use them.
    low, high
        Ends of the 80 % band of the gmv that will be told at last.
    """

    groups: tuple[str, ...]
    spend: Floats
    reported: Floats
    final_spend: Floats
    gmv: Floats
    low: Floats
    high: Floats

    @classmethod
    def none(cls) -> "Matured":
        """Of no group."""
        return cls((), *(np.zeros(0) for _ in range(6)))

    def table(self) -> pl.DataFrame:
        """Columns ``group, spend, gmv_reported, final_spend, gmv, reported_roi, roi, roi_low, roi_high``.

        Ratios are null where nothing was spent.
        """

        def ratio(top: Floats, below: Floats) -> list[float | None]:
            return [float(t / b) if b > 0 else None for t, b in zip(top, below, strict=True)]

        final = self.final_spend
        ratios = (
            ratio(self.reported, self.spend), ratio(self.gmv, final), ratio(self.low, final), ratio(self.high, final)
        )  # fmt: skip
        sums = {"spend": self.spend, "gmv_reported": self.reported, "final_spend": final, "gmv": self.gmv}
        columns = {"group": list(self.groups), **sums, **dict(zip(_RATIOS, ratios, strict=True))}
        return pl.DataFrame(columns, schema={"group": pl.String, **dict.fromkeys((*sums, *_RATIOS), pl.Float64)})


def matured_totals(evidence: Evidence, past: Past, groups: Groups, level_sd: float, kept: Bools) -> Matured:
    """Totals of those rows that are kept, (n_rows,).

    Parameters
    ----------
    level_sd
        Relative error of the account's conversion level before any order was told.
    """
    rows, n = evidence.rows, evidence.n_units

    def by_group(values: Floats) -> Floats:
        return groups.rolled_up(summed(rows.unit, np.where(kept, values, 0.0), n))

    reported = by_group(rows.gmv)
    spread = _coming(evidence, past, groups, level_sd, kept)
    low, high = (np.maximum(reported + end, 0.0) for end in spread.ends())
    return Matured(
        groups.names, by_group(rows.spend), reported, by_group(past.spend), by_group(past.gmv), low, high
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Spread:
    """Law of what is to come, (n_groups,): mean, variance, third central moment."""

    mean: Floats
    variance: Floats
    third: Floats

    def ends(self, share: float = 0.8) -> tuple[Floats, Floats]:
        """Ends of the band that leaves the same chance on both sides."""
        sd = np.sqrt(self.variance)
        skew = np.divide(self.third, sd**3, out=np.zeros_like(sd), where=sd > 0)
        tail = (1 - share) / 2
        low, high = _pearson(np.abs(skew), tail), _pearson(np.abs(skew), 1 - tail)
        return (
            self.mean + sd * np.where(skew < 0, -high, low),
            self.mean + sd * np.where(skew < 0, -low, high),
        )


def _pearson(skew: Floats, chance: float) -> Floats:
    """Quantile of a standardised gamma law of some skewness >= 0."""
    shape = 4.0 / np.clip(skew, 0.02, 50.0) ** 2
    bent = (gammaincinv(shape, chance) - shape) / np.sqrt(shape)
    return np.where(skew > 0.02, bent, ndtri(chance))


def _coming(evidence: Evidence, past: Past, groups: Groups, level_sd: float, kept: Bools) -> _Spread:
    rows, n, laws = evidence.rows, evidence.n_units, past.conversions
    unit, believed, due, worth = rows.unit, past.believed, past.due, past.worth[rows.unit]

    def by_group(values: Floats) -> Floats:
        return groups.rolled_up(summed(unit, np.where(kept, values, 0.0), n))

    kind = evidence.factors.phase[evidence.factors.position(rows.hour)]
    rho = laws.returned.share
    returning = np.where(rows.daily, 0.0, 1 - _back(laws.hourly, laws.returned.law, kind, laws.steps)) / (1 - rho)
    pending = believed * (laws.final - laws.money)
    mean = by_group(pending)

    cv2 = _basket_cv2(past)
    single, triple = due * worth**2 * (1 + cv2), due * worth**3 * (1 + cv2) ** 3
    comes = np.maximum(1 - laws.told + rho * returning, 0.0)
    luck, third = by_group(single * (comes + rho * returning)), by_group(triple * (comes - rho * returning))

    own = np.hypot(laws.shrunk.own_cv, past.worth_cv)
    units = groups.rolled_up((summed(unit, np.where(kept, pending, 0.0), n) * own) ** 2)
    worth_of_belief = level_sd**-2
    level = mean**2 * (1 + cv2) / (max(float(rows.orders.sum()), 0.0) + worth_of_belief)

    # all that was told, in orders: what a slower law, or more that waits, makes of the level
    told = float(due @ laws.told) + worth_of_belief
    variance = luck + units + level
    waits = np.zeros(rows.unit.size)
    open_cart = np.zeros(rows.unit.size, np.bool_)
    to_burst = evidence.factors.to_burst[evidence.factors.position(rows.hour)]
    for k, wait in laws.waits.items():
        mine = ~rows.daily & (kind == k) & (to_burst < NEVER) & (laws.steps <= to_burst)
        if wait.share_sd <= 0 or not mine.any():
            continue
        waits[mine], open_cart = wait.share, open_cart | mine
        plain = np.where(mine, np.minimum(laws.told, 1.0) / max(1 - wait.share, 0.1), 0.0)
        off = wait.share_sd * (by_group(believed * plain) + mean * float(due @ plain) / told)
        variance = variance + off**2
        third = third + 2 * off**3 * wait.share_sd / max(wait.share, 1e-3)
    for law, mine in ((laws.hourly, ~rows.daily), (laws.daily, rows.daily)):
        if not mine.any():
            continue
        moved: list[Floats] = []
        for scenario in law.scenarios:
            more = np.where(mine, (1 - waits) * (_told(scenario, kind, laws.steps) - _told(law.share, kind, laws.steps)), 0.0)  # fmt: skip
            gain = told / max(told + float(due @ more), 1e-9) - 1
            moved.append(mean * gain - by_group(believed * more) * (1 + gain))
        variance = variance + np.stack(moved).var(0)
    unpaid = np.where(laws.final < 1, 1 - laws.money / np.maximum(laws.final, 1e-9), 0.0)
    variance = variance + by_group(believed * (1 - laws.final) * np.clip(unpaid, 0.0, 1.0)) ** 2
    variance = variance + (laws.returned.share_sd * by_group(believed * returning)) ** 2
    return _Spread(mean, variance, third)


def _basket_cv2(past: Past) -> float:
    """Squared relative spread of single orders around what an order of their unit is worth."""
    sales = past.sales
    sold = (sales.orders >= 0.5) & (sales.gmv > 0)
    orders = sales.orders[sold]
    off = sales.gmv[sold] / (orders * past.worth[sales.unit[sold]]) - 1
    return float((orders * off**2).sum() + _BASKET_WORTH * _BASKET_CV2) / (orders.size + _BASKET_WORTH)


def _told(share: Floats, kind: Ints, steps: Floats) -> Floats:
    """Share (n_kinds, n_ages) told at ages of so many steps; linear between them, 0 at age 0."""
    n_ages = share.shape[1]
    padded = np.concatenate([np.zeros((share.shape[0], 1)), share], axis=1).ravel()
    at = np.clip(steps, 0.0, n_ages)
    low = np.minimum(at.astype(np.int64), n_ages - 1)
    left = padded.take(kind * (n_ages + 1) + low)
    return left + (at - low) * (padded.take(kind * (n_ages + 1) + low + 1) - left)


def _back(law: DelayLaw, returns: Floats, kind: Ints, steps: Floats) -> Floats:
    """(n_rows,) share of the returns of a row's orders that is told: the orders' own delay, then that of returns."""
    reach = np.diff(returns, prepend=0.0)
    n_ages = law.share.shape[1]
    both = [np.convolve(np.diff(s, prepend=0.0), reach)[:n_ages] for s in law.share]
    return _told(np.stack(both).cumsum(1), kind, steps)
