"""Compiled loops behind `bidding.certificate`: best level of every unit at given prices, sums up and down the tree."""

# pyright: basic
import numpy as np
from numba import njit


@njit(cache=True)
def up(parent, sums):
    """Add every group's sums to the groups above it, in place."""
    for g in range(parent.size - 1, 0, -1):
        for j in range(sums.shape[1]):
            sums[parent[g], j] += sums[g, j]


@njit(cache=True)
def down(parent, own):
    """Add to every group the weights of the groups above it, in place."""
    for g in range(1, parent.size):
        for j in range(own.shape[1]):
            own[g, j] += own[parent[g], j]


# No NaN can occur here, and a sum's order does not matter: so the loops run in vector registers.
@njit(cache=True, error_model="numpy", fastmath={"nnan", "nsz", "reassoc"})
def best_two(spend, gmv, leaf, gain, price, first, last, may):
    """Sum over units of max (gain gmv - price spend), gain and price per group."""
    total = 0.0
    for i in range(leaf.size):
        a, p = gain[leaf[i]], price[leaf[i]]
        best = 0.0 if may[i] else -np.inf
        for level in range(first[i], last[i] + 1):
            best = max(best, a * np.float64(gmv[i, level]) - p * np.float64(spend[i, level]))
        total += best
    return total


@njit(cache=True, error_model="numpy")
def best_all(spend, value, gmv, clicks, orders, leaf, price, m, e, o, first, last, may):
    """Sum over units of max (value + m gmv + e clicks + o orders - price spend), weights per group."""
    total = 0.0
    for i in range(leaf.size):
        g = leaf[i]
        best = 0.0 if may[i] else -np.inf
        for level in range(first[i], last[i] + 1):
            z = value[i, level] + m[g] * gmv[i, level] + e[g] * clicks[i, level] + o[g] * orders[i, level]
            best = max(best, z - price[g] * spend[i, level])
        total += best
    return total


@njit(cache=True, error_model="numpy")
def least(spend, gmv, clicks, orders, leaf, weights, first, last, may, units, sums):
    """Least weighted sum of the four amounts over each unit's allowed levels: amounts and least, summed per group."""
    for i in units:
        g = leaf[i]
        a, b, d, e = weights[g]
        best, at = (0.0 if may[i] else np.inf), -1
        for level in range(first[i], last[i] + 1):
            z = a * spend[i, level] + b * gmv[i, level] + d * clicks[i, level] + e * orders[i, level]
            if z < best:
                best, at = z, level
        if at >= 0:
            sums[g, 0] += spend[i, at]
            sums[g, 1] += gmv[i, at]
            sums[g, 2] += clicks[i, at]
            sums[g, 3] += orders[i, at]
            sums[g, 4] += best
