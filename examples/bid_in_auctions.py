"""Bid in single auctions with a budget and a soft CPA target: one simulated day, after two past days to learn from.

Run it with `python examples/bid_in_auctions.py`. In your own system, `play_day` is your exchange: each tick you hand over
the values of its auctions and what became of the last tick, and get bids back.
"""

from dataclasses import replace

from engine import AuctionBidder
from market.auction_hindsight import HindsightCurve, best_constant
from market.auction_play import ConstantMultiplier, play_day
from market.auction_world import AuctionMarket, load_auction_scenario

# A day of about 40,000 auctions instead of half a million, so that this takes a moment.
scenario = replace(load_auction_scenario("auction-days"), auctions_per_day=40_000)
market = AuctionMarket.draw(scenario, seed=7)
budget, cpa = 400.0, 28.0

past = [play_day(market.day(number), ConstantMultiplier(60.0), 1e9, None).logs for number in (1, 2)]
bidder = AuctionBidder("conversions", "gsp", target_mode="soft").fit(past)

day = market.day(3)
result = play_day(day, bidder, budget, cpa)
optimum = HindsightCurve.of(day).best(budget, cpa)
constant = best_constant(day, budget, cpa)

state = bidder.state
print(
    f"spent {result.spend:.2f} of {budget:.2f}; CPA {result.spend / result.value:.1f}, target {cpa:.0f}; {state.binding} binds"
)
print(
    f"at the last tick: bid = {state.multiplier:.0f} x value, shaded by {state.shading:.2f}; values believed {state.value_level.mean:.2f} x"
)
print(
    f"score {result.score(cpa):.2f}; best in hindsight {optimum.score:.2f}, best constant multiplier in hindsight {constant.score:.2f}"
)
