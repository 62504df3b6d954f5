"""Passes over rows and unit-days that `traffic` makes, each of them once through the memory."""

import numpy as np
from numba import njit

#: Clicks due below which a row says nothing.
_NOTHING = 1e-9


@njit(cache=True)
def cells(unit, hour, day, clicks, won, per_hour, n_days):
    """(n_units, n_days) clicks, clicks that are due and sums of their squares, and (n_days,) rows of which any are due."""
    n_units = per_hour.size
    got, forecast, squares = np.zeros((n_units, n_days)), np.zeros((n_units, n_days)), np.zeros((n_units, n_days))
    n_rows = np.zeros(n_days)
    for r in range(unit.size):
        u, d = unit[r], day[hour[r]]
        due = won[r] * per_hour[u]
        if due > _NOTHING:
            got[u, d] += clicks[r]
            forecast[u, d] += due
            squares[u, d] += due * due
            n_rows[d] += 1
    return got, forecast, squares, n_rows


@njit(cache=True)
def of_days(forecast, squares, units, cells):
    """(n_days,) clicks that are due once units and unit-days are known, and sums of the rows' squares."""
    n_units, n_days = forecast.shape
    total, square = np.zeros(n_days), np.zeros(n_days)
    for i in range(n_units):
        for d in range(n_days):
            total[d] += forecast[i, d] * (units[i] * (1 + cells[i, d]))
            square[d] += squares[i, d] * (units[i] * units[i])
    return total, square


@njit(cache=True)
def of_units(got, forecast, squares, days, units, error, cells, unit_var, cell_var, hour_var):
    """Factors of units and of unit-days, written over those before; sums of their squares and variances, and known cells."""
    n_units, n_days = got.shape
    weight = np.empty(n_days)
    of_units, of_cells, n_known = 0.0, 0.0, 0
    for i in range(n_units):
        held, pulled = 0.0, 0.0
        for d in range(n_days):
            expected = forecast[i, d] * days[d]
            weight[d] = 0.0
            if expected > 1e-6:
                variance = 1 / (expected * max(units[i], 0.1)) + cell_var
                variance += hour_var * squares[i, d] / max(forecast[i, d], 1e-12) ** 2
                weight[d] = 1 / variance
                held += weight[d]
                pulled += weight[d] * (got[i, d] / expected)
        error[i] = 1 / (held + 1 / unit_var)
        units[i] = max(1 + error[i] * (pulled - held), 0.02)
        of_units += (units[i] - 1) ** 2 + error[i]
        for d in range(n_days):
            cells[i, d] = 0.0
            if weight[d] > 0.0:
                share = cell_var * weight[d]
                cells[i, d] = share * (got[i, d] / (forecast[i, d] * days[d]) / units[i] - 1)
                of_cells += cells[i, d] ** 2 + cell_var * (1 - share)
                n_known += 1
    return of_units, of_cells, n_known


@njit(cache=True)
def tally(unit, hour, day, clicks, won, per_hour, units, days, cells):
    """Sum of squared misses beyond Poisson, and per hour: clicks, their mean, and the squares of the rows' means."""
    excess, n_hours = 0.0, day.size
    got, expected, squares = np.zeros(n_hours), np.zeros(n_hours), np.zeros(n_hours)
    for r in range(unit.size):
        u, h = unit[r], hour[r]
        due = won[r] * per_hour[u]
        if due > _NOTHING:
            d = day[h]
            mean = due * (units[u] * days[d] * (1 + cells[u, d]))
            excess += (clicks[r] - mean) ** 2 - mean
            got[h] += clicks[r]
            expected[h] += mean
            squares[h] += mean * mean
    return excess, got, expected, squares
