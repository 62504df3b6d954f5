"""Each wrapper does what it says, and no more; what the market knows stays the same under all of them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from domain.errors import ConfigError
from domain.plans import BidPlan
from domain.tables import REPORT
from domain.time import Window
from market import Scenario, SimPlatform, SimWorld, fluid_optimum, troubled
from market.faults import (
    AttributionOutage,
    ClockSkew,
    DarkHours,
    DuplicatedReports,
    EditsPerDay,
    Face,
    LateReports,
    LostReports,
    RateLimited,
    RejectedBids,
    RestatedReports,
    RoundedBids,
)
from market.scenario import FaultKind, FaultPart, parse_scenario

Plan = Callable[[SimPlatform, np.ndarray], BidPlan]
NUMBERS = ["impressions", "clicks", "spend", "orders", "gmv"]


def listen(face: Face, platform: SimPlatform, hours: int, more: int = 0) -> list[pl.DataFrame]:
    """Rows read at the start of each clock hour 1.., while the market runs `hours` hours."""
    told = []
    for h in range(hours):
        platform.advance(platform.world.hours[h])
        rows = face.read_reports(Window(platform.world.hours[0].start, platform.now.start)).rows
        again = face.read_reports(Window(platform.world.hours[0].start, platform.now.start)).rows
        assert rows.equals(again), "reading twice at the same hour tells the same twice"
        assert list(rows.columns) == list(REPORT)
        told.append(rows)
    return told


def settled(told: list[pl.DataFrame]) -> pl.DataFrame:
    """What holds after all versions, in the order in which they were learned."""
    rows = pl.concat(told).sort("learned_at", maintain_order=True)
    return rows.unique(["unit_id", "start_utc"], keep="last").sort("start_utc", "unit_id").select("unit_id", *NUMBERS)


@pytest.fixture
def plain(world: SimWorld) -> list[pl.DataFrame]:
    platform = SimPlatform(world)
    return listen(platform, platform, 30)


def test_late_reports_tell_the_same_rows_later(world: SimWorld, plain: list[pl.DataFrame]) -> None:
    platform = SimPlatform(world)
    told = listen(LateReports(platform, lag=3), platform, 30)
    assert all(rows.is_empty() for rows in told[:3])
    assert settled(told).equals(settled(plain[:27]))
    for h, rows in enumerate(told[3:], 3):
        assert (rows["learned_at"] == world.hours[0].plus(h + 1).start).all()


def test_lost_reports_are_missing_until_they_are_found(world: SimWorld, plain: list[pl.DataFrame]) -> None:
    platform = SimPlatform(world)
    told = listen(LostReports(platform, share=0.3, hours=5), platform, 30)
    first = [rows.filter(pl.col("start_utc") == world.hours[h].start).height for h, rows in enumerate(told)]
    assert 0.55 < sum(first) / (30 * world.n_units) < 0.85
    early = pl.col("start_utc") < world.hours[20].start
    mine, theirs = settled([r.filter(early) for r in told]), settled([r.filter(early) for r in plain])
    assert mine.height == theirs.height
    assert mine["spend"].to_list() == theirs["spend"].to_list()


def test_found_rows_never_undo_newer_numbers(world: SimWorld, plain: list[pl.DataFrame]) -> None:
    platform = SimPlatform(world)
    told = listen(LostReports(platform, share=0.5, hours=4), platform, 30)
    orders: dict[tuple[str, object], float] = {}
    for rows in told:
        for unit, start, number in rows.select("unit_id", "start_utc", "orders").iter_rows():
            assert number >= orders.get((unit, start), 0.0)
            orders[unit, start] = number
    assert sum(orders.values()) <= float(settled(plain)["orders"].sum())


def test_duplicated_reports_repeat_rows_and_change_no_number(world: SimWorld, plain: list[pl.DataFrame]) -> None:
    platform = SimPlatform(world)
    told = listen(DuplicatedReports(platform, share=0.5), platform, 30)
    assert pl.concat(told).height > 1.7 * pl.concat(plain).height
    assert settled(told).equals(settled(plain))


def test_restated_reports_are_wrong_at_first_and_right_later(world: SimWorld, plain: list[pl.DataFrame]) -> None:
    platform = SimPlatform(world)
    told = listen(RestatedReports(platform, share=0.5, error=0.3, hours=2), platform, 30)
    new = (pl.col("start_utc") == world.hours[4].start) & (pl.col("spend") > 0)
    first, right = told[4].filter(new), plain[4].filter(new)
    off = np.abs(first["spend"].to_numpy() / right["spend"].to_numpy() - 1)
    assert off.max() > 0.02
    assert off.max() <= 0.3 + 1e-9
    early = pl.col("start_utc") < world.hours[25].start
    assert settled([r.filter(early) for r in told]).equals(settled([r.filter(early) for r in plain]))


def test_an_attribution_outage_hides_orders_and_clicks_go_on(world: SimWorld, plain: list[pl.DataFrame]) -> None:
    platform = SimPlatform(world)
    told = listen(AttributionOutage(platform, start=10, hours=8), platform, 30)
    during = pl.concat(told[9:17])
    before = settled(told[:9])["orders"].sum()
    assert during.filter(pl.col("start_utc") >= world.hours[10].start)["orders"].sum() == 0
    assert during["clicks"].sum() > 0
    assert settled(told[:17])["orders"].sum() == before
    assert settled(told).equals(settled(plain))


def test_a_fast_clock_stamps_rows_in_the_future(world: SimWorld, plain: list[pl.DataFrame]) -> None:
    platform = SimPlatform(world)
    told = listen(ClockSkew(platform, minutes=20), platform, 5)
    for mine, theirs in zip(told, plain, strict=False):
        assert ((mine["learned_at"] - theirs["learned_at"]).dt.total_minutes() == 20).all()


def test_dark_hours_tell_nothing_take_nothing_and_lose_nothing(
    world: SimWorld, plain: list[pl.DataFrame], make_plan: Plan
) -> None:
    platform = SimPlatform(world)
    face = DarkHours(platform, start=6, hours=4)
    told = listen(face, platform, 6)
    before = platform.live_bids().rows
    receipts = face.publish(make_plan(platform, np.full(world.n_units, 0.9))).rows
    assert (receipts["state"] == "rejected").all()
    assert platform.live_bids().rows.equals(before)
    for h in range(6, 30):
        platform.advance(world.hours[h])
        told.append(face.read_reports(Window(world.hours[0].start, platform.now.start)).rows)
    assert all(rows.is_empty() for rows in told[5:9])
    assert settled(told).equals(settled(plain))


def test_rejected_bids_leave_the_old_ones_and_say_so(world: SimWorld, make_plan: Plan) -> None:
    platform = SimPlatform(world)
    before = platform.live_bids().rows["bid_cpc"]
    plan = make_plan(platform, np.full(world.n_units, 0.77))
    face = RejectedBids(platform, share=0.4)
    receipts = face.publish(plan).rows
    assert receipts["unit_id"].to_list() == plan.units["unit_id"].to_list()
    rejected = (receipts["state"] == "rejected").to_numpy()
    assert 0 < rejected.sum() < world.n_units
    after = platform.live_bids().rows["bid_cpc"].to_numpy()
    assert (after[rejected] == before.to_numpy()[rejected]).all()
    assert (after[~rejected] == 0.77).all()
    assert face.publish(plan).rows["state"].to_list() == receipts["state"].to_list(), "safe to repeat"


def test_a_rate_limit_takes_the_first_edits_of_the_hour(world: SimWorld, make_plan: Plan) -> None:
    platform = SimPlatform(world)
    face = RateLimited(platform, most=5)
    states = face.publish(make_plan(platform, np.full(world.n_units, 0.77))).rows["state"].to_list()
    assert states == ["applied"] * 5 + ["rejected"] * (world.n_units - 5)
    assert (face.publish(make_plan(platform, np.full(world.n_units, 0.78))).rows["state"] == "rejected").all()
    platform.advance(world.hours[0])
    assert (face.publish(make_plan(platform, np.full(world.n_units, 0.78))).rows["state"] == "applied").sum() == 5


def test_two_edits_a_day_are_counted_by_local_day_and_repeats_are_free(world: SimWorld, make_plan: Plan) -> None:
    platform = SimPlatform(world)
    face = EditsPerDay(platform, most=2)
    for bid, state in ((0.7, "applied"), (0.7, "applied"), (0.8, "applied"), (0.9, "rejected")):
        assert (face.publish(make_plan(platform, np.full(world.n_units, bid))).rows["state"] == state).all()
    for h in range(24):
        platform.advance(world.hours[h])
    assert (face.publish(make_plan(platform, np.full(world.n_units, 0.9))).rows["state"] == "applied").all()


def test_coarse_ticks_adjust_bids_and_tell_the_one_in_force(world: SimWorld, make_plan: Plan) -> None:
    platform = SimPlatform(world)
    receipts = RoundedBids(platform, tick=0.05).publish(make_plan(platform, np.full(world.n_units, 0.77))).rows
    assert (receipts["state"] == "adjusted").all()
    assert receipts["bid_cpc"].to_numpy() == pytest.approx(0.75)
    assert platform.live_bids().rows["bid_cpc"].to_numpy() == pytest.approx(0.75)


def test_faults_compose(world: SimWorld, plain: list[pl.DataFrame], make_plan: Plan) -> None:
    platform = SimPlatform(world)
    face = LateReports(RejectedBids(DuplicatedReports(platform, share=0.5), share=1.0), lag=2)
    assert (face.publish(make_plan(platform, np.full(world.n_units, 0.9))).rows["state"] == "rejected").all()
    assert settled(listen(face, platform, 30)).equals(settled(plain[:28]))


# -- shocks of the world --------------------------------------------------------------------------------------------


def shocked(scenario: Scenario, kind: FaultKind, **keys: object) -> tuple[SimWorld, SimWorld]:
    return SimWorld(scenario, 3), SimWorld(replace(scenario, faults=(FaultPart(kind, **keys),)), 3)


WHEN = {"start": datetime(2026, 11, 8, 12), "hours": 6}


def test_a_price_shock_lasts_as_long_as_it_says(scenario: Scenario) -> None:
    calm, shock = shocked(scenario, FaultKind.PRICE_SHOCK, amount=1.5, **WHEN)
    ratio = shock.truth.price_median / calm.truth.price_median
    assert ratio[:, 12:18] == pytest.approx(1.5)
    assert np.delete(ratio, np.s_[12:18], axis=1) == pytest.approx(1.0)


def test_a_demand_shock_moves_shoppers_and_not_prices(scenario: Scenario) -> None:
    calm, shock = shocked(scenario, FaultKind.DEMAND_SHOCK, amount=0.4, **WHEN)
    assert (shock.truth.opportunities / calm.truth.opportunities)[:, 12:18] == pytest.approx(0.4)
    assert (shock.truth.price_median == calm.truth.price_median).all()
    assert shock.shoppers(13).unit.size < 0.7 * calm.shoppers(13).unit.size


def test_rival_entry_and_stock_out_hit_the_stated_share_of_units(scenario: Scenario) -> None:
    calm, entry = shocked(scenario, FaultKind.RIVAL_ENTRY, amount=1.4, share=0.25, **WHEN)
    assert ((entry.truth.price_median / calm.truth.price_median)[:, 13] > 1.3).sum() == 3
    calm, empty = shocked(scenario, FaultKind.STOCK_OUT, share=0.25, **WHEN)
    assert (empty.truth.cvr[:, 13] == 0).sum() == 3
    assert (empty.truth.cvr[:, 19] > 0).all()
    assert (empty.truth.opportunities == calm.truth.opportunities).all()
    assert 0 < fluid_optimum(empty.truth, empty.budget, None).gmv < fluid_optimum(calm.truth, calm.budget, None).gmv


def test_predictor_bias_is_in_the_belief_and_not_in_the_world(scenario: Scenario) -> None:
    calm, bias = shocked(scenario, FaultKind.PREDICTOR_BIAS, amount=1.5)
    ratio = (bias.units["prior_cvr"] / calm.units["prior_cvr"]).to_numpy()
    assert ratio == pytest.approx(1.5)
    assert (bias.truth.cvr == calm.truth.cvr).all()


def test_over_delivery_lets_a_careless_account_spend_beyond_its_budget(resized: Callable[..., Scenario]) -> None:
    poor = resized(budget=100.0)
    greedy = replace(poor, faults=(FaultPart(FaultKind.OVER_DELIVERY, amount=2.0),))
    spent = []
    for scenario in (poor, greedy):
        platform = SimPlatform(SimWorld(scenario, 3))
        platform.put(np.full(platform.world.n_units, 2.0))
        for hour in platform.world.hours:
            platform.advance(hour)
        spent.append(platform.ledger.spend.sum())
    assert 95 < spent[0] <= 100
    assert 195 < spent[1] <= 200


def test_a_day_may_cost_up_to_twice_its_part_of_the_budget_and_the_next_day_starts_anew(
    resized: Callable[..., Scenario],
) -> None:
    spent = {}
    for amount in (1.0, 2.0):
        scenario = replace(resized(budget=400.0), faults=(FaultPart(FaultKind.DAILY_BUDGET, amount=amount),))
        world = SimWorld(scenario, 3)
        platform = SimPlatform(world)
        platform.put(np.full(world.n_units, 2.0))
        for hour in world.hours:
            platform.advance(hour)
        by_hour = platform.ledger.spend.sum(axis=0)
        spent[amount] = np.bincount(world.expected.day, by_hour)
        assert by_hour.sum() <= 400.0
        assert by_hour[20] == 0 < by_hour[24]  # the first day is over, the second one is not
    assert spent[1.0] == pytest.approx([200, 200], rel=0.05)  # two days alike
    assert spent[1.0].max() <= 200
    assert 220 < spent[2.0][0] <= 400


def test_a_scenario_names_its_faults_and_wrong_keys_are_refused(shipped_raw: dict) -> None:
    good = shipped_raw | {
        "faults": [{"kind": "late_reports", "hours": 3}, {"kind": "price_shock", "amount": 2.0, **WHEN}]
    }
    scenario = parse_scenario(good, "x.toml")
    assert [f.kind for f in scenario.faults] == [FaultKind.LATE_REPORTS, FaultKind.PRICE_SHOCK]
    assert isinstance(troubled(SimPlatform(SimWorld(scenario, 1)), scenario), LateReports)
    for fault, words in (
        ({"kind": "late_reports"}, r"late_reports takes the keys \['hours'\], got \[\]"),
        ({"kind": "late_reports", "hours": 3, "share": 0.5}, "takes the keys"),
        ({"kind": "bad_luck"}, "'bad_luck' is none of"),
        ({"kind": "late_reports", "hours": 0}, "between 1 and"),
        ({"kind": "late_reports", "hour": 3}, "unknown key"),
        ({"kind": "dark_hours", "hours": 3, "start": datetime(2027, 1, 1)}, "inside start"),
        ({"kind": "daily_budget", "amount": 2.5}, "1 to 2 times"),
    ):
        with pytest.raises(ConfigError, match=words):
            parse_scenario(shipped_raw | {"faults": [fault]}, "x.toml")
