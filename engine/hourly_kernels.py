"""Compiled loops behind `engine.hourly_belief`: one hour's news, drift of prices, and the bid of each hypothesis."""

# pyright: basic
import math

import numpy as np
from numba import njit

_SQRT_HALF = 0.7071067811865476
_ROOT_2PI = 2.5066282746310002
#: Weight of hypotheses to which a lower bid would do as well.
IDLE = 0.3


@njit(cache=True)
def cdf(x):  # pragma: no cover - compiled
    """Normal distribution function."""
    return 0.5 * math.erfc(-x * _SQRT_HALF)


@njit(cache=True)
def log_cdf(x):  # pragma: no cover - compiled
    """Its logarithm, also far in the tail."""
    if x > -10.0:
        return math.log(cdf(x))
    return -0.5 * x * x - math.log(-x * _ROOT_2PI) - 1.0 / (x * x)


@njit(cache=True)
def quantile(p):  # pragma: no cover - compiled
    """Inverse of the normal distribution function (Acklam), relative error 1e-9 and better."""
    if p <= 0.0:
        return -40.0
    if p >= 1.0:
        return 40.0
    if p < 0.02425 or p > 1.0 - 0.02425:
        q = math.sqrt(-2.0 * math.log(p if p < 0.5 else 1.0 - p))
        x = (
            (
                (((-7.784894002430293e-03 * q - 3.223964580411365e-01) * q - 2.400758277161838) * q - 2.549732539343734)
                * q
                + 4.374664141464968
            )
            * q
            + 2.938163982698783
        ) / (
            (((7.784695709041462e-03 * q + 3.224671290700398e-01) * q + 2.445134137142996) * q + 3.754408661907416) * q
            + 1.0
        )
        return x if p < 0.5 else -x
    q = p - 0.5
    r = q * q
    return (
        (
            (
                (
                    ((-3.969683028665376e01 * r + 2.209460984245205e02) * r - 2.759285104469687e02) * r
                    + 1.383577518672690e02
                )
                * r
                - 3.066479806614716e01
            )
            * r
            + 2.506628277459239
        )
        * q
        / (
            (
                (
                    ((-5.447609879822406e01 * r + 1.615858368580409e02) * r - 1.556989798598866e02) * r
                    + 6.680131188771972e01
                )
                * r
                - 1.328068155288572e01
            )
            * r
            + 1.0
        )
    )


@njit(cache=True)
def spread_out(weight, level, kernel, fresh, leak):  # pragma: no cover - compiled
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
def expected_volume(log_bid, log_price, spread, level, base, out):  # pragma: no cover - compiled
    """Log of the expected volume of an hour for each hypothesis; `base` = log traffic shape known to all."""
    n_s, n_x = out.shape
    for k in range(n_s):
        for j in range(n_x):
            total = base
            for c in range(level.shape[2]):
                total += level[k, j, c]
            out[k, j] = total + log_cdf((log_bid - log_price[j]) / spread[k])


@njit(cache=True)
def weigh_volume(weight, volume, seen, variance, burst_variance, chance):  # pragma: no cover - compiled
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
    for k in range(n_s):
        for j in range(n_x):
            weight[k, j] /= total
    return total, error / total, burst / total, slope / total


@njit(cache=True)
def weigh_price(weight, log_price, spread, log_bid, log_paid, units, misfit):  # pragma: no cover - compiled
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
    for k in range(n_s):
        for j in range(n_x):
            weight[k, j] /= total
    return total


@njit(cache=True)
def moments(weight, log_price, spread):  # pragma: no cover - compiled
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
def log_bid_for(log_money, log_units, log_price, s, first_price, most):  # pragma: no cover - compiled
    """Log bid at which `units` opportunities cost `money`; at most `most` spreads over the price."""
    left = log_money - log_units - log_price
    if first_price:
        if most * s + log_cdf(most) <= left:
            return log_price + most * s
        z = min(left / s, most)
        for _ in range(12):
            lc = log_cdf(z)
            g = s * z + lc - left
            slope = s + math.exp(-0.5 * z * z - lc) / _ROOT_2PI
            step = g / slope
            z -= step
            if abs(step) < 1e-6:
                break
        return log_price + s * min(z, most)
    z = s + quantile(math.exp(min(left - 0.5 * s * s, 0.0)))
    return log_price + s * min(z, most)


@njit(cache=True)
def bids_for(
    weight, log_price, spread, level, log_rest, own_slope, log_money, first_price, most
):  # pragma: no cover - compiled
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
            units = log_rest
            for c in range(level.shape[2]):
                units += own_slope[c] * level[k, j, c]
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
def rest_at(
    weight, log_price, spread, level, log_rest, own_slope, log_bid, first_price, cap
):  # pragma: no cover - compiled
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
            total = log_rest
            for c in range(level.shape[2]):
                total += own_slope[c] * level[k, j, c]
            n = math.exp(min(total, 60.0))
            z = (log_bid - log_price[j]) / s
            won = n * cdf(z)
            paid = won * bid if first_price else n * math.exp(log_price[j] + 0.5 * s * s) * cdf(z - s)
            units += w * won
            spend += w * min(paid, cap)
    return units, spend


@njit(cache=True)
def shift_levels(level, volume, seen, gain):  # pragma: no cover - compiled
    """Move each hypothesis' own levels by gain times its own miss of the volume."""
    n_s, n_x, own = level.shape
    goal = math.log(seen + 0.5)
    for k in range(n_s):
        for j in range(n_x):
            miss = goal - math.log(math.exp(min(volume[k, j], 60.0)) + 0.5)
            for c in range(own):
                level[k, j, c] += gain[c] * miss


@njit(cache=True)
def mean_levels(weight, level, out):  # pragma: no cover - compiled
    """Posterior mean of the own levels."""
    n_s, n_x, own = level.shape
    for c in range(own):
        out[c] = 0.0
    for k in range(n_s):
        for j in range(n_x):
            for c in range(own):
                out[c] += weight[k, j] * level[k, j, c]


@njit(cache=True)
def regrid(weight, level, log_price, fresh_price):  # pragma: no cover - compiled
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
