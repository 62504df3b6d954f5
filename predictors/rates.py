"""Click and conversion rates from any log: logistic regression and LightGBM, blended and calibrated by cross-validation.

Rows are shares of trials (a click of one impression, 3 orders of 40 clicks), so single events and report rows go the
same road. Two models that err differently are fitted on each of five folds: ridge regression on one-hot categories,
and LightGBM on numbers and target statistics (each category's own rate, shrunk, from other folds). On the rows they
have not seen, ridge and number of trees are chosen, and one small regression blends and calibrates their log-odds
(Platt): logit p = a + b1 z1 + b2 z2, b >= 0. Where the blend does not beat the constant rate on unseen rows by more
than its noise, the constant rate is the model, and the reason says so. The prediction is the mean over the folds'
models; their spread is the band (jackknife over folds). All is deterministic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from domain.errors import InsufficientHistory
from domain.tables import Bools, Floats, Ints
from predictors.features import Encoded, Encoder
from predictors.judging import Judgement, judge
from predictors.logistic import Logistic, OneHot, fit_logistic
from predictors.sums import summed

RIDGES = (100.0, 30.0, 10.0, 3.0, 1.0)
TREES = (25, 50, 100, 150, 200, 300)
#: Rows that a fold's models learn from and are judged on, at most: beyond that more rows hardly teach more.
ROWS_TO_LEARN, ROWS_TO_JUDGE = 200_000, 60_000
#: Trials that a category's own rate is shrunk by.
STATISTIC_WORTH = 20.0
Z80 = 1.2815515655446004
_TREE_SETTINGS = {
    "objective": "cross_entropy",
    "learning_rate": 0.05,
    "num_leaves": 12,
    "min_data_in_leaf": 20,
    "min_sum_hessian_in_leaf": 1.0,
    "lambda_l2": 10.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "max_bin": 63,
    "seed": 7,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


@dataclass(frozen=True, slots=True)
class Member:
    """Models of one fold: regression, trees (LightGBM's text) and the statistics of each category column."""

    logistic: Logistic
    trees: str
    statistics: tuple[Floats, ...]


@dataclass(frozen=True, slots=True)
class Scores:
    """Mean log loss per trial on rows that a model had not seen."""

    constant: float
    logistic: float
    trees: float
    blend: float
    blend_gain_error: float


@dataclass(frozen=True, slots=True)
class RateModel:
    """A fitted rate.

    Attributes
    ----------
    encoder, one_hot
        How rows become arrays.
    members
        Models of the folds; empty where the constant rate is the model.
    blend
        (3,) a, b1, b2.
    rate, evidence
        Constant rate of the training rows, and their successes.
    scores
        What cross-validation said; ``None`` where nothing could be validated.
    unseen
        (n_training_rows,) rate of each training row by the models that had not seen it; NaN for rows without trials.
    notes
        What a person should know: fallbacks, columns left out, leaks.
    split
        How rows were held out.
    check
        How the rates of `unseen` did.
    """

    encoder: Encoder
    one_hot: OneHot
    members: tuple[Member, ...]
    blend: Floats
    rate: float
    evidence: float
    scores: Scores | None
    unseen: Floats
    notes: tuple[str, ...] = ()
    split: str = "nothing"
    check: Judgement | None = None
    _boosters: dict[int, lgb.Booster] = field(default_factory=dict[int, lgb.Booster], compare=False, repr=False)

    @property
    def kind(self) -> str:
        """``blend`` or ``constant``."""
        return "blend" if self.members else "constant"

    def predict(self, frame: pl.DataFrame) -> tuple[Floats, Floats, Floats]:
        """(n_rows,) mean rate, and its 80 % band."""
        level_sd = 1.0 / np.sqrt(self.evidence + 1.0)
        if not self.members:
            centre = np.full(frame.height, np.log(self.rate / (1 - self.rate)))
            return expit(centre), expit(centre - Z80 * level_sd), expit(centre + Z80 * level_sd)
        data = self.encoder.apply(frame)
        matrix = self.one_hot.matrix(data)
        logits = np.stack(
            [
                self.blend[0] + self.blend[1] * m.logistic.logits(matrix) + self.blend[2] * self._trees(k, data)
                for k, m in enumerate(self.members)
            ]
        )
        centre, folds = logits.mean(0), len(self.members)
        spread = np.sqrt((folds - 1) / folds * ((logits - centre) ** 2).sum(0) + level_sd**2)
        return expit(centre), expit(centre - Z80 * spread), expit(centre + Z80 * spread)

    def _trees(self, k: int, data: Encoded) -> Floats:
        if k not in self._boosters:
            self._boosters[k] = lgb.Booster(model_str=self.members[k].trees)
        return _raw(self._boosters[k], _tree_columns(data, self.members[k].statistics))


def fit_rate(
    frame: pl.DataFrame,
    successes: Floats,
    trials: Floats,
    encoder: Encoder | None = None,
    group: NDArray[np.int64] | None = None,
    order: Floats | None = None,
    n_folds: int = 5,
    notes: Sequence[str] = (),
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

    Raises `InsufficientHistory` where there is no trial at all.
    """
    used = np.flatnonzero(trials > 0)
    if not used.size:
        raise InsufficientHistory("no row of the log has a trial (an impression, a click); there is no rate to learn")
    share, weight = np.clip(successes[used] / trials[used], 0.0, 1.0), trials[used].astype(np.float64)
    total = float(share @ weight)
    # half a success at a plain rate keeps all-zero and all-one logs off the edge
    rate = (total + 0.5) / (float(weight.sum()) + 1.0)
    frame = frame[used]
    encoder = encoder if encoder is not None else Encoder.learn(frame)
    data = encoder.apply(frame)
    one_hot = OneHot.learn(data)
    spare = tuple(notes) + tuple(f"column {name!r} is left out: {why}" for name, why in encoder.left_out.items())

    def constant(reason: str, scores: Scores | None = None) -> RateModel:
        unseen = np.where(trials > 0, rate, np.nan)
        words = (*spare, f"constant rate: {reason}")
        return RateModel(encoder, one_hot, (), np.zeros(3), rate, total, scores, unseen, words)

    failures = float(weight.sum()) - total
    if total < 10 or failures < 10 or used.size < 50:
        return constant(f"{used.size} rows with {total:.0f} successes and {failures:.0f} failures are too few to learn")
    if not encoder.roles:
        return constant("no column varies")
    fold = _folds(used.size, n_folds, None if group is None else group[used], None if order is None else order[used])
    if np.unique(fold).size < 2 or any((share @ (weight * (fold != k))) < 5 for k in np.unique(fold)):
        return constant("the successes lie in too few groups to validate anything")
    model, z = _cross_fitted(data, one_hot, share, weight, fold, encoder, rate, total, spare, constant)
    unseen = np.full(trials.size, np.nan)
    unseen[used] = expit(z)
    seen = np.isfinite(z)
    check = judge(unseen[used][seen], share[seen], weight[seen], rate)
    return replace(model, unseen=unseen, split=_split(np.unique(fold).size, group, order), check=check)


def _split(n_folds: int, group: NDArray[np.int64] | None, order: Floats | None) -> str:
    """Words for how rows were held out."""
    if order is not None and np.unique(order).size >= n_folds:
        return f"{n_folds} stretches of time, each held out once"
    what = "rows" if group is None else "groups of rows"
    return f"{n_folds} random folds of {what}, each held out once"


def _cross_fitted(
    data: Encoded,
    one_hot: OneHot,
    share: Floats,
    weight: Floats,
    fold: Ints,
    encoder: Encoder,
    rate: float,
    total: float,
    notes: tuple[str, ...],
    constant: Callable[[str, Scores | None], RateModel],
) -> tuple[RateModel, Floats]:
    """Model, and the log-odds of each row by what had not seen it."""
    folds = np.unique(fold)
    z_ridge = np.full((len(RIDGES), share.size), np.nan)
    z_trees = np.full((len(TREES), share.size), np.nan)
    regressions: list[list[Logistic]] = []
    boosters: list[lgb.Booster] = []
    statistics: list[tuple[Floats, ...]] = []
    candidates = list(range(len(RIDGES)))
    rng = np.random.default_rng(5)
    judged = np.zeros(share.size, np.bool_)
    for k in folds:
        inside = _at_most(np.flatnonzero(fold != k), ROWS_TO_LEARN, rng)
        outside = _at_most(np.flatnonzero(fold == k), ROWS_TO_JUDGE, rng)
        judged[outside] = True
        learn, judge = data.take(inside), data.take(outside)
        learn_matrix, judge_matrix = one_hot.matrix(learn), one_hot.matrix(judge)
        found: list[Logistic] = []
        start = Logistic.constant(rate, one_hot.n_columns)
        for r, ridge in enumerate(RIDGES):
            if r in candidates:
                start = fit_logistic(learn_matrix, share[inside], weight[inside], ridge, start)
                z_ridge[r, outside] = start.logits(judge_matrix)
            found.append(start)
        regressions.append(found)
        if len(regressions) == 2 and share.size > 20_000:
            # on large logs two folds are enough to choose the ridge
            losses = [_loss(z[judged], share[judged], weight[judged]).sum() for z in z_ridge]
            candidates = [int(np.argmin(losses))]
        booster, tables = _boost(learn, share[inside], weight[inside])
        columns = _tree_columns(judge, tables)
        for t, trees in enumerate(TREES):
            z_trees[t, outside] = _raw(booster, columns, trees)
        boosters.append(booster)
        statistics.append(tables)
    z_ridge, z_trees, share, weight = z_ridge[:, judged], z_trees[:, judged], share[judged], weight[judged]
    best_ridge = min(candidates, key=lambda r: _loss(z_ridge[r], share, weight).sum())
    best_trees = int(np.argmin([_loss(z, share, weight).sum() for z in z_trees]))
    z1, z2 = z_ridge[best_ridge], z_trees[best_trees]
    blend = _blend(z1, z2, share, weight)
    z = blend[0] + blend[1] * z1 + blend[2] * z2
    trials = weight.sum()
    plain = np.full(share.size, np.log(rate / (1 - rate)))
    gain = _loss(plain, share, weight) - _loss(z, share, weight)
    error = float(np.sqrt(share.size * gain.var()) / trials)
    scores = Scores(
        constant=float(_loss(plain, share, weight).sum() / trials),
        logistic=float(_loss(z1, share, weight).sum() / trials),
        trees=float(_loss(z2, share, weight).sum() / trials),
        blend=float(_loss(z, share, weight).sum() / trials),
        blend_gain_error=error,
    )
    if gain.sum() / trials < error:
        gained = gain.sum() / trials
        reason = f"on unseen rows the model gains {gained:.5f} of log loss, less than its noise of {error:.5f}"
        return constant(reason, scores), _spread(plain, judged)
    members = tuple(
        Member(regressions[i][best_ridge], boosters[i].model_to_string(num_iteration=TREES[best_trees]), statistics[i])
        for i in range(folds.size)
    )
    return RateModel(encoder, one_hot, members, blend, rate, total, scores, np.zeros(0), notes), _spread(z, judged)


def _at_most(rows: NDArray[np.intp], limit: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The rows, or a random choice of them in their order."""
    return rows if rows.size <= limit else np.sort(rng.choice(rows, limit, replace=False))


def _spread(z: Floats, judged: Bools) -> Floats:
    """Numbers of judged rows among all rows; NaN elsewhere."""
    everywhere = np.full(judged.size, np.nan)
    everywhere[judged] = z
    return everywhere


def _folds(n: int, n_folds: int, group: NDArray[np.int64] | None, order: Floats | None) -> Ints:
    """(n,) fold of each row: stretches of time, else groups or rows dealt at random with a fixed seed."""
    if order is not None and np.unique(order).size >= n_folds:
        place = np.empty(n, np.int64)
        place[np.argsort(order, kind="stable")] = np.arange(n)
        cut = place * n_folds // n
        # rows of one instant stay together
        _, instant = np.unique(order, return_inverse=True)
        first = np.full(int(instant.max()) + 1, n_folds, np.int64)
        np.minimum.at(first, instant, cut)
        return first[instant]
    rng = np.random.default_rng(20240229)
    if group is not None:
        names, index = np.unique(group, return_inverse=True)
        return (rng.permutation(names.size) % n_folds)[index]
    return rng.permutation(n) % n_folds


def _loss(z: Floats, share: Floats, weight: Floats) -> Floats:
    """(n_rows,) log loss of all trials of each row."""
    return weight * (np.logaddexp(0.0, z) - share * z)


def _blend(z1: Floats, z2: Floats, share: Floats, weight: Floats) -> Floats:
    """a, b1, b2: the two models weigh half each until the rows say otherwise."""

    def loss(b: Floats) -> tuple[float, Floats]:
        z = b[0] + b[1] * z1 + b[2] * z2
        pull = weight * (expit(z) - share)
        value = _loss(z, share, weight).sum() + 8 * ((b[1] - 0.5) ** 2 + (b[2] - 0.5) ** 2) + 5 * b[0] ** 2
        slope = np.array([pull.sum() + 10 * b[0], pull @ z1 + 16 * (b[1] - 0.5), pull @ z2 + 16 * (b[2] - 0.5)])
        return float(value), slope

    start = np.array([0.0, 0.5, 0.5])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-3, 3), (0, 3), (0, 3)])
    return np.asarray(found.x, np.float64)


def _statistics(data: Encoded, share: Floats, weight: Floats) -> tuple[Floats, ...]:
    """Shrunk log-odds of every code of every category column."""
    mean = (share @ weight + 0.5) / (weight.sum() + 1.0)
    tables = []
    for c in range(data.codes.shape[1]):
        codes = data.codes[:, c]
        n = int(codes.max(initial=0)) + 1
        tables.append(_log_odds(summed(codes, share * weight, n), summed(codes, weight, n), float(mean)))
    return tuple(tables)


def _log_odds(hits: Floats, trials: Floats, mean: float) -> Floats:
    p = (hits + STATISTIC_WORTH * mean) / (trials + STATISTIC_WORTH)
    return np.log(p / (1 - p))


def _boost(data: Encoded, share: Floats, weight: Floats) -> tuple[lgb.Booster, tuple[Floats, ...]]:
    """Trees on numbers and target statistics; each training row sees statistics of the other rows only."""
    tables = _statistics(data, share, weight)
    mean = float((share @ weight + 0.5) / (weight.sum() + 1.0))
    part = np.random.default_rng(11).permutation(share.size) % 4
    columns = _tree_columns(data, tables)
    n_numbers = data.numbers.shape[1]
    for c, table in enumerate(tables):
        codes, n = data.codes[:, c], table.size
        hits, trials = summed(codes, share * weight, n), summed(codes, weight, n)
        for p in range(4):
            mine = part == p
            own = codes[mine]
            less_hits = hits - summed(own, (share * weight)[mine], n)
            less_trials = trials - summed(own, weight[mine], n)
            columns[mine, n_numbers + c] = _log_odds(less_hits, less_trials, mean)[own]
    train = lgb.Dataset(columns, label=share, weight=weight, free_raw_data=True)
    return lgb.train(dict(_TREE_SETTINGS), train, num_boost_round=TREES[-1]), tables


def _tree_columns(data: Encoded, tables: tuple[Floats, ...]) -> NDArray[np.float32]:
    columns = [data.numbers]
    for c, table in enumerate(tables):
        codes = data.codes[:, c]
        known = codes < table.size
        columns.append(np.where(known, table[np.minimum(codes, table.size - 1)], table[0])[:, None].astype(np.float32))
    return np.concatenate(columns, axis=1)


def _raw(booster: lgb.Booster, columns: NDArray[np.float32], trees: int | None = None) -> Floats:
    return np.asarray(booster.predict(columns, raw_score=True, num_iteration=trees, num_threads=1), np.float64)
