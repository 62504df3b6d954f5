r"""Follows the market price where one pays one's bid: not what clicks cost tells it, but which units lose clicks.

When rivals bid more, units that win nearly every auction lose few clicks and those that win few lose many; when fewer
people come, all lose alike. With W the win rate, z = (ln b - mu) / s and lambda = phi / Phi,

    clicks_ih ~ mean mu_ih exp(t_h - d_ih (l_h + g_kh)),      mu_ih = a_i due_ih W(z_ih),      d_ih = lambda(z_ih) / s_i

where t_h is the hour's traffic, l_h what the market price is off by, and g_kh what it is off by beyond that in category k.
Each hour is a weighted regression with two unknowns; t_h is taken out (prior sd 0.3), which leaves l_h with its precision.
Hours are then put together by the same filter that follows prices paid; what categories are off by is read off what is left
(`apart`). Volumes a_i of units are shrunk by credibility, and a few rounds settle all of them. In the first of them volumes
are those of the forecast: what a whole category is off by is a price sooner than the same error of each of its volumes.
Lasting errors of a single unit's market price cannot be told from errors of its volume here, and count as the latter.
"""

from dataclasses import replace

import numpy as np
from numba import njit

from domain.tables import Floats
from predictors.apart import Apart, Groups, follow_apart
from predictors.bid_rows import BidRows, Sample
from predictors.paid_prices import cdf
from predictors.price_level import PriceLevel, follow_level, smooth_level

#: Prior sd of an hour's traffic, of a unit's volume, and relative sd of single rows beyond counting.
TRAFFIC_SD, VOLUME_SD, ROW_SD = 0.3, 0.25, 0.35
#: Rounds between levels and volumes, and the largest step of a level in one.
ROUNDS, STEP = 5, 0.3


def follow_won(
    rows: BidRows,
    n_ahead: int,
    unit_sd: float,
    shape: Floats | None = None,
    groups: Groups | None = None,
    sample: Sample | None = None,
) -> tuple[PriceLevel, Apart]:
    """Level of the market price from clicks won at known bids, and how far categories lie from it.

    Offsets of units are 0, with error `unit_sd`. Any common scale of the forecast opportunities will do.

    Parameters
    ----------
    n_ahead
        Hours to forecast, the first being the one after the last of the rows.
    unit_sd
        Error of a unit's market price, which is not learned here.
    shape
        (n_past + n_ahead,) how prices fall in the course of a day, as in `follow_price`.
    groups
        Categories of the units, and days; ``None`` = all units share one price level.
    sample
        Units that all is learned from; ``None`` = all of them.
    """
    if sample is not None:
        whole = groups if groups is not None else Groups.none(rows.n_units, rows.n_hours + n_ahead)
        level, apart = follow_won(
            sample.rows, n_ahead, unit_sd, shape, replace(whole, of_unit=whole.of_unit[sample.units])
        )
        nothing = np.zeros(rows.n_units)
        level = replace(level, offset=nothing, offset_sd=np.full(rows.n_units, unit_sd))
        return level, replace(apart, of_unit=whole.of_unit)
    n_units, n_past = rows.n_units, rows.n_hours
    per_hour = rows.per_hour if np.isfinite(rows.per_hour).all() else np.ones(n_units)
    level, told = np.zeros(n_past), np.zeros(n_past)
    noise = np.full(n_past, np.inf)
    groups = groups if groups is not None else Groups.none(n_units, n_past + n_ahead)
    beyond = np.zeros((groups.count, n_past))
    apart = Apart.nothing(groups, n_past)
    distance = np.log(rows.bid) - rows.log_price
    arrays = (rows.unit, rows.hour, groups.of_unit, rows.clicks, distance, rows.spread)
    due = _due(rows.unit, rows.hour, per_hour, rows.traffic)
    total = _won_in_all(rows.unit, distance, rows.spread, due)
    if total > 0 and rows.clicks.sum() > 0:
        due *= float(rows.clicks.sum()) / total
        volume, traffic = np.ones(n_units), np.ones(n_past)
        for turn in range(ROUNDS):
            sums = _round(*arrays, due, level, beyond, volume, traffic, 2 if turn else 0)
            a11, a12, a22, r1, r2 = sums.sum(1)
            a11 = a11 + TRAFFIC_SD**-2
            precision = np.maximum(a22 - a12**2 / a11, 0.0)
            step = np.clip(
                np.divide(r2 - a12 * r1 / a11, precision, out=np.zeros(n_past), where=precision > 1e-9), -1, 1
            )
            noise = np.where(precision > 1e-6, 1 / np.maximum(precision, 1e-6), np.inf)
            told = level + step
            moved = np.clip(smooth_level(told, noise) - level, -STEP, STEP)
            if groups.count > 1:
                people = (r1 - a12 * moved) / a11  # traffic at the level that is kept
                apart = follow_apart(sums, people, moved, beyond, groups)
                beyond = apart.past
            level = level + moved
    ahead, ahead_sd = follow_level(told, noise, n_ahead, shape)
    nothing = np.zeros(n_units)
    return PriceLevel(level, ahead, ahead_sd, nothing, np.full(n_units, unit_sd), unit_sd, 1.0), apart


@njit(cache=True)
def _due(unit, hour, per_hour, traffic):
    """(n_rows,) clicks of an unbeatable bid according to the forecast."""
    due = np.empty(unit.size)
    for r in range(unit.size):
        due[r] = per_hour[unit[r]] * traffic[hour[r]]
    return due


@njit(cache=True)
def _won_in_all(unit, distance, spread, due):
    """Clicks that the forecast expects of all rows."""
    total = 0.0
    for r in range(unit.size):
        total += due[r] * cdf(distance[r] / spread[unit[r]])
    return total


@njit(cache=True)
def _round(unit, hour, group, clicks, distance, spread, due, level, beyond, volume, traffic, turns):
    """Sums of the hours' regressions by category: (5, n_groups, n_hours), of squares and products of 1, -d and misses.

    Volumes of units and traffic of hours, given as they were before, are written over.
    """
    n_groups, n_hours = beyond.shape
    n = unit.size
    plain, answer = np.empty(n), np.empty(n)
    for r in range(n):
        u, h = unit[r], hour[r]
        z = (distance[r] - level[h] - beyond[group[u], h]) / spread[u]
        won = max(cdf(z), 1e-9)
        mean = due[r] * won
        plain[r] = mean if mean > 1e-3 else 0.0
        answer[r] = -np.exp(-0.5 * z * z) / (2.5066282746310002 * won) / spread[u]
    got, expected = np.zeros(volume.size), np.zeros(volume.size)
    for _turn in range(turns):
        got[:] = 0.0
        expected[:] = 0.0
        start = 0
        while start < n:  # rows are in order of time
            h, stop, seen, held = hour[start], start, 10.0, 10.0
            while stop < n and hour[stop] == h:
                if plain[stop] > 0.0:
                    seen += clicks[stop]
                    held += plain[stop] * volume[unit[stop]]
                stop += 1
            traffic[h] = seen / held
            for r in range(start, stop):
                if plain[r] > 0.0:
                    got[unit[r]] += clicks[r]
                    expected[unit[r]] += plain[r] * traffic[h]
            start = stop
        for i in range(volume.size):
            volume[i] = (got[i] + VOLUME_SD**-2) / (expected[i] + VOLUME_SD**-2)
    sums = np.zeros((5, n_groups, n_hours))
    for r in range(n):
        if plain[r] > 0.0:
            u, h = unit[r], hour[r]
            k = group[u]
            mean = plain[r] * volume[u]
            w = mean / (1 + ROW_SD**2 * mean)
            y, a = clicks[r] / mean - 1, answer[r]
            sums[0, k, h] += w
            sums[1, k, h] += w * a
            sums[2, k, h] += w * a * a
            sums[3, k, h] += w * y
            sums[4, k, h] += w * a * y
    return sums
