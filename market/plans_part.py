"""What the hourly campaigns of a scenario are like: the keys of its ``[plans]`` table."""

from dataclasses import dataclass, fields
from typing import Annotated

from domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Between:
    """Range of the numbers that a key may hold, both ends included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PlansPart:
    """A population of campaigns with one bid an hour, each in a market of its own.

    Pairs are the ends of a range from which each campaign draws: evenly, and where marked (log) evenly in the logarithm.

    Attributes
    ----------
    count
        Campaigns of one seed.
    one_day_share, days
        Share of campaigns of a single day; days of the others.
    impressions_per_hour, ctr, cvr
        (log) Impressions that there are in a mean hour; clicks per impression; orders per click.
    price, spread
        (log) Median market price of a click; standard deviation of the logarithm of single prices.
    profile_noise, profile_shift_hours
        Standard deviation of the logarithm of a campaign's own hour-of-day profile against the shipped one, smooth over
        the day; and of the shift of its day, time zones and audiences differ.
    day_noise, hour_noise, hour_memory
        Standard deviation of the logarithm of a day's traffic; of an hour's, and its hourly autocorrelation.
    bursts_per_day, burst_hours, burst_traffic, burst_price
        Unannounced bursts: their mean number a day, their length, and factors (log) on traffic and price.
    drift, drift_memory, walk, price_day
        Standard deviation of the AR(1) of the log price and its hourly autocorrelation; hourly step of its random walk;
        standard deviation of its daily wave.
    jumps_per_day, jump
        Mean number of lasting price jumps a day, and the standard deviation of one.
    win_rate
        Budget, stated as the share of impressions that the best constant bid wins with it.
    forecast_noise
        Standard deviation of the logarithm of the told traffic forecast's error, smooth over the day.
    target_of_hindsight
        Target CPC as a multiple of the CPC of the budget-only hindsight optimum, where a target is set.
    """

    count: Annotated[int, Between(1, 100_000)] = 300
    one_day_share: Annotated[float, Between(0, 1)] = 0.5
    days: Annotated[tuple[int, ...], Between(1, 366)] = (2, 14)
    impressions_per_hour: Annotated[tuple[float, ...], Between(1e-3, 1e9)] = (300.0, 10_000.0)
    ctr: Annotated[tuple[float, ...], Between(1e-6, 1)] = (0.01, 0.06)
    cvr: Annotated[tuple[float, ...], Between(1e-6, 1)] = (0.01, 0.10)
    price: Annotated[tuple[float, ...], Between(1e-9, 1e9)] = (0.05, 50.0)
    spread: Annotated[tuple[float, ...], Between(0.05, 3)] = (0.3, 1.0)
    profile_noise: Annotated[float, Between(0, 2)] = 0.15
    profile_shift_hours: Annotated[float, Between(0, 12)] = 1.5
    day_noise: Annotated[float, Between(0, 2)] = 0.20
    hour_noise: Annotated[float, Between(0, 2)] = 0.20
    hour_memory: Annotated[float, Between(0, 0.9999)] = 0.3
    bursts_per_day: Annotated[float, Between(0, 24)] = 0.4
    burst_hours: Annotated[tuple[int, ...], Between(1, 48)] = (1, 4)
    burst_traffic: Annotated[tuple[float, ...], Between(1e-3, 1e3)] = (1.5, 3.0)
    burst_price: Annotated[tuple[float, ...], Between(1e-3, 1e3)] = (1.0, 1.3)
    drift: Annotated[float, Between(0, 2)] = 0.10
    drift_memory: Annotated[float, Between(0, 0.9999)] = 0.9
    walk: Annotated[float, Between(0, 1)] = 0.01
    price_day: Annotated[float, Between(0, 2)] = 0.08
    jumps_per_day: Annotated[float, Between(0, 24)] = 0.1
    jump: Annotated[float, Between(0, 3)] = 0.2
    win_rate: Annotated[tuple[float, ...], Between(0.001, 0.999)] = (0.10, 0.80)
    forecast_noise: Annotated[float, Between(0, 2)] = 0.15
    target_of_hindsight: Annotated[float, Between(0.01, 10)] = 0.8

    def __post_init__(self) -> None:
        for field in fields(self):
            ends = getattr(self, field.name)
            if isinstance(ends, tuple) and not (len(ends) == 2 and ends[0] <= ends[1]):
                raise ConfigError(f"plans.{field.name}: write the two ends of a range, lower first; got {list(ends)}")
