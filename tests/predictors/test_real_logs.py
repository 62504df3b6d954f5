"""Real advertising logs: rates that beat the constant and plain trees' peers, and an Amazon account's last week."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize
from scipy.special import betaln
from scipy.stats import betabinom, binom

from domain.account import Account
from domain.tables import ARRIVALS, BIDS, GRAIN, UNITS, BidTable, Known, empty
from domain.time import Hour
from predictors import SteadyModel, fit_rates, score_rates

pytestmark = pytest.mark.real_data


def loss(y, p):
    p = np.clip(p, 1e-9, 1 - 1e-9)
    return -(y * np.log(p) + (1 - y) * np.log1p(-p))


def held_out(log: pl.DataFrame, label: str, ignore: list[str], seed: int = 5):
    """Loss of ours and of the constant rate on a random fifth that was not learned from, and calibration."""
    later = np.random.default_rng(seed).permutation(log.height) % 5 == 0
    train, test = log.filter(~later), log.filter(later)
    mean = score_rates(fit_rates(train, label, ignore=ignore), test.drop(label))["mean"].to_numpy()
    y = test[label].to_numpy().astype(float)
    constant = np.full(y.size, train[label].to_numpy().mean())
    return loss(y, mean), loss(y, constant), mean.sum() / y.sum()


def test_a_click_log_with_signal_is_learned(real_data):
    ours, constant, calibration = held_out(pl.read_parquet(real_data / "avazu_train.parquet"), "click", ["id", "hour"])
    gain = constant - ours
    assert gain.mean() > 3 * gain.std() / np.sqrt(gain.size)
    assert ours.mean() < 0.432
    assert calibration == pytest.approx(1.0, abs=0.12)


def targets(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Clicks and orders of an account's targets by day: two weeks, and the week after by target."""
    key = ["Campaign Name", "Ad Group Name", "Targeting", "Match Type"]
    rows = pl.read_csv(folder / "amazon_sp_IN_targeting.csv.gz", try_parse_dates=True)
    rows = rows.select("Date", *key, clicks="Clicks", orders="14 Day Total Orders (#)").filter(pl.col("clicks") > 0)
    cut = pl.date(2020, 2, 16)
    week = rows.filter(pl.col("Date") >= cut).group_by(key, maintain_order=True).sum().with_columns(Date=cut)
    return rows.filter(pl.col("Date") < cut), week.with_columns(orders=pl.min_horizontal("orders", "clicks"))


def beta_binomial(orders: np.ndarray, clicks: np.ndarray) -> np.ndarray:
    """Parameters a, b of the beta law that rates of units follow, by maximum likelihood."""

    def loss(q):
        a, b = np.exp(q)
        return -(betaln(orders + a, clicks - orders + b) - betaln(a, b)).sum()

    return np.exp(minimize(loss, [0.0, 2.0], method="Nelder-Mead").x)


@pytest.mark.parametrize("by_day", [True, False], ids=["daily rows", "one row per target"])
def test_orders_per_click_of_targets_beat_plain_rates_and_their_bands_hold(real_data, by_day):
    before, week = targets(real_data)
    key = [name for name in week.columns if name not in ("Date", "clicks", "orders")]
    table = before.group_by(key, maintain_order=True).sum().drop("Date")
    table = table.with_columns(orders=pl.min_horizontal("orders", "clicks"))
    seen = week.select(key).join(table, on=key, how="left", maintain_order="left").fill_null(0)
    hits, tried = seen["orders"].to_numpy().astype(float), seen["clicks"].to_numpy().astype(float)
    total = table["orders"].sum() / table["clicks"].sum()
    a, b = beta_binomial(table["orders"].to_numpy(), table["clicks"].to_numpy())
    orders, clicks = week["orders"].to_numpy(), week["clicks"].to_numpy()

    def score(rate):
        return binom.logpmf(orders, clicks, np.clip(rate, 1e-4, 0.9999)).sum()

    fitted = fit_rates(before if by_day else table, "orders", trials="clicks", time="Date" if by_day else None)
    scored = score_rates(fitted, week)
    mean, low, high = (scored[name].to_numpy() for name in ("mean", "low", "high"))
    assert score(mean) > score(np.full(mean.size, total))
    assert score(mean) > score((hits + 0.5) / (tried + 1))
    # days tell how far a target's rate is to be trusted; without them a beta-binomial is as good, to half a nat
    assert score(mean) > score((hits + a) / (tried + a + b)) - (0.0 if by_day else 0.5)
    # a beta law with the band's width stands for the rate; orders are then placed in their own distribution
    spread = (np.log(high / (1 - high)) - np.log(low / (1 - low))) / 2 / 1.2816 * mean * (1 - mean)
    worth = np.maximum(mean * (1 - mean) / spread**2 - 1, 0.5)
    law = betabinom(clicks, mean * worth, (1 - mean) * worth)
    inside = []
    for seed in range(100, 120):
        at = law.cdf(orders - 1) + np.random.default_rng(seed).random(mean.size) * law.pmf(orders)
        inside.append(((at > 0.1) & (at < 0.9)).mean())
    least, most = binom.ppf((0.025, 0.975), mean.size, 0.8) / mean.size
    assert least <= np.mean(inside) <= most


def test_a_log_of_few_clicks_is_never_much_worse_than_its_constant_rate(real_data):
    log = pl.read_parquet(real_data / "ipinyou_2259_fields_train.parquet")
    ours, constant, _ = held_out(log, "click", ["bidid", "price"])
    assert ours.mean() < constant.mean() + 0.005


def test_the_time_of_a_conversion_is_found_to_be_a_leak(real_data):
    every = pl.read_parquet(real_data / "talkingdata_clicks_train.parquet")
    log = every.filter((pl.col("is_attributed") == 1) | (pl.int_range(pl.len()) % 12 == 0))
    assert fit_rates(log, "is_attributed", time="click_time").leaks == ("attributed_time",)


def amazon(folder: Path, last_day: int) -> Known:
    """What the targeting report of an account told of the days before a day of February 2020."""
    zone = ZoneInfo("Asia/Kolkata")
    day = pl.col("Date").str.to_datetime("%Y-%m-%d", time_unit="us").dt.replace_time_zone(zone.key)
    rows = pl.read_csv(folder / "amazon_sp_IN_targeting.csv.gz").with_columns(
        start_utc=day.dt.convert_time_zone("UTC"), learned_at=day.dt.offset_by("1d").dt.convert_time_zone("UTC")
    )
    names = ["Campaign Name", "Ad Group Name", "Targeting", "Match Type"]
    units = rows.select(names).unique(maintain_order=True).with_row_index("unit")
    cut = datetime(2020, 2, last_day, tzinfo=zone).astimezone(UTC)
    known = rows.filter(pl.col("learned_at") <= cut).join(units, on=names, how="left")
    counts = {"Impressions": "impressions", "Clicks": "clicks", "Spend": "spend"}
    counts |= {"14 Day Total Orders (#)": "orders", "14 Day Total Sales (₹)": "gmv"}
    performance = known.select(
        pl.col("unit").cast(pl.UInt32),
        "start_utc",
        pl.lit("day").cast(GRAIN).alias("grain"),
        pl.lit(24.0).alias("hours"),
        *(pl.col(a).cast(pl.Float64).alias(b) for a, b in counts.items()),
        pl.lit(None, pl.Float64).alias("bid_cpc"),
        "learned_at",
    )
    n = units.height
    given = {
        "unit_id": [f"u{i}" for i in range(n)],
        "campaign": units["Campaign Name"],
        "ad_group": units["Ad Group Name"],
        "target": units["Targeting"],
        "match_type": units["Match Type"],
    }
    live = {
        "unit_id": given["unit_id"],
        "bid_cpc": [None] * n,
        "state": ["enabled"] * n,
        "known": [False] * n,
        "edits_today": [0] * n,
    }
    return Known(
        account=Account("in", "INR", zone.key),
        hour=Hour(cut),
        units=pl.DataFrame({k: given.get(k, [None] * n) for k in UNITS}, schema=dict(UNITS), strict=False),
        performance=performance,
        arrivals=empty(ARRIVALS),
        live_bids=BidTable(pl.DataFrame(live, schema=dict(BIDS))),
    )


def by_unit(known: Known, name: str) -> np.ndarray:
    return np.bincount(known.performance["unit"], known.performance[name], known.n_units)


def test_an_accounts_last_week_is_told_better_than_by_global_and_raw_rates(real_data):
    before, after = amazon(real_data, 16), amazon(real_data, 23)
    clicks = by_unit(after, "clicks") - by_unit(before, "clicks")
    orders = np.minimum(by_unit(after, "orders") - by_unit(before, "orders"), clicks)
    rate = SteadyModel().fit(before).outlook(before, [before.hour]).cvr.mean
    seen_orders, seen_clicks = by_unit(before, "orders"), by_unit(before, "clicks")
    everywhere = np.full(rate.size, seen_orders.sum() / seen_clicks.sum())
    raw = np.where(seen_clicks > 0, (seen_orders + 0.5) / (seen_clicks + 1), everywhere)

    def score(p):
        return binom.logpmf(orders, clicks, np.clip(p, 1e-4, 0.999))[clicks > 0].sum()

    assert score(rate) > score(raw)
    assert score(rate) > score(everywhere) + 10


def test_an_accounts_next_day_is_of_the_size_of_its_days(real_data):
    known = amazon(real_data, 16)
    outlook = SteadyModel().fit(known).outlook(known, [known.hour.plus(i) for i in range(24)])
    hours = [outlook.at(i).expected(outlook.bid_proxy) for i in range(24)]
    recent = known.performance.filter(pl.col("start_utc") >= known.hour.plus(-24 * 7).start)
    for name in ("clicks", "spend"):
        daily = recent[name].sum() / 7
        assert sum(h[name].sum() for h in hours) == pytest.approx(daily, rel=0.35)
    assert not outlook.bid_known.any()
    assert any("bids are unknown" in note for note in outlook.notes)
