"""How far rows lie from their predicted rate for what they are: the part of a band that no fold's model tells.

A *level* is what rows have in common: the unit that rows of a report tell of, else one value of a category column (a product, a site).
With m the predicted rate and n the trials that taught the level,

    variance of its log-odds = 1 / (1 / tau^2 + alpha n m (1 - m))

tau is how far levels lie from what is predicted of those that were never seen, alpha how far trials of the past count for the
future: less than one where levels drift, or where the model does not follow single ones. Both are averaged over a grid by the
likelihood of what held-out parts of the levels brought (normal log-odds, binomial successes, by quadrature). So a product that was
never seen has a wide band, and one of a thousand clicks a narrow one. Of several columns the widest band counts: they often tell
the same thing twice. Where rows have time, whole stretches may lie off their prediction too.

Source: Gelman et al., Bayesian Data Analysis, 5.3 (hierarchical binomial model, by grid).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.tables import Floats, Ints
from predictors.features import Encoded
from predictors.rate_units import trials_of_rows
from predictors.sums import summed

#: Spreads that are tried, and log-sd of the prior around `USUAL`.
SPREADS = np.exp(np.linspace(np.log(0.03), np.log(2.0), 13))
USUAL, PRIOR_SD = 0.6, 0.8
#: Shares of a level's trials that may count, all of them as likely.
SHARES = np.array([0.0, 0.1, 0.3, 0.6, 1.0])
#: The same as for spreads, of the level of whole stretches of time.
DRIFTS = np.exp(np.linspace(np.log(0.01), np.log(1.0), 24))
USUAL_DRIFT, DRIFT_SD = 0.1, 1.0
#: Parts of levels that a law is learned from at most.
PARTS_OF_LAW = 2_000
#: Nodes and weights of the standard normal law.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True, slots=True)
class Law:
    """How far the levels of some columns lie from their prediction, as log-odds.

    Attributes
    ----------
    sd
        Standard deviation of levels that were never seen.
    share
        Share of a level's trials that count.
    columns
        Positions of the category columns whose codes together name a level.
    names, trials
        (n_levels, n_columns) codes and (n_levels,) trials of the levels that taught.
    """

    sd: float
    share: float
    columns: tuple[int, ...]
    names: NDArray[np.int32]
    trials: Floats

    def variance(self, noise: Floats, data: Encoded) -> Floats:
        """(n_rows,) of the log-odds of rows of which a single trial has the variance `noise`."""
        return _variance(self.sd, self.share, trials_of_rows(data, self.columns, self.names, self.trials), noise)


@dataclass(frozen=True, slots=True)
class Spread:
    """All of a band that no fold's model tells, as log-odds.

    Attributes
    ----------
    sd
        Standard deviation of any group of rows.
    drift
        Standard deviation of the level that all rows of a stretch of time share; 0 where rows have no time.
    laws
        Of levels of columns.
    """

    sd: float
    drift: float = 0.0
    laws: tuple[Law, ...] = ()

    def variance(self, rate: Floats, data: Encoded, least: Floats) -> Floats:
        """(n_rows,) of the log-odds of rows that are predicted `rate`, and whose models differ by `least`."""
        widest, noise = np.maximum(least, self.sd**2), rate * (1 - rate)
        for law in self.laws:
            np.maximum(widest, law.variance(noise, data), out=widest)
        return widest + self.drift**2


def _variance(sd: float, share: float, trials: Floats, noise: Floats) -> Floats:
    return 1.0 / (sd**-2.0 + share * trials * noise)


def median_of(mean: Floats, variance: Floats) -> Floats:
    """Log-odds that rates of a given mean have in the middle, where log-odds are normal with a given variance; (n,) each.

    Of rare successes the law is log-normal and the middle lies half the variance lower; of others MacKay's approximation
    (Neural Computation 4, 1992) says how far: the smaller shift is right to 0.03 up to a standard deviation of 1.
    """
    mean = np.clip(mean, 1e-15, 1 - 1e-15)  # a rate that is rounded to an end has finite log-odds too
    z = np.log(mean / (1 - mean))
    rare = 0.5 * variance * np.abs(1 - 2 * mean)
    return z + np.sign(z) * np.minimum(rare, np.abs(z) * (np.sqrt(1 + 0.346 * variance) - 1))


def learn_spread(
    rate: Floats, share: Floats, weight: Floats, part: Ints, others: Floats | None
) -> tuple[float, float, float]:
    """Standard deviation of levels, share of their trials that count, and log evidence against levels that do not differ.

    Parameters
    ----------
    rate
        (n_rows,) predictions by models that had not seen the row.
    share, weight
        (n_rows,) successes over trials, and trials.
    part
        (n_rows,) part of a level that was held out together.
    others
        (n_rows,) trials of the level that its prediction was learned from; ``None`` = it knows nothing of single levels.
    """
    n = int(part.max(initial=-1)) + 1
    tried = summed(part, weight, n)
    some = np.flatnonzero(tried > 0)
    mean = np.clip(summed(part, weight * rate, n)[some] / tried[some], 1e-9, 1 - 1e-9)
    if some.size > PARTS_OF_LAW:  # the largest tell most, whatever they brought
        most = np.sort(np.argsort(-tried[some] * mean * (1 - mean), kind="stable")[:PARTS_OF_LAW])
        some, mean = some[most], mean[most]
    hits = summed(part, weight * share, n)[some]
    lost = np.maximum(tried[some] - hits, 0.0)
    known, shares = np.zeros(n), SHARES[:1]
    if others is not None:
        known[part], shares = others, SHARES
    noise = mean * (1 - mean)
    prior = -0.5 * (np.log(SPREADS / USUAL) / PRIOR_SD) ** 2
    prior -= np.log(np.exp(prior).sum() * shares.size)
    fit = np.empty((SPREADS.size, shares.size))
    for i, sd in enumerate(SPREADS):
        for j, counts in enumerate(shares):
            variance = _variance(sd, counts, known[some], noise)
            z = median_of(mean, variance)[:, None] + np.sqrt(variance)[:, None] * _NODES
            each = -hits[:, None] * np.logaddexp(0.0, -z) - lost[:, None] * np.logaddexp(0.0, z)
            top = each.max(axis=1)
            fit[i, j] = prior[i] + (top + np.log(np.exp(each - top[:, None]) @ _WEIGHTS)).sum()
    plain = float((hits * np.log(mean) + lost * np.log1p(-mean)).sum())
    chance = np.exp(fit - fit.max())
    evidence = float(fit.max() + np.log(chance.sum()))
    chance /= chance.sum()
    return float(np.sqrt(chance.sum(1) @ SPREADS**2)), float(chance.sum(0) @ shares), evidence - plain


def learn_drift(rate: Floats, share: Floats, weight: Floats, stretch: Ints) -> float:
    """Standard deviation of the level of stretches of time around predictions by the others, beyond binomial noise.

    Parameters are those of `learn_spread`; `stretch` (n_rows,) counts from 0. The mean over a grid with a prior around a tenth.
    """
    noise = summed(stretch, weight * rate * (1 - rate), int(stretch.max(initial=0)) + 1)
    off = summed(stretch, weight * (share - rate), noise.size)[noise > 0] / noise[noise > 0]
    spare = DRIFTS[:, None] ** 2 + 1 / noise[noise > 0]
    fit = -0.5 * (off**2 / spare + np.log(spare)).sum(1) - 0.5 * (np.log(DRIFTS / USUAL_DRIFT) / DRIFT_SD) ** 2
    chance = np.exp(fit - fit.max())
    return float(np.sqrt(chance @ DRIFTS**2 / chance.sum()))


def spread_of_groups(rate: Floats, share: Floats, weight: Floats, group: NDArray[np.int64]) -> float:
    """Standard deviation of the log-odds of groups around their prediction, beyond binomial noise.

    For groups that are not met again, and were held out whole. A group's successes s vary by v + v^2 tau^2 around what was
    expected, v being their binomial variance.
    """
    _, place = np.unique(group, return_inverse=True)
    n = int(place.max(initial=0)) + 1
    off = summed(place, weight * (share - rate), n)
    noise = summed(place, weight * rate * (1 - rate), n)
    # large groups must not decide alone: each counts by what it can tell at a spread of one half
    worth = 1.0 / (1.0 + 0.25 * noise) ** 2
    found = float((worth * (off**2 - noise)).sum() / max(float((worth * noise**2).sum()), 1e-12))
    return float(np.sqrt(np.clip(found, 0.0, 4.0)))
