"""Turns any table of an advertising log into columns that rate models can use; learned once, applied anywhere.

A column becomes numbers, categories, or both (integers and texts of digits are often identifiers *and* ordered);
texts with commas are sets of tags; instants give hour of the day and weekday. Constant columns, columns without a
value, and identifiers of single rows are left out, with the reason. Unseen categories share one code with rare ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from domain.errors import ConfigError, SchemaMismatch
from domain.tables import Bools, Floats
from predictors.columns import Columns

#: Rows below which a category is treated as unseen.
RARE = 2
#: Quantile bins that a number is cut into where a model needs categories.
BINS = 12
ROLES = ("number", "category", "both", "tags", "time", "ignore")
#: Why a column is left out that the caller named.
ASKED = "ignored as asked"
_ROWS_OF_EDGES = 300_000  # rows that edges of bins are taken from
_MOST = 1e30
_OTHER = 0  # code of rare, unseen and missing categories


@dataclass(frozen=True, slots=True)
class Encoded:
    """A table as arrays.

    Attributes
    ----------
    numbers
        (n_rows, n_numbers), NaN where missing.
    codes
        (n_rows, n_categories) codes from 0 (rare, unseen or missing).
    tags
        For each tag column, (row, code) of every tag.
    twice
        (n_categories,) whether what the codes tell is also told by a number.
    named
        (n_categories,) whether codes are those of categories; else they are bins of a number.
    """

    numbers: NDArray[np.float32]
    codes: NDArray[np.int32]
    tags: tuple[tuple[NDArray[np.int32], NDArray[np.int32]], ...]
    twice: Bools
    named: Bools

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.codes.shape[0]

    def take(self, rows: NDArray[np.intp]) -> "Encoded":
        """Rows at increasing positions."""
        place = np.full(self.n_rows, -1, np.int32)
        place[rows] = np.arange(rows.size, dtype=np.int32)
        tags = []
        for row, code in self.tags:
            kept = place[row] >= 0
            tags.append((place[row[kept]], code[kept]))
        return Encoded(self.numbers[rows], self.codes[rows], tuple(tags), self.twice, self.named)


@dataclass(frozen=True, slots=True)
class Encoder:
    """What was learned of the columns.

    Attributes
    ----------
    roles
        Role of each column that is used.
    left_out
        Columns that are not used, with the reason.
    levels
        Known categories of each category column and tag column, in the order of their codes from 1.
    edges
        Inner edges of the quantile bins of each number column.
    """

    roles: Mapping[str, str]
    left_out: Mapping[str, str]
    levels: Mapping[str, tuple[str, ...]]
    edges: Mapping[str, Floats]

    @classmethod
    def learn(
        cls, frame: Columns, ignore: Sequence[str] = (), types: Mapping[str, str] | None = None, reports: bool = False
    ) -> "Encoder":
        """Roles, categories and bins from a training table.

        Parameters
        ----------
        ignore
            Columns that may not be used.
        types
            Roles that overrule what would be inferred, by column; see `ROLES`.
        reports
            Whether a row stands for many trials: then a category of a single row is no rare one.
        """
        wanted = dict(types or {})
        for name, role in wanted.items():
            if name not in frame.columns:
                raise SchemaMismatch(f"column {name!r} is not in the log; it has {frame.columns}")
            if role not in ROLES:
                raise ConfigError(f"column {name!r}: type {role!r} is none of {', '.join(ROLES)}")
        for name in ignore:
            if name not in frame.columns:
                raise SchemaMismatch(f"column {name!r} to ignore is not in the log; it has {frame.columns}")
        roles: dict[str, str] = {}
        left_out: dict[str, str] = dict.fromkeys(ignore, ASKED)
        levels: dict[str, tuple[str, ...]] = {}
        edges: dict[str, Floats] = {}
        for name in frame.columns:
            if name in left_out:
                continue
            column = frame[name]
            role, reason = _role(column, wanted.get(name), reports)
            if role == "ignore":
                left_out[name] = reason
                continue
            roles[name] = role
            for part, texts in _categories(name, column, role):
                levels[part] = _common(texts, role == "tags", 1 if reports else RARE)
            for part, values in _numbers(name, column, role):
                if role != "time" or part in _cycles(name, column):
                    edges[part] = _edges(values[:: values.size // _ROWS_OF_EDGES + 1])
        return cls(roles, left_out, levels, edges)

    def without(self, names: Sequence[str], why: str) -> "Encoder":
        """The encoder less some columns."""
        roles = {name: role for name, role in self.roles.items() if name not in names}
        return Encoder(roles, {**self.left_out, **dict.fromkeys(names, why)}, self.levels, self.edges)

    def apply(self, frame: Columns, rows: NDArray[np.intp] | None = None) -> Encoded:
        """Arrays of a table, or of some of its rows; a column that it lacks counts as missing everywhere."""
        n = frame.height if rows is None else rows.size
        n_numbers, n_categories = self._widths()
        # columns lie together, as they are filled and read
        numbers, place_of_number = np.empty((n, n_numbers), np.float32, order="F"), 0
        codes = np.empty((n, n_categories), np.int32, order="F")
        tags: list[tuple[NDArray[np.int32], NDArray[np.int32]]] = []
        twice: list[bool] = []
        named: list[bool] = []
        for name, role in self.roles.items():
            if name not in frame.columns:
                column = pl.Series(name, [None] * n, dtype=pl.String)
            else:
                column = frame[name] if rows is None else frame[name][rows]
            for part, values in _numbers(name, column, role):
                if part in self.edges:
                    numbers[:, place_of_number] = values
                    place_of_number += 1
                    codes[:, len(twice)] = _binned(values, self.edges[part])
                    twice.append(True)
                    named.append(False)
            for part, values in _categories(name, column, role):
                if role == "tags":
                    tags.append(_tag_codes(values, self.levels[part]))
                else:
                    codes[:, len(twice)] = _codes(values, self.levels[part])
                    twice.append(role == "both")
                    named.append(True)
        return Encoded(numbers, codes, tuple(tags), np.array(twice, np.bool_), np.array(named, np.bool_))

    def _widths(self) -> tuple[int, int]:
        """Number columns and category columns."""
        n_numbers = len(self.edges_used)
        return n_numbers, n_numbers + sum(role in ("category", "both") for role in self.roles.values())

    @property
    def edges_used(self) -> list[str]:
        """Number columns of the roles that are used."""
        parts = {"number": ("",), "both": ("",), "time": (":hour", ":weekday"), "tags": (":count",)}
        names = (name + end for name, role in self.roles.items() for end in parts.get(role, ()))
        return [name for name in names if name in self.edges]


def profile_codes(column: pl.Series, encoder: Encoder, most: int) -> NDArray[np.int64]:
    """Codes 0 .. most of a column's values: bins of a number, else the commonest categories; 0 is all else."""
    name = column.name
    role = encoder.roles[name]
    if role in ("number", "both"):
        codes = _binned(_numbers(name, column, role)[0][1], encoder.edges[name])
    else:
        codes = _codes(_categories(name, column, role)[0][1], encoder.levels[name])
    return np.where(codes <= most, codes, 0).astype(np.int64)


def leak_codes(column: pl.Series, encoder: Encoder) -> list[NDArray[np.int64]]:
    """Codes of a column in which the shape of a leak would show: its categories; missing, usual and unusual values."""
    name = column.name
    role = encoder.roles[name]
    found: list[NDArray[np.int64]] = []
    for part, texts in _categories(name, column, role):
        if role != "tags":
            found.append(_codes(texts, encoder.levels[part]).astype(np.int64))
    if role == "time":
        found.append(column.is_null().cast(pl.Int64).to_numpy())
    elif role != "category":
        for _, values in _numbers(name, column, role):
            found.append(_binned(values, _edges(values)).astype(np.int64))
    return found


def _role(column: pl.Series, wanted: str | None, reports: bool) -> tuple[str, str]:
    """Role of a column, and why it is left out where it is."""
    if wanted == "ignore":
        return "ignore", ASKED
    seen = column.drop_nulls()
    if column.dtype.is_float():
        seen = seen.drop_nans()
    if not seen.len():
        return "ignore", "no value in any row"
    if column.dtype.is_nested():
        return "ignore", f"values of type {column.dtype} are not understood"
    kinds = seen.n_unique()
    if kinds == 1 and seen.len() == column.len():
        return "ignore", "the same value in every row"
    if wanted is not None:
        return wanted, ""
    if column.dtype.is_temporal():
        return "time", ""
    if column.dtype == pl.Boolean:
        return "category", ""
    single = kinds > 0.9 * seen.len() and seen.len() > 50
    if column.dtype.is_numeric():
        # numbers that tables with gaps store as floats are whole, and may be identifiers
        return "number" if single or not _whole(seen) else "both", ""
    text = seen.cast(pl.String)
    if _share(text, r"^\d{4}-\d\d-\d\d([ T]\d\d:\d\d|$)") > 0.95:
        return "time", ""
    if _share(text, ",") > 0.3:
        return "tags", ""
    if single and not reports:
        return "ignore", "a name for each row"
    if _share(text, r"^-?\d{1,9}(\.\d+)?$") > 0.95:
        return "both", ""
    return "category", ""


def _whole(seen: pl.Series) -> bool:
    return not seen.dtype.is_float() or bool(((seen == seen.floor()) & (seen.abs() < 2**53)).all())


def _share(text: pl.Series, pattern: str) -> float:
    """Share of texts that match a pattern."""
    some = text if text.len() <= 100_000 else text.gather_every(text.len() // 100_000 + 1)
    return float(some.str.contains(pattern).sum()) / max(some.len(), 1)


def instants(column: pl.Series) -> pl.Series:
    """Instants of a time column, whatever it is stored as."""
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us"))
    if column.dtype == pl.Time:
        day = pl.DataFrame({"time": column}).select(pl.date(1970, 1, 1).dt.combine(pl.col("time")))
        return day.to_series()
    if column.dtype.is_temporal():
        return column
    text = column.cast(pl.String).str.slice(0, 19).str.replace("T", " ", literal=True)
    day, full = text.str.to_datetime("%Y-%m-%d", strict=False), text.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)
    short = text.str.slice(0, 16).str.to_datetime("%Y-%m-%d %H:%M", strict=False)
    return full.fill_null(short).fill_null(day)


def _cycles(name: str, column: pl.Series) -> set[str]:
    """Cycles of a time column that its rows run through often enough to tell them from the passing of time."""
    if column.dtype == pl.Time:
        return {f"{name}:hour"}
    when = instants(column).drop_nulls()
    if when.dtype not in (pl.Datetime,) or not when.len():
        return set()
    days = (when.max() - when.min()).total_seconds() / 86_400  # pyright: ignore[reportOperatorIssue, reportOptionalOperand, reportAttributeAccessIssue]
    found = set()
    if days >= 2 and when.dt.hour().n_unique() > 1:
        found.add(f"{name}:hour")
    if days >= 14:
        found.add(f"{name}:weekday")
    return found


def _numbers(name: str, column: pl.Series, role: str) -> list[tuple[str, Floats]]:
    if role in ("number", "both"):
        values = column.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy().astype(np.float64)
        # what single precision cannot hold is as good as the most that it can
        return [(name, np.where(np.isfinite(values), np.clip(values, -_MOST, _MOST), np.nan))]
    if role == "time":
        when = instants(column)
        hour = when.dt.hour().cast(pl.Float64).to_numpy() + when.dt.minute().cast(pl.Float64).to_numpy() / 60
        return [(f"{name}:hour", hour), (f"{name}:weekday", when.dt.weekday().cast(pl.Float64).to_numpy())]
    if role == "tags":
        count = column.cast(pl.String).str.split(",").list.len().cast(pl.Float64).to_numpy()
        return [(f"{name}:count", count)]
    return []


def _categories(name: str, column: pl.Series, role: str) -> list[tuple[str, pl.Series]]:
    if role in ("category", "both"):
        return [(name, _text(column))]
    if role == "tags":
        return [(f"{name}:tags", column.cast(pl.String))]
    return []


def _text(column: pl.Series) -> pl.Series:
    """Categories as text: 7, 7.0 and "7" are the same."""
    if column.dtype.is_float():
        whole = column.is_finite() & (column == column.floor()) & (column.abs() < 2**53)
        number = column.set(~whole.fill_null(value=False), None).cast(pl.Int64).cast(pl.String)
        return number.fill_null(column.fill_nan(None).cast(pl.String))
    if column.dtype == pl.Boolean:
        return column.cast(pl.Int8).cast(pl.String)
    return column.cast(pl.String)


def _edges(values: Floats) -> Floats:
    """Edges of bins (a, b]: quantiles, and a very frequent value has a bin of its own."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros(0)
    kinds, counts = np.unique(finite, return_counts=True)
    usual = kinds[counts >= finite.size / BINS]
    rest = finite[~np.isin(finite, usual)] if usual.size else finite
    inner = np.quantile(rest, np.linspace(0, 1, BINS + 1)[1:-1]) if rest.size else np.zeros(0)
    edges = np.unique(np.concatenate([inner, usual, np.nextafter(usual, -np.inf)]))
    return edges[edges < kinds[-1]]


def _common(column: pl.Series, tags: bool, rare: int) -> tuple[str, ...]:
    """Categories (or tags) that are not rare, most frequent first; ties in order of the alphabet."""
    flat = column.drop_nulls().alias("level")
    if tags:
        flat = flat.str.split(",").explode()
    counted = flat.value_counts().filter(pl.col("count") >= rare)
    return tuple(counted.sort(["count", "level"], descending=[True, False])["level"].to_list())


def _codes(column: pl.Series, levels: tuple[str, ...]) -> NDArray[np.int32]:
    if not levels:
        return np.zeros(column.len(), np.int32)
    known = pl.DataFrame({"level": levels, "code": np.arange(1, len(levels) + 1, dtype=np.int32)})
    joined = pl.DataFrame({"level": column}).join(known, on="level", how="left", maintain_order="left")
    return joined["code"].fill_null(_OTHER).to_numpy().astype(np.int32)


def _tag_codes(column: pl.Series, levels: tuple[str, ...]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    parts = pl.DataFrame({"row": np.arange(column.len(), dtype=np.int32), "level": column.str.split(",")})
    flat = parts.drop_nulls().explode("level")
    code = _codes(flat["level"], levels)
    kept = code > _OTHER
    return flat["row"].to_numpy()[kept], code[kept]


def _binned(values: Floats, edges: Floats) -> NDArray[np.int32]:
    """Bins from 1; missing numbers are 0."""
    return np.where(np.isfinite(values), np.searchsorted(edges, values, side="left") + 1, _OTHER).astype(np.int32)
