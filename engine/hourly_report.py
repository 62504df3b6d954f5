"""What a bidder of hourly campaigns tells of a bid: what the last click costs, and how the campaign is expected to end."""

import math

from engine.hourly_log import HourState

#: Errors at the ends of a 90 % band, and how much of the price's error is one of the spend.
BAND, PRICE_SHARE = 1.645, 0.5


def decided(
    bid: float,
    binding: str,
    budget: float,
    gone: float,
    left: float,
    rest_spend: float,
    rest_sd: float,
    log_bid: float,
    believed: tuple[float, float, float],
    price: tuple[float, float],
    notes: list[str],
    *,
    first_price: bool,
) -> HourState:
    """State after a bid.

    Parameters
    ----------
    gone, left, rest_spend, rest_sd
        Spent so far, left, and expected of the rest, in budgets; log error of what the rest brings.
    log_bid, believed
        Log bid in budgets; log price, its error, and spread of single prices.
    price
        Median price, account currency, and the error of its logarithm.
    """
    log_price, price_sd, spread = believed
    sd = math.hypot(rest_sd, PRICE_SHARE * price_sd)
    low, high = (min(left, rest_spend * math.exp(sign * BAND * sd)) for sign in (-1.0, 1.0))
    last = bid * (1 + shading((log_bid - log_price) / spread, spread)) if first_price else bid
    return HourState(
        bid, binding, last, left * budget, (gone + min(left, rest_spend)) * budget, (gone + low) * budget,
        (gone + high) * budget, *price, "; ".join(notes),
    )  # fmt: skip


def shading(z: float, spread: float) -> float:
    """How much dearer than the mean the last click is in a first-price auction: s Phi(z) / phi(z)."""
    z = min(z, 6.0)
    if z < -20.0:
        return -spread / z  # the tail, where the product below is 0 times infinity
    return spread * 0.5 * math.erfc(-z / math.sqrt(2)) * math.sqrt(2 * math.pi) * math.exp(0.5 * z * z)
