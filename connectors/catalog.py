"""The trader's catalog: sku, price, margin rate, category, business type, stock; header spelling is free.

Margin rates may be written 0.35, 35% or, in a column that says percent or holds mostly numbers above 1, 35.
Only sku and price must be there. What is blank stays unknown; it is not guessed.
"""

import re
from collections.abc import Mapping, Sequence

import polars as pl

from connectors import numbers
from connectors.cells import ROW, RawTable
from connectors.headers import AMBIGUOUS_SIGNS, plain, sign_of
from connectors.measures import most_common
from connectors.readings import CatalogReading
from connectors.setaside import SetAside, quarantine, together
from domain.errors import SchemaMismatch
from domain.tables import CATALOG, check

_SPELLINGS: Mapping[str, Sequence[str]] = {
    "sku": ("sku", "seller sku", "merchant sku", "item sku", "advertised sku", "asin", "item", "item id", "商品编码"),
    "price": ("price", "unit price", "selling price", "sale price", "list price", "价格", "售价", "单价"),
    "margin_rate": ("margin rate", "margin", "gross margin", "gross margin rate", "profit margin", "毛利率", "利润率"),
    "category": ("category", "product category", "类目", "品类"),
    "business_type": ("business type", "business line", "line of business", "业务类型"),
    "stock": ("stock", "inventory", "quantity", "qty", "stock quantity", "on hand", "units in stock", "库存"),
}
_FIELD = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings}
_SCIENTIFIC = r"^\d(?:\.\d+)?[eE]\+?\d+$"
_REQUIRED = ("sku", "price")


def field_of(text: str) -> str | None:
    """Catalog column that a header means; ``None`` where it means none."""
    name = re.sub(r"\([^()]*\)", " ", plain(text)).replace("%", " ").replace("pct", " ").replace("percent", " ")
    words = re.sub(r"[\s_.\-/]+", " ", name).strip()
    if words not in _FIELD and words.rsplit(" ", 1)[-1].upper() == sign_of(words.rsplit(" ", 1)[-1]):
        words = words.rsplit(" ", 1)[0]  # "price inr"
    return _FIELD.get(words)


def catalog_known(header: Sequence[str]) -> int:
    """How many headers a catalog could have."""
    return sum(field_of(text) is not None for text in header)


def is_catalog(header: Sequence[str]) -> bool:
    """Whether a header is a catalog's, complete or not."""
    fields = {field_of(text) for text in header}
    return len(fields - {None}) >= 2 and bool(fields & {"price", "margin_rate", "stock"})


def read(table: RawTable, file: str, sha256: str) -> CatalogReading:
    """Reading of a table that should be a catalog; `SchemaMismatch` where its columns cannot be one."""
    positions: dict[str, int] = {}
    unknown: list[str] = []
    for position, text in enumerate(table.header):
        field = field_of(text)
        if field is None:
            unknown += [text.strip()] if text.strip() else []
        elif field in positions:
            first = table.header[positions[field]]
            raise SchemaMismatch(f"{table.name}, row 1: two columns for {field}: {first!r} and {text!r}; delete one")
        else:
            positions[field] = position
    missing = [field for field in _REQUIRED if field not in positions]
    if missing:
        raise SchemaMismatch(
            f"{table.name}, row 1: a catalog without the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            f"it has {[t.strip() for t in table.header]}; name its columns {', '.join(CATALOG)}"
        )
    warnings = list(table.notes)
    if unknown:
        warnings.append(f"unknown columns are left out: {', '.join(unknown)}")
    if lacking := [field for field in CATALOG if field not in positions]:
        warnings.append(f"there is no column {', '.join(lacking)}; unknown for every sku")

    texts = {field: table.column(position) for field, position in positions.items()}
    frame = pl.DataFrame({ROW: table.cells[ROW], **{f"t_{field}": column for field, column in texts.items()}})
    blank = frame.select(pl.all_horizontal(pl.exclude(ROW).is_null())).to_series()
    frame = frame.filter(~blank)
    aside = SetAside()
    frame, currency = _checked(frame, aside, table.header[positions.get("margin_rate", 0)], warnings)
    good, bad = aside.split(frame, table)
    rows = good.select(
        *(
            (pl.col(name if dtype == pl.Float64 else f"t_{name}") if name in positions else pl.lit(None))
            .cast(dtype)
            .alias(name)
            for name, dtype in CATALOG.items()
        ),
        pl.col(ROW),
    )
    kept, doubles = _once(rows, table)
    if table.cells.height + table.broken.height == 0:
        warnings.append("there are no rows below the header")
    return CatalogReading(
        file=file,
        rows=check(kept, CATALOG, table.name),
        quarantined=together(bad, doubles, table.broken),
        rows_read=table.cells.height + table.broken.height,
        rows_ignored=int(blank.sum()),
        warnings=tuple(warnings),
        sha256=sha256,
        currency=currency,
    )


def _checked(
    frame: pl.DataFrame, aside: SetAside, margin_header: str, warnings: list[str]
) -> tuple[pl.DataFrame, str | None]:
    """Numbers in place of texts, faults noted, and the currency of the prices where they say it."""
    fix = "correct the catalog and import it again"
    aside.when(pl.col("t_sku").is_null(), "missing sku", "has no sku", remedy=fix)
    aside.when(
        pl.col("t_sku").str.contains(_SCIENTIFIC),
        "sku in scientific notation",
        "sku {} has lost its digits",
        "t_sku",
        remedy="format the column as text before saving",
    )
    money = [frame[f"t_{f}"] for f in ("price", "margin_rate", "stock") if f"t_{f}" in frame.columns]
    comma = numbers.decimal_comma(money)
    if comma:
        warnings.append("numbers are read with decimal commas: 12,34 is twelve and 34 hundredths")
    currency: str | None = None
    for field in ("price", "margin_rate", "stock"):
        if f"t_{field}" not in frame.columns:
            continue
        read = numbers.parse(frame[f"t_{field}"], comma)
        values = read.values
        if field == "margin_rate":
            values = _margin(values, frame["t_margin_rate"], margin_header, warnings)
        frame = frame.with_columns(values.alias(field), read.unreadable.alias(f"bad_{field}"))
        aside.when(
            pl.col(f"bad_{field}"),
            f"unreadable {field}",
            f"{field} is {{}}, which is no number",
            f"t_{field}",
            remedy=fix,
        )
        if field == "price":
            currency = most_common(read.signs.filter(~read.signs.is_in(AMBIGUOUS_SIGNS)))
            if currency is not None:
                other = (read.signs != currency) & ~read.signs.is_in(AMBIGUOUS_SIGNS)
                frame = frame.with_columns(other.fill_null(False).alias("other"))
                aside.when(
                    pl.col("other"),
                    "other currency",
                    f"price is {{}}, most of the file in {currency}",
                    "t_price",
                    remedy="write one catalog per currency",
                )
    aside.when(pl.col("price").is_null(), "missing price", "has no price", remedy=fix)
    aside.when(~(pl.col("price") > 0), "price not positive", "price is {}", "t_price", remedy=fix)
    if "margin_rate" in frame.columns:
        aside.when(
            ~pl.col("margin_rate").is_between(0, 1),
            "margin rate outside 0 to 1",
            "margin rate is {}",
            "t_margin_rate",
            remedy="write 0.35 or 35% for a margin of 35 percent of the price",
        )
    if "stock" in frame.columns:
        aside.when(pl.col("stock") < 0, "negative stock", "stock is {}", "t_stock", remedy=fix)
    return frame, currency


def _margin(values: pl.Series, texts: pl.Series, header: str, warnings: list[str]) -> pl.Series:
    """Margin rates as fractions; a number without a percent sign is percent where the column is in percent."""
    bare = ~texts.str.contains("%", literal=True).fill_null(False)
    says = any(word in plain(header) for word in ("%", "pct", "percent"))
    middle = values.filter(bare & values.is_not_null()).median()
    if not says and not (isinstance(middle, float) and middle > 1):
        return values
    if not says:
        warnings.append("margin rates are read as percent: most of them are above 1")
    return (values / 100).zip_with(bare, values)


def _once(rows: pl.DataFrame, table: RawTable) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Each sku once (its first row), and the others as a quarantine."""
    first = rows.unique("sku", keep="first", maintain_order=True)
    later = rows.join(first.select(ROW), on=ROW, how="anti", maintain_order="left")
    if later.height == 0:
        return first, quarantine(later, table)
    values = [name for name in CATALOG if name != "sku"]
    later = later.join(first.rename({c: f"first_{c}" for c in (*values, ROW)}), on="sku", maintain_order="left")
    same = pl.all_horizontal([pl.col(c).eq_missing(pl.col(f"first_{c}")) for c in values])
    what = pl.when(same).then(pl.lit("says the same as")).otherwise(pl.lit("differs from"))
    later = later.with_columns(
        pl.when(same).then(pl.lit("duplicate row")).otherwise(pl.lit("conflicting row")).alias("reason"),
        pl.format(
            "row {}: sku {} {} row {}, which is kept; keep one row for each sku", ROW, "sku", what, f"first_{ROW}"
        ).alias("detail"),
    )
    return first, quarantine(later, table)
