r"""What the rest of a day of auctions will offer: traffic, prices to win by value bucket, and what bids would buy.

Past days make a profile by tick (`auction_profile`): auctions n_tk, mean values, and the density h_tk of the price to
win. Today moves it by three things that are learned tick by tick: a traffic factor (with a correction by bucket), and a
price level d_t = log price today - log price of the profile, measured where it matters, by how many auctions lie below
the price that we would pay:  sum_k n_tk H_tk(b_k e^-d) = auctions seen below b_k. The level is forecast by the filter of
the hourly loop (`predictors.price_level.follow_level`): a slow part, jumps, and a part that returns. Without past days
the profile is what today showed, recent ticks more than old ones, at the traffic of today (`auction_cold`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from domain.tables import Bools, Floats, Ints
from engine import auction_cold as cold
from engine.auction_censored import spread_censored
from engine.auction_counts import BINS, TickCounts
from engine.auction_density import broad, density_of, measure_level, shifted
from engine.auction_profile import Profile
from engine.auction_trust import FEW_DAYS, price_trust, traffic_trust
from predictors.price_level import follow_level

#: Memory of today's ticks where today is all there is.
FRESH = 0.85
#: Memory of today's traffic against a past stretch that was no day.
STRETCH_MEMORY = 0.8
#: Prices to win that must have been met before a day without past ones is planned.
ENOUGH = 20


@dataclass(frozen=True, slots=True)
class Ahead:
    """Expected auctions of stretches of the day, the first being the tick that is decided.

    Attributes
    ----------
    table
        (n_stretches, n_buckets, BINS) auctions by price to win.
    value
        (n_stretches, n_buckets) mean value of one auction.
    price_sd, traffic_sd
        Relative errors of the price level and the traffic of what lies ahead.
    price_level, traffic_level
        Of what lies ahead against the profile, 1 = as forecast (1 without past days).
    """

    table: Floats
    value: Floats
    price_sd: float
    traffic_sd: float
    price_level: float
    traffic_level: float


class Today:
    """What today showed so far, and what it makes of the profile.

    Parameters
    ----------
    n_ticks
        Ticks of the day.
    profile
        Ordinary day, or ``None``.
    """

    def __init__(self, n_ticks: int, n_buckets: int, profile: Profile | None) -> None:
        self._n = n_ticks
        self._k = n_buckets
        self._profile = profile.resampled(n_ticks) if profile is not None else None
        self.level, self.noise = np.zeros(n_ticks), np.full(n_ticks, np.inf)
        # few past days: their mean density, and the level against that, in case today has another shape
        self._flat: Floats | None = None
        self.flat_level, self.flat_noise = np.zeros(n_ticks), np.full(n_ticks, np.inf)
        if self._profile is not None and self._profile.daily and self._profile.days <= FEW_DAYS:
            held = self._profile.auctions[:, :, None] * self._profile.density
            self._flat = (held.sum(axis=0) + 1e-9 * self._profile.density.mean(axis=0)) / (
                self._profile.auctions.sum(axis=0) + 1e-9
            )[:, None]
        self._offered = np.zeros((n_ticks, n_buckets))  # auctions of the ticks that were called
        self._values = np.zeros((n_ticks, n_buckets))
        self._called = np.zeros(n_ticks, np.bool_)
        self._told, self._lost, self._won = (np.zeros((n_buckets, BINS)) for _ in range(3))
        self._density: Floats | None = None
        self._late = 0.0  # log price level of the last tick against the mean of those before it
        self._age = 0.0  # of what that mean was made, ticks

    def offered(self, tick: int, bucket: Ints, values: Floats) -> None:
        """Note the auctions of the tick that is decided."""
        useful = values > 0
        self._offered[tick] = np.bincount(bucket[useful], minlength=self._k)
        self._values[tick] = np.bincount(bucket[useful], values[useful], self._k)
        self._called[tick] = True

    def learn(self, tick: int, counts: TickCounts, thresholds: Ints) -> None:
        """Note how a tick ended."""
        if self._profile is not None:
            self.level[tick], self.noise[tick] = measure_level(self._profile.density[tick], counts, thresholds)
            if self._flat is not None:
                self.flat_level[tick], self.flat_noise[tick] = measure_level(self._flat, counts, thresholds)
        elif self._told.any() or self._won.any():
            late, variance = measure_level(self._fresh_density(), counts, thresholds)
            if np.isfinite(variance):
                trust = 0.35 * 0.01 / (0.01 + variance)
                self._late += trust * (float(np.clip(late, -0.5, 0.5)) - self._late)
        n_now, n_old = (
            float(counts.auctions.sum()),
            FRESH * float(self._told.sum() + self._lost.sum() + self._won.sum()),
        )
        self._age = (self._age + 1.0) * n_old / max(n_old + n_now, 1.0)
        self._told = FRESH * self._told + counts.prices
        self._lost = FRESH * self._lost + counts.lost_at
        self._won = FRESH * self._won + counts.won_under
        self._density = None

    def seen(self, tick: int) -> bool:
        """Whether the auctions of a tick are noted."""
        return bool(self._called[tick])

    @property
    def ready(self) -> bool:
        """Whether anything is known of prices."""
        return self._profile is not None or bool(self._told.any() or self._won.any())

    def ahead(self, tick: int, stretches: int = 3) -> Ahead:
        """What lies ahead of a tick whose auctions are noted."""
        later = np.arange(tick + 1, self._n)
        parts = (
            [np.array([tick]), *(p for p in np.array_split(later, min(stretches, later.size)) if p.size)]
            if later.size
            else [np.array([tick])]
        )
        if self._profile is None:
            return self._ahead_cold(tick, parts)
        return self._ahead_of(self._profile, tick, parts)

    def _ahead_cold(self, tick: int, parts: Sequence[Ints]) -> Ahead:
        """Without past days: more of what today showed."""
        ever = self._called[: tick + 1]
        n_seen = int(ever.sum())
        tables, values = np.zeros((len(parts), self._k, BINS)), np.zeros((len(parts), self._k))
        weight = FRESH ** (tick - np.arange(tick + 1)) * ever
        shape = cold.traffic_shape(self._n, tick, self._offered, self._called)
        mean = weight @ self._offered[: tick + 1] / (weight @ shape[: tick + 1])
        total = weight @ self._values[: tick + 1]
        worth = total / np.maximum(weight @ self._offered[: tick + 1], 1e-9)
        density = self._fresh_density()
        now = self._offered[tick]
        for g, part in enumerate(parts):
            n = now if g == 0 else mean * shape[part].sum() * cold.hope(tick, self._n)
            tables[g] = n[:, None] * shifted(density, cold.price_level(tick, part, self._n, self._late, self._age))
            values[g] = np.where(now > 0, self._values[tick] / np.maximum(now, 1e-9), worth) if g == 0 else worth
        return Ahead(tables, values, 0.15 + 0.10 / n_seen, 0.25 / np.sqrt(n_seen) + 0.10, 1.0, 1.0)

    def _ahead_of(self, profile: Profile, tick: int, parts: Sequence[Ints]) -> Ahead:
        """The ordinary day, moved to today's traffic and prices."""
        ever = self._called[: tick + 1]
        n_seen = int(ever.sum())
        n_ahead = self._n - tick
        tables, values = np.zeros((len(parts), self._k, BINS)), np.zeros((len(parts), self._k))
        level, sd = follow_level(self.level[:tick], self.noise[:tick], n_ahead)
        weight = (0.97 if profile.daily else STRETCH_MEMORY) ** (tick - np.arange(tick + 1)) * ever
        due = weight @ profile.auctions[: tick + 1]
        seen = weight @ self._offered[: tick + 1]
        typical = float(profile.auctions.mean(axis=0).sum())
        factor = (seen.sum() + 0.5 * typical) / (due.sum() + 0.5 * typical)
        of_bucket = (seen + 300.0 * factor) / (due + 300.0)
        price = (self._values[: tick + 1].T @ weight + 50 * profile.value.mean(axis=0)) / (
            (profile.value * profile.auctions)[: tick + 1].T @ weight * of_bucket + 50 * profile.value.mean(axis=0)
        )
        trust, even = (
            traffic_trust(profile, self._offered[: tick + 1], ever, few=self._flat is not None),
            self._recent(tick),
        )
        shape, flat_level = 1.0, level
        if self._flat is not None:
            shape = price_trust(
                profile.days, self.level[:tick], self.noise[:tick], self.flat_level[:tick], self.flat_noise[:tick]
            )
            flat_level, _ = follow_level(self.flat_level[:tick], self.flat_noise[:tick], n_ahead)
        for g, part in enumerate(parts):
            if g == 0:
                n = self._offered[tick]
                present: Bools = self._offered[tick] > 0
                worth: Floats = profile.value[tick].copy()
                worth[present] = self._values[tick][present] / self._offered[tick][present]
                tables[0] = n[:, None] * shifted(profile.density[tick], float(level[0]))
                if self._flat is not None:
                    other = n[:, None] * shifted(self._flat, float(flat_level[0]))
                    tables[0] = shape * tables[0] + (1 - shape) * other
            else:
                n = trust * profile.auctions[part] * of_bucket + (1 - trust) * even
                tables[g] = shifted(
                    (n[:, :, None] * profile.density[part]).sum(axis=0), float(level[part - tick].mean())
                )
                if self._flat is not None:
                    other = shifted(n.sum(axis=0)[:, None] * self._flat, float(flat_level[part - tick].mean()))
                    tables[g] = shape * tables[g] + (1 - shape) * other
                worth = (n * profile.value[part]).sum(axis=0) / np.maximum(n.sum(axis=0), 1e-9) * price
            values[g] = worth
        middle = min(n_ahead - 1, n_ahead // 2)
        return Ahead(
            tables,
            values,
            float(sd[middle]),
            0.15 / np.sqrt(n_seen) + 0.03,
            float(np.exp(level[middle])),
            float(factor),
        )

    def _fresh_density(self) -> Floats:
        if self._density is None:
            every = broad(self._told.sum(axis=0), self._k)
            table = spread_censored(self._told, self._lost, self._won, every)
            self._density = density_of(table, table)
        return self._density

    def _recent(self, tick: int) -> Floats:
        """(n_buckets,) auctions of a tick lately."""
        weight = STRETCH_MEMORY ** (tick - np.arange(tick + 1)) * self._called[: tick + 1]
        return weight @ self._offered[: tick + 1] / weight.sum()
