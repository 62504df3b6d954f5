"""Do the reports tell one story? Compares report types on what they share, and tells every difference.

Each measure is summed per report, day and campaign. The report that covers most days and says most is the
reference; the others are compared with it cell by cell on the days both cover. Impressions are not
compared: the search-term report leaves out terms without a click.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from domain.tables import FACTS, check

MEASURES = ("spend", "clicks", "orders", "gmv")
#: Columns of `Reconciliation.differences`. Campaign is null in rows that compare whole days.
DIFFERENCES = {
    "day": pl.Date(),
    "campaign": pl.String(),
    "measure": pl.String(),
    "reference": pl.String(),
    "reference_value": pl.Float64(),
    "report": pl.String(),
    "value": pl.Float64(),
    "difference": pl.Float64(),
}
# Where two reports are equally rich, the one with fewer dimensions is the reference.
_ORDER = ("campaign", "targeting", "advertised_product", "placement", "search_term", "performance_over_time")


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Comparison of report types.

    Attributes
    ----------
    totals
        One row per report: ``report, first_day, last_day, days, rows, spend, clicks, orders, gmv``; null where a
        report does not have the measure.
    differences
        Columns `DIFFERENCES`; ``difference`` = value - reference value.
    words
        The same in words, one sentence each.
    """

    totals: pl.DataFrame
    differences: pl.DataFrame
    words: tuple[str, ...]

    @property
    def agree(self) -> bool:
        """Whether there is no difference at all."""
        return self.differences.height == 0


def reconcile(facts: pl.DataFrame, currency: str | None = None, money_tolerance: float = 0.01) -> Reconciliation:
    """Compare the report types in a table of facts with one another.

    Parameters
    ----------
    facts
        Columns `FACTS`, of one account and currency.
    currency
        Written behind amounts.
    money_tolerance
        Differences of spend and gmv in one cell up to this amount are rounding; counts must be equal.
    """
    facts = check(facts, FACTS, "facts to reconcile").with_columns(pl.col("start_local").dt.date().alias("day"))
    unit = f" {currency}" if currency else ""
    totals = _totals(facts)
    reports = totals["report"].to_list()
    if len(reports) < 2:
        only = f"only {reports[0]} is there: nothing to compare" if reports else "there are no rows to compare"
        return Reconciliation(totals, pl.DataFrame(schema=DIFFERENCES), (only,))
    reference = reports[0]
    parts: list[pl.DataFrame] = []
    coverage: list[str] = []
    for report in reports[1:]:
        found, words = _compare(facts, reference, report, money_tolerance)
        parts.append(found)
        coverage += words
    differences = pl.concat(parts).sort("report", "measure", "day", "campaign", nulls_last=True)
    lines = _agreement(totals, differences, unit) + coverage + _told(differences, unit)
    return Reconciliation(totals, differences, tuple(lines))


def _totals(facts: pl.DataFrame) -> pl.DataFrame:
    """Totals per report, the reference first."""
    rank = {name: i for i, name in enumerate(_ORDER)}
    return (
        facts.group_by("report")
        .agg(
            pl.col("day").min().alias("first_day"),
            pl.col("day").max().alias("last_day"),
            pl.col("day").n_unique().alias("days"),
            pl.len().alias("rows"),
            *(_sum(m) for m in MEASURES),
            pl.col("campaign").is_not_null().any().alias("by_campaign"),
        )
        .sort(
            pl.col("by_campaign"),
            pl.col("days"),
            pl.col("report").replace_strict(rank, default=len(rank), return_dtype=pl.Int64),
            pl.col("report"),
            descending=[True, True, False, False],
        )
        .drop("by_campaign")
    )


def _sum(measure: str) -> pl.Expr:
    """Sum; null where no row has the measure."""
    return pl.when(pl.col(measure).is_not_null().any()).then(pl.col(measure).sum()).alias(measure)


def _compare(
    facts: pl.DataFrame, reference: str, report: str, money_tolerance: float
) -> tuple[pl.DataFrame, list[str]]:
    """Differences of one report from the reference, and words on days that only one of them has."""
    one, two = (facts.filter(pl.col("report") == name) for name in (reference, report))
    by_campaign = bool(one["campaign"].is_not_null().any()) and bool(two["campaign"].is_not_null().any())
    words: list[str] = []
    for name, mine, other_name, other in ((reference, one, report, two), (report, two, reference, one)):
        # A day without a row between a report's first and last one had no ads; so had one without clicks.
        first, last = other["day"].min(), other["day"].max()
        outside = mine.filter(~pl.col("day").is_between(first, last) & ((pl.col("spend") > 0) | (pl.col("clicks") > 0)))
        if outside.height:
            days = outside["day"].unique().sort().to_list()
            words.append(f"{other_name} does not cover {_days(days)}, which {name} has; those days are not compared")
    start, end = max(one["day"].min(), two["day"].min()), min(one["day"].max(), two["day"].max())  # type: ignore[type-var]
    if start > end:  # type: ignore[operator]
        words.append(f"{reference} and {report} share no day: they cannot be compared")
    keys = ["day", "campaign"] if by_campaign else ["day"]
    shared = [m for m in MEASURES if one[m].is_not_null().any() and two[m].is_not_null().any()]
    sums: list[pl.DataFrame] = []
    for frame, suffix in ((one, "one"), (two, "two")):
        cut = frame.filter(pl.col("day").is_between(start, end))
        sums.append(
            cut.group_by(keys)
            .agg(pl.col(m).sum() for m in shared)
            .unpivot(shared, index=keys, variable_name="measure", value_name=suffix)
        )
    both = (
        sums[0]
        .join(sums[1], on=[*keys, "measure"], how="full", coalesce=True)
        .with_columns(pl.col("one", "two").fill_null(0.0))
    )
    money = pl.col("measure").is_in(["spend", "gmv"])
    slack = pl.when(money).then(money_tolerance + 1e-9 * pl.max_horizontal(pl.col("one").abs(), 1.0)).otherwise(1e-6)
    off = both.filter((pl.col("two") - pl.col("one")).abs() > slack)
    return (
        off.select(
            pl.col("day"),
            (pl.col("campaign") if by_campaign else pl.lit(None, pl.String)).alias("campaign"),
            pl.col("measure"),
            pl.lit(reference).alias("reference"),
            pl.col("one").alias("reference_value"),
            pl.lit(report).alias("report"),
            pl.col("two").alias("value"),
            (pl.col("two") - pl.col("one")).alias("difference"),
        ).cast(DIFFERENCES),  # type: ignore[arg-type]
        words,
    )


def _agreement(totals: pl.DataFrame, differences: pl.DataFrame, unit: str) -> list[str]:
    """One line on the reports that agree with the reference, then one on each that covers other days or differs."""
    off = set(differences["report"].to_list())
    rows = {row["report"]: row for row in totals.iter_rows(named=True)}
    first = next(iter(rows))
    same, other = [first], list[str]()
    for name, row in rows.items():
        apart = row["first_day"] > rows[first]["last_day"] or row["last_day"] < rows[first]["first_day"]
        if name == first or name in off or apart:
            continue
        alike = all(row[m] is None or abs(row[m] - (rows[first][m] or 0)) < 0.05 for m in ("spend", "clicks"))
        (same if alike else other).append(name)
    lines: list[str] = []
    if len(same) > 1:
        partial = [name for name in same[1:] if rows[name]["orders"] is None]
        note = f" ({', '.join(partial)}: on spend and clicks, it has no more)" if partial else ""
        lines.append(f"{', '.join(same)} agree: {_amounts(rows[first], unit)}{note}")
    else:
        lines.append(f"{first} is what the others are compared with: {_amounts(rows[first], unit)}")
    for name in other:
        row = rows[name]
        lines.append(
            f"{name} agrees on the days it shares ({row['first_day']} to {row['last_day']}): {_amounts(row, unit)}"
        )
    return lines + [f"{name} differs: {_amounts(rows[name], unit)}" for name in rows if name in off]


def _amounts(row: dict[str, object], unit: str) -> str:
    words = [f"{row['spend']:,.2f}{unit}", f"{row['clicks']:,.0f} clicks"]
    if row["orders"] is not None:
        words.append(f"{row['orders']:,.0f} orders")
    if row["gmv"] is not None:
        words.append(f"gmv {row['gmv']:,.2f}{unit}")
    return ", ".join(words)


def _told(differences: pl.DataFrame, unit: str) -> list[str]:
    """One line per report and measure: how much, in how many cells, and where it is largest."""
    lines: list[str] = []
    for (report, measure), cells in differences.group_by("report", "measure", maintain_order=True):
        worst = cells.sort(pl.col("difference").abs(), descending=True).row(0, named=True)
        money = measure in ("spend", "gmv")
        figures = [cells["difference"].sum(), worst["reference_value"], worst["value"]]
        total, was, is_ = (f"{x:,.2f}{unit}" if money else f"{x:,.0f}" for x in figures)
        sign = "+" if figures[0] > 0 else ""
        where = f"{worst['day']}" + (f", {worst['campaign']}" if worst["campaign"] is not None else "")
        places = "1 place" if cells.height == 1 else f"{cells.height:,} places"
        lines.append(
            f"{measure} of {report} differs from {worst['reference']} by {sign}{total} in {places}; "
            f"largest on {where}: {is_} against {was}"
        )
    return lines


def _days(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{len(days)} days between {days[0]} and {days[-1]}"
