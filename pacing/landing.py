"""A soft landing: near its end a ratio target is not chased with money that can hardly move it.

When a share f of a row's money is left, the price of money that still meets the row exactly lies delta / f above the one at
which the rest was bought, delta being what luck has made of the row: as f goes to zero it runs away, and the last hours buy
next to nothing. With k f (1 - f) x^2 the gmv that is lost where the rest is priced x (log) beside the past, and
p (delta - f x)^2 that of missing the row, the best is

    x = x_exact f / (f + f0 (1 - f)),   f0 = k / p:

all of what is exact while much is left, none of it at the very end (a linear-quadratic regulator with one step to go;
Bertsekas, Dynamic Programming and Optimal Control, 3.1). Only upward: a row that luck has left with room is no miss, and the room
buys gmv. Only rows of roi and cpa, whose orders are luck: budgets and cpc caps are met exactly. And only where the target
ends with the promotion: on ordinary days what was missed is made up for in time.
"""

from collections.abc import Sequence

import numpy as np

from domain.groups import Groups
from domain.outlook import Outlook
from domain.tables import Floats, Known

#: A correction that keeps this share of itself is left alone.
_WHOLE = 0.98


def kept(left: float, softness: float) -> float:
    """Share of the exact correction that is worth making while a share `left` of the money is to come."""
    return left / (left + softness * (1.0 - left)) if left > 0 else 0.0


def is_near(left: float, softness: float) -> bool:
    """Whether so little is left that corrections are softened."""
    return kept(left, softness) < _WHOLE


def landed(theta: Floats, usual: Floats, groups: Groups, rows: Sequence[tuple[int, float]], softness: float) -> Floats:
    """(n_units,) prices of money, those above the usual ones drawn toward them.

    Parameters
    ----------
    theta, usual
        (n_units,) prices that meet all rows exactly, and those at which the past was bought; NaN where none was.
    rows
        Ratio rows: position of the group in the account's tree, and the share of its money that is to come.
    softness
        f0.
    """
    share = np.ones(len(groups.names))
    for group, left in rows:
        share[group] = min(share[group], kept(left, softness))
    for g in range(1, share.size):
        share[g] = min(share[g], share[groups.parent[g]])
    soft = share[groups.leaf]
    drawn = np.isfinite(theta) & (theta > usual) & (soft < _WHOLE)
    if not drawn.any():
        return theta
    chased, past, s = theta[drawn], usual[drawn], soft[drawn]
    found = theta.copy()
    found[drawn] = past * (chased / past) ** s
    return found


def usual_prices(known: Known, groups: Groups) -> Floats:
    """(n_units,) geometric mean of the prices that remembered hours were planned at, by money; NaN where none was."""
    planned = known.planned
    amount, price = planned["amount"].to_numpy(), planned["theta"].to_numpy()
    position = {name: g for g, name in enumerate(groups.names)}
    group = np.array([position.get(name, -1) for name in planned["group"].to_list()], np.int64)
    good = np.flatnonzero((group >= 0) & (amount > 0) & np.isfinite(price) & (price > 0))
    n = len(groups.names)
    money = np.bincount(group[good], weights=amount[good], minlength=n)
    logs = np.bincount(group[good], weights=amount[good] * np.log(price[good]), minlength=n)
    return np.exp(np.divide(logs, money, out=np.full(n, np.nan), where=money > 0))[groups.leaf]


def moved_spend(outlook: Outlook, groups: Groups, before: Floats, after: Floats, offset: Floats) -> Floats:
    """(n_groups,) factor on the present hour's spend where prices of money move, (n_units,) each: best levels of the tables."""
    table = outlook.at(0)
    worth = (outlook.click_value * outlook.value[0] + offset)[:, None] * table.clicks

    def spend(theta: Floats) -> Floats:
        priced = np.isfinite(theta) & (theta > 0)
        gain = worth - np.where(priced, theta, 0.0)[:, None] * table.spend
        best = gain.argmax(1)
        row = np.arange(best.size, dtype=np.intp)
        return np.where(priced & (gain[row, best] > 0), table.spend[row, best], 0.0)

    was, now = (groups.rolled_up(spend(theta)) for theta in (before, after))
    return np.divide(now, was, out=np.ones_like(was), where=was > 0)
