r"""How much of what lies ahead to buy: the price of money for the rest of a day under a budget and one ratio target.

The cells of the program are value buckets x stretches of the day; levels are bids. The laminar solver gives, for any
spend C, the most value V(C) that it can buy, its price and its bids. The target on spend per value (kappa: CPA, CPC or
1 / ROI) then is a question of C alone, asked with the uncertain factor L on values:

    hard    the largest C with (C0 + C) / kappa <= L (V0 + V(C)), in the mean; and more than SLACK over target has a chance of at
            most RISK, both by what was truly bought and by what is counted: n0 + Poisson
    soft    max E_L[ score(L (V0 + V(C)), C0 + C) ] among plans that go over target by at most OVERSHOOT, L taken `lean`
            of its errors above its mean; beyond them only where the best plan of all is better by CLEARLY: where few
            auctions are as cheap as the target, V (kappa V / C)^2 goes on rising past it (V' C / V > 2/3), often to
            several times the value
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bidding.frontier import value_of_spend
from bidding.laminar import LaminarSolver
from domain.auctions import TargetMode, score
from domain.errors import OptimizationError
from domain.groups import Groups
from domain.problem import Problem, RowKind, Rows, Solution
from domain.tables import Bools, Floats
from engine.auction_value import ValueLevel

#: Spend and value of plans (as believed) -> whether each is admissible, the same at hopeful values, and how good it is.
Judge = Callable[[Floats, Floats], tuple[Bools, Bools, Floats]]

#: How far a soft plan may go over target; what a hard one may, and with how many standard errors to spare.
OVERSHOOT = 0.05
#: By how much the score of a soft plan beyond that must be better, in a day that has not turned to one and in one that has.
#: The doubt about what lies ahead comes on top: money spent beyond the target does not come back, money kept can still go there.
CLEARLY, STILL = 0.07, 0.02
#: How much of that doubt a plan beyond the target gives away of its score to spend less: the score is flat near its best.
SPARE = 0.3
SLACK, TRUE_Z, COUNTED_Z = 0.10, 1.75, 0.5


@dataclass(frozen=True, slots=True)
class Bought:
    """What was bought so far: money, believed value, and events or value counted."""

    spend: float = 0.0
    due: float = 0.0
    came: float = 0.0


@dataclass(frozen=True, slots=True)
class Choice:
    """What to buy of what lies ahead.

    Attributes
    ----------
    bids
        (n_cells,) bid per cell; 0 = out.
    price
        Believed value per unit of money at the margin.
    spend, value
        Of the rest of the day; value as believed (level 1).
    now
        Spend of the first stretch.
    binding
        ``budget``, ``target``, ``none`` or ``unreachable``.
    beyond
        Whether the plan goes beyond a soft target because that scores clearly more.
    """

    bids: Floats
    price: float
    spend: float
    value: float
    now: float
    binding: str
    beyond: bool = False


class Program:
    """The rest of the day as a program with one budget row.

    Parameters
    ----------
    bids, exposures, spend
        (n_levels,), (n_cells, n_levels) twice.
    value
        (n_cells,) believed value of an exposure.
    n_first
        Cells of the stretch that is decided; they stand first.
    """

    def __init__(self, bids: Floats, exposures: Floats, spend: Floats, value: Floats, n_first: int) -> None:
        n = value.size
        self._n_first = n_first
        top = float(spend[:, -1].sum())
        self.most = top
        self._unit = max(top, 1e-300)
        worth = exposures * value[:, None]
        self._worth = max(float(worth[:, -1].sum()), 1e-300)
        # in shares of what is there, so that no currency and no scale of values matters
        self._problem = Problem(
            bids=np.broadcast_to(bids / bids[-1], exposures.shape).copy(), clicks=exposures, spend=spend / self._unit,
            gmv=worth / self._worth, groups=Groups.single(n), rows=Rows.of((RowKind.BUDGET, 0, 0.0, 1.0)),
        )  # fmt: skip
        self._bid_unit = float(bids[-1])
        self._solver = LaminarSolver()

    def at(self, spend: float) -> Solution:
        """Best that this much money buys, in shares."""
        rows = replace(self._problem.rows, right=np.array([min(spend / self._unit, 1.0)]))
        return self._solver.solve(replace(self._problem, rows=rows))

    def vertices(self, most: float) -> tuple[Floats, Floats]:
        """Spends up to `most` and the most value of each: a few hundred points of the concave curve, the last at `most`."""
        spend, value = value_of_spend(self._problem)
        spend, value = spend * self._unit, value * self._worth
        wanted = most * np.concatenate([np.geomspace(1e-4, 0.1, 40), np.linspace(0.1, 1.0, 181)[1:]])
        return wanted, np.interp(wanted, spend, value)

    def totals(self, solution: Solution) -> tuple[float, float]:
        """Spend and believed value of a solution."""
        return float(solution.spend.sum()) * self._unit, float(solution.gmv.sum()) * self._worth

    def choice(self, solution: Solution, binding: str) -> Choice:
        """Solution in the account's currency."""
        spend, value = self.totals(solution)
        theta = float(solution.theta.min(initial=np.inf))
        return Choice(
            bids=solution.bid * self._bid_unit, price=theta * self._worth / self._unit, spend=spend, value=value,
            now=float(solution.spend[: self._n_first].sum()) * self._unit, binding=binding,
        )  # fmt: skip


def choose(
    program: Program,
    bought: Bought,
    remaining: float,
    kappa: float | None,
    mode: TargetMode,
    level: ValueLevel,
    beyond: bool = False,
    doubt: float = 0.0,
    lean: float = 0.0,
) -> Choice:
    """Choose how much of what lies ahead to buy; raises what the solver raises.

    ``beyond`` tells that the last plan went beyond a soft target: plans do not turn back for a trifle.
    ``doubt`` is how far the score of a plan may be off. A soft plan's bound on cost holds with the value level `lean` of its
    errors above its mean: values that turn out higher than believed leave much unbought, lower ones cost little score.
    """
    most = min(remaining, program.most)
    if most <= 0:
        raise OptimizationError("there is nothing to buy, or no money to buy it with")
    plenty = program.most <= remaining * (1 + 1e-9)
    if kappa is None:
        return program.choice(program.at(most), "none" if plenty else "budget")
    judge = _soft(bought, kappa, level, lean) if mode is TargetMode.SOFT else _hard(bought, kappa, level)
    spend, value = program.vertices(most)
    fits, hoped, marks = judge(spend, value)
    reachable = bool(fits.any())
    if not reachable:  # what makes the day's ratio best, and of that the most
        ratios = (bought.spend + spend) / np.maximum(bought.due + value, 1e-300)
        best = int(np.flatnonzero(ratios <= 1.01 * ratios.min())[-1])
    else:
        best = int(np.argmax(np.where(fits, marks, -np.inf)))
    far = False
    if mode is TargetMode.SOFT:
        top = int(np.argmax(marks))
        clearly = STILL + 0.5 * doubt if beyond else CLEARLY + doubt
        far = bool(marks[best] < (1 - min(clearly, 0.5)) * marks[top])
        if far:  # of plans as good, the one that spends least: it keeps more to choose from
            best = int(np.argmax(marks >= (1 - SPARE * doubt) * marks[top]))
        elif reachable:
            best = int(np.argmax(np.where(hoped, marks, -np.inf)))
    if spend[best] >= 0.995 * most and (reachable or far):
        return replace(program.choice(program.at(most), "none" if plenty else "budget"), beyond=far)
    binding = "target" if reachable or far else "unreachable"
    return replace(program.choice(program.at(float(spend[best])), binding), beyond=far)


def _soft(bought: Bought, kappa: float, level: ValueLevel, lean: float) -> Judge:
    """Expected score of the day by spend and believed value of its rest, and whether the plan is admissible."""
    factor, p = level.posterior()
    keep = p > 2e-3
    factor, p = factor[keep], p[keep] / p[keep].sum()
    mean = float(p @ factor)
    hoped = mean + lean * float(np.sqrt(max(float(p @ factor**2) - mean**2, 0.0)))

    def judge(spend: Floats, value: Floats) -> tuple[Bools, Bools, Floats]:
        whole, paid = bought.due + value, bought.spend + spend
        most = (1 + OVERSHOOT) * kappa * whole
        return (
            paid <= mean * most,
            paid <= hoped * most,
            (p[:, None] * score(factor[:, None] * whole, paid, kappa)).sum(axis=0),
        )

    return judge


def _hard(bought: Bought, kappa: float, level: ValueLevel) -> Judge:
    """Whether a plan is safe enough, and what it buys."""
    mean, sd = level.mean_sd()
    spread = level.dispersion

    def judge(spend: Floats, value: Floats) -> tuple[Bools, Bools, Floats]:
        paid, whole = bought.spend + spend, bought.due + value
        true, counted = mean * whole, bought.came + mean * value
        true_sd, counted_sd = sd * whole, np.sqrt(spread * mean * value + (sd * value) ** 2)
        late = (1 + SLACK) * kappa
        fits = paid <= kappa * np.minimum(true, counted)
        fits &= paid <= late * np.minimum(true - TRUE_Z * true_sd, counted - COUNTED_Z * counted_sd)
        return fits, fits, value

    return judge
