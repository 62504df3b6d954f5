"""What past days teach a bidder in auctions: where values and prices lie, how a day runs, what places bring, how far values are off."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from domain.auctions import Day
from domain.tables import Floats
from engine.auction_counts import Places, Scale
from engine.auction_input import logs_of
from engine.auction_profile import Profile, make_profile, typical_price
from engine.auction_value import ValueHabit


@dataclass(frozen=True, slots=True)
class Past:
    """Past days; without any, only what is usual of values is known.

    Attributes
    ----------
    scale
        Where buckets of values and bins of prices lie.
    profile
        An ordinary day.
    places
        What bids get beyond the least place.
    habit
        How far believed values are off, as they go.
    """

    scale: Scale | None = None
    profile: Profile | None = None
    places: Places | None = None
    habit: ValueHabit = field(default_factory=ValueHabit)

    @property
    def log_value(self) -> Floats | None:
        """(n_ticks,) mean log value of an auction, by tick of an ordinary day."""
        return None if self.profile is None else self.profile.log_value

    @classmethod
    def of_days(cls, days: Sequence[Day], *, first_price: bool, events: bool, daily: bool) -> "Past | None":
        """What these days teach; ``None`` where nothing was won and no price told: as good as no days."""
        logs = logs_of(days)
        if not logs:
            return None
        values = np.concatenate([log.values[:: max(1, log.n // 500)] for log in logs])
        typical, _ = typical_price(logs)
        if typical is None:
            return None
        scale, places = Scale.around(values, typical), Places(first_price)
        profile = make_profile(days, scale, places, first_price, daily)
        usual = profile.log_value if profile is not None else None
        return cls(scale, profile, places, ValueHabit.of_days(days, usual, events=events))
