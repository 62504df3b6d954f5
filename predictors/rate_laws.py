"""Which levels of a training table have a spread of their own, and what is learned of it: see `rate_spread`."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from domain.tables import Floats, Ints
from predictors.rate_spread import Law, Spread, learn_drift, learn_spread, spread_of_groups
from predictors.rate_training import MANY_ROWS, Training
from predictors.rate_units import unit_columns, units_of_rows
from predictors.sums import summed

#: Chance that levels of a column differ at all below which it has no law.
LEAST_CHANCE = 0.05
#: Share of rows without a known category from which on these count as a category of their own.
MANY_OTHERS = 0.2


def spread_of(work: Training, judged: NDArray[np.bool_], rate: Floats, follows: bool) -> Spread:
    """What is learned of `judged` rows and the (n_judged,) rates that were predicted of them unseen.

    `follows`: whether the model follows single levels; the constant rate does not.
    """
    share, weight, fold = work.share[judged], work.weight[judged], work.folds[0]
    drift = 0.0 if work.order is None else learn_drift(rate, share, weight, fold[judged])
    apart = work.group is not None and not work.by_trial  # groups that are not met again
    sd = spread_of_groups(rate, share, weight, work.group[judged]) if apart and work.group is not None else 0.0
    reports = work.weight.max(initial=0.0) > 1.0 and work.share.size < MANY_ROWS
    units = work.by_trial or (reports and not apart)
    laws = []
    for columns in _levels(work, units):
        names, level, first = _named(work, columns)
        n, n_folds = names.shape[0], int(fold.max(initial=0)) + 1
        trials = summed(level, work.weight, n)
        trials[:first] = 0.0
        mine = judged.copy()
        mine[judged] = level[judged] >= first
        if not mine.any():
            continue
        part = level * n_folds + fold
        others = trials[level[mine]] - summed(part, work.weight, n * n_folds)[part[mine]] if follows else None
        parts = (part if follows else level)[mine]
        told = mine[judged]
        sd_of, counts, evidence = learn_spread(rate[told], share[told], weight[told], parts, others)
        # units of reports differ; whether levels of one column of many do is to be shown, and is as likely as not before
        chance = 1.0 if units else float(expit(evidence))
        if chance > LEAST_CHANCE:
            laws.append(Law(float(sd_of * np.sqrt(chance)), counts, columns, names, trials))
    if not follows:  # no column tells the constant rate's rows apart
        return Spread(max([sd, *(law.sd for law in laws)]), drift)
    return Spread(sd, drift, tuple(laws))


def _levels(work: Training, units: bool) -> list[tuple[int, ...]]:
    """Columns whose codes name levels: together a unit of a report, each of its own else."""
    if units:
        columns = unit_columns(work.data, always=work.by_trial)
        return [columns] if columns else []
    return [(int(c),) for c in np.flatnonzero(work.data.named)]


def _named(work: Training, columns: tuple[int, ...]) -> tuple[NDArray[np.int32], Ints, int]:
    """(n_levels, n_columns) codes of the levels, (n_rows,) level of each row, and the first level that is one."""
    if len(columns) != 1:
        return *units_of_rows(work.data, columns), 0
    codes = work.data.codes[:, columns[0]].astype(np.int64)
    # rare and missing categories share a code: few of them are as good as never seen
    first = 0 if np.count_nonzero(codes == 0) > MANY_OTHERS * codes.size else 1
    return np.arange(int(codes.max(initial=0)) + 1, dtype=np.int32)[:, None], codes, first
