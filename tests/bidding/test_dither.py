"""Moves that teach: bounded, within their budget, the same when made again, and as many up as down."""

from dataclasses import replace

import numpy as np
import pytest

from bidding import ThetaPolicy
from bidding.policies import Dither, Steadiness
from domain.errors import ConfigError
from domain.limits import BidLimits

FREE = BidLimits(floor=0.001, cap=1000.0, tick=0.001)
PLAIN = ThetaPolicy(Steadiness(share=0.0))


def bids(plan) -> np.ndarray:
    return plan.units["bid_cpc"].fill_null(0.0).to_numpy()


def dithered(hour_of, dither: Dither, seed: int = 0):
    known, outlook, targets = hour_of(np.random.default_rng(seed), n=400, theta=4.0, live=np.ones(400))
    policy = replace(PLAIN, dither=dither)
    return (known, outlook, targets), bids(PLAIN.propose(known, outlook, targets, FREE)), policy


@pytest.mark.parametrize("share", [0.0005, 0.002, 0.01])
def test_what_dithering_costs_stays_within_its_share_of_the_gain(account_hour, share) -> None:
    given, still, policy = dithered(account_hour, Dither(share=share, most=0.3))
    moved = bids(policy.propose(*given, FREE))
    table = given[1].at(0)

    def payoff(b: np.ndarray) -> float:
        bought = table.expected(b)
        return float(bought["gmv"].sum() - 4.0 * bought["spend"].sum())

    gain = float(table.expected(still)["gmv"].sum())
    assert payoff(still) - payoff(moved) <= 1.5 * share * gain
    assert not np.allclose(moved, still)


def test_no_bid_moves_by_more_than_the_bound_and_half_of_them_rise(account_hour) -> None:
    given, still, policy = dithered(account_hour, Dither(share=0.05, most=0.06))
    move = np.log(bids(policy.propose(*given, FREE)) / still)
    assert np.abs(move).max() < 0.06 + 0.02  # a tick of cheap bids
    assert 0.4 < (move > 0).mean() < 0.6
    bought = [given[1].at(0).expected(b)["spend"].sum() for b in (still, still * np.exp(move))]
    assert bought[1] == pytest.approx(bought[0], rel=0.03)


def test_moves_last_for_their_hours_and_then_change(account_hour) -> None:
    (known, outlook, targets), still, _ = dithered(account_hour, Dither())
    dither, table = Dither(hours=6), outlook.at(0)
    start = known.hour.plus(-(int(known.hour.start.timestamp()) // 3600 % 6))
    moves = np.stack([dither.moves(start.plus(h), table, still, targets.offset) for h in range(18)])
    assert all((moves[h] == moves[h - h % 6]).all() for h in range(18))
    assert 0.3 < (moves[0] != moves[6]).mean() < 0.7
    assert abs(np.corrcoef(moves[0], moves[6])[0, 1]) < 0.2
    assert (dither.moves(start, table, still, targets.offset) == moves[0]).all()


def test_units_without_a_bid_do_not_move(account_hour) -> None:
    (known, outlook, targets), still, _ = dithered(account_hour, Dither())
    wanted = still.copy()
    wanted[:50], wanted[50:100] = 0.0, np.nan
    moves = Dither().moves(known.hour, outlook.at(0), wanted, targets.offset)
    assert not moves[:100].any()
    assert moves[100:].all()


def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in ({"share": 0.0}, {"share": 0.5}, {"most": 1.0}, {"hours": 0}):
        with pytest.raises(ConfigError, match="dithering"):
            Dither(**wrong)
