"""Click and conversion rates of an account's units from its own report rows, for units that no forecast speaks of.

Two candidates predict units that were held out of the fit, five folds of units: the account's rate with a table shrunk
to campaigns, and the blend of regression and LightGBM on what is known of a unit. The blend is taken only where its log
score is better by more than its noise. What wins is the belief that a unit's own rows are then shrunk to. The campaign
table needs no place in that belief, because the shrinkage learns it anew each hour; and units that taught the blend are
told what models said that had not seen them, so that no row speaks twice.

The same units with the same counts have the same rates, so these are remembered: pages that look at an account again, or
at other phases, do not fit anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from domain.tables import Floats, Ints
from predictors.features import Encoder
from predictors.memory import Memory, content
from predictors.rate_model import RateModel
from predictors.rates import fit_rate
from predictors.sums import summed

#: What is known of a unit without any row of it.
UNIT_FEATURES = ("campaign", "ad_group", "match_type", "target_kind", "sku", "business_type", "category", "price")
#: All columns that the rate of a unit may depend on.
_UNIT_COLUMNS = ("unit_id", "target", *(name for name in UNIT_FEATURES if name != "target_kind"))
#: Units and successes below which a campaign table is all that can be learned.
FEW_UNITS, FEW_SUCCESSES = 30, 30
#: Successes that a single unit may count for.
WORTH_AT_MOST = 20.0
#: Successes that the account's rate is worth against a campaign's.
TABLE_WORTH = 10.0


@dataclass(frozen=True, slots=True)
class UnitRate:
    """A rate that knows units by what they are.

    Attributes
    ----------
    what
        ``ctr`` or ``cvr``.
    kind
        ``constant``, ``table`` (constant, and campaigns differ) or ``blend``.
    rate
        Rate of the account.
    unseen
        Rate of units that taught the blend, by name, from models that had not seen them.
    model
        The blend, where it won.
    note
        Why this one, for a person.
    """

    what: str
    kind: str
    rate: float
    unseen: Mapping[str, float]
    model: RateModel | None
    note: str

    def predict(self, units: pl.DataFrame) -> Floats:
        """(n_units,) rate of each unit."""
        if self.model is not None:
            own = units["unit_id"].replace_strict(self.unseen, default=None, return_dtype=pl.Float64).to_numpy()
            return np.where(np.isfinite(own), own, self.model.predict(unit_features(units))[0])
        return np.full(units.height, self.rate)


def unit_features(units: pl.DataFrame) -> pl.DataFrame:
    """Columns `UNIT_FEATURES` of a table of units."""
    target = pl.col("target").fill_null("").str.to_lowercase()
    kind = (
        pl.when(target.str.contains("asin="))
        .then(pl.lit("product"))
        .when(target.str.contains("category="))
        .then(pl.lit("category"))
        .when(target.is_in(["close-match", "loose-match", "substitutes", "complements", "auto", "*"]))
        .then(pl.lit("automatic"))
        .otherwise(pl.lit("keyword"))
    )
    return units.with_columns(kind.alias("target_kind")).select(UNIT_FEATURES)


_remembered: Memory[UnitRate] = Memory(8)


def fit_unit_rate(what: str, units: pl.DataFrame, successes: Floats, trials: Floats) -> UnitRate:
    """Rate of units from their (n_units,) successes and trials."""
    key = content(what, units.select(_UNIT_COLUMNS), successes, trials)
    return _remembered.ask(key, lambda: _fit(what, units, successes, trials))


def _fit(what: str, units: pl.DataFrame, successes: Floats, trials: Floats) -> UnitRate:
    successes = np.clip(successes, 0.0, trials)
    total, tried = float(successes.sum()), float(trials.sum())
    rate = (total + 0.5) / (tried + 1.0) if tried > 0 else 0.01
    plain = UnitRate(what, "constant", float(np.clip(rate, 1e-9, 1 - 1e-9)), {}, None, "")
    used = int((trials > 0).sum())
    if used < 5 or total < 5:
        reason = f"{what}: the account's rate {rate:.4f}; {used} units with {total:.0f} successes tell no more"
        return replace(plain, note=reason)
    campaign = _campaigns(units)
    # units differ beyond binomial noise: one with thousands of successes must not speak for all others
    damp = 1.0 / (1.0 + trials * plain.rate / WORTH_AT_MOST)
    successes, trials = successes * damp, trials * damp
    tried = float(trials.sum())
    plain = replace(plain, rate=float(np.clip((successes.sum() + 0.5) / (tried + 1.0), 1e-9, 1 - 1e-9)))
    fold = np.random.default_rng(20240229).permutation(units.height) % 5
    losses = np.zeros((2, units.height))
    for k in range(5):
        inside, outside = fold != k, fold == k
        held = (successes[inside].sum() + 0.5) / (trials[inside].sum() + 1.0)
        losses[0, outside] = _loss(np.full(outside.sum(), held), successes[outside], trials[outside])
        table = _table(successes * inside, trials * inside, campaign)
        losses[1, outside] = _loss(held * table[campaign[outside]], successes[outside], trials[outside])
    table = replace(plain, kind="table")
    gain = losses[0] - losses[1]
    noise = float(np.sqrt(units.height * gain.var()))
    best = table if gain.sum() > 0.5 * noise else plain
    words = f"campaigns gain {gain.sum():.1f} +- {noise:.1f} of log score"
    if used >= FEW_UNITS and total >= FEW_SUCCESSES:
        features = unit_features(units)
        model = fit_rate(features, successes, trials, Encoder.learn(features.filter(pl.Series(trials > 0))))
        if model.scores is not None:
            won = (model.scores.constant - model.scores.blend) * tried
            words += f", regression and LightGBM {won:.1f} +- {model.scores.blend_gain_error * tried:.1f}"
            better = won - max(float(gain.sum()), 0.0)
            if model.members and better > model.scores.blend_gain_error * tried:
                told = np.isfinite(model.unseen)
                names = units["unit_id"].filter(pl.Series(told)).to_list()
                unseen = dict(zip(names, model.unseen[told].tolist(), strict=True))
                best = UnitRate(what, "blend", plain.rate, unseen, model, "")
    label = {"constant": "the account's rate", "table": "a table by campaign", "blend": "regression and LightGBM"}
    return replace(best, note=f"{what} of new units: {label[best.kind]} ({words}, on units held out)")


def _campaigns(units: pl.DataFrame) -> Ints:
    """(n_units,) positions of campaigns; those without one share a position."""
    return units["campaign"].fill_null("").rank("dense").cast(pl.Int64).to_numpy() - 1


def _table(successes: Floats, trials: Floats, campaign: Ints) -> Floats:
    """(n_campaigns,) factors on the account's rate, each shrunk by ten successes."""
    rate = (successes.sum() + 0.5) / (trials.sum() + 1.0)
    n = int(campaign.max()) + 1
    return (summed(campaign, successes, n) + TABLE_WORTH) / (summed(campaign, trials * rate, n) + TABLE_WORTH)


def _loss(rate: Floats, successes: Floats, trials: Floats) -> Floats:
    p = np.clip(rate, 1e-9, 1 - 1e-9)
    return -(successes * np.log(p) + (trials - successes) * np.log1p(-p))
