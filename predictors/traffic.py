"""How many click opportunities come: the forecast, corrected by what was won so far.

Hourly rows: a unit's clicks in an hour are those of its forecast opportunities that its bid won, times lasting
errors of the unit, errors of the day, and luck:

    clicks_ih ~ X_ih (level) day_d unit_i cell_id,    X_ih = forecast_i traffic_h W(bid / market price)

with relative variances of units, days, unit-days and hours learned from the rows (moments, worth some prior
observations) and each factor shrunk by credibility: Buehlmann and Straub (1970). A new day starts at the level of
the days so far; today's factor moves with each hour.

Daily rows: clicks per day with weights that halve every few days, shrunk toward campaign and account.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from domain.tables import Floats, Ints
from predictors.shrinkage import shrink
from predictors.sums import summed

#: Prior relative sd of a day's factor and of unit-days, and how many observations the prior is worth.
DAY_SD, DAY_WORTH = 0.2, 3.0
CELL_SD = 0.1
LEVEL_SD = 0.15
#: The same where prices paid do not place the market: clicks answer twofold to what its price may be off by.
UNPLACED_LEVEL_SD = 0.4


@dataclass(frozen=True, slots=True)
class Traffic:
    """Corrections to forecast opportunities.

    Attributes
    ----------
    unit, unit_sd
        (n_units,) lasting factor on the forecast, and its relative error.
    today
        (n_units,) further factor for the rest of the local day of the last rows, 1 where that day is over.
    today_sd, later_sd
        Relative error that all units share: today, and on later days.
    later
        Further factor for days to come.
    hour_sd
        Relative sd of a unit's single hour beyond Poisson noise.
    learned_unit_sd
        Relative spread of units around their forecast.
    """

    unit: Floats
    unit_sd: Floats
    today: Floats
    today_sd: float
    later: float
    later_sd: float
    hour_sd: float
    learned_unit_sd: float


def learn_traffic(
    unit: Ints,
    hour: Ints,
    day: Ints,
    clicks: Floats,
    due: Floats,
    n_units: int,
    today: int,
    unit_sd: float,
    level_sd: float = LEVEL_SD,
) -> Traffic:
    """Corrections from rows of hours.

    Parameters
    ----------
    unit, hour, day, clicks
        (n_rows,) rows; `hour` from 0, `day` any integers that grow with time.
    due
        (n_rows,) clicks that the forecast expects at the bid that was in force.
    today
        Local day of the hour that is decided.
    unit_sd
        Prior relative spread of units around their forecast.
    level_sd
        Prior relative error that all days and units share.
    """
    kept = due > 1e-9
    if not kept.all():
        unit, hour, day, clicks, due = unit[kept], hour[kept], day[kept], clicks[kept], due[kept]
    if not clicks.size:
        flat = np.ones(n_units)
        return Traffic(flat, flat * unit_sd, flat, np.hypot(DAY_SD, level_sd), 1.0, level_sd, 0.3, unit_sd)
    first, n_hours = int(day.min()), int(hour.max()) + 1
    n_days = int(max(day.max(), today)) - first + 1
    cell = unit * n_days + (day - first)
    n_cells = n_units * n_days
    got = summed(cell, clicks, n_cells).reshape(n_units, n_days)
    forecast = summed(cell, due, n_cells).reshape(n_units, n_days)
    squares = summed(cell, due**2, n_cells).reshape(n_units, n_days)
    hours_of_day = np.maximum(np.bincount(day - first, minlength=n_days) / max(n_units, 1), 1.0)

    units, cells = np.ones(n_units), np.zeros((n_units, n_days))
    unit_var, cell_var, hour_var, day_var, shock_var = unit_sd**2, CELL_SD**2, 0.1, DAY_SD**2, 0.005
    level = 1.0
    days = np.ones(n_days)
    day_error = np.full(n_days, day_var)
    unit_error = np.full(n_units, unit_var)
    seen_day = forecast.sum(0) > 0
    for turn in range(5):
        # days: common factor, pulled to the level of all days
        base = forecast * (units[:, None] * (1 + cells))
        total = np.maximum(base.sum(0), 1e-12)
        noise = 1 / total + hour_var * (squares * (units[:, None] ** 2)).sum(0) / total**2 + shock_var / hours_of_day
        ratio = got.sum(0) / total
        precision = np.where(seen_day, 1 / (day_var + noise), 0.0)
        level = float(((precision * ratio).sum() + level_sd**-2) / (precision.sum() + level_sd**-2))
        relative = ratio / level - 1
        credibility = day_var / (day_var + noise)
        days = np.where(seen_day, level * (1 + credibility * relative), level)
        day_error = day_var * (1 - credibility)
        spread = ((credibility * relative) ** 2 + day_error)[seen_day]
        day_var = float((spread.sum() + DAY_WORTH * DAY_SD**2) / (seen_day.sum() + DAY_WORTH))
        # units: lasting factor, from residuals of days with expected-count variances
        expected = forecast * days
        scale = np.maximum(expected, 1e-12)
        known = expected > 1e-6
        variance = (
            1 / (scale * np.maximum(units[:, None], 0.1))
            + cell_var
            + hour_var * squares / np.maximum(forecast, 1e-12) ** 2
        )
        weight = np.where(known, 1 / variance, 0.0)
        residual = np.where(known, got / scale, 0.0)
        held = weight.sum(1)
        unit_error = 1 / (held + 1 / unit_var)
        units = np.maximum(1 + unit_error * ((weight * residual).sum(1) - held), 0.02)
        unit_var = float((((units - 1) ** 2 + unit_error).sum() + 10 * unit_sd**2) / (n_units + 10))
        # unit-days
        share = np.where(known, cell_var / variance, 0.0)
        cells = share * (residual / units[:, None] - 1)
        left = cell_var * (1 - share)
        cell_var = float(((cells**2 + left)[known].sum() + 50 * CELL_SD**2) / (known.sum() + 50))
        if turn not in (1, 3):
            continue
        # hours: overdispersion of single rows, and shocks that all units share
        factor = (units[:, None] * days * (1 + cells)).ravel()
        excess, hour_got, hour_mean, hour_squares = _tally(cell, hour, clicks, due, factor, n_hours)
        hour_var = float(np.clip(excess / max(float(hour_squares.sum()), 1e-12), 0.0, 4.0))
        filled = hour_mean > 0
        hour_got, hour_mean, hour_squares = hour_got[filled], hour_mean[filled], hour_squares[filled]
        miss = (hour_got / hour_mean - 1) ** 2 - 1 / hour_mean - hour_var * hour_squares / hour_mean**2
        shock_var = float(np.clip((np.maximum(miss, -1).sum() + 10 * 0.005) / (filled.sum() + 10), 0.0, 0.5))

    now = today - first
    cells_today = cells[:, now] if 0 <= now < n_days else np.zeros(n_units)
    level_error = 1 / (float(np.where(seen_day, 1 / (day_var + 1e-4), 0.0).sum()) + level_sd**-2)
    return Traffic(
        unit=units,
        unit_sd=np.sqrt(unit_error) / units,
        today=days[now] * (1 + cells_today) if 0 <= now < n_days else np.full(n_units, level),
        today_sd=float(np.sqrt(day_error[now] if 0 <= now < n_days else day_var + level_error)),
        later=level,
        later_sd=float(np.sqrt(day_var + level_error)),
        hour_sd=float(np.sqrt(hour_var)),
        learned_unit_sd=float(np.sqrt(unit_var)),
    )


@njit(cache=True)
def _tally(cell, hour, clicks, due, factor, n_hours):
    """Sum of squared misses beyond Poisson, and per hour: clicks, their mean, and the squares of the rows' means."""
    excess = 0.0
    got, expected, squares = np.zeros(n_hours), np.zeros(n_hours), np.zeros(n_hours)
    for r in range(cell.size):
        mean = due[r] * factor[cell[r]]
        excess += (clicks[r] - mean) ** 2 - mean
        got[hour[r]] += clicks[r]
        expected[hour[r]] += mean
        squares[hour[r]] += mean * mean
    return excess, got, expected, squares


@dataclass(frozen=True, slots=True)
class DailyVolume:
    """Counts per average hour from daily rows, all (n_units,).

    ``rate`` is the shrunk mean, ``cv`` its relative standard error, ``weight_days`` the days of evidence.
    """

    rate: Floats
    cv: Floats
    weight_days: Floats


def daily_volume(
    unit: Ints, age_days: Floats, counts: Floats, first_seen_days: Floats, campaign: Ints, half_life: float
) -> DailyVolume:
    """Counts per hour from rows of days; a day without a row of a unit is a day without delivery.

    Parameters
    ----------
    unit, age_days, counts
        (n_rows,) rows; `age_days` days from the row's start to the cut.
    first_seen_days
        (n_units,) days since each unit first appeared.
    campaign
        (n_units,) position of the campaign, -1 for none.
    half_life
        Age in days at which a row weighs half.
    """
    n_units = first_seen_days.size
    decay = np.log(2.0) / half_life
    weighted = summed(unit, counts * np.exp(-decay * np.maximum(age_days - 1, 0)), n_units)
    # sum of the weights of all days since the unit appeared
    days = np.where(first_seen_days > 0, (1 - np.exp(-decay * first_seen_days)) / (1 - np.exp(-decay)), 0.0)
    total = float(days.sum())
    mean = float(weighted.sum()) / total if total > 0 else 0.0
    if mean <= 0:
        return DailyVolume(np.zeros(n_units), np.ones(n_units), days)
    # wide: units of one account differ by orders of magnitude, so several rounds of plain credibility
    found = shrink(weighted, days * mean, np.full(n_units, mean), campaign, level_sd=1.0, rounds=12)
    return DailyVolume(mean * found.ratio / 24.0, np.sqrt(found.own_cv**2 + found.common_cv**2), days)
