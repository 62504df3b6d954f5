"""An ordinary day of auctions, made of past ones: traffic, values and prices to win by tick, each day at a common price level."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from domain.auctions import Day, TickLog
from domain.tables import Floats, Ints
from engine.auction_censored import spread_censored
from engine.auction_counts import BINS, Places, Scale, TickCounts, count_tick
from engine.auction_density import blurred, broad, by_tick, density_of, measure_level, shifted


@dataclass(frozen=True, slots=True)
class Profile:
    """An ordinary day, from past ones.

    Attributes
    ----------
    auctions, value
        (n_ticks, n_buckets) auctions a day, and mean value of one.
    density
        (n_ticks, n_buckets, BINS) where the price to win lies; sums to 1.
    log_value
        (n_ticks,) mean log value of an auction.
    days
        Number of days it was made of.
    daily
        Whether its ticks are those of a day; else one tick stands for any.
    """

    auctions: Floats
    value: Floats
    density: Floats
    log_value: Floats
    days: int
    daily: bool = True

    @property
    def n_ticks(self) -> int:
        """Ticks of the profile's day."""
        return int(self.auctions.shape[0])

    def resampled(self, n_ticks: int) -> "Profile":
        """Same day in another number of ticks."""
        if n_ticks == self.n_ticks and self.daily:
            return self
        if not self.daily:
            every = np.zeros(n_ticks, np.int64)
            return replace(
                self, auctions=self.auctions[every], value=self.value[every], density=self.density[every],
                log_value=self.log_value[every],
            )  # fmt: skip
        at = np.minimum((np.arange(n_ticks) + 0.5) * self.n_ticks / n_ticks, self.n_ticks - 1).astype(np.int64)
        return Profile(
            self.auctions[at] * self.n_ticks / n_ticks, self.value[at], self.density[at], self.log_value[at], self.days
        )


def make_profile(
    days: Sequence[Day], scale: Scale, places: Places, first_price: bool, daily: bool = True
) -> Profile | None:
    """Profile of past days, each set to the common price level first; ``None`` where they hold no auction."""
    n_ticks = max((len(day) for day in days), default=0)
    k = scale.n_buckets
    counted: list[tuple[int, int, TickCounts]] = []
    for d, day in enumerate(days):
        for t, log in enumerate(day):
            if log is not None and log.n:
                at = min(int((t + 0.5) * n_ticks / len(day)), n_ticks - 1)
                counted.append((d, at, count_tick(log, scale, places, first_price)))
    if not counted:
        return None
    whole = len({d for d, _, _ in counted})
    auctions, value, seen = np.zeros((n_ticks, k)), np.zeros((n_ticks, k)), np.zeros(n_ticks)
    told, lost, won = (np.zeros((n_ticks, k, BINS)) for _ in range(3))
    for _, t, c in counted:
        seen[t] += 1
        auctions[t] += c.auctions
        value[t] += c.value
        told[t] += c.prices
        lost[t] += c.lost_at
        won[t] += c.won_under
    pooled = spread_censored(told.sum(axis=0), lost.sum(axis=0), won.sum(axis=0), broad(told.sum(axis=(0, 1)), k))
    base = density_of(pooled, pooled)
    spread = np.array([spread_censored(told[t], lost[t], won[t], base) for t in range(n_ticks)])
    density = by_tick(spread, base)
    if whole > 1:  # once more, each day moved to the common level
        moved = np.zeros_like(spread)
        thresholds = _low_quantile(base)
        levels = {
            d: _day_level([(t, c) for e, t, c in counted if e == d], density, thresholds) for d in range(len(days))
        }
        middle = float(np.median(list(levels.values())))
        for d, t, c in counted:
            table = spread_censored(c.prices, c.lost_at, c.won_under, density[t])
            moved[t] += shifted(table, -(levels[d] - middle))
        density = by_tick(moved, base)
    mean_value = _mean_values(value, auctions)
    fill = np.maximum(seen, 1e-9)[:, None]
    per_day = np.where(seen[:, None] > 0, auctions / fill, auctions.sum(axis=0) / max(float(seen.sum()), 1.0))
    usual = _log_values(days, n_ticks)
    if not daily:  # one tick that stands for any
        return Profile(
            per_day.mean(axis=0)[None], _mean_values(value.sum(axis=0)[None], auctions.sum(axis=0)[None]),
            blurred(base)[None], np.array([float(np.average(usual, weights=per_day.sum(axis=1)))]), whole, False,
        )  # fmt: skip
    return Profile(per_day, mean_value, density, usual, whole)


def _mean_values(value: Floats, auctions: Floats) -> Floats:
    """Mean value by tick and bucket, leaning on that of all ticks."""
    total, count = value.sum(axis=0), auctions.sum(axis=0)
    every = np.where(count > 0, total / np.maximum(count, 1e-300), 0.0)
    return (value + 5.0 * every) / (auctions + 5.0)


def _log_values(days: Sequence[Day], n_ticks: int) -> Floats:
    """(n_ticks,) mean log value; ticks never seen have that of all."""
    total, count = np.zeros(n_ticks), np.zeros(n_ticks)
    for day in days:
        for t, log in enumerate(day):
            if log is not None:
                at = min(int((t + 0.5) * n_ticks / len(day)), n_ticks - 1)
                positive = log.values[log.values > 0]
                total[at] += np.log(positive).sum()
                count[at] += positive.size
    every = total.sum() / max(float(count.sum()), 1.0)
    return np.where(count > 0, total / np.maximum(count, 1.0), every)


def _day_level(ticks: list[tuple[int, TickCounts]], density: Floats, thresholds: Ints) -> float:
    """Price level of a day against the profile."""
    found = [measure_level(density[t], c, thresholds) for t, c in ticks]
    weight = sum(1 / v for _, v in found if np.isfinite(v))
    return sum(d / v for d, v in found if np.isfinite(v)) / weight if weight > 0 else 0.0


def _low_quantile(density: Floats) -> Ints:
    """(n_buckets,) bin below which a fifth of the prices lie."""
    return np.argmax(np.cumsum(density, axis=1) >= 0.2, axis=1).astype(np.int64)


def typical_price(logs: Sequence[TickLog]) -> tuple[float | None, int]:
    """Middle of the prices that logs tell, to win, else paid, and their number; ``None`` where they tell none."""
    told = np.concatenate([p[np.isfinite(p) & (p > 0)] for log in logs if (p := log.price_to_win) is not None])
    if told.size == 0:
        told = np.concatenate([log.price[(log.position > 0) & (log.price > 0)] for log in logs])
    return (float(np.median(told)) if told.size else None), int(told.size)
