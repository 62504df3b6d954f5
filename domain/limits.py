"""What a platform and a trader allow for single bids."""

import math
from dataclasses import dataclass

from domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class BidLimits:
    """Bounds of one bid, per click, in account currency.

    Attributes
    ----------
    floor, cap
        Smallest and largest legal bid; below the floor a unit can only be paused.
    tick
        Smallest step between two legal bids.
    max_step
        Largest relative change within one hour: 0.5 allows -50 % to +50 %; ``inf`` for no limit.
    max_cut
        Largest relative cut within one hour where it differs from `max_step`: 1.0 allows any cut.
    edits_per_day
        Most edits of one unit in one local day; ``None`` for no limit.
    may_pause
        Whether a unit may be left without a bid.
    """

    floor: float = 0.01
    cap: float = 1000.0
    tick: float = 0.01
    max_step: float = math.inf
    max_cut: float | None = None
    edits_per_day: int | None = None
    may_pause: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.tick <= self.floor <= self.cap:
            raise ConfigError(
                f"bid limits need 0 < tick <= floor <= cap, got tick={self.tick}, floor={self.floor}, cap={self.cap}"
            )
        if not self.max_step > 0:
            raise ConfigError(f"bid limits need max_step > 0, got {self.max_step}")
        if self.max_cut is not None and not self.max_cut > 0:
            raise ConfigError(f"bid limits need max_cut > 0 or none, got {self.max_cut}")
        if self.edits_per_day is not None and self.edits_per_day < 1:
            raise ConfigError(f"bid limits need edits_per_day >= 1 or none, got {self.edits_per_day}")

    @property
    def largest_cut(self) -> float:
        """Largest relative cut within one hour, at most 1: all of the bid."""
        return min(1.0, self.max_step if self.max_cut is None else self.max_cut)
