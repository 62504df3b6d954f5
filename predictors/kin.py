"""What a unit's kin have in common: the mean log rate of its category, its match type and the like.

    x_i = mu + sum_k a_k(i) + e_i,    a_k ~ N(0, tau_k^2),    e_i ~ N(0, sigma^2)

Group effects are shrunk (Henderson's mixed model, by backfitting), with tau_k learned by EM from the spread of the groups
themselves: a column that says nothing gets effects of nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from domain.tables import Floats, Ints
from predictors.sums import summed

#: Rounds of backfitting, and groups beyond which a column is no kin but a name.
_ROUNDS, _MOST = 12, 0.34
#: Degrees of freedom of the weights: single forecasts far off move their kin little.
FREEDOM = 4.0


@dataclass(frozen=True, slots=True)
class Kin:
    """What units have in common with those of the same groups.

    Attributes
    ----------
    mean
        (n_units,) mean of each unit's kin.
    group
        For each column that groups the units, (n_units,) the position of the unit's group.
    sd
        For each of these, (n_groups,) standard error of what the group makes of the mean.
    """

    mean: Floats
    group: tuple[Ints, ...]
    sd: tuple[Floats, ...]

    def some(self, chosen: slice) -> "Kin":
        """Of some units."""
        return Kin(self.mean[chosen], tuple(g[chosen] for g in self.group), self.sd)


def kin_of(values: Floats, groups: Sequence[pl.Series]) -> Kin | None:
    """Kin of each unit; ``None`` where no column groups the units.

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
    trust = np.ones(n)
    total = float(values.var())
    if total <= 1e-12:
        return None
    tau = [0.25 * total] * len(codes)
    noise = 0.5 * total
    effects = [np.zeros(k) for k in sizes]
    held = [np.ones(k) for k in sizes]
    mean, fitted = float(values.mean()), np.zeros(n)
    for _ in range(_ROUNDS):
        for k, code in enumerate(codes):
            rest = values - mean - sum((effects[j][c] for j, c in enumerate(codes) if j != k), np.zeros(n))
            held[k] = summed(code, trust, sizes[k]) / noise + 1 / tau[k]
            effects[k] = summed(code, trust * rest, sizes[k]) / noise / held[k]
            # a prior worth two groups of next to no effect
            tau[k] = max(float((effects[k] ** 2 + 1 / held[k]).sum() + 2 * 0.01 * total) / (sizes[k] + 2), 1e-9)
        fitted = sum((effects[j][c] for j, c in enumerate(codes)), np.zeros(n))
        mean = float(np.average(values - fitted, weights=trust))
        square = (values - mean - fitted) ** 2
        noise = max(float((trust * square).mean()), 1e-6)
        trust = (FREEDOM + 1) / (FREEDOM + square / noise)
    return Kin(mean + fitted, tuple(codes), tuple(1 / np.sqrt(h) for h in held))
