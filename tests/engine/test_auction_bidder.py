"""`AuctionBidder`: what it reaches in small auction days, what it promises of any bid, and what it does with bad input."""

import dataclasses
import runpy
from pathlib import Path

import numpy as np
import pytest

from domain.auctions import TickLog
from domain.errors import ConfigError, InvalidPlan, NotFitted
from engine import AuctionBidder
from market.auction_hindsight import HindsightCurve
from market.auction_play import ConstantMultiplier, DayResult, play_day
from market.auction_world import AuctionDay, AuctionMarket, load_auction_scenario

SEED = 210
BUDGET = 480.0


@pytest.fixture(scope="module")
def market() -> AuctionMarket:
    return AuctionMarket.draw(dataclasses.replace(load_auction_scenario(), auctions_per_day=60_000), SEED)


@pytest.fixture(scope="module")
def day(market: AuctionMarket) -> AuctionDay:
    return market.day(9)


@pytest.fixture(scope="module")
def past(market: AuctionMarket) -> list[tuple[TickLog, ...]]:
    return [play_day(market.day(k), ConstantMultiplier(50.0), 1e9, None).logs for k in (1, 2, 3)]


@pytest.fixture(scope="module")
def target(day: AuctionDay) -> float:
    free = HindsightCurve.of(day).best(BUDGET, None)
    return 1.05 * free.spend / free.value


def tick_log(bidder: AuctionBidder, n: int, tick: int, remaining: float, rng: np.random.Generator) -> TickLog:
    """Bid in n invented auctions of one place and see what becomes of them."""
    values, prices = rng.lognormal(-7, 0.7, n), rng.lognormal(-2, 0.5, n)
    bids = bidder.bid(tick, values, None, remaining)
    won = bids > prices
    return TickLog(values, np.zeros(n), bids, won, prices * won, won, np.zeros(n), prices)


@pytest.mark.parametrize(("learned", "least"), [(True, 0.90), (False, 0.78)])
def test_a_day_scores_close_to_hindsight(
    day: AuctionDay, past: list[tuple[TickLog, ...]], target: float, learned: bool, least: float
) -> None:
    bidder = AuctionBidder("conversions", "gsp", "soft")
    if learned:
        bidder.fit(past)
    best = HindsightCurve.of(day).best(BUDGET, target).score
    result = play_day(day, bidder, BUDGET, target)
    assert least * best <= result.score(target) <= best
    assert result.spend <= BUDGET
    assert result.spend <= 1.1 * target * result.value


def test_a_hard_target_is_kept_where_it_binds(day: AuctionDay, past: list[tuple[TickLog, ...]], target: float) -> None:
    tight = 0.75 * target
    result = play_day(day, AuctionBidder("conversions", "gsp", "hard").fit(past), BUDGET, tight)
    assert result.spend <= 1.1 * tight * result.value
    assert result.value > 0


@pytest.mark.parametrize("told", ["all", "won", "none"])
def test_it_learns_prices_however_little_the_exchange_tells(day: AuctionDay, target: float, told: str) -> None:
    result = play_day(day, AuctionBidder("conversions", "gsp", "soft"), BUDGET, target, told)
    assert result.score(target) > 0.7 * HindsightCurve.of(day).best(BUDGET, target).score


class Scaled:
    """A bidder that sees all money times a factor."""

    def __init__(self, bidder: AuctionBidder, money: float) -> None:
        self.bidder, self.money = bidder, money

    def reset(self, budget: float, target: float | None, n_ticks: int) -> None:
        self.bidder.reset(budget * self.money, None if target is None else target * self.money, n_ticks)

    def bid(
        self, tick: int, values: np.ndarray, value_sds: np.ndarray, remaining_budget: float, observed: TickLog | None
    ) -> np.ndarray:
        seen = None
        if observed is not None:
            assert observed.price_to_win is not None
            seen = dataclasses.replace(
                observed, bids=observed.bids * self.money, price=observed.price * self.money,
                price_to_win=observed.price_to_win * self.money, spend=observed.paid * self.money,
            )  # fmt: skip
        return self.bidder.bid(tick, values, value_sds, remaining_budget * self.money, seen) / self.money


def test_without_any_log_it_spends_by_what_remains_and_not_more(day: AuctionDay, target: float) -> None:
    """Nobody tells how the ticks ended: bids stay below the target's worth, and the money lasts."""

    class Blind(Scaled):
        def bid(self, tick, values, value_sds, remaining_budget, observed):  # type: ignore[no-untyped-def]
            return self.bidder.bid(tick, values, value_sds, remaining_budget, None)

    result = play_day(day, Blind(AuctionBidder("orders", "gsp", "soft"), 1.0), BUDGET, target)
    spent = np.cumsum([log.paid for log in result.logs])
    assert spent[23] < 0.8 * BUDGET
    assert result.value > 0


def test_another_currency_changes_nothing(day: AuctionDay, target: float) -> None:
    results = [play_day(day, Scaled(AuctionBidder("orders", "gsp", "soft"), f), BUDGET, target) for f in (1.0, 2.0**14)]
    assert results[0].value == pytest.approx(results[1].value, rel=1e-6)
    assert results[0].spend == pytest.approx(results[1].spend, rel=1e-6)


def test_roi_is_the_same_target_as_cpa_turned_over(
    day: AuctionDay, past: list[tuple[TickLog, ...]], target: float
) -> None:
    cpa = play_day(day, AuctionBidder("orders", "gsp", "soft").fit(past), BUDGET, target)
    roi = play_day(day, AuctionBidder("gmv", "gsp", "soft").fit(past), BUDGET, 1 / target)
    assert roi.score(target) == pytest.approx(cpa.score(target), rel=0.02)


def test_bids_hang_on_nothing_that_was_not_told(
    day: AuctionDay, past: list[tuple[TickLog, ...]], target: float
) -> None:
    """The next bids are the same whatever is true and hidden: the chances and later auctions of the day."""
    tick = 20
    logs = play_day(day, AuctionBidder("orders", "gsp", "soft").fit(past), BUDGET, target).logs
    later = np.arange(day.chance.size) >= day.first[tick]
    hidden = dataclasses.replace(
        day,
        truth=day.truth * 3,
        chance=np.where(later, 0.0, day.chance),
        thresholds=np.where(later[:, None], 2 * day.thresholds, day.thresholds),
        values=np.where(np.arange(day.chance.size) >= day.first[tick + 1], 0.5 * day.values, day.values),
    )
    again = play_day(hidden, AuctionBidder("orders", "gsp", "soft").fit(past), BUDGET, target).logs
    assert np.array_equal(logs[tick].bids, again[tick].bids)


def test_the_order_of_auctions_does_not_matter(past: list[tuple[TickLog, ...]], day: AuctionDay, target: float) -> None:
    values = day.values[day.tick(0)]
    order = np.random.default_rng(SEED).permutation(values.size)
    bidder = AuctionBidder("orders", "gsp", "soft").fit(past)
    bids = bidder.reset(BUDGET, target, 48).bid(0, values, None, BUDGET)
    mixed = bidder.reset(BUDGET, target, 48).bid(0, values[order], None, BUDGET)
    assert np.allclose(bids[order], mixed, rtol=1e-9)


def test_in_second_price_for_one_place_bids_are_value_over_price(day: AuctionDay) -> None:
    one = dataclasses.replace(day, thresholds=day.thresholds[:, :1].copy(), exposure=day.exposure[:1])
    logs: list[TickLog] = list(play_day(one, AuctionBidder("orders", "second_price"), 100.0, None).logs)
    for log in logs[5:40:10]:
        ratio = log.bids / log.values
        assert np.allclose(ratio, ratio[0], rtol=1e-9)


def test_in_first_price_bids_stay_below_value_over_price(day: AuctionDay) -> None:
    rng = np.random.default_rng(SEED)
    bidder = AuctionBidder("orders", "first_price").reset(20.0, None, 12)
    remaining, observed = 20.0, None
    won_value = 0.0
    for tick in range(12):
        values, prices = rng.lognormal(-7, 0.7, 3000), rng.lognormal(-2, 0.5, 3000)
        bids = bidder.bid(tick, values, None, remaining, observed)
        won = bids > prices
        won &= np.cumsum(bids * won) <= remaining
        observed = TickLog(values, np.zeros(3000), bids, won, bids * won, won, np.zeros(3000), prices)
        remaining -= observed.paid
        won_value += float(values @ won)
        if tick > 2:
            wanted = values > np.quantile(values, 0.95)  # the others win nothing, whatever they bid
            assert np.median(bids[wanted] / (values[wanted] * bidder.state.multiplier)) < 0.9
    assert remaining < 2.0
    assert won_value > 0


def test_bids_never_exceed_what_remains_and_are_never_nan(past: list[tuple[TickLog, ...]]) -> None:
    values = np.array([1e-4, np.nan, 0.0, -0.1, 0.3, 1.0, 1.5, np.inf, 1e-300] + [1e-3] * 20)
    for bidder in (AuctionBidder("orders", "gsp", "soft"), AuctionBidder("orders", "gsp", "soft").fit(past)):
        for remaining in (1e9, 1.0, 1e-9, 0.0, -5.0):
            bids = bidder.reset(max(remaining, 1.0), 40.0, 48).bid(0, values, None, remaining)
            assert bids.shape == values.shape
            assert np.isfinite(bids).all()
            assert (bids <= max(remaining, 0.0)).all()
            assert (bids[[1, 3, 6, 7]] == 0).all()
        assert bidder.state.binding == "spent"


def test_it_says_what_it_could_not_use(past: list[tuple[TickLog, ...]]) -> None:
    bidder = AuctionBidder("orders", "gsp", "soft").fit(past).reset(100.0, 40.0, 48)
    with pytest.raises(NotFitted):
        _ = bidder.state
    bidder.bid(0, [0.001, np.nan, 0.002], None, 100.0)
    assert "1 of 3 values" in bidder.state.notes[-1]
    with pytest.raises(InvalidPlan, match="probabilities"):
        bidder.bid(1, [5.0, 7.0, 0.1], None, 100.0)
    assert AuctionBidder("gmv", "gsp").reset(10.0, None, 4).bid(0, [5.0, 7.0, 0.1], None, 10.0).size == 3


def test_calls_that_make_no_sense_are_refused(past: list[tuple[TickLog, ...]]) -> None:
    for wrong in (("fame", "gsp", "soft"), ("orders", "dutch", "soft"), ("orders", "gsp", "mild")):
        with pytest.raises(ConfigError, match="write one of"):
            AuctionBidder(*wrong)
    bidder = AuctionBidder("orders", "gsp").fit(past)
    with pytest.raises(NotFitted):
        bidder.bid(0, [0.1], None, 1.0)
    for budget, target, ticks in ((-1.0, 10.0, 48), (np.nan, 10.0, 48), (10.0, 0.0, 48), (10.0, 10.0, 0)):
        with pytest.raises(ConfigError):
            bidder.reset(budget, target, ticks)
    bidder.reset(100.0, 40.0, 48)
    for call in ((60, [0.001], None, 100.0), (-1, [0.001], None, 100.0), (0, [[0.001]], None, 100.0), (0, [0.001], [0.1, 0.1], 100.0),
                 (0, [0.001], None, np.nan)):  # fmt: skip
        with pytest.raises(InvalidPlan):
            bidder.bid(*call)


def test_what_is_no_number_is_refused_by_name() -> None:
    values = np.full(50, 0.001)
    bidder = AuctionBidder("orders", "gsp", "soft").reset(100.0, 40.0, 48)
    for tick in (np.nan, None, "noon", 1.5, 1e30):
        with pytest.raises(InvalidPlan, match="tick"):
            bidder.bid(tick, values, None, 100.0)  # type: ignore[arg-type]
    for sds in ("wide", [["a"]], np.ones((50, 2))):
        with pytest.raises(InvalidPlan, match="value_sds"):
            bidder.bid(0, values, sds, 100.0)
    for remaining in ("much", np.array([1.0, 2.0]), np.inf):
        with pytest.raises(InvalidPlan, match="remaining_budget"):
            bidder.bid(0, values, None, remaining)  # type: ignore[arg-type]
    for call in (
        ("a", 40.0, 48),
        (None, 40.0, 48),
        (10.0, "a", 48),
        (10.0, 40.0, np.nan),
        (10.0, 40.0, "a"),
        (10.0, 40.0, np.inf),
    ):
        with pytest.raises(ConfigError):
            bidder.reset(*call)  # type: ignore[arg-type]
    for days in (None, [5], [[5]], 7):
        with pytest.raises(InvalidPlan, match="fit"):
            bidder.fit(days)  # type: ignore[arg-type]


def test_an_overdrawn_budget_gets_bids_of_zero_and_an_empty_tick_none() -> None:
    bidder = AuctionBidder("orders", "gsp", "soft").reset(100.0, 40.0, 48)
    nothing = np.zeros(0)
    assert bidder.bid(0, nothing, None, 100.0).size == 0
    empty = TickLog(nothing, nothing, nothing, nothing, nothing, nothing, nothing)
    assert (bidder.bid(1, [0.001, 0.002], None, 100.0, empty) > 0).all()
    assert (bidder.bid(2, [0.001, 0.002], None, -3.0) == 0).all()
    assert bidder.state.binding == "spent"


def test_a_log_may_hold_the_values_that_could_not_be_used_and_other_figures_than_it_sums_to() -> None:
    rng = np.random.default_rng(SEED)
    values, prices = rng.lognormal(-7, 0.7, 300), rng.lognormal(-2, 0.5, 300)
    values[:2] = np.nan, -1.0
    bidder = AuctionBidder("orders", "gsp", "soft").reset(50.0, 100.0, 10)
    bids = bidder.bid(0, values, None, 50.0)
    won = bids > prices
    assert won.any()
    log = TickLog(values, np.zeros(300), bids, won.astype(np.int16), prices * won, won, np.zeros(300), prices)
    bidder.bid(1, values, None, 50.0 - log.paid, log)
    assert not any("told" in note or "other" in note for note in bidder.state.notes)
    bids = bidder.bid(2, values, None, 30.0, None)
    won = bids > prices
    odd = TickLog(2 * values, np.zeros(300), bids, won.astype(np.int16), prices * won, won, np.zeros(300), prices, 7.0)
    assert np.isfinite(bidder.bid(3, values, None, 23.0, odd)).all()
    assert any("a spend of 7 is told" in note for note in bidder.state.notes)
    assert any("other values" in note for note in bidder.state.notes)


def test_ticks_may_be_missing_but_not_go_back() -> None:
    rng = np.random.default_rng(SEED)
    bidder = AuctionBidder("orders", "second_price").reset(50.0, None, 10)
    log = tick_log(bidder, 500, 2, 50.0, rng)
    bidder.bid(6, log.values, None, 45.0, log)
    assert any("missing" in note for note in bidder.state.notes)
    with pytest.raises(InvalidPlan, match="in order"):
        bidder.bid(3, log.values, None, 45.0)


def test_a_log_that_contradicts_the_bids_is_refused_or_cleaned() -> None:
    rng = np.random.default_rng(SEED)
    bidder = AuctionBidder("orders", "second_price")

    def after(change: dict[str, object]) -> AuctionBidder:
        bidder.reset(50.0, None, 10)
        tick_log(bidder, 400, 0, 50.0, rng)
        log = tick_log_again(bidder, rng)
        bidder.bid(2, log.values, None, 45.0, dataclasses.replace(log, **change))
        return bidder

    def tick_log_again(bidder: AuctionBidder, rng: np.random.Generator) -> TickLog:
        values = rng.lognormal(-7, 0.7, 400)
        bids = bidder.bid(1, values, None, 50.0)
        bids_won = np.arange(400) < 40
        return TickLog(
            values,
            np.zeros(400),
            bids,
            bids_won & (bids > 0),
            0.5 * bids * bids_won,
            bids_won & (bids > 0),
            np.zeros(400),
            None,
        )

    assert np.isfinite(after({}).state.price)
    with pytest.raises(InvalidPlan, match="contradict"):
        after({"price": np.full(400, 1e6), "spend": 1.0})
    other = tick_log(AuctionBidder("orders", "gsp").reset(1.0, None, 2), 7, 0, 1.0, rng)
    bidder.reset(50.0, None, 10).bid(0, [0.1, 0.2], None, 50.0)
    with pytest.raises(InvalidPlan, match="was bid in"):
        bidder.bid(1, [0.1], None, 50.0, other)


def test_columns_by_name_are_taken_as_a_log_and_the_state_forecasts_the_day(
    day: AuctionDay, past: list[tuple[TickLog, ...]]
) -> None:
    class ByName(Scaled):
        def bid(self, tick, values, value_sds, remaining_budget, observed):  # type: ignore[no-untyped-def]
            seen = (
                None if observed is None else {f.name: getattr(observed, f.name) for f in dataclasses.fields(observed)}
            )
            return self.bidder.bid(tick, values.astype(np.float32), value_sds, remaining_budget, seen)

    bidder = AuctionBidder("orders", "gsp", "soft").fit(past)
    result: DayResult = play_day(day, ByName(bidder, 1.0), BUDGET, 40.0)
    state = bidder.state
    assert state.tick == 47
    assert state.spend.low <= state.spend.mean <= state.spend.high <= BUDGET * (1 + 1e-9)
    assert state.value.low <= result.value <= 1.2 * state.value.high
    assert state.value_level.low < state.value_level.mean < state.value_level.high
    assert state.notes == ()


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    script = Path(__file__).resolve().parents[2] / "examples" / "bid_in_auctions.py"
    runpy.run_path(str(script), run_name="__main__")
    assert "best in hindsight" in capsys.readouterr().out


def test_where_few_auctions_are_as_cheap_as_a_soft_target_the_score_decides(
    day: AuctionDay, past: list[tuple[TickLog, ...]]
) -> None:
    curve = HindsightCurve.of(day)
    budget = 150.0
    free = curve.best(budget, None)
    tight = 0.4 * free.spend / free.value
    best = curve.best(budget, tight)
    assert best.spend > 1.5 * tight * best.value  # hindsight itself goes far beyond
    for bidder, least in (
        (AuctionBidder("orders", "gsp", "soft").fit(past), 0.8),
        (AuctionBidder("orders", "gsp", "soft"), 0.6),
    ):
        assert play_day(day, bidder, budget, tight).score(tight) > least * best.score


def test_one_lucky_win_at_a_floor_price_does_not_fix_where_prices_are_looked_for() -> None:
    """Only prices of won auctions are told, and the first win costs a ten-thousandth of the others."""
    rng = np.random.default_rng(SEED)
    bidder = AuctionBidder("orders", "gsp", "soft").reset(40.0, 120.0, 24)
    remaining, observed = 40.0, None
    for tick in range(24):
        values, prices = rng.lognormal(-6, 0.8, 1000), rng.lognormal(-2, 0.3, 1000)
        if tick == 0:
            prices = np.where(np.arange(1000) == 3, 1e-5, 100.0)
        bids = bidder.bid(tick, values, None, remaining, observed)
        won = (bids > prices) & (np.cumsum(np.where(bids > prices, prices, 0.0)) <= remaining)
        paid = np.where(won, prices, 0.0)
        told = np.where(won, prices, np.nan)
        observed = TickLog(values, np.zeros(1000), bids, won.astype(np.int16), paid, won, np.zeros(1000), told)
        remaining -= observed.paid
    assert remaining < 0.3 * 40.0


def test_a_single_past_day_whose_prices_and_best_auctions_came_at_other_times_is_doubted() -> None:
    """The past day was dear and poor in its first half, cheap and rich in its second; today is even."""
    rng = np.random.default_rng(SEED)

    def tick(up: float, rich: float) -> tuple[np.ndarray, np.ndarray]:
        return rng.lognormal(-7 + rich, 0.7, 800), rng.lognormal(-2 + up, 0.5, 800)

    def log(values: np.ndarray, prices: np.ndarray) -> TickLog:
        bids = np.full(800, 10.0)
        return TickLog(
            values, np.zeros(800), bids, np.ones(800, np.int16), prices, np.ones(800, bool), np.zeros(800), prices
        )

    past = [log(*tick(0.4, -0.3) if t < 12 else tick(-0.4, 0.3)) for t in range(24)]
    bidder = AuctionBidder("orders", "second_price").fit([past]).reset(60.0, None, 24)
    remaining, observed, gained, offered = 60.0, None, 0.0, []
    for t in range(24):
        values, prices = tick(0.0, 0.0)
        bids = bidder.bid(t, values, None, remaining, observed)
        won = (bids >= prices) & (np.cumsum(np.where(bids >= prices, prices, 0.0)) <= remaining)
        paid = np.where(won, prices, 0.0)
        observed = TickLog(values, np.zeros(800), bids, won.astype(np.int16), paid, won, np.zeros(800), prices)
        remaining -= observed.paid
        gained += float(values[won].sum())
        offered.append((values, prices))
    values, prices = np.concatenate(offered, axis=1)
    order = np.argsort(-values / prices)
    best = float(values[order][np.cumsum(prices[order]) <= 60.0].sum())
    assert 0.9 * best < gained < best
