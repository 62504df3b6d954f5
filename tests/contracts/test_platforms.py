"""One contract for every ad platform: the simulated market and the folders of files pass the same tests."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from connectors.files import FilePlatform
from domain.account import Account
from domain.errors import InvalidPlan
from domain.plans import ACTION, INTERVENTIONS, PLAN, RECEIPTS, Action, BidPlan, ReceiptState
from domain.problem import Status
from domain.protocols import AdPlatform
from domain.tables import BIDS, REPORT, check, empty
from domain.time import FixedClock, Hour, Window
from market import SimPlatform, SimWorld, load_scenario

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass
class Stage:
    """A platform with something to tell, and the hour at which it is asked."""

    platform: AdPlatform
    account: str
    hour: Hour
    lookback: timedelta = timedelta(days=40)

    @property
    def window(self) -> Window:
        return Window(self.hour.start - self.lookback, self.hour.start)


def _simulated(tmp_path: Path) -> Stage:
    world = SimWorld(load_scenario("demo"), 7)
    platform = SimPlatform(world)
    for hour in world.hours[:3]:
        platform.advance(hour)
    return Stage(platform, world.account.name, world.hours[3])


def _folders(tmp_path: Path) -> Stage:
    hour = Hour(datetime(2026, 11, 10, 12, tzinfo=UTC))
    clock = FixedClock(hour.start)
    platform = FilePlatform(tmp_path / "shop", Account("shop", "EUR", "Europe/Berlin"), clock)
    for source in (EXAMPLES / "reports" / "targeting.csv", EXAMPLES / "bulk-sheet.xlsx"):
        there = platform.root / "inbox" / source.name
        there.write_bytes(source.read_bytes())
        long_ago = clock.now().timestamp() - 3600
        os.utime(there, (long_ago, long_ago))
    platform.collect()
    return Stage(platform, "shop", hour)


@pytest.fixture(params=[_simulated, _folders], ids=["simulated", "folders"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    make: Callable[[Path], Stage] = request.param
    return make(tmp_path)


def _plan(stage: Stage, action: Action, factor: float, account: str | None = None) -> BidPlan:
    live = stage.platform.live_bids().rows
    units = live.select(
        "unit_id",
        pl.lit("any").alias("campaign"),
        pl.lit(action.value).cast(ACTION).alias("action"),
        (pl.col("bid_cpc") * factor).round(2).alias("bid_cpc"),
        pl.col("bid_cpc").alias("live_bid_cpc"),
    )
    rest = [pl.lit(None, dtype).alias(name) for name, dtype in PLAN.items() if name not in units.columns]
    units = units.with_columns(rest).select(list(PLAN))
    return BidPlan(account or stage.account, stage.hour, units, None, empty(INTERVENTIONS), Status.SLACK, "contract")


def test_reports_follow_their_columns_and_have_something_to_tell(stage: Stage) -> None:
    rows = check(stage.platform.read_reports(stage.window).rows, REPORT, "report")
    assert rows["clicks"].sum() > 0
    assert rows.select(pl.any_horizontal(pl.col("clicks", "spend", "orders", "gmv").is_null()).any()).item() is False


def test_no_report_tells_of_hours_that_lie_ahead(stage: Stage) -> None:
    rows = stage.platform.read_reports(stage.window).rows
    assert rows["learned_at"].max() <= stage.hour.start
    ends = rows.select(pl.col("start_utc") + pl.duration(minutes=(pl.col("hours") * 60).cast(pl.Int64)))
    assert ends.to_series().max() <= stage.hour.start


def test_a_window_without_rows_gives_an_empty_batch(stage: Stage) -> None:
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    assert stage.platform.read_reports(Window(long_ago, long_ago + timedelta(hours=1))).rows.height == 0


def test_reading_twice_loses_nothing(stage: Stage) -> None:
    first = stage.platform.read_reports(stage.window).rows
    again = stage.platform.read_reports(stage.window).rows
    key = ["unit_id", "start_utc", "grain"]
    assert first.select(key).join(again.select(key), on=key, how="anti").height == 0


def test_live_bids_are_one_row_per_unit_and_unknown_ones_are_marked(stage: Stage) -> None:
    rows = check(stage.platform.live_bids().rows, BIDS, "live bids")
    assert rows["unit_id"].is_unique().all()
    assert rows.filter(pl.col("known"))["bid_cpc"].is_not_null().all()


@pytest.mark.parametrize(("action", "factor"), [(Action.SET, 1.1), (Action.PAUSE, 0.0)])
def test_every_unit_that_is_sent_gets_one_receipt(stage: Stage, action: Action, factor: float) -> None:
    plan = _plan(stage, action, factor)
    rows = check(stage.platform.publish(plan).rows, RECEIPTS, "receipts")
    assert sorted(rows["unit_id"]) == sorted(plan.units["unit_id"])


def test_units_that_stay_get_no_receipt(stage: Stage) -> None:
    assert stage.platform.publish(_plan(stage, Action.KEEP, 1.0)).rows.height == 0


def test_publishing_again_changes_nothing(stage: Stage) -> None:
    plan = _plan(stage, Action.SET, 1.1)
    first = stage.platform.publish(plan).rows.sort("unit_id")
    bids = stage.platform.live_bids().rows.sort("unit_id")
    again = stage.platform.publish(plan).rows.sort("unit_id")
    assert again["bid_cpc"].equals(first["bid_cpc"])
    assert stage.platform.live_bids().rows.sort("unit_id").equals(bids)


def test_a_receipt_never_claims_an_illegal_bid(stage: Stage) -> None:
    rows = stage.platform.publish(_plan(stage, Action.SET, 1e6)).rows
    told = rows.filter(pl.col("state").is_in([ReceiptState.APPLIED.value, ReceiptState.ADJUSTED.value]))
    assert (told["bid_cpc"].fill_null(0.0) <= 1000.0).all()


def test_a_plan_of_another_account_is_refused(stage: Stage) -> None:
    with pytest.raises(InvalidPlan):
        stage.platform.publish(_plan(stage, Action.SET, 1.1, account="somebody-else"))
