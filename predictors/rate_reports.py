"""Rates of rows of many trials each: trials are dealt to the folds one by one, so that each row is on both sides."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from domain.tables import Floats
from predictors.features import Encoded, Encoder
from predictors.judging import judge
from predictors.logistic import Design
from predictors.rate_blend import cross_fit
from predictors.rate_model import RateModel, Scores
from predictors.rate_spread import Spread
from predictors.rate_training import Training
from predictors.rate_units import unit_columns
from predictors.sums import summed


def fit_report(
    data: Encoded,
    encoder: Encoder,
    share: Floats,
    weight: Floats,
    rate: float,
    total: float,
    notes: tuple[str, ...],
    constant: Callable[[str, Scores | None, Spread], RateModel],
    place: tuple[NDArray[np.intp], int],
    own: bool,
) -> RateModel:
    """Model of rows of many trials each, which are dealt to the folds one by one.

    So each row (a target, say) is on both sides, as it will be when its next trials are predicted.
    """
    rng = np.random.default_rng(20240229)
    n_folds, n = 5, share.size
    deal = np.full(n_folds, 1.0 / n_folds)
    hits = rng.multinomial(np.rint(share * weight).astype(np.int64), deal)
    misses = rng.multinomial(np.rint((1 - share) * weight).astype(np.int64), deal)
    tried = (hits + misses).astype(np.float64)
    row, fold = np.nonzero(tried)
    part = Encoded(data.numbers[row], data.codes[row], _repeated(data.tags, row, n), data.twice, data.named)
    units = unit_columns(data, always=True) if own else ()
    work = Training(
        part, Design.learn(part), (hits / np.maximum(tried, 1))[row, fold], tried[row, fold],
        (fold.astype(np.int64),), row.astype(np.int64), None, rate, total, thorough=True, units=units, by_trial=True,
    )  # fmt: skip
    model, z = cross_fit(work, encoder, notes, constant)
    # a row's rate is the mean over its parts
    seen = np.isfinite(z)
    parts = work.weight[seen]
    mean = summed(row[seen], expit(z[seen]) * parts, n) / np.maximum(summed(row[seen], parts, n), 1e-300)
    unseen = np.full(place[1], np.nan)
    unseen[place[0]] = mean
    check = judge(expit(z[seen]), work.share[seen], parts, rate)
    return replace(model, unseen=unseen, split=f"{n_folds} random folds of trials, each held out once", check=check)


def _repeated(
    tags: tuple[tuple[NDArray[np.int32], NDArray[np.int32]], ...], row: NDArray[np.intp], n: int
) -> tuple[tuple[NDArray[np.int32], NDArray[np.int32]], ...]:
    """Tags of rows that occur several times."""
    found = []
    for at, code in tags:
        of_row = [code[at == r] for r in range(n)]
        found.append(
            (
                np.repeat(np.arange(row.size, dtype=np.int32), [of_row[r].size for r in row]),
                np.concatenate([of_row[r] for r in row]) if row.size else code[:0],
            )
        )
    return tuple(found)
