"""Rates on their own: a calibrated click or conversion model of any log, for other systems.

`fit_rates` learns from a table with a label column, `score_rates` gives ``row, mean, low, high`` in input order, and
`judge_rates` compares rates with labels. A column that alone gives the label away is what nobody knows beforehand
(the time of the conversion, a flag set by it): it is reported as a leak and left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from domain.errors import ConfigError, SchemaMismatch
from domain.tables import Bools, Floats, Ints
from predictors.columns import Columns, Log
from predictors.features import Encoder, instants, leak_codes, profile_codes
from predictors.judging import judge
from predictors.rate_model import RateModel
from predictors.rates import fit_rate
from predictors.sums import summed

#: A column is a leak where its categories alone leave less than this share of the constant rate's log loss.
LEAK = 0.05
#: Trials of an average row from which rows are those of a report, and no single events.
MANY_TRIALS = 3.0
#: Rows that a profile is taken from, and values of a column that it tells apart.
_ROWS_OF_PROFILE, _CODES_OF_PROFILE = 50_000, 20


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
    rows, trials, successes
        Rows that taught it, their trials, and how many succeeded.
    weight, counts
        Column of weights or trials, if any, and whether the label counts successes of those trials.
    window
        First and last value of the time column, where there was one.
    ignored
        Columns left out as asked.
    leaks
        Columns left out because they give the label away.
    notes
        What a person should know.
    profile
        Shares of the commonest values of each column, by which drift is told; see `profile_of`.
    """

    model: RateModel
    label: str
    columns: Mapping[str, str]
    rows: int
    trials: float
    successes: float
    weight: str | None = None
    counts: bool = False
    window: tuple[str, str] | None = None
    ignored: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    profile: Mapping[str, tuple[float, ...]] = field(default_factory=dict[str, tuple[float, ...]])


@dataclass(frozen=True, slots=True)
class _Labels:
    """Successes and trials of each row; rows without a label have no trial."""

    successes: Floats
    trials: Floats
    counts: bool
    notes: tuple[str, ...]


def fit_rates(
    source: pl.DataFrame | Path | Log,
    label: str,
    *,
    weight: str | None = None,
    trials: str | None = None,
    time: str | None = None,
    group: str | None = None,
    label_time: str | None = None,
    until: str | None = None,
    ignore: Sequence[str] = (),
    types: Mapping[str, str] | None = None,
) -> RateBundle:
    """Rate of `label` from the other columns of a log.

    Parameters
    ----------
    source
        Table, or path of a parquet file, which is then read column by column.
    label
        Column of 0 and 1 (or true and false), of shares, or of counts where trials are given; rows without a label
        teach nothing.
    weight
        Column of what a row weighs. Where the label counts (holds whole numbers above 1), it is read as `trials`.
    trials
        Column of trials of which the label counts the successes: impressions of clicks, clicks of orders.
    time
        Column in order of time: models are then validated on stretches of time they have not seen. Without it, a
        single complete column of instants is taken.
    group
        Column whose rows belong together (a user's impressions) and never fall on both sides of a validation.
    label_time
        Column that tells when a success became known. Successes that precede their row are set aside.
    until
        Instant (or number, or text, as `time` has it): rows from then on teach nothing, and successes that became
        known from then on count as not yet seen.
    ignore
        Columns that are known only afterwards.
    types
        Roles of columns where they are not what they look like: number, category, both, tags, time, ignore.

    Raises `SchemaMismatch` where a named column is missing or the label is not one.
    """
    log = Log.of(source)
    _check(log, label, weight, trials, time, group, label_time, until, ignore)
    notes: list[str] = []
    log, notes = _as_known(log, label, time, label_time, until)
    worth = trials if trials is not None else weight
    told = _labels(log, label, worth, counting=trials is not None)
    notes += told.notes
    ignored = (*ignore, *(name for name in (label_time,) if name is not None and name not in ignore))
    spare = [label, *ignored, *(name for name in (worth,) if name is not None)]
    encoder = Encoder.learn(log, spare, types, told.trials.sum() > MANY_TRIALS * max((told.trials > 0).sum(), 1))
    leaks = _leaks(log, encoder, told)
    if leaks:
        encoder = encoder.without(leaks, f"alone gives {label!r} away")
        notes += [f"column {name!r} alone gives {label!r} away: a leak, left out" for name in leaks]
    if time is None:
        time = _only_clock(log, encoder)
        if time is not None:
            notes.append(f"rows are taken to be in the order of column {time!r}")
    order, window = None, None
    if time is not None:
        order = log[time].rank("dense").cast(pl.Float64).to_numpy()
        window = (str(log[time].min()), str(log[time].max()))
    together = (
        None if group is None else log[group].cast(pl.String).fill_null("").rank("dense").to_numpy().astype(np.int64)
    )
    model = fit_rate(log, told.successes, told.trials, encoder, together, order, notes, thorough=True)
    return RateBundle(
        model=model,
        label=label,
        columns={name: str(dtype) for name, dtype in log.schema.items()},
        rows=int((told.trials > 0).sum()),
        trials=float(told.trials.sum()),
        successes=float(told.successes.sum()),
        weight=worth,
        counts=told.counts,
        window=window,
        ignored=ignored,
        leaks=leaks,
        notes=model.notes,
        profile={name: tuple(shares.tolist()) for name, shares in profile_of(encoder, log).items()},
    )


def score_rates(bundle: RateBundle, source: pl.DataFrame | Path | Log, chunk: int = 200_000) -> pl.DataFrame:
    """``row`` (from 0, in input order), ``mean`` rate, and its 80 % band ``low`` .. ``high``."""
    log, names = Log.of(source), list(bundle.model.encoder.roles)
    parts = [_scored(bundle, log, start, chunk, names) for start in range(0, max(log.height, 1), chunk)]
    mean, low, high = (np.concatenate([part[k] for part in parts]) for k in range(3))
    return pl.DataFrame({"row": np.arange(log.height, dtype=np.int64), "mean": mean, "low": low, "high": high})


def _scored(
    bundle: RateBundle, log: Log, start: int, chunk: int, names: Sequence[str]
) -> tuple[Floats, Floats, Floats]:
    part = log.part(start, chunk, names)
    if not part.width:
        # nothing that the model knows is there: as many rows without a value
        part = pl.DataFrame({"row": np.arange(max(min(chunk, log.height - start), 0))})
    return bundle.model.predict(part)


def missing_columns(bundle: RateBundle, log: Columns) -> tuple[str, ...]:
    """Columns that a bundle's model uses and a log lacks."""
    return tuple(name for name in bundle.model.encoder.roles if name not in log.columns)


def judge_rates(bundle: RateBundle, source: pl.DataFrame | Path | Log, mean: Floats) -> dict[str, float] | None:
    """Judgement of rates on the labels of a log (see `Judgement`); ``None`` where it has none that can be read."""
    try:
        share, weight = labels_of(bundle, Log.of(source))
    except SchemaMismatch:
        return None
    if weight.sum() <= 0:
        return None
    return asdict(judge(mean, share, weight, bundle.model.rate))


def labels_of(bundle: RateBundle, log: Log) -> tuple[Floats, Floats]:
    """(n_rows,) share of successes and trials of each row, as a bundle reads them.

    Raises `SchemaMismatch` where the log lacks the columns, or they hold no labels.
    """
    for name in (bundle.label, bundle.weight):
        if name is not None and name not in log.columns:
            raise SchemaMismatch(f"column {name!r} is not in the log, so its labels cannot be read")
    told = _labels(log, bundle.label, bundle.weight, counting=bundle.counts)
    return told.successes / np.maximum(told.trials, 1e-300), told.trials


def profile_of(encoder: Encoder, log: Log) -> dict[str, Floats]:
    """(n_codes,) shares of each column's values in a log: missing, rare or new; bins; or the commonest categories.

    Times are left out: they always move.
    """
    step = log.height // _ROWS_OF_PROFILE + 1
    found: dict[str, Floats] = {}
    for name, role in encoder.roles.items():
        if role in ("time", "tags"):
            continue
        column = log[name] if name in log.columns else pl.Series(name, [None] * log.height, dtype=pl.String)
        codes = profile_codes(column.gather_every(step), encoder, _CODES_OF_PROFILE)
        found[name] = np.bincount(codes, minlength=_CODES_OF_PROFILE + 1) / max(codes.size, 1)
    return found


def _check(
    log: Log,
    label: str,
    weight: str | None,
    trials: str | None,
    time: str | None,
    group: str | None,
    label_time: str | None,
    until: str | None,
    ignore: Sequence[str],
) -> None:
    for name in (label, weight, trials, time, group, label_time, *ignore):
        if name is not None and name not in log.columns:
            raise SchemaMismatch(f"column {name!r} is not in the log; it has {', '.join(log.columns)}")
    if weight is not None and trials is not None:
        raise ConfigError("give --weight or --trials, not both: trials are what the label counts, a weight is not")
    if time is None and (until is not None or label_time is not None):
        raise ConfigError("--until and --label-time need --time: name the column that tells when a row happened")
    for name in {time, group, weight, trials, label_time} - {None}:
        if name == label:
            raise ConfigError(f"column {label!r} is the label and cannot serve as time, group, weight or trials too")
    for name in (time,):
        if name is not None and log[name].null_count():
            gaps = log[name].null_count()
            raise SchemaMismatch(f"time column {name!r} is empty in {gaps} rows; fill it or name another")


def _as_known(
    log: Log, label: str, time: str | None, label_time: str | None, until: str | None
) -> tuple[Log, list[str]]:
    """The log as it was known at the cut, and what was changed."""
    notes: list[str] = []
    if time is None:
        return log, notes
    if label_time is not None:
        when, told = log[time], log[label_time]
        if when.dtype.is_temporal() != told.dtype.is_temporal():
            raise SchemaMismatch(f"columns {time!r} and {label_time!r} are not both instants, nor both numbers")
        early = (told < when).fill_null(value=False).to_numpy()
        if early.any():
            notes.append(f"{early.sum()} rows with a label from before the row (clocks that differ?) were set aside")
            log = log.filter(~early)
    if until is not None:
        when = log[time]
        cut = _instant(until, when.dtype, time)
        before = when.to_frame().select(pl.col(time) < cut).to_series().to_numpy()
        notes.append(f"{int((~before).sum())} rows from {until} on teach nothing")
        log = log.filter(before)
        if label_time is not None:
            late = pl.col(label_time) >= cut
            unknown = log[label_time].to_frame().select(late.fill_null(value=False)).to_series()
            if unknown.any():
                notes.append(f"{unknown.sum()} successes that became known from {until} on count as not yet seen")
                log = log.put(log[label].cast(pl.Float64).set(unknown, 0.0))
    return log, notes


def _instant(text: str, dtype: pl.DataType, name: str) -> pl.Expr:
    """A cut as an expression that compares with a column."""
    try:
        if dtype.is_temporal():
            zone = getattr(dtype, "time_zone", None)
            when = pl.Series([text]).str.to_datetime(time_unit="us", time_zone=zone)
            return pl.lit(when.cast(dtype)[0], dtype)
        if dtype.is_numeric():
            return pl.lit(float(text))
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise ConfigError(f"--until {text!r} cannot be compared with column {name!r} of type {dtype}") from error
    return pl.lit(text)


def _labels(log: Columns, label: str, worth: str | None, *, counting: bool) -> _Labels:
    """Successes and trials of each row."""
    column = log[label]
    if column.dtype.is_nested() or column.dtype.is_temporal():
        raise SchemaMismatch(f"label column {label!r} must hold 0 and 1 (or true and false), not {column.dtype}")
    if column.dtype == pl.String:
        column = column.str.strip_chars().str.to_lowercase()
        column = column.replace({"true": "1", "yes": "1", "false": "0", "no": "0", "": None})
    number = column.cast(pl.Float64, strict=False)
    values = number.fill_null(float("nan")).to_numpy().astype(np.float64)
    told = np.isfinite(values)
    notes: list[str] = []
    if not told.all():
        missing = int((~told).sum())
        unread = number.is_null() & column.is_not_null()
        if unread.any():
            strange = log[label].filter(unread).head(3).to_list()
            raise SchemaMismatch(f"label column {label!r} must hold 0 and 1 (or true and false), found {strange}")
        notes.append(f"{missing} rows without a label teach nothing")
    weight = np.ones(values.size)
    if worth is not None:
        weight = log[worth].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy().astype(np.float64)
        if not bool((weight[told] >= 0).all() and np.isfinite(weight[told]).all()):
            raise SchemaMismatch(f"weight column {worth!r} holds values that are missing, negative or not numbers")
    values, weight = np.where(told, values, 0.0), np.where(told, weight, 0.0)
    if values.min(initial=0.0) < 0:
        raise SchemaMismatch(f"label column {label!r} must hold 0 and 1 (or true and false), found {values.min():g}")
    counts = counting or bool((values > 1).any())
    if counts and worth is None:
        strange = column.filter(number > 1).head(3).to_list()
        raise SchemaMismatch(
            f"label column {label!r} must hold 0 and 1 (or true and false), found {strange}; where it counts, name the "
            "column of its trials with --trials"
        )
    if not counts:
        if bool(np.isin(values, (0.0, 1.0)).all()) and bool((weight % 1 > 0).any()):
            # no numbers of equal rows: what they add up to says nothing of how much was seen
            weight = weight * (told.sum() / weight.sum())
            notes.append(f"weights {worth!r} are no whole numbers: they count relative to their mean")
        return _Labels(values * weight, weight, False, tuple(notes))
    if not counting:
        notes.append(f"label {label!r} counts: read as successes of {worth!r} trials")
    over = int((values > weight).sum())
    if over:
        notes.append(f"{over} rows with more {label!r} than {worth!r} count as all successes")
    return _Labels(np.minimum(values, weight), weight, True, tuple(notes))


def _only_clock(log: Log, encoder: Encoder) -> str | None:
    """The column of instants, where there is exactly one, complete, that moves."""
    clocks = [name for name, role in encoder.roles.items() if role == "time" and not instants(log[name]).null_count()]
    return clocks[0] if len(clocks) == 1 and log[clocks[0]].n_unique() >= 20 else None


def _leaks(log: Log, encoder: Encoder, told: _Labels) -> tuple[str, ...]:
    """Columns whose categories, learned on every other row, tell the labels of the rows between almost surely."""
    rows = np.flatnonzero(told.trials > 0)
    if rows.size > 200_000:
        rows = rows[:: rows.size // 200_000 + 1]
    w = told.trials[rows]
    y = told.successes[rows] / w
    if min(float(y @ w), float((1 - y) @ w)) < 20:
        return ()
    learn = np.arange(rows.size) % 2 == 0
    if told.counts:
        # a column that tells whether there was any success at all is as bad
        y, w = (y > 0).astype(np.float64), np.ones(rows.size)
        if min(float(y.sum()), float((1 - y).sum())) < 20:
            return ()
    return tuple(
        name
        for name in encoder.roles
        if any(_tells(codes, y, w, learn) for codes in leak_codes(log[name][rows], encoder))
    )


def _tells(codes: Ints, y: Floats, w: Floats, learn: Bools) -> bool:
    """Whether codes tell the shares of rows that were not learned from."""
    n = int(codes.max(initial=0)) + 1
    p0 = float(np.clip(y[learn] @ w[learn] / w[learn].sum(), 1e-9, 1 - 1e-9))
    good = summed(codes[learn], (y * w)[learn], n) + 0.02 * p0
    p = np.clip(good / (summed(codes[learn], w[learn], n) + 0.02), 1e-6, 1 - 1e-6)[codes[~learn]]
    truth, worth = y[~learn], w[~learn]

    def loss(q: Floats | float) -> float:
        return float(-(worth * (truth * np.log(q) + (1 - truth) * np.log1p(-q))).sum())

    return loss(p) < LEAK * loss(p0)
