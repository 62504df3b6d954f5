"""How far below value / price to bid: where several places are sold, or the own bid is paid, more of it costs more than it brings."""

import numpy as np

from domain.tables import Floats
from engine.auction_counts import Places, Scale
from engine.auction_goal import Choice
from engine.auction_outlook import Ahead


def shade(
    choice: Choice, scale: Scale, ahead: Ahead, price: float, places: Places, *, first_price: bool
) -> tuple[Floats, Floats]:
    """Log values and what bids are of value / price there; 1 throughout where one place is sold at second price."""
    k = scale.n_buckets
    value = ahead.value[0]
    at = np.log(np.maximum(value, 1e-300))
    if not first_price and places.single:
        return at, np.ones(k)
    ratio = choice.bids[:k] * price / np.maximum(value, 1e-300)
    live = (choice.bids[:k] > 0) & (ahead.table[0].sum(axis=1) > 0)
    if not live.any():
        return at, np.full(k, 1.0 if not first_price else 0.5)
    index: Floats = np.arange(k, dtype=np.float64)
    there: Floats = np.flatnonzero(live).astype(np.float64)
    kept: Floats = np.clip(ratio[live], 0.1, 1.0)
    ratio = np.asarray(np.interp(index, there, kept), np.float64)
    padded: Floats = np.concatenate([ratio[:1], ratio, ratio[-1:]])
    return at, 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]


def ladder(n: int, tick: int) -> Floats:
    """(n,) factors around 1, spread evenly on a log scale from auction to auction."""
    golden = 0.6180339887498949
    return np.exp(0.25 * (((np.arange(n) + 7 * tick) * golden) % 1.0 - 0.5))
