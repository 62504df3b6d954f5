from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import figures
from domain.goals import Goals, Period, Scope, Target, TargetKind
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.time import Hour, Window

TZ = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 11, 7, 16, tzinfo=UTC)  # midnight in Shanghai
AHEAD = {"start_utc": pl.Datetime("us", "UTC"), "spend": pl.Float64}


def hours(n: int, start: datetime = START) -> list[datetime]:
    return [start + timedelta(hours=h) for h in range(n)]


def calendar(budget: float | None = None) -> PromotionCalendar:
    day = timedelta(days=1)
    return PromotionCalendar(
        (
            Phase("store", PhaseKind.WARM_UP, Window(START, START + day), budget),
            Phase("burst", PhaseKind.BURST, Window(START + day, START + 2 * day)),
        )
    )


def rows(n: int, seed: int = 3) -> pl.DataFrame:
    """Rows of a steady account: spend about as planned, cost of a click about 0.5."""
    rng = np.random.default_rng(seed)
    clicks = rng.poisson(200, n).astype(float)
    spend = clicks * 0.5 * rng.lognormal(0, 0.05, n)
    return pl.DataFrame(
        {
            "start_utc": hours(n),
            "impressions": clicks * 50,
            "clicks": clicks,
            "spend": spend,
            "orders": clicks * 0.03,
            "gmv": spend * 4,
            "expected_spend": np.full(n, 100.0),
            "expected_clicks": np.full(n, 200.0),
            "expected_orders": np.full(n, 6.0),
            "expected_gmv": np.full(n, 400.0),
        },
        schema_overrides={"start_utc": pl.Datetime("us", "UTC")},
    )


def ahead(spend: list[float], start: datetime = START) -> pl.DataFrame:
    return pl.DataFrame({"start_utc": hours(len(spend), start), "spend": spend}, schema=AHEAD)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=30), st.floats(1, 1000))
def test_what_is_planned_until_a_budget_runs_out_is_what_was_left(spend: list[float], left: float) -> None:
    plan = ahead(spend)
    end = START + timedelta(hours=len(spend))
    out = figures.run_out(left, plan, end)
    before_last = sum(spend[:-1])
    if out is None:
        assert before_last < left * (1 + 1e-5)
        return
    whole, part = divmod((out - START) / timedelta(hours=1), 1)
    used = sum(spend[: int(whole)]) + (part * spend[int(whole)] if part else 0.0)
    assert used == pytest.approx(left, rel=1e-4)


def test_a_spent_budget_has_run_out_now_and_a_plan_that_ends_on_time_never_does() -> None:
    plan = ahead([10.0, 10.0])
    assert figures.run_out(0.0, plan, START + timedelta(hours=2)) == START
    assert figures.run_out(20.0, plan, START + timedelta(hours=2)) is None
    assert figures.run_out(5.0, plan, START + timedelta(hours=2)) == START + timedelta(minutes=30)


def test_the_plan_for_the_rest_goes_on_where_the_money_spent_ends() -> None:
    line = figures.so_far(rows(3), ahead([5.0, 7.0], START + timedelta(hours=3)), START)
    total = rows(3)["spend"].sum()
    assert line["spent"].drop_nulls().to_list()[-1] == pytest.approx(total)
    assert line["ahead"].drop_nulls().to_list() == pytest.approx([total, total + 5, total + 12])
    assert line["start_utc"].is_sorted()


def test_phases_are_planned_by_their_hours_or_by_their_budget() -> None:
    past = rows(30)
    coming = ahead([50.0] * 18, START + timedelta(hours=30))
    table = figures.by_phase(past, coming, calendar(), Hour(START + timedelta(hours=30)))
    assert table["state"].to_list() == ["over", "running"]
    assert table["spent"].sum() == pytest.approx(past["spend"].sum())
    assert table["plan"].to_list() == pytest.approx([24 * 100.0, 6 * 100.0 + 18 * 50.0])
    fixed = figures.by_phase(past, coming, calendar(budget=2000.0), Hour(START))
    assert fixed["plan"][0] == 2000.0
    assert fixed["state"].to_list() == ["running", "to come"]


def test_the_band_of_an_hour_is_learned_from_earlier_hours_alone() -> None:
    told = rows(80)
    changed = told.with_columns(
        pl.when(pl.int_range(pl.len()) >= 60).then(pl.col("spend") * 9).otherwise("spend").alias("spend")
    )
    one, other = (figures.banded(r, "spend", "clicks") for r in (told, changed))
    assert one.head(60).equals(other.head(60))
    assert one["low"][60] == other["low"][60]
    assert not other["inside"][60]


def test_a_band_holds_about_the_share_it_is_made_for_on_a_steady_account() -> None:
    inside = figures.share_inside(figures.banded(rows(1500), "spend", "clicks"))
    assert inside == pytest.approx(figures.BAND_SHARE, abs=0.05)


def test_rows_with_few_clicks_tell_no_ratio_and_no_band_stands_before_enough_rows() -> None:
    told = rows(20).with_columns(pl.when(pl.int_range(pl.len()) == 4).then(3.0).otherwise("clicks").alias("clicks"))
    made = figures.banded(told, "spend", "clicks")
    assert made["value"][4] is None
    assert made["low"].head(figures.BAND_LEAST).null_count() == figures.BAND_LEAST
    assert made["low"][figures.BAND_LEAST + 1] is not None


def test_days_hold_what_their_hours_held_and_sum_what_was_expected_of_them() -> None:
    decisions = rows(48).rename({"start_utc": "hour"})
    days = pl.DataFrame(
        {"start_utc": [START], "impressions": [1.0], "clicks": [2.0], "spend": [3.0], "orders": [0.0], "gmv": [0.0], "daily_budget": [9.0]},
        schema_overrides={"start_utc": pl.Datetime("us", "UTC")},
    )  # fmt: skip
    made = figures.timeline(days, decisions, TZ, "day")
    assert made["start_utc"].to_list() == [START, START + timedelta(days=1)]
    assert made["expected_spend"].to_list() == [2400.0, 2400.0]
    assert made["spend"].to_list() == [3.0, None]
    assert made["when"].to_list() == ["Sun 8 Nov", "Mon 9 Nov"]


def test_charts_show_the_wall_clock_of_the_account() -> None:
    frame = figures.on_clock(pl.DataFrame({"start_utc": [START]}), TZ, "hour")
    assert frame["when"][0] == "Sun 8 Nov 00:00"
    assert datetime.fromtimestamp(frame["t"][0] / 1000, UTC) == datetime(2026, 11, 8, tzinfo=UTC)
    assert frame["t2"][0] - frame["t"][0] == 3_600_000


def test_phases_are_shaded_only_where_the_chart_has_rows() -> None:
    view = figures.on_clock(rows(30), TZ, "hour")
    bands = figures.phase_bands(calendar(), TZ, view)
    assert bands["phase"].to_list() == ["store", "burst"]
    assert bands["t"].min() == view["t"].min()
    assert bands["t2"].max() == view["t2"].max()
    assert figures.phase_bands(calendar(), TZ, view.clear()).height == 0


def test_the_budget_is_the_promotions_while_it_runs_and_the_days_else() -> None:
    whole = Target(TargetKind.BUDGET, 9000.0)
    daily = Target(TargetKind.BUDGET, 700.0, Scope.CAMPAIGN, "A", Period.DAY)
    goals = Goals(targets=(whole, daily))
    during = figures.budget_of(goals, {}, calendar(), Hour(START + timedelta(hours=5)), TZ)
    assert (during.amount, during.start, during.end) == (9000.0, START, START + timedelta(days=2))
    before = figures.budget_of(goals, {"A": 500.0, "B": 40.0}, calendar(), Hour(START - timedelta(hours=5)), TZ)
    assert (before.amount, before.words) == (740.0, "today")
    assert before.end == START
    assert figures.budget_of(Goals(), {}, PromotionCalendar(), Hour(START), TZ).amount is None


def test_a_plan_that_came_true_is_off_by_nothing() -> None:
    exact = rows(10).with_columns(pl.col("expected_spend").alias("spend"))
    assert figures.off_plan(exact) == 0.0
    assert figures.off_plan(exact.with_columns(pl.col("spend") * 1.1)) == pytest.approx(0.1)
    assert figures.off_plan(exact.clear()) is None
