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

import polars as pl

from connectors import dates, numbers
from connectors.cells import ROW, RawTable
from connectors.facts import oddities, once, to_facts
from connectors.headers import Heading, amazon_known, headings, plain
from connectors.layouts import LAYOUTS, Layout, check_columns, layout_of
from connectors.measures import impossible, measures, one_country
from connectors.readings import FileReading
from connectors.setaside import SetAside, together
from domain.errors import SchemaMismatch

_TOTALS = ("total", "totals", "grand total", "sum", "总计", "合计", "total:", "totals:")
_DATE_WORDS = ("date", "start date", "日期", "开始日期", "day")


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
    frame, currency, more = measures(table.name, frame, layout, by_field, aside, comma)
    warnings += more
    impossible(frame, layout, aside)
    one_country(frame, aside)
    good, bad = aside.split(frame, table)
    facts = to_facts(good, layout)
    facts, doubles = once(facts, table)
    good = good.join(facts.select(ROW), on=ROW, how="semi", maintain_order="left")
    warnings += oddities(good, layout)
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
