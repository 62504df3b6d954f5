"""What a day of auctions has shown of prices, places and traffic, from its first log on."""

import numpy as np

from domain.auctions import TickLog
from domain.tables import Floats, Ints
from engine.auction_counts import Places, Scale, count_tick
from engine.auction_outlook import ENOUGH, Ahead, Today
from engine.auction_profile import Profile, typical_price

#: Won auctions that past days are worth in what places bring.
PAST_PLACES = 20_000


class Shown:
    """Without past days the scale of values and prices is that of the first logs.

    Attributes
    ----------
    scale
        Where buckets and bins lie; ``None`` while too few prices are known.
    places
        What bids get beyond the least place.
    told_share
        Share of auctions whose price to win is told, lately.
    """

    def __init__(
        self, n_ticks: int, first_price: bool, scale: Scale | None, profile: Profile | None, past_places: Places | None
    ) -> None:
        self._n, self._first_price = n_ticks, first_price
        self.places = Places(first_price)
        if past_places is not None:
            for name in ("count", "ratio", "shown", "seen"):
                table = getattr(past_places, name)
                setattr(self.places, name, table * min(1.0, PAST_PLACES / max(float(past_places.shown.sum()), 1.0)))
        self.scale = scale
        self._today = None if scale is None else Today(n_ticks, scale.n_buckets, profile)
        self.told_share = 1.0
        self._early: list[tuple[int, TickLog, float]] = []  # before there is a scale

    @property
    def ready(self) -> bool:
        """Whether anything is known of prices."""
        return self._today is not None and self._today.ready

    def offered(self, tick: int, worth: Floats) -> None:
        """Note the values of the tick that is decided."""
        assert self._today is not None
        assert self.scale is not None
        self._today.offered(tick, self.scale.bucket(worth), worth)

    def ahead(self, tick: int) -> Ahead:
        """What lies ahead of a tick whose values are noted."""
        assert self._today is not None
        return self._today.ahead(tick)

    def learn(self, tick: int, log: TickLog, before: float, price: float | None) -> None:
        """Learn from the log of a tick, with the money that was left before it and the price of money it was bid at."""
        told = log.price_to_win
        assert told is not None
        if log.n:
            self.told_share = 0.5 * self.told_share + 0.5 * float(np.isfinite(told).mean())
        if self.scale is not None:
            self._count(tick, log, before, price)
            return
        # one lucky win at a floor price says little of where prices lie: the scale waits until there are more
        self._early.append((tick, log, before))
        typical, known = typical_price([early for _, early, _ in self._early])
        if typical is None or known < ENOUGH:
            return
        self.scale = Scale.around(np.concatenate([early.values for _, early, _ in self._early]), typical)
        self._today = Today(self._n, self.scale.n_buckets, None)
        for each in self._early:
            self._count(*each, price)
        self._early.clear()

    def _count(self, tick: int, log: TickLog, before: float, price: float | None) -> None:
        assert self._today is not None
        assert self.scale is not None
        counts = count_tick(log, self.scale, self.places, self._first_price, before)
        self._today.learn(tick, counts, _thresholds(self.scale, price))
        if not self._today.seen(tick):
            self._today.offered(tick, self.scale.bucket(log.values), log.values)


def _thresholds(scale: Scale, price: float | None) -> Ints:
    """(n_buckets,) bins of the bids that values at the buckets' edges would get unshaded: where prices matter."""
    edges = np.concatenate([scale.edges[:1] / 1.5, scale.edges]) if scale.edges.size else np.ones(1)
    if price is None:
        price = float(edges[-1]) / float(scale.prices[len(scale.prices) // 2])
    return scale.bin(edges / price)
