r"""Reads bids off response tables: the bid at which the last money spent still returns the price of money.

A table gives unit i's spend C_l and gain G_l (account currency) at bids b_l. With r the slope of the upper concave
envelope of G over C from the origin, the best bid at a price of money theta is where r falls to theta:

    r(b) = dG / dC = theta

Second price pays the price to beat, so dC = b dQ and this is ``(click value + offset) / theta``; first price gives
the shading ``b + W / W'``; with several slots a higher bid makes all clicks dearer, and r falls faster than 1 / b.
One rule for all of them, and the predictors need only be right about the tables.

Between levels: the slope of the step from b_{l-1} to b_l belongs to the bid b*_l at which the step's clicks come in on
average; with clicks of density b^e in log b and a step of width h, to third order in h

    b*_l = sqrt(b_{l-1} b_l) exp(h^2 (e + 1/2) / 12)

and log r is interpolated linearly in log b. A log-normal second-price table of 20 levels gives the closed form to
within some parts in a thousand. Steps that the envelope skips are never bid: there the nearer end is taken.
"""
# pyright: basic

import math

import numpy as np
from numba import njit

from domain.tables import Floats


def bids_at_price(bids: Floats, clicks: Floats, spend: Floats, gain: Floats, theta: Floats) -> Floats:
    """(n_units,) best bids of tables (n_units, n_levels) at prices of money theta (n_units,); 0 = no bid is worth it.

    Below the first level and above the last one the slope is taken to go with 1 / bid.
    """
    wanted = np.zeros(bids.shape[0])
    if bids.shape[1]:
        b, q, c, g, price = (np.ascontiguousarray(a, np.float64) for a in (bids, clicks, spend, gain, theta))
        _read(b, q, c, g, price, wanted)
    return wanted


@njit(cache=True)
def _centre(bids, clicks, level):
    """Bid at which the clicks of the step up to a level come in on average."""
    h = math.log(bids[level] / bids[level - 1])
    low, high = max(level - 1, 1), min(level + 1, bids.size - 1)
    before = (clicks[low] - clicks[low - 1]) / math.log(bids[low] / bids[low - 1])
    after = (clicks[high] - clicks[high - 1]) / math.log(bids[high] / bids[high - 1])
    shift = 0.0
    if high > low and before > 0.0 and after > 0.0:
        apart = 0.5 * math.log(bids[high] * bids[high - 1] / (bids[low] * bids[low - 1]))
        shift = h * h * (math.log(after / before) / apart + 0.5) / 12.0
    return math.sqrt(bids[level] * bids[level - 1]) * math.exp(min(max(shift, -0.5 * h), 0.5 * h))


@njit(cache=True)
def _read(bids, clicks, spend, gain, theta, wanted):
    n, levels = bids.shape
    vertex = np.empty(levels, np.int64)
    slope = np.empty(levels)  # of the step up to each vertex, falling
    for i in range(n):
        m = 0
        for k in range(levels):
            steep = 0.0
            while True:
                g = gain[i, k] - (gain[i, vertex[m - 1]] if m > 0 else 0.0)
                c = spend[i, k] - (spend[i, vertex[m - 1]] if m > 0 else 0.0)
                if not g > 0.0:
                    break
                steep = g / c if c > 0.0 else np.inf
                if m > 0 and steep >= slope[m - 1]:
                    m -= 1
                    continue
                vertex[m], slope[m] = k, steep
                m += 1
                break
        if m == 0:
            continue
        price = theta[i]
        k = 0
        while k < m and slope[k] >= price:
            k += 1
        if k == m:  # all steps are worth it
            top = vertex[m - 1]
            if top == levels - 1 and m > 1 and vertex[m - 2] == top - 1 and price > 0.0:
                wanted[i] = max(_centre(bids[i], clicks[i], top) * slope[m - 1] / price, bids[i, top - 1])
            else:
                wanted[i] = bids[i, top] if top < levels - 1 or price > 0.0 else np.inf
            continue
        if k == 0 and vertex[0] > 0:
            continue  # nothing but bids of higher levels is worth most, and not even those are worth it
        if k == 0:
            # below the table: cheap clicks, at a bid in proportion
            if m > 1 and vertex[1] == 1:
                wanted[i] = min(_centre(bids[i], clicks[i], 1) * slope[1] / price, bids[i, 0])
            else:
                wanted[i] = bids[i, 0] * slope[0] / price
            continue
        here, after = vertex[k - 1], vertex[k]
        right = _centre(bids[i], clicks[i], after) if after == here + 1 else bids[i, here]
        if k == 1:
            # the first step starts at nothing, where it has no middle
            wanted[i] = min(max(right * slope[k] / price, 0.0), right) if after == here + 1 else bids[i, here]
            continue
        left = _centre(bids[i], clicks[i], here) if vertex[k - 2] == here - 1 else bids[i, here]
        share = 0.0
        if np.isfinite(slope[k - 1]) and slope[k - 1] > slope[k]:
            share = math.log(slope[k - 1] / price) / math.log(slope[k - 1] / slope[k])
        wanted[i] = left * (right / left) ** share
