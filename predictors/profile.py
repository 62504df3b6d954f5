"""How a week's traffic spreads over its hours, until an account's own hourly rows teach another profile.

The default is the mean over 57 regions of Avito's traffic shares (avito-tech/bat-autobidding-benchmark, MIT
License, Copyright (c) 2025 avito.tech; notice in `hour_of_week.LICENSE`).
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from domain.tables import Floats, Ints
from predictors.sums import summed

HOURS_OF_WEEK = 168


@dataclass(frozen=True, slots=True)
class WeekProfile:
    """Relative traffic of each hour of the local week.

    Attributes
    ----------
    traffic
        (168,) from Monday 00:00, mean 1.
    source
        Where it comes from, for a person.
    """

    traffic: Floats
    source: str

    @classmethod
    def default(cls) -> "WeekProfile":
        """Shipped profile."""
        return cls(_shipped(), "hour-of-week profile of Avito's public traffic shares (MIT)")

    def learned(self, hour_of_week: Ints, clicks: Floats, expected: Floats) -> "WeekProfile":
        """Profile that moves from this one as far as counts allow.

        Parameters
        ----------
        hour_of_week
            (n,) position in the week of each observation.
        clicks, expected
            (n,) clicks seen, and those that this profile expects up to a common level.

        Notes
        -----
        Ratios of each hour are Gamma-Poisson with a prior worth 50 clicks: an hour of the week moves half-way
        to its own ratio after 50 expected clicks.
        """
        total = float(expected.sum())
        if clicks.sum() <= 0 or total <= 0:
            return self
        level = float(clicks.sum()) / total
        seen = summed(hour_of_week, clicks, HOURS_OF_WEEK)
        due = summed(hour_of_week, expected * level, HOURS_OF_WEEK)
        traffic = self.traffic * (50.0 + seen) / (50.0 + due)
        return WeekProfile(traffic / traffic.mean(), "hour-of-week profile of the account's own hourly rows")


@cache
def _shipped() -> Floats:
    text = (files("predictors") / "hour_of_week.csv").read_text(encoding="utf-8")
    rows = [line.split(",") for line in text.splitlines() if line and not line.startswith(("#", "weekday"))]
    traffic = np.array([float(row[2]) for row in rows])
    traffic.setflags(write=False)
    return traffic
