"""The parts of a scenario that the market brings: shoppers, what their clicks are worth, rivals, and late orders."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from market.plans_part import Between


@dataclass(frozen=True, slots=True)
class DemandPart:
    """Click opportunities: shoppers who click the ad if they are shown it.

    Attributes
    ----------
    clicks_per_hour
        Mean over units of the opportunities in an ordinary hour (all factors 1).
    size_spread
        Standard deviation of the logarithm of a unit's size: heavy-tailed assortment.
    overdispersion
        Relative standard deviation of a unit's traffic in an hour, beyond Poisson noise.
    ctr
        Clicks per impression.
    hour_of_day
        24 factors, local time.
    hour_of_week
        168 factors from Monday 00:00 on, local time; where they are given, `hour_of_day` is not used.
    """

    clicks_per_hour: Annotated[float, Between(1e-6, 1e6)]
    size_spread: Annotated[float, Between(0, 3)]
    overdispersion: Annotated[float, Between(0, 3)]
    ctr: Annotated[float, Between(1e-6, 1)]
    hour_of_day: Annotated[tuple[float, ...], Between(0, 100)]
    hour_of_week: Annotated[tuple[float, ...], Between(0, 100)] = ()


@dataclass(frozen=True, slots=True)
class ValuePart:
    """What a click is worth.

    Attributes
    ----------
    cvr_median, cvr_spread
        Orders per click in an ordinary hour: median over units, standard deviation of its logarithm.
    price_median, price_spread
        Price of a SKU in account currency, likewise. The mean order is worth one price.
    basket_spread
        Standard deviation of the logarithm of single orders of the same SKU (mean kept).
    """

    cvr_median: Annotated[float, Between(1e-6, 1)]
    cvr_spread: Annotated[float, Between(0, 3)]
    price_median: Annotated[float, Between(1e-6, 1e9)]
    price_spread: Annotated[float, Between(0, 3)]
    basket_spread: Annotated[float, Between(0, 3)]


@dataclass(frozen=True, slots=True)
class RivalsPart:
    """Market price of a click: log-normal for each unit and hour, paid as second price.

    Attributes
    ----------
    price_per_value
        Median market price as a share of the value of an ordinary click, over units.
    level_spread
        Standard deviation over units of the logarithm of that share: some niches are contested.
    auction_spread, auction_spread_range
        Mean over units of the standard deviation of the logarithm of single prices, and half its range.
    rise, rise_at
        Relative jump of all prices at a local time, which nobody forecast.
    drift, drift_memory
        Stationary standard deviation and hourly autocorrelation of the AR(1) of the log price level.
    """

    price_per_value: Annotated[float, Between(1e-6, 1e3)]
    level_spread: Annotated[float, Between(0, 3)]
    auction_spread: Annotated[float, Between(0.05, 3)]
    auction_spread_range: Annotated[float, Between(0, 2)]
    rise: Annotated[float, Between(-0.9, 10)]
    rise_at: datetime
    drift: Annotated[float, Between(0, 1)]
    drift_memory: Annotated[float, Between(0, 0.9999)]


@dataclass(frozen=True, slots=True)
class ConversionPart:
    """When a click that converts does so.

    Attributes
    ----------
    same_hour_share
        Share of orders in the hour of the click.
    mean_lag_hours
        Mean over all orders; those of later hours follow a geometric law from hour 1 on.
    """

    same_hour_share: Annotated[float, Between(0, 1)]
    mean_lag_hours: Annotated[float, Between(0, 1000)]


class Pricing(StrEnum):
    """What the winner of a slot pays for a click."""

    GSP = "gsp"  #: the score of the next one below, by own quality; with one slot this is second price
    FIRST_PRICE = "first_price"  #: the own bid


@dataclass(frozen=True, slots=True)
class AuctionPart:
    """Auctions against a population of rivals; without this part market prices are a law without rivals behind it.

    Rivals are dealt to the categories; all of a category's that are awake bid in each of its auctions, at
    strength x price level of the unit x noise. `rivals.price_per_value` and `level_spread` set the units' price levels,
    `rise` and `drift` move all rivals at once; `auction_spread` is not used.

    Attributes
    ----------
    pricing, slots, slot_decay
        Rule of payment, number of ad slots, clicks of a slot as a share of those of the slot above.
    categories, rivals
        Numbers of categories and of rivals in all of them.
    strength_spread
        Standard deviation over rivals of the logarithm of their strength.
    noise, tail_share, tail_factor
        Standard deviation of the logarithm of a rival's single bids; in a share of the auctions it is larger by a
        factor: the fat tail.
    pacing_share
        Share of rivals that pace their day's budget; the others run dry.
    budget_tightness
        Median of a rival's daily budget over what that day would cost it.
    coming_share
        Share of rivals that enter or leave at some time.
    reaction
        Relative rise of a reacting rival's bids where it is always outbid by this account.
    """

    pricing: Pricing
    slots: Annotated[int, Between(1, 8)]
    slot_decay: Annotated[float, Between(0.05, 1)]
    categories: Annotated[int, Between(1, 1000)]
    rivals: Annotated[int, Between(1, 10_000)]
    strength_spread: Annotated[float, Between(0, 2)]
    noise: Annotated[float, Between(0.05, 3)]
    tail_share: Annotated[float, Between(0, 0.5)]
    tail_factor: Annotated[float, Between(1, 5)]
    pacing_share: Annotated[float, Between(0, 1)]
    budget_tightness: Annotated[float, Between(0.05, 100)]
    coming_share: Annotated[float, Between(0, 1)]
    reaction: Annotated[float, Between(0, 1)]


@dataclass(frozen=True, slots=True)
class AftermathPart:
    """What becomes of clicks and orders beyond the plain delay of `conversion`.

    Attributes
    ----------
    carts_share
        Share of warm-up orders that wait in the cart for the burst.
    deposit_share, forfeit_share
        A pre-sale order counts at once with this share of its value; the rest settles in the burst, unless the
        deposit is forfeited.
    refund_share, refund_mean_hours
        Share of orders that are taken back, and how long that takes in the mean; 72 hours at most.
    invalid_share
        Share of clicks that turn out invalid and are credited back within 72 hours; nobody orders after one.
    refund_last_month
        Share of orders that were taken back last month: last month's model has its conversion rates net of it.
    """

    carts_share: Annotated[float, Between(0, 1)]
    deposit_share: Annotated[float, Between(0, 1)]
    forfeit_share: Annotated[float, Between(0, 1)]
    refund_share: Annotated[float, Between(0, 0.9)]
    refund_mean_hours: Annotated[float, Between(1, 72)]
    invalid_share: Annotated[float, Between(0, 0.5)]
    refund_last_month: Annotated[float, Between(0, 0.9)] = 0.0
