"""Runs policies in the simulated market, hour by hour, through the very cycle that live accounts use."""

import queue as queues
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from typing import Any

from domain.errors import ConfigError
from domain.plans import Action
from engine.cycle import run_cycle
from evaluation.crew import crew, unheard
from evaluation.desks import POLICIES, desk_for
from evaluation.keep import Tape
from evaluation.metrics import Figures, measure
from evaluation.oracles import ORACLES, binding_rows, constant_price_cpc_cv, expected_ledger, play_oracle, rows_of
from evaluation.regret import split
from evaluation.results import RunResult, Setting
from evaluation.trace import Hindsight, Recorder
from market import Scenario, fingerprint, make_platform, make_world, troubled

__all__ = ["ALL_POLICIES", "ORACLES", "POLICIES", "run", "setting_of", "simulate"]

#: Names of all that can be run: policies that sit at a desk, and oracles.
ALL_POLICIES = (*POLICIES, *ORACLES)

#: Called after each hour with (policy, seed, hours done, hours in all).
Progress = Callable[[str, int, int, int], None]


def setting_of(scenario: Scenario) -> Setting:
    """What a reader of results needs to know of a scenario."""
    return Setting(
        scenario=scenario.name,
        purpose=scenario.purpose,
        currency=scenario.currency,
        budget=scenario.goals.budget,
        phases=tuple((p.name, p.start, p.end) for p in scenario.phases),
        fingerprint=fingerprint(scenario),
    )


def run(
    scenario: Scenario,
    policy: str,
    seed: int,
    progress: Progress | None = None,
    *,
    keep: bool = False,
    regret: bool = False,
) -> RunResult:
    """One policy in one world, from the first hour to the last.

    Parameters
    ----------
    scenario, seed
        The world.
    policy
        One of `ALL_POLICIES`.
    progress
        Told after each hour.
    keep
        Whether the result carries all that its desk saw and decided (`RunResult.kept`).
    regret
        Whether its regret is split, which takes three more runs (`RunResult.regret`).
    """
    if policy in ORACLES:
        result = _run_oracle(scenario, policy, seed, progress)
    else:
        result = _run_at_a_desk(scenario, policy, seed, progress, keep=keep)
    return replace(result, regret=split(scenario, seed, result.figures.gmv_vs_hindsight, policy)) if regret else result


def _run_at_a_desk(scenario: Scenario, policy: str, seed: int, progress: Progress | None, *, keep: bool) -> RunResult:
    """One policy that decides from reports."""
    world = make_world(scenario, seed)
    platform = make_platform(world)
    desk = desk_for(policy, world, troubled(platform, scenario))
    tape = Tape(desk) if keep else None
    recorder = Recorder(world)
    holds = 0
    for position, hour in enumerate(world.hours):
        decision = run_cycle(hour, desk)
        holds += decision.plan.units["action"].eq(Action.HOLD.value).all()
        recorder.note(position, decision, platform.ledger)
        platform.advance(hour)
        if progress is not None:
            progress(policy, seed, position + 1, world.n_hours)
    platform.run_out()
    curves = platform.curves
    best = world.hindsight(curves)
    hindsight = Hindsight.of(best, curves)
    return RunResult(
        setting=setting_of(scenario),
        policy=policy,
        seed=seed,
        roi_target=world.roi_target,
        figures=_compared(measure(curves, platform.ledger, rows_of(world)), scenario, seed),
        trace=recorder.trace(platform.ledger, curves),
        hindsight=hindsight,
        holds=holds,
        binding=binding_rows(world, best),
        kept=None if tape is None else tape.kept(world, platform, hindsight),
    )


def _run_oracle(scenario: Scenario, policy: str, seed: int, progress: Progress | None) -> RunResult:
    """One oracle in one world; `oracle` itself is measured in expectation, so that luck does not enter."""
    world = make_world(scenario, seed)
    platform = play_oracle(world, policy)
    ledger, curves = platform.ledger, platform.curves
    if policy == "oracle":
        ledger = expected_ledger(world, curves, ledger.bids)
    if progress is not None:
        progress(policy, seed, world.n_hours, world.n_hours)
    best = world.hindsight(curves)
    return RunResult(
        setting=setting_of(scenario),
        policy=policy,
        seed=seed,
        roi_target=world.roi_target,
        figures=_compared(measure(curves, ledger, rows_of(world)), scenario, seed),
        trace=Recorder(world).trace(ledger, curves),
        hindsight=Hindsight.of(best, curves),
        binding=binding_rows(world, best),
    )


def _compared(figures: Figures, scenario: Scenario, seed: int) -> Figures:
    """Same figures, with the variation of hourly CPC against the executed constant price of the same seed."""
    least = constant_price_cpc_cv(scenario, seed)
    own = figures.hourly_cpc_cv
    return replace(figures, cpc_cv_vs_hindsight=own / least if own is not None and least else None)


def simulate(
    scenario: Scenario,
    policies: Sequence[str],
    seeds: Sequence[int],
    jobs: int = 2,
    progress: Progress | None = None,
    *,
    keep: bool = False,
    regret: bool = False,
) -> list[RunResult]:
    """All policies on all seeds, several at a time; results in the order policy, then seed.

    Results do not depend on `jobs`: each run is a world of its own. With `keep`, SteadyBid's run on the first seed
    carries all that its desk saw and decided, for `evaluation.keep.keep`; with `regret`, every run says where its
    missing gmv went.
    """
    unknown = [p for p in policies if p not in ALL_POLICIES]
    if unknown or not policies or not seeds:
        raise ConfigError(
            f"need at least one policy and one seed, got {list(policies)} and {list(seeds)}; policies are "
            f"{', '.join(ALL_POLICIES)}"
        )
    tasks = [
        (policy, seed, keep and (policy, seed) == ("steadybid", seeds[0]), regret)
        for policy in policies
        for seed in seeds
    ]
    if jobs <= 1 or len(tasks) == 1:
        return [run(scenario, p, seed, progress, keep=kept, regret=split_up) for p, seed, kept, split_up in tasks]
    with crew(min(jobs, len(tasks)), _listen) as (pool, news):
        with unheard():
            futures = [pool.submit(_run, scenario, *task) for task in tasks]
        _follow(futures, news, progress)
        return [future.result() for future in futures]


def _follow(futures: list[Future[RunResult]], news: Any, progress: Progress | None) -> None:
    """Pass on what the processes tell, until all are done or one has failed."""
    open_ones = set(futures)
    while open_ones:
        done, open_ones = wait(open_ones, timeout=0.2, return_when=FIRST_COMPLETED)
        for told in _drain(news):
            if progress is not None:
                progress(*told)
        if any(future.exception() is not None for future in done):
            return


def _drain(news: Any) -> Iterator[tuple[str, int, int, int]]:
    while True:
        try:
            yield news.get_nowait()
        except queues.Empty:
            return


_news: Any = None  # the queue of a worker process


def _listen(news: Any) -> None:
    global _news  # noqa: PLW0603 - a process's own, set once when it starts
    _news = news
    news.cancel_join_thread()  # a count that nobody reads any more must not keep a process alive


def _run(scenario: Scenario, policy: str, seed: int, keep: bool, regret: bool) -> RunResult:
    return run(scenario, policy, seed, lambda *told: _news.put(told), keep=keep, regret=regret)
