r"""Bids that move a little by plan, within a budget, so that how clicks answer to bids can be learned.

A bid that stands still tells nothing of its neighbours. With x = log bid and G' = dG/dx at the best bid, a bid that is
off by d loses G' d^2 / 2 of the payoff, and what the slope of clicks is known by grows with d^2 too: so all units move by
the same |d|, up for some hours and down for others,

    d = min(most, sqrt(2 share sum_i G_i / sum_i G'_i)),

which costs at most `share` of the hour's gain. Up or down is drawn anew every `hours` hours by a fixed scramble of unit
and time: a plan that is made again is the same, half of the units go up while the others go down (the account's spend
hardly moves), and no day's traffic looks like an answer. What reads it: `predictors/elasticity.py`.
"""

from dataclasses import dataclass

import numpy as np

from domain.errors import ConfigError
from domain.outlook import HourTable
from domain.tables import Floats
from domain.time import Hour

#: Half width in log bid over which slopes are taken.
_REACH = 0.1


@dataclass(frozen=True, slots=True)
class Dither:
    """How much bids may move to teach.

    Attributes
    ----------
    share
        Of the hour's gain that may be lost to it.
    most
        Largest move, log bid.
    hours
        Hours that a move lasts: at most so many edits of a day are due to it as fit in.
    """

    share: float = 0.002
    most: float = 0.1
    hours: int = 6

    def __post_init__(self) -> None:
        if not (0 < self.share < 0.1 and 0 < self.most <= 0.3 and 1 <= self.hours <= 24):
            raise ConfigError(f"dithering needs 0 < share < 0.1, 0 < most <= 0.3 and 1 to 24 hours, got {self}")

    def moves(self, hour: Hour, table: HourTable, wanted: Floats, offset: Floats) -> Floats:
        """(n_units,) moves of the log bid around the wanted bids; 0 where there is no bid."""
        bids = np.isfinite(wanted) & (wanted > 0)
        best = np.where(bids, wanted, 0.0)

        def gain(at: Floats) -> Floats:
            bought = table.expected(at)
            return bought["gmv"].to_numpy() + offset * bought["clicks"].to_numpy()

        slope = np.maximum(gain(best * np.exp(_REACH)) - gain(best * np.exp(-_REACH)), 0.0) / (2 * _REACH)
        all_gain, all_slope = float(gain(best)[bids].sum()), float(slope[bids].sum())
        if all_gain <= 0 or all_slope <= 0:
            return np.zeros(wanted.size)
        d = min(self.most, float(np.sqrt(2 * self.share * all_gain / all_slope)))
        block = int(hour.start.timestamp()) // (3600 * self.hours)
        up = _scramble(np.arange(wanted.size, dtype=np.uint64), block)
        return np.where(bids, np.where(up, d, -d), 0.0)


def _scramble(unit: np.ndarray, block: int) -> np.ndarray:
    """(n_units,) a fair coin for each unit and stretch of hours; the same ones give the same (SplitMix64)."""
    with np.errstate(over="ignore"):
        z = unit * np.uint64(0x9E3779B97F4A7C15) + np.uint64(block % 2**32) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) & np.uint64(1)).astype(np.bool_)
