"""Oracles stand where hindsight says; baselines that only see reports stand between them and static bids."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.metrics import measure
from evaluation.oracles import executed, play_oracle, rows_of
from evaluation.simulate import run
from market import Scenario, SimWorld, fluid_optimum, load_scenario


@pytest.mark.parametrize("name", ["demo", "demo-budget"])
def test_bids_of_the_hindsight_optimum_bring_what_it_promises(name: str) -> None:
    scenario = load_scenario(name)
    assert run(scenario, "oracle", 301).figures.gmv_vs_hindsight == pytest.approx(1.0, abs=0.005)
    # And with the shoppers that really came: the curves are those of the world, not of a formula.
    world = SimWorld(scenario, 301)
    realised = measure(world.truth, play_oracle(world, "oracle").ledger, rows_of(world))
    assert realised.gmv_vs_hindsight == pytest.approx(1.0, abs=0.01)


def test_a_constant_price_loses_next_to_nothing_where_only_ticks_bind(promotion: Scenario) -> None:
    figures = run(promotion, "constant_price", 301).figures
    assert 0.99 <= figures.gmv_vs_hindsight <= 1.01
    assert figures.cpc_cv_vs_hindsight == pytest.approx(1.0)


def test_two_edits_a_day_are_never_exceeded_by_the_constant_price(short: Scenario) -> None:
    scenario = replace(short, limits=replace(short.limits, edits_per_day=2))
    world = SimWorld(scenario, 4)
    noisy = world.start_bids[:, None] * np.random.default_rng(8).uniform(0.5, 2, (world.n_units, world.n_hours))
    bids = executed(world, noisy)
    before = np.column_stack([world.start_bids, bids[:, :-1]])
    edits = (bids != before).reshape(world.n_units, 2, 24).sum(axis=2)
    assert edits.max() == 2
    free = fluid_optimum(world.truth, world.budget, world.roi_target).gmv
    assert run(scenario, "constant_price", 4).figures.gmv <= 1.01 * free


def test_the_reference_controller_lands_between_static_bids_and_hindsight(promotion: Scenario) -> None:
    reference = run(promotion, "mpc_reference", 302)
    static = run(promotion, "static", 302).figures
    assert reference.figures.efficiency is not None
    assert static.efficiency is not None
    assert 0.96 <= reference.figures.efficiency <= 0.99
    assert reference.figures.efficiency > static.efficiency + 0.03
    assert reference.figures.overspend == 0


def test_mirror_descent_keeps_nearer_to_the_roi_target_than_a_pid_that_does_not_know_it(promotion: Scenario) -> None:
    mirror, pid = (run(promotion, policy, 303).figures for policy in ("mirror", "pid"))
    assert mirror.roi_miss is not None
    assert pid.roi_miss is not None
    assert pid.roi_miss < mirror.roi_miss < 0.02
