"""Compiled loops over hypotheses of a campaign's market: the bid that each asks for, and what a bid would bring."""

# pyright: basic
import math

import numpy as np
from numba import njit

from engine.hourly_normal import ROOT_2PI, cdf, log_cdf, quantile

#: Weight of hypotheses to which a lower bid would do as well.
IDLE = 0.3


@njit(cache=True)
def _log_units(log_rest, own_slope, level):
    """Log of charged units in the rest under one hypothesis, whose own levels are (n_own,)."""
    total = log_rest
    for c in range(level.size):
        total += own_slope[c] * level[c]
    return total


@njit(cache=True)
def log_bid_for(log_money, log_units, log_price, s, first_price, most):
    """Log bid at which `units` opportunities cost `money`; at most `most` spreads over the price."""
    left = log_money - log_units - log_price
    if first_price:
        if most * s + log_cdf(most) <= left:
            return log_price + most * s
        z = min(left / s, most)
        for _ in range(12):
            lc = log_cdf(z)
            g = s * z + lc - left
            slope = s + math.exp(-0.5 * z * z - lc) / ROOT_2PI
            step = g / slope
            z -= step
            if abs(step) < 1e-6:
                break
        return log_price + s * min(z, most)
    z = s + quantile(math.exp(min(left - 0.5 * s * s, 0.0)))
    return log_price + s * min(z, most)


@njit(cache=True)
def bids_for(weight, log_price, spread, level, log_rest, own_slope, log_money, first_price, most):
    """Mean and variance over hypotheses of the log bid that spends `log_money` over the rest of the horizon.

    Where money is ample (first price), any bid from `most` spreads over the price up to the one that spends it all
    wins the same: such a hypothesis pulls a bid inside that range back with a share of its weight alone.
    `log_rest` = log of charged units in the rest at own levels 0; `own_slope` (n_own,) how it answers to them.
    """
    n_s, n_x = weight.shape
    mean, square, held = 0.0, 0.0, 0.0
    low, high, chance, n = np.empty(n_s * n_x), np.empty(n_s * n_x), np.empty(n_s * n_x), 0
    for k in range(n_s):
        for j in range(n_x):
            w = weight[k, j]
            if w < 1e-5:
                continue
            units = _log_units(log_rest, own_slope, level[k, j])
            b = log_bid_for(log_money, units, log_price[j], spread[k], first_price, most)
            low[n], high[n], chance[n] = b, b, w
            if b >= log_price[j] + most * spread[k] - 1e-9:
                high[n] = max(log_money - units, b) if first_price else b
            n += 1
            mean += w * b
            square += w * b * b
            held += w
    mean /= held
    variance = max(square / held - mean * mean, 0.0)
    for _ in range(8):
        total, weights = 0.0, 0.0
        for i in range(n):
            at, w = low[i], chance[i]
            if mean > high[i]:
                at = high[i]
            elif mean > low[i]:
                w *= IDLE
            total += w * at
            weights += w
        fresh = total / weights
        if abs(fresh - mean) < 1e-3:
            break
        mean = fresh
    return mean, variance


@njit(cache=True)
def rest_at(weight, log_price, spread, level, log_rest, own_slope, log_bid, first_price, cap):
    """Expected charged units and spend of a stretch at a bid, each hypothesis' spend cut at `cap`."""
    n_s, n_x = weight.shape
    units, spend = 0.0, 0.0
    bid = math.exp(log_bid)
    for k in range(n_s):
        s = spread[k]
        for j in range(n_x):
            w = weight[k, j]
            if w < 1e-7:
                continue
            n = math.exp(min(_log_units(log_rest, own_slope, level[k, j]), 60.0))
            z = (log_bid - log_price[j]) / s
            won = n * cdf(z)
            paid = won * bid if first_price else n * math.exp(log_price[j] + 0.5 * s * s) * cdf(z - s)
            units += w * won
            spend += w * min(paid, cap)
    return units, spend
