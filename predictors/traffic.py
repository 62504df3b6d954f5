"""How many click opportunities come: the forecast, corrected by what was won so far.

Hourly rows: a unit's clicks in an hour are those of its forecast opportunities that its bid won, times lasting
errors of the unit, errors of the day, and luck:

    clicks_ih ~ X_ih (level) day_d unit_i cell_id,    X_ih = forecast_i traffic_h W(bid / market price)

with relative variances of units, days, unit-days and hours learned from the rows (moments, worth some prior
observations) and each factor shrunk by credibility: Buehlmann and Straub (1970). A new day starts at the level of
the days so far; today's factor moves with each hour.

Daily rows: clicks per day with weights that halve every few days, shrunk toward campaign and account.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from domain.tables import Bools, Floats, Ints
from predictors.bid_rows import Sample
from predictors.rows import Positions, frozen
from predictors.shrinkage import shrink
from predictors.sums import summed
from predictors.traffic_passes import cells as cells_of
from predictors.traffic_passes import of_days, of_units, tally

#: Prior relative sd of a day's factor and of unit-days, and how many observations the prior is worth.
DAY_SD, DAY_WORTH = 0.2, 3.0
CELL_SD = 0.1
#: Prior relative error of the forecast's level, that all days and units share.
LEVEL_SD = 0.12
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


class _Rows(NamedTuple):
    """Rows as `traffic_passes` takes them; `day` (n_hours,) counts from 0."""

    unit: Positions
    hour: Positions
    day: Ints
    clicks: Floats
    won: Floats
    per_hour: Floats


@dataclass(frozen=True, slots=True)
class _Settled:
    """What rows settle to: factors of days, units and unit-days, and the spreads that all units share."""

    days: Floats
    credibility: Floats
    seen_day: Bools
    level: float
    day_var: float
    units: Floats
    unit_error: Floats
    cells: Floats
    unit_var: float
    cell_var: float
    hour_var: float


def learn_traffic(
    unit: Positions,
    hour: Positions,
    day: Ints,
    clicks: Floats,
    won: Floats,
    per_hour: Floats,
    today: int,
    unit_sd: float,
    level_sd: float = LEVEL_SD,
    sample: Sample | None = None,
) -> Traffic:
    """Corrections from rows of hours.

    Parameters
    ----------
    unit, hour, clicks
        (n_rows,) rows; `hour` from 0.
    day
        (n_hours,) the hours' days, any integers that grow with time.
    won
        (n_rows,) opportunities of an ordinary hour of which the bid wins so many; that many times the unit's `per_hour`,
        (n_units,), are the clicks that the forecast expects.
    today
        Local day of the hour that is decided.
    unit_sd
        Prior relative spread of units around their forecast.
    level_sd
        Prior relative error that all days and units share.
    sample
        Units that days and spreads are learned from; ``None`` = all of them.
    """
    n_units, n_hours = per_hour.size, day.size
    first = int(day[0]) if n_hours else today
    n_days = int(max(day[-1], today)) - first + 1 if n_hours else 1
    rows = _Rows(frozen(unit), frozen(hour), day - first, frozen(clicks), frozen(won), frozen(per_hour))
    if sample is None:
        found = _settle(rows, n_days, unit_sd, level_sd)
    else:
        some = sample.rows
        few = _Rows(
            some.unit, some.hour, day - first, some.clicks, frozen(won[sample.at]), frozen(per_hour[sample.units])
        )
        shared = _settle(few, n_days, unit_sd, level_sd)
        found = None if shared is None else _of_all(rows, n_days, shared)
    if found is None:
        flat = np.ones(n_units)
        any_day = float(np.hypot(DAY_SD, level_sd))
        return Traffic(flat, flat * unit_sd, flat, any_day, 1.0, any_day, 0.3, unit_sd)
    days, cells, day_var, level = found.days, found.cells, found.day_var, found.level
    now = today - first
    cells_today = cells[:, now] if 0 <= now < n_days else np.zeros(n_units)
    level_error = 1 / (float(np.where(found.seen_day, 1 / (day_var + 1e-4), 0.0).sum()) + level_sd**-2)
    open_part = 1 - float(found.credibility[now]) if 0 <= now < n_days else 1.0  # what today's hours have not told
    return Traffic(
        unit=found.units,
        unit_sd=np.sqrt(found.unit_error) / found.units,
        today=days[now] * (1 + cells_today) if 0 <= now < n_days else np.full(n_units, level),
        today_sd=float(np.sqrt(day_var * open_part + level_error * open_part**2)),
        later=level,
        later_sd=float(np.sqrt(day_var + level_error)),
        hour_sd=float(np.sqrt(found.hour_var)),
        learned_unit_sd=float(np.sqrt(found.unit_var)),
    )


def _settle(rows: _Rows, n_days: int, unit_sd: float, level_sd: float) -> _Settled | None:
    """All of it, from rows as `cells_of` takes them; ``None`` where none of them tells anything."""
    got, forecast, squares, n_rows = cells_of(*rows, n_days)
    if not n_rows.any():
        return None
    n_units = got.shape[0]
    hours_of_day = np.maximum(n_rows / max(n_units, 1), 1.0)
    got_day = got.sum(0)

    units, cells = np.ones(n_units), np.zeros((n_units, n_days))
    unit_var, cell_var, hour_var, day_var, shock_var = unit_sd**2, CELL_SD**2, 0.1, DAY_SD**2, 0.005
    level = 1.0
    days = np.ones(n_days)
    credibility = np.zeros(n_days)
    unit_error = np.full(n_units, unit_var)
    seen_day = forecast.sum(0) > 0
    for turn in range(5):
        # days: common factor, pulled to the level of all days
        total, square = of_days(forecast, squares, units, cells)
        total = np.maximum(total, 1e-12)
        noise = 1 / total + hour_var * square / total**2 + shock_var / hours_of_day
        ratio = got_day / total
        precision = np.where(seen_day, 1 / (day_var + noise), 0.0)
        level_error = 1 / (float(precision.sum()) + level_sd**-2)
        level = (float((precision * ratio).sum()) + level_sd**-2) * level_error
        relative = ratio / level - 1
        credibility = np.where(seen_day, day_var / (day_var + noise), 0.0)
        days = level * (1 + credibility * relative)
        # what the level took of a day's error is not known either
        spread = ((credibility * relative) ** 2 + day_var * (1 - credibility) + credibility**2 * level_error)[seen_day]
        day_var = float((spread.sum() + DAY_WORTH * DAY_SD**2) / (seen_day.sum() + DAY_WORTH))
        # units: lasting factor, from residuals of days with expected-count variances; then unit-days
        squares_of_units, squares_of_cells, n_known = of_units(
            got, forecast, squares, days, units, unit_error, cells, unit_var, cell_var, hour_var
        )
        unit_var = (squares_of_units + 10 * unit_sd**2) / (n_units + 10)
        cell_var = (squares_of_cells + 50 * CELL_SD**2) / (n_known + 50)
        if turn not in (1, 3):
            continue
        # hours: overdispersion of single rows, and shocks that all units share
        excess, hour_got, hour_mean, hour_squares = tally(*rows, units, days, cells)
        hour_var = float(np.clip(excess / max(float(hour_squares.sum()), 1e-12), 0.0, 4.0))
        filled = hour_mean > 0
        hour_got, hour_mean, hour_squares = hour_got[filled], hour_mean[filled], hour_squares[filled]
        miss = (hour_got / hour_mean - 1) ** 2 - 1 / hour_mean - hour_var * hour_squares / hour_mean**2
        shock_var = float(np.clip((np.maximum(miss, -1).sum() + 10 * 0.005) / (filled.sum() + 10), 0.0, 0.5))
    return _Settled(days, credibility, seen_day, level, day_var, units, unit_error, cells, unit_var, cell_var, hour_var)


def _of_all(rows: _Rows, n_days: int, shared: _Settled) -> _Settled:
    """Factors of all units and unit-days, where what they share is known."""
    got, forecast, squares, _ = cells_of(*rows, n_days)
    units, cells = np.ones(got.shape[0]), np.zeros(got.shape)
    error = np.full(units.size, shared.unit_var)
    for _ in range(3):  # a unit's variance goes with its factor
        of_units(
            got, forecast, squares, shared.days, units, error, cells, shared.unit_var, shared.cell_var, shared.hour_var
        )
    return replace(shared, units=units, unit_error=error, cells=cells)


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
