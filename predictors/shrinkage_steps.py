"""Rounds of `shrinkage`'s marginal likelihood: EM over the mixture's weights, Newton over level, slopes, campaigns and kin."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.special import gammaln

from domain.tables import Floats, Ints
from predictors.kin import Kin
from predictors.shrinkage_design import DOUBT, SCALES, WEIGHT_STRENGTH, Design
from predictors.sums import summed

#: EM steps of the weights in each round.
WEIGHT_ROUNDS = 12
#: Error of forecasts that the units of a group share, beside what their single errors leave.
KINDOUBT = 0.05


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
    base = state.level + state.campaign[campaign]
    if design.kin is not None:
        base = base + sum(u[g] for u, g in zip(state.kin, design.kin.group, strict=True))
    return base + design.believe @ state.slope, base + design.doubt_base + design.doubt @ state.slope


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
        return Seen(self.count[chosen], self.due[chosen], self.case[chosen], self.fixed)


def _distinct(count: Floats) -> tuple[Floats, Ints]:
    """Distinct counts, and the position of each; whole numbers, as events mostly are, need no sorting."""
    whole = count.astype(np.int64)
    if count.size and bool((whole == count).all()) and whole.min() >= 0 and whole.max() <= count.size + 64:
        return np.arange(int(whole.max()) + 1, dtype=np.float64), whole
    distinct, case = np.unique(count, return_inverse=True)
    return distinct, case.astype(np.int64)


@njit(cache=True)
def _sweep(seen, due, case, fixed, odd, believe, doubt, weights, prior_weights):
    """EM steps of the weights at fixed means, then pull (gradient) and curve (information) of each unit's log mean."""
    n, n_parts = seen.size, fixed.shape[1]
    k = 1.0 / SCALES**2
    log_weights = np.log(weights)
    likelihood = np.empty((n, n_parts))
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
        total = WEIGHT_STRENGTH * prior_weights
        for i in range(n):
            fit = 0.0
            for j in range(n_parts):
                fit += likelihood[i, j] * now[j]
            for j in range(n_parts):
                total[j] += likelihood[i, j] * now[j] / fit
        now = total / (n + WEIGHT_STRENGTH)
    pull_believe, curve_believe = np.zeros(n), np.zeros(n)
    pull_doubt, curve_doubt = np.zeros(n), np.zeros(n)
    for i in range(n):
        mean_believe, mean_doubt = due[i] * np.exp(believe[i]), due[i] * np.exp(doubt[i])
        fit = 0.0
        for j in range(n_parts):
            fit += likelihood[i, j] * now[j]
        for j in range(n_parts):
            mean = mean_doubt if DOUBT[j] else mean_believe
            share = likelihood[i, j] * now[j] / fit * k[j] / (k[j] + mean)
            # observed information; the negative binomial is concave in the log mean
            bend = share * mean * (k[j] + seen[i]) / (k[j] + mean)
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
            scale = factor_doubt if DOUBT[j] else factor_believe
            shape, mean = k[j] + seen[i], due[i] * scale
            share = np.exp(fit[j] - top)
            factor = scale * shape / (k[j] + mean)
            whole += share
            first += share * factor
            second += share * factor**2 * (1 + 1 / shape)
            told += share * mean * k[j] / (k[j] + mean)
        ratio[i] = first / whole
        own[i] = np.sqrt(max(second / whole / ratio[i] ** 2 - 1, 0.0))
        information += told / whole
    return ratio, own, information


def posterior(state: State, seen: Seen, design: Design, campaign: Ints) -> tuple[Floats, Floats, float]:
    """Mean and relative standard error of each unit's gamma mixture, (n_units,), and what units tell of the common level."""
    believe, doubt = log_means(state, design, campaign)
    return _posterior(seen.count, seen.due, seen.case, seen.fixed, design.odd, believe, doubt, state.weights)


def newton(state: State, seen: Seen, design: Design, campaign: Ints, level_sd: float) -> State:
    """One round: EM steps of the weights, one Newton step of alpha, the slopes and the campaigns (arrow matrix)."""
    believe, doubt = log_means(state, design, campaign)
    weights, pull_believe, curve_believe, pull_doubt, curve_doubt = _sweep(
        seen.count, seen.due, seen.case, seen.fixed, design.odd, believe, doubt, state.weights, design.weights
    )
    pull_all, curve_all = pull_believe + pull_doubt, curve_believe + curve_doubt
    weighted = curve_believe[:, None] * design.believe + curve_doubt[:, None] * design.doubt
    # alpha and slopes
    n = state.slope.size + 1
    a = np.empty((n, n))
    a[0, 0] = curve_all.sum() + level_sd**-2
    a[0, 1:] = a[1:, 0] = weighted.sum(0)
    a[1:, 1:] = design.believe.T @ (curve_believe[:, None] * design.believe)
    a[1:, 1:] += design.doubt.T @ (curve_doubt[:, None] * design.doubt) + np.diag(design.precision)
    ga = np.empty(n)
    ga[0] = pull_all.sum() - state.level * level_sd**-2
    ga[1:] = pull_believe @ design.believe + pull_doubt @ design.doubt
    ga[1:] -= (state.slope - design.centre) * design.precision
    # campaigns, eliminated by the Schur complement; "none" is held at 0
    n_groups = state.campaign.size
    b = np.stack([summed(campaign, column, n_groups) for column in (curve_all, *weighted.T)])
    d = summed(campaign, curve_all, n_groups) + state.campaign_sd**-2
    gd = summed(campaign, pull_all, n_groups) - state.campaign * state.campaign_sd**-2
    b[:, -1], gd[-1] = 0.0, 0.0
    step = np.clip(np.linalg.solve(a - (b / d) @ b.T, ga - b @ (gd / d)), -0.7, 0.7)
    campaigns = state.campaign + np.clip((gd - step @ b) / d, -0.7, 0.7)
    campaigns[-1] = 0.0
    # EM for the campaigns' spread, with a prior worth four campaigns
    spread = (campaigns[:-1] ** 2 + 1 / d[:-1]).sum() + 4 * design.campaign_sd**2
    sd = float(np.clip(np.sqrt(spread / (n_groups - 1 + 4)), 0.02, 1.5))
    left = pull_all - curve_all * (step[0] + (campaigns - state.campaign)[campaign]) - weighted @ step[1:]
    kin = _kin_step(state.kin, design.kin, left, curve_all)
    slope = state.slope + step[1:]
    slope[0] = np.clip(slope[0], -1.0, 0.2)
    return State(state.level + float(step[0]), slope, campaigns, sd, weights, kin)


def _kin_step(state: tuple[Floats, ...], kin: Kin | None, pull: Floats, curve: Floats) -> tuple[Floats, ...]:
    """Newton step of what groups of kin are beyond what forecasts made of them, one column of groups after the other."""
    if kin is None:
        return ()
    moved: list[Floats] = []
    for effect, group, error in zip(state, kin.group, kin.sd, strict=True):
        precision = 1.0 / (error**2 + KINDOUBT**2)
        pulled = summed(group, pull, effect.size) - effect * precision
        step = np.clip(pulled / (summed(group, curve, effect.size) + precision), -0.7, 0.7)
        pull = pull - curve * step[group]
        moved.append(effect + step)
    return tuple(moved)
