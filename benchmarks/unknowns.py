"""What SteadyBid loses because nobody can know it: the same worlds, with one thing told beforehand.

    python -m benchmarks.unknowns --scenario four-phase-budget --seeds 108-115

A desk starts with last month's forecasts. Here one forecast after the other is put right before the first hour, all else as ever:

    days    how each day's traffic departs from what the calendar and last month make of it
    prices  how the market price moves: rises that nobody announces, drift

What GMV gains by being told is the most that better foresight of it could gain. (`benchmarks.learner_floor` tells the reverse: what is lost
where all is known but the rates of single units.)
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from domain.tables import Floats
from engine.cycle import run_cycle
from evaluation.desks import desk_for
from evaluation.metrics import Rows, measure
from market import SimWorld, load_scenario, make_platform, make_world
from market.faults import troubled
from market.scenario import Scenario


def _scaled(world: SimWorld, column: str, factor: Floats) -> None:
    """Multiplies a forecast of the hours."""
    hours = world.priors.hours
    assert hours is not None
    told = hours[column].to_numpy() * factor[: hours.height]
    world.priors = replace(world.priors, hours=hours.with_columns(pl.Series(column, told)))


def tell_days(world: SimWorld) -> None:
    """Traffic of each day of 24 hours, over the whole promotion's."""
    seen = world.truth.opportunities.sum(axis=0) / world.expected.traffic
    seen = seen / seen.mean()
    day = np.arange(seen.size) // 24
    _scaled(world, "traffic", (np.bincount(day, seen) / np.bincount(day))[day])


def tell_prices(world: SimWorld) -> None:
    """Market price of each hour, all units together, against the first hour's."""
    seen = np.exp(np.log(world.truth.price_median).mean(axis=0)) / world.expected.price
    _scaled(world, "price_factor", seen / seen[0])


TOLD: Mapping[str, tuple[Callable[[SimWorld], None], ...]] = {
    "nothing": (),
    "days": (tell_days,),
    "prices": (tell_prices,),
    "both": (tell_days, tell_prices),
}


def play(scenario: Scenario, seed: int, told: tuple[Callable[[SimWorld], None], ...]) -> tuple[float, float, float]:
    """GMV over hindsight's, efficiency, and ROI beside its target (0 without one) of one run."""
    world = make_world(scenario, seed)
    for tell in told:
        tell(world)
    platform = make_platform(world)
    desk = desk_for("steadybid", world, troubled(platform, scenario))
    for hour in world.hours:
        run_cycle(hour, desk)
        platform.advance(hour)
    platform.run_out()
    rows = Rows(budget=world.budget, roi=world.roi_target, cpc=world.cpc_target, pools=world.pools)
    found = measure(platform.curves, platform.ledger, rows)
    return found.gmv_vs_hindsight, found.efficiency or np.nan, found.roi_miss or 0.0


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="four-phase-budget")
    parser.add_argument("--seeds", default="108-115")
    options = parser.parse_args()
    first, last = (int(x) for x in (options.seeds.split("-") * 2)[:2])
    scenario = load_scenario(options.scenario)
    for name, told in TOLD.items():
        runs = np.array([play(scenario, seed, told) for seed in range(first, last + 1)])
        gmv, efficiency, miss = runs.mean(axis=0)
        print(
            f"{options.scenario}, told {name:7s} GMV {gmv:.2%} of hindsight (worst {runs[:, 0].min():.2%}), "
            f"efficiency {efficiency:.2%}, ROI {miss:+.2%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
