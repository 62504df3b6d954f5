"""A fitted rate: what turns rows into rates with bands, and what cross-validation said of it.

The band has three parts: the level, the spread over the folds' models (jackknife), and how far groups of rows lie from
their prediction beyond binomial noise (`rate_spread`).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from domain.tables import Floats
from predictors.calibration import Calibration
from predictors.columns import Columns
from predictors.features import Encoded, Encoder
from predictors.judging import Judgement
from predictors.logistic import Design, Logistic
from predictors.rate_spread import Spread, median_of
from predictors.rate_units import UnitRates
from predictors.trees import Trees

Z80 = 1.2815515655446004


@dataclass(frozen=True, slots=True)
class Member:
    """One regression, and trees of each kind; those of one kind are averaged. Of reports also units' own rates."""

    logistic: Logistic
    trees: tuple[tuple[Trees, ...], ...]
    units: UnitRates | None = None

    def logits(self, data: Encoded, design: Design) -> Floats:
        """(n_rows, n_models) log-odds by regression, each kind of trees, and units' own rates where there are any."""
        grown = [np.mean([trees.logits(data) for trees in kind], axis=0) for kind in self.trees]
        own = [] if self.units is None else [self.units.logits(data)]
        return np.stack([self.logistic.logits(design.matrix(data)), *grown, *own], axis=1)


@dataclass(frozen=True, slots=True)
class Scores:
    """Mean log loss per trial on rows that a model had not seen; `units`: by units' own rates, of reports."""

    constant: float
    logistic: float
    trees: float
    blend: float
    blend_gain_error: float
    ridge: float
    n_trees: tuple[int, ...]
    calibration: str
    trust: float
    units: float | None = None


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
        How far log-odds of groups of rows lie from their prediction; of reports, of each unit.
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
    spread: Spread
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
        level = 1.0 / (self.evidence + 1.0)
        if not self.members:
            variance = level + self.spread.sd**2 + self.spread.drift**2
            return _band(np.full(frame.height, self.rate), np.full(frame.height, variance))
        data = self.encoder.apply(frame)
        each = [self._blended(member, data) for member in self.members]
        folds = len(each)
        middle = np.mean(each, axis=0)
        differ = (folds - 1) / folds * ((np.stack(each) - middle) ** 2).sum(0)
        rate = expit(middle if self.final is None else self._blended(self.final, data))
        return _band(rate, level + self.spread.variance(rate, data, differ))

    def _blended(self, member: Member, data: Encoded) -> Floats:
        return self.calibration(self.blend[0] + member.logits(data, self.design) @ self.blend[1:])


def _band(rate: Floats, variance: Floats) -> tuple[Floats, Floats, Floats]:
    """Rates, and ends of 80 % bands that are normal in log-odds with these rates as means."""
    middle, half = median_of(rate, variance), Z80 * np.sqrt(variance)
    return rate, np.minimum(expit(middle - half), rate), np.maximum(expit(middle + half), rate)
