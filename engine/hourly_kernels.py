"""Compiled loops behind `engine.hourly_belief`: one hour's news, and the drift of prices."""

# pyright: basic
import math

import numpy as np
from numba import njit

from engine.hourly_normal import log_cdf


@njit(cache=True)
def spread_out(weight, level, kernel, fresh, leak):
    """Let the price drift: convolve each row of weights with a kernel, and mix a share of neighbouring spreads.

    weight (n_spreads, n_prices), level (n_spreads, n_prices, n_own) are changed in place; `fresh` is scratch.
    """
    n_s, n_x = weight.shape
    reach = kernel.size // 2
    own = level.shape[2]
    moved = np.zeros((n_x, own))
    for k in range(n_s):
        for j in range(n_x):
            fresh[j] = 0.0
            for c in range(own):
                moved[j, c] = 0.0
        for i in range(n_x):
            w = weight[k, i]
            if w < 1e-14:
                continue
            for d in range(-reach, reach + 1):
                j = min(max(i + d, 0), n_x - 1)
                part = w * kernel[d + reach]
                fresh[j] += part
                for c in range(own):
                    moved[j, c] += part * level[k, i, c]
        for j in range(n_x):
            weight[k, j] = fresh[j]
            if fresh[j] > 1e-14:
                for c in range(own):
                    level[k, j, c] = moved[j, c] / fresh[j]
    if leak > 0.0:
        for j in range(n_x):
            for k in range(n_s - 1):
                a, b = weight[k, j], weight[k + 1, j]
                flow, back = leak * a, leak * b
                if a - flow + back > 1e-14 and b - back + flow > 1e-14:
                    for c in range(own):
                        la, lb = level[k, j, c], level[k + 1, j, c]
                        level[k, j, c] = ((a - flow) * la + back * lb) / (a - flow + back)
                        level[k + 1, j, c] = ((b - back) * lb + flow * la) / (b - back + flow)
                weight[k, j] = a - flow + back
                weight[k + 1, j] = b - back + flow


@njit(cache=True)
def expected_volume(log_bid, log_price, spread, level, base, out):
    """Log of the expected volume of an hour for each hypothesis; `base` = log traffic shape known to all."""
    n_s, n_x = out.shape
    for k in range(n_s):
        for j in range(n_x):
            total = base
            for c in range(level.shape[2]):
                total += level[k, j, c]
            out[k, j] = total + log_cdf((log_bid - log_price[j]) / spread[k])


@njit(cache=True)
def _scale(weight, total):
    """Divide all weights by their total, in place."""
    for k in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            weight[k, j] /= total


@njit(cache=True)
def weigh_volume(weight, volume, seen, variance, burst_variance, chance):
    """Multiply weights by the likelihood of the volume seen; returns (sum, mean innovation, share of a burst, mean slope).

    In the log with half a unit added: ln(k + 1/2) against ln(lambda + 1/2), so hours of few units count for little.
    `variance` holds the innovation variance without counting noise.
    """
    n_s, n_x = weight.shape
    goal = math.log(seen + 0.5)
    total, burst, error, slope = 0.0, 0.0, 0.0, 0.0
    for k in range(n_s):
        for j in range(n_x):
            w = weight[k, j]
            if w < 1e-300:
                continue
            lam = math.exp(min(volume[k, j], 60.0))
            h = lam / (lam + 0.5)
            miss = goal - math.log(lam + 0.5)
            count = h * h / (lam + 0.25) if lam > seen else h * h / (seen + 0.25)
            v0 = h * h * variance + count + 1e-4
            v1 = h * h * burst_variance + count + 1e-4
            l0 = (1.0 - chance) * math.exp(-0.5 * min(miss * miss / v0, 600.0)) / math.sqrt(v0)
            l1 = chance * math.exp(-0.5 * min(miss * miss / v1, 600.0)) / math.sqrt(v1)
            both = w * (l0 + l1) + 1e-290
            weight[k, j] = both
            total += both
            burst += w * l1
            error += both * miss
            slope += both * h
    _scale(weight, total)
    return total, error / total, burst / total, slope / total


@njit(cache=True)
def weigh_price(weight, log_price, spread, log_bid, log_paid, units, misfit):
    """Multiply weights by the likelihood of the mean price paid per unit (second price); Student-t of 5 degrees."""
    n_s, n_x = weight.shape
    total = 0.0
    for k in range(n_s):
        s = spread[k]
        for j in range(n_x):
            w = weight[k, j]
            if w < 1e-300:
                continue
            z = (log_bid - log_price[j]) / s
            won = log_cdf(z)
            mean = log_price[j] + 0.5 * s * s + log_cdf(z - s) - won
            square = 2.0 * log_price[j] + 2.0 * s * s + log_cdf(z - 2.0 * s) - won
            cv2 = max(math.exp(min(square - 2.0 * mean, 5.0)) - 1.0, 1e-4)
            v = cv2 / units + misfit * misfit
            miss = log_paid - mean
            w *= math.exp(-3.0 * math.log1p(miss * miss / (5.0 * v))) / math.sqrt(v) + 1e-200
            weight[k, j] = w
            total += w
    _scale(weight, total)
    return total


@njit(cache=True)
def moments(weight, log_price, spread):
    """Mean and standard deviation of the log price, and mean log spread."""
    mean, square, shape = 0.0, 0.0, 0.0
    n_s, n_x = weight.shape
    for k in range(n_s):
        for j in range(n_x):
            w = weight[k, j]
            mean += w * log_price[j]
            square += w * log_price[j] ** 2
            shape += w * math.log(spread[k])
    return mean, math.sqrt(max(square - mean * mean, 0.0)), shape


@njit(cache=True)
def shift_levels(level, volume, seen, gain):
    """Move each hypothesis' own levels by gain times its own miss of the volume."""
    n_s, n_x, own = level.shape
    goal = math.log(seen + 0.5)
    for k in range(n_s):
        for j in range(n_x):
            miss = goal - math.log(math.exp(min(volume[k, j], 60.0)) + 0.5)
            for c in range(own):
                level[k, j, c] += gain[c] * miss


@njit(cache=True)
def mean_levels(weight, level, out):
    """Posterior mean of the own levels."""
    n_s, n_x, own = level.shape
    for c in range(own):
        out[c] = 0.0
    for k in range(n_s):
        for j in range(n_x):
            for c in range(own):
                out[c] += weight[k, j] * level[k, j, c]


@njit(cache=True)
def regrid(weight, level, log_price, fresh_price):
    """Weights and levels on another grid of prices, by linear interpolation; what lies outside goes to the ends."""
    n_s, n_x, own = level.shape
    w2, l2 = np.zeros((n_s, n_x)), np.zeros((n_s, n_x, own))
    old, new = log_price[1] - log_price[0], fresh_price[1] - fresh_price[0]
    total = 0.0
    for k in range(n_s):
        for j in range(n_x):
            at = (fresh_price[j] - log_price[0]) / old
            inside = min(max(at, 0.0), n_x - 1.0)
            i = min(int(inside), n_x - 2)
            r = inside - i
            if at == inside:
                w2[k, j] = ((1.0 - r) * weight[k, i] + r * weight[k, i + 1]) * new / old
            for c in range(own):
                l2[k, j, c] = (1.0 - r) * level[k, i, c] + r * level[k, i + 1, c]
            total += w2[k, j]
    if total > 0.0:
        w2 /= total
    return w2, l2
