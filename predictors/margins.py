"""What is left of a sale before ads: margin of units from the catalog and from rows that carry cost or margin.

    m_i ~ N(category, tau_u^2),    category ~ N(account, tau_c^2)

with both spreads learned (EM under a prior), so a unit that nobody spoke of takes its category's margin, and a category
that nobody spoke of the account's, each with the band that such units deserve. What rows tell of a unit counts by its
orders; the catalog's word counts as exact as prices are.
Source: Gelman et al., Bayesian Data Analysis, 5.4.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from domain.outlook import RateForecast
from domain.tables import Bools, Floats, Ints
from predictors.sums import summed

#: Error of a catalog's margin, and of that of one order as rows tell it (discounts, shipping, mixed goods).
CATALOG_SD, ORDER_SD = 0.02, 0.15
#: Spread of units in a category and of categories before any is seen, and how many units or categories that is worth.
UNIT_SD, CATEGORY_SD, WORTH = 0.10, 0.08, 4.0
_BAND = 1.2815515655446004
_ROUNDS = 30


@dataclass(frozen=True, slots=True)
class Margins:
    """Margin of units as a share of the sale.

    Attributes
    ----------
    rate
        By unit, with 80 % band and the orders seen; ``None`` where neither catalog nor rows tell any.
    account
        Mean of the account's categories; ``None`` likewise.
    unit_sd, category_sd
        Learned spreads.
    note
        What it rests on, or why there is none.
    """

    rate: RateForecast | None
    account: float | None
    unit_sd: float
    category_sd: float
    note: str


def learn_margins(units: pl.DataFrame, rows: pl.DataFrame | None = None) -> Margins:
    """Margins of units.

    Parameters
    ----------
    units
        Columns ``margin_rate`` (null where nobody said) and ``category``, one row per unit.
    rows
        ``unit`` (position in `units`), ``orders``, ``gmv``, and ``margin`` (money left of the sale) or ``cost`` (money
        that the goods cost) where reports carry them; ``None`` = they do not.
    """
    n = units.height
    stated = units["margin_rate"].cast(pl.Float64).to_numpy().astype(np.float64)
    said = np.isfinite(stated) & (stated >= -1) & (stated <= 1)
    seen, orders = _from_rows(rows, n)
    told = np.isfinite(seen)
    if not said.any() and not told.any():
        return Margins(
            None, None, UNIT_SD, CATEGORY_SD, "no catalog tells margin_rate and no row carries cost or margin"
        )
    held = np.where(said, CATALOG_SD**-2.0, 0.0) + np.where(told, orders / ORDER_SD**2, 0.0)
    value = np.where(said, stated, 0.0) * CATALOG_SD**-2.0 + np.where(told, seen, 0.0) * orders / ORDER_SD**2
    category = units["category"].cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
    mean, variance, account, unit_var, category_var = _settle(held, value, said | told, category)
    sd = np.sqrt(variance)
    rate = RateForecast(mean, np.maximum(mean - _BAND * sd, -1.0), np.minimum(mean + _BAND * sd, 1.0), orders)
    words = f"margin told for {int(said.sum())} units by the catalog and {int(told.sum())} by rows, of {n}"
    return Margins(rate, account, float(np.sqrt(unit_var)), float(np.sqrt(category_var)), words)


def _from_rows(rows: pl.DataFrame | None, n: int) -> tuple[Floats, Floats]:
    """Margin of each unit as rows tell it (NaN where they do not), and orders that it rests on."""
    if rows is None or not {"margin", "cost"} & set(rows.columns):
        return np.full(n, np.nan), np.zeros(n)
    left = pl.col("margin") if "margin" in rows.columns else pl.col("gmv") - pl.col("cost")
    told = rows.select("unit", "orders", "gmv", left.alias("_left")).drop_nulls().filter(pl.col("gmv") > 0)
    unit = told["unit"].to_numpy().astype(np.int64)
    gmv, kept, orders = (summed(unit, told[c].to_numpy().astype(np.float64), n) for c in ("gmv", "_left", "orders"))
    share = np.divide(kept, gmv, out=np.full(n, np.nan), where=gmv > 0)
    return np.where(np.abs(share) <= 1, share, np.nan), np.maximum(orders, 0.0)


def _settle(held: Floats, value: Floats, known: Bools, category: Ints) -> tuple[Floats, Floats, float, float, float]:
    """Posterior means and variances of units, mean of the account, and the variances of units and categories."""
    k = int(category.max(initial=-1)) + 1
    unit_var, category_var = UNIT_SD**2, CATEGORY_SD**2
    mean, variance, account = np.zeros(held.size), np.zeros(held.size), 0.0
    for _ in range(_ROUNDS):
        # a known unit tells its category's mean with its own error and the spread of units
        weight = np.where(known, 1 / (1 / np.maximum(held, 1e-12) + unit_var), 0.0)
        told = np.divide(value, held, out=np.zeros(held.size), where=held > 0)
        sums, of_mean = summed(category, weight, k), summed(category, weight * told, k)
        local = np.divide(of_mean, sums, out=np.zeros(k), where=sums > 0)
        outer = np.where(sums > 0, 1 / (1 / np.maximum(sums, 1e-12) + category_var), 0.0)
        account = float(outer @ local) / float(outer.sum())
        precision = sums + 1 / category_var
        group = (of_mean + account / category_var) / precision
        group_var = 1 / precision + (1 / category_var / precision) ** 2 / float(outer.sum())
        own = held + 1 / unit_var
        mean = (value + group[category] / unit_var) / own
        variance = 1 / own + (1 / unit_var / own) ** 2 * group_var[category]
        gap = ((mean - group[category]) ** 2 + 1 / own)[known]
        unit_var = float((gap.sum() + WORTH * UNIT_SD**2) / (gap.size + WORTH))
        there = sums > 0
        spread = ((group - account) ** 2 + 1 / precision)[there]
        category_var = float((spread.sum() + WORTH * CATEGORY_SD**2) / (spread.size + WORTH))
    return mean, variance, account, unit_var, category_var
