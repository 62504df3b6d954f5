"""A small generative market with hidden truth, made for these tests alone: clicks won at known bids, late orders."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtr, ndtri

from domain.account import Account
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.tables import ARRIVALS, BIDS, HOURS, PERFORMANCE, UNITS, BidTable, Known, Priors
from domain.time import Hour, Window

START = datetime(2026, 11, 7, tzinfo=UTC)


@dataclass
class World:
    """Truth and history of one simulated promotion; `known(h)` is what could be known when hour h starts."""

    seed: int
    n: int = 100
    hours: int = 120
    clicks_per_hour: float = 6.0
    same_hour: float = 0.45
    tail_hours: float = 18.0
    bias: float = 0.15
    noise: float = 0.3
    cold_noise: float = 0.75
    jump_at: int = 60
    jump: float = 0.25
    price_error: float = 0.0
    day_error: float = 0.2
    unit_error: float = 0.2
    phase_lag: float = 1.0  # the burst's lag as a multiple

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        n, hours = self.n, self.hours
        self.cvr = 0.06 * np.exp(0.5 * rng.standard_normal(n))
        self.cold = rng.random(n) < 0.1
        spread = np.where(self.cold, self.cold_noise, self.noise)
        self.prior_cvr = np.minimum(self.cvr * (1 + self.bias) * np.exp(spread * rng.standard_normal(n)), 0.9)
        self.price = np.round(50 * np.exp(0.5 * rng.standard_normal(n)), 2)
        size = np.exp(0.8 * rng.standard_normal(n))
        self.per_hour = self.clicks_per_hour * size / size.mean()
        self.prior_per_hour = self.per_hour * np.exp(self.unit_error * rng.standard_normal(n))
        self.median = 0.4 * self.cvr * self.price * np.exp(0.3 * rng.standard_normal(n))
        self.prior_median = self.median * np.exp(self.price_error * rng.standard_normal(n))
        self.spread = np.full(n, 0.5)
        hour = np.arange(hours)
        self.phase = np.minimum(hour * 4 // max(hours, 1), 3)
        self.forecast_traffic = (1 + 0.6 * np.sin(2 * np.pi * (hour % 24 - 9) / 24)) * np.array([0.8, 1.0, 2.0, 0.9])[
            self.phase
        ]
        self.value = np.array([0.8, 1.0, 1.5, 0.9])[self.phase]
        self.forecast_price = np.array([1.0, 1.0, 1.3, 1.0])[self.phase]
        days = np.exp(self.day_error * rng.standard_normal(hours // 24 + 1))
        self.traffic = self.forecast_traffic * days[hour // 24]
        drift = np.zeros(hours)
        for h in range(1, hours):
            drift[h] = 0.8 * drift[h - 1] + 0.02 * rng.standard_normal()
        self.level = drift + np.where(hour >= self.jump_at, np.log1p(self.jump), 0.0)
        self.bids = np.empty((n, hours))
        self.clicks = np.zeros((n, hours))
        self.spend = np.zeros((n, hours))
        self.orders: list[tuple[int, int, int]] = []  # unit, hour, age told
        for h in range(hours):
            bid = np.round(self.median * self.forecast_price[h] * np.exp(0.25 * rng.standard_normal(n)), 3) + 0.001
            self.bids[:, h] = bid
            middle = np.log(self.median) + np.log(self.forecast_price[h]) + self.level[h]
            won = ndtr((np.log(bid) - middle) / self.spread)
            luck = rng.gamma(1 / 0.09, 0.09, n)
            self.clicks[:, h] = rng.poisson(self.per_hour * self.traffic[h] * luck * won)
            unit = np.repeat(np.arange(n), self.clicks[:, h].astype(int))
            paid = np.exp(middle[unit] + self.spread[unit] * ndtri(rng.random(unit.size) * won[unit]))
            self.spend[:, h] = np.bincount(unit, paid, n)
            buys = unit[rng.random(unit.size) < np.minimum(self.cvr[unit] * self.value[h], 1)]
            tail = self.tail_hours * (self.phase_lag if self.phase[h] == 2 else 1.0)
            later = rng.random(buys.size) >= self.same_hour
            age = np.where(later, 1 + rng.geometric(1 / tail, buys.size), 1)
            self.orders += [(int(i), h, int(a)) for i, a in zip(buys, age, strict=True)]
        self.bought = np.array(self.orders, np.int64).reshape(-1, 3)

    @property
    def calendar(self) -> PromotionCalendar:
        kinds = (PhaseKind.WARM_UP, PhaseKind.PRE_SALE, PhaseKind.BURST, PhaseKind.RETURN)
        edges = [int(np.flatnonzero(self.phase == k)[0]) for k in range(4)] + [self.hours]
        return PromotionCalendar(
            tuple(
                Phase(kind.value, kind, Window(self.hour(a).start, self.hour(b).start))
                for kind, a, b in zip(kinds, edges, edges[1:], strict=False)
            )
        )

    def hour(self, h: int) -> Hour:
        return Hour(START).plus(h)

    def ahead(self, h: int) -> list[Hour]:
        return [self.hour(k) for k in range(h, self.hours)]

    def known(self, h: int, priors: bool = True) -> Known:
        n = self.n
        told = self.bought[self.bought[:, 1] + self.bought[:, 2] <= h]
        orders = np.zeros((n, self.hours))
        np.add.at(orders, (told[:, 0], told[:, 1]), 1.0)
        last = np.tile(np.arange(self.hours) + 1, (n, 1))
        np.maximum.at(last, (told[:, 0], told[:, 1]), told[:, 1] + told[:, 2])
        hour, unit = (a.ravel() for a in np.mgrid[0:h, 0:n])
        start = np.datetime64(START.replace(tzinfo=None), "us")

        def at(hours):
            return pl.Series(
                start + np.asarray(hours, np.int64) * np.timedelta64(3_600_000_000, "us")
            ).dt.replace_time_zone("UTC")

        performance = pl.DataFrame(
            {
                "unit": unit.astype(np.uint32),
                "start_utc": at(hour),
                "grain": pl.Series(["hour"] * unit.size, dtype=pl.String),
                "hours": np.ones(unit.size),
                "impressions": self.clicks[unit, hour] * 50.0,
                "clicks": self.clicks[unit, hour],
                "spend": self.spend[unit, hour],
                "orders": orders[unit, hour],
                "gmv": orders[unit, hour] * self.price[unit],
                "bid_cpc": self.bids[unit, hour],
                "learned_at": at(last[unit, hour]),
            }
        ).cast({"grain": PERFORMANCE["grain"]})
        arrivals = pl.DataFrame(
            {
                "unit": told[:, 0].astype(np.uint32),
                "start_utc": at(told[:, 1]),
                "learned_at": at(told[:, 1] + told[:, 2]),
                "orders": np.ones(len(told)),
                "gmv": self.price[told[:, 0]],
            },
            schema=dict(ARRIVALS),
        )
        columns = {
            "unit_id": [f"U{i}" for i in range(n)],
            "campaign": [f"C{i % 5}" for i in range(n)],
            "price": self.price,
            "prior_ctr": np.full(n, 0.02),
            "prior_cvr": self.prior_cvr if priors else [None] * n,
            "prior_order_value": self.price,
        }
        return Known(
            account=Account("sim", "CNY"),
            hour=self.hour(h),
            units=pl.DataFrame({k: columns.get(k, [None] * n) for k in UNITS}, schema=dict(UNITS), strict=False),
            performance=performance,
            arrivals=arrivals,
            live_bids=BidTable(
                pl.DataFrame(
                    {
                        "unit_id": columns["unit_id"],
                        "bid_cpc": self.bids[:, max(h - 1, 0)],
                        "state": ["enabled"] * n,
                        "known": [True] * n,
                        "edits_today": [0] * n,
                    },
                    schema=dict(BIDS),
                )
            ),
            priors=Priors(
                hours=pl.DataFrame(
                    {
                        "start_utc": at(np.arange(self.hours)),
                        "traffic": self.forecast_traffic,
                        "cvr_factor": self.value,
                        "price_factor": self.forecast_price,
                    },
                    schema=dict(HOURS),
                ),
                clicks_per_hour=self.prior_per_hour,
                price_median=self.prior_median,
                price_spread=self.spread,
            )
            if priors
            else Priors(),
        )


@pytest.fixture(scope="session")
def worlds():
    """Make (and keep) worlds by seed and options."""
    made: dict[tuple, World] = {}

    def make(seed: int, **options) -> World:
        key = (seed, *sorted(options.items()))
        if key not in made:
            made[key] = World(seed, **options)
        return made[key]

    return make
