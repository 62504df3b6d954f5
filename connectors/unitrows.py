"""From facts of a targeting report to day rows of units, each with the time at which it could first be known."""

from datetime import datetime, timedelta

import polars as pl

from domain.account import Account
from domain.tables import GRAIN, REPORT, UTC_TIME, check
from domain.time import day_end, day_start
from domain.units import unit_id

_NUMBERS = ("impressions", "clicks", "spend", "orders", "gmv")


def news_of(
    facts: pl.DataFrame, known: pl.DataFrame, account: Account, report_lag_hours: float, now: datetime
) -> pl.DataFrame:
    """Unit rows, columns `REPORT`, that say something new.

    A unit's day that is told of for the first time counts as learned when its report could first be read (the end
    of the day plus the platform's lag, never after `now`); a row that corrects an earlier one is learned now.
    Days that are not over yet are left out: what they tell is not final. Only targeting reports tell of units.

    Parameters
    ----------
    facts
        Columns `FACTS`.
    known
        Columns `REPORT`: what was told before.
    """
    rows = facts.filter((pl.col("report") == "targeting") & (pl.col("grain") == "day")).with_columns(unit_id())
    days = rows.select(pl.col("start_local").unique()).to_series().to_list()
    spans = [(day, day_start(day.date(), account.tz), day_end(day.date(), account.tz)) for day in days]
    table = pl.DataFrame(
        {"start_local": days, "start_utc": [s[1] for s in spans], "end_utc": [s[2] for s in spans]},
        schema={"start_local": pl.Datetime("us"), "start_utc": UTC_TIME, "end_utc": UTC_TIME},
    )
    rows = (
        rows.join(table, on="start_local", maintain_order="left")
        .filter(pl.col("end_utc") <= now)
        .group_by("unit_id", "start_utc", "end_utc", maintain_order=True)
        .agg(pl.col(n).fill_null(0.0).sum() for n in _NUMBERS)
    )
    latest = known.sort("learned_at", maintain_order=True).unique(("unit_id", "start_utc"), keep="last")
    before = latest.select("unit_id", "start_utc", *(pl.col(n).alias(f"old_{n}") for n in _NUMBERS))
    rows = rows.join(before, on=("unit_id", "start_utc"), how="left", maintain_order="left")
    first = pl.col("old_clicks").is_null()
    same = pl.all_horizontal([(pl.col(n) - pl.col(f"old_{n}")).abs() < 1e-9 for n in _NUMBERS])
    present = pl.lit(now).cast(UTC_TIME)
    lag = timedelta(hours=report_lag_hours)
    news = rows.filter(first | ~same).select(
        "unit_id",
        "start_utc",
        pl.lit("day").cast(GRAIN).alias("grain"),
        ((pl.col("end_utc") - pl.col("start_utc")).dt.total_seconds() / 3600.0).alias("hours"),
        *_NUMBERS,
        pl.lit(None, pl.Float64).alias("bid_cpc"),
        pl.when(first).then(pl.min_horizontal(pl.col("end_utc") + lag, present)).otherwise(present).alias("learned_at"),
    )
    return check(news, REPORT, "unit rows")
