"""Nothing that was learned after the cut enters an outlook: every such row may be changed, and nothing moves."""

from dataclasses import dataclass, fields, replace

import numpy as np
import polars as pl
import pytest

from data.memory import MemoryStore
from domain.outlook import Outlook
from domain.tables import REPORT, BidTable, ReportBatch
from domain.time import Window
from market import load_scenario, make_platform, make_world
from predictors import SteadyModel

CUT, LAST = 30, 44


@dataclass
class Tape:
    """Reports and bids of some hours, each with the hour in which they were read."""

    world: object
    batches: list[tuple[int, ReportBatch, BidTable]]

    def outlook(self, change) -> Outlook:
        """Outlook at the cut of a store that also holds what came after it, changed by `change`."""
        world = self.world
        store = MemoryStore(world.account, world.units, world.priors)
        for h, batch, bids in self.batches:
            store.append(batch if h <= CUT else change(batch), bids if h <= CUT else scaled(bids), world.hours[h].start)
        known = store.at(world.hours[CUT])
        model = SteadyModel(calendar=world.calendar)
        return model.fit(known).outlook(known, world.hours[CUT:])


def scaled(bids: BidTable) -> BidTable:
    return BidTable(bids.rows.with_columns(pl.col("bid_cpc") * 3.0))


@pytest.fixture(scope="module")
def tape() -> Tape:
    scenario = load_scenario("four-phase-roi")
    world = make_world(replace(scenario, units=replace(scenario.units, count=40)), 105)
    platform = make_platform(world)
    batches = []
    for h in range(LAST):
        platform.put(world.start_bids * (1 + 0.1 * np.sin(np.arange(world.n_units) + h)))
        window = Window(world.hours[0].start, world.hours[h].end)
        batches.append((h, platform.read_reports(window), platform.live_bids()))
        platform.advance(world.hours[h])
    return Tape(world, batches)


def same(one: Outlook, two: Outlook) -> bool:
    for field in fields(Outlook):
        a, b = getattr(one, field.name), getattr(two, field.name)
        if isinstance(a, np.ndarray):
            if not np.array_equal(a, b):
                return False
        elif field.name == "cvr":
            if not np.array_equal(a.mean, b.mean):
                return False
        elif a != b:
            return False
    return True


@pytest.mark.parametrize("column", ["impressions", "clicks", "spend", "orders", "gmv", "bid_cpc"])
def test_changing_every_row_learned_after_the_cut_changes_nothing(tape, column):
    def louder(batch: ReportBatch) -> ReportBatch:
        return ReportBatch(batch.rows.with_columns((pl.col(column) * 7.0 + 3.0).alias(column)).select(list(REPORT)))

    def gone(batch: ReportBatch) -> ReportBatch:
        return ReportBatch(batch.rows.clear())

    plain = tape.outlook(lambda batch: batch)
    assert same(plain, tape.outlook(louder))
    assert same(plain, tape.outlook(gone))


def test_changing_a_row_learned_before_the_cut_changes_something(tape):
    changed = Tape(tape.world, [(h, louder_gmv(b) if h == CUT else b, bids) for h, b, bids in tape.batches])
    assert not same(tape.outlook(lambda batch: batch), changed.outlook(lambda batch: batch))


def louder_gmv(batch: ReportBatch) -> ReportBatch:
    return ReportBatch(batch.rows.with_columns(clicks=pl.col("clicks") + 5.0).select(list(REPORT)))
