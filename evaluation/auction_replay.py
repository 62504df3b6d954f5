"""Replays an own log of won impressions with paid prices: what `AuctionBidder` would have bought with another budget.

Only what was won then can be won now. In a second-price log the paid price is the price to win, so a bid above it wins
and pays it; in a first-price log only a bid of at least the one paid surely wins. The log is cut in two: the first part
teaches, the second is played tick by tick. The end of the second part is known to the bidder, how many auctions
it holds is not. Beside the result stands what could have been bought with all prices known (fractional knapsack).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from domain.auctions import TargetMode, TickLog, score
from domain.errors import InsufficientHistory
from domain.goals import Objective
from domain.outlook import Auction
from domain.tables import Bools, Floats, Ints
from engine import AuctionBidder

#: Rows below which halves of a log say nothing.
LEAST_ROWS = 200
#: Hours after which a day's shape comes again.
DAY = 24.0


@dataclass(frozen=True, slots=True)
class ImpressionLog:
    """Won impressions in order of the log; all arrays (n_rows,).

    Attributes
    ----------
    value
        Believed value of the impression: probability of the event, or expected money.
    price
        What was paid.
    hours
        Time in hours from any origin whose days start at midnight; ``None`` = the order is all there is.
    events
        What came of it (clicks, conversions, money), or ``None``.
    bid
        Own bid then, or ``None``.
    """

    value: Floats
    price: Floats
    hours: Floats | None = None
    events: Floats | None = None
    bid: Floats | None = None

    def rows(self, at: Ints) -> "ImpressionLog":
        """Some rows, in the given order."""

        def take(column: Floats | None) -> Floats | None:
            return None if column is None else column[at]

        return ImpressionLog(self.value[at], self.price[at], take(self.hours), take(self.events), take(self.bid))


@dataclass(frozen=True, slots=True)
class Setup:
    """How to replay.

    Attributes
    ----------
    objective, auction, mode, target
        As for `AuctionBidder`.
    train
        Share of the log, in its order, that only teaches; 0 = a cold start.
    ticks
        Ticks of the part that is played.
    """

    objective: Objective = Objective.CLICKS
    auction: Auction = Auction.SECOND_PRICE
    mode: TargetMode = TargetMode.HARD
    target: float | None = None
    train: float = 0.5
    ticks: int = 48

    @property
    def cost_target(self) -> float | None:
        """Most spend per value."""
        if self.target is None:
            return None
        return 1 / self.target if self.objective is Objective.GMV else self.target


@dataclass(frozen=True, slots=True)
class Bought:
    """What a run of the second part bought.

    Attributes
    ----------
    impressions, value, spend, events
        Totals; events is NaN where the log has none.
    beyond
        Share of bids above what the log can answer for: above the own bid then where known, else above the highest price paid. In
        the market they would have won auctions that the log does not hold.
    """

    impressions: int
    value: float
    spend: float
    events: float
    beyond: float


@dataclass(frozen=True, slots=True)
class Replayed:
    """Result for one budget.

    Attributes
    ----------
    budget, paid_then
        Budget, and what the second part cost then.
    bought
        What the engine bought.
    known
        Value with all prices known, same budget and target.
    value_band, spend_band, events_band
        80 % bands from logs resampled row by row within ticks, each played anew.
    first_value, first_events
        What the log's own order buys with the budget: everything, until the money is gone.
    """

    budget: float
    paid_then: float
    bought: Bought
    known: float
    value_band: tuple[float, float]
    spend_band: tuple[float, float]
    events_band: tuple[float, float]
    first_value: float
    first_events: float

    @property
    def share(self) -> float:
        """Value over what prices known would have bought."""
        return self.bought.value / self.known if self.known > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class Stage:
    """A log made ready: past ticks that teach, and the ticks to be played."""

    past: tuple[tuple[TickLog | None, ...], ...]
    daily: bool
    played: ImpressionLog
    tick: Ints
    n_ticks: int
    notes: tuple[str, ...]


def stage(log: ImpressionLog, setup: Setup) -> Stage:
    """Cut a log in two and lay ticks over it; `InsufficientHistory` where it is too short for that."""
    n = log.value.size
    half = round(n * setup.train)
    if n - half < LEAST_ROWS or (0 < half < LEAST_ROWS):
        raise InsufficientHistory(
            f"a log of {n} rows, {half} of them to learn from: each part needs {LEAST_ROWS} or more; take a longer log or --train 0"
        )
    notes: list[str] = []
    first, second = log.rows(np.arange(half)), log.rows(np.arange(half, n))
    if log.hours is None:
        position = np.arange(n, dtype=np.float64)
        times, learned = position[half:], position[:half]
        begin, end = float(half), float(n)
        notes.append("no times: rows are taken in order, at an even pace")
    else:
        if np.any(np.diff(log.hours) < 0):
            notes.append("rows are not in order of time: each part is played in order of time")
            first = first.rows(np.argsort(log.hours[:half], kind="stable"))
            second = second.rows(np.argsort(log.hours[half:], kind="stable"))
            together = np.concatenate(
                [np.sort(log.hours[:half], kind="stable"), np.sort(log.hours[half:], kind="stable")]
            )
            times, learned = _within(together[half:]), _within(together[:half])
        else:
            spread = _within(log.hours)
            times, learned = spread[half:], spread[:half]
        assert second.hours is not None
        step = _resolution(log.hours)
        begin, end = float(times[0]), float(second.hours[-1]) + step
    n_ticks = min(setup.ticks, max(second.value.size // 20, 1))
    width = (end - begin) / n_ticks
    tick = np.clip((times - begin) / width, 0, n_ticks - 1).astype(np.int64)
    past, daily = _past(first, learned, begin, end, width, n_ticks, log.hours is not None) if half else ((), False)
    if half:
        notes.append(
            "the day's shape is learned from the same hours of the first part"
            if daily
            else "levels are learned from the first part, no day's shape"
        )
    return Stage(past, daily, second, tick, n_ticks, tuple(notes))


def _past(
    first: ImpressionLog, times: Floats, begin: float, end: float, width: float, n_ticks: int, clocked: bool
) -> tuple[tuple[tuple[TickLog | None, ...], ...], bool]:
    """Past days where the same hours were seen before; else one stretch of ticks of the same width."""
    days: list[tuple[TickLog | None, ...]] = []
    if clocked:
        back = 0
        while begin - back * DAY + (end - begin) > times.min() and back < 60:
            place = np.floor((times - (begin - back * DAY)) / width)
            inside = (place >= 0) & (place < n_ticks)
            if np.unique(place[inside]).size > 0.8 * n_ticks:
                days.append(_ticks(first, place.astype(np.int64), n_ticks, inside))
            back += 1
    if days:
        return tuple(days), True
    n_past = max(int(np.ceil((times.max() - times.min()) / width)), 1)
    place = np.clip((times - times.min()) / width, 0, n_past - 1).astype(np.int64)
    return (_ticks(first, place, n_past, np.ones(times.size, np.bool_)),), False


def _ticks(log: ImpressionLog, place: Ints, n: int, inside: Bools) -> tuple[TickLog | None, ...]:
    found: list[TickLog | None] = []
    for t in range(n):
        at = np.flatnonzero(inside & (place == t))
        found.append(_told(log.rows(at)) if at.size else None)
    return tuple(found)


def _told(rows: ImpressionLog) -> TickLog:
    """Rows of the first part as a log: all won, each price told."""
    n = rows.value.size
    bids = rows.price if rows.bid is None else np.maximum(rows.bid, rows.price)
    events = np.zeros(n) if rows.events is None else rows.events
    # places are not learned here: a log of won impressions does not say what a bid below would have got
    seen = np.full(n, rows.events is not None)
    return TickLog(
        rows.value, np.zeros(n), bids, seen.astype(np.int16), rows.price * seen, seen, events * seen, rows.price, None
    )


def _within(hours: Floats) -> Floats:
    """Times spread evenly inside each distinct one: a clock that only shows whole hours moves on within them."""
    step = _resolution(hours)
    distinct, which, count = np.unique(hours, return_inverse=True, return_counts=True)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    order = np.argsort(which, kind="stable")
    rank = np.empty(hours.size)
    rank[order] = np.arange(hours.size) - start[which[order]]
    return distinct[which] + step * (rank + 0.5) / count[which]


def _resolution(hours: Floats) -> float:
    """Least distance of two times."""
    distinct = np.unique(hours)
    return float(np.diff(distinct).min()) if distinct.size > 1 else 1.0


def play(staged: Stage, setup: Setup, budget: float, bidder: AuctionBidder, rows: ImpressionLog, tick: Ints) -> Bought:
    """Play the second part, or a resample of it, with a bidder that knows the first."""
    bidder.reset(budget, setup.target, staged.n_ticks)
    bounds = np.searchsorted(tick, np.arange(staged.n_ticks + 1))
    first_price = setup.auction is Auction.FIRST_PRICE
    remaining, value, events, impressions, beyond = budget, 0.0, 0.0, 0, 0
    observed: TickLog | None = None
    ceiling = float(rows.price.max())
    for t in range(staged.n_ticks):
        part = rows.rows(np.arange(bounds[t], bounds[t + 1]))
        bids = bidder.bid(t, part.value, None, remaining, observed)
        won = (bids >= part.price) & (bids > 0)
        charge = np.where(won, bids if first_price else part.price, 0.0)
        won &= np.cumsum(charge) <= remaining
        charge = np.where(won, charge, 0.0)
        came = np.where(won, part.events, 0.0) if part.events is not None else np.zeros(part.value.size)
        beyond += int((bids > (part.bid if part.bid is not None else ceiling)).sum())
        remaining -= float(charge.sum())
        value += float(part.value[won].sum())
        events += float(came.sum())
        impressions += int(won.sum())
        # where nothing is known of what came, what was believed is told, so that no level is learned from silence
        told = came if part.events is not None else part.value * won
        nothing = np.zeros(part.value.size)
        observed = TickLog(
            part.value, nothing, bids, won.astype(np.int16), charge, won, told, part.price, float(charge.sum())
        )
    return Bought(
        impressions,
        value,
        budget - remaining,
        events if rows.events is not None else float("nan"),
        beyond / max(rows.value.size, 1),
    )


def known_prices(rows: ImpressionLog, budget: float, setup: Setup) -> float:
    """Most value that a budget (and the target) buys with every price known: by value over price, the last in part."""
    order = np.argsort(-rows.value / np.maximum(rows.price, 1e-12), kind="stable")
    spend = np.concatenate([[0.0], np.cumsum(rows.price[order])])
    value = np.concatenate([[0.0], np.cumsum(rows.value[order])])
    top = int(np.searchsorted(spend, budget, side="right"))
    c, v = spend[:top], value[:top]
    if top < spend.size:
        c, v = np.append(c, budget), np.append(v, np.interp(budget, spend, value))
    kappa = setup.cost_target
    if kappa is None:
        return float(v[-1])
    if setup.mode is TargetMode.SOFT:
        return float(score(v, c, kappa).max())
    return float(v[c <= kappa * v * (1 + 1e-9)].max(initial=0.0))


def replay(
    log: ImpressionLog, setup: Setup, budgets: Sequence[float], resamples: int, rng: np.random.Generator
) -> tuple[Stage, list[Replayed]]:
    """Replay a log with each budget."""
    staged = stage(log, setup)
    bidder = AuctionBidder(setup.objective, setup.auction, setup.mode)
    if staged.past:
        bidder.fit(staged.past, daily=staged.daily)
    rows = staged.played
    draws = [_resampled(staged.tick, rng) for _ in range(resamples)]
    found: list[Replayed] = []
    for budget in budgets:
        bought = play(staged, setup, budget, bidder, rows, staged.tick)
        again = [play(staged, setup, budget, bidder, rows.rows(at), staged.tick[at]) for at in draws]
        until = int(np.searchsorted(np.cumsum(rows.price), budget, side="right"))
        found.append(
            Replayed(
                budget, float(rows.price.sum()), bought, known_prices(rows, budget, setup),
                _band([b.value for b in again], bought.value), _band([b.spend for b in again], bought.spend),
                _band([b.events for b in again], bought.events), float(rows.value[:until].sum()),
                float(rows.events[:until].sum()) if rows.events is not None else float("nan"),
            )
        )  # fmt: skip
    return staged, found


def _resampled(tick: Ints, rng: np.random.Generator) -> Ints:
    """Rows drawn with replacement within their ticks."""
    bounds = np.searchsorted(tick, np.arange(int(tick[-1]) + 2))
    drawn = [np.sort(rng.integers(a, b, b - a)) for a, b in pairwise(bounds.tolist()) if b > a]
    return np.concatenate(drawn)


def _band(values: Sequence[float], middle: float) -> tuple[float, float]:
    if not values or not np.isfinite(middle):
        return (float("nan"), float("nan"))
    return float(min(np.quantile(values, 0.1), middle)), float(max(np.quantile(values, 0.9), middle))
