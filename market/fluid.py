r"""The best that could have been done: the fluid optimum on the true curves, with one price of money.

    max  sum_ih v_ih(b_ih)    s.t.   sum_ih c_ih(b_ih) <= B,    sum_ih v_ih >= rho sum_ih c_ih

Under second price each unit and hour bids b_ih = g_ih / theta with ONE theta for all of them (mathematics: I.3,
II.2). Spend falls as theta rises, so theta_B, the smallest price that keeps the budget, is the root of a monotone
function. The slack V - rho C rises as theta falls to rho and falls beyond, so theta_R is sought on (0, rho] only.
theta = max(theta_B, theta_R). "Fluid": expected curves, no Poisson noise, no edit rules, no ticks.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from domain.problem import Status
from domain.tables import Floats
from market.truth import Truth

#: A bid of a million median prices wins every auction: there is nothing to buy beyond.
_EVERYTHING = 1e6


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
    """

    theta: float
    bids: Floats
    spend: Floats
    clicks: Floats
    gmv: float
    status: Status

    @property
    def total_spend(self) -> float:
        """Spend in all, account currency."""
        return float(self.spend.sum())

    @property
    def roi(self) -> float:
        """Gmv / spend; NaN where nothing is spent."""
        return self.gmv / self.total_spend if self.total_spend > 0 else float("nan")


def at_theta(truth: Truth, theta: float, status: Status = Status.SLACK) -> FluidPlan:
    """Plan that bids click value / theta everywhere."""
    value = truth.click_value
    bids = value / theta
    clicks, spend = truth.response(bids)
    return FluidPlan(theta, bids, spend, clicks, float((value * clicks).sum()), status)


def fluid_optimum(truth: Truth, budget: float | None, roi: float | None) -> FluidPlan:
    """Best expected gmv under a budget and an ROI target, true curves known; ``None`` = no such row."""
    lowest = float((truth.click_value / truth.price_median).min()) / _EVERYTHING

    def totals(theta: float) -> tuple[float, float]:
        plan = at_theta(truth, theta)
        return plan.gmv, plan.total_spend

    theta_b = 0.0
    if budget is not None:

        def over_budget(theta: float) -> float:
            return totals(theta)[1] - budget

        if over_budget(lowest) > 0:
            # Bids of g / theta cost at most gmv / theta, so this price can never overspend.
            safe = float((truth.opportunities * truth.click_value).sum()) / budget
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


def best_gmv_at_spend(truth: Truth, spend: float) -> FluidPlan:
    """Best plan that spends no more than was spent: what the same money could have bought."""
    return fluid_optimum(truth, spend, None)


def _root(excess: Callable[[float], float], low: float, high: float) -> float:
    """Smallest point of the bracket, to rounding, at which the excess is gone: bisection in the logarithm.

    The end that is returned is the one without excess, so a plan never breaks the row it is made for.
    """
    a, b = math.log(low), math.log(high)
    while b - a > 1e-14 * max(1.0, abs(a), abs(b)):
        middle = 0.5 * (a + b)
        if not a < middle < b:
            break
        if excess(math.exp(middle)) > 0:
            a = middle
        else:
            b = middle
    return math.exp(b)
