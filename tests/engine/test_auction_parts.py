"""Parts of `AuctionBidder` alone: prices of lost auctions, the level of values, soft targets, and what a bid buys."""

import numpy as np
import pytest

from domain.auctions import TargetMode
from engine.auction_censored import spread_censored
from engine.auction_counts import BINS, Places, Scale
from engine.auction_goal import Bought, Choice, Program, choose
from engine.auction_outlook import Ahead
from engine.auction_response import response
from engine.auction_value import DayShift, ValueHabit, ValueLevel

SEED = 210


def test_censored_auctions_are_spread_above_their_bids_and_none_is_lost() -> None:
    rng = np.random.default_rng(SEED)
    counts = rng.integers(0, 5, (3, BINS)).astype(float)
    lost, won = np.zeros((3, BINS)), np.zeros((3, BINS))
    lost[:, 100], won[1, 50] = 40.0, 7.0
    prior = np.full((3, BINS), 1 / BINS)
    spread = spread_censored(counts, lost, won, prior)
    assert np.allclose(spread.sum(axis=1), counts.sum(axis=1) + lost.sum(axis=1) + won.sum(axis=1), rtol=1e-6)
    assert np.allclose(spread[0, :100], counts[0, :100])
    assert spread[0, 100:].sum() > counts[0, 100:].sum()


def test_the_value_level_follows_evidence_and_only_that() -> None:
    nothing = ValueLevel().mean_sd()
    assert nothing[0] == pytest.approx(1.0, abs=0.03)
    low = ValueLevel().plus(1000.0, 900.0, 900.0)
    assert 0.89 < low.mean_sd()[0] < 0.95
    assert low.mean_sd()[1] < nothing[1]
    few = ValueLevel().plus(10.0, 5.0, 5.0)
    assert few.mean_sd()[0] > low.mean_sd()[0]
    halved = ValueLevel().plus(1000.0, 500.0, 500.0)
    assert halved.mean_sd()[0] == pytest.approx(0.5, abs=0.06)
    amounts = ValueLevel(events=False).plus(1e6, 0.0, 0.0)
    assert amounts.mean_sd()[0] == pytest.approx(1.0, abs=0.03)


def test_past_days_tell_how_much_of_a_shift_is_error() -> None:
    rng = np.random.default_rng(SEED)

    def habit(error_share: float) -> ValueHabit:
        shifts = rng.normal(0, 0.08, 40)
        days = [
            (s, ValueLevel().plus(5000.0, c := float(rng.poisson(5000 * np.exp(-error_share * s))), c)) for s in shifts
        ]
        return ValueHabit.learned(days)

    assert habit(1.0).error_share > 0.75
    assert habit(0.0).error_share < 0.35
    assert habit(1.0).sd < ValueHabit().sd  # what days have in common is known, what is left of one is less
    shift = DayShift(np.zeros(4), 4)
    shift.note(0, np.full(100, np.exp(0.1)))
    assert ValueHabit(0.0, 1.0).centre(shift.mean) == pytest.approx(-0.1, abs=1e-9)


def hyperbolic(power: float) -> Program:
    """Whoever bids more buys more: exposures rise with bid^power in one cell, spend with bid^(power + 1)."""
    bids = np.geomspace(0.01, 1.0, 120)
    exposures = (bids**power)[None, :]
    spend = power / (power + 1) * exposures * bids
    return Program(bids, exposures * 1000.0, spend * 1000.0, np.array([0.1]), 1)


def test_a_soft_target_is_passed_only_where_the_score_says_so_clearly() -> None:
    """V ~ C^(p / (p + 1)): beyond the target V^3 / C^2 rises with C for p > 2 and falls for p < 2."""
    sure = ValueLevel().plus(1e7, 1e7, 1e7)
    for power, passed in ((4.0, True), (1.0, False)):
        program = hyperbolic(power)
        free = choose(program, Bought(), program.most, None, TargetMode.SOFT, sure)
        kappa = 0.4 * free.spend / free.value
        chosen = choose(program, Bought(), program.most, kappa, TargetMode.SOFT, sure)
        assert chosen.beyond is passed
        over = chosen.spend / chosen.value / kappa
        assert over > 2.0 if passed else over < 1.06
        hard = choose(program, Bought(), program.most, kappa, TargetMode.HARD, sure)
        assert hard.spend <= kappa * hard.value * (1 + 1e-9)
        assert not hard.beyond
    loose = choose(program, Bought(), program.most, 2 * free.spend / free.value, TargetMode.SOFT, sure)
    assert loose.binding == "none"
    assert not loose.beyond


def test_a_soft_plan_may_lean_on_the_doubt_of_its_values_and_not_further() -> None:
    """Values that turn out higher than believed leave much unbought; lower ones cost little of a soft score."""
    program = hyperbolic(1.9)
    free = choose(program, Bought(), program.most, None, TargetMode.SOFT, ValueLevel())
    kappa = 0.6 * free.spend / free.value

    def over(level: ValueLevel, lean: float) -> float:
        chosen = choose(program, Bought(), program.most, kappa, TargetMode.SOFT, level, lean=lean)
        assert not chosen.beyond
        return chosen.spend / (kappa * level.mean_sd()[0] * chosen.value)

    unsure, sure = ValueLevel(usual_sd=0.05), ValueLevel().plus(1e7, 1e7, 1e7)
    mean, sd = unsure.mean_sd()
    assert over(unsure, 0.0) <= 1.05 * (1 + 1e-6)
    assert over(unsure, 0.0) + 0.01 < over(unsure, 0.5) <= 1.05 * (1 + 0.5 * sd / mean) * (1 + 1e-6)
    assert over(sure, 0.5) == pytest.approx(over(sure, 0.0), abs=0.01)


def test_doubt_keeps_a_soft_plan_near_its_target_and_a_turned_day_does_not_turn_back_for_a_trifle() -> None:
    sure, program = ValueLevel().plus(1e7, 1e7, 1e7), hyperbolic(2.6)
    free = choose(program, Bought(), program.most, None, TargetMode.SOFT, sure)

    def beyond(share: float, turned: bool = False, doubt: float = 0.0) -> Choice:
        kappa = share * free.spend / free.value
        return choose(program, Bought(), program.most, kappa, TargetMode.SOFT, sure, turned, doubt)

    tight = next(s for s in np.arange(0.95, 0.2, -0.01) if beyond(s).beyond)  # the mildest target that is passed
    assert beyond(tight).beyond
    assert not beyond(tight + 0.02).beyond
    assert beyond(tight + 0.02, turned=True).beyond
    assert not beyond(tight, doubt=0.3).beyond
    assert beyond(0.3, doubt=0.15).spend < beyond(0.3).spend


def test_what_bids_buy_is_the_fold_of_prices_and_places() -> None:
    rng = np.random.default_rng(SEED)
    scale, places = Scale.around(rng.lognormal(-7, 0.7, 500), 0.1), Places(False)
    places.learn(rng.uniform(0, 2, 4000), rng.integers(1, 4, 4000), rng.uniform(1, 2, 4000), rng.random(4000) < 0.7)
    table = np.zeros((2, scale.n_buckets, BINS))
    table[:, :, 80:190] = rng.random((2, scale.n_buckets, 110))
    bids, exposures, spend = response(Ahead(table, np.ones(table.shape[:2]), 0.1, 0.1, 1.0, 1.0), scale, places, False)
    seen, cost = places.curves()
    for level in (0, 60, bids.size - 1):
        at = int(np.searchsorted(scale.bids, bids[level] * (1 - 1e-12)))
        steps = np.minimum(at - np.arange(80, at + 1), seen.size - 1)
        under = table.reshape(-1, BINS)[:, 80 : at + 1]
        assert np.allclose(exposures[:, level], (under * seen[steps]).sum(axis=1))
        assert np.allclose(spend[:, level], (under * scale.prices[80 : at + 1] * cost[steps]).sum(axis=1))


def test_losses_at_high_bids_outweigh_those_at_low_ones() -> None:
    """Kaplan and Meier: a thousand lost at a high bid leave nothing below it, however many were lost at a low one."""
    told, lost = np.zeros((1, BINS)), np.zeros((1, BINS))
    told[0, 150], lost[0, 60], lost[0, 120] = 10.0, 5000.0, 1000.0
    spread = spread_censored(told, lost, np.zeros((1, BINS)), np.full((1, BINS), 1 / BINS))
    assert spread[0, 61:119].sum() < 0.02 * 5000.0
    assert spread[0, 121:].sum() > 0.95 * 6000.0
