"""Bids before any price is known: they span many prices, and their worst case costs few shares of the budget."""

from dataclasses import dataclass

import numpy as np

from domain.auctions import TargetMode
from domain.tables import Floats

#: A tick in which no price is known yet may cost this many even shares of the budget at most.
PROBE_SHARES = 1.5


@dataclass(slots=True)
class Probe:
    """Rises while nothing comes of it.

    Attributes
    ----------
    height
        Factor on the even share.
    at
        Money left when it was last asked.
    """

    height: float = 1.0
    at: float = -np.inf

    def bids(
        self, worth: Floats, remaining: float, ticks_left: int, kappa: float | None, mode: TargetMode
    ) -> tuple[Floats, float]:
        """Bids of a tick, and the least multiplier among them.

        Parameters
        ----------
        kappa
            Most spend per value, ``None`` without a target.
        """
        share = PROBE_SHARES * remaining / max(ticks_left, 1)
        step = np.arange(worth.size)
        rung = np.zeros(worth.size)
        for r, every in enumerate((4, 16, 64, 256), start=1):
            rung[step % every == every - 1] = r
        height = 4.0**rung
        # nothing came of the last probe: bid more; more than a share is gone: less, even if nobody tells of it
        gone = self.at - remaining
        if gone >= 0:
            self.height *= 4.0 if gone < 0.5 * share / PROBE_SHARES else (0.5 if gone > share else 1.0)
        self.at = remaining
        multiplier = self.height * share / max(float((worth * height).sum()), 1e-300)
        if kappa is not None:
            # a soft target may have to be passed: prices that are only met beyond it are looked for too, once it is seen
            # that none below it sells anything
            most = kappa * (max(self.height / 4, 1.0) ** 0.5 if mode is TargetMode.SOFT else 1.0)
            multiplier = min(multiplier, most)
            height = np.minimum(height, max(most / multiplier, 1.0))
        return np.minimum(worth * multiplier * height, remaining), multiplier
