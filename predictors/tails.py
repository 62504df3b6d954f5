"""The mean of heavy-tailed amounts: a law for the tail, so that one giant counts for what giants are worth, not for itself.

Above a threshold u (the k = n^0.65 largest of n amounts) the excess y follows a generalised Pareto law

    1 - F(y) = (1 + xi y / sigma)^(-1 / xi),      mean excess sigma / (1 - xi)

whose index xi is drawn to what sales usually show (normal prior, mean 0.1, sd 0.2), on a grid of (xi, sigma); below u the
amounts speak for themselves. With infinite variance in reach (xi > 0.45) the law alone tells the mean excess; with lighter
tails the plain mean excess takes over as its own error falls below the 2 % that a law is trusted to, so the estimate is
consistent without the law being right.

Source: Pickands, Statistical inference using extreme order statistics (1975); Zhang and Stephens, A new and efficient
estimation method for the generalized Pareto distribution, Technometrics 51 (2009), for averaging over a prior.
"""

from dataclasses import dataclass

import numpy as np

from domain.tables import Floats

#: Prior of the tail index, its grid, and that of the scale around the median's (natural logarithms).
XI_MEAN, XI_SD = 0.1, 0.2
_XI = np.linspace(-0.3, 0.9, 25)[:, None]
_SCALE = np.exp(np.linspace(-1.2, 1.2, 17))[None, :]
#: Amounts in the tail as a power of all, fewest that are a tail, and most that are looked at one by one.
TAIL_POWER, LEAST_TAIL, MOST_TAIL = 0.65, 3, 400
#: Relative error that the law of a light tail is trusted to, and index beyond which a variance is not counted on.
LAW_ERROR, WILD = 0.02, 0.45


@dataclass(frozen=True, slots=True)
class TailLaw:
    """Law of positive amounts.

    Attributes
    ----------
    mean, mean_sd
        Expected amount, and the relative standard error of it.
    threshold
        Amount at which the tail begins; infinite where there are too few to speak of one.
    share
        Share of amounts in the tail.
    index, index_sd
        xi and its error: 0 for exponential tails, 0.5 and more where the variance is infinite.
    amounts
        How many the law rests on.
    """

    mean: float
    mean_sd: float
    threshold: float
    share: float
    index: float
    index_sd: float
    amounts: int


def fit_tail(amounts: Floats) -> TailLaw:
    """Law of (n,) positive amounts; those of no amount at all have mean 1 and no use."""
    x = np.sort(amounts[np.isfinite(amounts) & (amounts > 0)])
    n = x.size
    if n == 0:
        return TailLaw(1.0, np.inf, np.inf, 0.0, XI_MEAN, XI_SD, 0)
    k = min(round(n**TAIL_POWER), n // 2)
    if k < LEAST_TAIL:
        return TailLaw(float(x.mean()), 1.0 / n**0.5, np.inf, 0.0, XI_MEAN, XI_SD, n)
    threshold = float(x[n - k - 1])
    excess = np.maximum(x[n - k :] - threshold, 1e-9 * threshold)
    every = excess[:: k // MOST_TAIL + 1]
    scale = max(float(np.median(every)), 1e-9 * threshold) / np.log(2.0) * _SCALE
    weight = _posterior(every, scale, k)
    log_mean = np.log(scale) - np.log1p(-_XI)
    law = float((weight * log_mean).sum())
    law_var = max(float((weight * log_mean**2).sum()) - law**2, 0.0)
    index = float((weight * _XI).sum())
    plain_var = 1.0 / (1.0 - 2.0 * index) / k if index < WILD else np.inf
    trust = LAW_ERROR**2 / (LAW_ERROR**2 + plain_var)
    tail = float(np.exp(trust * np.log(excess.mean()) + (1 - trust) * law))
    body = float(x[: n - k].sum())
    mean = (body + k * (threshold + tail)) / n
    rest = float(x[: n - k].var()) / mean**2 / n
    part = k * tail / n / mean
    error = part**2 * (trust * min(plain_var, law_var) + (1 - trust) * law_var)
    # how many fall in the tail is luck as well
    many = (threshold + tail - body / (n - k)) ** 2 * (k / n) * (1 - k / n) / n / mean**2
    return TailLaw(
        mean, float(np.sqrt(rest + error + many)), threshold, k / n, index,
        float(np.sqrt(max((weight * _XI**2).sum() - index**2, 0.0))), n,
    )  # fmt: skip


def _posterior(excess: Floats, scale: Floats, k: int) -> Floats:
    """(n_xi, n_sigma) weights of the grid, from some of k excesses that stand for all."""
    z = excess / scale[..., None]  # (1, n_sigma, n)
    fit = np.empty((_XI.size, scale.size))
    for i, xi in enumerate(_XI.ravel()):
        inner = 1.0 + xi * z[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(inner).sum(1) if abs(xi) > 1e-9 else z[0].sum(1)
        fit[i] = -(1.0 / xi + 1.0) * logs if abs(xi) > 1e-9 else -logs
        fit[i][(inner <= 0).any(1)] = -np.inf
    fit = (fit - excess.size * np.log(scale)) * (k / excess.size) - 0.5 * ((_XI - XI_MEAN) / XI_SD) ** 2
    weight = np.exp(fit - fit.max())
    return weight / weight.sum()
