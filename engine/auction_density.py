"""Where prices to win lie, as densities over bins: smoothed, moved, and how far a tick's prices lie from one."""

import numpy as np

from domain.tables import Floats, Ints
from engine.auction_counts import BINS, STEP, TickCounts

#: Price shifts that are looked for, in bins.
_SHIFTS = np.arange(-40, 41)


def broad(counts: Floats, n_buckets: int) -> Floats:
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


def density_of(table: Floats, pooled: Floats) -> Floats:
    """(n_buckets, BINS) smoothed densities: a bucket with few auctions borrows from its neighbours, then from all."""
    total = pooled.sum(axis=0)
    every = broad(total, table.shape[0])
    near = pooled.copy()
    near[1:] += 0.5 * pooled[:-1]
    near[:-1] += 0.5 * pooled[1:]
    base = (near + 20.0 * every) / (near.sum(axis=1, keepdims=True) + 20.0)
    mixed = (table + 40.0 * base) / (table.sum(axis=1, keepdims=True) + 40.0)
    return blurred(mixed)


def blurred(density: Floats) -> Floats:
    """Densities blurred by a bin to each side, mass kept."""
    out = 0.5 * density
    out[..., 1:] += 0.25 * density[..., :-1]
    out[..., :-1] += 0.25 * density[..., 1:]
    out[..., 0] += 0.25 * density[..., 0]
    out[..., -1] += 0.25 * density[..., -1]
    return out


def by_tick(tables: Floats, base: Floats) -> Floats:
    """(n_ticks, n_buckets, BINS) densities; a tick leans on the two beside it."""
    near = tables.copy()
    near[1:] += 0.5 * tables[:-1]
    near[:-1] += 0.5 * tables[1:]
    total = near.sum(axis=2, keepdims=True)
    mixed = (near + 40.0 * base[None]) / (total + 40.0)
    return blurred(mixed)


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
