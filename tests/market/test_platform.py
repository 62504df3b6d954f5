from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from domain.errors import ConfigError, InvalidPlan
from domain.tables import REPORT, check
from domain.time import Window
from market import Scenario, SimPlatform, SimWorld


def whole(platform: SimPlatform) -> Window:
    first = platform.world.hours[0]
    return Window(first.start - timedelta(days=1), first.plus(platform.world.n_hours + 500).start)


def test_nothing_is_reported_before_the_first_hour_has_run(world: SimWorld) -> None:
    platform = SimPlatform(world)
    batch = platform.read_reports(whole(platform))
    check(batch.rows, REPORT, "rows")
    assert batch.rows.height == 0


def test_rows_never_tell_of_hours_that_lie_ahead(world: SimWorld) -> None:
    platform = SimPlatform(world)
    for hour in world.hours[:10]:
        platform.advance(hour)
        rows = platform.read_reports(whole(platform)).rows
        assert rows["start_utc"].max() == hour.start
        assert rows["learned_at"].max() == hour.end


def test_the_latest_row_of_each_hour_adds_up_to_what_happened(world: SimWorld) -> None:
    platform = SimPlatform(world)
    batches = []
    for hour in world.hours:
        platform.advance(hour)
        batches.append(platform.read_reports(whole(platform)).rows)
    rows = pl.concat(batches)
    assert rows.select(pl.struct("unit_id", "start_utc", "learned_at").is_duplicated().any()).item() is False
    latest = rows.sort("learned_at").group_by("unit_id", "start_utc").last()
    for name in ("impressions", "clicks", "spend", "orders", "gmv"):
        assert latest[name].sum() == pytest.approx(getattr(platform.ledger, name).sum())
    assert latest.height == world.n_units * world.n_hours
    restated = rows.group_by("unit_id", "start_utc").agg(
        pl.len(), pl.col("clicks").n_unique(), grows=pl.col("orders").sort_by("learned_at").diff().min()
    )
    assert restated["clicks"].max() == 1  # only conversions come late
    assert restated["len"].max() > 1
    assert restated["grows"].min() >= 0


def test_a_read_brings_only_what_changed_since_the_hour_of_the_last_one(world: SimWorld) -> None:
    platform = SimPlatform(world)
    for hour in world.hours[:20]:
        platform.advance(hour)
    first = platform.read_reports(whole(platform)).rows
    platform.advance(world.hours[20])
    second = platform.read_reports(whole(platform)).rows
    assert first.height == 20 * world.n_units
    assert second.height < first.height
    assert second["learned_at"].unique().to_list() == [world.hours[20].end]


def test_reading_again_at_the_same_hour_loses_nothing(world: SimWorld) -> None:
    platform = SimPlatform(world)
    for hour in world.hours[:6]:
        platform.advance(hour)
    window = whole(platform)
    assert platform.read_reports(window).rows.equals(platform.read_reports(window).rows)
    platform.advance(world.hours[6])
    assert platform.read_reports(window).rows.equals(platform.read_reports(window).rows)


def test_rows_outside_the_window_are_not_told(world: SimWorld) -> None:
    platform = SimPlatform(world)
    for hour in world.hours[:6]:
        platform.advance(hour)
    rows = platform.read_reports(Window(world.hours[2].start, world.hours[4].start)).rows
    assert sorted(rows["start_utc"].unique()) == [world.hours[2].start, world.hours[3].start]


def test_orders_are_booked_on_the_hour_of_their_click_and_learned_when_they_come(world: SimWorld) -> None:
    platform = SimPlatform(world)
    seen: dict[tuple[str, object], float] = {}
    late = 0.0
    for hour in world.hours:
        platform.advance(hour)
        for unit, start, orders in (
            platform.read_reports(whole(platform)).rows.select("unit_id", "start_utc", "orders").iter_rows()
        ):
            before = seen.get((unit, start), 0.0)
            if start < hour.start:
                late += orders - before
            seen[unit, start] = orders
    assert late > 0.3 * sum(seen.values())
    assert platform.ledger.open_orders > 0
    known, coming = platform.ledger.orders.sum(), platform.ledger.open_orders
    platform.run_out()
    assert platform.ledger.orders.sum() == known + coming


def test_published_bids_are_in_force_from_the_next_hour_on(world: SimWorld, publish: Callable) -> None:
    platform = SimPlatform(world)
    bids = np.round(world.start_bids * 1.5, 2)
    receipts = publish(platform, bids)
    assert receipts["state"].to_list() == ["applied"] * world.n_units
    platform.advance(world.hours[0])
    rows = platform.read_reports(whole(platform)).rows
    assert rows.sort("unit_id")["bid_cpc"].to_numpy() == pytest.approx(bids)
    assert platform.live_bids().rows["bid_cpc"].to_numpy() == pytest.approx(bids)
    assert platform.live_bids().rows["known"].all()


def test_live_bids_that_were_read_do_not_change_with_later_edits(world: SimWorld, publish: Callable) -> None:
    platform = SimPlatform(world)
    before = platform.live_bids().rows
    told = before.clone().to_dict(as_series=False)
    publish(platform, world.start_bids * 2)
    assert before.to_dict(as_series=False) == told


def test_a_paused_unit_gets_nothing_and_no_row(world: SimWorld, publish: Callable) -> None:
    platform = SimPlatform(world)
    bids = world.start_bids.copy()
    bids[3] = 0
    publish(platform, bids)
    platform.advance(world.hours[0])
    assert platform.ledger.clicks[3, 0] == platform.ledger.impressions[3, 0] == 0
    assert platform.live_bids().rows["state"][3] == "paused"
    assert world.units["unit_id"][3] not in platform.read_reports(whole(platform)).rows["unit_id"].to_list()


def test_bids_outside_the_limits_are_adjusted_and_the_receipt_says_so(world: SimWorld, publish: Callable) -> None:
    platform = SimPlatform(world)
    bids = world.start_bids.copy()
    bids[:3] = [1e9, 1e-7, 1.2345]
    receipts = publish(platform, bids)
    assert receipts["state"][:3].to_list() == ["adjusted"] * 3
    assert receipts["bid_cpc"][:3].to_list() == [world.limits.cap, world.limits.floor, 1.23]


def test_publishing_twice_changes_nothing_and_costs_no_edit(world: SimWorld, publish: Callable) -> None:
    platform = SimPlatform(world)
    bids = np.round(world.start_bids * 1.3, 2)
    first = publish(platform, bids)
    edits = platform.live_bids().rows["edits_today"].to_list()
    assert publish(platform, bids).equals(first)
    assert platform.live_bids().rows["edits_today"].to_list() == edits


def test_edits_beyond_the_days_number_are_rejected_until_midnight(scenario: Scenario, publish: Callable) -> None:
    strict = replace(scenario, limits=replace(scenario.limits, edits_per_day=2))
    platform = SimPlatform(SimWorld(strict, 1))
    for k, expected in ((1, "applied"), (2, "applied"), (3, "rejected")):
        receipts = publish(platform, np.full(platform.world.n_units, 0.06 + k / 100))
        assert set(receipts["state"]) == {expected}
        platform.advance(platform.now)
    assert platform.live_bids().rows["bid_cpc"].to_list() == [0.08] * platform.world.n_units
    for _ in range(21):
        platform.advance(platform.now)
    assert set(publish(platform, np.full(platform.world.n_units, 2.0))["state"]) == {"applied"}


def test_an_unknown_unit_is_rejected_and_the_others_are_not(world: SimWorld, make_plan: Callable) -> None:
    platform = SimPlatform(world)
    plan = make_plan(platform, world.start_bids)
    units = plan.units.with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("X1")).otherwise("unit_id").alias("unit_id")
    )
    receipts = platform.publish(replace(plan, units=units)).rows
    assert receipts["state"].to_list() == ["rejected"] + ["applied"] * (world.n_units - 1)


def test_a_plan_for_another_account_is_refused(world: SimWorld, make_plan: Callable) -> None:
    platform = SimPlatform(world)
    with pytest.raises(InvalidPlan, match="another"):
        platform.publish(replace(make_plan(platform, world.start_bids), account="another"))


@pytest.mark.parametrize("budget", [1.0, 37.5, 900.0])
def test_delivery_stops_when_the_money_is_gone_and_never_overspends(
    budget: float, resized: Callable[..., Scenario]
) -> None:
    platform = SimPlatform(SimWorld(resized(budget=budget), 2))
    platform._bids[:] = 50.0
    spent_by_hour = []
    for hour in platform.world.hours:
        platform.advance(hour)
        spent_by_hour.append(platform.ledger.spend.sum())
    assert budget - 40.0 < spent_by_hour[-1] <= budget
    dry = int(np.argmax(np.isclose(spent_by_hour, spent_by_hour[-1])))
    assert dry < 12
    free = SimPlatform(SimWorld(resized(budget=1e9), 2))
    free._bids[:] = 50.0
    free.advance(free.world.hours[0])
    assert (platform.ledger.clicks[:, 0] <= free.ledger.clicks[:, 0]).all()


def test_hours_run_once_each_and_in_order(world: SimWorld) -> None:
    platform = SimPlatform(world)
    platform.advance(world.hours[0])
    with pytest.raises(ConfigError, match="once each and in order"):
        platform.advance(world.hours[0])
    with pytest.raises(ConfigError, match="once each and in order"):
        platform.advance(world.hours[5])


def test_average_prices_and_rates_in_the_reports_are_the_true_ones(full: Scenario) -> None:
    """Second price: the paid price is that of the best rival, never the bid; over many cells the curves are met."""
    platform = SimPlatform(SimWorld(full, 21))
    world = platform.world
    for hour in world.hours:
        platform.advance(hour)
    platform.run_out()
    clicks, spend = world.truth.response(np.repeat(world.start_bids[:, None], world.n_hours, axis=1))
    ledger = platform.ledger
    assert (ledger.spend <= ledger.clicks * ledger.bids + 1e-9).all()
    total = ledger.clicks.sum()
    assert total == pytest.approx(clicks.sum(), abs=4 * np.sqrt(clicks.sum()))
    assert ledger.spend.sum() == pytest.approx(spend.sum(), rel=0.02)
    assert total / ledger.impressions.sum() == pytest.approx(full.demand.ctr, rel=0.02)
    expected = (ledger.clicks * world.truth.cvr).sum()
    assert ledger.orders.sum() == pytest.approx(expected, abs=4 * np.sqrt(expected))
