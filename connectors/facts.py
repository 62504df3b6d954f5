"""From read rows to facts: each key once, columns as agreed, and what is strange in them told."""

from functools import reduce

import polars as pl

from connectors.cells import ROW, RawTable
from connectors.layouts import Layout
from connectors.measures import COUNTS, MONEY, rows_of
from connectors.setaside import quarantine
from domain.tables import FACT_KEY, FACTS, GRAIN, check

_TEXTS = ("campaign", "ad_group", "target", "sku", "search_term", "placement")
_MATCH = {
    "exact": "EXACT",
    "精准": "EXACT",
    "精准匹配": "EXACT",
    "phrase": "PHRASE",
    "词组": "PHRASE",
    "词组匹配": "PHRASE",
    "broad": "BROAD",
    "广泛": "BROAD",
    "广泛匹配": "BROAD",
    "targeting_expression": "-",
    "targeting_expression_predefined": "-",
    "": "-",
}
_NO_PORTFOLIO = ("not grouped", "no portfolio", "-", "--", "未分组")


def to_facts(good: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Rows with columns `FACTS`: match types as EXACT, PHRASE, BROAD or -, no portfolio as null."""

    def text(field: str) -> pl.Expr:
        here = f"t_{field}" in good.columns and field in (*layout.dimensions, *layout.optional)
        return pl.col(f"t_{field}") if here else pl.lit(None, pl.String)

    low = text("match_type").fill_null("").str.to_lowercase()
    match = low.replace_strict(_MATCH, default=text("match_type").str.to_uppercase(), return_dtype=pl.String)
    portfolio = text("portfolio")
    return check(
        good.select(
            pl.lit(layout.report).alias("report"),
            pl.col("day").cast(pl.Datetime("us")).alias("start_local"),
            pl.lit("day", GRAIN).alias("grain"),
            *(text(field).alias(field) for field in _TEXTS),
            (match if "match_type" in layout.dimensions else pl.lit(None, pl.String)).alias("match_type"),
            *(
                (pl.col(field) if field in good.columns else pl.lit(None)).cast(pl.Float64).alias(field)
                for field in (*COUNTS, *MONEY)
            ),
            text("campaign_status").alias("campaign_status"),
            text("bidding_strategy").alias("bidding_strategy"),
            pl.when(~portfolio.str.to_lowercase().is_in(_NO_PORTFOLIO)).then(portfolio).alias("portfolio"),
            pl.col(ROW),
        ),
        FACTS,
        "facts",
    )


def once(facts: pl.DataFrame, table: RawTable) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Facts with each key once (its first row), and the others as a quarantine."""
    key = list(FACT_KEY)
    if not facts.select(pl.struct(key).is_duplicated().any()).item():
        return facts, quarantine(facts.clear(), table)
    values = [c for c in FACTS if c not in (*key, ROW)]
    first = facts.unique(key, keep="first", maintain_order=True)
    later = facts.join(first.select(ROW), on=ROW, how="anti", maintain_order="left").join(
        first.select(*key, *(pl.col(c).alias(f"first_{c}") for c in (*values, ROW))),
        on=key,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    same = reduce(lambda a, b: a & b, (pl.col(c).eq_missing(pl.col(f"first_{c}")) for c in values))
    differ = pl.concat_str(
        [pl.when(~pl.col(c).eq_missing(pl.col(f"first_{c}"))).then(pl.lit(c)) for c in values],
        separator=", ",
        ignore_nulls=True,
    )
    later = later.with_columns(
        pl.when(same).then(pl.lit("duplicate row")).otherwise(pl.lit("conflicting row")).alias("reason"),
        pl.when(same)
        .then(
            pl.format("row {}: says the same as row {}, which is kept; nothing needs to be done", ROW, f"first_{ROW}")
        )
        .otherwise(
            pl.format(
                "row {}: is about the same day and names as row {}, which is kept, but differs in {}; import pasted "
                "downloads one by one, or give two things of one name two names",
                ROW,
                f"first_{ROW}",
                differ,
            )
        )
        .alias("detail"),
    )
    return first, quarantine(later, table)


def oddities(good: pl.DataFrame, layout: Layout) -> list[str]:
    """What is strange in rows that are used all the same."""
    notes: list[str] = []

    def tell(condition: pl.Expr, words: str) -> None:
        rows = good.filter(condition.fill_null(False))[ROW]
        if rows.len():
            notes.append(f"{rows_of(rows.len())} with {words} (first: row {rows[0]})")

    has = set(good.columns)
    if layout.report == "search_term" and "impressions" in has:
        tell(pl.col("clicks") > pl.col("impressions"), "more clicks than impressions, which lag in this report")
    if {"gmv", "orders"} <= has:
        tell((pl.col("gmv") > 0) & (pl.col("orders") == 0), "sales without orders")
    recomputed = {
        "ctr": ("clicks", "impressions"),
        "cpc": ("spend", "clicks"),
        "acos": ("spend", "gmv"),
        "roas": ("gmv", "spend"),
    }
    for ratio, (above, below) in recomputed.items():
        if {ratio, above, below} <= has:
            truth = pl.col(above) / pl.col(below)
            off = pl.min_horizontal((pl.col(ratio) - truth).abs(), (pl.col(ratio) / 100 - truth).abs())
            tell(
                (pl.col(below) > 0) & (off > 0.02 * truth + 0.006),
                f"{ratio.upper()} is not {above} / {below}; the column is not used",
            )
    return notes
