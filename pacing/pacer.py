"""Receding horizon: every hour, re-solve all that is left and take the price of money of the present hour.

The optimal price is the same for every hour that shares a row, if the forecast is right (it is the shadow
price of one budget over the whole horizon); so warm-up, pre-sale, burst and return need no hand-made split,
and the answer of a solve is one number per group (mathematics II.1-II.2). What was bought so far enters the
right sides at its matured value, never at the reported one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from domain.errors import OptimizationError
from domain.goals import Goals, Period, Scope, Target, TargetKind
from domain.groups import Groups
from domain.outlook import Outlook
from domain.phases import PromotionCalendar
from domain.plans import RowReport, SpendTargets
from domain.problem import Certificate, Solution, Status
from domain.protocols import Solver
from domain.tables import Bools, Floats, Known
from pacing.exploration import Exploration
from pacing.hedge import Answer, cases, hedged
from pacing.horizon import HorizonProgram, PlacedRow, build, uncovered
from pacing.landing import is_near, landed, moved_spend, usual_prices
from pacing.ledger import Ledger
from pacing.trim import PiTrim

TRIM_LOOKBACK_HOURS = 24


@dataclass(frozen=True, slots=True)
class RecedingHorizon:
    """The pacer of the product.

    Attributes
    ----------
    solver
        Solves the program of the rest of the horizon.
    trim
        Fast correction of the price on spend that leaves its plan; ``None`` = off.
    least_return
        Least gmv that one more unit of money must bring where no ROI, CPC or CPA target says otherwise: a
        loose budget alone is no reason to pay more for a click than it is worth. 0 = spend it all.
    exploration
        Budgeted group of units that bid more than they seem worth, to learn; ``None`` = off.
    carry_over
        Whether what finished phases left of their budgets goes to the next phase with a budget. Hard caps of the
        breaker must allow for it.
    hedge
        Whether prices allow for the forecast's own error; see `pacing.hedge`.
    softness
        How softly ratio targets land at a promotion's end, see `pacing.landing`; 0 = they are met to the last.
    """

    solver: Solver
    trim: PiTrim | None = field(default_factory=PiTrim)
    least_return: float = 1.0
    exploration: Exploration | None = None
    carry_over: bool = False
    hedge: bool = True
    softness: float = 0.03

    def targets(
        self, known: Known, outlook: Outlook, goals: Goals, calendar: PromotionCalendar, groups: Groups
    ) -> SpendTargets:
        """Prices and spend aims for the hour of `known`; raises `OptimizationError` where nothing solved."""
        ledger = Ledger(known, outlook, groups)
        plain, own = self._solve(outlook, goals, calendar, groups, ledger)
        answers, attempts = [own], list(plain.attempts)
        for case in cases(outlook) if self.hedge else ():
            try:
                answers.append(self._solve(case, goals, calendar, groups, ledger)[1])
            except OptimizationError as error:
                attempts.append(str(error))  # the forecast's own answer is there: one case fewer
        told = hedged(answers)
        theta, offset, spend = told.theta.copy(), told.offset, told.spend
        soft = self._landed(known, outlook, groups, _ending(plain, outlook, calendar), theta, offset)
        eased = _moved(theta, soft)
        if soft is not theta:
            spend = spend * moved_spend(outlook, groups, theta, soft, offset)[groups.leaf]
            theta = soft
        ceiling = _ceilings(plain, groups)
        theta[(ceiling <= 0)[groups.leaf]] = np.inf
        trim = self._trim(known, goals, ledger)
        reason = _reason(plain, trim, _moved(own.theta, told.theta), eased)
        theta = theta * trim
        if self.exploration is not None:
            learning = self.exploration.plan(outlook, theta, float(spend.sum()))
            theta, spend = theta * np.exp(-learning.raise_by), spend + learning.spend
            reason = "; ".join(part for part in (reason, learning.words) if part)
        amount = np.minimum(groups.rolled_up(spend), ceiling)
        return SpendTargets(
            hour=known.hour,
            groups=groups,
            amount=amount,
            ceiling=ceiling,
            theta=theta,
            offset=offset,
            status=plain.status,
            rows=_reports(plain),
            certificate=plain.certificate,
            reason=reason,
            trim=trim,
            attempts=tuple(attempts),
        )

    def _solve(
        self,
        outlook: Outlook,
        goals: Goals,
        calendar: PromotionCalendar,
        groups: Groups,
        ledger: Ledger,
    ) -> "tuple[_Solved, Answer]":
        """What the program of the rest under one forecast came to, and what that asks of the present hour."""
        tz = ledger.known.account.tz
        program = build(outlook, goals, calendar, groups, ledger, tz, self.least_return, self.carry_over)
        solution = self.solver.solve(program.problem)
        n, bins = groups.leaf.size, program.n_bins
        theta = solution.theta.reshape(n, bins)[:, program.now_bin].copy()
        offset = solution.offset.reshape(n, bins)[:, program.now_bin].copy()
        spend = solution.spend.reshape(n, bins)[:, program.now_bin] * program.now_share
        free = uncovered(goals.targets, groups)
        theta = np.where(free, np.maximum(theta, self.least_return), theta)
        to_come = groups.rolled_up(solution.spend.reshape(n, bins).sum(1))
        return _Solved.of(program, solution, to_come), Answer(float(outlook.price[0]), theta, offset, spend)

    def _landed(
        self,
        known: Known,
        outlook: Outlook,
        groups: Groups,
        ending: "Sequence[tuple[int, float, float]]",
        theta: Floats,
        offset: Floats,
    ) -> Floats:
        """(n_units,) prices, softened for ending rows: group, what was spent, what exact prices would spend yet."""
        if not any(is_near(to_come / (spent + to_come), self.softness) for _, spent, to_come in ending):
            return theta
        usual = usual_prices(known, groups)
        # at prices that run away next to nothing is to come: what the usual ones would spend is what can be moved
        more = moved_spend(outlook, groups, theta, np.where(np.isfinite(usual), usual, theta), offset)
        moves = [(group, spent, float(more[group]) * to_come) for group, spent, to_come in ending]
        rows = [(group, rest / max(spent + rest, 1e-12)) for group, spent, rest in moves]
        return landed(theta, usual, groups, rows, self.softness)

    def _trim(self, known: Known, goals: Goals, ledger: Ledger) -> float:
        if self.trim is None or not known.planned.height:
            return 1.0
        starts, planned = known.planned_for("account")
        last = np.argsort(starts, kind="stable")[-TRIM_LOOKBACK_HOURS:]
        budgets = [t for t in goals.of(TargetKind.BUDGET) if t.scope is Scope.ACCOUNT]
        used = float(ledger.since(budgets[0].since).spend[0]) / budgets[0].value if budgets else 1.0
        return self.trim.factor(planned[last].tolist(), known.spend_in(starts[last]).tolist(), used)


@dataclass(frozen=True, slots=True)
class _Solved:
    """What is told of a program and its solution; their tables, a gigabyte in wide accounts, are not kept."""

    rows: tuple[PlacedRow, ...]
    notes: tuple[str, ...]
    status: Status
    row_binds: Bools
    multipliers: Floats
    certificate: Certificate
    attempts: tuple[str, ...]
    to_come: Floats

    @classmethod
    def of(cls, program: HorizonProgram, solution: Solution, to_come: Floats) -> "_Solved":
        return cls(
            program.rows, program.notes, solution.status, solution.row_binds, solution.multipliers,
            solution.certificate, solution.attempts, to_come,
        )  # fmt: skip


def _ending(solved: _Solved, outlook: Outlook, calendar: PromotionCalendar) -> list[tuple[int, float, float]]:
    """Ratio rows that end with the promotion, and bind or cannot be met: group, spent so far, to be spent yet."""
    window = calendar.window
    if window is None or outlook.hours[-1].end < window.end or solved.status is Status.STARVED:
        return []
    return [
        (row.group, row.spent, float(solved.to_come[row.group]))
        for row, binds in zip(solved.rows, solved.row_binds, strict=True)
        if row.target.kind in (TargetKind.ROI, TargetKind.CPA)
        and row.target.period is Period.HORIZON
        and (binds or (solved.status is Status.UNREACHABLE and row.right < 0))
        and solved.to_come[row.group] > 0
    ]


def _ceilings(solved: _Solved, groups: Groups) -> Floats:
    """(n_groups,) money left under budget rows that cover the present hour; ``inf`` where there is none."""
    ceiling = np.full(len(groups.names), np.inf)
    for row in solved.rows:
        if row.target.kind is TargetKind.BUDGET and not (row.start is None and row.target.period.value == "day"):
            ceiling[row.group] = min(ceiling[row.group], row.right)
    for g in range(1, len(groups.names)):
        ceiling[g] = min(ceiling[g], ceiling[groups.parent[g]])
    return ceiling


def _reports(solved: _Solved) -> tuple[RowReport, ...]:
    """Each target once: rows of coming days of the same target are folded into the present one."""
    found: dict[Target, RowReport] = {}
    for k, row in enumerate(solved.rows):
        binds, price = bool(solved.row_binds[k]), float(solved.multipliers[k])
        if row.target in found:
            continue
        found[row.target] = RowReport(
            kind=row.target.kind.value,
            group=row.target.label,
            target=row.target.value,
            spent=row.spent,
            gained=row.gained,
            right=row.right,
            binds=binds,
            shadow_price=price,
            words=_words(row, binds, price, solved.status),
        )
    return tuple(found.values())


def _words(row: PlacedRow, binds: bool, price: float, status: Status) -> str:
    kind, where = row.target.kind, row.target.label
    if kind is TargetKind.BUDGET:
        left = f"{row.right:,.2f} of {row.target.value:,.2f} left on {where}"
        return f"{left}; one more 100 of budget buys {100 * price:,.0f} gmv" if binds else f"{left}; it does not bind"
    so_far = f"{row.gained / row.spent:.2f}" if row.spent > 0 else "nothing bought yet"
    names = {TargetKind.ROI: "roi", TargetKind.CPC: "cpc", TargetKind.CPA: "cpa"}
    head = f"{names[kind]} target {row.target.value:g} on {where}"
    if kind is TargetKind.ROI:
        head += f" (matured so far: {so_far})"
    if status is Status.UNREACHABLE and (binds or row.right < 0):
        return f"{head} cannot be met now"
    return f"{head} binds; 100 of slack buys {100 * price:,.0f} gmv" if binds else f"{head} is met with room"


def _moved(before: Floats, after: Floats) -> float:
    """Mean log by which prices of money rose."""
    priced = np.isfinite(before) & (before > 0)
    return float(np.log(after[priced] / before[priced]).mean()) if priced.any() else 0.0


def _reason(solved: _Solved, trim: float, moved: float, eased: float) -> str:
    texts = {
        Status.SLACK: "no target binds: a click is bought up to what it is worth",
        Status.BUDGET_BINDS: "the budget sets the price of money",
        Status.ROI_BINDS: "the roi target sets the price of money",
        Status.CPC_BINDS: "the cpc cap sets the price of money",
        Status.CPA_BINDS: "the cpa target sets the price of money",
        Status.BOTH_TIGHT: "budget and roi are tight at once",
        Status.STARVED: "the targets leave next to nothing to buy",
        Status.UNREACHABLE: "the targets cannot be met; this violates them least",
    }
    parts = [texts[solved.status]]
    if solved.status in (Status.STARVED, Status.UNREACHABLE) and solved.certificate.words:
        parts.append(solved.certificate.words)
    if abs(moved) > 0.01:
        parts.append(
            f"price {'raised' if moved > 0 else 'lowered'} by {abs(math.expm1(moved)):.0%} as the forecast may err"
        )
    if eased < -0.01:
        parts.append(
            f"price {-math.expm1(eased):.0%} below what would still meet the target: too little is left to move it"
        )
    if abs(trim - 1.0) > 0.005:
        parts.append(f"price {'raised' if trim > 1 else 'lowered'} by {abs(trim - 1):.1%} because spend left its plan")
    parts.extend(solved.notes)
    return "; ".join(parts)
