"""What may be set in the predictors, with defaults that a person can defend."""

import math
from dataclasses import dataclass, fields

from domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class PredictorSettings:
    """Settings of `SteadyModel`; all of them are beliefs held until the account's own rows speak.

    Attributes
    ----------
    n_levels
        Bid levels of a response table.
    lowest_bid, highest_bid
        Ends of the levels as multiples of the larger and smaller of market price and bid.
    highest_untried_bid
        Upper end where no bid was ever told: how clicks answer to bids is then a pooled guess, and a plan must not
        count on clicks far beyond what was tried.
    hourly_lookback_days
        Hourly rows older than this teach neither price nor traffic.
    daily_half_life_days
        Daily rows of this age weigh half in traffic and click prices.
    pooled_price_spread
        Standard deviation of the log market price where neither forecast nor bids tell it.
    prior_level_sd
        Relative error that all conversion forecasts may share: mostly less, now and then far more.
    prior_price_sd, prior_traffic_sd
        Relative errors of a unit's forecast market price and traffic, before they are learned.
    hourly_share_at_once, hourly_mean_lag_hours
        Centre of the prior of the conversion delay: share in the hour of the click, mean of the rest.
    daily_share_at_once, daily_mean_lag_days
        Assumed delay of accounts that tell days and have never restated one.
    default_order_value
        Order value where neither catalog price nor sales are known, account currency.
    """

    n_levels: int = 20
    lowest_bid: float = 0.15
    highest_bid: float = 6.0
    highest_untried_bid: float = 1.5
    hourly_lookback_days: float = 14.0
    daily_half_life_days: float = 10.0
    pooled_price_spread: float = 0.6
    prior_level_sd: float = 0.15
    prior_price_sd: float = 0.30
    prior_traffic_sd: float = 0.25
    hourly_share_at_once: float = 0.45
    hourly_mean_lag_hours: float = 18.0
    daily_share_at_once: float = 0.80
    daily_mean_lag_days: float = 2.0
    default_order_value: float = 1.0

    def __post_init__(self) -> None:
        for item in fields(self):
            number = getattr(self, item.name)
            if not (math.isfinite(number) and number > 0):
                raise ConfigError(f"predictor setting {item.name} must be a positive number, got {number}")
        if self.n_levels < 3 or self.lowest_bid >= 1 or min(self.highest_bid, self.highest_untried_bid) <= 1:
            raise ConfigError("bid levels need n_levels >= 3 and lowest_bid < 1 < highest_bid")
        for name in ("hourly_share_at_once", "daily_share_at_once"):
            if getattr(self, name) >= 1:
                raise ConfigError(f"predictor setting {name} is a share below 1, got {getattr(self, name)}")
