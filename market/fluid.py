r"""The best that could have been done: the fluid optimum on the true curves, with one price of money.

    max  sum_ih v_ih(b_ih)    s.t.   sum_ih c_ih(b_ih) <= B,    sum_ih v_ih >= rho sum_ih c_ih

Under second price each unit and hour bids b_ih = g_ih / theta with ONE theta for all of them (mathematics: I.3,
II.2). Spend falls as theta rises, so theta_B, the smallest price that keeps the budget, is the root of a monotone
function. The slack V - rho C rises as theta falls to rho and falls beyond, so theta_R is sought on (0, rho] only.
theta = max(theta_B, theta_R). "Fluid": expected curves, no Poisson noise, no edit rules, no ticks.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from domain.problem import Status
from domain.tables import Bools, Floats


class Curves(Protocol):
    """Expected response of all units and hours, as far as the best plan needs to know it.

    Attributes
    ----------
    click_value
        (n_units, n_hours) expected gmv of a click.
    cvr, order_value
        (n_units, n_hours) orders per click, and (n_units,) value of one.
    opportunities, level
        (n_units, n_hours) clicks that there are at most, and price level that bids are compared with.
    lowest_theta
        Price of money at which everything there is to buy is bought.
    most_gmv
        Gmv of all clicks there are; no plan spends more than this over its price of money.
    """

    @property
    def click_value(self) -> Floats: ...

    @property
    def cvr(self) -> Floats: ...

    @property
    def opportunities(self) -> Floats: ...

    @property
    def level(self) -> Floats: ...

    @property
    def order_value(self) -> Floats: ...

    @property
    def lowest_theta(self) -> float: ...

    @property
    def most_gmv(self) -> float: ...

    def best_bids(self, theta: float, offset: float = 0.0) -> Floats:
        """(n_units, n_hours) bids that maximise gmv + offset clicks - theta spend."""
        ...

    def at_hour(self, hour: int) -> "Curves":
        """Curves of one hour, as arrays of one column."""
        ...

    def subset(self, units: Bools) -> "Curves":
        """Curves of some units."""
        ...

    def response(self, bids: Floats) -> tuple[Floats, Floats]:
        """Expected (clicks, spend) at bids."""
        ...


@dataclass(frozen=True, slots=True)
class FluidPlan:
    """Hindsight plan of a world.

    Attributes
    ----------
    theta
        Price of money: gmv per unit of spend at which bidding stops.
    bids, spend, clicks
        (n_units, n_hours); bids and spend in account currency.
    gmv
        Expected gmv, in all.
    status
        Which row binds: ``budget_binds``, ``roi_binds``, ``both_tight``, ``slack``; ``unreachable`` where no
        spend at all reaches the ROI target (the plan then buys nothing).
    offset
        What a click is worth beyond its gmv, account currency: above 0 where a CPC cap binds.
    unit_theta
        (n_units,) price of money of each unit where pools have prices of their own; `theta` is then their mean.
    """

    theta: float
    bids: Floats
    spend: Floats
    clicks: Floats
    gmv: float
    status: Status
    offset: float = 0.0
    unit_theta: Floats | None = None

    @property
    def total_spend(self) -> float:
        """Spend in all, account currency."""
        return float(self.spend.sum())

    @property
    def roi(self) -> float:
        """Gmv / spend; NaN where nothing is spent."""
        return self.gmv / self.total_spend if self.total_spend > 0 else float("nan")


def at_theta(truth: Curves, theta: float, status: Status = Status.SLACK, offset: float = 0.0) -> FluidPlan:
    """Plan that bids what is best at a price of money; under second price, (click value + offset) / theta."""
    bids = truth.best_bids(theta, offset)
    clicks, spend = truth.response(bids)
    return FluidPlan(theta, bids, spend, clicks, float((truth.click_value * clicks).sum()), status, offset)


def fluid_optimum(truth: Curves, budget: float | None, roi: float | None, cpc: float | None = None) -> FluidPlan:
    """Best expected gmv under a budget, and an ROI target or a CPC cap, true curves known; ``None`` = no such row."""
    if cpc is not None:
        return _under_cpc(truth, budget, cpc)
    lowest = truth.lowest_theta

    def totals(theta: float) -> tuple[float, float]:
        plan = at_theta(truth, theta)
        return plan.gmv, plan.total_spend

    theta_b = 0.0
    if budget is not None:

        def over_budget(theta: float) -> float:
            return totals(theta)[1] - budget

        if over_budget(lowest) > 0:
            # The best bids cost at most gmv / theta, so this price can never overspend.
            safe = max(truth.most_gmv / budget, 2 * lowest)
            theta_b = _root(over_budget, lowest, safe)
    theta_r = 0.0
    if roi is not None:

        def short_of_roi(theta: float) -> float:
            gmv, spend = totals(theta)
            return roi * spend - gmv

        if short_of_roi(lowest) > 0:
            # At theta = rho every click that is bought pays rho or more: the row holds there.
            if totals(roi)[1] <= 0:
                return at_theta(truth, roi, Status.UNREACHABLE)
            theta_r = _root(short_of_roi, lowest, roi)
    if max(theta_b, theta_r) == 0:
        return at_theta(truth, lowest, Status.SLACK)
    if abs(theta_b - theta_r) <= 1e-9 * max(theta_b, theta_r):
        status = Status.BOTH_TIGHT
    else:
        status = Status.BUDGET_BINDS if theta_b > theta_r else Status.ROI_BINDS
    return at_theta(truth, max(theta_b, theta_r), status)


def _under_cpc(truth: Curves, budget: float | None, cpc: float) -> FluidPlan:
    """Optimum under a budget and a CPC cap: bids (g + eta kappa) / (lambda + eta).

    For a given eta, lambda is the smallest price that keeps the budget; the slack kappa Q - C is then the slope of a
    convex function of eta, so it rises with eta and its root is sought by bisection.
    """
    free = fluid_optimum(truth, budget, None)
    if free.total_spend <= cpc * float(free.clicks.sum()):
        return free
    scale = free.theta

    def at(eta: float) -> FluidPlan:
        """The plan at a price of the CPC row; `theta` is lambda + eta."""
        offset = eta * cpc

        def over_budget(theta: float) -> float:
            return at_theta(truth, theta, offset=offset).total_spend - (budget or math.inf)

        low = max(eta, 1e-12 * scale)
        if budget is None or over_budget(low) <= 0:
            return at_theta(truth, low, Status.CPC_BINDS, offset)
        most = (
            truth.most_gmv * (1 + offset / max(float(truth.click_value[truth.click_value > 0].min()), 1e-12))
        ) / budget
        return at_theta(truth, _root(over_budget, low, max(most, 2 * low), 1e-10), Status.CPC_BINDS, offset)

    def short(eta: float) -> float:
        plan = at(eta)
        return plan.total_spend - cpc * float(plan.clicks.sum())

    high = scale
    while short(high) > 0:
        high *= 4
        if high > 1e9 * scale:
            return at_theta(truth, high, Status.UNREACHABLE, high * cpc)
    return at(_root(short, 1e-9 * scale, high, 1e-10))


@dataclass(frozen=True, slots=True)
class Pool:
    """Units that share a budget and an ROI target of their own.

    Attributes
    ----------
    name
        Of the business type.
    units
        (n_units,) its members.
    budget, roi
        Account currency, and gmv per unit of spend.
    """

    name: str
    units: Bools
    budget: float
    roi: float


def pooled_optimum(truth: Curves, pools: Sequence[Pool]) -> FluidPlan:
    """Optimum where every unit belongs to one pool and no row spans pools: that of each pool, side by side."""
    bids = np.zeros(truth.click_value.shape)
    clicks, spend, theta = np.zeros_like(bids), np.zeros_like(bids), np.zeros(len(bids))
    gmv = 0.0
    states: set[Status] = set()
    for pool in pools:
        plan = fluid_optimum(truth.subset(pool.units), pool.budget, pool.roi)
        bids[pool.units], clicks[pool.units], spend[pool.units] = plan.bids, plan.clicks, plan.spend
        theta[pool.units] = plan.theta
        gmv += plan.gmv
        states.add(plan.status)
    status = states.pop() if len(states) == 1 else Status.BOTH_TIGHT
    return FluidPlan(float(theta.mean()), bids, spend, clicks, gmv, status, unit_theta=theta)


def best_gmv_at_spend(truth: Curves, spend: float) -> FluidPlan:
    """Best plan that spends no more than was spent: what the same money could have bought."""
    return fluid_optimum(truth, spend, None)


def _root(excess: Callable[[float], float], low: float, high: float, tolerance: float = 1e-14) -> float:
    """Smallest point of the bracket, to rounding, at which the excess is gone: bisection in the logarithm.

    The end that is returned is the one without excess, so a plan never breaks the row it is made for.
    """
    a, b = math.log(low), math.log(high)
    while b - a > tolerance * max(1.0, abs(a), abs(b)):
        middle = 0.5 * (a + b)
        if not a < middle < b:
            break
        if excess(math.exp(middle)) > 0:
            a = middle
        else:
            b = middle
    return math.exp(b)
