"""Turns what was read into the small tables and numbers that pages show; knows no page and draws nothing.

Tables by time carry the account's wall clock as ``t`` and ``t2`` (start and end, ms) and ``when`` (start in words),
as `dashboard.charts` draws them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Literal

import polars as pl

from dashboard.words import day, moment
from domain.goals import Goals, Period, Scope, TargetKind
from domain.phases import PromotionCalendar
from domain.time import ONE_HOUR, Hour, day_end, day_start
from evaluation.metrics import MIN_CLICKS, hourly_cpc_cv

Per = Literal["hour", "day"]
_SUMS = ("impressions", "clicks", "spend", "orders", "gmv")
_EXPECTED = ("expected_spend", "expected_clicks", "expected_orders", "expected_gmv")
#: Rows before a row that tell how far it may lie from its plan, and how many of them are needed.
BAND_ROWS, BAND_LEAST = 48, 8
BAND_SHARE = 0.8


def timeline(series: pl.DataFrame, decisions: pl.DataFrame, tz: tzinfo, per: Per) -> pl.DataFrame:
    """Rows of an account over time: what was spent and sold, and what decisions expected of them.

    Parameters
    ----------
    series
        `Views.series`, per hour or per day as `per` says.
    decisions
        `Views.decisions`.
    tz
        Zone of the account.

    Returns
    -------
    polars.DataFrame
        ``start_utc, t, t2, when``, sums, ``expected_*`` and ``daily_budget``; ordered by time, null where not known.
    """
    planned = decisions.select(pl.col("hour").alias("start_utc"), *_EXPECTED)
    if per == "day":
        local = pl.col("start_utc").dt.convert_time_zone(str(tz)).dt.date().cast(pl.Datetime("us"))
        some = [pl.when(pl.col(n).count() > 0).then(pl.col(n).sum()).alias(n) for n in _EXPECTED]
        planned = planned.group_by(local.alias("start_local")).agg(some)
        starts = {d: day_start(d.date(), tz) for d in planned["start_local"]}
        starting = pl.Series("start_utc", list(starts.values()), dtype=pl.Datetime("us", "UTC"))
        planned = planned.drop("start_local").with_columns(starting)
    told = series.select("start_utc", *_SUMS, *([] if "daily_budget" not in series.columns else ["daily_budget"]))
    rows = told.join(planned, on="start_utc", how="full", coalesce=True).sort("start_utc")
    if "daily_budget" not in rows.columns:
        rows = rows.with_columns(pl.lit(None, pl.Float64).alias("daily_budget"))
    return on_clock(rows, tz, per)


def on_clock(rows: pl.DataFrame, tz: tzinfo, per: Per) -> pl.DataFrame:
    """Add ``t``, ``t2`` and ``when`` to a table with ``start_utc``."""
    local = pl.col("start_utc").dt.convert_time_zone(str(tz)).dt.replace_time_zone(None)
    words = [(day if per == "day" else moment)(s.astimezone(tz)) for s in rows["start_utc"]]
    length = timedelta(days=1) if per == "day" else ONE_HOUR
    return rows.with_columns(
        local.dt.epoch("ms").alias("t"),
        (local + length).dt.epoch("ms").alias("t2"),
        pl.Series("when", words, dtype=pl.String),
    )


def phase_bands(calendar: PromotionCalendar, tz: tzinfo, rows: pl.DataFrame) -> pl.DataFrame:
    """Phases as charts shade them, cut to the span of `rows`: ``phase, kind, t, t2, middle``."""
    schema = {"phase": pl.String, "kind": pl.String, "t": pl.Int64, "t2": pl.Int64, "middle": pl.Int64}
    if not rows.height:
        return pl.DataFrame(schema=schema)
    bands = pl.DataFrame(
        [(p.name, p.kind.value, _clock(p.window.start, tz), _clock(p.window.end, tz), 0) for p in calendar.phases],
        schema=schema,
        orient="row",
    )
    first, last = int(rows["t"].to_numpy().min()), int(rows["t2"].to_numpy().max())
    cut = bands.with_columns(pl.col("t").clip(lower_bound=first), pl.col("t2").clip(upper_bound=last))
    return cut.filter(pl.col("t") < pl.col("t2")).with_columns(((pl.col("t") + pl.col("t2")) // 2).alias("middle"))


def _clock(instant: datetime, tz: tzinfo) -> int:
    wall = instant.astimezone(tz).replace(tzinfo=None)
    return int((wall - datetime(1970, 1, 1)) / timedelta(milliseconds=1))


# -- budgets ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Money:
    """A budget and the stretch of time it is for.

    Attributes
    ----------
    amount
        Account currency; ``None`` where nobody set one.
    start, end
        Stretch of time.
    words
        What it is, as a trader says it: "the promotion", "today".
    """

    amount: float | None
    start: datetime
    end: datetime
    words: str


def budget_of(goals: Goals, reported: dict[str, float], calendar: PromotionCalendar, hour: Hour, tz: tzinfo) -> Money:
    """The account's budget that an hour lies under: the promotion's while it runs (and until a new one), else the day's."""
    budgets = goals.of(TargetKind.BUDGET)
    window = calendar.window
    whole = [t for t in budgets if t.scope is Scope.ACCOUNT and t.period is Period.HORIZON]
    if window is not None and hour.start >= window.start:
        amount = whole[0].value if whole else None
        phases = [p.budget for p in calendar.phases]
        if amount is None and phases and all(b is not None for b in phases):
            amount = sum(b for b in phases if b is not None)
        since = next((t.since for t in whole if t.since), window.start)
        return Money(amount, since, window.end, "the promotion")
    today = hour.local(tz).date()
    daily = [t.value for t in budgets if t.scope is Scope.ACCOUNT and t.period is Period.DAY]
    own = {t.key: t.value for t in budgets if t.scope is Scope.CAMPAIGN and t.period is Period.DAY}
    campaigns = {**reported, **own}
    amounts = [*daily, *([sum(campaigns.values())] if campaigns else [])]
    return Money(min(amounts, default=None), day_start(today, tz), day_end(today, tz), "today")


def run_out(left: float, ahead: pl.DataFrame, end: datetime) -> datetime | None:
    """When planned spend (``start_utc, spend``) will have used up an amount; ``None`` where it lasts until `end`.

    Plans are made to use a budget up at its very end: the last hour is no early end.
    """
    if left <= 0:
        first = ahead["start_utc"].to_list()
        return first[0] if first else None
    total = 0.0
    for start, spend in ahead.select("start_utc", "spend").iter_rows():
        if start >= end - ONE_HOUR:
            return None
        if spend > 0 and total + spend >= left * (1 - 1e-6):
            return start + ONE_HOUR * min(1.0, (left - total) / spend)
        total += spend
    return None


def so_far(rows: pl.DataFrame, ahead: pl.DataFrame, start: datetime) -> pl.DataFrame:
    """Money spent since an instant and the plan for the rest, both cumulative: ``start_utc, spent, ahead``."""
    past = rows.filter((pl.col("start_utc") >= start) & pl.col("spend").is_not_null())
    past = past.select("start_utc", pl.col("spend").cum_sum().alias("spent"))
    total = float(past["spent"][-1]) if past.height else 0.0
    coming = ahead.select("start_utc", (pl.col("spend").cum_sum() + total).alias("ahead"))
    if past.height and coming.height:  # the line of the plan starts where the past ends
        past = past.with_columns(pl.when(pl.int_range(pl.len()) == pl.len() - 1).then("spent").alias("ahead"))
    return pl.concat([past, coming], how="diagonal").sort("start_utc")


def by_phase(rows: pl.DataFrame, ahead: pl.DataFrame, calendar: PromotionCalendar, now: Hour) -> pl.DataFrame:
    """Spend of each phase and its plan: ``phase, kind, position, start, end, spent, plan, budget, state``.

    The plan is the phase's budget where it has one; else what decisions planned for its past hours plus the
    present plan for its coming ones.
    """
    found: list[tuple[object, ...]] = []
    for position, phase in enumerate(calendar.phases):
        start, end = phase.window.start, phase.window.end
        inside = (pl.col("start_utc") >= start) & (pl.col("start_utc") < end)
        past = rows.filter(inside)
        spent = float(past["spend"].sum())
        planned = float(past["expected_spend"].sum()) if past["expected_spend"].count() else spent
        plan = planned + float(ahead.filter(inside)["spend"].sum())
        state = "over" if end <= now.start else "running" if start <= now.start else "to come"
        found.append((phase.name, phase.kind.value, position, start, end, spent, plan if phase.budget is None else phase.budget, phase.budget, state))  # fmt: skip
    names = ("phase", "kind", "position", "start", "end", "spent", "plan", "budget", "state")
    return pl.DataFrame(found, schema=names, orient="row") if found else pl.DataFrame(schema=names)


# -- stability ----------------------------------------------------------------------------------------------------


def banded(
    rows: pl.DataFrame, top: str, below: str, least: str = "clicks", least_value: float = MIN_CLICKS
) -> pl.DataFrame:
    """A ratio of two columns by row, as expected by its decision, and the band that 80 % of rows should lie in.

    The band is learned, not assumed: around what was expected, as wide as 80 % of the `BAND_ROWS` rows before
    missed theirs (log ratio). Every row is judged by earlier rows only, so a band can be wrong, and shows it.

    Adds ``value, expected, low, high, inside``; ratios of rows with few clicks are left out.
    """
    expected = pl.col(f"expected_{top}") / pl.col(f"expected_{below}")
    value = pl.col(top) / pl.col(below)
    told = rows.with_columns(
        pl.when((pl.col(below) > 0) & (pl.col(least) >= least_value) & (pl.col(top) > 0)).then(value).alias("value"),
        pl.when((pl.col(f"expected_{below}") > 0) & (pl.col(f"expected_{top}") > 0)).then(expected).alias("expected"),
    )
    missed = (pl.col("value") / pl.col("expected")).log().abs()
    width = missed.shift(1).rolling_quantile(BAND_SHARE, "higher", BAND_ROWS, min_samples=BAND_LEAST)
    banded_rows = told.with_columns(width.forward_fill().alias("width")).with_columns(
        (pl.col("expected") * (-pl.col("width")).exp()).alias("low"),
        (pl.col("expected") * pl.col("width").exp()).alias("high"),
    )
    return banded_rows.with_columns(pl.col("value").is_between("low", "high").alias("inside")).drop("width")


def cpc_cv(rows: pl.DataFrame, clicks: str = "clicks", spend: str = "spend") -> float | None:
    """Click-weighted variation of the hourly CPC (standard deviation over mean); ``None`` where nothing can be told."""
    told = rows.filter(pl.col(clicks).is_not_null() & pl.col(spend).is_not_null())
    if not told.height:
        return None
    return hourly_cpc_cv(told[clicks].to_numpy(), told[spend].to_numpy())


def off_plan(rows: pl.DataFrame) -> float | None:
    """Mean miss of the planned spend: sum of |spend - planned| over the sum planned."""
    both = rows.filter(pl.col("spend").is_not_null() & pl.col("expected_spend").is_not_null())
    total = float(both["expected_spend"].sum())
    return float((both["spend"] - both["expected_spend"]).abs().sum()) / total if total > 0 else None


def share_inside(rows: pl.DataFrame) -> float | None:
    """Share of banded rows that lay in their band."""
    told = rows["inside"].drop_nulls()
    return float(told.mean()) if told.len() else None  # type: ignore[arg-type]


# -- sums ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sums:
    """Totals of some rows; account currency and counts."""

    spend: float
    clicks: float
    orders: float
    gmv: float

    @classmethod
    def of(cls, rows: pl.DataFrame) -> "Sums":
        """Totals of a table with these columns."""
        return cls(*(float(rows[n].sum()) for n in ("spend", "clicks", "orders", "gmv")))

    @property
    def roi(self) -> float | None:
        """Gmv per unit of spend."""
        return self.gmv / self.spend if self.spend > 0 else None

    @property
    def cpc(self) -> float | None:
        """Spend per click."""
        return self.spend / self.clicks if self.clicks > 0 else None

    @property
    def cpa(self) -> float | None:
        """Spend per order."""
        return self.spend / self.orders if self.orders > 0 else None


def between(rows: pl.DataFrame, start: datetime | None, end: datetime | None) -> pl.DataFrame:
    """Rows that start in a half-open stretch of time; ``None`` is open."""
    kept: Sequence[pl.Expr] = [
        *([] if start is None else [pl.col("start_utc") >= start]),
        *([] if end is None else [pl.col("start_utc") < end]),
    ]
    return rows.filter(*kept) if kept else rows
