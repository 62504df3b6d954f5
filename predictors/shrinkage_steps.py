"""Rounds of `shrinkage`'s marginal likelihood: EM over the mixture's weights, Newton over level, slopes, campaigns and kin."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.special import gammaln

from domain.tables import Floats, Ints
from predictors.kin import Kin
from predictors.shrinkage_design import DOUBT, SCALES, WEIGHT_STRENGTH, Design
from predictors.sums import summed

#: EM steps of the weights in each round.
WEIGHT_ROUNDS = 12
#: Components of the mixture.
PARTS = SCALES.size
#: Error of forecasts that the units of a group share, beside what their single errors leave.
KIN_DOUBT = 0.05


@dataclass(frozen=True, slots=True)
class State:
    """What all units share, as learned so far."""

    level: float  # alpha
    slope: Floats  # beta, gamma of those that believe, gamma of those that doubt
    campaign: Floats  # (n_campaigns + 1,), the last one is "none" and stays 0
    campaign_sd: float
    weights: Floats
    kin: tuple[Floats, ...]  # what each group of kin is beyond what forecasts made of it


def log_means(state: State, design: Design, campaign: Ints) -> tuple[Floats, Floats]:
    """(n_units,) m_ij of the components that believe, and of those that doubt."""
    base = base_of(state, design, campaign)
    return base + design.believe @ state.slope, base + design.doubt_base + design.doubt @ state.slope


def base_of(state: State, design: Design, campaign: Ints) -> Floats:
    """(n_units,) what m_ij of all components have in common: level, campaign and kin."""
    base = state.level + state.campaign[campaign]
    if design.kin is not None:
        base = base + sum(u[g] for u, g in zip(state.kin, design.kin.group, strict=True))
    return base


class Pulls(NamedTuple):
    """Gradient and information of each unit's log mean, (n_units,), by components that believe the forecast and that doubt it."""

    believe: Floats
    curve_believe: Floats
    doubt: Floats
    curve_doubt: Floats


@dataclass(frozen=True, slots=True)
class Seen:
    """Events of units, with what no round changes of their likelihood: units that saw the same share it.

    Attributes
    ----------
    count, due
        (n_units,) events seen, and events that the forecast expects by now.
    case
        (n_units,) position of each unit's count among the distinct ones.
    fixed
        (n_cases, n_components) log of the negative binomial, without the terms in the mean.
    """

    count: Floats
    due: Floats
    case: Ints
    fixed: Floats

    @classmethod
    def of(cls, count: Floats, due: Floats) -> "Seen":
        """Events and what is due, (n_units,) each."""
        distinct, case = _distinct(count)
        k = 1.0 / SCALES**2
        return cls(count, due, case, gammaln(k + distinct[:, None]) - gammaln(k) + k * np.log(k))

    def some(self, chosen: slice) -> "Seen":
        """Some of the units."""
        return Seen(self.count[chosen].copy(), self.due[chosen].copy(), self.case[chosen].copy(), self.fixed)


def _distinct(count: Floats) -> tuple[Floats, Ints]:
    """Distinct counts, and the position of each; whole numbers, as events mostly are, need no sorting."""
    whole = count.astype(np.int64)
    if count.size and bool((whole == count).all()) and whole.min() >= 0 and whole.max() <= count.size + 64:
        return np.arange(int(whole.max()) + 1, dtype=np.float64), whole
    distinct, case = np.unique(count, return_inverse=True)
    return distinct, case.astype(np.int64)


@njit(cache=True)
def _sweep(seen, due, case, fixed, odd, believe, doubt, weights, prior_weights, likelihood):
    """EM steps of the weights at fixed means, then pull (gradient) and curve (information) of each unit's log mean."""
    n, n_parts = seen.size, PARTS
    k = 1.0 / SCALES**2
    log_weights = np.log(weights)
    for i in range(n):
        mean_believe, mean_doubt = due[i] * np.exp(believe[i]), due[i] * np.exp(doubt[i])
        top = -np.inf
        for j in range(n_parts):
            mean = mean_doubt if DOUBT[j] else mean_believe
            log_mean = doubt[i] if DOUBT[j] else believe[i]
            own = fixed[case[i], j] + odd[i] if DOUBT[j] else fixed[case[i], j]
            likelihood[i, j] = own - (k[j] + seen[i]) * np.log(k[j] + mean) + seen[i] * log_mean
            top = max(top, likelihood[i, j] + log_weights[j])
        for j in range(n_parts):
            likelihood[i, j] = np.exp(likelihood[i, j] - top)
    now = weights.copy()
    for _ in range(WEIGHT_ROUNDS):
        total = np.zeros(n_parts)
        for i in range(n):
            one, two, three, four = 0.0, 0.0, 0.0, 0.0  # sums that need not wait for each other
            for j in range(0, n_parts - 3, 4):
                one += likelihood[i, j] * now[j]
                two += likelihood[i, j + 1] * now[j + 1]
                three += likelihood[i, j + 2] * now[j + 2]
                four += likelihood[i, j + 3] * now[j + 3]
            for j in range(n_parts - n_parts % 4, n_parts):
                one += likelihood[i, j] * now[j]
            part = 1 / ((one + two) + (three + four))
            for j in range(n_parts):
                total[j] += likelihood[i, j] * part
        now = (WEIGHT_STRENGTH * prior_weights + total * now) / (n + WEIGHT_STRENGTH)
    pull_believe, curve_believe = np.zeros(n), np.zeros(n)
    pull_doubt, curve_doubt = np.zeros(n), np.zeros(n)
    for i in range(n):
        mean_believe, mean_doubt = due[i] * np.exp(believe[i]), due[i] * np.exp(doubt[i])
        fit = 0.0
        for j in range(n_parts):
            fit += likelihood[i, j] * now[j]
        part = 1 / fit
        for j in range(n_parts):
            mean = mean_doubt if DOUBT[j] else mean_believe
            scale = 1 / (k[j] + mean)
            share = likelihood[i, j] * now[j] * part * k[j] * scale
            # observed information; the negative binomial is concave in the log mean
            bend = share * mean * (k[j] + seen[i]) * scale
            if DOUBT[j]:
                pull_doubt[i] += share * (seen[i] - mean)
                curve_doubt[i] += bend
            else:
                pull_believe[i] += share * (seen[i] - mean)
                curve_believe[i] += bend
    return now, pull_believe, curve_believe, pull_doubt, curve_doubt


@njit(cache=True)
def _posterior(seen, due, case, fixed, odd, believe, doubt, weights):
    n, n_parts = seen.size, fixed.shape[1]
    k = 1.0 / SCALES**2
    log_weights = np.log(weights)
    ratio, own = np.empty(n), np.empty(n)
    fit = np.empty(n_parts)
    information = 0.0
    for i in range(n):
        factor_believe, factor_doubt = np.exp(believe[i]), np.exp(doubt[i])
        top = -np.inf
        for j in range(n_parts):
            rate = k[j] + due[i] * (factor_doubt if DOUBT[j] else factor_believe)
            log_mean = doubt[i] if DOUBT[j] else believe[i]
            fit[j] = fixed[case[i], j] - (k[j] + seen[i]) * np.log(rate) + seen[i] * log_mean + log_weights[j]
            if DOUBT[j]:
                fit[j] += odd[i]
            top = max(top, fit[j])
        whole, first, second, told = 0.0, 0.0, 0.0, 0.0
        for j in range(n_parts):
            factor = factor_doubt if DOUBT[j] else factor_believe
            shape, mean = k[j] + seen[i], due[i] * factor
            share, scale = np.exp(fit[j] - top), 1 / (k[j] + mean)
            factor *= scale
            whole += share
            first += share * factor * shape
            second += share * factor * factor * shape * (shape + 1)
            told += share * mean * k[j] * scale
        ratio[i] = first / whole
        own[i] = np.sqrt(max(second / whole / ratio[i] ** 2 - 1, 0.0))
        information += told / whole
    return ratio, own, information


@njit(cache=True)
def _information(pull_believe, curve_believe, pull_doubt, curve_doubt, believe, doubt, campaign, n_groups):
    """Information and gradient of level and slopes, that information by campaign, and the gradient of campaigns."""
    n, n_slopes = believe.shape
    a, ga = np.zeros((1 + n_slopes, 1 + n_slopes)), np.zeros(1 + n_slopes)
    b, gd = np.zeros((n_groups, 1 + n_slopes)), np.zeros(n_groups)
    for i in range(n):
        group, curve = campaign[i], curve_believe[i] + curve_doubt[i]
        pull = pull_believe[i] + pull_doubt[i]
        a[0, 0] += curve
        b[group, 0] += curve
        ga[0] += pull
        gd[group] += pull
        for j in range(n_slopes):
            x, y = curve_believe[i] * believe[i, j], curve_doubt[i] * doubt[i, j]
            a[0, 1 + j] += x + y
            b[group, 1 + j] += x + y
            ga[1 + j] += pull_believe[i] * believe[i, j] + pull_doubt[i] * doubt[i, j]
            for k in range(j + 1):
                a[1 + j, 1 + k] += x * believe[i, k] + y * doubt[i, k]
    for j in range(1 + n_slopes):
        for k in range(j):
            if k == 0:
                a[j, k] = a[k, j]
            else:
                a[k, j] = a[j, k]
    return a, ga, b.T.copy(), gd


def posterior(state: State, seen: Seen, design: Design, campaign: Ints) -> tuple[Floats, Floats, float]:
    """Mean and relative standard error of each unit's gamma mixture, (n_units,), and what units tell of the common level."""
    believe, doubt = log_means(state, design, campaign)
    return _posterior(seen.count, seen.due, seen.case, seen.fixed, design.odd, believe, doubt, state.weights)


def level_precision(level: float, level_sd: float) -> float:
    """How hard a level is held at 0 by a Student's t prior of 3 degrees of freedom and standard deviation `level_sd`.

    The weight of its representation as a normal law of unknown variance (Lange, Little and Taylor, JASA 84, 1989), with
    scale^2 = level_sd^2 / 3: forecasts are mostly off by less than that, so that a hundred lucky orders move the level
    little, and now and then by much more, which is followed as soon as it shows.
    """
    return 4.0 / (level_sd**2 + level**2)


def newton(state: State, seen: Seen, design: Design, campaign: Ints, level_sd: float) -> State:
    """One round: EM steps of the weights, one Newton step of alpha, the slopes and the campaigns (arrow matrix)."""
    believe, doubt = log_means(state, design, campaign)
    weights, *pulls = _sweep(
        seen.count,
        seen.due,
        seen.case,
        seen.fixed,
        design.odd,
        believe,
        doubt,
        state.weights,
        design.weights,
        np.empty((seen.count.size, PARTS)),
    )
    return stepped(state, weights, Pulls(*pulls), design, campaign, level_sd)


def stepped(state: State, weights: Floats, pulls: Pulls, design: Design, campaign: Ints, level_sd: float) -> State:
    """New weights, and one Newton step of the rest."""
    pull_believe, curve_believe, pull_doubt, curve_doubt = pulls
    # alpha and slopes; campaigns are eliminated by the Schur complement, "none" is held at 0
    n_groups = state.campaign.size
    a, ga, b, gd = _information(
        pull_believe, curve_believe, pull_doubt, curve_doubt, design.believe, design.doubt, campaign, n_groups
    )
    held = level_precision(state.level, level_sd)
    a += np.diag(np.append(held, design.precision))
    ga -= np.append(state.level * held, (state.slope - design.centre) * design.precision)
    d = b[0] + state.campaign_sd**-2
    gd -= state.campaign * state.campaign_sd**-2
    b[:, -1], gd[-1] = 0.0, 0.0
    step = np.clip(np.linalg.solve(a - (b / d) @ b.T, ga - b @ (gd / d)), -0.7, 0.7)
    campaigns = state.campaign + np.clip((gd - step @ b) / d, -0.7, 0.7)
    campaigns[-1] = 0.0
    # EM for the campaigns' spread, with a prior worth four campaigns
    spread = (campaigns[:-1] ** 2 + 1 / d[:-1]).sum() + 4 * design.campaign_sd**2
    sd = float(np.clip(np.sqrt(spread / (n_groups - 1 + 4)), 0.02, 1.5))
    kin: tuple[Floats, ...] = ()
    if design.kin is not None:
        curve = curve_believe + curve_doubt
        left = pull_believe + pull_doubt - curve * (step[0] + (campaigns - state.campaign)[campaign])
        left -= curve_believe * (design.believe @ step[1:]) + curve_doubt * (design.doubt @ step[1:])
        kin = _kin_step(state.kin, design.kin, left, curve)
    slope = state.slope + step[1:]
    slope[0] = np.clip(slope[0], -1.0, 0.2)
    return State(state.level + float(step[0]), slope, campaigns, sd, weights, kin)


def _kin_step(state: tuple[Floats, ...], kin: Kin, pull: Floats, curve: Floats) -> tuple[Floats, ...]:
    """Newton step of what groups of kin are beyond what forecasts made of them, one column of groups after the other."""
    moved: list[Floats] = []
    for effect, group, error in zip(state, kin.group, kin.sd, strict=True):
        precision = 1.0 / (error**2 + KIN_DOUBT**2)
        pulled = summed(group, pull, effect.size) - effect * precision
        step = np.clip(pulled / (summed(group, curve, effect.size) + precision), -0.7, 0.7)
        pull = pull - curve * step[group]
        moved.append(effect + step)
    return tuple(moved)
