"""The numbers of a report: read, checked against what can be, in one currency and of one country."""

from collections.abc import Mapping

import polars as pl

from connectors import numbers
from connectors.cells import ROW
from connectors.headers import Heading
from connectors.layouts import WRITTEN, Layout
from connectors.setaside import SetAside
from domain.errors import SchemaMismatch

COUNTS = ("impressions", "clicks", "orders", "units_sold", "new_customer_orders")
MONEY = ("spend", "gmv", "daily_budget")
#: No account counts or spends this much in a row of one day; a larger number is an id or a date in the wrong column.
LARGEST = 1e12

_DOLLARS = ("USD", "CAD", "AUD", "MXN", "SGD")
_SHARED_SIGNS = {"$": _DOLLARS, "¥": ("JPY", "CNY"), "￥": ("JPY", "CNY"), "kr": ("SEK",)}


def measures(
    name: str, frame: pl.DataFrame, layout: Layout, by_field: Mapping[str, Heading], aside: SetAside, comma: bool | None
) -> tuple[pl.DataFrame, str | None, list[str]]:
    """Numbers of all measures, the file's currency, and warnings."""
    notes: list[str] = []
    needed = ("clicks", "spend", *(("impressions",) if "impressions" in layout.measures else ()))
    signs: dict[str, pl.Series] = {}
    again = "download the report again without editing it"
    for field in (*COUNTS, *MONEY, "ctr", "cpc", "acos", "roas"):
        if f"t_{field}" not in frame.columns:
            continue
        read = numbers.parse(frame[f"t_{field}"], comma)
        if field in ("ctr", "cpc", "acos", "roas"):
            frame = frame.with_columns(read.values.alias(field))
            continue
        values = read.values
        if field not in needed and field != "daily_budget":
            holes = values.is_null() & ~read.unreadable
            if holes.any():
                notes.append(
                    f"{rows_of(int(holes.sum()))} without {field}, read as 0 (first: row {frame[ROW].filter(holes)[0]})"
                )
                values = values.set(holes, 0.0)
        frame = frame.with_columns(values.alias(field), read.unreadable.alias("bad"))
        written = WRITTEN.get(field, field)
        aside_flag = f"bad_{field}"
        frame = frame.rename({"bad": aside_flag})
        aside.when(
            pl.col(aside_flag),
            f"unreadable {field}",
            written + " is {}, which is no number",
            f"t_{field}",
            remedy=again,
        )
        if field in needed:
            aside.when(pl.col(field).is_null(), f"missing {field}", f"has no {written}", remedy=again)
        aside.when(pl.col(field) < 0, f"negative {field}", written + " is {}", f"t_{field}", remedy=again)
        aside.when(pl.col(field) > LARGEST, f"impossible {field}", written + " is {}", f"t_{field}", remedy=again)
        if field in COUNTS:
            aside.when(
                pl.col(field) != pl.col(field).round(),
                f"fractional {field}",
                written + " is {}, not a whole number",
                f"t_{field}",
                remedy=again,
            )
        elif read.signs.is_not_null().any():
            signs[field] = read.signs
    frame, currency, more = _currency(name, frame, by_field, signs, aside)
    return frame, currency, notes + more


def _currency(
    name: str, frame: pl.DataFrame, by_field: Mapping[str, Heading], signs: Mapping[str, pl.Series], aside: SetAside
) -> tuple[pl.DataFrame, str | None, list[str]]:
    split = "import one marketplace per file"
    in_header = next((c.sign for c in by_field.values() if c.sign is not None), None)
    stated: str | None = None
    if "t_currency" in frame.columns:
        codes = frame["t_currency"].str.to_uppercase()
        frame = frame.with_columns(codes.alias("code"))
        stated = most_common(codes.filter(codes.str.contains("^[A-Z]{3}$").fill_null(False)))
    found = pl.concat(list(signs.values())).drop_nulls().unique().to_list() if signs else []
    currency = stated or (in_header if in_header and in_header not in _SHARED_SIGNS else None)
    if currency is None:
        codes = sorted(s for s in found if s not in _SHARED_SIGNS)
        currency = codes[0] if len(codes) == 1 else None
    notes: list[str] = []
    if currency and in_header and not _fits(in_header, currency):
        raise SchemaMismatch(
            f"{name}, row 1: the header speaks of {in_header}, the rows of {currency}; download the report again"
        )
    if "code" in frame.columns:
        if currency is None and frame.height:
            notes.append("no row says its currency; the account's is assumed")
        else:
            aside.when(
                pl.col("code").is_null(), "missing currency", f"has no currency in a file of {currency}", remedy=split
            )
        aside.when(
            pl.col("code") != currency,
            "other currency",
            "is in {}, most of the file in " + str(currency),
            "t_currency",
            remedy=split,
        )
    elif currency is None and frame.height and (in_header or found):
        notes.append(f"the sign {in_header or found[0]} does not tell the currency; the account's is assumed")
    for field, column in signs.items():
        bad = column.drop_nulls().unique()
        bad = [s for s in bad.to_list() if not (currency and _fits(s, currency))]
        if not bad or (currency is None and len(found) <= 1):
            continue
        frame = frame.with_columns(column.is_in(bad).fill_null(False).alias(f"sign_{field}"))
        aside.when(
            pl.col(f"sign_{field}"),
            "other currency",
            f"{WRITTEN.get(field, field)} is {{}} in a file of {currency or 'unknown currency'}",
            f"t_{field}",
            remedy=split,
        )
    return frame, currency, notes


def most_common(texts: pl.Series) -> str | None:
    """Most frequent text, the first one in the file where two are equally frequent; ``None`` without any."""
    counts = texts.drop_nulls().alias("text").to_frame().group_by("text", maintain_order=True).len()
    return None if counts.height == 0 else str(counts.sort("len", descending=True, maintain_order=True).item(0, 0))


def _fits(sign: str, currency: str) -> bool:
    return sign == currency or currency in _SHARED_SIGNS.get(sign, ())


def impossible(frame: pl.DataFrame, layout: Layout, aside: SetAside) -> None:
    """Note rows without the names they need, and rows whose numbers contradict each other."""
    again = "download the report again without editing it"
    for field in layout.dimensions:
        if field != "match_type":
            aside.when(pl.col(f"t_{field}").is_null(), f"missing {field}", f"has no {WRITTEN[field]}", remedy=again)
    aside.when(
        (pl.col("spend") > 0) & (pl.col("clicks") == 0),
        "spend without clicks",
        "costs {} without a click",
        "spend",
        remedy="pay-per-click ads cannot do that; " + again,
    )
    if "impressions" in frame.columns and layout.report != "search_term":
        aside.when(
            pl.col("clicks") > pl.col("impressions"),
            "more clicks than impressions",
            "{} clicks of {} impressions",
            "clicks",
            "impressions",
            remedy=again,
        )


def one_country(frame: pl.DataFrame, aside: SetAside) -> None:
    """A campaign name that occurs in two countries would become one campaign; keep the larger one."""
    if "t_country" not in frame.columns or "t_campaign" not in frame.columns or frame["t_country"].n_unique() < 2:
        return
    here = pl.struct(pl.col("t_campaign").fill_null(""), pl.col("t_country").fill_null(""))
    counts = frame.group_by("t_campaign", "t_country").len().sort(["len", "t_country"], descending=[True, False])
    keep = counts.unique("t_campaign", keep="first", maintain_order=True)
    if keep.height == counts.height:
        return
    pairs = keep.select(here).to_series().implode()
    aside.when(
        ~here.is_in(pairs),
        "same campaign in another country",
        "campaign {} runs in {} too",
        "t_campaign",
        "t_country",
        remedy="import one marketplace per file",
    )


def rows_of(count: int) -> str:
    """Count of rows in words."""
    return "1 row" if count == 1 else f"{count:,} rows"
