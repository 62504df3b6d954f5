"""Blends the log-odds of several models and calibrates the blend; the way to calibrate is chosen on unseen rows.

A blend is logit p = a + sum_k b_k z_k with b >= 0, pulled towards usual weights: on its own it is Platt's calibration.
Two ways may follow it: beta calibration, logit p = a + b ln q - c ln(1 - q), which bends the ends, and isotonic
regression. They are taken where they score better on folds that did not teach them, by more than half their noise.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit

from domain.tables import Floats, Ints
from predictors.sums import summed

#: What the pull towards usual weights and towards a = 0 is worth.
_PULL, _PULL_LEVEL = 16.0, 10.0
#: Successes (and failures) below which there is nothing to choose.
_ENOUGH = 300.0


def trial_loss(z: Floats, share: Floats, weight: Floats) -> Floats:
    """(n_rows,) log loss of all trials of each row, from log-odds."""
    return weight * (np.logaddexp(0.0, z) - share * z)


def blend_weights(z: Floats, share: Floats, weight: Floats, usual: Floats | None = None) -> Floats:
    """(1 + n_models,) a, b_1 ..; z is (n_rows, n_models), `usual` what models weigh until the rows say otherwise."""
    n = z.shape[1]
    usual = np.full(n, 1.0 / n) if usual is None else usual

    def loss(b: Floats) -> tuple[float, Floats]:
        total = b[0] + z @ b[1:]
        pull = weight * (expit(total) - share)
        value = trial_loss(total, share, weight).sum() + _PULL / 2 * ((b[1:] - usual) ** 2).sum()
        value += _PULL_LEVEL / 2 * b[0] ** 2
        slope = np.concatenate([[pull.sum() + _PULL_LEVEL * b[0]], z.T @ pull + _PULL * (b[1:] - usual)])
        return float(value), slope

    start = np.concatenate([[0.0], usual])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-3, 3), *[(0, 3)] * n])
    return np.asarray(found.x, np.float64)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What follows the blend.

    Attributes
    ----------
    kind
        ``platt`` (nothing more), ``beta`` or ``isotonic``.
    numbers
        ``beta``: a, b, c. ``isotonic``: (2, n_knots) log-odds before and after, flattened.
    """

    kind: str
    numbers: Floats

    def __call__(self, z: Floats) -> Floats:
        """(n_rows,) calibrated log-odds."""
        if self.kind == "beta":
            a, b, c = self.numbers
            return a - b * np.logaddexp(0.0, -z) + c * np.logaddexp(0.0, z)
        if self.kind == "isotonic":
            before, after = self.numbers.reshape(2, -1)
            # beyond the knots the ends are followed at slope 1, so that no row becomes impossible or certain
            inside = np.interp(z, before, after)
            return inside + np.minimum(z - before[0], 0.0) + np.maximum(z - before[-1], 0.0)
        return z


PLATT = Calibration("platt", np.zeros(0))


def choose_calibration(z: Floats, share: Floats, weight: Floats, fold: Ints) -> Calibration:
    """The way that scores best where it was not taught; z is (n_rows,) blended log-odds of unseen rows."""
    if min(float(weight @ share), float(weight @ (1 - share))) < _ENOUGH:
        return PLATT
    plain = trial_loss(z, share, weight)
    best, most = PLATT, 0.0
    for learn in (_beta, _isotonic):
        after = np.empty(z.size)
        for k in np.unique(fold):
            inside = fold != k
            after[~inside] = learn(z[inside], share[inside], weight[inside])(z[~inside])
        gain = plain - trial_loss(after, share, weight)
        noise = float(np.sqrt(gain.size) * gain.std())
        if gain.sum() > max(most, 0.5 * noise):
            best, most = learn(z, share, weight), float(gain.sum())
    return best


def _beta(z: Floats, share: Floats, weight: Floats) -> Calibration:
    up, down = -np.logaddexp(0.0, -z), np.logaddexp(0.0, z)

    def loss(t: Floats) -> tuple[float, Floats]:
        total = t[0] + t[1] * up + t[2] * down
        pull = weight * (expit(total) - share)
        return float(trial_loss(total, share, weight).sum()), np.array([pull.sum(), pull @ up, pull @ down])

    bounds = [(-5, 5), (0, 5), (0, 5)]
    found = minimize(loss, np.array([0.0, 1.0, 1.0]), jac=True, method="L-BFGS-B", bounds=bounds)
    return Calibration("beta", np.asarray(found.x, np.float64))


def _isotonic(z: Floats, share: Floats, weight: Floats) -> Calibration:
    """Knots at the middle of each level, each level shrunk by half a success and half a failure."""
    order = np.argsort(z, kind="stable")
    z, share, weight = z[order], share[order], weight[order]
    told = weight > 0
    z, share, weight = z[told], share[told], weight[told]
    level = np.asarray(isotonic_regression(share, weights=weight).x)
    _, place = np.unique(level, return_inverse=True)
    n = int(place.max()) + 1
    trials = summed(place, weight, n)
    hits = summed(place, weight * share, n)
    mean = hits.sum() / trials.sum()
    p = (hits + mean) / (trials + 1.0)
    middle = summed(place, weight * z, n) / trials
    after = np.maximum.accumulate(np.log(p / (1 - p)))
    return Calibration("isotonic", np.concatenate([middle, after]))
