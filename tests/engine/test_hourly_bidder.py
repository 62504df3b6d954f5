"""One bid an hour from hourly totals: what it reaches, and what it does with bad news."""

import math
import runpy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from domain.errors import ConfigError
from domain.outlook import Auction
from engine import HourLog, HourlyBidder
from engine.hourly_answers import log_bid_for
from engine.hourly_normal import log_cdf, quantile
from market.plans_optimum import budget_of, plan_optimum
from market.plans_part import PlansPart
from market.plans_play import PlanRun, play
from market.plans_world import HourResult, PlanCampaign, draw_campaign
from predictors.profile import WeekProfile

BOTH = pytest.mark.parametrize("auction", list(Auction))
ONE_DAY = replace(PlansPart(), one_day_share=1.0)
SHORT = replace(PlansPart(), one_day_share=0.5, days=(2, 5))


def world_of(position: int, auction: Auction, part: PlansPart = SHORT) -> PlanCampaign:
    return draw_campaign(part, WeekProfile.default().traffic, 107, position, auction)


def run(
    world: PlanCampaign, budget: float, *, forecast: bool = False, cpc: float | None = None, money: float = 1.0
) -> tuple[PlanRun, HourlyBidder]:
    """Play a campaign; `money` is what a unit of the world's currency is called at the bidder's desk."""
    bidder = HourlyBidder(world.auction)
    told = world.forecast if forecast else None
    target = None if cpc is None else cpc * money
    bidder.reset(budget * money, world.start, world.end, target_cpc=target, traffic_forecast=told)

    def decide(hour: int, before: HourResult | None, last: float) -> float:
        log = None
        if before is not None:
            log = HourLog(last * money, before.spend * money, before.clicks, before.impressions, before.orders)
        return bidder.bid(world.start + timedelta(hours=hour), log) / money

    return play(world, budget, decide), bidder


@BOTH
def test_most_of_what_hindsight_could_buy_is_bought_from_a_cold_start(auction: Auction) -> None:
    shares, uses, early = [], [], 0
    for position in range(16):
        world = world_of(position, auction)
        budget = budget_of(world)
        done, _ = run(world, budget, forecast=position % 2 == 0)
        shares.append(done.expected_clicks / plan_optimum(world, budget).clicks.sum())
        uses.append(done.budget_use)
        early += done.gone_early
    assert np.mean(shares) > 0.92
    assert np.mean(uses) > 0.95
    assert early <= 3


@BOTH
def test_a_target_cpc_is_met_and_bought_up_to(auction: Auction) -> None:
    shares = []
    for position in range(8):
        world = world_of(position, auction, replace(SHORT, impressions_per_hour=(3000.0, 10_000.0)))
        budget = budget_of(world)
        cap = 0.8 * plan_optimum(world, budget).cpc
        done, bidder = run(world, budget, forecast=True, cpc=cap)
        shares.append(done.expected_clicks / plan_optimum(world, budget, cap).clicks.sum())
        assert done.cpc <= 1.05 * cap
        assert bidder.state.binding == "target"
    assert np.mean(shares) > 0.93


@BOTH
@pytest.mark.parametrize("level", [1e-6, 1e6])
def test_currency_changes_nothing_but_the_bids_unit(auction: Auction, level: float) -> None:
    world = world_of(1, auction, ONE_DAY)
    budget = budget_of(world)
    here, _ = run(world, budget)
    there, _ = run(world, budget, money=level)
    np.testing.assert_allclose(there.bids, here.bids, rtol=1e-6)


def test_the_same_history_gets_the_same_bids() -> None:
    world = world_of(2, Auction.SECOND_PRICE, ONE_DAY)
    budget = budget_of(world)
    assert np.array_equal(run(world, budget)[0].bids, run(world, budget)[0].bids)


@BOTH
@pytest.mark.parametrize("clicks_per_hour", [4.0, 4000.0])
def test_the_price_level_is_found_within_hours_and_without_a_spree(auction: Auction, clicks_per_hour: float) -> None:
    bidder = HourlyBidder(auction)
    rng = np.random.default_rng(1)
    budget, spread, price = 24 * clicks_per_hour * 0.35, 0.5, 1.0  # about a third of all clicks at their median price
    bidder.reset(budget, 0, 24)
    log, found, most = None, None, 0.0
    for hour in range(10):
        bid = bidder.bid(hour, log)
        if found is None and abs(math.log(bid / price)) < 1.0:
            found = hour
        prices = price * np.exp(spread * rng.standard_normal(rng.poisson(clicks_per_hour)))
        paid = (
            np.minimum(prices, bid)[prices <= bid]
            if auction is Auction.SECOND_PRICE
            else np.full((prices <= bid).sum(), bid)
        )
        most = max(most, paid.sum() / budget)
        log = HourLog(bid, float(paid.sum()), paid.size, 50 * paid.size)
    assert found is not None
    assert found <= 6
    assert most < 0.2


def test_impressions_are_recognised_where_they_are_what_is_charged() -> None:
    bidder = HourlyBidder("vcg")
    rng = np.random.default_rng(2)
    bidder.reset(100.0, 0, 24)
    log, left, spent_hours = None, 100.0, 0
    for hour in range(24):
        bid = bidder.bid(hour, log)
        shown = rng.poisson(500 * ndtr((math.log(bid) - math.log(0.02)) / 0.5))
        z = (math.log(bid) - math.log(0.02)) / 0.5
        spend = min(left, shown * 0.02 * math.exp(0.125) * ndtr(z - 0.5) / ndtr(z))
        left -= spend
        spent_hours += spend > 0
        log = HourLog(bid, spend, float(rng.binomial(shown, 0.01)), float(shown))
    assert left < 15.0
    assert spent_hours > 20
    assert bidder.state.price == pytest.approx(0.02, rel=0.5)


@BOTH
def test_hostile_totals_never_lead_to_a_bid_that_is_none_or_beyond_what_remains(auction: Auction) -> None:
    rng = np.random.default_rng(3)
    for trial in range(12):
        bidder = HourlyBidder(auction)
        bidder.reset(
            50.0,
            0,
            30,
            target_cpc=0.4 if trial % 3 == 0 else None,
            target_roi=3.0 if trial % 4 == 1 else None,
            order_value=9.0,
        )
        spent, log, hour = 0.0, None, 0
        while hour < 34:
            bid = bidder.bid(hour, log)
            assert math.isfinite(bid)
            assert 0 <= bid <= max(50.0 - spent, 0.0) + 1e-9
            scale = 10.0 ** rng.uniform(-6, 4)
            log = HourLog(
                bid * rng.choice([0.0, 1.0, 1.0, 1e-3, 1e3]), rng.choice([0.0, scale / 1e4]), rng.choice([0.0, 1.0, scale]),
                scale, predicted_ctr=rng.choice([None, 0.0, 1e-9, 1.0]), predicted_cvr=rng.choice([None, 0.0, 1.0]),
            )  # fmt: skip
            spent += log.spend
            log = log if rng.random() < 0.7 else None
            spent -= 0.0 if log else scale * 0
            hour += int(rng.choice([1, 1, 1, 3]))
            if log is None:
                spent = 50.0 * (1 - bidder.state.remaining / 50.0)  # what it cannot know cannot be held against it


def test_hours_without_totals_are_taken_to_have_spent_and_are_told_of() -> None:
    bidder = HourlyBidder("second_price")
    bidder.reset(240.0, 0, 24)
    log = None
    for hour in range(6):
        bid = bidder.bid(hour, log)
        log = HourLog(bid, 10 * bid * 0.7, 10.0, 400.0)
    known = bidder.state.remaining
    bidder.bid(9, None)
    assert bidder.state.remaining < known
    assert "hour 6 has no totals" in bidder.state.note
    assert bidder.state.bid > 0


def test_a_report_that_comes_an_hour_late_is_recognised_by_its_bid_and_replaces_the_guess() -> None:
    bidder = HourlyBidder("second_price")
    bidder.reset(240.0, 0, 24)
    told: list[HourLog] = []
    for hour in range(8):
        bid = bidder.bid(hour, told[hour - 2] if hour >= 2 else None)
        told.append(HourLog(bid, 0.7 * bid * (10 + hour), 10.0 + hour, 400.0))
    assert "the totals given are those of hour 5, by their bid" in bidder.state.note
    guessed = bidder.state.remaining
    known = 240.0 - sum(log.spend for log in told[:6])
    assert guessed < known
    bidder.bid(8, told[7])
    assert bidder.state.remaining == pytest.approx(known - told[7].spend - (known - guessed), rel=0.02)


def test_a_bid_that_was_not_in_force_is_told_of_and_so_are_more_clicks_than_impressions() -> None:
    bidder = HourlyBidder("vcg")
    bidder.reset(100.0, 0, 24)
    bid = bidder.bid(0)
    assert bidder.bid(1, HourLog(3 * bid, 6 * bid, 4.0, 2.0)) > 0
    assert "not the one asked for" in bidder.state.note
    assert "more clicks than impressions" in bidder.state.note


@BOTH
def test_ample_money_wins_nearly_every_click(auction: Auction) -> None:
    world = world_of(3, auction)
    all_clicks = world.ctr * float(world.impressions.sum())
    done, bidder = run(world, 60.0 * all_clicks * float(world.price.max()))
    assert done.expected_clicks > 0.9 * all_clicks
    assert bidder.state.binding == "traffic"


def test_a_market_taken_for_saturated_is_tried_again_at_higher_first_price_bids() -> None:
    # A burst while the bid still rose makes this campaign take a steep market for one that is bought out.
    world = draw_campaign(PlansPart(), WeekProfile.default().traffic, 112, 14, Auction.FIRST_PRICE)
    done, _ = run(world, budget_of(world), forecast=True)
    assert done.budget_use > 0.9


def test_a_spent_budget_gets_a_bid_of_zero_and_says_so() -> None:
    bidder = HourlyBidder("first-price")
    bidder.reset(10.0, 0, 24)
    bid = bidder.bid(0)
    assert bidder.bid(1, HourLog(bid, 12.0, 40, 900)) == 0.0
    assert "the budget is spent" in bidder.state.note
    assert "more was spent than the budget" in bidder.state.note


def test_after_the_end_and_before_the_start_nothing_is_bid() -> None:
    bidder = HourlyBidder("vcg")
    start = datetime(2026, 11, 10, 9, tzinfo=UTC)
    bidder.reset(10.0, start, start + timedelta(hours=24))
    assert bidder.bid(start - timedelta(hours=1)) == 0.0
    assert "not started" in bidder.state.note
    assert bidder.bid(start) > 0
    assert bidder.bid(start + timedelta(hours=24), HourLog(0.1, 0.0, 0, 0)) == 0.0
    assert "over" in bidder.state.note


def test_the_same_hour_asked_again_gets_the_same_bid_and_counts_nothing_twice() -> None:
    bidder = HourlyBidder("vcg")
    bidder.reset(100.0, 0, 24)
    bid = bidder.bid(0)
    log = HourLog(bid, 5 * bid * 0.5, 5, 200)
    again = bidder.bid(1, log)
    left = bidder.state.remaining
    assert bidder.bid(1, log) == again
    assert bidder.state.remaining == left


def test_money_spent_at_a_bid_of_zero_counts_and_is_told_of() -> None:
    bidder = HourlyBidder("vcg")
    bidder.reset(100.0, 0, 24)
    bidder.bid(0)
    assert bidder.bid(1, HourLog(0.0, 30.0, 3, 90)) > 0
    assert bidder.state.remaining == pytest.approx(70.0)
    assert "at a bid of 0" in bidder.state.note


def test_a_predicted_conversion_rate_holds_a_target_roi_from_the_first_click_on() -> None:
    bidder = HourlyBidder("vcg", "gmv")
    bidder.reset(500.0, 0, 24, target_roi=4.0, order_value=40.0)
    log, bid = None, 0.0
    for hour in range(12):
        bid = bidder.bid(hour, log)
        clicks = 50.0 * float(ndtr((math.log(bid) - math.log(0.3)) / 0.4))
        log = HourLog(bid, 0.8 * bid * clicks, clicks, 30 * clicks, 0.0, predicted_cvr=0.04)
    assert bid < 0.04 * 40.0 / 4.0 * 1.5


def test_orders_whose_value_nothing_tells_are_refused_and_nothing_has_changed() -> None:
    bidder = HourlyBidder("vcg", "gmv")
    bidder.reset(100.0, 0, 24, target_roi=4.0)
    bid = bidder.bid(0)
    with pytest.raises(ConfigError, match="needs the orders' value"):
        bidder.bid(1, HourLog(bid, bid, 2, 40, orders=1))
    assert bidder.bid(1, HourLog(bid, bid, 2, 40, orders=1, gmv=30.0)) > 0
    assert bidder.state.remaining == pytest.approx(100.0 - bid)


def test_a_target_roi_holds_the_cost_of_a_click_to_its_value() -> None:
    bidder = HourlyBidder("vcg", "gmv")
    rng = np.random.default_rng(4)
    bidder.reset(5000.0, 0, 72, target_roi=4.0, order_value=40.0)
    log, spend, clicks = None, 0.0, 0
    for hour in range(72):
        bid = bidder.bid(hour, log)
        prices = np.exp(0.5 * rng.standard_normal(rng.poisson(200))) * 0.5
        paid = prices[prices <= bid]
        spend, clicks = spend + paid.sum(), clicks + paid.size
        log = HourLog(bid, float(paid.sum()), paid.size, 30 * paid.size, float(rng.binomial(paid.size, 0.04)))
    assert clicks * 0.04 * 40.0 / spend > 3.6
    assert bidder.state.binding == "target"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"budget": math.nan}, "budget must be a number above 0"),
        ({"budget": -1.0}, "budget must be a number above 0"),
        ({"end": 0}, "must end after it starts"),
        ({"end": datetime(2026, 11, 10)}, "as dates with time, or all as whole hours"),
        ({"target_cpc": 0.0}, "target_cpc must be a number above 0"),
        ({"traffic_forecast": [1.0, 2.0]}, "traffic_forecast: give 20 numbers"),
        ({"traffic_forecast": [math.nan] * 20}, "traffic_forecast: numbers must be finite"),
    ],
)
def test_a_campaign_that_makes_no_sense_is_refused_with_a_remedy(change: dict[str, object], words: str) -> None:
    bidder = HourlyBidder("vcg")
    with pytest.raises(ConfigError, match=words):
        bidder.reset(**({"budget": 10.0, "start": 0, "end": 20} | change))  # type: ignore[arg-type]


def test_calls_out_of_order_are_refused() -> None:
    bidder = HourlyBidder("vcg")
    with pytest.raises(ConfigError, match="call reset"):
        bidder.bid(0)
    bidder.reset(10.0, 0, 24)
    bidder.bid(5)
    with pytest.raises(ConfigError, match="hours come in order"):
        bidder.bid(4)


@pytest.mark.parametrize("field", ["bid", "spend", "clicks", "impressions", "orders"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_totals_that_are_no_numbers_are_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"HourLog.{field}"):
        HourLog(**({"bid": 1.0, "spend": 1.0, "clicks": 1.0, "impressions": 9.0} | {field: value}))


def test_predictions_outside_zero_to_one_and_unknown_rules_are_refused() -> None:
    with pytest.raises(ConfigError, match="predicted_ctr is a probability"):
        HourLog(1.0, 1.0, 1, 9, predicted_ctr=1.2)
    with pytest.raises(ConfigError, match="unknown auction"):
        HourlyBidder("dutch")
    with pytest.raises(ConfigError, match="unknown objective"):
        HourlyBidder("vcg", "fame")


@pytest.mark.parametrize("first_price", [False, True])
def test_the_closed_form_bid_spends_the_money_it_is_asked_to(*, first_price: bool) -> None:
    for s in (0.3, 0.8, 1.3):
        for share in (1e-4, 0.05, 0.4):
            x, units = 1.7, 5.0
            money = math.log(share) + units + x
            b = log_bid_for(money, units, x, s, first_price, 6.0)
            z = (b - x) / s
            spend = math.exp(b) * ndtr(z) if first_price else math.exp(x + s * s / 2) * ndtr(z - s)
            assert units + math.log(spend) == pytest.approx(money, abs=1e-5)


def test_normal_tails_agree_with_scipy() -> None:
    for p in (1e-12, 1e-4, 0.02, 0.5, 0.9, 0.999):
        assert quantile(p) == pytest.approx(ndtri(p), abs=1e-6)
    for x in (-30.0, -10.1, -9.9, -1.0, 3.0):
        assert log_cdf(x) == pytest.approx(math.log(ndtr(x)) if x > -20 else -454.3212439563432, rel=1e-4)


def test_the_example_runs_and_spends_its_budget(capsys: pytest.CaptureFixture[str]) -> None:
    script = Path(__file__).resolve().parents[2] / "examples" / "bid_hourly.py"
    runpy.run_path(str(script))["main"]()
    spent = float(capsys.readouterr().out.splitlines()[-1].split()[1])
    assert 560 < spent <= 600
