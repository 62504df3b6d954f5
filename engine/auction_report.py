"""What an `AuctionBidder` tells of itself: price, binding row, forecast of the end of the day, and what it noticed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Band:
    """A forecast with its 80 % band."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AuctionState:
    """State after a call of `bid`.

    Attributes
    ----------
    tick
        Tick that was decided.
    price
        Price of money: believed value per unit of currency at which bidding stops; 0 = no limit was needed.
    multiplier
        Bid per believed value, 1 / price, before shading.
    shading
        Mean bid over value x multiplier, 0-1: below 1 where a higher place costs more than it brings.
    binding
        What limits: ``budget``, ``target``, ``none``, ``spent`` (nothing left), ``unreachable`` (the target cannot be met any
        more), ``probing`` (no price is known yet).
    spent, bought
        Money so far, and value bought, as estimated with `value_level`.
    plan
        Money meant for this tick.
    spend, value
        Forecast of the end of the day.
    cost_per_value
        The same, as CPA or CPC; for a value objective spend / value = 1 / ROI.
    value_level
        Factor on the believed values of today.
    price_level, traffic_level
        What lies ahead against past days; 1 without any.
    auctions, wins
        Seen so far.
    notes
        What a person should know, newest last.
    """

    tick: int
    price: float
    multiplier: float
    shading: float
    binding: str
    spent: float
    bought: float
    plan: float
    spend: Band
    value: Band
    cost_per_value: Band
    value_level: Band
    price_level: float
    traffic_level: float
    auctions: int
    wins: int
    notes: tuple[str, ...] = ()
