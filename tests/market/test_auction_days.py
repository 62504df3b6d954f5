"""The market of single auctions, its exact hindsight optimum, and the simple bidders in it."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import linprog

from domain.auctions import TargetMode, TickLog, score
from domain.errors import ConfigError, InvalidPlan
from market.auction_hindsight import HindsightCurve, best_constant
from market.auction_play import ConstantMultiplier, PidMultiplier, play_day
from market.auction_world import AuctionDay, AuctionMarket, load_auction_scenario, parse_auction_scenario

SEED = 301


@pytest.fixture(scope="module")
def day() -> AuctionDay:
    scenario = dataclasses.replace(load_auction_scenario(), auctions_per_day=60_000)
    return AuctionMarket.draw(scenario, SEED).day(1)


def test_the_same_seed_and_number_are_the_same_day(day: AuctionDay) -> None:
    scenario = dataclasses.replace(load_auction_scenario(), auctions_per_day=60_000)
    again = AuctionMarket.draw(scenario, SEED).day(1)
    assert np.array_equal(day.thresholds, again.thresholds)
    assert np.array_equal(day.luck_seen, again.luck_seen)
    assert not np.array_equal(day.values, AuctionMarket.draw(scenario, SEED + 1).day(1).values[: day.values.size])


def test_places_cost_less_from_top_to_bottom_and_rivals_run_dry(day: AuctionDay) -> None:
    assert bool(np.all(np.diff(day.thresholds, axis=1) <= 0))
    assert day.awake[0] == 1.0
    assert day.awake[-1] < 0.8
    early, late = (np.median(day.thresholds[day.tick(t), -1]) for t in (12, 46))
    assert late < 0.8 * early


def test_believed_values_are_off_by_one_factor_all_day(day: AuctionDay) -> None:
    assert 0.9 <= day.bias <= 1.1
    assert np.allclose(day.values, day.truth * day.bias)
    assert day.chance.mean() == pytest.approx(day.truth.mean(), rel=0.02)


def test_the_hindsight_curve_is_the_linear_program(day: AuctionDay) -> None:
    few = dataclasses.replace(
        day, truth=day.truth[:150], thresholds=day.thresholds[:150], values=day.values[:150], first=np.array([0, 150])
    )
    n, s = few.thresholds.shape
    gain = (few.truth[:, None] * few.exposure).ravel()
    cost = (few.thresholds * few.exposure).ravel()
    once = np.kron(np.eye(n), np.ones(s))
    curve = HindsightCurve.of(few)
    for share in (0.02, 0.2, 0.7):
        budget = share * float(curve.spend[-1])
        answer = linprog(-gain, np.vstack([cost, once]), np.concatenate([[budget], np.ones(n)]), method="highs-ds")
        assert curve.best(budget, None).value == pytest.approx(-answer.fun, rel=1e-9)


def test_no_constant_multiplier_beats_hindsight_and_the_pid_stays_far_below(day: AuctionDay) -> None:
    curve = HindsightCurve.of(day)
    budget = 480.0
    free = curve.best(budget, None)
    for factor in (0.8, 1.1):
        target = factor * free.spend / free.value
        best = curve.best(budget, target).score
        constant = best_constant(day, budget, target)
        assert 0.90 * best <= constant.score <= best
        pid = play_day(day, PidMultiplier(target), budget, target)
        assert pid.score(target) < 0.75 * best
        again = play_day(day, ConstantMultiplier(1 / constant.theta), budget, target)
        assert again.score(target) == pytest.approx(constant.score, rel=0.06)


def test_a_hard_target_is_held_by_its_optimum(day: AuctionDay) -> None:
    curve = HindsightCurve.of(day)
    free = curve.best(480.0, None)
    target = 0.8 * free.spend / free.value
    held = curve.best(480.0, target, TargetMode.HARD)
    assert held.spend <= target * held.value * (1 + 1e-9)
    assert curve.best(480.0, target).score >= held.score


def test_nothing_is_spent_beyond_the_budget(day: AuctionDay) -> None:
    result = play_day(day, ConstantMultiplier(1e4), 50.0, None)
    assert 49.0 < result.spend <= 50.0
    assert result.spend == pytest.approx(sum(log.paid for log in result.logs))


def test_the_soft_score_falls_with_the_square_of_the_miss() -> None:
    assert float(score(10.0, 500.0, 50.0)) == pytest.approx(10.0)
    assert float(score(10.0, 1000.0, 50.0)) == pytest.approx(2.5)
    assert float(score(0.0, 100.0, 50.0)) == 0.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ticks": 0}, "ticks"),
        ({"colour": 1}, "unknown key"),
        ({"exposure": [0.3, 0.6]}, "exposure must fall"),
        ({"reserve": None}, "reserve"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_refused(change: dict[str, object], words: str) -> None:
    import tomllib

    from market.auction_world import SHIPPED

    raw = tomllib.loads((SHIPPED / "auction-days.toml").read_text(encoding="utf-8")) | change
    with pytest.raises(ConfigError, match=words):
        parse_auction_scenario(raw, "mine.toml")


def test_a_tick_log_takes_any_numbers_and_refuses_nonsense() -> None:
    log = TickLog([0.1, 0.2], [0, 0], np.array([1, 2], np.float32), [1, 0], [0.5, 0], [1, 0], [True, False])
    assert log.values.dtype == np.float64
    assert log.exposed.dtype == np.bool_
    assert log.spend == 0.5
    assert log.price_to_win is not None
    assert np.isnan(log.price_to_win).all()
    for bad in ({"bids": [1, 2, 3]}, {"price": [np.nan, 0]}, {"position": [-1, 0]}, {"conversions": [-1, 0]}):
        columns = {"values": [0.1, 0.2], "value_sds": [0, 0], "bids": [1, 2], "position": [1, 0], "price": [0.5, 0],
                   "exposed": [1, 0], "conversions": [0, 0]} | bad  # fmt: skip
        with pytest.raises(InvalidPlan):
            TickLog(**columns)  # type: ignore[arg-type]
