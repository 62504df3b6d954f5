"""Whether today is a day like those past: in the shape of its traffic, and in that of its prices."""

import numpy as np

from domain.tables import Bools, Floats
from engine.auction_profile import Profile

#: Spread of a tick's traffic around the shape of past days, or around an even one.
SHAPE_SD = 0.25
#: So few past days may have had a shape of their own in prices; spread of a tick's price level around the right shape.
FEW_DAYS, PRICE_SHAPE_SD = 1, 0.15


def traffic_trust(profile: Profile, offered: Floats, called: Bools, *, few: bool) -> float:
    """Whether today's traffic has the shape of past days, rather than none: one past day may have been another kind.

    Parameters
    ----------
    offered, called
        (n_so_far, n_buckets) auctions of the ticks that were called, and which were.
    few
        Whether there are so few past days that it is asked of the best auctions too.
    """
    if not profile.daily:
        return 1.0
    usuals = profile.auctions[: called.size]
    logs = np.log(3.0 * profile.days**2)
    # of few past days also whether the best tenth of auctions comes when it came then: that is what gets bought
    best = [slice(None), slice(offered.shape[1] // 2, None)] if few else [slice(None)]
    for part in best:
        count, usual = offered[:, part].sum(axis=1), usuals[:, part].sum(axis=1)
        met = called & (count > 0) & (usual > 0)
        if met.sum() < 2:
            continue
        seen, then = np.log(count[met]), np.log(usual[met])
        even, shaped = (float((((r := seen - s) - r.mean()) ** 2).sum()) for s in (np.zeros(seen.size), then))
        logs += (even - shaped) / (2 * SHAPE_SD**2)
    return float(1 / (1 + np.exp(-np.clip(logs, -30, 30))))


def price_trust(days: int, level: Floats, noise: Floats, flat_level: Floats, flat_noise: Floats) -> float:
    """Whether prices have the shape of the few past days, rather than none: what keeps its level better over today's ticks.

    Parameters
    ----------
    level, noise, flat_level, flat_noise
        (n_so_far,) log price level against the shape of past days and its error variance; the same against their mean.
    """
    told = np.isfinite(noise) & np.isfinite(flat_noise)
    prior = np.log(3.0 * days**2)
    if told.sum() >= 2:
        shaped, flat = level[told], flat_level[told]
        spread = PRICE_SHAPE_SD**2 + 0.5 * (noise[told] + flat_noise[told])
        prior += float((((flat - flat.mean()) ** 2 - (shaped - shaped.mean()) ** 2) / (2 * spread)).sum())
    return float(1 / (1 + np.exp(-np.clip(prior, -30, 30))))
