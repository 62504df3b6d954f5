"""Follows the market price: a common level per hour and an offset per unit, learned from prices paid at known bids.

A won click of unit i in hour h pays a log-normal price cut off at the bid b (second price). With
z = (ln b - mu) / s, mu = ln m_i + ln forecast_h + offset_i + level_h, and lambda = phi / Phi, the mean price paid
is M = exp(mu + s^2/2) Phi(z - s) / Phi(z) and d ln M / d mu = 1 - (lambda(z - s) - lambda(z)) / s: much where
the bid is high, little where it is low. One scoring step per row turns spend and clicks into an observation of
level + offset with its precision; hours and units are then separated by backfitting, offsets shrunk.

The level is a slow part (random walk, with a 1 % chance per hour of a jump) plus an AR(1) part. Its parameters are
averaged over a grid by marginal likelihood, so a steady market is smoothed and a jump is followed at once:
Harrison and Stevens, Bayesian forecasting (1976). In first-price auctions prices paid tell nothing (one pays the
bid); there `won_level` learns the level from the clicks.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from domain.tables import Floats
from predictors.bid_rows import BidRows, Sample
from predictors.daily_dip import learn_dip
from predictors.paid_prices import observe, place_units, separate

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
    rows: BidRows,
    n_ahead: int,
    unit_sd: float,
    factor: float = 1.0,
    pays: float = 0.0,
    shape: Floats | None = None,
    sample: Sample | None = None,
) -> PriceLevel:
    """Level and offsets from rows of hours.

    Parameters
    ----------
    n_ahead
        Hours to forecast, the first being the one after the last of the rows.
    unit_sd
        Prior spread of the offsets, learned from then on.
    factor, pays
        What a click costs over its law, and part of the price that is the bid itself; see `learn_payment`.
    shape
        (n_past + n_ahead,) how prices fall in the course of the hours' days: see `daily_dip`; ``None`` = they do not.
    sample
        Units that levels and spreads are learned from; ``None`` = all of them.
    """
    some = rows if sample is None else sample.rows
    level, offset, offset_var, weight_hour, variance, dispersion = separate(
        *observe(some, factor, pays), rows.n_hours, unit_sd, some.n_units
    )
    seen = weight_hour > 0
    noise = np.where(seen, dispersion / np.maximum(weight_hour, 1e-12), np.inf)
    ahead, ahead_sd = follow_level(level, noise, n_ahead, shape)
    past = np.where(seen, level, 0.0)
    _carry(past, seen)
    if sample is not None:
        offset, offset_var = place_units(rows, past, factor, pays, float(variance), float(dispersion))
    return PriceLevel(past, ahead, ahead_sd, offset, np.sqrt(offset_var), float(np.sqrt(variance)), float(dispersion))


def follow_level(level: Floats, noise: Floats, n_ahead: int, shape: Floats | None = None) -> tuple[Floats, Floats]:
    """Forecast of a level that wanders, and its error: (n_ahead,) each.

    Parameters
    ----------
    level, noise
        (n_past,) logarithm of what was seen over what was forecast, and its error variance; infinite where nothing was.
    n_ahead
        Steps to forecast, the first being the one after the last seen.
    shape
        (n_past + n_ahead,) shape of a day's dip of prices, as in `follow_price`.
    """
    if shape is None:
        ahead, variance, _, _ = _filter(level, noise, n_ahead, _GRID)
        return ahead, np.sqrt(variance)
    n_past = level.size
    dip, dip_sd = learn_dip(level, noise, shape[:n_past])
    ahead, variance, _, _ = _filter(level - dip * shape[:n_past], noise, n_ahead, _GRID)
    coming = shape[n_past:]
    # the last hours told the level at their place of the day: what is wrong of the dip enters by the way from there
    way = coming - float(shape[max(n_past - 6, 0) : n_past].mean()) if n_past else coming
    return ahead + dip * coming, np.sqrt(variance + (dip_sd * way) ** 2)


def smooth_level(level: Floats, noise: Floats) -> Floats:
    """(n_past,) a level that wanders, each hour's told by the hours before it, its own, and those after it."""
    _, _, mean, variance = _filter(level, noise, 1, _GRID)
    _, _, later, later_variance = _filter(level[::-1].copy(), noise[::-1].copy(), 1, _GRID)
    # the way back has used the hour itself too: it is taken out before the two are put together
    later, later_variance = later[::-1], later_variance[::-1]
    own = np.where(np.isfinite(noise), 1 / noise, 0.0)
    held = np.maximum(1 / later_variance - own, 1e-3)
    after = (later / later_variance - own * np.where(np.isfinite(noise), level, 0.0)) / held
    return (mean / variance + after * held) / (1 / variance + held)


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
def _filter(level, noise, n_ahead, grid):
    """Mean and variance of the level, to come and at each hour seen so far, averaged over the grid by likelihood."""
    n_grid = grid.shape[0]
    seen = np.zeros((n_grid, level.size))
    doubt = np.zeros((n_grid, level.size))
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
                seen[g, h] = slow + fast
                doubt[g, h] = v11 + 2 * v12 + v22
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
            seen[g, h] = slow + fast
            doubt[g, h] = v11 + 2 * v12 + v22
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
    past = np.zeros(level.size)
    error_of_past = np.zeros(level.size)
    for h in range(level.size):
        for g in range(n_grid):
            past[h] += weight[g] * seen[g, h]
        for g in range(n_grid):
            error_of_past[h] += weight[g] * (doubt[g, h] + (seen[g, h] - past[h]) ** 2)
    return mean, variance, past, error_of_past
