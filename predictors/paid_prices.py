"""What prices paid tell of the market price, row by row, and how hours and units are told apart in it; see `price_level`."""

import math

import numpy as np
from numba import njit

from domain.tables import Floats
from predictors.bid_rows import BidRows
from predictors.rows import Positions

#: What prices paid of a unit go on missing whatever the law, log scale: so much of its offset no number of clicks tells.
PAID_SD = 0.03


@njit(cache=True)
def cdf(x):
    """Standard normal distribution."""
    return 0.5 * math.erfc(-x * 0.7071067811865476)


def observe(rows: BidRows, factor: float, pays: float) -> tuple[Positions, Positions, Floats, Floats, Floats]:
    """What prices paid tell of level + offset, by row: unit, hour, precision, precision times observation.

    Rows that tell nothing are left out. The last one is, (n_units,), the precision weighted with the square of
    d ln (price paid) / d (level + offset).
    """
    n = int(np.count_nonzero(rows.clicks > 0))
    median, bulge = np.exp(rows.log_median), np.exp(0.5 * rows.spread**2)
    at = np.empty((2, n), np.int32)
    told = np.empty((3, n), rows.kind)
    n, blur = _observe(
        rows.unit, rows.hour, rows.clicks, rows.spend, rows.bid,
        rows.log_median, median, rows.log_factor, rows.spread, bulge, factor, pays, at[0], at[1], told[0], told[1], told[2],
    )  # fmt: skip
    return at[0, :n], at[1, :n], told[0, :n], told[1, :n], blur


@njit(cache=True)
def _told(clicks, spend, bid, log_median, median, s, bulge, log_price, price, factor, pays):
    """What one row tells of the market price around an hour's log price: root of its precision, miss in standard errors, and
    d ln (price paid) / d (log price). The first is below 0 where the row tells nothing.
    """
    z = (np.log(bid) - log_median - log_price) / s
    squared = cdf(z - 2 * s)
    if squared < 1e-12:
        return -1.0, 0.0, 0.0  # a bid that far below the market tells nothing by its price
    won, paid = cdf(z), cdf(z - s)
    of_won = 1.0 / won
    expected = median * price * bulge  # mean of the law: median x exp(s^2 / 2)
    second = expected * paid * of_won
    spare = max((expected * bulge) ** 2 * squared * of_won - second * second, 1e-4 * second * second)
    mean = (1.0 - pays) * second + pays * bid
    variance = (1.0 - pays) ** 2 * spare
    bell = 0.3989422804014327 * np.exp(-0.5 * z * z)
    mills_won = bell * of_won
    # phi(z - s) = phi(z) (bid / median) exp(-s^2 / 2)
    mills_paid = bell * bid / (paid * expected)
    slope = (1.0 - pays) * second * max(1.0 - (mills_paid - mills_won) / s, 1e-3)
    scale = np.sqrt(clicks / variance)
    pull = min(max((spend / factor / clicks - mean) * scale, -4.0), 4.0)
    return slope * scale, pull, slope / mean


@njit(cache=True)
def _observe(
    unit, hour, clicks, spend, bid, log_median, median, log_factor, spread, bulge, factor, pays,
    of_unit, of_hour, precision, target, steep,
):  # fmt: skip
    """Writes the last five, (n_rows,) for rows with clicks; gives how many there are, and `blur`."""
    n = hour.size
    blur = np.zeros(log_median.size)
    reference = 0.0
    start, first = 0, 0
    while start < n:
        h, stop = hour[start], start
        while stop < n and hour[stop] == h:
            stop += 1
        last = first
        for _attempt in range(3):
            log_price = log_factor[h] + reference
            price = np.exp(log_price)
            total, moved = 0.0, 0.0
            last = first
            for r in range(start, stop):
                if not (clicks[r] > 0.0 and spend[r] > 0.0 and bid[r] > 0.0):
                    continue
                u = unit[r]
                gain, pull, slope = _told(
                    clicks[r],
                    spend[r],
                    bid[r],
                    log_median[u],
                    median[u],
                    spread[u],
                    bulge[u],
                    log_price,
                    price,
                    factor,
                    pays,
                )
                if gain < 0.0:
                    continue
                of_unit[last], of_hour[last] = u, h
                steep[last] = slope
                precision[last] = gain * gain
                target[last] = gain * gain * reference + gain * pull
                last += 1
                total += gain * gain
                moved += gain * pull
            if total <= 0.0:
                break
            # weak pull to the last level: an hour with few clicks must not throw the point of expansion away
            step = moved / (total + 25.0)
            if abs(step) < 0.08:
                break
            reference += step
        for r in range(first, last):
            blur[of_unit[r]] += precision[r] * steep[r] ** 2
        first = last
        start = stop
    return first, blur


def place_units(
    rows: BidRows, level: Floats, factor: float, pays: float, variance: float, dispersion: float
) -> tuple[Floats, Floats]:
    """(n_units,) offset of each unit from the market price, and its variance, where all that units share is known.

    Parameters
    ----------
    level
        (n_hours,) level of each hour.
    factor, pays, variance, dispersion
        What a click costs over its law, the part of the price that is the bid, variance of offsets, and of rows against what the
        law of prices explains: see `separate`.
    """
    median, bulge = np.exp(rows.log_median), np.exp(0.5 * rows.spread**2)
    return _place_units(
        rows.unit, rows.hour, rows.clicks, rows.spend, rows.bid,
        rows.log_median, median, rows.log_factor + level, rows.spread, bulge, factor, pays, variance, dispersion,
    )  # fmt: skip


@njit(cache=True)
def _place_units(
    unit, hour, clicks, spend, bid, log_median, median, log_price, spread, bulge, factor, pays, variance, dispersion
):  # fmt: skip
    n_units = log_median.size
    price = np.exp(log_price)
    weight, pulled, blur = np.zeros(n_units), np.zeros(n_units), np.zeros(n_units)
    for r in range(unit.size):
        if not (clicks[r] > 0.0 and spend[r] > 0.0 and bid[r] > 0.0):
            continue
        u, h = unit[r], hour[r]
        gain, pull, slope = _told(
            clicks[r],
            spend[r],
            bid[r],
            log_median[u],
            median[u],
            spread[u],
            bulge[u],
            log_price[h],
            price[h],
            factor,
            pays,
        )
        if gain < 0.0:
            continue
        weight[u] += gain * gain
        pulled[u] += gain * pull
        blur[u] += (gain * slope) ** 2
    offset, offset_var = pulled, blur  # the same memory
    for i in range(n_units):
        held = max(weight[i], 1e-12)
        doubt = PAID_SD**2 * weight[i] / blur[i] if blur[i] > 0.0 else 0.0
        told = 1.0 / (dispersion / held + doubt)
        offset_var[i] = 1.0 / (told + 1.0 / variance)
        offset[i] = pulled[i] * (offset_var[i] * told / held)
    return offset, offset_var


@njit(cache=True)
def separate(unit, hour, precision, target, blur, n_past, unit_sd, n_all):
    """Hours and units apart by backfitting: level per hour, shrunk offset per unit, and their variances.

    The first five are what `observe` gives, `n_all` counts units that have no row and no place in `blur` too.
    """
    n_units = blur.size
    offset, fresh = np.zeros(n_units), np.zeros(n_units)
    offset_var = np.full(n_units, unit_sd**2)
    variance, dispersion = unit_sd**2, 1.0
    weight_hour, weight_unit = np.zeros(n_past), np.zeros(n_units)
    level = np.zeros(n_past)
    rows = 0
    for r in range(unit.size):
        weight_hour[hour[r]] += precision[r]
        weight_unit[unit[r]] += precision[r]
        rows += precision[r] > 0.0
    doubt = np.zeros(n_units)  # variance of an offset that more clicks do not lower
    for i in range(n_units):
        doubt[i] = PAID_SD**2 * weight_unit[i] / blur[i] if blur[i] > 0.0 else 0.0
    for turn in range(6):
        fresh[:] = 0.0
        start = 0
        while start < unit.size:  # one pass: an hour's level is known before its rows leave the cache
            h, stop, total = hour[start], start, 0.0
            while stop < unit.size and hour[stop] == h:
                total += target[stop] - precision[stop] * offset[unit[stop]]
                stop += 1
            level[h] = total / weight_hour[h] if weight_hour[h] > 0.0 else 0.0
            for r in range(start, stop):
                fresh[unit[r]] += target[r] - precision[r] * level[h]
            start = stop
        total = (n_all - n_units) * variance
        for i in range(n_units):
            told = 1.0 / (dispersion / max(weight_unit[i], 1e-12) + doubt[i])
            offset_var[i] = 1.0 / (told + 1.0 / variance)
            offset[i] = fresh[i] * (offset_var[i] * told / max(weight_unit[i], 1e-12))
            total += offset[i] ** 2 + offset_var[i]
        # EM, with a prior worth ten units of half the stated spread
        variance = min(max((total + 2.5 * unit_sd**2) / (n_all + 10.0), 1e-6), 1.0)
        if turn % 2 == 1:
            miss = 0.0
            for r in range(unit.size):
                if precision[r] > 0.0:
                    miss += precision[r] * (target[r] / precision[r] - level[hour[r]] - offset[unit[r]]) ** 2
            freedom = max(rows - n_past, 1)
            dispersion = min(max(miss / freedom, 1.0), 25.0)
    return level, offset, offset_var, weight_hour, variance, dispersion
