"""Replay of own logs: what can be known from them, what not, and the iPinYou logs as the yardstick."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from domain.errors import InsufficientHistory
from domain.outlook import Auction
from evaluation.auction_replay import ImpressionLog, Setup, known_prices, replay, stage

SEED = 330


def invented(n: int = 6000, hours: bool = True) -> ImpressionLog:
    rng = np.random.default_rng(SEED)
    value = rng.lognormal(-7.5, 0.9, n)
    price = np.round(rng.lognormal(4, 0.6, n) * (value / np.exp(-7.5)) ** 0.2)
    events = (rng.random(n) < value * 20).astype(float)
    return ImpressionLog(value, price, np.sort(rng.integers(0, 40, n)).astype(float) if hours else None, events)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["ipinyou_1458_a", "ipinyou_2259"])
@pytest.mark.parametrize("by_time", [True, False])
def test_real_logs_are_bought_almost_as_if_prices_were_known(real_data: Path, name: str, by_time: bool) -> None:
    frame = pl.read_parquet(real_data / f"{name}.parquet")
    log = ImpressionLog(
        frame["pctr"].to_numpy(), frame["price"].to_numpy().astype(float),
        frame["hour"].to_numpy().astype(float) if by_time else None, frame["click"].to_numpy().astype(float),
    )  # fmt: skip
    paid = float(log.price[frame.height // 2 :].sum())
    _, found = replay(log, Setup(), [paid / 2**k for k in range(1, 6)], 0, np.random.default_rng(SEED))
    assert min(r.share for r in found) >= 0.985
    assert all(r.bought.spend <= r.budget for r in found)


def test_a_replay_spends_the_budget_and_cannot_beat_known_prices() -> None:
    log = invented()
    paid = float(log.price[3000:].sum())
    _, found = replay(log, Setup(ticks=24), [paid / 3, paid / 10], 3, np.random.default_rng(SEED))
    for r in found:
        assert 0.93 <= r.share <= 1.0
        assert 0.97 * r.budget <= r.bought.spend <= r.budget
        assert r.value_band[0] <= r.bought.value <= r.value_band[1]
        assert r.first_value < r.bought.value
    assert found[0].bought.value > found[1].bought.value


def test_knowing_all_prices_takes_the_best_value_for_money_first() -> None:
    log = ImpressionLog(np.array([0.3, 0.2, 0.1]), np.array([3.0, 1.0, 4.0]))
    assert known_prices(log, 4.0, Setup()) == pytest.approx(0.5)
    assert known_prices(log, 2.5, Setup()) == pytest.approx(0.2 + 0.15)
    assert known_prices(log, 8.0, Setup(target=8.1)) == pytest.approx(0.5)


def test_a_higher_budget_than_the_log_cost_buys_all_of_it_and_says_so() -> None:
    log = invented()
    paid = float(log.price[3000:].sum())
    _, found = replay(log, Setup(), [3 * paid], 0, np.random.default_rng(SEED))
    assert found[0].bought.impressions > 2900
    assert found[0].bought.beyond > 0.5


def test_in_first_price_only_bids_of_at_least_the_one_paid_win() -> None:
    log = invented()
    paid = float(log.price[3000:].sum())
    _, found = replay(log, Setup(auction=Auction.FIRST_PRICE), [paid / 5], 0, np.random.default_rng(SEED))
    assert found[0].bought.spend <= paid / 5
    assert found[0].bought.value <= found[0].known


def test_rows_after_the_cut_do_not_change_what_was_learned_before_it() -> None:
    log = invented()
    other = ImpressionLog(log.value.copy(), log.price.copy(), log.hours, log.events)
    other.price[3000:] *= 2
    ours, theirs = stage(log, Setup()), stage(other, Setup())
    assert len(ours.past) == len(theirs.past)
    for a, b in zip(ours.past[0], theirs.past[0], strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert np.array_equal(a.price, b.price)


def test_unordered_rows_are_played_in_order_of_time_and_short_logs_are_refused() -> None:
    log = invented()
    assert log.hours is not None
    mixed = ImpressionLog(log.value, log.price, np.random.default_rng(SEED).permutation(log.hours), log.events)
    staged = stage(mixed, Setup())
    assert staged.played.hours is not None
    assert (np.diff(staged.played.hours) >= 0).all()
    assert any("order of time" in note for note in staged.notes)
    with pytest.raises(InsufficientHistory, match="longer log"):
        stage(invented(300), Setup())
