"""Deals rows to folds, each of which is held out once: stretches of time, groups, or single rows."""

import numpy as np
from numpy.typing import NDArray

from domain.tables import Floats, Ints


def deal_folds(n: int, n_folds: int, group: NDArray[np.int64] | None, order: Floats | None, seed: int) -> Ints:
    """(n,) fold of each row: groups dealt at random with a fixed seed, else stretches of time, else rows so dealt."""
    if group is None and order is not None and np.unique(order).size >= n_folds:
        place = np.empty(n, np.int64)
        place[np.argsort(order, kind="stable")] = np.arange(n)
        cut = place * n_folds // n
        # rows of one instant stay together
        _, instant = np.unique(order, return_inverse=True)
        first = np.full(int(instant.max()) + 1, n_folds, np.int64)
        np.minimum.at(first, instant, cut)
        return first[instant]
    rng = np.random.default_rng(seed)
    if group is not None:
        names, index = np.unique(group, return_inverse=True)
        return (rng.permutation(names.size) % n_folds)[index]
    return rng.permutation(n) % n_folds


def split_words(n_folds: int, grouped: bool, timed: bool) -> str:
    """Words for how rows were held out."""
    if timed:
        return f"{n_folds} stretches of time, each held out once"
    return f"{n_folds} random folds of {'groups of rows' if grouped else 'rows'}, each held out once"
