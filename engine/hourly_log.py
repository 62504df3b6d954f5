"""What a bidder of hourly totals is told of an hour, and what it tells of itself."""

import math
from dataclasses import dataclass

from domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class HourLog:
    """Totals of one hour of one campaign.

    Attributes
    ----------
    bid
        Bid that was in force, account currency; 0 = none.
    spend
        Money spent, account currency.
    clicks, impressions
        Counts; expected (fractional) ones are welcome. `impressions` 0 beside clicks means they were not counted.
    orders
        Orders that are known of this hour's clicks.
    predicted_ctr, predicted_cvr
        Mean predicted clicks per impression and orders per click, 0-1, where a model gives them.
    gmv
        Value of the orders, account currency, where it is known.
    """

    bid: float
    spend: float
    clicks: float
    impressions: float = 0.0
    orders: float = 0.0
    predicted_ctr: float | None = None
    predicted_cvr: float | None = None
    gmv: float | None = None

    def __post_init__(self) -> None:
        for name in ("bid", "spend", "clicks", "impressions", "orders"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(
                    f"HourLog.{name} must be a number of 0 or more, got {value!r}; leave out a broken hour (None)"
                )
        for name in ("predicted_ctr", "predicted_cvr"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(
                    f"HourLog.{name} is a probability: it must lie between 0 and 1, got {value!r}; or None"
                )
        if self.gmv is not None and not math.isfinite(self.gmv):
            raise ConfigError(f"HourLog.gmv must be a finite number, got {self.gmv!r}; or None where it is not known")


@dataclass(frozen=True, slots=True)
class HourState:
    """How the bidder sees its campaign after a call; money in account currency.

    Attributes
    ----------
    bid
        Bid that was returned.
    binding
        What sets it: ``budget``, ``target``, ``traffic`` (money for everything there is), ``search`` (price level not
        found yet), ``stopped``.
    last_click_cost
        What the last click bought may cost; 1 over it is the shadow price of money in clicks. NaN where nothing is bid.
    remaining
        Budget not spent, less what hours without a report are taken to have spent.
    end_spend, end_spend_low, end_spend_high
        Expected spend at the end of the campaign, and a 90 % band.
    price, price_sd
        Median market price of what is charged (click or impression), and the error of its logarithm.
    note
        Why, in words; empty where all is ordinary.
    """

    bid: float
    binding: str
    last_click_cost: float
    remaining: float
    end_spend: float
    end_spend_low: float
    end_spend_high: float
    price: float
    price_sd: float
    note: str
