"""What an order is worth: sales per order, shrunk to the catalog's price and the account's ratio to it.

Baskets have heavy tails: one order may hold a hundred pieces. So the mean of n orders counts as at most `HEAVY` sqrt(n)
times what is stated: a single large order moves a unit little, and what goes on being large is believed.
"""

import numpy as np

from domain.tables import Floats

#: Orders that the catalog price (or the account's mean) is worth, and the ratio's own prior.
PRICE_WORTH, RATIO_WORTH = 8.0, 5.0
#: Multiple of the stated value up to which a single order counts.
HEAVY = 3.0


def order_value(orders: Floats, gmv: Floats, expected: Floats, fallback: float) -> tuple[Floats, Floats, int]:
    """Gmv per order of each unit, its relative error, and how many units had to take the account's mean.

    Parameters
    ----------
    orders, gmv
        (n_units,) seen so far.
    expected
        (n_units,) last model's order value, else catalog price; NaN where nobody said.
    fallback
        Value where the account has neither price nor order.
    """
    stated = np.isfinite(expected) & (expected > 0)
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


def _typical(expected: Floats, stated: np.ndarray) -> float:
    return float(np.median(expected[stated])) if stated.any() else 1.0
