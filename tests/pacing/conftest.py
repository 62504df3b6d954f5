"""Small worlds for pacing: log-normal units over a horizon, and what was known at an hour."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from domain.account import Account
from domain.outlook import Outlook, RateForecast
from domain.tables import ARRIVALS, BIDS, PERFORMANCE, UNITS, BidTable, Known, empty
from domain.time import Hour

START = Hour(datetime(2026, 11, 9, 16, tzinfo=UTC))  # midnight in Shanghai
MakeOutlook = Callable[..., Outlook]
MakeKnown = Callable[..., Known]


def _outlook(
    n_units: int = 12,
    n_hours: int = 48,
    seed: int = 1,
    matured: tuple[np.ndarray, np.ndarray] | None = None,
    flat: bool = False,
    levels: int = 24,
) -> Outlook:
    rng = np.random.default_rng(seed)
    median = np.exp(rng.normal(0.0, 0.4, n_units))
    spread, value = 0.5, np.exp(rng.normal(1.2, 0.5, n_units))
    bids = median[:, None] * np.exp(np.linspace(-2.5, 2.5, levels))
    z = (np.log(bids) - np.log(median)[:, None]) / spread
    opportunities = np.exp(rng.normal(2.0, 0.5, n_units))[:, None]
    clicks = opportunities * norm.cdf(z)
    spend = opportunities * median[:, None] * np.exp(spread**2 / 2) * norm.cdf(z - spread)
    hours = np.arange(n_hours)
    wave = np.ones(n_hours) if flat else 1.0 + 0.5 * np.sin(hours / 24 * 2 * np.pi)
    one = np.ones(n_units)
    orders, gmv = matured if matured is not None else (np.zeros(0), np.zeros(0))
    return Outlook(
        hours=tuple(START.plus(24 + h) for h in hours),
        bids=bids,
        impressions=clicks * 50,
        clicks=clicks,
        spend=spend,
        orders=clicks * 0.05,
        gmv=clicks * value[:, None],
        traffic=np.broadcast_to(wave, (n_units, n_hours)).copy(),
        price=np.ones(n_hours) if flat else 1.0 + 0.2 * (hours >= 24),
        value=np.ones(n_hours) if flat else 1.0 + 0.6 * (hours >= 24),
        click_value=value,
        cvr=RateForecast(one * 0.05, one * 0.04, one * 0.06, one * 100),
        click_value_cv=one * 0.1,
        volume_cv=one * 0.1,
        common_value_cv=0.03,
        bid_proxy=median,
        bid_known=np.ones(n_units, np.bool_),
        support_low=median * 0.5,
        support_high=median * 2,
        matured_orders=orders,
        matured_gmv=gmv,
    )


def _known(
    n_units: int = 12,
    past_hours: int = 24,
    spend_per_row: float = 1.0,
    planned: pl.DataFrame | None = None,
    **extra: object,
) -> Known:
    names = [f"u{k:03d}" for k in range(n_units)]
    units = (
        empty(UNITS)
        .clear(n_units)
        .with_columns(
            pl.Series("unit_id", names),
            pl.Series("campaign", [f"C{k % 3}" for k in range(n_units)]),
            pl.Series("business_type", [f"B{(k % 3) // 2}" for k in range(n_units)]),
        )
    )
    starts = [START.plus(h).start for h in range(past_hours)]
    rows = (
        pl.DataFrame(
            {
                "unit": [k for _ in starts for k in range(n_units)],
                "start_utc": [s for s in starts for _ in range(n_units)],
            },
            schema={"unit": pl.UInt32, "start_utc": PERFORMANCE["start_utc"]},
        ).with_columns(
            pl.lit("hour").cast(PERFORMANCE["grain"]).alias("grain"),
            pl.lit(1.0).alias("hours"),
            pl.lit(100.0).alias("impressions"),
            pl.lit(2.0).alias("clicks"),
            pl.lit(spend_per_row).alias("spend"),
            pl.lit(0.1).alias("orders"),
            pl.lit(4.0).alias("gmv"),
            pl.lit(1.0).alias("bid_cpc"),
            (pl.col("start_utc") + pl.duration(hours=1)).alias("learned_at"),
        )
        if starts
        else empty(PERFORMANCE)
    )
    live = pl.DataFrame(
        {"unit_id": names, "bid_cpc": 1.0, "state": "enabled", "known": True, "edits_today": 0},
        schema=dict(BIDS),
    )
    more = {} if planned is None else {"planned": planned}
    return Known(
        account=Account("demo", "CNY", "Asia/Shanghai", "sim"),
        hour=START.plus(24),
        units=units.select(list(UNITS)),
        performance=rows.select(list(PERFORMANCE)),
        arrivals=empty(ARRIVALS),
        live_bids=BidTable(live),
        **more,
        **extra,  # type: ignore[arg-type]
    )


@pytest.fixture
def make_outlook() -> MakeOutlook:
    """Maker of outlooks that start a day after `START`."""
    return _outlook


@pytest.fixture
def make_known() -> MakeKnown:
    """Maker of what was known a day after `START`."""
    return _known
