"""Click and conversion rates from any log: logistic regression and LightGBM, blended and calibrated by cross-validation.

Rows are shares of trials (a click of one impression, 3 orders of 40 clicks), so single events and report rows go the
same road. Three models that err differently are fitted on each fold: ridge regression on one-hot categories and numbers,
and boosted trees on numbers and target statistics, with searched and with drawn thresholds. On the rows they have not
seen, ridge and numbers of trees are chosen, their log-odds are blended and calibrated. Then all are fitted on all rows.
Of reports, each unit's own rate, shrunk to the mean by a beta-binomial, is a fourth model.
All is deterministic.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from domain.errors import InsufficientHistory
from domain.tables import Floats
from predictors.calibration import PLATT
from predictors.columns import Columns
from predictors.features import ASKED, Encoder
from predictors.judging import judge
from predictors.logistic import Design
from predictors.rate_blend import cross_fit
from predictors.rate_folds import deal_folds, split_words
from predictors.rate_model import RateModel, Scores
from predictors.rate_reports import fit_report
from predictors.rate_spread import Spread
from predictors.rate_training import MANY_ROWS, Training
from predictors.rate_units import unit_columns, units_of_rows

#: Rows below which random folds are dealt once more, and once more.
REPEATED_BELOW = (12_000, 5_000)
#: Trials of an average unit from which its own rate is weighed.
TRIALS_OF_UNIT = 3.0
NO_SPREAD = Spread(0.0)


def fit_rate(
    frame: Columns,
    successes: Floats,
    trials: Floats,
    encoder: Encoder | None = None,
    group: NDArray[np.int64] | None = None,
    order: Floats | None = None,
    notes: Sequence[str] = (),
    thorough: bool = False,
) -> RateModel:
    """Model of successes / trials from the columns of a table.

    Parameters
    ----------
    successes, trials
        (n_rows,) counts; a row of a log has one trial. Rows without trials teach nothing.
    group
        (n_rows,) rows of one group are never on both sides of a fold (a unit's days, a user's impressions).
    order
        (n_rows,) time of each row: folds are then stretches of time.
    thorough
        Deal random folds of few rows more than once, for steadier choices, and let units' own rates (those of rows of the
        same categories) speak beside what models say of them.

    Raises `InsufficientHistory` where there is no trial at all.
    """
    used = np.flatnonzero(trials > 0)
    if not used.size:
        raise InsufficientHistory("no row of the log has a trial (an impression, a click); there is no rate to learn")
    share, weight = np.clip(successes[used] / trials[used], 0.0, 1.0), trials[used].astype(np.float64)
    total = float(share @ weight)
    # half a success at a plain rate keeps all-zero and all-one logs off the edge
    rate = (total + 0.5) / (float(weight.sum()) + 1.0)
    all_used = used.size == trials.size
    encoder = encoder if encoder is not None else Encoder.learn(frame)
    spare = tuple(notes) + tuple(
        f"column {name!r} is left out: {why}" for name, why in encoder.left_out.items() if why != ASKED
    )

    def constant(reason: str, scores: Scores | None = None, spread: Spread = NO_SPREAD) -> RateModel:
        unseen = np.where(trials > 0, rate, np.nan)
        words = (*spare, f"constant rate: {reason}")
        design = Design((), (), np.zeros(0), np.zeros((4, 0)))
        return RateModel(encoder, design, (), None, np.zeros(3), PLATT, rate, total, spread, scores, unseen, words)

    failures = float(weight.sum()) - total
    if total < 10 or failures < 10 or weight.sum() < 50 or used.size < 10:
        return constant(f"{used.size} rows with {total:.0f} successes and {failures:.0f} failures are too few to learn")
    if not encoder.roles:
        return constant("no column varies")
    group = None if group is None else group[used]
    order = None if order is None else order[used]
    n_folds = 3 if used.size >= MANY_ROWS else 5
    again = thorough and (order is None or group is not None) and used.size < MANY_ROWS
    repeats = 1 + sum(used.size < limit for limit in REPEATED_BELOW) * again
    folds = tuple(deal_folds(used.size, n_folds, group, order, 20240229 + r) for r in range(repeats))
    fold = folds[0]
    if np.unique(fold).size < 2 or any((share @ (weight * (fold != k))) < 5 for k in np.unique(fold)):
        return constant("the successes lie in too few groups to validate anything")
    data = encoder.apply(frame, None if all_used else used)
    if group is None and order is None and weight.sum() > 3 * weight.size and used.size < MANY_ROWS // n_folds:
        return fit_report(data, encoder, share, weight, rate, total, spare, constant, (used, trials.size), thorough)
    counted = thorough and group is None and weight.max() > 1.0 and used.size < MANY_ROWS
    units = unit_columns(data, always=False) if counted else ()
    if units and weight.sum() < TRIALS_OF_UNIT * units_of_rows(data, units)[0].shape[0]:
        units = ()
    work = Training(data, Design.learn(data), share, weight, folds, group, order, rate, total, thorough, units)
    model, z = cross_fit(work, encoder, spare, constant)
    seen = np.isfinite(z)
    unseen = np.full(trials.size, np.nan)
    unseen[used] = expit(z)
    check = judge(expit(z[seen]), share[seen], weight[seen], rate)
    timed = group is None and order is not None and np.unique(order).size >= n_folds
    split = split_words(np.unique(fold).size, group is not None, timed)
    return replace(model, unseen=unseen, split=split, check=check)
