r"""Hourly campaigns, each in a market of its own: what is true of them, and the shoppers that come.

Expected response of hour h to a bid b per click, market price of a click log-normal (median m_h, spread s), with
z = (ln b - ln m_h) / s and A_h impressions that there are:

    impressions  A_h Phi(z)          clicks  q_h(b) = ctr A_h Phi(z)
    spend        second price  ctr A_h m_h exp(s^2 / 2) Phi(z - s),      first price  b q_h(b)

Shoppers of an hour come from the seed alone, each with the price of the rivals for their click: whoever bids more
wins all that the lower bid wins. Delivery stops before the click that the budget cannot pay.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from scipy.special import ndtr, ndtri

from domain.outlook import Auction
from domain.tables import Floats
from market.plans_part import PlansPart

#: Names of independent random streams.
_NATURE, _SHOPPERS = 60, 61

#: First Monday from which campaigns start; each starts at midnight of a day of that week.
FIRST_MONDAY = datetime(2026, 11, 2)


@dataclass(frozen=True, slots=True)
class PlanCampaign:
    """What is true of one campaign; hidden from every bidder, but for start, end, budget and forecast.

    Attributes
    ----------
    key
        (seed, position): names its random streams.
    start
        Local time at which it starts.
    auction
        How clicks are priced.
    impressions, price
        (n_hours,) expected impressions that there are, and median market price of a click, account currency.
    spread
        Standard deviation of the logarithm of single prices.
    ctr, cvr
        Clicks per impression, orders per click.
    forecast
        (n_hours,) impressions that a planner expected, with errors.
    depth
        Share of impressions that the best constant bid is to win: says how large the budget is.
    """

    key: tuple[int, int]
    start: datetime
    auction: Auction
    impressions: Floats
    price: Floats
    spread: float
    ctr: float
    cvr: float
    forecast: Floats
    depth: float

    @property
    def n_hours(self) -> int:
        """Hours of the campaign."""
        return self.impressions.size

    @property
    def end(self) -> datetime:
        """Local time at which it ends (exclusive)."""
        return self.start + timedelta(hours=self.n_hours)

    def response(self, bids: Floats) -> tuple[Floats, Floats]:
        """Expected (clicks, spend) of each hour at (n_hours,) bids; a bid of 0 buys nothing."""
        z = (np.log(np.maximum(bids, 1e-300)) - np.log(self.price)) / self.spread
        clicks = self.ctr * self.impressions * ndtr(z)
        if self.auction is Auction.FIRST_PRICE:
            return clicks, bids * clicks
        paid = self.price * math.exp(self.spread**2 / 2) * ndtr(z - self.spread)
        return clicks, self.ctr * self.impressions * paid


@dataclass(frozen=True, slots=True)
class HourResult:
    """What one hour brought; `running` is the share of the hour in which the campaign was not yet out of money."""

    impressions: int
    clicks: int
    spend: float
    orders: int
    running: float


def draw_campaign(part: PlansPart, weekly: Floats, seed: int, position: int, auction: Auction) -> PlanCampaign:
    """Campaign of a seed; the auction rule changes nothing else.

    Parameters
    ----------
    weekly
        (168,) traffic of the hours of a week from Monday 00:00, mean 1.
    """
    rng = np.random.default_rng([seed, _NATURE, position])
    one_day = rng.random() < part.one_day_share
    days = 1 if one_day else int(rng.integers(part.days[0], part.days[-1] + 1))
    n = 24 * days
    start = FIRST_MONDAY + timedelta(days=int(rng.integers(7)))
    hours = np.arange(n)
    of_week = (start.weekday() * 24 + hours) % 168
    size = _log_between(rng, part.impressions_per_hour)
    shape = _shifted(weekly, part.profile_shift_hours * rng.standard_normal())[of_week]
    shape = shape * np.exp(part.profile_noise * _smooth(rng, hours.astype(np.float64)))
    day_luck = np.exp(part.day_noise * rng.standard_normal(days) - part.day_noise**2 / 2)[hours // 24]
    hour_luck = np.exp(part.hour_noise * _ar(rng, n, part.hour_memory) - part.hour_noise**2 / 2)
    log_price = math.log(_log_between(rng, part.price))
    log_price = log_price + part.drift * _ar(rng, n, part.drift_memory) + part.walk * rng.standard_normal(n).cumsum()
    log_price = log_price + part.price_day * math.sqrt(2) * np.cos(2 * np.pi * (hours - 24 * rng.random()) / 24)
    log_price = log_price + part.jump * (rng.standard_normal(n) * (rng.random(n) < part.jumps_per_day / 24)).cumsum()
    burst, dearer = np.ones(n), np.ones(n)
    for first in np.flatnonzero(rng.random(n) < part.bursts_per_day / 24):
        inside = slice(first, first + int(rng.integers(part.burst_hours[0], part.burst_hours[-1] + 1)))
        burst[inside] = _log_between(rng, part.burst_traffic)
        dearer[inside] = _log_between(rng, part.burst_price)
    return PlanCampaign(
        key=(seed, position),
        start=start,
        auction=auction,
        impressions=size * shape * day_luck * hour_luck * burst,
        price=np.exp(log_price) * dearer,
        spread=_between(rng, part.spread),
        ctr=_log_between(rng, part.ctr),
        cvr=_log_between(rng, part.cvr),
        forecast=size * shape * np.exp(part.forecast_noise * _smooth(rng, hours.astype(np.float64))),
        depth=_between(rng, part.win_rate),
    )


def play_hour(campaign: PlanCampaign, hour: int, bid: float, money: float) -> HourResult:
    """Shoppers of an hour meet a bid, with `money` left to spend."""
    rng = np.random.default_rng([campaign.key[0], _SHOPPERS, campaign.key[1], hour])
    total = int(rng.poisson(campaign.impressions[hour]))
    clickers = int(rng.binomial(total, campaign.ctr))
    price = campaign.price[hour] * np.exp(campaign.spread * rng.standard_normal(clickers))
    orders = rng.random(clickers) < campaign.cvr
    luck = rng.random()
    if not bid > 0 or not money > 0:
        return HourResult(0, 0, 0.0, 0, 1.0 if money > 0 else 0.0)
    won = price <= bid
    paid = np.where(won, bid if campaign.auction is Auction.FIRST_PRICE else price, 0.0).cumsum()
    running = 1.0
    if clickers and paid[-1] > money:
        reached = int(np.searchsorted(paid, money, side="right"))
        running = reached / clickers
        won, orders, paid = won[:reached], orders[:reached], paid[:reached]
    share = float(ndtr((math.log(bid) - math.log(campaign.price[hour])) / campaign.spread))
    others = (total - clickers) * running
    seen = others * share + math.sqrt(others * share * (1 - share)) * float(ndtri(luck))
    clicks = int(won.sum())
    return HourResult(
        clicks + max(0, round(seen)), clicks, float(paid[-1]) if paid.size else 0.0, int((won & orders).sum()), running
    )


def _between(rng: np.random.Generator, ends: tuple[float, ...]) -> float:
    return float(rng.uniform(ends[0], ends[-1]))


def _log_between(rng: np.random.Generator, ends: tuple[float, ...]) -> float:
    return float(math.exp(rng.uniform(math.log(ends[0]), math.log(ends[-1]))))


def _ar(rng: np.random.Generator, n: int, memory: float) -> Floats:
    """Stationary AR(1) of variance 1."""
    shocks = rng.standard_normal(n)
    values = np.empty(n)
    values[0] = shocks[0]
    for h in range(1, n):
        values[h] = memory * values[h - 1] + math.sqrt(1 - memory**2) * shocks[h]
    return values


def _smooth(rng: np.random.Generator, hours: Floats) -> Floats:
    """Random daily wave of two harmonics, variance about 1."""
    a = rng.standard_normal(4) * np.array([0.8, 0.8, 0.6, 0.6])
    angle = 2 * np.pi * hours / 24
    return a[0] * np.cos(angle) + a[1] * np.sin(angle) + a[2] * np.cos(2 * angle) + a[3] * np.sin(2 * angle)


def _shifted(weekly: Floats, hours: float) -> Floats:
    """The week's profile, later by some hours."""
    at = np.arange(168) - hours
    return np.interp(at % 168, np.arange(169), np.append(weekly, weekly[0]))
