"""Training rows of a rate as arrays, and the regressions and trees that are learned from some of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from domain.tables import Floats, Ints
from predictors.calibration import trial_loss
from predictors.features import Encoded
from predictors.logistic import Design, Logistic, fit_logistic
from predictors.rate_model import Member
from predictors.rate_units import UnitRates, fit_units
from predictors.trees import Trees, grow

RIDGES = (300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3)
#: Rows that a regression learns from, and that a fold's models are judged on, at most: beyond, more hardly teach more.
ROWS_TO_REGRESS, ROWS_TO_JUDGE = 200_000, 100_000
#: From so many rows on: three folds instead of five, one kind of trees, a short list of ridges, and the folds' models
#: are averaged instead of fitted anew on all rows.
MANY_ROWS = 200_000
#: Rows below which trees are grown from several seeds, to be averaged.
FEW_ROWS, SEEDS_OF_FEW = 30_000, 3
#: Half-lives that recency weights are chosen from, as shares of the rows.
HALF_LIVES = (0.5, 0.25, 0.12)


@dataclass(frozen=True, slots=True)
class Training:
    """Training rows as arrays; every array is (n_rows,)."""

    data: Encoded
    design: Design
    share: Floats
    weight: Floats
    folds: tuple[Ints, ...]
    group: NDArray[np.int64] | None
    order: Floats | None
    rate: float
    total: float
    thorough: bool
    #: Positions of the category columns whose units' own rates are weighed too; empty where they are not.
    units: tuple[int, ...] = ()
    #: Whether the trials of each row were dealt to the folds one by one.
    by_trial: bool = False

    def regress(self, rows: NDArray[np.intp], ridges: Sequence[float], rng: np.random.Generator) -> list[Logistic]:
        """Regressions from strong to weak ridge, each starting at the one before."""
        rows = at_most(rows, ROWS_TO_REGRESS, rng)
        matrix = self.design.matrix(self.data.take(rows))
        found, start = [], Logistic.constant(self.rate, self.design.n_columns)
        for ridge in ridges:
            start = fit_logistic(matrix, self.share[rows], self.weight[rows], ridge, start)
            found.append(start)
        return found

    def grow(
        self,
        rows: NDArray[np.intp],
        n_trees: int,
        drawn: bool,
        seed: int = 7,
        taught: NDArray[np.intp] | None = None,
    ) -> Trees:
        """Trees from some rows."""
        return grow(self.data, rows, self.share[rows], self.weight[rows], n_trees, drawn, seed, taught)


def rates_of_units(work: Training, rows: NDArray[np.intp]) -> UnitRates | None:
    """Units' own rates from some rows, where they are weighed."""
    if not work.units:
        return None
    return fit_units(work.data.take(rows), work.units, work.share[rows], work.weight[rows])


def fit_final(
    work: Training, ridges: Sequence[float], n_trees: Sequence[int], kinds: Sequence[bool], rng: np.random.Generator
) -> Member:
    """Model of all rows."""
    rows = np.arange(work.share.size)
    seeds = range(7, 7 + (SEEDS_OF_FEW if work.thorough and rows.size < FEW_ROWS else 1))
    trees = (tuple(work.grow(rows, n, drawn, seed) for seed in seeds) for n, drawn in zip(n_trees, kinds, strict=True))
    return Member(work.regress(rows, ridges, rng)[-1], tuple(trees), rates_of_units(work, rows))


def weigh_recent(work: Training, rng: np.random.Generator) -> tuple[Training, tuple[str, ...]]:
    """Older rows weigh less where that tells the last fifth of the time better, by more than the noise."""
    if work.order is None or work.share.size < 2000 or np.unique(work.order).size < 20:
        return work, ()
    place = np.argsort(np.argsort(work.order, kind="stable"), kind="stable") / work.share.size
    before, after = np.flatnonzero(place < 0.8), at_most(np.flatnonzero(place >= 0.8), ROWS_TO_JUDGE, rng)
    before = at_most(before, ROWS_TO_JUDGE, rng)
    if min(float(work.share[part] @ work.weight[part]) for part in (before, after)) < 30:
        return work, ()
    later = work.design.matrix(work.data.take(after))
    matrix = work.design.matrix(work.data.take(before))
    start = Logistic.constant(work.rate, work.design.n_columns)
    losses: dict[float, Floats] = {}
    for life in (np.inf, *HALF_LIVES):
        faded = work.weight[before] * 0.5 ** ((0.8 - place[before]) / life)
        start = fit_logistic(matrix, work.share[before], faded, 10.0, start)
        losses[life] = trial_loss(start.logits(later), work.share[after], work.weight[after])
    best = min(losses, key=lambda life: float(losses[life].sum()))
    gain = losses[np.inf] - losses[best]
    if best == np.inf or gain.sum() < np.sqrt(gain.size) * gain.std():
        return work, ()
    note = (
        f"recent rows weigh more: the weight halves every {best:.0%} of the rows, as the last fifth of them asked for"
    )
    return replace(work, weight=work.weight * 0.5 ** ((1.0 - place) / best)), (note,)


def at_most(rows: NDArray[np.intp], limit: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The rows, or a random choice of them in their order."""
    return rows if rows.size <= limit else np.sort(rng.choice(rows, limit, replace=False))


def total_loss(z: Floats, share: Floats, weight: Floats) -> float:
    """Log loss of all trials; infinite where a model was not tried."""
    return float(trial_loss(z, share, weight).sum()) if np.isfinite(z).all() else np.inf
