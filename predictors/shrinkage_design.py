"""What is believed of units before counts speak: columns, priors, and how odd each forecast is.

Columns of `shrinkage`'s log means, with the prior means and spreads of their coefficients, the prior weights of the
mixture, and the odds that a forecast so far from kin and hints is that of a unit it knows nothing of.
"""

from dataclasses import dataclass, replace

import numpy as np

from domain.tables import Floats
from predictors.kin import Kin

#: Relative spreads of a unit's true rate around what forecast and hints make of it.
SCALES = np.array([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.85, 1.2, 0.3, 0.6])
#: Components that do not believe the forecast, and their prior weight: new units.
DOUBT = np.array([False] * 11 + [True, True])
DOUBT_WEIGHT = 0.08
#: Error of their forecasts, beside that of others; units that the plain variance is worth while both are told apart.
DOUBT_ERROR, PLAIN_WORTH = 0.7, 15.0
#: Units that the prior weights are worth, and their spread over the scales (natural logarithm), with kin and without.
WEIGHT_STRENGTH, SCALE_LOG_SD, SCALE_LOG_SD_ALONE = 10.0, 0.35, 0.5
#: Part of the variance of forecasts around their kin that is error, before the data tells it, and beta's prior spread.
#: Without kin the rates themselves spread wider: then an error of this size (log scale), and no larger part.
NOISE_SHARE, FORECAST_ERROR, BETA_SD = 0.5, 0.35, 0.2
#: Spread of units around what is made of a forecast, before the data tells it, over what the noise share alone says (the
#: hints take out some); its least value, and the one where all forecasts are alike.
LEFT_OVER, LEAST_SPREAD, PLAIN_SPREAD = 0.8, 0.1, 0.5
#: Prior spread of the hints' coefficients around their prior means, beside a forecast and without one.
HINT_SD, HINT_SD_ALONE = 0.07, 0.14
#: Spread of campaigns before the data tells it: beside a forecast, which has seen them, and without one.
CAMPAIGN_SD, CAMPAIGN_SD_ALONE = 0.07, 0.15
#: Units from which scales, slopes and level are learned where there are many more.
ENOUGH = 50_000


@dataclass(frozen=True, slots=True)
class Design:
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
    kin: Kin | None
    odd: Floats  # (n_units,) how much likelier a forecast so far off is that of a unit it knows nothing of, logarithm

    def some(self, chosen: slice) -> "Design":
        """Columns of some units."""
        return replace(
            self,
            believe=self.believe[chosen].copy(),
            doubt=self.doubt[chosen].copy(),
            doubt_base=self.doubt_base[chosen].copy(),
            odd=self.odd[chosen].copy(),
            kin=None if self.kin is None else self.kin.some(chosen),
        )


def design_of(log_forecast: Floats, hints: Floats | None, hint_prior: Floats | None, kin: Kin | None) -> Design:
    """Columns and priors from what `shrinkage.shrink` is told."""

    def centred(column: Floats) -> Floats:
        return np.clip(column - (column.mean() if column.size else 0.0), -3.0, 3.0)

    x = centred(log_forecast)
    near = np.zeros_like(x) if kin is None else centred(kin.mean)
    held = np.zeros((x.size, 0)) if hints is None else np.stack([centred(c) for c in hints.T], axis=1)
    prior = np.zeros(held.shape[1]) if hint_prior is None else hint_prior
    nothing = np.zeros_like(held)
    # the forecast's distance from its kin is part error: beta takes that part out
    apart = x - near
    variance = float(apart.var()) if x.size else 0.0
    differ = variance > 1e-4
    odd = np.zeros(x.size)
    if differ and kin is not None and x.size > 2:  # without kin, true rates may lie anywhere
        variance, odd = _odd(apart - held @ (2 * prior))
    share = NOISE_SHARE if kin is not None else min(FORECAST_ERROR**2 / max(variance, 1e-4), NOISE_SHARE)
    beta = -share if differ else 0.0
    left = LEFT_OVER * float(np.sqrt(variance * share * (1 - share)))
    remaining = max(left, LEAST_SPREAD) if differ else PLAIN_SPREAD
    return Design(
        believe=np.concatenate([apart[:, None], held, nothing], axis=1),
        doubt=np.concatenate([np.zeros((x.size, 1)), nothing, held], axis=1),
        doubt_base=-apart,
        centre=np.concatenate([[beta], prior, 2 * prior]),
        precision=np.repeat([BETA_SD, HINT_SD, HINT_SD_ALONE], [1, prior.size, prior.size]) ** -2.0,
        weights=_prior_weights(remaining, SCALE_LOG_SD_ALONE if kin is None else SCALE_LOG_SD),
        campaign_sd=CAMPAIGN_SD if differ else CAMPAIGN_SD_ALONE,
        kin=kin,
        odd=odd,
    )


def _odd(off: Floats) -> tuple[float, Floats]:
    """Variance of what forecasts say beyond kin and hints, and how odd each one is beside it.

    Two normal laws of mean 0 by EM: forecasts that know their unit, and those of new units, whose errors are DOUBT_ERROR wider.
    """
    some = off[:: max(off.size // ENOUGH, 1)]
    square = (some - some.mean()) ** 2
    usual = max(float(square.mean()), 1e-6)
    variance, share = usual, DOUBT_WEIGHT
    for _ in range(20):
        ratio = _log_ratio(square, variance)
        doubted = 1 / (1 + (1 - share) / share * np.exp(-ratio))
        share = float(doubted.sum() + WEIGHT_STRENGTH * DOUBT_WEIGHT) / (some.size + WEIGHT_STRENGTH)
        known = 1 - doubted
        variance = (float(known @ square) + PLAIN_WORTH * usual) / (float(known.sum()) + PLAIN_WORTH)
    return variance, _log_ratio((off - some.mean()) ** 2, variance)


def _log_ratio(square: Floats, variance: float) -> Floats:
    wide = variance + DOUBT_ERROR**2
    return 0.5 * (square * (1 / variance - 1 / wide) - np.log(wide / variance))


def _prior_weights(scale: float, spread: float) -> Floats:
    """Weights around one scale for components that believe the forecast, and a few for those that doubt it."""
    near = np.exp(-0.5 * (np.log(SCALES / scale) / spread) ** 2)
    near = np.where(DOUBT, 0.0, near)
    return np.where(DOUBT, DOUBT_WEIGHT / DOUBT.sum(), (1 - DOUBT_WEIGHT) * near / near.sum())
