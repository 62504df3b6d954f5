"""Amazon Sponsored Products reports: from a table of texts to facts, good rows kept, bad ones set aside.

What is decided here, and why:

- a currency or a country that fewer rows have is set aside: money of two currencies never adds up;
- identical rows count once; of rows that share their key but not their numbers the first is kept, the others
  are set aside, because nobody can tell which is right and counting both would double the spend;
- more clicks than impressions is impossible, but in the search-term report a term's impressions may lag its
  clicks (seen in a real account), so there it is a warning;
- orders without clicks on that day do happen (the click was the day before) and are kept;
- CTR, CPC, ACOS and ROAS are not used, they are recomputed; where they contradict the row, a warning says so.
"""

from collections.abc import Mapping, Sequence
from functools import reduce

import polars as pl

from connectors import dates, numbers
from connectors.cells import ROW, RawTable
from connectors.headers import Heading, amazon_known, headings, plain
from connectors.layouts import LAYOUTS, WRITTEN, Layout, check_columns, layout_of
from connectors.readings import FileReading
from connectors.setaside import SetAside, quarantine, together
from domain.errors import SchemaMismatch
from domain.tables import FACT_KEY, FACTS, GRAIN, check

COUNTS = ("impressions", "clicks", "orders", "units_sold")
MONEY = ("spend", "gmv", "daily_budget")
#: No account counts or spends this much in a row of one day; a larger number is an id or a date in the wrong column.
LARGEST = 1e12

_TEXTS = ("campaign", "ad_group", "target", "sku", "search_term", "placement")
_TOTALS = ("total", "totals", "grand total", "sum", "总计", "合计", "total:", "totals:")
_DATE_WORDS = ("date", "start date", "日期", "开始日期", "day")
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
_DOLLARS = ("USD", "CAD", "AUD", "MXN", "SGD")
_SHARED_SIGNS = {"$": _DOLLARS, "¥": ("JPY", "CNY"), "￥": ("JPY", "CNY"), "kr": ("SEK",)}


def is_report(header: Sequence[str]) -> bool:
    """Whether a header belongs to one of the six reports, complete or not."""
    return layout_of(headings(header)) is not None


def read(table: RawTable, file: str, sha256: str) -> FileReading:
    """Reading of a table that should be a report; `SchemaMismatch` where its columns cannot be one."""
    columns = headings(table.header)
    layout = layout_of(columns)
    if layout is None:
        kinds = ", ".join(known.report for known in LAYOUTS)
        raise SchemaMismatch(
            f"{table.name}, row 1: the columns {[c.text.strip() for c in columns][:12]} belong to no known report "
            f"({amazon_known(table.header)} of {len(columns)} are known); import one of {kinds}, or a catalog"
        )
    by_field = check_columns(table.name, layout, columns)
    warnings = [*table.notes, *_unknown(table, columns)]
    frame, comma = _texts(table, layout, by_field)
    repeated, foreign = _another_header(frame, table)
    ignored = _ignored(frame) | repeated
    rows_ignored = int(ignored.sum())
    frame = frame.filter(~ignored)
    if comma:
        warnings.append("numbers are read with decimal commas: 12,34 is twelve and 34 hundredths")

    aside = SetAside()
    if foreign is not None:
        aside.when(
            pl.col(ROW) >= foreign,
            "another header above",
            f"stands below a second, different header (row {foreign})",
            remedy="import the reports that were pasted together one by one",
        )
    frame, day_notes = _days(frame, by_field, aside)
    warnings += day_notes
    frame, currency, more = _measures(table.name, frame, layout, by_field, aside, comma)
    warnings += more
    _impossible(frame, layout, aside)
    _one_country(frame, aside)
    good, bad = aside.split(frame, table)
    facts = _facts(good, layout)
    facts, doubles = _once(facts, table)
    good = good.join(facts.select(ROW), on=ROW, how="semi", maintain_order="left")
    warnings += _oddities(good, layout)
    if table.cells.height + table.broken.height == 0:
        warnings.append("there are no rows below the header")
    windows = [c.window for c in by_field.values() if c.window is not None]
    if not windows and "orders" in by_field:
        warnings.append("the header does not say in how many days orders are counted (its attribution window)")
    return FileReading(
        file=file,
        report=layout.report,
        rows=facts,
        quarantined=together(bad, doubles, table.broken),
        rows_read=table.cells.height + table.broken.height,
        rows_ignored=rows_ignored,
        currency=currency,
        attribution_days=windows[0] if windows else None,
        warnings=tuple(warnings),
        sha256=sha256,
    )


def _unknown(table: RawTable, columns: Sequence[Heading]) -> list[str]:
    named = [c.text.strip() for c in columns if c.field is None and c.text.strip()]
    nameless = [c for c in columns if not c.text.strip() and table.column(c.position).is_not_null().any()]
    notes = [f"unknown columns are left out: {', '.join(named)}"] if named else []
    return notes + [f"column {c.position + 1} has no name and is left out" for c in nameless]


def _texts(table: RawTable, layout: Layout, by_field: Mapping[str, Heading]) -> tuple[pl.DataFrame, bool | None]:
    """Texts of all needed columns, whether a row is blank, and how fractions are written."""
    wanted = {"date", "start_date", "end_date", "currency", "country", "ctr", "cpc", "acos", "roas"}
    wanted |= {*layout.required, *layout.optional}
    texts = {field: table.column(c.position) for field, c in by_field.items() if field in wanted}
    money = [texts[f] for f in ("spend", "gmv", "daily_budget", "cpc", "ctr", "acos", "roas") if f in texts]
    blank = table.cells.select(
        pl.all_horizontal([(pl.col(f"c{i}").str.strip_chars().fill_null("") == "") for i in range(len(table.header))])
    ).to_series()
    filled = table.cells.select(
        pl.sum_horizontal([(pl.col(f"c{i}").str.strip_chars().fill_null("") != "") for i in range(len(table.header))])
    ).to_series()
    frame = pl.DataFrame({ROW: table.cells[ROW], **{f"t_{field}": texts[field] for field in texts}}).with_columns(
        blank.alias("blank"), filled.alias("filled")
    )
    return frame, numbers.decimal_comma(money)


def _ignored(frame: pl.DataFrame) -> pl.Series:
    """Blank rows, totals, repeated headers and notes at the foot."""
    day = pl.col("t_date" if "t_date" in frame.columns else "t_start_date")
    low = day.str.to_lowercase()
    no_day = day.is_null() | low.is_in(_TOTALS)
    words = [c for c in frame.columns if c.startswith("t_")]
    total = no_day & pl.any_horizontal([pl.col(c).str.to_lowercase().is_in(_TOTALS).fill_null(False) for c in words])
    note = (pl.col("filled") == 1) & (day.is_null() | ~day.str.contains(r"^\d"))
    return frame.select((pl.col("blank") | total | note).fill_null(False)).to_series()


def _another_header(frame: pl.DataFrame, table: RawTable) -> tuple[pl.Series, int | None]:
    """Rows that repeat the header, and the number of the first row that is another one.

    Both come from files that were pasted together; below another header may be another window or currency.
    """
    day = "t_date" if "t_date" in frame.columns else "t_start_date"
    rows = frame.filter(pl.col(day).str.to_lowercase().is_in(_DATE_WORDS).fill_null(False))[ROW].to_list()
    same = [plain(text) for text in table.header]
    repeated: list[int] = []
    for row in rows:
        cells = table.cells.filter(pl.col(ROW) == row).row(0)
        if [plain(cell or "") for cell in cells[:-1]] != same:
            return frame[ROW].is_in(repeated), row
        repeated.append(row)
    return frame[ROW].is_in(repeated), None


def _days(
    frame: pl.DataFrame, by_field: Mapping[str, Heading], aside: SetAside
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    if "date" in by_field:
        days = dates.parse(frame["t_date"], frame[ROW])
        frame = frame.with_columns(
            days.values.alias("day"), days.reason.alias("day_reason"), pl.col("t_date").alias("t")
        )
    else:  # both columns together, so that the end may prove how the start is to be read
        both = dates.parse(pl.concat([frame["t_start_date"], frame["t_end_date"]]), pl.concat([frame[ROW], frame[ROW]]))
        n = frame.height
        days = both
        frame = frame.with_columns(
            both.values[:n].alias("day"),
            both.values[n:].alias("last"),
            pl.coalesce(both.reason[:n].alias("a"), both.reason[n:].alias("b")).alias("day_reason"),
            pl.format("{} to {}", pl.col("t_start_date").fill_null("?"), pl.col("t_end_date").fill_null("?")).alias(
                "t"
            ),
        )
    iso = "write dates as 2020-04-03, or import the xlsx"
    for reason in (dates.AMBIGUOUS, dates.UNREADABLE, dates.IMPOSSIBLE):
        what = "date {} may be day or month first, and no row tells" if reason == dates.AMBIGUOUS else "date {}"
        aside.when(pl.col("day_reason") == reason, reason, what, "t", remedy=iso)
    aside.when(pl.col("day").is_null(), "missing date", "has no date", remedy=iso)
    if "last" in frame.columns:
        aside.when(pl.col("last").is_null(), "missing date", "has no end date", remedy=iso)
        aside.when(
            pl.col("last") != pl.col("day"),
            "covers several days",
            "covers {}",
            "t",
            remedy="download the report with the time unit 'Daily'",
        )
    return frame, days.notes


def _measures(
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
                    f"{_rows(int(holes.sum()))} without {field}, read as 0 (first: row {frame[ROW].filter(holes)[0]})"
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
        counts = codes.filter(codes.str.contains("^[A-Z]{3}$").fill_null(False)).value_counts(sort=True)
        stated = None if counts.height == 0 else str(counts.item(0, 0))
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


def _fits(sign: str, currency: str) -> bool:
    return sign == currency or currency in _SHARED_SIGNS.get(sign, ())


def _impossible(frame: pl.DataFrame, layout: Layout, aside: SetAside) -> None:
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


def _one_country(frame: pl.DataFrame, aside: SetAside) -> None:
    """A campaign name that occurs in two countries would become one campaign; keep the larger one."""
    if "t_country" not in frame.columns or "t_campaign" not in frame.columns or frame["t_country"].n_unique() < 2:
        return
    counts = frame.group_by("t_campaign", "t_country").len().sort(["len", "t_country"], descending=[True, False])
    keep = counts.unique("t_campaign", keep="first", maintain_order=True)
    if keep.height == counts.height:
        return
    pairs = keep.select(pl.struct("t_campaign", "t_country")).to_series().implode()
    aside.when(
        ~pl.struct("t_campaign", "t_country").is_in(pairs),
        "same campaign in another country",
        "campaign {} runs in {} too",
        "t_campaign",
        "t_country",
        remedy="import one marketplace per file",
    )


def _facts(good: pl.DataFrame, layout: Layout) -> pl.DataFrame:
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


def _once(facts: pl.DataFrame, table: RawTable) -> tuple[pl.DataFrame, pl.DataFrame]:
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


def _oddities(good: pl.DataFrame, layout: Layout) -> list[str]:
    """What is strange in rows that are used all the same."""
    notes: list[str] = []

    def tell(condition: pl.Expr, words: str) -> None:
        rows = good.filter(condition.fill_null(False))[ROW]
        if rows.len():
            notes.append(f"{_rows(rows.len())} with {words} (first: row {rows[0]})")

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
                f"a {ratio.upper()} that is not {above} / {below}; the column is not used",
            )
    return notes


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
