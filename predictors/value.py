"""What an order is worth: sales per order, shrunk to the catalog's price and the account's ratio to it.

Baskets have heavy tails: one order may hold a hundred pieces. Where single sales are told, with x of an order its value
over the stated one,

    ln x = L + d_i + e,     d_i ~ N(0, tau^2) units,     e with a heavy tail that all units share

L and d_i are located robustly (weights of Student's t), so one giant moves neither the account nor its unit; the mean of
exp(e) comes from a law of the tail (`tails`), so that giants count for what giants are worth in the account; spread and
tau are learned. A unit whose capped sales go on being above that, at the account's shape, is believed slowly (`SHAPE_SD`).

Without single sales the mean of n orders counts as at most `HEAVY` sqrt(n) times what is stated.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from domain.tables import Bools, Floats, Ints
from predictors.sums import summed
from predictors.tails import TailLaw, fit_tail

#: Orders that the catalog price (or the account's mean) is worth, and the ratio's own prior.
PRICE_WORTH, RATIO_WORTH = 8.0, 5.0
#: Multiple of the stated value up to which a single order counts, where only totals are told.
HEAVY = 3.0
#: Log-sd of units around a stated value and around the account's mean before sales tell it, and units that belief is worth.
UNIT_SD, UNSTATED_SD, UNIT_WORTH = 0.15, 0.4, 1.0
#: Log-sd of single orders, and how many orders that belief is worth; degrees of freedom of the weights.
BASKET_SD, BASKET_WORTH, FREEDOM = 0.4, 10.0, 4.0
#: Log-sd of the mean of exp(e) around that of a log-normal, and of the shape of single units around the account's.
TAIL_SD, SHAPE_SD = 0.25, 0.08
#: Orders of a row from which on it tells what one is worth.
LEAST_ORDERS = 0.5
#: Multiple of the typical order up to which an order tells of its unit's shape.
CAP = 4.0


@dataclass(frozen=True, slots=True)
class Sales:
    """Report rows with sales, (n_rows,) each: unit, orders, and what they paid in account currency."""

    unit: Ints
    orders: Floats
    gmv: Floats


@dataclass(frozen=True, slots=True)
class Values:
    """What orders are worth.

    Attributes
    ----------
    value, error
        (n_units,) gmv per order, and its relative standard error.
    ratio
        Mean of an order's value over the stated one, all units alike.
    basket_sd
        Log-sd of single orders of a unit.
    unit_sd
        Log-sd of units around what is stated.
    tail
        Law of single orders over the typical one of their unit.
    """

    value: Floats
    error: Floats
    ratio: float
    basket_sd: float
    unit_sd: float
    tail: TailLaw


def order_value(
    orders: Floats, gmv: Floats, expected: Floats, fallback: float, sales: Sales | None = None
) -> tuple[Floats, Floats, int]:
    """Gmv per order of each unit, its relative error, and how many units had to take the account's mean.

    Parameters
    ----------
    orders, gmv
        (n_units,) seen so far.
    expected
        (n_units,) last model's order value, else catalog price; NaN where nobody said.
    fallback
        Value where the account has neither price nor order.
    sales
        Rows that the totals are made of; ``None`` = only totals are told.
    """
    stated = np.isfinite(expected) & (expected > 0)
    if sales is not None and bool(_usable(sales).any()):
        found = learn_values(sales, expected)
        return found.value, found.error, int((~stated).sum())
    total, worth = float(orders.sum()), float(gmv.sum())
    mean = worth / total if total > 0 and worth > 0 else fallback
    count = np.maximum(orders, 0.0)
    gmv = np.where(stated, np.minimum(gmv, HEAVY * np.sqrt(np.maximum(count, 1.0)) * count * expected), gmv)
    due = float((orders * np.where(stated, expected, 0.0))[stated].sum())
    ratio = (float(gmv[stated].sum()) + RATIO_WORTH * _typical(expected, stated)) / (
        due + RATIO_WORTH * _typical(expected, stated)
    )
    base = np.where(stated, expected * ratio, mean)
    value = (PRICE_WORTH * base + np.maximum(gmv, 0.0)) / (PRICE_WORTH + np.maximum(orders, 0.0))
    value = np.where(value > 0, value, base)
    spread = np.where(stated, 0.3, 0.8)
    return value, spread / np.sqrt(1 + np.maximum(orders, 0.0)) * 0.5, int((~stated).sum())


def learn_values(sales: Sales, expected: Floats) -> Values:
    """Values of orders from single sales; `expected` (n_units,) as in `order_value`. At least one row must have sales."""
    n_units = expected.size
    kept = _usable(sales)
    if not kept.all():
        sales = Sales(sales.unit[kept], sales.orders[kept], sales.gmv[kept])
    unit, count = sales.unit, np.maximum(sales.orders, 1.0)
    basket = sales.gmv / count
    stated = np.isfinite(expected) & (expected > 0)
    # without a stated value the account's typical order stands in
    base = expected
    if not stated.all():
        typical = float(np.exp(np.average(np.log(basket), weights=count)))
        base = np.where(stated, expected, typical * fit_tail(basket / typical).mean)
    log_x = np.log(basket / base[unit])
    prior = np.where(stated, UNIT_SD, UNSTATED_SD) ** 2
    # what sales tell is of units that have any; the others keep their prior
    sold = np.bincount(unit, minlength=n_units) > 0
    unit, belief = (np.cumsum(sold) - 1)[unit], prior[sold]
    level, spread, tau, before = 0.0, BASKET_SD**2, belief, 1.0
    apart, apart_var, scale = np.zeros(tau.size), tau, 1.0
    y, weight = np.empty(count.size), np.empty(count.size)
    for _ in range(6):
        held, told, off, sure = _weighed(unit, count, log_x, apart, level, spread, y, weight)
        level = off / (sure + RATIO_WORTH / spread)
        apart_var = 1 / (held + 1 / tau)
        pulled = told - level * held
        apart = apart_var * pulled
        before, scale = scale, _scale(pulled / held, 1 / held, belief, scale)
        tau = belief * scale
        left = _left(unit, y, weight, apart, level) * spread
        spread = float((left + BASKET_WORTH * BASKET_SD**2) / (y.size + BASKET_WORTH))
    shape = np.exp(log_x - level - apart[unit])
    single = count <= 1.5
    law = fit_tail(shape[single] if single.sum() >= max(30, 0.2 * shape.size) else shape)
    few = 1.0 / max(law.amounts, 1)
    doubt = law.mean_sd**2 + few
    tail = float(np.exp((np.log(law.mean) * TAIL_SD**2 + 0.5 * spread * doubt) / (TAIL_SD**2 + doubt)))
    n = float(count.sum())
    ratio = (RATIO_WORTH + n * np.exp(level) * tail) / (RATIO_WORTH + n)
    # capped sales of a unit against those that the account's shape lets one expect
    capped = np.minimum(shape, CAP * np.exp(0.5 * spread))
    usual = float(count @ capped) / n
    bought = summed(unit, count, tau.size)
    noise = float((count * (capped / usual - 1) ** 2).sum() + BASKET_WORTH * BASKET_SD**2) / (count.size + BASKET_WORTH)
    over = summed(unit, count * capped, tau.size) / bought / usual - 1
    belief, scale_of_shape = np.full(tau.size, SHAPE_SD**2), 1.0
    for _ in range(3):
        scale_of_shape = _scale(over, noise / bought, belief, scale_of_shape)
    shape_var = SHAPE_SD**2 * scale_of_shape
    credit = bought / (bought + noise / shape_var)
    value = base * ratio
    value[sold] = value[sold] * np.exp(apart) * (1 + credit * over)
    error = np.sqrt(
        1 / (1 / (prior * before)) + shape_var
    )  # `before`: the variances of units with sales are of that scale too
    error[sold] = np.sqrt(apart_var + shape_var * (1 - credit))
    tau = prior * scale
    return Values(value, error, float(ratio), float(np.sqrt(spread)), float(np.sqrt(tau[stated].mean() if stated.any() else tau.mean())), law)  # fmt: skip


@njit(cache=True, error_model="numpy")
def _weighed(unit, count, log_x, apart, level, spread, y, weight):
    """Writes sales on the footing of single orders and what each weighs, (n_rows,).

    Gives (n_units,) sums of weights and of weighted sales, and of all rows what is weighted beyond their units, and weights.
    """
    held, told, off, sure = np.zeros(apart.size), np.zeros(apart.size), 0.0, 0.0
    cv2 = np.expm1(min(spread, 9.0))
    of_one = np.log1p(cv2)
    for r in range(unit.size):
        u = unit[r]
        row_var = (
            of_one if count[r] == 1.0 else np.log1p(cv2 / count[r])
        )  # of the logarithm of a mean of several orders
        y[r] = log_x[r] - 0.5 * (spread - row_var)
        z2 = (y[r] - level - apart[u]) ** 2 / row_var
        w = (FREEDOM + 1) / (FREEDOM + z2) / row_var
        weight[r] = w
        held[u] += w
        told[u] += w * y[r]
        off += w * (y[r] - apart[u])
        sure += w
    return held, told, off, sure


@njit(cache=True)
def _left(unit, y, weight, apart, level):
    """Weighted squares of what sales miss level and unit by."""
    total = 0.0
    for r in range(unit.size):
        total += weight[r] * (y[r] - level - apart[unit[r]]) ** 2
    return total


def _scale(around: Floats, noise: Floats, prior: Floats, scale: float) -> float:
    """Factor on the prior variance of units: a scoring step of the likelihood of `around` ~ N(0, noise + scale prior), (n_seen,) each.

    The prior counts as UNIT_WORTH units that lie as far apart as it says. Unlike EM, the step does not slow down where units
    hardly differ.
    """
    weight = (prior / (noise + scale * prior)) ** 2
    found = max(float(weight @ ((around**2 - noise) / prior)), 0.0)
    worth = UNIT_WORTH / scale**2
    return (found + worth) / (float(weight.sum()) + worth)


def _usable(sales: Sales) -> Bools:
    return (sales.orders >= LEAST_ORDERS) & (sales.gmv > 0) & np.isfinite(sales.gmv)


def _typical(expected: Floats, stated: np.ndarray) -> float:
    return float(np.median(expected[stated])) if stated.any() else 1.0
