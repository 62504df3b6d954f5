"""Instances for the solver benchmarks: log-normal landscapes, heavy-tailed click values, rows that bind.

Rows are placed at a pilot solution: prices of money are drawn for every campaign and the account, every unit
answers with its best level, and right sides are what that answer uses, moved by a few percent so that no pure
choice of levels is optimal. So the wanted share of rows binds, whatever the size.
"""

import numpy as np
from numba import njit
from scipy.special import ndtr

from domain.groups import Groups
from domain.problem import Problem, RowKind, Rows

CHUNK = 50_000


#: Positions of a page, best first: clicks against the last one, price that holds it against the last one, and what a
#: click is worth against the mean, which draws of `tables` spread between units.
SLOT_CLICKS, SLOT_PRICE, SLOT_WORTH = (4.0, 2.5, 1.6, 1.0), (3.0, 1.9, 1.3, 1.0), (0.9, 1.0, 1.05, 1.05)


def paged(
    bid: np.ndarray, median: np.ndarray, spread: np.ndarray, offers: np.ndarray, worth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clicks, spend and worth of the clicks (1 = that of a mean click) of bids (units, m) on a page of four positions.

    Position j costs ``median SLOT_PRICE_j exp(spread Z)`` a click with one normal Z for the page, and a bid gets the best
    one that it can pay. `worth` (units,) is the power of each unit's SLOT_WORTH.
    """
    s = spread[:, None]
    clicks, spend, value = np.zeros_like(bid), np.zeros_like(bid), np.zeros_like(bid)
    won_above, paid_above = 0.0, 0.0
    for rate, dearer, gain in zip(SLOT_CLICKS, SLOT_PRICE, SLOT_WORTH, strict=True):
        price = median[:, None] * dearer
        z = (np.log(np.maximum(bid, 1e-300)) - np.log(price)) / s
        won, paid = ndtr(z), ndtr(z - s)
        here = offers[:, None] * rate * (won - won_above)
        clicks += here
        spend += offers[:, None] * rate * price * np.exp(s**2 / 2) * (paid - paid_above)
        value += here * gain ** worth[:, None]
        won_above, paid_above = won, paid
    return clicks, spend, value


def tables(rng: np.random.Generator, units: int, levels: int, *, positions: bool = False) -> dict[str, np.ndarray]:
    """float32 response tables (units, levels), per-unit click value and cvr, and the landscapes they sample.

    With `positions` the landscapes are pages (`paged`), whose clicks are worth more or less by position.
    """
    out = {name: np.empty((units, levels), np.float32) for name in ("bids", "clicks", "spend", "gmv", "orders")}
    value, cvr = np.empty(units), np.empty(units)
    landscape = {name: np.empty(units) for name in ("median", "spread", "offers")}
    grid = np.linspace(-2.5, 2.5, levels)
    landscape["worth"] = np.zeros(units)
    for at in range(0, units, CHUNK):
        part = slice(at, min(at + CHUNK, units))
        n = part.stop - part.start
        median, spread = np.exp(rng.normal(0, 0.6, n)), rng.uniform(0.3, 1.2, n)
        offers = np.exp(rng.normal(3, 1, n))
        landscape["median"][part], landscape["spread"][part], landscape["offers"][part] = median, spread, offers
        cvr[part] = np.exp(rng.normal(-3, 0.5, n))
        # Pareto tail of order values: a few units carry much of the gmv.
        value[part] = cvr[part] * 40 * (1 + rng.pareto(2.5, n))
        z = grid / spread[:, None]
        clicks = offers[:, None] * ndtr(z)
        out["bids"][part] = median[:, None] * np.exp(grid)
        out["clicks"][part] = clicks
        out["spend"][part] = (offers * median * np.exp(spread**2 / 2))[:, None] * ndtr(z - spread[:, None])
        out["gmv"][part] = value[part, None] * clicks
        out["orders"][part] = cvr[part, None] * clicks
        if positions:
            landscape["worth"][part] = rng.normal(0.5, 1, n)
            bid = median[:, None] * np.exp(grid)
            clicks, spend, gained = paged(bid, median, spread, offers, landscape["worth"][part])
            out["clicks"][part], out["spend"][part] = clicks, spend
            out["gmv"][part], out["orders"][part] = value[part, None] * gained, cvr[part, None] * gained
            for name in ("clicks", "spend", "gmv", "orders"):
                np.maximum.accumulate(out[name][part], axis=1, out=out[name][part])
    return {**out, **landscape, "value": value, "cvr": cvr}


@njit(cache=True)
def _answers(spend, lift, price, leaf, n_groups, columns, out):
    """Sums per group of the columns at each unit's best level of gmv + lift_i clicks - price_i spend."""
    n, levels = spend.shape
    clicks, gmv = columns[1], columns[2]
    for i in range(n):
        best, at = 0.0, -1
        for level in range(levels):
            z = gmv[i, level] + lift[i] * clicks[i, level] - price[i] * spend[i, level]
            if z > best:
                best, at = z, level
        if at >= 0:
            for j in range(4):
                out[leaf[i], j] += columns[j][i, at]


def instance(
    units: int, campaigns: int, kind: str, levels: int = 20, seed: int = 0, *, positions: bool = False
) -> Problem:
    """T0: a budget or an ROI row per campaign and an account budget; T1: budget or ROI, and a CPC row, each."""
    rng = np.random.default_rng(seed)
    t = tables(rng, units, levels, positions=positions)
    # A few units hang on the account itself, so that its row can bind beside that of a single campaign.
    grouped = units - units // 50
    leaf = np.zeros(units, np.int32)
    leaf[:grouped] = 1 + np.arange(grouped, dtype=np.int64) * campaigns // max(grouped, 1)
    names = ("account", *(f"campaign:{k}" for k in range(campaigns)))
    groups = Groups(names, np.concatenate([[-1], np.zeros(campaigns)]).astype(np.int32), leaf)
    k = campaigns + 1
    # Prices of money: the account's, and above it those of the campaigns whose own row binds.
    account = 2.0
    own = account * np.where(np.arange(k) % 10 < 7, rng.uniform(1.1, 2.0, k), 0.8)
    own[0] = account
    theta = np.maximum(own, account)
    lift = np.zeros(k)
    if kind == "t1":
        # A CPC row of price eta adds eta (kappa clicks - spend): kappa is set to what the answer pays.
        lift = np.where(np.arange(k) % 10 < 7, rng.uniform(0.2, 1.5, k), 0.0)
    sums = np.zeros((k, 4))
    kappa = np.full(k, 1.0)
    columns = (t["spend"], t["clicks"], t["gmv"], t["orders"])
    for _ in range(4 if kind == "t1" else 1):
        sums[:] = 0.0
        _answers(t["spend"], (lift * kappa)[leaf], (theta + lift)[leaf], leaf, k, columns, sums)
        kappa = sums[:, 0] / np.maximum(sums[:, 1], 1e-12)
    # The campaigns' own rows at their own price, the account's at the price in force.
    used = np.zeros((k, 4))
    _answers(t["spend"], (lift * kappa)[leaf], (own + lift)[leaf], leaf, k, columns, used)
    rows: list[tuple[RowKind, int, float, float]] = []
    for g in range(1, k):
        move = 1 + 0.02 * rng.standard_normal()
        if g % 2:
            rows.append((RowKind.BUDGET, g, 0.0, float(used[g, 0] * move)))
        else:
            rows.append((RowKind.ROI, g, float(used[g, 2] / max(used[g, 0], 1e-12) * (1 + 0.3 * (move - 1))), 0.0))
        if kind == "t1":
            cap = sums[g, 0] / max(sums[g, 1], 1e-12) * (1.0 if lift[g] else 1.3)
            rows.append((RowKind.CPC, g, float(cap * (1 + 0.2 * (move - 1))), 0.0))
    rows.append((RowKind.BUDGET, 0, 0.0, float(sums[:, 0].sum() * 0.995)))
    if kind == "t1":
        rows.append((RowKind.ROI, 0, float(sums[:, 2].sum() / sums[:, 0].sum() * 0.9), 0.0))
    return Problem(t["bids"], t["clicks"], t["spend"], t["gmv"], groups, Rows.of(*rows), orders=t["orders"])
