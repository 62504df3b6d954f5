"""Says in a trader's words what an answer means: what binds, what relaxing it buys, and what cannot be met."""

import numpy as np

from bidding import curves
from domain.problem import Problem, RowKind, Status
from domain.tables import Bools, Floats, Ints

_ROW = {RowKind.BUDGET: "budget", RowKind.ROI: "ROI target", RowKind.CPC: "CPC target", RowKind.CPA: "CPA target"}


def amount(number: float) -> str:
    """Money or counts with as many digits as a person wants to read."""
    size = abs(number)
    if not np.isfinite(size):
        return str(number)
    if size >= 1e15 or 0 < size < 1e-4:
        return f"{number:.3g}"
    return f"{number:,.0f}" if size >= 1000 else f"{number:,.2f}" if size >= 1 else f"{number:.4g}"


def row_name(problem: Problem, row: int) -> str:
    """``ROI target of 4.00 on campaign:C3``."""
    rows = problem.rows
    kind = RowKind(int(rows.kind[row]))
    number = rows.right[row] if kind is RowKind.BUDGET else rows.target[row]
    return f"{_ROW[kind]} of {amount(float(number))} on {problem.groups.names[int(rows.group[row])]}"


def shadow_price_in_words(problem: Problem, row: int, price: float, spend: float) -> str:
    """What relaxing a row is worth: 100 more budget, or a ratio target eased by 1 %; `spend` is the group's own."""
    gain = "gmv" if problem.value is None else "value"
    rows, kind, name = problem.rows, RowKind(int(problem.rows.kind[row])), row_name(problem, row)
    if kind is RowKind.BUDGET:
        return f"one more 100 of {name} buys {amount(100 * price)} {gain}"
    target, right = float(rows.target[row]), float(rows.right[row])
    if kind is RowKind.ROI:
        eased, leeway = target * 0.99, 0.01 * target * spend
    else:  # a tight row's target times clicks or orders is what was spent less the right side
        eased, leeway = target * 1.01, 0.01 * max(spend - right, 0.0)
    return f"easing the {name} by 1 % to {amount(eased)} buys {amount(price * leeway)} {gain}"


def answer_in_words(
    problem: Problem,
    status: Status,
    spend: Floats,
    gmv: Floats,
    multipliers: Floats,
    binds: Bools,
    unreachable: Ints,
) -> str:
    """One or two sentences on an answer; `spend` and `gmv` are sums per group, shape (n_groups,)."""
    if status is Status.UNREACHABLE:
        return "; ".join(unreachable_row(problem, int(r), spend, gmv) for r in unreachable[:3])
    if status is Status.SLACK:
        return "no target binds: every unit stands at its best level"
    worth = multipliers * np.where(binds, 1.0, 0.0)
    top = np.argsort(-worth * np.maximum(spend[problem.rows.group], 1e-12), kind="stable")[:2]
    prices = ((int(r), float(worth[r]), float(spend[problem.rows.group[r]])) for r in top if worth[r] > 0)
    told = "; ".join(shadow_price_in_words(problem, *three) for three in prices)
    if status is Status.STARVED:
        best = _steepest(problem)
        return f"next to nothing can be bought: the best unit returns {best:.2f} per unit of spend; {told}"
    if status is Status.BOTH_TIGHT:
        return f"two targets are tight at once, their prices share one theta; {told}"
    return told


def unreachable_row(problem: Problem, row: int, spend: Floats, gmv: Floats) -> str:
    """Why a row alone cannot be met, and by how much it is missed; `spend` and `gmv` are sums per group."""
    rows = problem.rows
    kind, g, right = RowKind(int(rows.kind[row])), int(rows.group[row]), float(rows.right[row])
    name = row_name(problem, row)
    if kind is RowKind.BUDGET:
        if right < 0:
            return f"{name}: {amount(-right)} more than the budget is spent already; raise it by that much"
        return (
            f"{name} cannot be met: the lowest bids allowed already spend {amount(float(spend[g]))}; raise the budget "
            f"by {amount(float(spend[g]) - right)}, or lower bid floors"
        )
    if kind is RowKind.ROI:
        rho = float(rows.target[row])
        short = rho * float(spend[g]) - float(gmv[g]) - right
        told = f"{name} cannot be met: {amount(short)} gmv short at best"
        # The right side is V0 - rho C0; where it is 0 nothing was bought before, and the ratio itself can be told.
        if spend[g] > 0 and right == 0:
            told += f"; best reachable ROI is {best_ratio(problem, g):.2f}"
        return told + "; lower the target, or lower bid floors"
    return f"{name} cannot be met at the lowest bids allowed; raise the target, or lower bid floors"


def best_ratio(problem: Problem, group: int, gained: float = 0.0, spent: float = 0.0) -> float:
    """Largest (gained + gmv) / (spent + spend) that a group can reach, by Dinkelbach's iteration."""
    inside = problem.groups.members(group)
    first, last, may = (a[inside] for a in curves.windows(problem))
    cost, gmv = np.asarray(problem.spend[inside], float), np.asarray(problem.gmv[inside], float)
    level = np.arange(int(cost.shape[1]))
    allowed = (level >= first[:, None]) & (level <= last[:, None])
    ratio = -np.inf
    # At a ratio below all reachable ones every unit stands at its end; each pass then raises it.
    trial = 0.0
    for _ in range(100):
        worth = np.where(allowed, gmv - trial * cost, -np.inf)
        pick = worth.argmax(axis=1)
        row = np.arange(int(pick.size))
        on = ~may | (worth[row, pick] > 0)
        c, v = float(cost[row, pick][on].sum()) + spent, float(gmv[row, pick][on].sum()) + gained
        if c <= 0 or v / c <= ratio * (1 + 1e-12):
            break
        ratio = trial = v / c
    return max(ratio, 0.0)


def _steepest(problem: Problem) -> float:
    """Best value per unit of spend of any level."""
    if not problem.spend.size:
        return 0.0
    value = np.asarray(curves.value_table(problem), float)
    cost = np.asarray(problem.spend, float)
    return float(np.max(np.where(cost > 0, value / np.where(cost > 0, cost, 1.0), 0.0)))
