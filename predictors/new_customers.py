"""Chance that an order is a new customer's, where reports tell it: unit -> campaign -> category -> account.

    h_i ~ Binomial(n_i, p_i),    p_i ~ Beta(K_l m_parent, K_l (1 - m_parent)) at each level l

Each group is drawn to its parent by as many orders K_l as groups of its level are alike, learned by marginal likelihood. A
group's children that differ count for less than their orders: n children of strength K tell as much of the parent as
n K / (n + K). Amazon tells new-to-brand orders for Sponsored Brands and Display, not for Sponsored Products. Where no report
has such a column, there is no answer, and the reason says so.
Source: Gelman et al., Bayesian Data Analysis, 5.3 (beta-binomial hierarchies).
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import betaincinv, betaln

from domain.outlook import RateForecast
from domain.tables import Floats, Ints
from predictors.sums import summed

#: Strengths that are tried, and their prior.
_STRENGTH = np.exp(np.linspace(np.log(1.0), np.log(3000.0), 60))
STRENGTH_MEAN, STRENGTH_LOG_SD = 30.0, 1.2
_ROUNDS = 4
_NO_CAMPAIGNS = {"campaign": pl.String, **dict.fromkeys(("orders", "new", "rate", "low", "high"), pl.Float64)}


@dataclass(frozen=True, slots=True)
class NewCustomers:
    """Chance that an order is a new customer's; 80 % bands.

    Attributes
    ----------
    units
        By unit, with the orders it rests on; ``None`` where no report tells.
    account
        Of the account, one value each; ``None`` likewise.
    campaigns
        ``campaign, orders, new, rate, low, high``, most orders first; no rows likewise.
    strength
        Orders that the parent is worth at each level below the account: category, campaign, unit.
    note
        What it rests on, or why there is none.
    """

    units: RateForecast | None
    account: RateForecast | None
    campaigns: pl.DataFrame
    strength: tuple[float, ...]
    note: str

    @classmethod
    def none(cls, why: str) -> "NewCustomers":
        """No answer, and the reason."""
        return cls(None, None, pl.DataFrame(schema=_NO_CAMPAIGNS), (), why)


def new_customer_rates(units: pl.DataFrame, orders: Floats, new: Floats) -> NewCustomers:
    """Rates of units.

    Parameters
    ----------
    units
        Columns ``campaign`` and ``category`` at least, one row per unit; null where nobody said.
    orders, new
        (n_units,) orders of which reports tell whose they are, and those of new customers.
    """
    if float(orders.sum()) <= 0:
        return NewCustomers.none("no order has been told of which a report says whether a new customer placed it")
    # a late correction must not make more new orders than orders
    new = np.clip(new, 0.0, orders)
    levels = _levels(units)
    mean, variance, strength = _settle(orders, new, levels)
    own = _Pooled(orders, mean[-1], variance[-1], levels[-1], variance[-2], strength[-1])
    names = units["campaign"].cast(pl.String).fill_null("")
    campaign = _codes(names)
    rates = own.of(campaign)
    first = np.unique(campaign, return_index=True)[1]
    campaigns = pl.DataFrame({
        "campaign": names.gather(first), "orders": rates.evidence, "new": summed(campaign, new, first.size),
        "rate": rates.mean, "low": rates.low, "high": rates.high,
    })  # fmt: skip
    words = f"{new.sum():,.0f} of {orders.sum():,.0f} orders were new customers'"
    return NewCustomers(
        _band(mean[-1], variance[-1], orders), own.of(np.zeros(orders.size, np.int64)),
        campaigns.sort("orders", "campaign", descending=[True, False]), tuple(strength[1:]), words,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Pooled:
    """Rates of units with what their errors share: each leans on its parent by K / (n + K)."""

    orders: Floats
    mean: Floats
    variance: Floats
    parent: Ints
    parent_variance: Floats
    strength: float

    def of(self, group: Ints) -> RateForecast:
        """Chance that an order of a group is a new customer's, by (n_units,) position of the group: its units by their orders."""
        n, n_parents = int(group.max(initial=-1)) + 1, self.parent_variance.size
        weight = self.orders + 1e-9
        weight = weight / summed(group, weight, n)[group]
        lean = self.strength / (self.orders + self.strength)
        alone = np.maximum(self.variance - lean**2 * self.parent_variance[self.parent], 0.0)
        pair = group * n_parents + self.parent
        shared = summed(pair, weight * lean, n * n_parents).reshape(n, n_parents) ** 2 @ self.parent_variance
        variance = summed(group, weight**2 * alone, n) + shared
        return _band(summed(group, weight * self.mean, n), variance, summed(group, self.orders, n))


def _band(mean: Floats, variance: Floats, orders: Floats) -> RateForecast:
    """Beta laws of these moments."""
    spread = np.maximum(mean * (1 - mean) / np.maximum(variance, 1e-12) - 1, 1e-3)
    a, b = mean * spread, (1 - mean) * spread
    return RateForecast(mean, betaincinv(a, b, 0.1), betaincinv(a, b, 0.9), orders)


def _levels(units: pl.DataFrame) -> list[Ints]:
    """Group of each group's child, from the top: categories in the account, campaigns within categories, units."""
    category = _codes(units["category"])
    cell = _codes(pl.Series(category.astype(str)) + "/" + pl.Series(_codes(units["campaign"]).astype(str)))
    of_cell = np.zeros(int(cell.max(initial=-1)) + 1, np.int64)
    of_cell[cell] = category
    return [np.zeros(int(category.max(initial=-1)) + 1, np.int64), of_cell, cell]


def _codes(column: pl.Series) -> Ints:
    return column.cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64) - 1


def _settle(orders: Floats, new: Floats, parents: list[Ints]) -> tuple[list[Floats], list[Floats], list[float]]:
    """Means and variances at each level, account first, and how many orders the parent is worth."""
    depth = len(parents)
    strength = [0.0] + [STRENGTH_MEAN] * depth
    mean: list[Floats] = []
    variance: list[Floats] = []
    for _ in range(_ROUNDS):
        trials, hits = [orders], [new]
        for level in range(depth - 1, -1, -1):  # what children tell of their parents
            n, h, k = trials[0], hits[0], strength[level + 1]
            share = k / (n + k)
            size = 1 if level == 0 else parents[level - 1].size
            trials.insert(0, summed(parents[level], n * share, size))
            hits.insert(0, summed(parents[level], h * share, size))
        mean = [(hits[0] + 0.5) / (trials[0] + 1.0)]
        variance = [mean[0] * (1 - mean[0]) / (trials[0] + 2.0)]
        base = (np.array([0.5]), np.array([1.0]))
        for level in range(depth):
            n, h, of = trials[level + 1], hits[level + 1], parents[level]
            parent, share = mean[-1][of], strength[level + 1] / (n + strength[level + 1])
            # a child is compared with what its parent would be without it
            rest = (base[0] + hits[level])[of] - h * share, (base[1] + trials[level])[of] - n * share
            weight = _strength(n, h, rest[0] / np.maximum(rest[1], 1e-9))
            strength[level + 1] = float(np.exp(weight @ np.log(_STRENGTH)))
            above = variance[-1][parents[level]]
            first, second = np.zeros(n.size), np.zeros(n.size)
            for k, w in zip(_STRENGTH, weight, strict=True):  # how alike groups are is not known either
                if w > 1e-4:
                    own = (k * parent + h) / (k + n)
                    first += w * own
                    second += w * (own**2 + own * (1 - own) / (k + n + 1.0) + (k / (k + n)) ** 2 * above)
            base = (strength[level + 1] * parent, np.full(n.size, strength[level + 1]))
            mean.append(first)
            variance.append(np.maximum(second - first**2, 1e-12))
    return mean, variance, strength


def _strength(trials: Floats, hits: Floats, parent: Floats) -> Floats:
    """Weights of `_STRENGTH`: how many orders the parent is worth, by marginal likelihood under a wide prior."""
    seen = trials > 0
    n, h = trials[seen, None], hits[seen, None]
    a = np.clip(parent[seen, None], 1e-6, 1 - 1e-6) * _STRENGTH
    b = _STRENGTH - a
    fit = (betaln(h + a, n - h + b) - betaln(a, b)).sum(0)
    fit -= 0.5 * (np.log(_STRENGTH / STRENGTH_MEAN) / STRENGTH_LOG_SD) ** 2
    weight = np.exp(fit - fit.max())
    return weight / weight.sum()
