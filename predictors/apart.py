r"""How far the market price of a category lies from the account's, hour by hour, where only clicks tell it.

Rivals are those of a category: they run dry, come and go, and react there. With the notation of `won_level`, what is left of
the clicks of category k once the account's traffic and level are taken out is

    y_ih ~ c_kh - d_ih g_kh + noise,      c_kh ~ N(0, 0.08^2)

c_kh is traffic of the category alone. It moves all of its units alike, a price those most that win few of their auctions; what
neither tells apart is shared out by the two spreads, so that one hour says little and a shift that lasts says more. g_kh is an AR(1) which forgets most of
a day at midnight, when rivals' budgets are new. Its spread is averaged over a grid by marginal likelihood, with half of the
prior on none: where categories do not differ they get one price.

Source: empirical Bayes over Kalman filters; Harvey, Forecasting, Structural Time Series Models and the Kalman Filter (1989).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from domain.tables import Floats, Ints
from predictors.rows import Positions

#: Spread of the traffic of a category in an hour around that of the account.
TRAFFIC_SD = 0.08
#: What is left of a category's deviation after an hour, and after midnight.
MEMORY, OVERNIGHT = 0.95, 0.3
#: Spreads that are tried, and their prior chances.
_SPREADS = np.array([0.0, 0.03, 0.06, 0.09, 0.13])
_PRIOR = np.array([0.5, 0.125, 0.125, 0.125, 0.125])


@dataclass(frozen=True, slots=True)
class Groups:
    """Categories of the units.

    Attributes
    ----------
    of_unit
        (n_units,) position of each unit's category.
    count
        Number of categories.
    day
        (n_past + n_ahead,) local day of each hour.
    """

    of_unit: Positions
    count: int
    day: Ints

    @classmethod
    def none(cls, n_units: int, n_hours: int) -> "Groups":
        """All units alike."""
        return cls(np.zeros(n_units, np.int32), 1, np.zeros(n_hours, np.int64))


@dataclass(frozen=True, slots=True)
class Apart:
    """What categories' market prices are off by beyond the account's, natural logarithms.

    Attributes
    ----------
    past
        (n_groups, n_past).
    ahead
        (n_groups, n_ahead) expectation.
    of_unit
        (n_units,) position of each unit's category.
    """

    past: Floats
    ahead: Floats
    of_unit: Positions

    @classmethod
    def nothing(cls, groups: Groups, n_past: int) -> "Apart":
        """Categories that share one price."""
        ahead = np.zeros((groups.count, groups.day.size - n_past))
        return cls(np.zeros((groups.count, n_past)), ahead, groups.of_unit)

    def some(self, units: Ints) -> "Apart":
        """The same of some units."""
        return Apart(self.past, self.ahead, self.of_unit[units])


def follow_apart(sums: Floats, traffic: Floats, moved: Floats, before: Floats, groups: Groups) -> Apart:
    """Deviations of the categories.

    Parameters
    ----------
    sums
        (5, n_groups, n_past) of w, w a, w a^2, w y and w a y, with a = -d and y the relative miss of clicks.
    traffic, moved
        (n_past,) traffic of the account in each hour, and how far its price level is about to be moved.
    before
        (n_groups, n_past) deviations that the sums were taken at.
    """
    w, wa, waa, wy, way = sums
    wy, way = wy - traffic * w - moved * wa, way - traffic * wa - moved * waa
    alone = w + TRAFFIC_SD**-2
    precision = np.maximum(waa - wa**2 / alone, 0.0)
    step = np.divide(way - wa * wy / alone, precision, out=np.zeros_like(wa), where=precision > 1e-9)
    told = before + np.clip(step, -0.5, 0.5)
    memory = np.where(np.diff(groups.day, prepend=groups.day[:1]) > 0, OVERNIGHT, MEMORY)
    past, ahead = _smooth(told, precision, memory, _SPREADS, np.log(_PRIOR))
    return Apart(past, ahead, groups.of_unit)


@njit(cache=True)
def _smooth(told, precision, memory, spreads, prior):
    """Past (smoothed) and coming deviations, averaged over spreads by likelihood."""
    n_groups, n_past = told.shape
    n_ahead = memory.size - n_past
    score = prior.copy()
    mean = np.zeros((spreads.size, n_groups, n_past))
    ahead = np.zeros((spreads.size, n_groups, n_ahead))
    m, v, p = np.empty(n_past), np.empty(n_past), np.empty(n_past)
    for s in range(spreads.size):
        whole = spreads[s] ** 2
        for k in range(n_groups):
            x, var = 0.0, whole
            for h in range(n_past):
                x *= memory[h]
                var = memory[h] ** 2 * var + (1 - memory[h] ** 2) * whole
                p[h] = var
                if precision[k, h] > 1e-6:
                    total = var + 1 / precision[k, h]
                    error = told[k, h] - x
                    score[s] -= 0.5 * (error * error / total + np.log(total))
                    x += var / total * error
                    var *= 1 - var / total
                m[h], v[h] = x, var
            for a in range(n_ahead):
                x *= memory[n_past + a]
                ahead[s, k, a] = x
            if whole > 0.0:
                for h in range(n_past - 2, -1, -1):
                    gain = v[h] * memory[h + 1] / p[h + 1]
                    m[h] += gain * (m[h + 1] - memory[h + 1] * m[h])
                mean[s, k] = m
    weight = np.exp(score - score.max())
    weight /= weight.sum()
    past, coming = np.zeros((n_groups, n_past)), np.zeros((n_groups, n_ahead))
    for s in range(spreads.size):
        past += weight[s] * mean[s]
        coming += weight[s] * ahead[s]
    return past, coming
