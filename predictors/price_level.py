"""Follows the market price: a common level per hour and an offset per unit, learned from prices paid at known bids.

A won click of unit i in hour h pays a log-normal price cut off at the bid b (second price). With
z = (ln b - mu) / s, mu = ln m_i + ln forecast_h + offset_i + level_h, and lambda = phi / Phi, the mean price paid
is M = exp(mu + s^2/2) Phi(z - s) / Phi(z) and d ln M / d mu = 1 - (lambda(z - s) - lambda(z)) / s: much where
the bid is high, little where it is low. One scoring step per row turns spend and clicks into an observation of
level + offset with its precision; hours and units are then separated by backfitting, offsets shrunk.

The level is a slow part (random walk, with a 1 % chance per hour of a jump) plus an AR(1) part. Its parameters are
averaged over a grid by marginal likelihood, so a steady market is smoothed and a jump is followed at once:
Harrison and Stevens, Bayesian forecasting (1976). In first-price auctions prices paid tell nothing (one pays the
bid), and levels stay where the forecast has them.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from domain.tables import Floats, Ints
from predictors.sums import summed

#: Grid of (persistence of the AR part, its hourly sd, hourly sd of the slow part).
_GRID = np.array(
    [
        (persistence, shock, drift)
        for persistence in (0.0, 0.5, 0.8, 0.92)
        for shock in (0.005, 0.02, 0.04, 0.08)
        for drift in (0.002, 0.01, 0.03)
    ]
)
JUMP_CHANCE, JUMP_SD, START_SD = 0.01, 0.20, 0.15


@dataclass(frozen=True, slots=True)
class PriceLevel:
    """Market prices against their forecast, natural logarithms.

    Attributes
    ----------
    past
        (n_past,) level of each hour from the first one seen, smoothed over offsets, not over time.
    ahead, ahead_sd
        (n_ahead,) expected level of the hours to come, and its error.
    offset, offset_sd
        (n_units,) lasting deviation of each unit's market price from its forecast, and its error.
    unit_sd
        Learned spread of the offsets.
    dispersion
        Variance of rows against what the log-normal price explains; 1 = all of it.
    """

    past: Floats
    ahead: Floats
    ahead_sd: Floats
    offset: Floats
    offset_sd: Floats
    unit_sd: float
    dispersion: float


def follow_price(
    unit: Ints,
    hour: Ints,
    clicks: Floats,
    spend: Floats,
    bid: Floats,
    log_price: Floats,
    spread: Floats,
    n_units: int,
    n_past: int,
    n_ahead: int,
    unit_sd: float,
) -> PriceLevel:
    """Level and offsets from rows of hours.

    Parameters
    ----------
    unit, hour, clicks, spend, bid
        (n_rows,) rows with known bids; hour counts from the first one; in order of time.
    log_price
        (n_rows,) log of the forecast median price of the row's unit and hour.
    spread
        (n_rows,) log-sd of the price.
    unit_sd
        Prior spread of the offsets, learned from then on.
    """
    precision, target = _observe(hour, clicks, spend, bid, log_price, spread, n_past)
    offset = np.zeros(n_units)
    offset_var = np.full(n_units, unit_sd**2)
    variance, dispersion = unit_sd**2, 1.0
    weight_hour = summed(hour, precision, n_past)
    weight_unit = summed(unit, precision, n_units)
    sum_hour = summed(hour, target, n_past)
    sum_unit = summed(unit, target, n_units)
    seen = weight_hour > 0
    level = np.zeros(n_past)
    used = precision > 0
    if used.any():
        wanted = np.zeros_like(target)
        wanted[used] = target[used] / precision[used]
        for _ in range(6):
            shared = summed(hour, precision * offset[unit], n_past)
            # a weak pull to the forecast keeps hours with hardly a click where they belong
            level = np.where(seen, (sum_hour - shared) / (weight_hour + 1e-9), 0.0)
            rest = summed(unit, precision * level[hour], n_units)
            post = 1 / (weight_unit / dispersion + 1 / variance)
            offset = (sum_unit - rest) / dispersion * post
            offset_var = post
            variance = float(((offset**2 + post).sum() + 10 * unit_sd**2 * 0.25) / (n_units + 10))
            variance = min(max(variance, 1e-6), 1.0)
            residual = wanted - level[hour] - offset[unit]
            freedom = max(int(used.sum()) - int(seen.sum()), 1)
            dispersion = float(np.clip((precision * residual**2).sum() / freedom, 1.0, 25.0))
    noise = np.where(seen, dispersion / np.maximum(weight_hour, 1e-12), np.inf)
    ahead, ahead_var = _filter(level, noise, n_ahead, _GRID)
    past = np.where(seen, level, 0.0)
    _carry(past, seen)
    return PriceLevel(
        past, ahead, np.sqrt(ahead_var), offset, np.sqrt(offset_var), float(np.sqrt(variance)), dispersion
    )


@njit(cache=True)
def _carry(past, seen):
    """Give hours without a click the level of the hour before."""
    last = 0.0
    for h in range(past.size):
        if seen[h]:
            last = past[h]
        else:
            past[h] = last


@njit(cache=True)
def _log_cdf(x):
    if x > -8.0:
        return np.log(max(0.5 * math.erfc(-x * 0.7071067811865476), 1e-300))
    return -0.5 * x * x - np.log(-x * 2.5066282746310002) + np.log1p(-1.0 / (x * x))


@njit(cache=True)
def _observe(hour, clicks, spend, bid, log_price, spread, n_past):
    """Precision and precision-weighted observation of (level + offset) of each row."""
    n = hour.size
    precision = np.zeros(n)
    target = np.zeros(n)
    reference = 0.0
    start = 0
    while start < n:
        stop = start
        while stop < n and hour[stop] == hour[start]:
            stop += 1
        for _attempt in range(3):
            total, moved = 0.0, 0.0
            for r in range(start, stop):
                precision[r] = 0.0
                target[r] = 0.0
                if not (clicks[r] > 0.0 and spend[r] > 0.0 and bid[r] > 0.0):
                    continue
                s = spread[r]
                mu = log_price[r] + reference
                z = (np.log(bid[r]) - mu) / s
                won, paid, squared = _log_cdf(z), _log_cdf(z - s), _log_cdf(z - 2 * s)
                mean = np.exp(mu + s * s / 2 + paid - won)
                variance = max(np.exp(2 * mu + 2 * s * s + squared - won) - mean * mean, 1e-4 * mean * mean)
                mills_paid = np.exp(-0.5 * (z - s) ** 2 - 0.9189385332046727 - paid)
                mills_won = np.exp(-0.5 * z * z - 0.9189385332046727 - won)
                slope = mean * max(1.0 - (mills_paid - mills_won) / s, 1e-3)
                pull = (spend[r] - clicks[r] * mean) / np.sqrt(clicks[r] * variance)
                pull = min(max(pull, -4.0), 4.0)
                gain = slope * np.sqrt(clicks[r] / variance)
                precision[r] = gain * gain
                target[r] = gain * gain * reference + gain * pull
                total += gain * gain
                moved += gain * pull
            if total <= 0.0:
                break
            # weak pull to the last level: an hour with few clicks must not throw the point of expansion away
            step = moved / (total + 25.0)
            if abs(step) < 0.03:
                break
            reference += step
        start = stop
    return precision, target


@njit(cache=True)
def _filter(level, noise, n_ahead, grid):
    """Forecast mean and variance of the level, averaged over the grid by marginal likelihood."""
    n_grid = grid.shape[0]
    score = np.zeros(n_grid)
    ahead = np.zeros((n_grid, n_ahead))
    spread = np.zeros((n_grid, n_ahead))
    for g in range(n_grid):
        persistence, shock, drift = grid[g]
        slow, fast = 0.0, 0.0
        v11, v12 = START_SD**2, 0.0
        v22 = shock**2 / (1 - persistence**2)
        likelihood = 0.0
        for h in range(level.size):
            fast *= persistence
            v12 *= persistence
            v11 += drift**2
            v22 = v22 * persistence**2 + shock**2
            if not np.isfinite(noise[h]):
                continue
            error = level[h] - slow - fast
            s0 = v11 + 2 * v12 + v22 + noise[h]
            s1 = s0 + JUMP_SD**2
            l0 = (1 - JUMP_CHANCE) * np.exp(-0.5 * error**2 / s0) / np.sqrt(s0)
            l1 = JUMP_CHANCE * np.exp(-0.5 * error**2 / s1) / np.sqrt(s1)
            both = l0 + l1
            jumped = l1 / both if both > 0.0 else 1.0
            likelihood += np.log(both) if both > 0.0 else -0.5 * error**2 / s1 - 0.5 * np.log(s1) + np.log(JUMP_CHANCE)
            # update under each hypothesis, then collapse
            k10, k20 = (v11 + v12) / s0, (v12 + v22) / s0
            w11 = v11 + JUMP_SD**2
            k11, k21 = (w11 + v12) / s1, (v12 + v22) / s1
            g1 = (1 - jumped) * k10 + jumped * k11
            g2 = (1 - jumped) * k20 + jumped * k21
            d1, d2 = (k11 - k10) * error, (k21 - k20) * error
            mix = jumped * (1 - jumped)
            n11 = (1 - jumped) * (v11 - k10 * (v11 + v12)) + jumped * (w11 - k11 * (w11 + v12)) + mix * d1 * d1
            n12 = (1 - jumped) * (v12 - k10 * (v12 + v22)) + jumped * (v12 - k11 * (v12 + v22)) + mix * d1 * d2
            n22 = (1 - jumped) * (v22 - k20 * (v12 + v22)) + jumped * (v22 - k21 * (v12 + v22)) + mix * d2 * d2
            slow += g1 * error
            fast += g2 * error
            v11, v12, v22 = n11, n12, n22
        score[g] = likelihood
        for a in range(n_ahead):
            fast *= persistence
            v12 *= persistence
            v11 += drift**2
            v22 = v22 * persistence**2 + shock**2
            ahead[g, a] = slow + fast
            spread[g, a] = v11 + 2 * v12 + v22
    weight = np.exp(score - score.max())
    weight /= weight.sum()
    mean = np.zeros(n_ahead)
    variance = np.zeros(n_ahead)
    for a in range(n_ahead):
        for g in range(n_grid):
            mean[a] += weight[g] * ahead[g, a]
        for g in range(n_grid):
            variance[a] += weight[g] * (spread[g, a] + (ahead[g, a] - mean[a]) ** 2)
    return mean, variance
