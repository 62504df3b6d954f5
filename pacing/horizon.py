"""The rest of the horizon as one bidding program.

A unit's curve in hour h is its base curve scaled by traffic, price and value (`Outlook`). The price of money
is one number over all hours that share a row, so hours need not be told apart one by one: hours of equal
value-to-price ratio behave alike, and a *cell* (unit x bin of hours) carries their summed weights

    spend_l  = spend_il * sum_h traffic_ih price_h        gmv_l = gmv_il * sum_h traffic_ih value_h .

Rows that speak of a day or of a phase cut the horizon into segments; bins never cross a segment. The tree is

    account > phase > day > business type > campaign      where time rows exist and inner groups have no
                                                          row over the whole horizon
    account > business type > campaign > phase > day      where only innermost groups have time rows.

Other mixtures overlap (an account budget per phase beside campaign totals): then only the present segment is
planned, with each whole-horizon right side cut down to the segment's share of the traffic to come.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

import numpy as np
from numpy.typing import NDArray

from domain.goals import Goals, Period, Scope, Target, TargetKind
from domain.groups import Groups
from domain.outlook import Outlook
from domain.phases import PromotionCalendar
from domain.problem import Problem, RowKind, Rows
from domain.tables import Bools, Floats
from domain.time import ONE_HOUR, Hour, day_start
from pacing.ledger import Ledger

MAX_BINS = 12
#: Cells that a program holds at most, as long as each unit has one; many units share fewer bins of hours.
MOST_CELLS = 4_000_000
#: Table entries from which on single precision does: its rounding is a thousandth of what a forecast knows.
SINGLE_FROM = 40_000_000
#: Memory of a standing ratio target on ordinary days.
EVERGREEN = timedelta(days=7)

_ROW_KIND = {
    TargetKind.BUDGET: RowKind.BUDGET,
    TargetKind.ROI: RowKind.ROI,
    TargetKind.CPC: RowKind.CPC,
    TargetKind.CPA: RowKind.CPA,
}


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A target as a row of the program.

    Attributes
    ----------
    target
        What the trader wrote.
    group
        Position in the account's own tree.
    start
        Instant from which purchases count.
    spent, gained, right
        Bought since then (spend, matured gmv) and what that leaves as right side. Of ROI and CPA rows `spent` is what
        stays once invalid clicks are credited back.
    """

    target: Target
    group: int
    start: datetime | None
    spent: float
    gained: float
    right: float


@dataclass(frozen=True, slots=True)
class HorizonProgram:
    """The program of the rest of the horizon.

    Attributes
    ----------
    problem
        Cells (unit-major: cell = unit * n_bins + bin) and rows.
    rows
        Where each row of the problem comes from.
    n_bins
        Bins of hours per unit.
    now_bin
        Bin that holds the hour to decide.
    now_share
        (n_units,) share of a cell's spend that falls on that hour.
    notes
        What a person should know.
    bins
        (n_hours,) bin of each hour of the outlook; -1 where the hour is not planned.
    """

    problem: Problem
    rows: tuple[PlacedRow, ...]
    n_bins: int
    now_bin: int
    now_share: Floats
    notes: tuple[str, ...]
    bins: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Segment:
    phase: str
    day: str
    hours: NDArray[np.intp]


def build(
    outlook: Outlook,
    goals: Goals,
    calendar: PromotionCalendar,
    groups: Groups,
    ledger: Ledger,
    tz: tzinfo,
    least_return: float = 0.0,
    carry_over: bool = False,
) -> HorizonProgram:
    """Make the program of all hours of the outlook under all goals.

    `least_return` is the least gmv that one more unit of money must bring in units that no ratio target covers. With
    `carry_over`, what finished phases left of their budgets goes to the first phase with a budget that is not over.

    Raises `ConfigError` where a target names a group that the account does not have.
    """
    targets = _with_phase_budgets(goals.targets, calendar)
    if carry_over:
        targets = _carried(targets, calendar, ledger)
    by_day = [t for t in targets if t.period is Period.DAY]
    by_phase = [t for t in targets if t.scope is Scope.PHASE]
    segments = _segments(outlook.hours, calendar, tz, bool(by_phase), bool(by_day))
    notes: list[str] = []
    inner_scopes = (Scope.CAMPAIGN, Scope.BUSINESS_TYPE, Scope.UNIT)
    inner_horizon = any(t.scope in inner_scopes and t.period is Period.HORIZON for t in targets)
    inner_time_only = not by_phase and all(t.scope is Scope.CAMPAIGN for t in by_day)
    traffic_share = 1.0
    split_days = bool(by_day) and len({s.day for s in segments}) < len(segments)
    if len(segments) > 1 and (split_days or (inner_horizon and not inner_time_only)):
        total = float(outlook.traffic.sum())
        traffic_share = float(outlook.traffic[:, segments[0].hours].sum()) / total if total > 0 else 1.0
        notes.append("targets by day, by phase and by campaign overlap: only the present stretch is planned ahead")
        segments = segments[:1]
    bins, n_bins, now_bin = _bins(outlook, segments)
    spend_w, gmv_w, click_w = _weights(outlook, bins, n_bins)
    tree, leaf, place = _tree(
        groups,
        segments,
        time_inside=inner_horizon and inner_time_only,
        bin_segment=_bin_segments(bins, segments, n_bins),
    )
    rows = [r for t in targets for r in _place(t, groups, segments, ledger, calendar, tz, traffic_share)]
    placed = [(row, position) for row, segment in rows for position in place(row.group, segment)]
    single = outlook.bids.size * n_bins >= SINGLE_FROM
    problem = Problem(
        bids=np.repeat(outlook.bids.astype(np.float32) if single else outlook.bids, n_bins, axis=0),
        clicks=_cells(outlook.clicks, click_w, single),
        spend=_cells(outlook.spend, spend_w, single),
        gmv=_cells(outlook.gmv, gmv_w, single),
        groups=Groups(tree[0], tree[1], leaf),
        rows=Rows.of(*(_limit(row, g, outlook.spend_kept) for row, g in placed)),
        orders=_cells(outlook.orders, gmv_w, single) if any(t.kind is TargetKind.CPA for t in targets) else None,
    )
    free = uncovered(targets, groups)
    if least_return > 0 and free.any():
        problem = replace(problem, last=_worthwhile(problem, np.repeat(free, n_bins), least_return))
    now = outlook.traffic[:, 0] * outlook.price[0]
    now_share = np.divide(now, spend_w[:, now_bin], out=np.zeros_like(now), where=spend_w[:, now_bin] > 0)
    return HorizonProgram(problem, tuple(r for r, _ in placed), n_bins, now_bin, now_share, tuple(notes), bins)


def uncovered(targets: Sequence[Target], groups: Groups) -> Bools:
    """(n_units,) units that stand under no ROI, CPC or CPA target."""
    free = np.ones(groups.leaf.size, np.bool_)
    for target in targets:
        if target.kind is not TargetKind.BUDGET:
            free &= ~groups.members(groups.index(target.label))
    return free


def _worthwhile(problem: Problem, free: Bools, least_return: float) -> NDArray[np.int16]:
    """(n_cells,) last level whose step still brings `least_return` per unit of money; all levels where not free."""
    step = np.diff(problem.gmv, axis=1) >= least_return * np.diff(problem.spend, axis=1)
    last = np.cumprod(step, axis=1).sum(axis=1).astype(np.int16)
    return np.where(free, last, np.int16(problem.bids.shape[1] - 1))


def _with_phase_budgets(targets: Sequence[Target], calendar: PromotionCalendar) -> list[Target]:
    given = {t.key for t in targets if t.scope is Scope.PHASE and t.kind is TargetKind.BUDGET}
    open_phases = (p for p in calendar.phases if p.budget is not None and p.name not in given)
    extra = [Target(TargetKind.BUDGET, p.budget or 0.0, Scope.PHASE, p.name) for p in open_phases]
    return [*targets, *extra]


def _carried(targets: list[Target], calendar: PromotionCalendar, ledger: Ledger) -> list[Target]:
    """Targets where the first unfinished phase with a budget has what finished phases left of theirs."""
    now = ledger.known.hour.start
    windows = {p.name: p.window for p in calendar.phases}
    budgets = [t for t in targets if t.scope is Scope.PHASE and t.kind is TargetKind.BUDGET and t.key in windows]
    budgets.sort(key=lambda t: windows[t.key].start)
    left = 0.0
    for target in budgets:
        window = windows[target.key]
        if window.end <= now:
            spent = float(ledger.since(window.start).spend[0] - ledger.since(window.end).spend[0])
            left += max(0.0, target.value - spent)
        else:
            more = replace(target, value=target.value + left)
            return [more if t is target else t for t in targets]
    return targets


def _segments(
    hours: Sequence[Hour], calendar: PromotionCalendar, tz: tzinfo, by_phase: bool, by_day: bool
) -> list[_Segment]:
    marks: dict[tuple[str, str], list[int]] = {}
    for position, hour in enumerate(hours):
        phase = calendar.phase_at(hour.start) if by_phase else None
        day = hour.local(tz).date().isoformat() if by_day else ""
        marks.setdefault((phase.name if phase else "", day), []).append(position)
    return [_Segment(phase, day, np.array(found, np.intp)) for (phase, day), found in marks.items()]


def _bins(outlook: Outlook, segments: Sequence[_Segment]) -> tuple[NDArray[np.intp], int, int]:
    """Bin of each hour (-1: not planned), number of bins, bin of the first hour."""
    ratio = outlook.value / outlook.price
    bins = np.full(len(outlook.hours), -1, np.intp)
    most = max(1, min(MAX_BINS, MOST_CELLS // max(1, outlook.n_units)))
    per_segment = max(1, most // max(1, len(segments)))
    first = 0
    for segment in segments:
        inside = ratio[segment.hours]
        distinct, which = np.unique(np.round(np.log(inside), 3), return_inverse=True)
        if distinct.size > per_segment:
            edges = np.quantile(np.log(inside), np.linspace(0, 1, per_segment + 1)[1:-1])
            _, which = np.unique(np.searchsorted(edges, np.log(inside)), return_inverse=True)
        bins[segment.hours] = first + which
        first += int(which.max()) + 1
    return bins, first, int(bins[0])


def _bin_segments(bins: NDArray[np.intp], segments: Sequence[_Segment], n_bins: int) -> NDArray[np.intp]:
    owner = np.zeros(n_bins, np.intp)
    for position, segment in enumerate(segments):
        owner[bins[segment.hours]] = position
    return owner


def _weights(outlook: Outlook, bins: NDArray[np.intp], n_bins: int) -> tuple[Floats, Floats, Floats]:
    member = np.zeros((len(outlook.hours), n_bins))
    planned = bins >= 0
    member[np.flatnonzero(planned), bins[planned]] = 1.0
    traffic = outlook.traffic
    return (traffic * outlook.price) @ member, (traffic * outlook.value) @ member, traffic @ member


def _cells(table: Floats, weight: Floats, single: bool) -> NDArray[np.floating]:
    """(n_units * n_bins, n_levels) table of the cells."""
    if single:
        table, weight = table.astype(np.float32), weight.astype(np.float32)  # pyright: ignore[reportAssignmentType]
    return (table[:, None, :] * weight[:, :, None]).reshape(-1, table.shape[1])


def _tree(groups: Groups, segments: Sequence[_Segment], *, time_inside: bool, bin_segment: NDArray[np.intp]):
    """Names and parents of the program's tree, leaf of each cell, and where (group, segment) stands in it."""
    n, n_bins, n_seg = groups.leaf.size, bin_segment.size, len(segments)
    cell_segment = np.tile(bin_segment, n)
    base = np.repeat(groups.leaf, n_bins)
    size = len(groups.names)
    if n_seg == 1:

        def place_plain(group: int, segment: int | None) -> list[int]:
            return [group]

        return (groups.names, groups.parent), base.astype(np.int32), place_plain
    labels = [f"{s.phase or 'day'} {s.day}".strip() for s in segments]
    if time_inside:
        names = groups.names + tuple(f"{name} @ {label}" for name in groups.names for label in labels)
        parent = np.concatenate([groups.parent, np.repeat(np.arange(size), n_seg)])
        leaf = size + base * n_seg + cell_segment

        def place_inside(group: int, segment: int | None) -> list[int]:
            return [group] if segment is None else [size + group * n_seg + segment]

        return (names, parent.astype(np.int32)), leaf.astype(np.int32), place_inside
    # account > phase > day > copy of the inner tree
    phases = list(dict.fromkeys(s.phase for s in segments))
    phase_at = {p: 1 + k for k, p in enumerate(phases)}
    names_l = ["account", *(f"phase:{p}" for p in phases)]
    parents = [-1, *([0] * len(phases))]
    copies: list[int] = []
    for segment, label in zip(segments, labels, strict=True):
        offset = len(names_l)
        copies.append(offset)
        names_l += [f"{name} @ {label}" for name in groups.names]
        parents += [phase_at[segment.phase], *(int(p) + offset for p in groups.parent[1:])]
    leaf = np.array(copies)[cell_segment] + base

    def place_outside(group: int, segment: int | None) -> list[int]:
        if segment is None:
            return [0] if group == 0 else []
        if segment < 0:  # a whole phase
            return [phase_at[segments[-segment - 1].phase]]
        return [copies[segment] + group]

    return (tuple(names_l), np.array(parents, np.int32)), leaf.astype(np.int32), place_outside


def _place(
    target: Target,
    groups: Groups,
    segments: Sequence[_Segment],
    ledger: Ledger,
    calendar: PromotionCalendar,
    tz: tzinfo,
    traffic_share: float,
) -> list[tuple[PlacedRow, int | None]]:
    """Rows of one target, each with its segment: ``None`` = whole horizon, negative = the phase of segment -s-1."""
    hour = ledger.known.hour
    if target.scope is Scope.PHASE:
        phase = next((p for p in calendar.phases if p.name == target.key), None)
        inside = next((k for k, s in enumerate(segments) if s.phase == target.key), None)
        if phase is None or inside is None:
            return []  # over, or not in this horizon
        row = _row(target, 0, phase.window.start, ledger, 1.0)
        return [(row, None if len(segments) == 1 else -inside - 1)]
    group = groups.index(target.label)
    if target.period is Period.DAY:
        today = hour.local(tz).date().isoformat()
        midnight = day_start(hour.local(tz).date(), tz)
        found: list[tuple[PlacedRow, int | None]] = []
        for k, segment in enumerate(segments):
            if segment.day == today:
                found.append((_row(target, group, midnight, ledger, 1.0), k))
            else:
                fresh = target.value if target.kind is TargetKind.BUDGET else 0.0
                found.append((PlacedRow(target, group, None, 0.0, 0.0, fresh), k))
        return found
    window = calendar.window
    if window is not None and hour.start in window:
        return [(_row(target, group, window.start, ledger, traffic_share), None)]
    # Ordinary days have no end: what was over- or underachieved lately is evened out over a week, not today.
    start = max(hour.start - EVERGREEN, min(target.since, hour.start)) if target.since else hour.start - EVERGREEN
    share = min(1.0, len(ledger.outlook.hours) * ONE_HOUR / EVERGREEN)
    return [(_row(target, group, start, ledger, share), None)]


def _row(target: Target, group: int, start: datetime | None, ledger: Ledger, share: float) -> PlacedRow:
    bought = ledger.since(start)
    spend, final = float(bought.spend[group]), float(bought.final_spend[group])
    clicks, orders, gmv = float(bought.clicks[group]), float(bought.orders[group]), float(bought.gmv[group])
    match target.kind:
        case TargetKind.BUDGET:
            return PlacedRow(target, group, start, spend, gmv, share * max(0.0, target.value - spend))
        case TargetKind.CPC:  # credits take back clicks and money alike
            return PlacedRow(target, group, start, spend, gmv, share * (target.value * clicks - spend))
        case TargetKind.ROI:
            return PlacedRow(target, group, start, final, gmv, share * (gmv - target.value * final))
        case TargetKind.CPA:
            return PlacedRow(target, group, start, final, gmv, share * (target.value * orders - final))


def _limit(row: PlacedRow, group: int, kept: float) -> tuple[RowKind, int, float, float]:
    """Kind, group, target and right side of a row of the program, whose spend is what hours charge at first.

    Of that the share `kept` stays: gmv - T kept spend >= -right, and orders T / kept - spend >= -right / kept.
    """
    kind, value, right = _ROW_KIND[row.target.kind], row.target.value, row.right
    if kind is RowKind.ROI:
        value *= kept
    elif kind is RowKind.CPA:
        value, right = value / kept, right / kept
    return kind, group, value, right
