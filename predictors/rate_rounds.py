"""Holds each fold out once from regressions of several ridges and trees of several numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.tables import Floats, Ints
from predictors.logistic import Logistic
from predictors.rate_training import MANY_ROWS, RIDGES, ROWS_TO_JUDGE, Training, at_most, rates_of_units, total_loss
from predictors.rate_units import UnitRates
from predictors.trees import Trees

#: From so many rows on, a fold's trees learn from the fold after it alone: each row then teaches one model's trees.
ROWS_TO_GROW = 1_000_000


@dataclass(frozen=True, slots=True)
class Round:
    """Log-odds of judged rows by what had not seen their fold, and the models that said so, of each fold.

    ridge (n_ridges, n_judged), trees (n_kinds, n_counts, n_judged), own (n_judged,) of units, where they are weighed.
    """

    fold: Ints
    ridge: Floats
    trees: Floats
    own: Floats | None
    judged: NDArray[np.bool_]
    span: tuple[int, int]
    counts: tuple[int, ...]
    regressions: list[list[Logistic]]
    grown: list[list[Trees]]
    units: list[UnitRates | None]


def hold_out(
    work: Training,
    fold: Ints,
    span: tuple[int, int],
    counts: tuple[int, ...],
    kinds: Sequence[bool],
    rng: np.random.Generator,
) -> Round:
    """Hold each fold out once; the first fold drops ridges and numbers of trees that are out of the question."""
    n, (first, last) = work.share.size, span
    names = np.unique(fold)
    held = [at_most(np.flatnonzero(fold == k), ROWS_TO_JUDGE, rng) for k in names]
    judged = np.zeros(n, np.bool_)
    judged[np.concatenate(held)] = True
    place = np.cumsum(judged) - 1
    z_ridge = np.full((len(RIDGES), int(judged.sum())), np.nan)
    z_trees = np.full((len(kinds), len(counts), int(judged.sum())), np.nan)
    z_own = np.full(int(judged.sum()), np.nan) if work.units else None
    regressions: list[list[Logistic]] = []
    grown: list[list[Trees]] = []
    units: list[UnitRates | None] = []
    for k, outside in zip(names, held, strict=True):
        inside, at = np.flatnonzero(fold != k), place[outside]
        after = names[(np.searchsorted(names, k) + 1) % names.size]
        taught = np.flatnonzero(fold[inside] == after) if inside.size >= ROWS_TO_GROW else None
        judge_data = work.data.take(outside)
        matrix = work.design.matrix(judge_data)
        regressions.append(work.regress(inside, RIDGES[first:last], rng))
        for r, found in enumerate(regressions[-1], start=first):
            z_ridge[r, at] = found.logits(matrix)
        grown.append([work.grow(inside, counts[-1], drawn, taught=taught) for drawn in kinds])
        for kind, trees in enumerate(grown[-1]):
            for t, z in enumerate(trees.staged(judge_data, counts)):
                z_trees[kind, t, at] = z
        units.append(rates_of_units(work, inside))
        if z_own is not None and units[-1] is not None:
            z_own[at] = units[-1].logits(judge_data)
        if len(grown) == 1 and (last - first > 3 or n >= MANY_ROWS):
            share, weight = work.share[outside], work.weight[outside]
            best = int(np.argmin([total_loss(z[at], share, weight) for z in z_ridge]))
            first, last = (best, best + 1) if n >= MANY_ROWS else (max(best - 1, 0), min(best + 2, len(RIDGES)))
            regressions[0] = regressions[0][first - span[0] : last - span[0]]
            most = max(int(np.argmin([total_loss(z[at], share, weight) for z in kind])) for kind in z_trees)
            counts = counts[: most + 2]
    z_trees = z_trees[:, : len(counts)]
    return Round(fold, z_ridge, z_trees, z_own, judged, (first, last), counts, regressions, grown, units)
