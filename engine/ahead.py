"""The rest of the horizon in figures: what a solved program buys hour by hour, and what becomes of each target."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from domain.goals import Goals, Period, Scope, Target, TargetKind
from domain.groups import Groups
from domain.outlook import Outlook
from domain.phases import PromotionCalendar
from domain.problem import Solution, Status
from domain.protocols import Solver
from domain.tables import UTC_TIME, Floats, Known
from domain.time import Hour
from pacing.horizon import HorizonProgram, PlacedRow, build
from pacing.ledger import Ledger
from pacing.ramp import Ramp

FIGURES = ("spend", "clicks", "orders", "gmv")
#: Relative shortfall from which on a target counts as missed rather than rounded.
TOLERANCE = 5e-3


@dataclass(frozen=True, slots=True)
class TargetOutcome:
    """What becomes of one target.

    Attributes
    ----------
    target
        As the trader wrote it.
    so_far
        Spend for a budget, else the ratio, of what was bought since its start; ``None`` where nothing was.
    reached
        The same at the end of its period, with what the plan buys.
    binds
        Whether it shapes the plan.
    met
        Whether it is kept.
    words
        One sentence a trader reads.
    """

    target: Target
    so_far: float | None
    reached: float | None
    binds: bool
    met: bool
    words: str


@dataclass(frozen=True, slots=True)
class Ahead:
    """The rest of the horizon under one set of goals.

    Attributes
    ----------
    goals
        Goals that were used, with what was added to what the trader said.
    status, words
        What sets the pace, and whether the targets can be met, in a sentence or two.
    spend, clicks, orders, gmv
        Expected from the hour on, orders and gmv final ones; account currency and counts.
    hours
        Columns ``start_utc, spend, clicks, orders, gmv``, one row per planned hour.
    rows
        Each target's outcome.
    notes
        What a person should know.
    """

    goals: Goals
    status: Status
    words: str
    spend: float
    clicks: float
    orders: float
    gmv: float
    hours: pl.DataFrame
    rows: tuple[TargetOutcome, ...]
    notes: tuple[str, ...]

    @property
    def roi(self) -> float | None:
        """Gmv per unit of spend."""
        return self.gmv / self.spend if self.spend > 0 else None

    @property
    def cpc(self) -> float | None:
        """Spend per click, account currency."""
        return self.spend / self.clicks if self.clicks > 0 else None

    @property
    def cpa(self) -> float | None:
        """Spend per order, account currency."""
        return self.spend / self.orders if self.orders > 0 else None

    @property
    def feasible(self) -> bool:
        """Whether all targets can be kept."""
        return self.status is not Status.UNREACHABLE and all(row.met for row in self.rows)


class Purchases:
    """What a program's answer buys, unit by unit and hour by hour."""

    def __init__(self, outlook: Outlook, program: HorizonProgram, solution: Solution) -> None:
        self.hours: tuple[Hour, ...] = outlook.hours
        self._bins, self._traffic = program.bins, outlook.traffic
        value = outlook.value
        self._factor: Mapping[str, Floats | float] = {
            "spend": outlook.price,
            "clicks": 1.0,
            "orders": value,
            "gmv": value,
        }
        n, n_bins = outlook.n_units, program.n_bins
        unit = np.repeat(np.arange(n), n_bins)
        # The base hour's figures of the mix of levels in each cell; every hour of a bin scales them.
        self._rate: dict[str, Floats] = {}
        for name in FIGURES:
            table: Floats = getattr(outlook, name)
            low = np.where(solution.lower >= 0, table[unit, np.maximum(solution.lower, 0)], 0.0)
            high = np.where(solution.upper >= 0, table[unit, np.maximum(solution.upper, 0)], 0.0)
            self._rate[name] = ((1.0 - solution.share) * low + solution.share * high).reshape(n, n_bins)

    def of(self, name: str, units: NDArray[np.bool_] | None = None) -> Floats:
        """(n_hours,) spend, clicks, orders or gmv of some units (``None``: all); 0 in hours that are not planned."""
        chosen: slice | NDArray[np.bool_] = slice(None) if units is None else units
        rate = self._rate[name][chosen][:, np.maximum(self._bins, 0)] * self._traffic[chosen]
        return np.where(self._bins >= 0, rate.sum(axis=0) * self._factor[name], 0.0)

    def by_hour(self) -> pl.DataFrame:
        """Columns of `Ahead.hours`."""
        columns = {"start_utc": [h.start for h in self.hours], **{n: self.of(n) for n in FIGURES}}
        return pl.DataFrame(columns, schema_overrides={"start_utc": UTC_TIME}).filter(pl.Series(self._bins >= 0))


def ramp_path(
    ramp: Ramp,
    known: Known,
    outlook: Outlook,
    calendar: PromotionCalendar,
    groups: Groups,
    solver: Solver,
    least_return: float = 1.0,
) -> pl.DataFrame:
    """Predicted path of spend, CPC, ROI and price of money while changed targets are approached.

    Each planned hour is read off the rest of the horizon as it will be asked for in that hour, at present knowledge.

    Returns
    -------
    pl.DataFrame
        ``start_utc, spend, clicks, orders, gmv, cpc, roi, theta``, one row per hour until the ramp's end, at least one;
        `theta` is the spend-weighted mean. Ratios are null where nothing is bought.
    """
    ledger = Ledger(known, outlook, groups)
    rows: list[dict[str, object]] = []
    for position, hour in enumerate(outlook.hours):
        if position and hour.start >= ramp.end:
            break
        program = build(outlook, ramp.goals_at(hour), calendar, groups, ledger, known.account.tz, least_return)
        solution = solver.solve(program.problem)
        bought, n = Purchases(outlook, program, solution), groups.leaf.size
        sums = {name: float(bought.of(name)[position]) for name in FIGURES}
        at = max(int(program.bins[position]), 0)
        theta, weight = (a.reshape(n, program.n_bins)[:, at] for a in (solution.theta, solution.spend))
        priced = np.isfinite(theta) & (weight > 0)
        rows.append(
            {
                "start_utc": hour.start,
                **sums,
                "cpc": sums["spend"] / sums["clicks"] if sums["clicks"] > 0 else None,
                "roi": sums["gmv"] / sums["spend"] if sums["spend"] > 0 else None,
                "theta": float(np.average(theta[priced], weights=weight[priced])) if priced.any() else None,
            }
        )
    ratios = {name: pl.Float64() for name in ("cpc", "roi", "theta")}
    return pl.DataFrame(rows, schema_overrides={"start_utc": UTC_TIME, **ratios})


def followed(path: pl.DataFrame, known: Known) -> pl.DataFrame:
    """What became of a predicted path: its hours that are reported, with actual spend, CPC and their miss.

    ``spend_miss`` and ``cpc_miss`` are actual / predicted - 1; null where nothing was predicted or bought.
    """
    hourly = known.performance.filter(pl.col("grain") == "hour").group_by("start_utc")
    actual = hourly.agg(pl.col("spend").sum().alias("actual_spend"), pl.col("clicks").sum().alias("actual_clicks"))
    joined = path.join(actual, on="start_utc", how="inner").sort("start_utc")
    cpc = pl.when(pl.col("actual_clicks") > 0).then(pl.col("actual_spend") / pl.col("actual_clicks"))
    return joined.with_columns(actual_cpc=cpc).with_columns(
        spend_miss=pl.when(pl.col("spend") > 0).then(pl.col("actual_spend") / pl.col("spend") - 1),
        cpc_miss=pl.when(pl.col("cpc") > 0).then(pl.col("actual_cpc") / pl.col("cpc") - 1),
    )


def told(
    goals: Goals,
    outlook: Outlook,
    program: HorizonProgram,
    solution: Solution,
    ledger: Ledger,
    groups: Groups,
    calendar: PromotionCalendar,
    notes: tuple[str, ...],
) -> Ahead:
    """Put a solved rest of the horizon into figures and words."""
    bought = Purchases(outlook, program, solution)
    tz = ledger.known.account.tz
    rows: dict[Target, TargetOutcome] = {}
    for row in program.rows:  # of a daily target the day that is under way comes first, and is the one told
        if row.target not in rows:
            binds = any(
                bool(b) for b, r in zip(solution.row_binds, program.rows, strict=True) if r.target == row.target
            )
            inside = np.array([_speaks_of(row.target, h, bought.hours[0], calendar, tz) for h in bought.hours])
            rows[row.target] = _outcome(row, binds, inside, bought, groups, ledger)
    hours = bought.by_hour()
    total = {name: float(hours[name].sum()) for name in FIGURES}
    outcomes = tuple(rows.values())
    return Ahead(
        goals=goals,
        status=solution.status,
        words=_words(solution, outcomes),
        hours=hours,
        rows=outcomes,
        notes=notes,
        **total,
    )


def _speaks_of(target: Target, hour: Hour, first: Hour, calendar: PromotionCalendar, tz: object) -> bool:
    if target.scope is Scope.PHASE:
        phase = calendar.phase_at(hour.start)
        return phase is not None and phase.name == target.key
    if target.period is Period.DAY:
        return hour.local(tz).date() == first.local(tz).date()  # type: ignore[arg-type]
    return True


def _outcome(
    row: PlacedRow, binds: bool, inside: NDArray[np.bool_], bought: Purchases, groups: Groups, ledger: Ledger
) -> TargetOutcome:
    target, group = row.target, row.group
    members = None if group == 0 else groups.members(group)
    past = ledger.since(row.start)
    before = {name: float(getattr(past, name)[group]) for name in FIGURES}
    rest = {name: float(bought.of(name, members)[inside].sum()) for name in FIGURES}
    if target.kind in (TargetKind.ROI, TargetKind.CPA):  # as the program has it: the money that stays
        before["spend"] = float(past.final_spend[group])
        rest["spend"] *= ledger.outlook.spend_kept
    whole = {name: before[name] + rest[name] for name in FIGURES}
    reached = _figure(target.kind, whole)
    met = _kept(target, reached)
    return TargetOutcome(
        target, _figure(target.kind, before), reached, binds, met, _outcome_words(target, reached, met)
    )


def _figure(kind: TargetKind, sums: Mapping[str, float]) -> float | None:
    if kind is TargetKind.BUDGET:
        return sums["spend"]
    above = sums["gmv"] if kind is TargetKind.ROI else sums["spend"]
    below = sums[{TargetKind.ROI: "spend", TargetKind.CPC: "clicks", TargetKind.CPA: "orders"}[kind]]
    return above / below if below > 0 else None


def _kept(target: Target, reached: float | None) -> bool:
    if reached is None:
        return True
    if target.kind is TargetKind.ROI:
        return reached >= target.value * (1 - TOLERANCE)
    return reached <= target.value * (1 + TOLERANCE)


_NAMES = {TargetKind.BUDGET: "budget", TargetKind.ROI: "ROI", TargetKind.CPC: "CPC", TargetKind.CPA: "CPA"}


def _outcome_words(target: Target, reached: float | None, met: bool) -> str:
    name, where = _NAMES[target.kind], target.label
    if reached is None:
        return f"{name} on {where}: nothing is bought"
    if target.kind is TargetKind.BUDGET:
        day = " today" if target.period is Period.DAY else ""
        return f"{reached:,.0f} of {target.value:,.0f} on {where} is spent{day}" + (
            "" if met else ", more than allowed"
        )
    side = "at least" if target.kind is TargetKind.ROI else "at most"
    return f"{name} on {where} ends at {reached:,.2f}; {side} {target.value:,.2f} was asked" + (
        "" if met else ": missed"
    )


_PACE = {
    Status.SLACK: "No target binds: every unit bids what a click is worth to it",
    Status.BUDGET_BINDS: "The budget sets the pace",
    Status.ROI_BINDS: "The ROI target sets the pace",
    Status.CPC_BINDS: "The CPC cap sets the pace",
    Status.CPA_BINDS: "The CPA target sets the pace",
    Status.BOTH_TIGHT: "Budget and ROI target are both used up",
}


def _words(solution: Solution, rows: tuple[TargetOutcome, ...]) -> str:
    if solution.status is Status.UNREACHABLE:
        return f"The targets cannot all be met: {solution.certificate.words}"
    if solution.status is Status.STARVED:
        return f"The targets leave next to nothing to buy: {solution.certificate.words}"
    missed = [row.words for row in rows if not row.met]
    if missed:
        return f"Not every target is kept: {'; '.join(missed[:3])}"
    return _PACE[solution.status] + ("; all targets are met" if rows else "")
