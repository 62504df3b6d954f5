"""What bids would buy of what lies ahead: prices to win, folded with what a bid gets beyond the least place.

A kernel rather than a matrix product, because a linear-algebra library spreads small products over threads that wait in
circles: on a busy machine that costs ten times the work itself.
"""

from typing import Any

import numpy as np
from numba import njit

from domain.tables import Floats
from engine.auction_counts import BINS, Places, Scale
from engine.auction_outlook import Ahead


def response(ahead: Ahead, scale: Scale, places: Places, first_price: bool) -> tuple[Floats, Floats, Floats]:
    """Bids (n_levels,), and exposures and spend (n_stretches * n_buckets, n_levels) that they would buy."""
    table = ahead.table.reshape(-1, BINS)
    mass = table.sum(axis=0)
    total = float(mass.sum())
    cumulated = np.cumsum(mass)
    first = int(np.argmax(cumulated > 1e-9 * total))
    last = int(np.argmax(cumulated >= (1 - 1e-6) * total)) + 1
    last = min(last + 2, BINS)
    seen, cost = places.curves()
    exposures, paid = _folded(np.ascontiguousarray(table[:, first:last]), scale.prices[first:last], seen, cost)
    bids = scale.bids[first:last]
    return bids, exposures, exposures * bids if first_price else paid


@njit(cache=True)
def _folded(table: Any, prices: Any, seen: Any, cost: Any) -> Any:
    """(n_cells, n_levels) exposures, and spend at second price; a bid beats the prices of its own bin and of those below."""
    cells, levels = table.shape
    reach = seen.size
    exposures, spend = np.zeros((cells, levels)), np.zeros((cells, levels))
    for c in range(cells):
        for i in range(levels):
            n = table[c, i]
            if n <= 0.0:
                continue
            worth = n * prices[i]
            near = min(levels, i + reach)
            for j in range(i, near):
                exposures[c, j] += n * seen[j - i]
                spend[c, j] += worth * cost[j - i]
            for j in range(near, levels):  # further above, a higher bid brings no more
                exposures[c, j] += n * seen[reach - 1]
                spend[c, j] += worth * cost[reach - 1]
    return exposures, spend
