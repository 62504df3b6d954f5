"""Shrinks what single units show toward their forecast, their campaign and the account (empirical Bayes).

Unit i has seen n_i events (orders, clicks) where E_i were due according to its forecast:

    n_i ~ Poisson(E_i exp(m_ij) r_i),   m_ij = alpha + beta_j x_i + gamma_j' h_i + u_campaign(i) + v_kin(i)
    r_i ~ sum_j w_ij Gamma(shape k_j, mean 1),   k_j = 1 / s_j^2,   u_c ~ N(0, sd_c^2),   alpha ~ t_3

x_i is the log forecast, less what units of the same category and match type are forecast in the mean where those tell
forecasts apart, and h_i are hints, such as the log of market price and order value (rivals pay more for
clicks that sell), all centred. The E_i hold the forecast itself, so beta = 0 takes it as it stands and beta = -1
ignores it: noisy forecasts of spread-out rates must be pulled toward their mean, as much as the data says. The
scales s_j run from "the forecast is right" to "it says little", and two more components (beta_j = -1, gamma of
their own) say nothing of the forecast is true, as for new units: a heavy-tailed prior whose weights w_j, like
alpha, beta, gamma, u, v and sd_c, are learned by marginal likelihood (EM over the weights, Newton over the rest) under
mild hyperpriors that hold at the start. A unit is the likelier one of the doubted the further its forecast lies from kin
and hints (w_ij), and v is what orders say of a category or match type beyond its forecasts, which tell its mean with an error.

Each unit then has a mixture of gammas as posterior. Source: Gelman et al., Bayesian Data Analysis, 2.7 and 5;
Efron, Large-Scale Inference, 1.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import njit
from scipy.special import gammaincinv

from domain.tables import Floats, Ints
from predictors import shrinkage_wide
from predictors.kin import Kin
from predictors.shrinkage_design import DOUBT, ENOUGH, SCALES, Design, design_of
from predictors.shrinkage_steps import Seen, State, newton, posterior


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
    kin: Kin | None = None,
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
        Prior relative error of the account's level: standard deviation of a Student's t of 3 degrees of freedom.
    level_due_cv
        Relative error that all ``due`` share (a delay law not yet known).
    hints
        (n_units, n_hints) further logarithms that may tell the rate.
    hint_prior
        (n_hints,) prior means of their coefficients beside a forecast; twice that without one.
    kin
        Logarithm of the rate that a unit's kin have in the mean; where given, a forecast is pulled toward it rather
        than toward the mean of all.
    """
    design = design_of(np.log(forecast), hints, hint_prior, kin)
    return shrink_by(design, seen, due, campaign, level_sd, level_due_cv, rounds)


def shrink_by(
    design: Design,
    seen: Floats,
    due: Floats,
    campaign: Ints,
    level_sd: float,
    level_due_cv: float = 0.0,
    rounds: int = 6,
) -> Shrunk:
    """`shrink` by a design that is made already, since forecast, hints and kin are the same as before."""
    n_campaigns = int(campaign.max(initial=-1)) + 1
    groups = () if design.kin is None else tuple(np.zeros(sd.size) for sd in design.kin.sd)
    state = State(0.0, design.centre, np.zeros(n_campaigns + 1), design.campaign_sd, design.weights, groups)
    held = np.where(campaign < 0, n_campaigns, campaign)
    told = Seen.of(seen, due)
    if seen.size > 2 * ENOUGH:  # what all units share is learned from some of them, and looked over by all
        some = slice(None, None, seen.size // ENOUGH)
        a_few = told.some(some), design.some(some), held[some].copy()
        for _ in range(rounds):
            state = newton(state, *a_few, level_sd)
        state = shrinkage_wide.newton(state, told, design, held, level_sd)
        ratio, own, information = shrinkage_wide.posterior(state, told, design, held)
    else:
        for _ in range(rounds):
            state = newton(state, told, design, held, level_sd)
        ratio, own, information = posterior(state, told, design, held)
    level_var = 1.0 / (information + level_sd**-2)
    trust = float(state.weights[~DOUBT].sum())
    return Shrunk(
        ratio=ratio,
        own_cv=own,
        common_cv=float(np.sqrt(level_var + level_due_cv**2)),
        level=float(np.exp(state.level)),
        campaign=np.exp(state.campaign[:n_campaigns]),
        campaign_sd=state.campaign_sd,
        slope=1.0 + float(state.slope[0]),
        typical_error=float(np.sqrt((state.weights * ~DOUBT * SCALES**2).sum() / max(trust, 1e-9))),
    )


def gamma_band(mean: Floats, cv: Floats, share: float = 0.8) -> tuple[Floats, Floats]:
    """Equal-tailed band of gamma variables with given mean and relative standard error."""
    log_cv, low, high = _gamma_ends((1.0 - share) / 2)
    at = np.log(np.clip(cv, 1e-3, 30.0))
    if np.ndim(at) != 1:
        return mean * np.interp(at, log_cv, low), mean * np.interp(at, log_cv, high)
    return _band(np.broadcast_to(mean, at.shape), at, log_cv, low, high)


@njit(cache=True)
def _band(mean, at, grid, low, high):
    """Mean times what low and high are between places of an even grid, (n,) each: as `np.interp`, without a search."""
    lows, highs = np.empty(at.size), np.empty(at.size)
    per_step, last = (grid.size - 1) / (grid[-1] - grid[0]), grid.size - 2
    for i in range(at.size):
        x = at[i]
        k = 0
        if not np.isnan(x):
            k = min(max(int((x - grid[0]) * per_step), 0), last)
            while k < last and x >= grid[k + 1]:
                k += 1
            while k > 0 and x < grid[k]:
                k -= 1
        width, off = grid[k + 1] - grid[k], x - grid[k]
        if x == grid[-1]:
            lows[i], highs[i] = mean[i] * low[-1], mean[i] * high[-1]
            continue
        lows[i] = mean[i] * ((low[k + 1] - low[k]) / width * off + low[k])
        highs[i] = mean[i] * ((high[k + 1] - high[k]) / width * off + high[k])
    return lows, highs


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
