"""What an `AuctionBidder` tells of itself: price, binding row, forecast of the end of the day, and what it noticed."""

from dataclasses import dataclass

import numpy as np

from engine.auction_goal import Bought, Choice
from engine.auction_outlook import Ahead
from engine.auction_value import ValueLevel


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


def state_of(
    tick: int, choice: Choice | None, ahead: Ahead | None, binding: str, remaining: float, bought: Bought, value_level: ValueLevel,
    last_price: float | None, *, shading: float, multiplier: float, auctions: int, wins: int, notes: tuple[str, ...],
) -> AuctionState:  # fmt: skip
    """State of a decided tick; without a choice nothing is said of what lies ahead."""
    level, sd = value_level.mean_sd()
    spent, due = bought.spend, bought.due
    rest_c = choice.spend if choice else 0.0
    rest_v = choice.value if choice else 0.0
    rel = float(np.hypot(ahead.price_sd, ahead.traffic_sd)) if ahead else 0.5
    limited = binding == "budget"
    spend_sd = rest_c * rel * (0.15 if limited else 1.0)
    spend = Band(
        spent + rest_c,
        spent + max(rest_c - 1.28 * spend_sd, 0.0),
        min(spent + rest_c + 1.28 * spend_sd, max(spent + remaining, 0.0)),
    )
    whole = level * (due + rest_v)
    value_sd = float(np.sqrt((sd * (due + rest_v)) ** 2 + (level * rest_v * rel * 0.7) ** 2))
    value = Band(whole, max(whole - 1.28 * value_sd, 0.0), whole + 1.28 * value_sd)
    ratio = spend.mean / whole if whole > 0 else float("nan")
    off = sd / level
    cost = Band(ratio, ratio / (1 + 1.28 * off), ratio * (1 + 1.28 * off))
    price = choice.price if choice else (last_price or 0.0)
    return AuctionState(
        tick=tick, price=price, multiplier=multiplier or (1 / price if price > 0 else 0.0), shading=shading, binding=binding,
        spent=spent, bought=level * due, plan=choice.now if choice else 0.0, spend=spend, value=value, cost_per_value=cost,
        value_level=Band(level, value_level.quantile(0.1), value_level.quantile(0.9)),
        price_level=ahead.price_level if ahead else 1.0, traffic_level=ahead.traffic_level if ahead else 1.0,
        auctions=auctions, wins=wins, notes=notes,
    )  # fmt: skip
