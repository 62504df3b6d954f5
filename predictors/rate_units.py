"""A unit's own rate, shrunk to that of all units by a beta-binomial: what few rows of a report tell for certain.

A unit's successes of its n trials follow a beta-binomial law of mean m and worth kappa, both by maximum likelihood over
the units. Its rate is (successes + kappa m) / (n + kappa); units that were not seen have m.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, expit

from domain.tables import Floats, Ints
from predictors.features import Encoded
from predictors.sums import summed

#: Units that the law is learned from, at most.
UNITS_OF_LAW = 5_000


@dataclass(frozen=True, slots=True)
class UnitRates:
    """Rates of units, which are rows of the same categories.

    Attributes
    ----------
    columns
        Positions of the category columns that tell units apart.
    names
        (n_units, n_columns) codes of each unit.
    known
        (n_units,) log-odds of each.
    mean
        Log-odds of a unit that was not seen.
    """

    columns: tuple[int, ...]
    names: NDArray[np.int32]
    known: Floats
    mean: float

    def logits(self, data: Encoded) -> Floats:
        """(n_rows,) log-odds of the rows' units."""
        return _looked_up(data, self.columns, self.names, self.known, self.mean)


def unit_columns(data: Encoded, always: bool) -> tuple[int, ...]:
    """Positions of the columns that tell units apart: texts, else (where a row is `always` a unit) all categories."""
    texts = np.flatnonzero(data.named & ~data.twice)
    return tuple((texts if texts.size or not always else np.flatnonzero(data.named)).tolist())


def fit_units(data: Encoded, columns: tuple[int, ...], share: Floats, weight: Floats) -> UnitRates:
    """Rates of the units of (n_rows,) shares of trials."""
    names, unit = units_of_rows(data, columns)
    n = names.shape[0]
    hits, trials = summed(unit, share * weight, n), summed(unit, weight, n)
    mean, worth = _law(hits, trials)
    rate = (hits + worth * mean) / (trials + worth)
    return UnitRates(columns, names, np.log(rate / (1 - rate)), float(np.log(mean / (1 - mean))))


def units_of_rows(data: Encoded, columns: tuple[int, ...]) -> tuple[NDArray[np.int32], Ints]:
    """(n_units, n_columns) codes of each unit, and (n_rows,) unit of each row."""
    names, unit = np.unique(data.codes[:, columns], axis=0, return_inverse=True)
    return names.astype(np.int32), unit.astype(np.int64).ravel()


def trials_of_rows(data: Encoded, columns: tuple[int, ...], names: NDArray[np.int32], trials: Floats) -> Floats:
    """(n_rows,) trials of the rows' units, 0 for those without a name among (n_units, n_columns) `names`."""
    return _looked_up(data, columns, names, trials, 0.0)


def _looked_up(
    data: Encoded, columns: tuple[int, ...], names: NDArray[np.int32], numbers: Floats, otherwise: float
) -> Floats:
    if len(columns) == 1:  # codes are positions
        found = np.full(max(int(names.max(initial=0)), int(data.codes[:, columns[0]].max(initial=0))) + 1, otherwise)
        found[names[:, 0]] = numbers
        return found[data.codes[:, columns[0]]]
    rows = _table(data.codes[:, columns])
    joined = rows.join(_table(names).with_columns(z=numbers), on=rows.columns, how="left", maintain_order="left")
    return joined["z"].fill_null(otherwise).to_numpy()


def _law(hits: Floats, trials: Floats) -> tuple[float, float]:
    """Mean, and trials that it is worth, of the beta law of the units' rates."""
    some = (
        np.arange(hits.size) if hits.size <= UNITS_OF_LAW else np.linspace(0, hits.size - 1, UNITS_OF_LAW).astype(int)
    )
    won, lost = hits[some], np.maximum(trials - hits, 0.0)[some]
    pooled = float(np.clip((hits.sum() + 0.5) / (trials.sum() + 1.0), 1e-6, 1 - 1e-6))

    def loss(q: Floats) -> float:
        mean, worth = expit(q[0]), np.exp(q[1])
        a, b = worth * mean, worth * (1 - mean)
        return -float((betaln(won + a, lost + b) - betaln(a, b)).sum())

    level = float(np.log(pooled / (1 - pooled)))
    bounds = [(level - 2.0, level + 2.0), (np.log(0.5), np.log(1e5))]
    found = minimize(loss, np.array([level, np.log(20.0)]), method="L-BFGS-B", bounds=bounds)
    return float(expit(found.x[0])), float(np.exp(found.x[1]))


def _table(codes: NDArray[np.int32]) -> pl.DataFrame:
    return pl.DataFrame({f"c{k}": np.ascontiguousarray(codes[:, k]) for k in range(codes.shape[1])})
