"""From the wall clock of a report to UTC: when a row's hour or local day starts and ends."""

from datetime import UTC, datetime, tzinfo

import polars as pl

from domain.tables import GRAIN, UTC_TIME
from domain.time import ONE_HOUR, day_end, day_start

PERIODS = {
    "start_local": pl.Datetime("us"),
    "grain": GRAIN,
    "start_utc": UTC_TIME,
    "end_utc": UTC_TIME,
    "problem": pl.String(),
}


def periods(rows: pl.DataFrame, tz: tzinfo) -> pl.DataFrame:
    """One row, columns `PERIODS`, per distinct ``start_local`` and ``grain`` of `rows`.

    Days are local days of 23, 24 or 25 hours. Of an hour that the clock shows twice the first is meant. A
    wall-clock hour that was skipped, or a day that does not start at midnight, has a `problem` and no UTC.
    """
    distinct = rows.select("start_local", "grain").unique().sort("start_local", "grain")
    made = [_period(start, grain, tz) for start, grain in distinct.iter_rows()]
    ends = pl.DataFrame(made, schema={n: PERIODS[n] for n in ("start_utc", "end_utc", "problem")}, orient="row")
    return pl.concat([distinct, ends], how="horizontal")


def _period(start: datetime | None, grain: str, tz: tzinfo) -> tuple[datetime | None, datetime | None, str | None]:
    if start is None:
        return None, None, "the row has no date"
    if grain == "day":
        if start.time() != datetime.min.time():
            return None, None, f"a day row must start at midnight, this one starts at {start:%H:%M}"
        return day_start(start.date(), tz), day_end(start.date(), tz), None
    instant = start.replace(tzinfo=tz).astimezone(UTC)
    if instant.astimezone(tz).replace(tzinfo=None) != start:
        return None, None, f"the clocks of {tz} skipped {start:%Y-%m-%d %H:%M}"
    if start.minute or start.second or start.microsecond:
        return None, None, f"an hour row must start on the hour, this one starts at {start:%H:%M:%S}"
    return instant, instant + ONE_HOUR, None
