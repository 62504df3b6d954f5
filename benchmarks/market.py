"""Times the market alone, and the hours of a simulated run without it: python -m benchmarks.market [--wide]

CPU seconds of this process, one thread, after a short run that compiles. *Learning* is what an hour spends on refitting its
models (conversions and delay, price level, payment); the rest of `run_cycle` is reading, planning, bidding, reviewing, writing.
"""

# ruff: noqa: E402 - the thread limits must stand before the libraries load
import argparse
import os
import time
from collections.abc import Callable
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

import predictors.followed
import predictors.past
from engine.cycle import run_cycle
from evaluation.desks import desk_for
from market import SimWorld, load_scenario, make_platform, make_world

SEED = 100
LEARNERS = (
    (predictors.past, "learn_conversions"),
    (predictors.followed, "learn_payment"),
    (predictors.followed, "follow_price"),
)


def market_alone(world: SimWorld) -> float:
    """CPU seconds of a run with the bids of last month."""
    platform = make_platform(world)
    start = time.process_time()
    for hour in world.hours:
        platform.advance(hour)
    platform.run_out()
    return time.process_time() - start


def cycles(world: SimWorld, hours: int) -> tuple[np.ndarray, np.ndarray]:
    """(hours,) CPU seconds of each `run_cycle` of SteadyBid, and of the learning in it."""
    platform = make_platform(world)
    desk = desk_for("steadybid", world, platform)
    spent = 0.0

    def timed(learn: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            nonlocal spent
            start = time.process_time()
            try:
                return learn(*given, **named)
            finally:
                spent += time.process_time() - start

        return run

    kept = [(room, name, getattr(room, name)) for room, name in LEARNERS]
    for room, name, learn in kept:
        setattr(room, name, timed(learn))
    whole, learned = np.empty(hours), np.empty(hours)
    try:
        for k, hour in enumerate(world.hours[:hours]):
            spent, start = 0.0, time.process_time()
            run_cycle(hour, desk)
            whole[k], learned[k] = time.process_time() - start, spent
            platform.advance(hour)
    finally:
        for room, name, learn in kept:
            setattr(room, name, learn)
    return whole, learned


def main() -> None:
    """Time and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--wide", action="store_true", help="the market of 20,000 units too")
    wide = arguments.parse_args().wide
    cycles(make_world(load_scenario("four-phase-roi"), SEED), 30)  # compiles
    for name in ("demo", "four-phase-roi", *(("wide-account",) if wide else ())):
        start = time.process_time()
        world = make_world(load_scenario(name), SEED)
        made = time.process_time() - start
        print(
            f"{name}: {world.n_units} units x {world.n_hours} hours: world {made:.1f} s, market {market_alone(world):.1f} s"
        )
        if world.n_units > 1000:
            continue
        whole, learned = (1000 * x for x in cycles(world, world.n_hours))
        rest = whole - learned
        print(
            f"{name}: run_cycle {whole.mean():.0f} ms an hour (95 % below {np.quantile(whole, 0.95):.0f}), "
            f"of which learning {learned.mean():.0f}; apart from it {rest.mean():.0f} (95 % below {np.quantile(rest, 0.95):.0f})"
        )


if __name__ == "__main__":
    main()
