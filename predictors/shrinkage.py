"""Shrinks what single units show toward their forecast, their campaign and the account (empirical Bayes).

Unit i has seen n_i events (orders, clicks) where E_i were due according to its forecast:

    n_i ~ Poisson(E_i r_i exp(alpha + beta_j x_i + u_campaign(i)))        x_i = log forecast, centred
    r_i ~ sum_j w_j Gamma(shape k_j, mean 1),   k_j = 1 / s_j^2,   u_c ~ N(0, sd_c^2)

The E_i hold the forecast itself, so beta = 0 takes it as it stands and beta = -1 ignores it: noisy forecasts
of spread-out rates must be pulled toward their mean, as much as the data says. The scales s_j run from "the
forecast is right" to "it says little", and two more components (beta_j = -1) say nothing of the forecast is
true, as for new units: a heavy-tailed prior whose weights w_j, like alpha, beta, u and sd_c, are learned by
marginal likelihood (EM over the weights, Newton over the rest) under mild hyperpriors that hold at the start.

Each unit then has a mixture of gammas as posterior. Source: Gelman et al., Bayesian Data Analysis, 2.7 and 5;
Efron, Large-Scale Inference, 1.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv, gammaln

from domain.tables import Floats, Ints
from predictors.sums import summed

#: Relative spreads of a unit around its forecast, and prior weights: most forecasts err by some 30 %.
SCALES = np.array([0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.55, 0.75, 1.0, 0.5, 0.9])
WEIGHTS = np.array([0.03, 0.06, 0.09, 0.13, 0.2, 0.17, 0.12, 0.07, 0.03, 0.05, 0.05])
#: Components that do not believe the forecast.
_DOUBT = np.array([False] * 9 + [True, True])
#: Units that the prior weights are worth.
WEIGHT_STRENGTH = 20.0
#: Prior of beta: forecasts carry regression to the mean.
BETA_MEAN, BETA_SD = -0.2, 0.25
CAMPAIGN_SD_START = 0.15


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
    rounds: int = 6,
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
    """
    n_units = seen.size
    n_campaigns = int(campaign.max(initial=-1)) + 1
    x = np.log(forecast)
    x = np.clip(x - (x.mean() if n_units else 0.0), -3.0, 3.0)
    state = _State(np.zeros(2), np.zeros(n_campaigns + 1), CAMPAIGN_SD_START, WEIGHTS)
    state.mean[1] = BETA_MEAN
    held = np.where(campaign < 0, n_campaigns, campaign)
    # the part of the negative binomial that no round changes
    k = 1.0 / SCALES**2
    fixed = gammaln(k + seen[:, None]) - gammaln(k) + k * np.log(k)
    for _ in range(rounds):
        state = _newton(state, fixed, seen, due, x, held, level_sd)
    log_mean, slope = _log_mean(state, x, held)
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
        level=float(np.exp(state.mean[0])),
        campaign=np.exp(state.campaign[:n_campaigns]),
        campaign_sd=state.campaign_sd,
        slope=1.0 + float(slope),
        typical_error=float(np.sqrt((state.weights * ~_DOUBT * SCALES**2).sum() / max(trust, 1e-9))),
    )


def gamma_band(mean: Floats, cv: Floats, share: float = 0.8) -> tuple[Floats, Floats]:
    """Equal-tailed band of gamma variables with given mean and relative standard error."""
    shape = 1.0 / np.clip(cv, 1e-3, 30.0) ** 2
    tail = (1.0 - share) / 2
    return mean * gammaincinv(shape, tail) / shape, mean * gammaincinv(shape, 1 - tail) / shape


@dataclass(frozen=True, slots=True)
class _State:
    mean: Floats  # alpha, beta
    campaign: Floats  # (n_campaigns + 1,), the last one is "none" and stays 0
    campaign_sd: float
    weights: Floats


def _log_mean(state: _State, x: Floats, campaign: Ints) -> tuple[Floats, float]:
    base = state.mean[0] + state.campaign[campaign]
    tilt = np.where(_DOUBT, -1.0, state.mean[1])
    return base[:, None] + x[:, None] * tilt, float(state.mean[1])


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
    state: _State, fixed: Floats, seen: Floats, due: Floats, x: Floats, campaign: Ints, level_sd: float
) -> _State:
    """One EM step of the weights and one Newton step of alpha, beta and the campaigns (arrow matrix)."""
    log_mean, _ = _log_mean(state, x, campaign)
    share, _, rate = _posterior(state.weights, fixed, seen, due, log_mean)
    weights = (share.sum(0) + WEIGHT_STRENGTH * WEIGHTS) / (seen.size + WEIGHT_STRENGTH)
    k = 1.0 / SCALES**2
    mean = rate - k
    # expected information: observed curvature may be negative far from the mode
    slope = share * (seen[:, None] - mean) * k / rate
    curve = share * mean * k / rate
    informed = ~_DOUBT
    g0, h0 = slope.sum(1), curve.sum(1)
    g1, h1 = (slope * informed).sum(1), (curve * informed).sum(1)
    # doubtful components hold beta = -1, so they do not speak about beta
    n_groups = state.campaign.size
    a = np.array(
        [
            [h0.sum() + level_sd**-2, (h1 * x).sum()],
            [(h1 * x).sum(), (h1 * x * x).sum() + BETA_SD**-2],
        ]
    )
    b = np.stack([summed(campaign, h0, n_groups), summed(campaign, h1 * x, n_groups)])
    d = summed(campaign, h0, n_groups) + state.campaign_sd**-2
    ga = np.array(
        [
            g0.sum() - state.mean[0] * level_sd**-2,
            (g1 * x).sum() - (state.mean[1] - BETA_MEAN) * BETA_SD**-2,
        ]
    )
    gd = summed(campaign, g0, n_groups) - state.campaign * state.campaign_sd**-2
    b[:, -1], gd[-1] = 0.0, 0.0
    schur = a - (b / d) @ b.T
    step = np.linalg.solve(schur, ga - b @ (gd / d))
    step = np.clip(step, -0.7, 0.7)
    shift = np.clip((gd - step @ b) / d, -0.7, 0.7)
    moved = state.campaign + shift
    moved[-1] = 0.0
    # EM for the campaigns' spread, with a prior worth four campaigns of spread 0.15
    spread = (moved[:-1] ** 2 + 1 / d[:-1]).sum() + 4 * CAMPAIGN_SD_START**2
    sd = float(np.clip(np.sqrt(spread / (n_groups - 1 + 4)), 0.02, 1.5))
    mean = state.mean + step
    mean[1] = np.clip(mean[1], -1.0, 0.2)
    return _State(mean, moved, sd, weights)


def _level_variance(weight: Floats, rate: Floats, level_sd: float) -> float:
    k = 1.0 / SCALES**2
    information = (weight * (rate - k) * k / rate).sum() + level_sd**-2
    return float(1.0 / information)
