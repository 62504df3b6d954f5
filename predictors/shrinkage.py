"""Shrinks what single units show toward their forecast, their campaign and the account (empirical Bayes).

Unit i has seen n_i events (orders, clicks) where E_i were due according to its forecast:

    n_i ~ Poisson(E_i exp(m_ij) r_i),   m_ij = alpha + beta_j x_i + gamma_j' h_i + u_campaign(i)
    r_i ~ sum_j w_j Gamma(shape k_j, mean 1),   k_j = 1 / s_j^2,   u_c ~ N(0, sd_c^2)

x_i is the log forecast, less what units of the same category and match type are forecast in the mean where those tell
forecasts apart, and h_i are hints, such as the log of market price and order value (rivals pay more for
clicks that sell), all centred. The E_i hold the forecast itself, so beta = 0 takes it as it stands and beta = -1
ignores it: noisy forecasts of spread-out rates must be pulled toward their mean, as much as the data says. The
scales s_j run from "the forecast is right" to "it says little", and two more components (beta_j = -1, gamma of
their own) say nothing of the forecast is true, as for new units: a heavy-tailed prior whose weights w_j, like
alpha, beta, gamma, u and sd_c, are learned by marginal likelihood (EM over the weights, Newton over the rest) under
mild hyperpriors that hold at the start.

Each unit then has a mixture of gammas as posterior. Source: Gelman et al., Bayesian Data Analysis, 2.7 and 5;
Efron, Large-Scale Inference, 1.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numba import njit
from scipy.special import gammaincinv, gammaln

from domain.tables import Floats, Ints
from predictors.sums import summed

#: Relative spreads of a unit's true rate around what forecast and hints make of it.
SCALES = np.array([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.85, 1.2, 0.4, 0.8])
#: Components that do not believe the forecast, and their prior weight: new units.
_DOUBT = np.array([False] * 11 + [True, True])
DOUBT_WEIGHT = 0.08
#: Units that the prior weights are worth, and their spread over the scales (natural logarithm).
WEIGHT_STRENGTH, SCALE_LOG_SD = 10.0, 0.5
#: Part of the variance of forecasts around their kin that is error, before the data tells it, and beta's prior spread.
#: Without kin the rates themselves spread wider: then an error of this size (log scale), and no larger part.
NOISE_SHARE, FORECAST_ERROR, BETA_SD = 0.5, 0.35, 0.2
#: Spread of units around what is made of a forecast, before the data tells it, over what the noise share alone says (the
#: hints take out some); its least value, and the one where all forecasts are alike.
LEFT_OVER, LEAST_SPREAD, PLAIN_SPREAD = 0.8, 0.12, 0.5
#: EM steps of the weights in each round.
WEIGHT_ROUNDS = 12
#: Prior spread of the hints' coefficients around their prior means, beside a forecast and without one.
HINT_SD, HINT_SD_ALONE = 0.1, 0.2
#: Spread of campaigns before the data tells it: beside a forecast, which has seen them, and without one.
CAMPAIGN_SD, CAMPAIGN_SD_ALONE = 0.07, 0.15
#: Units from which scales, slopes and level are learned where there are many more.
_ENOUGH = 50_000


@dataclass(frozen=True, slots=True)
class Shrunk:
    """Posterior of each unit's true rate as a multiple of its forecast.

    Attributes
    ----------
    ratio
        (n_units,) posterior mean of true rate / forecast.
    own_cv
        (n_units,) relative standard error that belongs to the unit alone.
    common_cv
        Relative standard error of the level alpha, shared by all units.
    level
        exp(alpha): mean ratio of the account.
    campaign
        (n_campaigns,) factor of each campaign beside the level.
    campaign_sd
        Learned spread of campaigns, log scale.
    slope
        1 + beta: how much of a forecast's distance from the mean is real.
    typical_error
        Learned relative spread of units around their forecast.
    """

    ratio: Floats
    own_cv: Floats
    common_cv: float
    level: float
    campaign: Floats
    campaign_sd: float
    slope: float
    typical_error: float

    def cv(self) -> Floats:
        """(n_units,) relative standard error, own and common."""
        return np.sqrt(self.own_cv**2 + self.common_cv**2)


def shrink(
    seen: Floats,
    due: Floats,
    forecast: Floats,
    campaign: Ints,
    level_sd: float,
    level_due_cv: float = 0.0,
    hints: Floats | None = None,
    hint_prior: Floats | None = None,
    rounds: int = 6,
    kin: Floats | None = None,
) -> Shrunk:
    """Posterior ratios of units.

    Parameters
    ----------
    seen, due
        (n_units,) events seen, and events that the forecast expects by now (at ratio 1).
    forecast
        (n_units,) forecast rate, positive; only its spread over units is used.
    campaign
        (n_units,) position of the campaign, -1 for none.
    level_sd
        Prior relative error of the account's level.
    level_due_cv
        Relative error that all ``due`` share (a delay law not yet known).
    hints
        (n_units, n_hints) further logarithms that may tell the rate.
    hint_prior
        (n_hints,) prior means of their coefficients beside a forecast; twice that without one.
    kin
        (n_units,) logarithm of the rate that a unit's kin have in the mean; where given, a forecast is pulled toward it
        rather than toward the mean of all.
    """
    n_campaigns = int(campaign.max(initial=-1)) + 1
    design = _design(np.log(forecast), hints, hint_prior, kin)
    state = _State(0.0, design.centre, np.zeros(n_campaigns + 1), design.campaign_sd, design.weights)
    held = np.where(campaign < 0, n_campaigns, campaign)
    # the part of the negative binomial that no round changes
    k = 1.0 / SCALES**2
    fixed = gammaln(k + seen[:, None]) - gammaln(k) + k * np.log(k)
    if seen.size > 2 * _ENOUGH:  # what all units share is learned from some of them, and looked over by all
        some = slice(None, None, seen.size // _ENOUGH)
        for _ in range(rounds - 1):
            state = _newton(state, fixed[some], seen[some], due[some], design.some(some), held[some], level_sd)
        rounds = 1
    for _ in range(rounds):
        state = _newton(state, fixed, seen, due, design, held, level_sd)
    believe, doubt = _log_means(state, design, held)
    log_mean = np.where(_DOUBT, doubt[:, None], believe[:, None])
    weight, shape, rate = _posterior(state.weights, fixed, seen, due, log_mean)
    factor = np.exp(log_mean) * shape / rate
    ratio = (weight * factor).sum(1)
    second = (weight * factor**2 * (1 + 1 / shape)).sum(1)
    own = np.sqrt(np.maximum(second / ratio**2 - 1, 0.0))
    level_var = _level_variance(weight, rate, level_sd)
    trust = float(state.weights[~_DOUBT].sum())
    return Shrunk(
        ratio=ratio,
        own_cv=own,
        common_cv=float(np.sqrt(level_var + level_due_cv**2)),
        level=float(np.exp(state.level)),
        campaign=np.exp(state.campaign[:n_campaigns]),
        campaign_sd=state.campaign_sd,
        slope=1.0 + float(state.slope[0]),
        typical_error=float(np.sqrt((state.weights * ~_DOUBT * SCALES**2).sum() / max(trust, 1e-9))),
    )


def gamma_band(mean: Floats, cv: Floats, share: float = 0.8) -> tuple[Floats, Floats]:
    """Equal-tailed band of gamma variables with given mean and relative standard error."""
    log_cv, low, high = _gamma_ends((1.0 - share) / 2)
    at = np.log(np.clip(cv, 1e-3, 30.0))
    return mean * np.interp(at, log_cv, low), mean * np.interp(at, log_cv, high)


def gamma_quantile(mean: Floats, cv: Floats, chance: Floats) -> Floats:
    """Value that gamma variables with given mean and relative standard error stay below with a given chance."""
    shape = np.clip(cv, 1e-3, 30.0) ** -2.0
    return mean * gammaincinv(shape, chance) / shape


@cache
def _gamma_ends(tail: float) -> tuple[Floats, Floats, Floats]:
    """Ends of the band of a gamma variable of mean 1, on a grid of the logarithm of its relative standard error."""
    log_cv = np.linspace(np.log(1e-3), np.log(30.0), 2048)
    shape = np.exp(-2 * log_cv)
    return log_cv, gammaincinv(shape, tail) / shape, gammaincinv(shape, 1 - tail) / shape


@dataclass(frozen=True, slots=True)
class _Design:
    """Columns of beta and the gammas, (n_units, n_slopes), for components that believe and that doubt the forecast.

    Beside them what is believed of slopes, weights and campaigns before the data tells it.
    """

    believe: Floats
    doubt: Floats
    doubt_base: Floats  # (n_units,) what takes the forecast back out
    centre: Floats
    precision: Floats
    weights: Floats
    campaign_sd: float

    def some(self, chosen: slice) -> "_Design":
        """Columns of some units."""
        return replace(self, believe=self.believe[chosen], doubt=self.doubt[chosen], doubt_base=self.doubt_base[chosen])


def _design(log_forecast: Floats, hints: Floats | None, hint_prior: Floats | None, kin: Floats | None) -> _Design:
    def centred(column: Floats) -> Floats:
        return np.clip(column - (column.mean() if column.size else 0.0), -3.0, 3.0)

    x = centred(log_forecast)
    near = np.zeros_like(x) if kin is None else centred(kin)
    held = np.zeros((x.size, 0)) if hints is None else np.stack([centred(c) for c in hints.T], axis=1)
    prior = np.zeros(held.shape[1]) if hint_prior is None else hint_prior
    nothing = np.zeros_like(held)
    # the forecast's distance from its kin is part error: beta takes that part out
    apart = x - near
    variance = float(apart.var()) if x.size else 0.0
    differ = variance > 1e-4
    share = NOISE_SHARE if kin is not None else min(FORECAST_ERROR**2 / max(variance, 1e-4), NOISE_SHARE)
    beta = -share if differ else 0.0
    left = LEFT_OVER * float(np.sqrt(variance * share * (1 - share)))
    remaining = max(left, LEAST_SPREAD) if differ else PLAIN_SPREAD
    return _Design(
        believe=np.concatenate([apart[:, None], held, nothing], axis=1),
        doubt=np.concatenate([np.zeros((x.size, 1)), nothing, held], axis=1),
        doubt_base=-apart,
        centre=np.concatenate([[beta], prior, 2 * prior]),
        precision=np.repeat([BETA_SD, HINT_SD, HINT_SD_ALONE], [1, prior.size, prior.size]) ** -2.0,
        weights=_prior_weights(remaining),
        campaign_sd=CAMPAIGN_SD if differ else CAMPAIGN_SD_ALONE,
    )


def _prior_weights(scale: float) -> Floats:
    """Weights around one scale for components that believe the forecast, and a few for those that doubt it."""
    near = np.exp(-0.5 * (np.log(SCALES / scale) / SCALE_LOG_SD) ** 2)
    near = np.where(_DOUBT, 0.0, near)
    return np.where(_DOUBT, DOUBT_WEIGHT / _DOUBT.sum(), (1 - DOUBT_WEIGHT) * near / near.sum())


@dataclass(frozen=True, slots=True)
class _State:
    level: float  # alpha
    slope: Floats  # beta, gamma of those that believe, gamma of those that doubt
    campaign: Floats  # (n_campaigns + 1,), the last one is "none" and stays 0
    campaign_sd: float
    weights: Floats


def _log_means(state: _State, design: _Design, campaign: Ints) -> tuple[Floats, Floats]:
    """(n_units,) m_ij of the components that believe, and of those that doubt."""
    base = state.level + state.campaign[campaign]
    return base + design.believe @ state.slope, base + design.doubt_base + design.doubt @ state.slope


@njit(cache=True)
def _sweep(seen, due, believe, doubt, fixed, weights, prior_weights):
    """EM steps of the weights at fixed means, then pull (gradient) and curve (information) of each unit's log mean."""
    n, n_parts = fixed.shape
    k = 1.0 / SCALES**2
    log_weights = np.log(weights)
    likelihood = np.empty((n, n_parts))
    for i in range(n):
        mean_believe, mean_doubt = due[i] * np.exp(believe[i]), due[i] * np.exp(doubt[i])
        top = -np.inf
        for j in range(n_parts):
            mean = mean_doubt if _DOUBT[j] else mean_believe
            log_mean = doubt[i] if _DOUBT[j] else believe[i]
            likelihood[i, j] = fixed[i, j] - (k[j] + seen[i]) * np.log(k[j] + mean) + seen[i] * log_mean
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
            mean = mean_doubt if _DOUBT[j] else mean_believe
            share = likelihood[i, j] * now[j] / fit * k[j] / (k[j] + mean)
            # observed information; the negative binomial is concave in the log mean
            bend = share * mean * (k[j] + seen[i]) / (k[j] + mean)
            if _DOUBT[j]:
                pull_doubt[i] += share * (seen[i] - mean)
                curve_doubt[i] += bend
            else:
                pull_believe[i] += share * (seen[i] - mean)
                curve_believe[i] += bend
    return now, pull_believe, curve_believe, pull_doubt, curve_doubt


def _posterior(
    weights: Floats, fixed: Floats, seen: Floats, due: Floats, log_mean: Floats
) -> tuple[Floats, Floats, Floats]:
    """Component weights, gamma shapes and rates per unit, (n_units, n_components)."""
    k = 1.0 / SCALES**2
    mean = due[:, None] * np.exp(log_mean)
    shape, rate = k + seen[:, None], k + mean
    # log of the negative binomial, without the terms that all components share
    fit = fixed - shape * np.log(rate) + seen[:, None] * log_mean + np.log(weights)
    fit -= fit.max(1, keepdims=True)
    share = np.exp(fit)
    return share / share.sum(1, keepdims=True), shape, rate


def _newton(
    state: _State, fixed: Floats, seen: Floats, due: Floats, design: _Design, campaign: Ints, level_sd: float
) -> _State:
    """One round: EM steps of the weights, one Newton step of alpha, the slopes and the campaigns (arrow matrix)."""
    believe, doubt = _log_means(state, design, campaign)
    weights, pull_believe, curve_believe, pull_doubt, curve_doubt = _sweep(
        seen, due, believe, doubt, fixed, state.weights, design.weights
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
    slope = state.slope + step[1:]
    slope[0] = np.clip(slope[0], -1.0, 0.2)
    return _State(state.level + float(step[0]), slope, campaigns, sd, weights)


def _level_variance(weight: Floats, rate: Floats, level_sd: float) -> float:
    k = 1.0 / SCALES**2
    information = (weight * (rate - k) * k / rate).sum() + level_sd**-2
    return float(1.0 / information)
