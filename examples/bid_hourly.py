"""One campaign, one bid an hour: a stand-in for your own ad system asks `HourlyBidder` for two days.

    python examples/bid_hourly.py

Replace `your_system` by the call that sets a bid and reads the totals of the hour.
"""

from datetime import datetime, timedelta

import numpy as np

from engine import HourLog, HourlyBidder


def your_system(hour: datetime, bid: float, left: float, rng: np.random.Generator) -> HourLog:
    """Shoppers of an invented shop: market price of a click about 0.80, second price, busy in the evening."""
    busy = 1.0 + 0.8 * np.sin(2 * np.pi * (hour.hour - 14) / 24)
    prices = 0.80 * np.exp(0.5 * rng.standard_normal(rng.poisson(60 * busy)))
    paid = prices[prices <= bid]
    paid = paid[paid.cumsum() <= left]  # the campaign stops when its money is gone
    clicks = paid.size
    return HourLog(
        bid=bid,
        spend=float(paid.sum()),
        clicks=clicks,
        impressions=clicks + int(rng.poisson(40 * clicks)),
        orders=int(rng.binomial(clicks, 0.04)),
    )


def main() -> None:
    rng = np.random.default_rng(11)
    start, budget = datetime(2026, 11, 10), 600.0
    bidder = HourlyBidder("second-price", "clicks")
    bidder.reset(budget, start, start + timedelta(days=2))
    left, clicks, observed = budget, 0.0, None
    for h in range(48):
        hour = start + timedelta(hours=h)
        bid = bidder.bid(hour, observed)
        state = bidder.state
        observed = your_system(hour, bid, left, rng)
        left -= observed.spend
        clicks += observed.clicks
        if h % 4 == 0:
            print(
                f"{hour:%a %H:%M}  bid {bid:5.2f}  left {left:6.2f}  expected at the end {state.end_spend:6.2f}  "
                f"price {state.price:5.2f}  {state.binding}"
            )
    print(f"spent {budget - left:.2f} of {budget:.2f} on {clicks:.0f} clicks, {(budget - left) / clicks:.3f} each")


if __name__ == "__main__":
    main()
