"""Rates on their own: a calibrated click or conversion model of any log, for other systems.

`fit_rates` learns from a table with a label column, `score_rates` gives ``row, mean, low, high`` in input order.
A column that alone gives the label away is what nobody knows beforehand (the time of the conversion, a flag set by
it): it is reported as a leak and left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from domain.errors import SchemaMismatch
from domain.tables import Floats
from predictors.features import Encoder
from predictors.rates import RateModel, fit_rate
from predictors.sums import summed

#: Rows that a log is cut down to, evenly, before it is read into arrays.
MOST_ROWS = 1_500_000
#: A column is a leak where its categories alone leave less than this share of the constant rate's log loss.
LEAK = 0.05


@dataclass(frozen=True, slots=True)
class RateBundle:
    """A fitted rate with what one needs to know to use it.

    Attributes
    ----------
    model
        The rate.
    label
        Column that was learned.
    columns
        Columns of the training log, with their types.
    rows, successes
        Rows that taught it, and sum of their labels.
    window
        First and last value of the time column, where there was one.
    leaks
        Columns left out because they give the label away.
    notes
        What a person should know.
    """

    model: RateModel
    label: str
    columns: Mapping[str, str]
    rows: int
    successes: float
    window: tuple[str, str] | None = None
    leaks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def fit_rates(
    log: pl.DataFrame,
    label: str,
    *,
    weight: str | None = None,
    time: str | None = None,
    group: str | None = None,
    ignore: Sequence[str] = (),
    types: Mapping[str, str] | None = None,
) -> RateBundle:
    """Rate of `label` from the other columns of a log.

    Parameters
    ----------
    label
        Column of 0 and 1 (or true and false); rows without a label teach nothing.
    weight
        Column of trials that a row stands for.
    time
        Column in order of time: models are then validated on stretches of time they have not seen.
    group
        Column whose rows belong together (a user's impressions) and never fall on both sides of a validation.
    ignore
        Columns that are known only afterwards.
    types
        Roles of columns where they are not what they look like: number, category, both, tags, time, ignore.

    Raises `SchemaMismatch` where a named column is missing or the label is not one.
    """
    for name in (label, weight, time, group):
        if name is not None and name not in log.columns:
            raise SchemaMismatch(f"column {name!r} is not in the log; it has {log.columns}")
    notes: list[str] = []
    if log.height > MOST_ROWS:
        notes.append(f"{log.height} rows were thinned out evenly to {MOST_ROWS}")
        log = log[np.linspace(0, log.height - 1, MOST_ROWS).astype(np.int64)]
    hits, told = _label(log[label])
    trials = np.where(told, 1.0, 0.0)
    if weight is not None:
        worth = log[weight].cast(pl.Float64, strict=False).to_numpy()
        if not bool((worth[told] >= 0).all()):
            raise SchemaMismatch(f"weight column {weight!r} holds values that are missing, negative or not numbers")
        trials = np.where(told, worth, 0.0)
    if not told.all():
        notes.append(f"{int((~told).sum())} rows without a label teach nothing")
    order, window = None, None
    if time is not None:
        ranks = log[time].rank("dense")
        if ranks.null_count():
            raise SchemaMismatch(f"time column {time!r} is empty in {ranks.null_count()} rows; fill it or name another")
        order = ranks.cast(pl.Float64).to_numpy()
        window = (str(log[time].min()), str(log[time].max()))
    together = (
        None if group is None else log[group].cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64)
    )
    spare = [label, *ignore, *(name for name in (weight,) if name is not None and name not in ignore)]
    encoder = Encoder.learn(log, ignore=list(dict.fromkeys(spare)), types=types)
    leaks = _leaks(log, encoder, hits, trials)
    if leaks:
        encoder = Encoder.learn(log, ignore=list(dict.fromkeys([*spare, *leaks])), types=types)
        notes += [f"column {name!r} alone gives {label!r} away: a leak, left out" for name in leaks]
    model = fit_rate(log, hits * trials, trials, encoder, together, order, notes=notes)
    return RateBundle(
        model=model,
        label=label,
        columns={name: str(dtype) for name, dtype in log.schema.items()},
        rows=int((trials > 0).sum()),
        successes=float(hits @ trials),
        window=window,
        leaks=leaks,
        notes=model.notes,
    )


def score_rates(bundle: RateBundle, log: pl.DataFrame, chunk: int = 200_000) -> pl.DataFrame:
    """``row`` (from 0, in input order), ``mean`` rate, and its 80 % band ``low`` .. ``high``."""
    parts = [bundle.model.predict(log[start : start + chunk]) for start in range(0, max(log.height, 1), chunk)]
    mean, low, high = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return pl.DataFrame({"row": np.arange(log.height, dtype=np.int64), "mean": mean, "low": low, "high": high})


def _label(column: pl.Series) -> tuple[Floats, np.ndarray]:
    """0 or 1 of each row, and whether the row has a label."""
    number = column.cast(pl.Float64, strict=False)
    wrong = column.drop_nulls().len() - number.drop_nulls().len()
    values = number.to_numpy()
    told = np.isfinite(values)
    if wrong or not bool(np.isin(values[told], (0.0, 1.0)).all()):
        strange = column.filter(~number.is_in([0.0, 1.0]).fill_null(value=False)).drop_nulls().head(3).to_list()
        raise SchemaMismatch(f"label column {column.name!r} must hold 0 and 1 (or true and false), found {strange}")
    return np.where(told, values, 0.0), told


def _leaks(log: pl.DataFrame, encoder: Encoder, hits: Floats, trials: Floats) -> tuple[str, ...]:
    """Columns whose categories, learned on every other row, tell the labels of the rows between almost surely."""
    rows = np.flatnonzero(trials > 0)
    if rows.size > 200_000:
        rows = rows[:: rows.size // 200_000 + 1]
    y, w = hits[rows], trials[rows]
    if min(float(y @ w), float((1 - y) @ w)) < 20:
        return ()
    learn = np.arange(rows.size) % 2 == 0
    found: list[str] = []
    for name, role in encoder.roles.items():
        one = Encoder({name: role}, {}, encoder.levels, encoder.edges)
        codes = one.apply(log[rows].select(name)).codes
        for c in range(codes.shape[1]):
            n = int(codes[:, c].max(initial=0)) + 1
            p0 = float(y[learn] @ w[learn]) / float(w[learn].sum())
            good = summed(codes[learn, c], (y * w)[learn], n) + 0.02 * p0
            p = np.clip(good / (summed(codes[learn, c], w[learn], n) + 0.02), 1e-6, 1 - 1e-6)[codes[~learn, c]]
            truth, worth = y[~learn], w[~learn]
            loss = -(worth * (truth * np.log(p) + (1 - truth) * np.log1p(-p))).sum()
            plain = -(worth * (truth * np.log(p0) + (1 - truth) * np.log1p(-p0))).sum()
            if loss < LEAK * plain:
                found.append(name)
                break
    return tuple(found)
