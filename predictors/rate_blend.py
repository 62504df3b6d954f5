"""Chooses, blends and calibrates the models of a rate by what they say of rows that they have not seen.

The blend is drawn towards the constant rate by what its gain on unseen rows leaves in doubt; where there is hardly a
gain, the constant rate is the model, and the reason says so. Where trials of each row were dealt to the folds one by one,
units' own shrunk rates take the place of the constant rate if they are better.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from domain.tables import Floats, Ints
from predictors.calibration import PLATT, blend_weights, choose_calibration, trial_loss
from predictors.features import Encoder
from predictors.rate_laws import spread_of
from predictors.rate_model import Member, RateModel, Scores
from predictors.rate_rounds import hold_out
from predictors.rate_spread import Spread
from predictors.rate_training import MANY_ROWS, RIDGES, Training, fit_final, total_loss, weigh_recent
from predictors.trees import TREES

RIDGES_OF_MANY = (2, 5)  # positions: 30, 10 and 3
TREES_OF_MANY = (25, 50, 75, 100, 140)
#: A blend that gains less than this times its noise is not taken; the rest is drawn towards the constant rate.
LEAST_GAIN, DOUBT = 0.5, 0.25


def cross_fit(
    work: Training,
    encoder: Encoder,
    notes: tuple[str, ...],
    constant: Callable[[str, Scores | None, Spread], RateModel],
) -> tuple[RateModel, Floats]:
    """Model, and the log-odds of each row by what had not seen it."""
    n = work.share.size
    many = n >= MANY_ROWS
    counts = TREES_OF_MANY if many else TREES[:5] if n < 5000 else TREES
    kinds = (False,) if many else (False, True)
    rng = np.random.default_rng(5)
    work, recency = weigh_recent(work, rng)
    rounds = [hold_out(work, work.folds[0], RIDGES_OF_MANY if many else (0, len(RIDGES)), counts, kinds, rng)]
    span, counts = rounds[0].span, rounds[0].counts
    rounds += [hold_out(work, fold, span, counts, kinds, rng) for fold in work.folds[1:]]
    judged = rounds[0].judged
    share, weight = work.share[judged], work.weight[judged]
    best_ridge = min(range(*span), key=lambda r: sum(total_loss(x.ridge[r], share, weight) for x in rounds))
    best_trees = [
        int(np.argmin([sum(total_loss(x.trees[kind, t], share, weight) for x in rounds) for t in range(len(counts))]))
        for kind in range(len(kinds))
    ]
    each = [
        np.stack(
            [
                x.ridge[best_ridge],
                *(x.trees[kind, t] for kind, t in enumerate(best_trees)),
                *([] if x.own is None else [x.own]),
            ],
            axis=1,
        )
        for x in rounds
    ]
    usual = _usual(len(kinds), own=bool(work.units))
    # what is told of the blend, and decides on it, was blended without the fold it is told of
    honest = np.mean(
        [_unseen_blend(z, share, weight, x.fold[judged], usual) for z, x in zip(each, rounds, strict=True)], axis=0
    )
    every, fold = np.mean(each, axis=0), work.folds[0][judged]
    plain = np.full(share.size, np.log(work.rate / (1 - work.rate)))
    fallback = np.zeros(1 + usual.size)
    fallback[0] = plain[0]
    if work.by_trial and work.units and total_loss(every[:, -1], share, weight) < total_loss(plain, share, weight):
        fallback[0], fallback[-1] = 0.0, 1.0
    safe = fallback[0] + every @ fallback[1:]
    gain = trial_loss(safe, share, weight) - trial_loss(honest, share, weight)
    trials = float(weight.sum())
    gained, noise = float(gain.sum()) / trials, float(np.sqrt(share.size * gain.var())) / trials
    trust = gained**2 / (gained**2 + DOUBT * noise**2) if gained > LEAST_GAIN * noise else 0.0
    drawn = trust * honest + (1 - trust) * safe
    calibration = choose_calibration(drawn, share, weight, fold) if trust else PLATT
    scores = Scores(
        constant=total_loss(plain, share, weight) / trials,
        logistic=total_loss(every[:, 0], share, weight) / trials,
        trees=total_loss(every[:, 1 : 1 + len(kinds)].mean(axis=1), share, weight) / trials,
        blend=total_loss(honest, share, weight) / trials,
        blend_gain_error=noise,
        ridge=RIDGES[best_ridge],
        n_trees=tuple(counts[t] for t in best_trees),
        calibration=calibration.kind,
        trust=trust,
        units=total_loss(every[:, -1], share, weight) / trials if work.units else None,
    )
    reason = f"on unseen rows the blend gains {gained:.5f} of log loss, too little beside its noise of {noise:.5f}"
    if not trust and not fallback[-1]:
        return constant(reason, scores, spread_of(work, judged, expit(plain), follows=False)), _everywhere(
            plain, judged
        )
    if not trust:
        notes = (*notes, f"units' own rates, shrunk to the mean by a beta-binomial: {reason}")
    blend = trust * np.mean([blend_weights(z, share, weight, usual) for z in each], axis=0) + (1 - trust) * fallback
    told = calibration(drawn)
    chosen = [counts[t] for t in best_trees]
    members = tuple(
        Member(found[best_ridge - span[0]], tuple((t.first(n),) for t, n in zip(trees, chosen, strict=True)), own)
        for found, trees, own in zip(rounds[0].regressions, rounds[0].grown, rounds[0].units, strict=True)
    )
    model = RateModel(
        encoder=encoder,
        design=work.design,
        members=members,
        final=None if many else fit_final(work, RIDGES[span[0] : best_ridge + 1], chosen, kinds, rng),
        blend=blend,
        calibration=calibration,
        rate=work.rate,
        evidence=work.total,
        spread=spread_of(work, judged, expit(told), follows=True),
        scores=scores,
        unseen=np.zeros(0),
        notes=(*notes, *recency),
    )
    return model, _everywhere(told, judged)


def _usual(n_kinds: int, own: bool) -> Floats:
    """(n_models,) weights until rows say otherwise: regression, all trees together, and units' own rates weigh the same."""
    families = 3 if own else 2
    return np.concatenate([[1.0], np.full(n_kinds, 1.0 / n_kinds), np.ones(int(own))]) / families


def _unseen_blend(z: Floats, share: Floats, weight: Floats, fold: Ints, usual: Floats) -> Floats:
    """Blended log-odds of each row, blended as the other folds ask for."""
    found = np.empty(share.size)
    for k in np.unique(fold):
        inside = fold != k
        part = blend_weights(z[inside], share[inside], weight[inside], usual)
        found[~inside] = part[0] + z[~inside] @ part[1:]
    return found


def _everywhere(z: Floats, judged: NDArray[np.bool_]) -> Floats:
    """Numbers of judged rows among all rows; NaN elsewhere."""
    every = np.full(judged.size, np.nan)
    every[judged] = z
    return every
