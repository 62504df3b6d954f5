"""Compiled loops behind `bidding.curves`: faults in tables, start and end of curves, mixes of levels."""

# pyright: basic
import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def first_fault(table):
    """First unit whose row is not finite (1), negative (2) or falling (3), and which; -1, 0 where all are well."""
    n, levels = table.shape
    for i in range(n):
        # Counted rather than tested one by one, so that the loop runs in vector registers.
        falls = 0
        for level in range(1, levels):
            falls += not table[i, level] >= table[i, level - 1]
        if falls == 0 and table[i, 0] >= 0 and table[i, levels - 1] < np.inf:
            continue
        for level in range(levels):
            if not np.isfinite(table[i, level]):
                return i, 1
            if table[i, level] < 0:
                return i, 2
        return i, 3
    return -1, 0


@njit(cache=True)
def first_infinite(table):
    """First unit with an entry that is not finite, or -1."""
    n, levels = table.shape
    for i in range(n):
        for level in range(levels):
            if not np.isfinite(table[i, level]):
                return i
    return -1


@njit(cache=True, error_model="numpy")
def ends(spend, value, first, last, may, leaf, start, end, sums):
    """Start and end level of each unit, and their sums per group."""
    for i in range(spend.shape[0]):
        a, b = first[i], last[i]
        cheapest, best = np.int16(-1), np.int16(-1)
        x0, y0, top = 0.0, 0.0, 0.0
        level = a
        if not may[i]:
            cheapest, best = a, a
            x0, y0 = spend[i, a], value[i, a]
            top = y0
            level = a + 1
        while level <= b and spend[i, level] <= x0:
            if value[i, level] > y0:
                cheapest, best = level, level
                y0 = value[i, level]
                top = y0
            level += 1
        while level <= b:
            if value[i, level] > top:
                top = value[i, level]
                best = level
            level += 1
        start[i], end[i] = cheapest, best
        g = leaf[i]
        sums[g, 0] += x0
        sums[g, 1] += y0
        sums[g, 2] += x0 if best == cheapest else np.float64(spend[i, best])
        sums[g, 3] += top


@njit(cache=True, error_model="numpy")
def mixed(table, lower, upper, share, out):
    """What a mix of two levels gives, per unit."""
    for i in range(lower.size):
        a, b, s = lower[i], upper[i], share[i]
        low = 0.0 if a < 0 else np.float64(table[i, a])
        if a == b or s <= 0.0:
            out[i] = low
        else:
            out[i] = low + s * (np.float64(table[i, b]) - low)


@njit(cache=True, error_model="numpy")
def delivered(bids, clicks, spend, gmv, lower, upper, share, leaf, out, sums):
    """Bid, clicks, spend and gmv of every unit's mix into the four columns of `out`, and their sums per group."""
    ob, oq, oc, ov = out
    for i in range(lower.size):
        a, b, s = lower[i], upper[i], share[i]
        g = leaf[i]
        x0, q0, c0, v0 = 0.0, 0.0, 0.0, 0.0
        if a >= 0:
            x0, q0 = np.float64(bids[i, a]), np.float64(clicks[i, a])
            c0, v0 = np.float64(spend[i, a]), np.float64(gmv[i, a])
        if a != b and s > 0.0:
            x0 += s * (np.float64(bids[i, b]) - x0)
            q0 += s * (np.float64(clicks[i, b]) - q0)
            c0 += s * (np.float64(spend[i, b]) - c0)
            v0 += s * (np.float64(gmv[i, b]) - v0)
        ob[i], oq[i], oc[i], ov[i] = x0, q0, c0, v0
        sums[g, 0] += c0
        sums[g, 1] += v0
        sums[g, 2] += q0
