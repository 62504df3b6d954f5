"""How long conversions take: the share of a click's orders that is known once the click has an age.

A click's orders are told in steps of one hour (hourly reports) or one day (daily reports). With age ``a``
= 1, 2, ... steps since the start of the click's own step, the share told is

    F(a) = 1 - (1 - p0) exp(-((a - 1) / tau)^k)

p0 is told with the click's own step, the rest follows a Weibull law (k = 1: exponential). Orders that come
in at age a from clicks worth m_h orders are Poisson(kappa m_h f(a)); cells beyond a cohort's present age
have not happened yet, so they enter no likelihood (right truncation). kappa, the level that all conversion
forecasts miss by, is integrated out under a gamma prior (mean kappa0, shape c):

    log L = sum_a n_a log f(a) - (c + sum_a n_a) log(c / kappa0 + sum_h m_h F(age_h))

(p0, tau, k) have a wide normal prior on (logit, log, log) scale, the posterior is taken as normal around its
mode, and F is averaged over it. Each kind of phase may have its own law: one law for all and separate laws
(deviations of sd 0.5 around the pooled one) are averaged by their evidence. At last the ages that saw more or
fewer orders than the law says pull F toward the life table.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import njit

from domain.tables import Bools, Floats, Ints
from predictors.sums import summed

#: Prior log-odds against separate laws per phase.
SEPARATE_LAWS_MARGIN = 2.0
#: Spread of a phase's own law around the pooled one: logit p0, log tau, log k.
OWN_LAW_SD = np.array([0.5, 0.5, 0.15])
#: Relative spread of a phase's conversion level around the account's.
OWN_LEVEL_SD = 0.07
#: Orders that the parametric law is worth at each age against the life table.
LIFE_TABLE_PRIOR = 40.0
#: Logarithms of the steps waited, for speed.
LOG_AGES = np.log(np.maximum(np.arange(2048.0), 1e-300))
_WIDE = np.array([0.9, 0.8, 0.25])


@dataclass(frozen=True, slots=True)
class DelayPrior:
    """What is believed of the delay before any order came in.

    Attributes
    ----------
    share_at_once
        Centre of p0.
    mean_lag
        Centre of tau, steps.
    level_sd
        Relative spread of kappa around 1.
    """

    share_at_once: float
    mean_lag: float
    level_sd: float

    @property
    def centre(self) -> Floats:
        """(3,) logit p0, log tau, log k."""
        return np.array([np.log(self.share_at_once / (1 - self.share_at_once)), np.log(self.mean_lag), 0.0])


@dataclass(frozen=True, slots=True)
class DelayCounts:
    """Sufficient statistics of the delay.

    Attributes
    ----------
    arrived
        (n_kinds, n_ages) orders that came in at age 1, 2, ... by phase kind of the click.
    exposed
        (n_kinds, n_ages) orders expected in the long run (at kappa = 1) of the clicks that are of that age now.
    """

    arrived: Floats
    exposed: Floats

    @classmethod
    def none(cls, n_kinds: int, n_ages: int) -> "DelayCounts":
        """Nothing seen."""
        return cls(np.zeros((n_kinds, n_ages)), np.zeros((n_kinds, n_ages)))

    def where(self, kinds: Bools) -> "DelayCounts":
        """Counts of some kinds, (n_kinds, 1), and nothing of the others."""
        return DelayCounts(np.where(kinds, self.arrived, 0.0), np.where(kinds, self.exposed, 0.0))

    @classmethod
    def count(
        cls, n_kinds: int, n_ages: int, arrivals: tuple[Ints, Ints, Floats], clicks: tuple[Ints, Ints, Floats]
    ) -> "DelayCounts":
        """Counts from (kind, age, orders) of arrivals and (kind, age now, expected orders) of clicks.

        Ages below 1 count as 1, ages beyond the last one as the last.
        """

        def table(kind: Ints, age: Ints, weight: Floats) -> Floats:
            cell = kind * n_ages + np.clip(age, 1, n_ages) - 1
            return summed(cell, weight, n_kinds * n_ages).reshape(n_kinds, n_ages)

        return cls(np.maximum(table(*arrivals), 0.0), table(*clicks))


@dataclass(frozen=True, slots=True)
class DelayLaw:
    """Share of orders told by age, with its uncertainty.

    Attributes
    ----------
    share
        (n_kinds, n_ages) F at ages 1, 2, ...; posterior mean.
    scenarios
        (6, n_kinds, n_ages) F at the points of the posterior's cubature; their spread is the uncertainty.
    step_hours
        Length of a step: 1 or 24 hours.
    mean_lag_steps, mean_lag_sd
        Mean time from the start of the click's step to its orders under the pooled law, and its error.
    own_laws
        Chance that kinds of phases have laws of their own.
    learned_from
        Orders that taught it.
    """

    share: Floats
    scenarios: Floats
    step_hours: int
    mean_lag_steps: float
    mean_lag_sd: float
    own_laws: float
    learned_from: float

    def share_told(self, kind: Ints, age_steps: Floats | Ints) -> Floats:
        """F for clicks of a phase kind at an age in steps; linear between ages, 0 at age 0."""
        return lookup(self.share, kind, np.asarray(age_steps, np.float64))

    def share_told_sd(self, kind: Ints, age_steps: Floats | Ints) -> Floats:
        """Standard error of `share_told`."""
        age = np.asarray(age_steps, np.float64)
        return np.std([lookup(s, kind, age) for s in self.scenarios], axis=0)

    def error_of_level(self, exposed: Floats) -> float:
        """Relative error that the law puts on a conversion level measured with (n_kinds, n_ages) clicks."""
        told = np.einsum("ska,ka->s", self.scenarios, exposed)
        return float(told.std() / told.mean()) if told.mean() > 0 else 0.0


def learn_delay(counts: DelayCounts, prior: DelayPrior, step_hours: int = 1, by_phase: bool = True) -> DelayLaw:
    """Delay law from counts; without any count it is the prior's. `by_phase` allows phases laws of their own."""
    n_kinds, n_ages = counts.arrived.shape
    if not counts.arrived.any() and not counts.exposed.any():
        return _assumed(prior, n_kinds, n_ages, step_hours)
    return _learned(counts, prior, step_hours, by_phase)


@cache
def _assumed(prior: DelayPrior, n_kinds: int, n_ages: int, step_hours: int) -> DelayLaw:
    nothing = np.zeros((n_kinds, n_ages))
    law = _learned(DelayCounts(nothing, nothing), prior, step_hours, by_phase=False)
    law.share.setflags(write=False)
    law.scenarios.setflags(write=False)
    return law


def _learned(counts: DelayCounts, prior: DelayPrior, step_hours: int, by_phase: bool) -> DelayLaw:
    n_kinds, n_ages = counts.arrived.shape
    level_shape = 1.0 / prior.level_sd**2
    arrived, exposed = counts.arrived.sum(0), counts.exposed.sum(0)
    reach = _reach(arrived, exposed)
    pooled, covariance, _ = _fit(prior.centre, np.diag(_WIDE**-2), arrived[:reach], exposed[:reach], level_shape, 1.0)
    level = (level_shape + arrived.sum()) / (level_shape + exposed @ _share(pooled, n_ages))
    scenarios = np.empty((6, n_kinds, n_ages))
    scenarios[:] = _scenarios(pooled, covariance, arrived, exposed)[:, None]
    seen = [k for k in range(n_kinds) if counts.arrived[k].sum() >= 20]
    gain, found = 0.0, dict[int, tuple[Floats, Floats]]()
    if by_phase and len(seen) > 1:
        near = np.diag(1.0 / (OWN_LAW_SD**2 + np.diag(covariance)))
        for k in seen:
            n, m = counts.arrived[k], counts.exposed[k]
            r = _reach(n, m)
            mode, spread, evidence = _fit(pooled, near, n[:r], m[:r], 1 / OWN_LEVEL_SD**2, level)
            gain += evidence - _log_likelihood(pooled, n[:r], m[:r], 1 / OWN_LEVEL_SD**2, level)
            found[k] = (mode, spread)
    chance = float(1.0 / (1.0 + np.exp(SEPARATE_LAWS_MARGIN - gain)))
    if by_phase and arrived.any():
        unseen = (pooled, covariance + np.diag(OWN_LAW_SD**2))
        for k in range(n_kinds):
            if len(seen) > 1 or k not in seen:
                own = _scenarios(*found.get(k, unseen), counts.arrived[k], counts.exposed[k])
                scenarios[:, k] = _averaged(scenarios[:, k], own, chance)
    np.clip(scenarios, 0.0, 1.0, out=scenarios)
    lag, lag_sd = _mean_lag(pooled, covariance)
    return DelayLaw(scenarios.mean(0), scenarios, step_hours, lag, lag_sd, chance, float(arrived.sum()))


def _scenarios(centre: Floats, covariance: Floats, arrived: Floats, exposed: Floats) -> Floats:
    """(6, n_ages) F at the posterior's cubature points, pulled toward the life table together."""
    points = _cubature(centre, covariance, arrived.size)
    mean = points.mean(0)
    return points + (_toward_life_table(mean, arrived, exposed) - mean)


def _averaged(one: Floats, other: Floats, chance: float) -> Floats:
    """Scenarios of a mixture: its mean, and a spread that holds those of both and their distance."""
    first, second = one.mean(0), other.mean(0)
    mean = (1 - chance) * first + chance * second
    spread = np.sqrt((1 - chance) * (one - first) ** 2 + chance * (other - second) ** 2)
    apart = np.sqrt(chance * (1 - chance)) * (second - first)
    # pairs of points lie on both sides of the mean
    sign = np.where(np.arange(6) % 2 == 0, 1.0, -1.0)[:, None]
    return mean + np.sign(one - first) * spread + sign * apart


def _fit(
    centre: Floats, precision: Floats, arrived: Floats, exposed: Floats, level_shape: float, level: float
) -> tuple[Floats, Floats, float]:
    """Mode, covariance and log evidence of (logit p0, log tau, log k) by damped Newton steps.

    The prior is normal with given centre and precision.
    """

    def posterior(at: Floats) -> float:
        away = at - centre
        return float(_log_likelihood(at, arrived, exposed, level_shape, level)) - 0.5 * float(away @ precision @ away)

    theta, value, damping = centre.copy(), posterior(centre), 0.0
    hessian = precision
    for _ in range(30):
        slope, curve = _derivatives(theta, arrived, exposed, level_shape, level)
        gradient = slope - precision @ (theta - centre)
        hessian = precision - curve
        # where the surface is not concave, part of the prior's curvature stands in for it
        lowest = float(np.linalg.eigvalsh(hessian)[0])
        floor = 0.25 * float(precision[0, 0])
        if lowest < floor:
            hessian = hessian + (floor - lowest) * np.eye(3)
        for _try in range(8):
            move = np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), gradient)
            move /= max(float(np.abs(move).max()), 1.0)
            tried = posterior(theta + move)
            if tried >= value - 1e-9:
                break
            damping = max(2 * damping, 0.5)
        else:
            break
        theta, value, damping = theta + move, tried, 0.3 * damping
        if np.abs(move).max() < 1e-3:
            break
    covariance = np.asarray(np.linalg.inv(hessian), np.float64)
    evidence = value + 0.5 * float(np.log(np.linalg.det(covariance) * np.linalg.det(precision)))
    return theta, covariance, evidence


def _reach(arrived: Floats, exposed: Floats) -> int:
    filled = np.flatnonzero((arrived > 0) | (exposed > 0))
    return int(filled[-1]) + 1 if filled.size else 1


def _share(theta: Floats, n_ages: int) -> Floats:
    p0 = 1.0 / (1.0 + np.exp(-theta[0]))
    # (waited / tau)^k in logarithms: with many orders all at once the tail's numbers are past any float's reach
    tail = np.exp(np.clip(np.exp(min(theta[2], 5.0)) * (LOG_AGES[:n_ages] - theta[1]), -700.0, 6.6))
    tail[0] = 0.0
    return 1.0 - (1.0 - p0) * np.exp(-tail)


def _cubature(centre: Floats, covariance: Floats, n_ages: int) -> Floats:
    root = np.linalg.cholesky(covariance + 1e-12 * np.eye(3)) * np.sqrt(3.0)
    return np.array([_share(centre + sign * root[:, j], n_ages) for j in range(3) for sign in (1.0, -1.0)])


def _toward_life_table(share: Floats, arrived: Floats, exposed: Floats) -> Floats:
    """F pulled toward the ages' own counts; the level is the one that fits all of them."""
    if arrived.sum() < LIFE_TABLE_PRIOR:
        return share
    step = np.diff(share, prepend=0.0)
    at_risk = np.cumsum(exposed[::-1])[::-1]
    due = step * at_risk
    due *= arrived.sum() / max(float(due.sum()), 1e-12)
    pulled = np.maximum(step, 0.0) * (LIFE_TABLE_PRIOR + arrived) / (LIFE_TABLE_PRIOR + due)
    told = np.cumsum(pulled)
    return told / (told[-1] + max(1.0 - share[-1], 0.0))


def _mean_lag(theta: Floats, covariance: Floats) -> tuple[float, float]:
    def mean(t: Floats) -> float:
        return math.exp(t[1]) * math.gamma(1 + math.exp(-t[2])) / (1 + math.exp(t[0]))

    step = 1e-4
    slope = np.array([(mean(theta + step * e) - mean(theta - step * e)) / (2 * step) for e in np.eye(3)])
    return mean(theta), float(np.sqrt(max(slope @ covariance @ slope, 0.0)))


def lookup(share: Floats, kind: Ints, age: Floats) -> Floats:
    """F, (n_kinds, n_ages), between whole ages by a straight line, 0 at age 0."""
    n_ages = share.shape[1]
    padded = np.concatenate([np.zeros((share.shape[0], 1)), share], axis=1).ravel()
    clipped = np.clip(age, 0.0, n_ages)
    low = np.minimum(clipped.astype(np.int64), n_ages - 1)
    cell = kind * (n_ages + 1) + low
    left = padded.take(cell)
    return left + (clipped - low) * (padded.take(cell + 1) - left)


@njit(cache=True)
def _log_likelihood(theta, arrived, exposed, level_shape, level):
    p0 = 1.0 / (1.0 + np.exp(-theta[0]))
    k = np.exp(theta[2])
    total, due, fit = 0.0, 0.0, 0.0
    left_before = 1.0
    for a in range(arrived.size):
        left = 1.0 - p0
        if a > 0:
            left *= np.exp(-np.exp(k * (LOG_AGES[a] - theta[1])))
        if arrived[a] > 0.0:
            fit += arrived[a] * np.log(max(left_before - left, 1e-300))
            total += arrived[a]
        due += exposed[a] * (1.0 - left)
        left_before = left
    return fit - (level_shape + total) * np.log(level_shape / level + due)


@njit(cache=True)
def _derivatives(theta, arrived, exposed, level_shape, level):
    """Gradient and Hessian of the log likelihood by central differences."""
    step = 1e-3
    value = _log_likelihood(theta, arrived, exposed, level_shape, level)
    up, down = np.empty(3), np.empty(3)
    gradient, hessian = np.empty(3), np.empty((3, 3))
    for i in range(3):
        moved = theta.copy()
        moved[i] = theta[i] + step
        up[i] = _log_likelihood(moved, arrived, exposed, level_shape, level)
        moved[i] = theta[i] - step
        down[i] = _log_likelihood(moved, arrived, exposed, level_shape, level)
        gradient[i] = (up[i] - down[i]) / (2 * step)
        hessian[i, i] = (up[i] - 2 * value + down[i]) / step**2
        for j in range(i):
            moved[i], moved[j] = theta[i] + step, theta[j] + step
            both = _log_likelihood(moved, arrived, exposed, level_shape, level)
            moved[i], moved[j] = theta[i] - step, theta[j] - step
            neither = _log_likelihood(moved, arrived, exposed, level_shape, level)
            moved[j] = theta[j]
            cross = (both - up[i] - up[j] + 2 * value - down[i] - down[j] + neither) / (2 * step**2)
            hessian[i, j] = cross
            hessian[j, i] = cross
    return gradient, hessian
