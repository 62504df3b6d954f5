"""Ramps between targets, members of a pool, and what exploring costs and teaches."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from bidding import AutoSolver
from domain.errors import ConfigError
from domain.goals import Goals, Scope, Target, TargetKind
from domain.groups import Groups
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.time import Window
from engine.ahead import followed, ramp_path
from pacing import Exploration, Ramp, RecedingHorizon, contributions
from pacing.ledger import Ledger

BUDGET, ROI, CPC = TargetKind.BUDGET, TargetKind.ROI, TargetKind.CPC


def _scene(make_outlook, make_known, **more):
    known = make_known()
    rows = known.performance
    outlook = make_outlook(matured=(rows["orders"].to_numpy(), rows["gmv"].to_numpy()), **more)
    window = Window(known.hour.plus(-24).start, known.hour.plus(48).start)
    calendar = PromotionCalendar((Phase("all", PhaseKind.BURST, window),))
    return known, outlook, calendar, Groups.from_units(known.units)


def _ramp(known, hours: int = 6) -> Ramp:
    return Ramp(
        Goals(targets=(Target(ROI, 2.0), Target(BUDGET, 4000.0))),
        Goals(targets=(Target(ROI, 2.6), Target(BUDGET, 3000.0), Target(CPC, 5.0))),
        known.hour.start,
        hours,
    )


def test_a_changed_ratio_moves_in_equal_ratios_and_ends_where_it_was_asked_to(make_known) -> None:
    known = make_known()
    ramp = _ramp(known)
    values = [ramp.goals_at(known.hour.plus(h)).targets[0].value for h in range(-1, 8)]
    assert values[0] == 2.0
    assert values[6:] == [2.6] * 3
    steps = np.diff(np.log(values[:7]))
    np.testing.assert_allclose(steps, np.log(2.6 / 2.0) / 6)
    assert ramp.goals_at(known.hour).targets[1:] == ramp.after.targets[1:]  # money and new targets wait for nothing
    assert _ramp(known, 0).goals_at(known.hour) == ramp.after
    with pytest.raises(ConfigError, match="0 or more"):
        _ramp(known, -1)


def test_the_path_to_a_tighter_target_bends_where_a_sudden_one_jumps(make_outlook, make_known) -> None:
    known, outlook, calendar, groups = _scene(make_outlook, make_known)
    loose = Target(BUDGET, 90_000.0)
    old, new = (Goals(targets=(Target(ROI, roi), loose)) for roi in (3.0, 3.9))
    ramp = Ramp(old, new, known.hour.start, 6)
    path = ramp_path(ramp, known, outlook, calendar, groups, AutoSolver())
    sudden = ramp_path(replace(ramp, hours=0), known, outlook, calendar, groups, AutoSolver())
    assert path.height == 6
    assert sudden.height == 1
    theta = path["theta"].to_numpy()
    assert np.all(np.diff(theta) >= -1e-9)
    assert theta[0] < 0.97 * sudden["theta"][0]
    assert theta[-1] == pytest.approx(sudden["theta"][0], rel=1e-6)
    assert np.abs(np.diff(np.log(theta))).max() < np.log(theta[-1] / theta[0])


def test_a_path_is_checked_against_what_was_spent(make_outlook, make_known) -> None:
    known, outlook, calendar, groups = _scene(make_outlook, make_known)
    path = ramp_path(_ramp(known), known, outlook, calendar, groups, AutoSolver())
    earlier = path.with_columns(path["start_utc"] - timedelta(hours=6))
    seen = followed(earlier, known)
    assert seen.height == 6
    np.testing.assert_allclose(seen["actual_spend"], 12.0)
    np.testing.assert_allclose(seen["spend_miss"], 12.0 / earlier["spend"] - 1)
    assert followed(path, known).height == 0


def test_members_of_a_pool_add_up_to_its_slack(make_outlook, make_known) -> None:
    known, outlook, _, groups = _scene(make_outlook, make_known)
    outlook = replace(outlook, matured_gmv=np.random.default_rng(2).uniform(0, 8, outlook.matured_gmv.size))
    bought = Ledger(known, outlook, groups).since(None)
    table = contributions(bought, groups, 0, 3.0)
    assert table["slack"].sum() == pytest.approx(float(bought.gmv[0] - 3.0 * bought.spend[0]))
    assert table["share_of_spend"].sum() == pytest.approx(1.0)
    assert table["slack"].is_sorted(descending=True)
    assert set(table["member"]) == {"business_type:B0", "business_type:B1"}
    inner = contributions(bought, groups, groups.index("business_type:B0"), 3.0)
    assert inner["spend"].sum() == pytest.approx(float(bought.spend[groups.index("business_type:B0")]))


def test_units_that_nothing_is_known_of_explore_within_their_budget(make_outlook, make_known) -> None:
    _, outlook, _, _ = _scene(make_outlook, make_known)
    cv = np.full(12, 0.05)
    cv[:3] = 0.8
    unsure = replace(outlook, click_value_cv=cv)
    plan = Exploration(budget=0.5).plan(unsure, np.full(12, 3.0), 100.0)
    assert plan.group.tolist() == [True] * 3 + [False] * 9
    assert np.all(plan.gain[plan.group] > 0)
    assert "3 units" in plan.words
    tight = Exploration(budget=0.001).plan(unsure, np.full(12, 3.0), 100.0)
    assert tight.spend.sum() == pytest.approx(0.1)
    assert np.all(tight.raise_by <= plan.raise_by)


def test_exploring_stops_with_evidence_and_at_the_end_of_the_horizon(make_outlook, make_known) -> None:
    _, outlook, _, _ = _scene(make_outlook, make_known)
    raises = [
        Exploration(budget=0.9).plan(replace(outlook, click_value_cv=np.full(12, cv)), np.full(12, 3.0), 1e6).raise_by
        for cv in (1.0, 0.5, 0.25, 0.1)
    ]
    for more, less in pairwise(raises):
        assert np.all(less <= more)
    assert not raises[-1].any()
    last = replace(
        outlook,
        hours=outlook.hours[:1],
        traffic=outlook.traffic[:, :1],
        price=outlook.price[:1],
        value=outlook.value[:1],
        click_value_cv=np.ones(12),
    )
    assert not Exploration().plan(last, np.full(12, 3.0), 100.0).group.any()
    with pytest.raises(ConfigError, match="exploration"):
        Exploration(budget=2.0)


def test_the_pacer_says_what_it_explores_and_plans_its_cost(make_outlook, make_known) -> None:
    known, outlook, calendar, groups = _scene(make_outlook, make_known)
    outlook = replace(outlook, click_value_cv=np.full(12, 0.9))
    goals = Goals(targets=(Target(ROI, 2.0), Target(BUDGET, 4000.0, Scope.ACCOUNT)))
    plain = RecedingHorizon(AutoSolver()).targets(known, outlook, goals, calendar, groups)
    bold = RecedingHorizon(AutoSolver(), exploration=Exploration(budget=0.05)).targets(
        known, outlook, goals, calendar, groups
    )
    assert "bid up to" in bold.reason
    assert np.all(bold.theta <= plain.theta)
    assert plain.amount[0] < bold.amount[0] <= plain.amount[0] * 1.05 + 1e-9
