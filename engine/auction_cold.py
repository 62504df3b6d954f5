"""What is taken for the rest of a day of auctions where no past day tells: shape of its traffic, fall and trend of its prices."""

import numpy as np

from domain.tables import Bools, Floats, Ints
from predictors.profile import WeekProfile

#: Fall of log prices from the middle to the end of a day; spread of a tick's traffic around a shape.
COLD_FALL, COLD_TRAFFIC_SD = 0.5, 0.4
#: How much more than today's traffic may still come, at the start of the day (to buy too much too early costs more than
#: too little, which is made up for).
MORE_TO_COME = 0.5
#: How much of today's price trend is believed, and how much of it is left after a tick.
TREND_TRUST, TREND_MEMORY = 0.6, 0.95


def usual_fall(ticks: Ints, n_ticks: int) -> Floats:
    """Log price level by tick: rivals run dry, so prices fall somewhat late in the day."""
    return -COLD_FALL * np.maximum((ticks + 0.5) / n_ticks - 0.4, 0.0) / 0.6


def traffic_shape(n_ticks: int, tick: int, offered: Floats, called: Bools) -> Floats:
    """(n_ticks,) shape of the day's traffic: even, or that of a calendar day, as today speaks for it.

    Parameters
    ----------
    offered, called
        (n_ticks, n_buckets) auctions of the ticks that were called, and which were.
    """
    even = np.ones(n_ticks)
    if n_ticks % 24:
        return even
    day = WeekProfile.default().traffic.reshape(7, 24).mean(axis=0)
    hours = (np.arange(n_ticks) + 0.5) * 24 / n_ticks
    calendar = np.interp(hours, np.arange(-1, 25) + 0.5, np.concatenate([day[-1:], day, day[:1]]))
    calendar /= calendar.mean()
    count = offered[: tick + 1].sum(axis=1)
    met = called[: tick + 1] & (count > 0)
    if met.sum() < 2:
        return 0.5 * (even + calendar)
    seen = np.log(count[met])
    misfit = [float(((r := seen - np.log(s[: tick + 1][met])) - r.mean()) @ (r - r.mean())) for s in (even, calendar)]
    trust = 1.0 / (1.0 + np.exp(np.clip((misfit[1] - misfit[0]) / (2 * COLD_TRAFFIC_SD**2), -30, 30)))
    return trust * calendar + (1 - trust) * even


def hope(tick: int, n_ticks: int) -> float:
    """Factor on the traffic to come."""
    return 1.0 + MORE_TO_COME * (n_ticks - tick - 1) / n_ticks


def price_level(tick: int, part: Ints, n_ticks: int, late: float, age: float) -> float:
    """Log price level of ticks against what today showed: the trend of today, damped, and the usual fall.

    Parameters
    ----------
    late, age
        Log price level of the last tick against the mean of those before it, and how many ticks made that mean.
    """
    usual = usual_fall(np.append(part, tick), n_ticks)
    slope = late / (age + 1.0)
    more = TREND_TRUST * (
        slope - float(usual_fall(np.array([tick]), n_ticks)[0] - usual_fall(np.array([tick - 1]), n_ticks)[0])
    )
    ahead = part - tick
    damped = TREND_MEMORY * (1 - TREND_MEMORY**ahead) / (1 - TREND_MEMORY)
    return late + float((usual[:-1] - usual[-1] + more * damped).mean())
