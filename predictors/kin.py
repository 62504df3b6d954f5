"""What a unit's kin have in common: the mean log rate of its category, its match type and the like.

    x_i = mu + sum_k a_k(i) + e_i,    a_k ~ N(0, tau_k^2),    e_i ~ N(0, sigma^2)

Group effects are shrunk (Henderson's mixed model, by backfitting), with tau_k learned by EM from the spread of the groups
themselves: a column that says nothing gets effects of nothing.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from domain.tables import Floats
from predictors.sums import summed

#: Rounds of backfitting, and groups beyond which a column is no kin but a name.
_ROUNDS, _MOST = 12, 0.34


def kin_mean(values: Floats, groups: Sequence[pl.Series]) -> Floats | None:
    """(n,) mean of each unit's kin; ``None`` where no column groups the units.

    Parameters
    ----------
    values
        (n,) what is averaged, natural logarithms.
    groups
        Columns (n,) of labels; null is a label of its own.
    """
    n = values.size
    codes = [c.rank("dense").fill_null(0).to_numpy().astype(np.int64) for c in groups]
    codes = [c - c.min() for c in codes if c.size]
    codes = [c for c in codes if 0 < c.max() < _MOST * n]
    if not codes:
        return None
    sizes = [int(c.max()) + 1 for c in codes]
    counts = [summed(c, np.ones(n), k) for c, k in zip(codes, sizes, strict=True)]
    total = float(values.var())
    if total <= 1e-12:
        return None
    tau = [0.25 * total] * len(codes)
    noise = 0.5 * total
    effects = [np.zeros(k) for k in sizes]
    mean = float(values.mean())
    for _ in range(_ROUNDS):
        for k, code in enumerate(codes):
            rest = values - mean - sum((effects[j][c] for j, c in enumerate(codes) if j != k), np.zeros(n))
            held = counts[k] / noise + 1 / tau[k]
            effects[k] = summed(code, rest, sizes[k]) / noise / held
            # a prior worth two groups of next to no effect
            tau[k] = max(float((effects[k] ** 2 + 1 / held).sum() + 2 * 0.01 * total) / (sizes[k] + 2), 1e-9)
        fitted = sum((effects[j][c] for j, c in enumerate(codes)), np.zeros(n))
        mean = float((values - fitted).mean())
        noise = max(float(((values - mean - fitted) ** 2).mean()), 1e-6)
    return mean + sum((effects[j][c] for j, c in enumerate(codes)), np.zeros(n))
