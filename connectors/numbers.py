"""Numbers as people and spreadsheets write them: ``1,234.50``, ``Rs.1000.0``, ``1.66%``, ``(12.00)``, ``12,34 €``.

Whole columns at a time: what is a plain number is cast; only the rest, once per distinct text, is taken apart.
NaN and infinity written as text are not numbers. Blank, ``-`` and ``--`` mean "no value".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from connectors.headers import sign_of

_BLANK = ("", "-", "--", "—", "–", "n/a", "na", "null")
_GROUPS = r"^\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d*)?$"  # 1,234.5 and, as in India, 1,00,000
_PLAIN = r"^(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$"
_COMMA_DECIMAL = r"^(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d*)?$"
# Sign, currency, sign, number, currency or percent: nothing else is a number.
_WHOLE = (
    r"^(?<s1>[+-]?)(?<prefix>[^0-9.,+()%-]+\.?)?(?<s2>[+-]?)"
    r"(?<number>(?:[0-9][0-9.,]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)(?<suffix>%|[^0-9.,+()%-]+\.?)?$"
)
# Evidence of how a file writes fractions.
_SAYS_COMMA = r"^\D*(?:\d{1,3}(?:\.\d{3})+,\d+|\d+,(?:\d{1,2}|\d{4,})|0,\d+)\D*$"
_SAYS_POINT = r"^\D*(?:\d{1,3}(?:,\d{2,3})+\.\d+|\d+\.(?:\d{1,2}|\d{4,})|0\.\d+)\D*$"


@dataclass(frozen=True, slots=True)
class Numbers:
    """One column of numbers.

    Attributes
    ----------
    values
        Float64; null where there is no value or it cannot be read.
    unreadable
        Whether there is text that is no number.
    signs
        Currency code (or ambiguous sign) written beside the number; null where there is none.
    """

    values: pl.Series
    unreadable: pl.Series
    signs: pl.Series


def decimal_comma(columns: Sequence[pl.Series]) -> bool | None:
    """Whether fractions are written ``12,34`` in these columns; ``None`` where some are and some are not."""
    comma = any(bool(column.str.contains(_SAYS_COMMA).any()) for column in columns)
    if not comma:
        return False
    point = any(bool(column.str.contains(_SAYS_POINT).any()) for column in columns)
    return None if point else True


def parse(column: pl.Series, comma: bool | None = False) -> Numbers:
    """Numbers of a column of texts (stripped, null for blank).

    Parameters
    ----------
    column
        Texts.
    comma
        What `decimal_comma` says of the file; where it is ``None`` a text such as ``12,34`` is unreadable.
    """
    frame = pl.DataFrame({"text": column})
    quick = column.cast(pl.Float64, strict=False)
    quick = quick.set(~quick.is_finite().fill_null(True), None)
    if comma:
        quick = quick.set(column.str.contains(".", literal=True).fill_null(False), None)
    rest = frame.filter(quick.is_null() & column.is_not_null()).unique()
    none = pl.Series("signs", [None] * column.len(), pl.String)
    if rest.height == 0:
        return Numbers(quick, pl.Series(values=[False]).new_from_index(0, column.len()), none)
    bare = (
        pl.col("text")
        .str.replace_all(r"[\s\u00a0\u202f\u2009'’]", "")
        .str.replace_all("−", "-", literal=True)
        .str.normalize("NFKC")
    )
    inner = bare.str.extract(r"^\((.*)\)$", 1)
    parts = rest.with_columns(
        inner.is_not_null().alias("accounting"), pl.coalesce(inner, bare).str.extract_groups(_WHOLE).alias("groups")
    ).unnest("groups")
    parts = _affixes(parts.with_columns(pl.col("prefix", "suffix", "s1", "s2").replace("", None)))
    number = pl.col("number")
    if comma:
        point = number.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        text = pl.when(number.str.contains(_COMMA_DECIMAL)).then(point)
    else:
        text = (
            pl.when(number.str.contains(_PLAIN))
            .then(number)
            .when(number.str.contains(_GROUPS))
            .then(number.str.replace_all(",", "", literal=True))
        )
    minus = (pl.col("s1") == "-").fill_null(False) | (pl.col("s2") == "-").fill_null(False) | pl.col("accounting")
    signs = pl.col("s1").is_not_null().cast(pl.Int8) + pl.col("s2").is_not_null() + pl.col("accounting")
    scale = pl.when(minus).then(-1.0).otherwise(1.0) * pl.when(pl.col("percent")).then(0.01).otherwise(1.0)
    value = pl.when(pl.col("affixes_ok") & (signs <= 1)).then(text.cast(pl.Float64, strict=False) * scale)
    blank = pl.col("text").str.to_lowercase().is_in(_BLANK)
    parts = parts.with_columns(pl.when(value.is_finite() & ~blank).then(value).alias("value")).with_columns(
        (~blank & pl.col("value").is_null()).alias("bad")
    )
    joined = frame.join(parts.select("text", "value", "bad", "sign"), on="text", how="left", maintain_order="left")
    return Numbers(
        pl.select(pl.coalesce(quick, joined["value"])).to_series(),
        joined["bad"].fill_null(False),
        joined["sign"],
    )


def _affixes(parts: pl.DataFrame) -> pl.DataFrame:
    """What stands before and after the number: nothing, a percent sign, or one currency; else it is no number."""
    meaning: dict[str, tuple[bool, str | None, bool]] = {}
    for text in pl.concat([parts["prefix"], parts["suffix"]]).drop_nulls().unique().to_list():
        percent = text == "%"
        sign = None if percent else sign_of(text)
        meaning[text] = (percent or sign is not None, sign, percent)
    table = pl.DataFrame(
        [(text, *facts) for text, facts in meaning.items()],
        schema={"affix": pl.String, "ok": pl.Boolean, "sign": pl.String, "percent": pl.Boolean},
        orient="row",
    )
    for side in ("prefix", "suffix"):
        named = table.rename({name: f"{side}_{name}" for name in ("ok", "sign", "percent")})
        parts = parts.join(named, left_on=side, right_on="affix", how="left", maintain_order="left")
    return parts.with_columns(
        (pl.col("prefix_ok").fill_null(True) & pl.col("suffix_ok").fill_null(True)).alias("affixes_ok"),
        pl.coalesce("prefix_sign", "suffix_sign").alias("sign"),
        (pl.col("prefix_percent").fill_null(False) | pl.col("suffix_percent").fill_null(False)).alias("percent"),
    )
