"""In the contested market, at steady bids: what is learned of slots, carts, deposits and refunds, and what clicks come to."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from data.memory import MemoryStore
from domain.outlook import Outlook
from domain.time import Window
from market import SimPlatform, load_scenario, make_platform, make_world
from predictors import SteadyModel

HOURS = (40, 66, 90, 108)


@dataclass
class Run:
    platform: SimPlatform
    seen: dict[int, Outlook]

    def matured(self, h: int) -> float:
        """Estimated over expected final gmv of the clicks before hour h."""
        value = self.platform.curves.click_value[:, :h]
        return float(self.seen[h].matured_gmv.sum() / (self.platform.ledger.clicks[:, :h] * value).sum())


@pytest.fixture(scope="module")
def run() -> Run:
    scenario = load_scenario("four-phase-roi")
    scenario = replace(scenario, units=replace(scenario.units, count=100))
    world = make_world(scenario, 107)
    platform = make_platform(world)
    store = MemoryStore(world.account, world.units, world.priors)
    model, seen = SteadyModel(calendar=world.calendar), {}
    rng = np.random.default_rng(7)
    for h, hour in enumerate(world.hours[: HOURS[-1] + 1]):
        platform.put(world.start_bids * world.expected.price[h] * np.exp(0.1 * rng.standard_normal(world.n_units)))
        store.append(platform.read_reports(Window(world.hours[0].start, hour.end)), platform.live_bids(), hour.start)
        if h in HOURS:
            seen[h] = model.outlook(store.at(hour), world.hours[h:])
        platform.advance(hour)
    return Run(platform, seen)


def test_what_clicks_come_to_is_known_in_phases_whose_ways_were_seen(run):
    assert run.matured(108) == pytest.approx(1.0, abs=0.04)
    assert run.matured(90) == pytest.approx(1.0, abs=0.05)


def test_what_clicks_come_to_lies_within_the_stated_error_before(run):
    for h in (40, 66):
        assert abs(run.matured(h) - 1) < 2 * run.seen[h].common_value_cv


def test_the_notes_tell_slots_carts_and_deposits(run):
    notes = " ".join(run.seen[108].notes)
    assert "several slots" in notes
    assert "pre-sale orders pay a deposit of 20%" in notes
    assert "come back" in notes
    assert "of warm-up orders wait for the burst" in notes


def test_what_more_or_less_bid_would_spend_is_known(run):
    """Spend at 30 % more and less against spend at the bid, account level; hour and day have luck of their own."""
    for h in (66, 90, 108):
        outlook, curves = run.seen[h].at(0), run.platform.curves.at_hour(h)
        bids = run.platform.ledger.bids[:, h]

        def ratio(factor: float, outlook=outlook, curves=curves, bids=bids) -> float:
            expected = outlook.expected(factor * bids)["spend"].sum() / outlook.expected(bids)["spend"].sum()
            spend = [curves.response(k * bids[:, None])[1].sum() for k in (factor, 1.0)]
            return expected / (spend[0] / spend[1])

        assert ratio(0.7) == pytest.approx(1.0, abs=0.12), h
        assert ratio(1.3) == pytest.approx(1.0, abs=0.12), h


def test_what_single_units_would_spend_at_other_bids_is_known(run):
    """Median over units of the error of the ratio."""
    for h in (90, 108):
        outlook, curves = run.seen[h].at(0), run.platform.curves.at_hour(h)
        bids = run.platform.ledger.bids[:, h]
        here = outlook.expected(bids)["spend"].to_numpy(), curves.response(bids[:, None])[1][:, 0]
        for factor in (0.7, 1.3):
            there = (
                outlook.expected(factor * bids)["spend"].to_numpy(),
                curves.response(factor * bids[:, None])[1][:, 0],
            )
            assert np.median(np.abs(there[0] / here[0] / (there[1] / here[1]) - 1)) < 0.05, (h, factor)


def test_slots_do_not_make_the_forecast_promise_clicks_that_are_not_there():
    """Clicks of the second day, told at its midnight, against those that come, where days have no luck of their own."""
    scenario = load_scenario("ordinary-week")
    units, prior = (
        replace(scenario.units, count=40),
        replace(scenario.prior, traffic_error_day=0.0, traffic_error_unit=0.0),
    )
    misses = []
    for seed in range(110, 114):
        world = make_world(replace(scenario, units=units, prior=prior), seed)
        platform = make_platform(world)
        store = MemoryStore(world.account, world.units, world.priors)
        rng = np.random.default_rng(seed)
        bids = world.start_bids[:, None] * np.exp(0.1 * rng.standard_normal((world.n_units, 48)))
        for h, hour in enumerate(world.hours[:48]):
            reports = platform.read_reports(Window(world.hours[0].start, hour.end))
            store.append(reports, platform.live_bids(), hour.start)
            if h == 24:
                outlook = SteadyModel(calendar=world.calendar).outlook(store.at(hour), world.hours[24:48])
            platform.put(bids[:, h], rules=False)
            platform.advance(hour)
        expected = sum(outlook.at(k).expected(bids[:, 24 + k])["clicks"].sum() for k in range(24))
        misses.append(np.log(expected / platform.ledger.clicks[:, 24:48].sum()))
    assert abs(np.mean(misses)) < 0.07, misses
