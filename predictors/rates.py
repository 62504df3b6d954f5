"""Click and conversion rates from any log: logistic regression and LightGBM, blended and calibrated by cross-validation.

Rows are shares of trials (a click of one impression, 3 orders of 40 clicks), so single events and report rows go the
same road. Three models that err differently are fitted on each fold: ridge regression on one-hot categories and numbers,
and boosted trees on numbers and target statistics, with searched and with drawn thresholds. On the rows they have not
seen, ridge and numbers of trees are chosen, their log-odds are blended and calibrated. Then all are fitted on all rows.
The blend is drawn towards the constant rate by what its gain on unseen rows leaves in doubt; where there is hardly a
gain, the constant rate is the model, and the reason says so. The band has three parts: the level, the spread over the folds' models (jackknife), and how far groups
of rows lie from their prediction beyond binomial noise. All is deterministic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from domain.errors import InsufficientHistory
from domain.tables import Floats, Ints
from predictors.calibration import PLATT, Calibration, blend_weights, choose_calibration, trial_loss
from predictors.columns import Columns
from predictors.features import ASKED, Encoded, Encoder
from predictors.judging import Judgement, judge
from predictors.logistic import Design, Logistic, fit_logistic
from predictors.sums import summed
from predictors.trees import TREES, Trees, grow

RIDGES = (300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3)
RIDGES_OF_MANY = (2, 5)  # positions: 30, 10 and 3
#: Rows that a regression learns from, and that a fold's models are judged on, at most: beyond, more hardly teach more.
ROWS_TO_REGRESS, ROWS_TO_JUDGE = 200_000, 100_000
#: From so many rows on: three folds instead of five, one kind of trees, a short list of ridges, and the folds' models
#: are averaged instead of fitted anew on all rows.
MANY_ROWS = 200_000
#: From so many rows on, a fold's trees learn from the fold after it alone: each row then teaches one model's trees.
ROWS_TO_GROW = 1_000_000
TREES_OF_MANY = (25, 50, 75, 100, 140)
#: Rows below which trees are grown from several seeds, to be averaged.
FEW_ROWS, SEEDS_OF_FEW = 30_000, 3
#: Rows below which random folds are dealt once more, and once more.
REPEATED_BELOW = (12_000, 5_000)
#: Half-lives that recency weights are chosen from, as shares of the rows.
HALF_LIVES = (0.5, 0.25, 0.12)
#: A blend that gains less than this times its noise is not taken; the rest is drawn towards the constant rate.
LEAST_GAIN, DOUBT = 0.5, 0.25
Z80 = 1.2815515655446004


@dataclass(frozen=True, slots=True)
class Member:
    """One regression, and trees of each kind; those of one kind are averaged."""

    logistic: Logistic
    trees: tuple[tuple[Trees, ...], ...]

    def logits(self, data: Encoded, design: Design) -> Floats:
        """(n_rows, 1 + n_kinds) log-odds by regression and by each kind of trees."""
        grown = [np.mean([trees.logits(data) for trees in kind], axis=0) for kind in self.trees]
        return np.stack([self.logistic.logits(design.matrix(data)), *grown], axis=1)


@dataclass(frozen=True, slots=True)
class Scores:
    """Mean log loss per trial on rows that a model had not seen."""

    constant: float
    logistic: float
    trees: float
    blend: float
    blend_gain_error: float
    ridge: float
    n_trees: tuple[int, ...]
    calibration: str
    trust: float


@dataclass(frozen=True, slots=True)
class RateModel:
    """A fitted rate.

    Attributes
    ----------
    encoder, design
        How rows become arrays.
    members
        Models of the folds, for the band; empty where the constant rate is the model.
    final
        Model of all rows; ``None`` where the mean of the members is the model.
    blend
        (1 + n_models,) level, and weight of each model.
    calibration
        What follows the blend.
    rate, evidence
        Constant rate of the training rows, and their successes.
    spread
        Standard deviation of log-odds among groups of rows that are predicted the same.
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
    design: Design
    members: tuple[Member, ...]
    final: Member | None
    blend: Floats
    calibration: Calibration
    rate: float
    evidence: float
    spread: float
    scores: Scores | None
    unseen: Floats
    notes: tuple[str, ...] = ()
    split: str = "nothing"
    check: Judgement | None = None

    @property
    def kind(self) -> str:
        """``blend`` or ``constant``."""
        return "blend" if self.members else "constant"

    def predict(self, frame: Columns) -> tuple[Floats, Floats, Floats]:
        """(n_rows,) mean rate, and its 80 % band."""
        variance = 1.0 / (self.evidence + 1.0) + self.spread**2
        if not self.members:
            centre = np.full(frame.height, np.log(self.rate / (1 - self.rate)))
            half = Z80 * np.sqrt(variance)
            return expit(centre), expit(centre - half), expit(centre + half)
        data = self.encoder.apply(frame)
        each = [self._blended(member, data) for member in self.members]
        folds = len(each)
        middle = np.mean(each, axis=0)
        variance = variance + (folds - 1) / folds * ((np.stack(each) - middle) ** 2).sum(0)
        centre = middle if self.final is None else self._blended(self.final, data)
        half = Z80 * np.sqrt(variance)
        return expit(centre), expit(centre - half), expit(centre + half)

    def _blended(self, member: Member, data: Encoded) -> Floats:
        return self.calibration(self.blend[0] + member.logits(data, self.design) @ self.blend[1:])


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
        Deal random folds of few rows more than once, for steadier choices.

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

    def constant(reason: str, scores: Scores | None = None, spread: float = 0.0) -> RateModel:
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
    folds = tuple(_folds(used.size, n_folds, group, order, 20240229 + r) for r in range(repeats))
    fold = folds[0]
    if np.unique(fold).size < 2 or any((share @ (weight * (fold != k))) < 5 for k in np.unique(fold)):
        return constant("the successes lie in too few groups to validate anything")
    data = encoder.apply(frame, None if all_used else used)
    if group is None and order is None and weight.sum() > 3 * weight.size and used.size < MANY_ROWS // n_folds:
        return _of_report(data, encoder, share, weight, rate, total, spare, constant, (used, trials.size))
    work = _Work(data, Design.learn(data), share, weight, folds, group, order, rate, total, thorough)
    model, z = _cross_fitted(work, encoder, spare, constant)
    seen = np.isfinite(z)
    unseen = np.full(trials.size, np.nan)
    unseen[used] = expit(z)
    check = judge(expit(z[seen]), share[seen], weight[seen], rate)
    timed = group is None and order is not None and np.unique(order).size >= n_folds
    split = _split(np.unique(fold).size, group is not None, timed)
    return replace(model, unseen=unseen, split=split, check=check)


def _of_report(
    data: Encoded,
    encoder: Encoder,
    share: Floats,
    weight: Floats,
    rate: float,
    total: float,
    notes: tuple[str, ...],
    constant: Callable[[str, Scores | None, float], RateModel],
    place: tuple[NDArray[np.intp], int],
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
    part = Encoded(data.numbers[row], data.codes[row], _repeated(data.tags, row, n), data.twice)
    work = _Work(
        part, Design.learn(part), (hits / np.maximum(tried, 1))[row, fold], tried[row, fold],
        (fold.astype(np.int64),), row.astype(np.int64), None, rate, total, thorough=True,
    )  # fmt: skip
    model, z = _cross_fitted(work, encoder, notes, constant)
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


@dataclass(frozen=True, slots=True)
class _Work:
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

    def regress(self, rows: NDArray[np.intp], ridges: Sequence[float], rng: np.random.Generator) -> list[Logistic]:
        """Regressions from strong to weak ridge, each starting at the one before."""
        rows = _at_most(rows, ROWS_TO_REGRESS, rng)
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


def _cross_fitted(
    work: _Work, encoder: Encoder, notes: tuple[str, ...], constant: Callable[[str, Scores | None, float], RateModel]
) -> tuple[RateModel, Floats]:
    """Model, and the log-odds of each row by what had not seen it."""
    n = work.share.size
    many = n >= MANY_ROWS
    counts = TREES_OF_MANY if many else TREES[:5] if n < 5000 else TREES
    kinds = (False,) if many else (False, True)
    rng = np.random.default_rng(5)
    work, recency = _recent(work, rng)
    rounds = [_held_out(work, work.folds[0], RIDGES_OF_MANY if many else (0, len(RIDGES)), counts, kinds, rng)]
    span, counts = rounds[0].span, rounds[0].counts
    rounds += [_held_out(work, fold, span, counts, kinds, rng) for fold in work.folds[1:]]
    judged = rounds[0].judged
    share, weight = work.share[judged], work.weight[judged]
    best_ridge = min(range(*span), key=lambda r: sum(_total(x.ridge[r], share, weight) for x in rounds))
    best_trees = [
        int(np.argmin([sum(_total(x.trees[kind, t], share, weight) for x in rounds) for t in range(len(counts))]))
        for kind in range(len(kinds))
    ]
    each = [
        np.stack([x.ridge[best_ridge], *(x.trees[kind, t] for kind, t in enumerate(best_trees))], axis=1)
        for x in rounds
    ]
    # what is told of the blend, and decides on it, was blended without the fold it is told of
    honest = np.mean(
        [_unseen_blend(z, share, weight, x.fold[judged]) for z, x in zip(each, rounds, strict=True)], axis=0
    )
    every, fold = np.mean(each, axis=0), work.folds[0][judged]
    plain = np.full(share.size, np.log(work.rate / (1 - work.rate)))
    gain = trial_loss(plain, share, weight) - trial_loss(honest, share, weight)
    trials = float(weight.sum())
    gained, noise = float(gain.sum()) / trials, float(np.sqrt(share.size * gain.var())) / trials
    trust = gained**2 / (gained**2 + DOUBT * noise**2) if gained > LEAST_GAIN * noise else 0.0
    calibration = choose_calibration(honest, share, weight, fold) if trust else PLATT
    scores = Scores(
        constant=_total(plain, share, weight) / trials,
        logistic=_total(every[:, 0], share, weight) / trials,
        trees=_total(every[:, 1:].mean(axis=1), share, weight) / trials,
        blend=_total(honest, share, weight) / trials,
        blend_gain_error=noise,
        ridge=RIDGES[best_ridge],
        n_trees=tuple(counts[t] for t in best_trees),
        calibration=calibration.kind,
        trust=trust,
    )
    unit = _units(work) if work.group is None else work.group

    def spread(rates: Floats) -> float:
        return _spread_of_groups(rates, share, weight, None if unit is None else unit[judged])

    if not trust:
        reason = f"on unseen rows the model gains {gained:.5f} of log loss, too little beside its noise of {noise:.5f}"
        return constant(reason, scores, spread(expit(plain))), _everywhere(plain, judged)
    blend = np.mean([blend_weights(z, share, weight) for z in each], axis=0)
    # the doubt draws log-odds towards those of the constant rate
    blend = np.concatenate([[blend[0] * trust + plain[0] * (1 - trust)], blend[1:] * trust])
    told = calibration(honest * trust + plain * (1 - trust))
    chosen = [counts[t] for t in best_trees]
    members = tuple(
        Member(found[best_ridge - span[0]], tuple((t.first(n),) for t, n in zip(trees, chosen, strict=True)))
        for found, trees in zip(rounds[0].regressions, rounds[0].grown, strict=True)
    )
    model = RateModel(
        encoder=encoder,
        design=work.design,
        members=members,
        final=None if many else _final(work, RIDGES[span[0] : best_ridge + 1], chosen, kinds, rng),
        blend=blend,
        calibration=calibration,
        rate=work.rate,
        evidence=work.total,
        spread=spread(expit(told)),
        scores=scores,
        unseen=np.zeros(0),
        notes=(*notes, *recency),
    )
    return model, _everywhere(told, judged)


@dataclass(frozen=True, slots=True)
class _Round:
    """Log-odds of judged rows by what had not seen their fold: ridge (n_ridges, n_judged), trees (n_kinds, n_counts, n_judged)."""

    fold: Ints
    ridge: Floats
    trees: Floats
    judged: NDArray[np.bool_]
    span: tuple[int, int]
    counts: tuple[int, ...]
    regressions: list[list[Logistic]]
    grown: list[list[Trees]]


def _held_out(
    work: _Work,
    fold: Ints,
    span: tuple[int, int],
    counts: tuple[int, ...],
    kinds: Sequence[bool],
    rng: np.random.Generator,
) -> _Round:
    """Hold each fold out once; the first fold drops ridges and numbers of trees that are out of the question."""
    n, (first, last) = work.share.size, span
    names = np.unique(fold)
    held = [_at_most(np.flatnonzero(fold == k), ROWS_TO_JUDGE, rng) for k in names]
    judged = np.zeros(n, np.bool_)
    judged[np.concatenate(held)] = True
    place = np.cumsum(judged) - 1
    z_ridge = np.full((len(RIDGES), int(judged.sum())), np.nan)
    z_trees = np.full((len(kinds), len(counts), int(judged.sum())), np.nan)
    regressions: list[list[Logistic]] = []
    grown: list[list[Trees]] = []
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
        if len(grown) == 1 and (last - first > 3 or n >= MANY_ROWS):
            share, weight = work.share[outside], work.weight[outside]
            best = int(np.argmin([_total(z[at], share, weight) for z in z_ridge]))
            first, last = (best, best + 1) if n >= MANY_ROWS else (max(best - 1, 0), min(best + 2, len(RIDGES)))
            regressions[0] = regressions[0][first - span[0] : last - span[0]]
            most = max(int(np.argmin([_total(z[at], share, weight) for z in kind])) for kind in z_trees)
            counts = counts[: most + 2]
    return _Round(fold, z_ridge, z_trees[:, : len(counts)], judged, (first, last), counts, regressions, grown)


def _unseen_blend(z: Floats, share: Floats, weight: Floats, fold: Ints) -> Floats:
    """Blended log-odds of each row, blended as the other folds ask for."""
    found = np.empty(share.size)
    for k in np.unique(fold):
        inside = fold != k
        part = blend_weights(z[inside], share[inside], weight[inside])
        found[~inside] = part[0] + z[~inside] @ part[1:]
    return found


def _final(
    work: _Work, ridges: Sequence[float], n_trees: Sequence[int], kinds: Sequence[bool], rng: np.random.Generator
) -> Member:
    """Model of all rows."""
    rows = np.arange(work.share.size)
    seeds = range(7, 7 + (SEEDS_OF_FEW if work.thorough and rows.size < FEW_ROWS else 1))
    trees = (tuple(work.grow(rows, n, drawn, seed) for seed in seeds) for n, drawn in zip(n_trees, kinds, strict=True))
    return Member(work.regress(rows, ridges, rng)[-1], tuple(trees))


def _recent(work: _Work, rng: np.random.Generator) -> tuple[_Work, tuple[str, ...]]:
    """Older rows weigh less where that tells the last fifth of the time better, by more than the noise."""
    if work.order is None or work.share.size < 2000 or np.unique(work.order).size < 20:
        return work, ()
    place = np.argsort(np.argsort(work.order, kind="stable"), kind="stable") / work.share.size
    before, after = np.flatnonzero(place < 0.8), _at_most(np.flatnonzero(place >= 0.8), ROWS_TO_JUDGE, rng)
    before = _at_most(before, ROWS_TO_JUDGE, rng)
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


def _units(work: _Work) -> NDArray[np.int64] | None:
    """(n_rows,) groups of rows of the same categories, where rows are those of a report; else ``None``."""
    codes = work.data.codes[:, ~work.data.twice]
    if work.weight.max(initial=0.0) <= 1.0 or not codes.shape[1] or work.share.size >= MANY_ROWS:
        return None
    return np.unique(codes, axis=0, return_inverse=True)[1].astype(np.int64).ravel()


def _spread_of_groups(rate: Floats, share: Floats, weight: Floats, group: NDArray[np.int64] | None) -> float:
    """Standard deviation of the log-odds of groups around their prediction, beyond binomial noise.

    A group's successes s vary by v + v^2 tau^2 around what was expected, v being their binomial variance.
    """
    if group is None:
        return 0.0
    _, place = np.unique(group, return_inverse=True)
    n = int(place.max(initial=0)) + 1
    off = summed(place, weight * (share - rate), n)
    noise = summed(place, weight * rate * (1 - rate), n)
    # large groups must not decide alone: each counts by what it can tell at a spread of one half
    worth = 1.0 / (1.0 + 0.25 * noise) ** 2
    found = float((worth * (off**2 - noise)).sum() / max(float((worth * noise**2).sum()), 1e-12))
    return float(np.sqrt(np.clip(found, 0.0, 4.0)))


def _at_most(rows: NDArray[np.intp], limit: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The rows, or a random choice of them in their order."""
    return rows if rows.size <= limit else np.sort(rng.choice(rows, limit, replace=False))


def _everywhere(z: Floats, judged: NDArray[np.bool_]) -> Floats:
    """Numbers of judged rows among all rows; NaN elsewhere."""
    every = np.full(judged.size, np.nan)
    every[judged] = z
    return every


def _total(z: Floats, share: Floats, weight: Floats) -> float:
    """Log loss of all trials; infinite where a model was not tried."""
    return float(trial_loss(z, share, weight).sum()) if np.isfinite(z).all() else np.inf


def _folds(n: int, n_folds: int, group: NDArray[np.int64] | None, order: Floats | None, seed: int) -> Ints:
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


def _split(n_folds: int, grouped: bool, timed: bool) -> str:
    """Words for how rows were held out."""
    if timed:
        return f"{n_folds} stretches of time, each held out once"
    return f"{n_folds} random folds of {'groups of rows' if grouped else 'rows'}, each held out once"
