r"""What the rest of a day of auctions will offer: traffic, prices to win by value bucket, and what bids would buy.

Past days make a profile by tick: auctions n_tk, mean values, and the density h_tk of the price to win. Today moves it
by three things that are learned tick by tick: a traffic factor (with a correction by bucket), and a price level
d_t = log price today - log price of the profile, measured where it matters, by how many auctions lie below the price
that we would pay:  sum_k n_tk H_tk(b_k e^-d) = auctions seen below b_k. The level is forecast by the filter of the
hourly loop (`predictors.price_level.follow_level`): a slow part, jumps, and a part that returns. Without past days the
profile is what today showed, recent ticks more than old ones, at the traffic of today.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from domain.auctions import Day
from domain.tables import Bools, Floats, Ints
from engine.auction_counts import BINS, STEP, Places, Scale, TickCounts, count_tick, spread_censored
from predictors.price_level import follow_level
from predictors.profile import WeekProfile

#: Memory of today's ticks where today is all there is.
FRESH = 0.85
#: Without past days: fall of log prices from the middle to the end of a day; spread of a tick's traffic around a shape.
COLD_FALL, COLD_TRAFFIC_SD = 0.5, 0.4
#: Memory of today's traffic against a past stretch that was no day.
STRETCH_MEMORY = 0.8
#: Spread of a tick's traffic around the shape of past days, or around an even one.
SHAPE_SD = 0.25
#: So few past days may have had a shape of their own in prices; spread of a tick's price level around the right shape.
FEW_DAYS, PRICE_SHAPE_SD = 1, 0.15
#: Without past days: how much more than today's traffic may still come, at the start of the day (to buy too much
#: too early costs more than too little, which is made up for).
MORE_TO_COME = 0.5
#: How much of today's price trend is believed, and how much of it is left after a tick.
TREND_TRUST, TREND_MEMORY = 0.6, 0.95
#: Prices to win that must have been met before a day without past ones is planned.
ENOUGH = 20
#: Price shifts that are looked for, in bins.
_SHIFTS = np.arange(-40, 41)


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
    pooled = spread_censored(told.sum(axis=0), lost.sum(axis=0), won.sum(axis=0), _broad(told.sum(axis=(0, 1)), k))
    base = _density(pooled, pooled)
    spread = np.array([spread_censored(told[t], lost[t], won[t], base) for t in range(n_ticks)])
    density = _by_tick(spread, base)
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
        density = _by_tick(moved, base)
    mean_value = _mean_values(value, auctions)
    fill = np.maximum(seen, 1e-9)[:, None]
    per_day = np.where(seen[:, None] > 0, auctions / fill, auctions.sum(axis=0) / max(float(seen.sum()), 1.0))
    usual = _log_values(days, n_ticks)
    if not daily:  # one tick that stands for any
        return Profile(
            per_day.mean(axis=0)[None], _mean_values(value.sum(axis=0)[None], auctions.sum(axis=0)[None]),
            _blurred(base)[None], np.array([float(np.average(usual, weights=per_day.sum(axis=1)))]), whole, False,
        )  # fmt: skip
    return Profile(per_day, mean_value, density, usual, whole)


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


def _broad(counts: Floats, n_buckets: int) -> Floats:
    """(n_buckets, BINS) what is believed of prices before a bucket has any: those of all, and a little of everything."""
    bins = np.arange(BINS)
    if counts.sum() > 0:
        middle = float((counts @ bins) / counts.sum())
        wide = max(float(np.sqrt(counts @ (bins - middle) ** 2 / counts.sum())), 8.0)
    else:
        middle, wide = BINS / 2, 20.0
    bell = np.exp(-0.5 * ((bins - middle) / wide) ** 2)
    every = (
        counts / max(float(counts.sum()), 1.0) * 0.7 + 0.3 * bell / bell.sum()
        if counts.sum() > 0
        else bell / bell.sum()
    )
    return np.tile(every / every.sum(), (n_buckets, 1))


def _density(table: Floats, pooled: Floats) -> Floats:
    """(n_buckets, BINS) smoothed densities: a bucket with few auctions borrows from its neighbours, then from all."""
    total = pooled.sum(axis=0)
    every = _broad(total, table.shape[0])
    near = pooled.copy()
    near[1:] += 0.5 * pooled[:-1]
    near[:-1] += 0.5 * pooled[1:]
    base = (near + 20.0 * every) / (near.sum(axis=1, keepdims=True) + 20.0)
    mixed = (table + 40.0 * base) / (table.sum(axis=1, keepdims=True) + 40.0)
    return _blurred(mixed)


def _blurred(density: Floats) -> Floats:
    """Densities blurred by a bin to each side, mass kept."""
    out = 0.5 * density
    out[..., 1:] += 0.25 * density[..., :-1]
    out[..., :-1] += 0.25 * density[..., 1:]
    out[..., 0] += 0.25 * density[..., 0]
    out[..., -1] += 0.25 * density[..., -1]
    return out


def _by_tick(tables: Floats, base: Floats) -> Floats:
    """(n_ticks, n_buckets, BINS) densities; a tick leans on the two beside it."""
    near = tables.copy()
    near[1:] += 0.5 * tables[:-1]
    near[:-1] += 0.5 * tables[1:]
    total = near.sum(axis=2, keepdims=True)
    mixed = (near + 40.0 * base[None]) / (total + 40.0)
    return _blurred(mixed)


def _mean_values(value: Floats, auctions: Floats) -> Floats:
    """Mean value by tick and bucket, leaning on that of all ticks."""
    total, count = value.sum(axis=0), auctions.sum(axis=0)
    every = np.where(count > 0, total / np.maximum(count, 1e-300), 0.0)
    return (value + 5.0 * every) / (auctions + 5.0)


def shifted(table: Floats, by: float) -> Floats:
    """Table with its prices raised by a logarithm, along the last axis; what leaves the grid stays at its end."""
    if abs(by) < 1e-9:
        return table
    whole = int(np.floor(by / STEP))
    part = by / STEP - whole
    return (1 - part) * _moved(table, whole) + part * _moved(table, whole + 1)


def _moved(table: Floats, bins: int) -> Floats:
    out = np.zeros_like(table)
    bins = max(-BINS + 1, min(BINS - 1, bins))
    if bins == 0:
        return table
    if bins > 0:
        out[..., bins:] = table[..., :-bins]
        out[..., -1] += table[..., -bins:].sum(axis=-1)
    else:
        out[..., :bins] = table[..., -bins:]
        out[..., 0] += table[..., :-bins].sum(axis=-1)
    return out


def measure_level(density: Floats, counts: TickCounts, thresholds: Ints) -> tuple[float, float]:
    """Log price level of a tick against densities, and its error variance (infinite where nothing tells).

    Where most prices are told, auctions below `thresholds` (bins by bucket) are compared; else those won by own bids.
    """
    told = counts.prices.sum()
    rows: Ints = np.arange(density.shape[0], dtype=np.int64)
    if told >= 0.9 * counts.auctions.sum() and told > 0:
        at = thresholds
        cumulated = np.cumsum(counts.prices, axis=1)
        seen = float(cumulated[rows, at].sum())
        offered = counts.prices.sum(axis=1)
    else:
        mean_bid = counts.bid_sum / np.maximum(counts.bidding, 1.0)
        at = np.where(counts.bidding > 0, counts.lost_at.argmax(axis=1), 0)
        if not counts.bidding.any():
            return 0.0, np.inf
        # the bin of the mean log bid; `lost_at` only says where most were
        at = np.where(np.isfinite(mean_bid), at, 0)
        seen, offered = counts.wins, counts.bidding
    share = np.cumsum(density, axis=1)
    due = np.array([(offered * share[rows, np.clip(at - m, 0, BINS - 1)]).sum() for m in _SHIFTS])  # falls with m
    if due[0] <= 0:
        return 0.0, np.inf
    seen = max(seen, min(0.5, 0.5 * float(due[0])))  # none at all says: so dear that less than one was due
    level = float(np.interp(-seen, -due, _SHIFTS * STEP))
    here = float(np.interp(level, _SHIFTS * STEP, due))
    slope = (
        float(np.interp(level - 0.1, _SHIFTS * STEP, due)) - float(np.interp(level + 0.1, _SHIFTS * STEP, due))
    ) / 0.2
    if slope <= 0:
        return level, np.inf
    return level, max(here, 1.0) * 1.5 / slope**2 + 4e-4


def _cold_price(ticks: Ints, n_ticks: int) -> Floats:
    """Log price level by tick without past days: rivals run dry, so prices fall somewhat late in the day."""
    return -COLD_FALL * np.maximum((ticks + 0.5) / n_ticks - 0.4, 0.0) / 0.6


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

    def _fresh_density(self) -> Floats:
        if self._density is None:
            every = _broad(self._told.sum(axis=0), self._k)
            table = spread_censored(self._told, self._lost, self._won, every)
            self._density = _density(table, table)
        return self._density

    def _cold_traffic(self, tick: int) -> Floats:
        """(n_ticks,) shape of the day's traffic without past days: even, or that of a calendar day, as today speaks for it."""
        even = np.ones(self._n)
        if self._n % 24:
            return even
        day = WeekProfile.default().traffic.reshape(7, 24).mean(axis=0)
        hours = (np.arange(self._n) + 0.5) * 24 / self._n
        calendar = np.interp(hours, np.arange(-1, 25) + 0.5, np.concatenate([day[-1:], day, day[:1]]))
        calendar /= calendar.mean()
        count = self._offered[: tick + 1].sum(axis=1)
        met = self._called[: tick + 1] & (count > 0)
        if met.sum() < 2:
            return 0.5 * (even + calendar)
        seen = np.log(count[met])
        misfit = [
            float(((r := seen - np.log(s[: tick + 1][met])) - r.mean()) @ (r - r.mean())) for s in (even, calendar)
        ]
        trust = 1.0 / (1.0 + np.exp(np.clip((misfit[1] - misfit[0]) / (2 * COLD_TRAFFIC_SD**2), -30, 30)))
        return trust * calendar + (1 - trust) * even

    def _recent(self, tick: int) -> Floats:
        """(n_buckets,) auctions of a tick lately."""
        weight = STRETCH_MEMORY ** (tick - np.arange(tick + 1)) * self._called[: tick + 1]
        return weight @ self._offered[: tick + 1] / weight.sum()

    def _trust(self, tick: int, profile: Profile) -> float:
        """Whether today's traffic has the shape of past days, rather than none: one past day may have been another kind."""
        if not profile.daily:
            return 1.0
        counts, usuals = self._offered[: tick + 1], profile.auctions[: tick + 1]
        logs = np.log(3.0 * profile.days**2)
        # of few past days also whether the best tenth of auctions comes when it came then: that is what gets bought
        best = [slice(None), slice(self._k // 2, None)] if self._flat is not None else [slice(None)]
        for part in best:
            count, usual = counts[:, part].sum(axis=1), usuals[:, part].sum(axis=1)
            met = self._called[: tick + 1] & (count > 0) & (usual > 0)
            if met.sum() < 2:
                continue
            seen, then = np.log(count[met]), np.log(usual[met])
            even, shaped = (float((((r := seen - s) - r.mean()) ** 2).sum()) for s in (np.zeros(seen.size), then))
            logs += (even - shaped) / (2 * SHAPE_SD**2)
        return float(1 / (1 + np.exp(-np.clip(logs, -30, 30))))

    def _price_trust(self, tick: int, profile: Profile) -> float:
        """Whether prices have the shape of the few past days, rather than none: what keeps its level better over today's ticks."""
        told = np.isfinite(self.noise[:tick]) & np.isfinite(self.flat_noise[:tick])
        prior = np.log(3.0 * profile.days**2)
        if told.sum() >= 2:
            shaped, flat = self.level[:tick][told], self.flat_level[:tick][told]
            spread = PRICE_SHAPE_SD**2 + 0.5 * (self.noise[:tick][told] + self.flat_noise[:tick][told])
            prior += float((((flat - flat.mean()) ** 2 - (shaped - shaped.mean()) ** 2) / (2 * spread)).sum())
        return float(1 / (1 + np.exp(-np.clip(prior, -30, 30))))

    def _hope(self, tick: int) -> float:
        """Factor on the traffic to come without past days."""
        return 1.0 + MORE_TO_COME * (self._n - tick - 1) / self._n

    def _cold_level(self, tick: int, part: Ints) -> float:
        """Log price level of ticks against what today showed: the trend of today, damped, and the usual fall."""
        usual = _cold_price(np.append(part, tick), self._n)
        slope = self._late / (self._age + 1.0)
        more = TREND_TRUST * (
            slope - float(_cold_price(np.array([tick]), self._n)[0] - _cold_price(np.array([tick - 1]), self._n)[0])
        )
        ahead = part - tick
        damped = TREND_MEMORY * (1 - TREND_MEMORY**ahead) / (1 - TREND_MEMORY)
        return self._late + float((usual[:-1] - usual[-1] + more * damped).mean())

    def ahead(self, tick: int, stretches: int = 3) -> Ahead:
        """What lies ahead of a tick whose auctions are noted."""
        later = np.arange(tick + 1, self._n)
        parts = (
            [np.array([tick]), *(p for p in np.array_split(later, min(stretches, later.size)) if p.size)]
            if later.size
            else [np.array([tick])]
        )
        ever = self._called[: tick + 1]
        tables, values = np.zeros((len(parts), self._k, BINS)), np.zeros((len(parts), self._k))
        n_seen = int(ever.sum())
        if self._profile is None:
            weight = FRESH ** (tick - np.arange(tick + 1)) * ever
            shape = self._cold_traffic(tick)
            mean = weight @ self._offered[: tick + 1] / (weight @ shape[: tick + 1])
            total = weight @ self._values[: tick + 1]
            worth = total / np.maximum(weight @ self._offered[: tick + 1], 1e-9)
            density = self._fresh_density()
            now = self._offered[tick]
            for g, part in enumerate(parts):
                n = now if g == 0 else mean * shape[part].sum() * self._hope(tick)
                tables[g] = n[:, None] * shifted(density, self._cold_level(tick, part))
                values[g] = np.where(now > 0, self._values[tick] / np.maximum(now, 1e-9), worth) if g == 0 else worth
            return Ahead(tables, values, 0.15 + 0.10 / n_seen, 0.25 / np.sqrt(n_seen) + 0.10, 1.0, 1.0)
        profile = self._profile
        n_ahead = self._n - tick
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
        trust, even = self._trust(tick, profile), self._recent(tick)
        shape, flat_level = 1.0, level
        if self._flat is not None:
            shape = self._price_trust(tick, profile)
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
