r"""Bids in single auctions, thousands a tick, for one day's budget and one target: the engine without warehouse or scheduler.

Each tick: count what the last one taught (`auction_counts`), look at the rest of the day (`auction_outlook`), choose
how much of it to buy (`auction_goal`, with the laminar solver of the hourly loop), and bid

    bid_i = shade(value_i) value_i / price

with one price of money for the rest of the day; `shade` is 1 where one place is sold at a second price, and less where a
higher place or the own bid costs more than it brings (docs/library.md, docs/mathematics.md I.3 and II).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, cast

import numpy as np

from domain.auctions import Day, TargetMode, TickLog, column
from domain.errors import ConfigError, InvalidPlan, NotFitted, SteadyBidError
from domain.goals import Objective
from domain.outlook import Auction
from domain.tables import Floats, Ints
from engine.auction_counts import BINS, Places, Scale, count_tick
from engine.auction_goal import Bought, Choice, Program, choose
from engine.auction_outlook import ENOUGH, Ahead, Profile, Today, make_profile
from engine.auction_report import AuctionState, Band
from engine.auction_response import response
from engine.auction_value import DayShift, ValueHabit, ValueLevel
from predictors.price_level import follow_level

_OBJECTIVES = {
    "orders": Objective.ORDERS, "order": Objective.ORDERS, "conversions": Objective.ORDERS, "conversion": Objective.ORDERS,
    "cpa": Objective.ORDERS, "clicks": Objective.CLICKS, "click": Objective.CLICKS, "cpc": Objective.CLICKS,
    "gmv": Objective.GMV, "value": Objective.GMV, "roi": Objective.GMV, "roas": Objective.GMV,
}  # fmt: skip
_AUCTIONS = {
    "second_price": Auction.SECOND_PRICE, "second": Auction.SECOND_PRICE, "gsp": Auction.SECOND_PRICE,
    "vcg": Auction.SECOND_PRICE, "first_price": Auction.FIRST_PRICE, "first": Auction.FIRST_PRICE,
}  # fmt: skip
#: A tick in which no price is known yet may cost this many even shares of the budget at most.
PROBE_SHARES = 1.5
#: Without past days: what the score of a whole day may be off by in forecast, where going beyond a soft target is asked.
COLD_DOUBT = 0.15


class AuctionBidder:
    """One bid per auction.

    Parameters
    ----------
    objective
        What is maximised: ``"orders"`` (or ``"conversions"``), ``"clicks"``, ``"gmv"`` (or ``"value"``); also
        `domain.goals.Objective`. It says what the target is: CPA, CPC, ROI.
    auction
        ``"second_price"`` (also ``"gsp"``, ``"vcg"``) or ``"first_price"``; also `domain.outlook.Auction`.
    target_mode
        ``"hard"``: the target is to be met. ``"soft"``: value counts with min(1, (target / actual)^2).

    Raises `ConfigError` for settings that make no sense, `InvalidPlan` for arrays that cannot be used.
    """

    def __init__(
        self, objective: str | Objective, auction: str | Auction, target_mode: str | TargetMode = TargetMode.HARD
    ) -> None:
        self.objective = _named(_OBJECTIVES, objective, "objective")
        self.auction = _named(_AUCTIONS, auction, "auction")
        self.target_mode = _named({m.value: m for m in TargetMode}, target_mode, "target_mode")
        self._first_price = self.auction is Auction.FIRST_PRICE
        self._scale: Scale | None = None
        self._profile: Profile | None = None
        self._past_places: Places | None = None
        self._habit = ValueHabit()
        self._running = False
        self._state: AuctionState | None = None

    # ------------------------------------------------------------------ past days

    def fit(self, days: Sequence[Day], daily: bool = True) -> "AuctionBidder":
        """Learn from past days, each a sequence of one `TickLog` per tick (``None`` where one is missing).

        Without ``daily`` they are stretches of ticks as long as those to come, but no days: only levels are learned, no shape.
        """
        every = [log for day in _listed(days) if not isinstance(day, TickLog) for log in _listed(day)]
        if any(log is not None and not isinstance(log, TickLog) for log in every):
            raise InvalidPlan("fit takes days, each a sequence of one TickLog per tick (None where one is missing)")
        if any(isinstance(day, TickLog) for day in days):
            raise InvalidPlan("fit takes days, each a sequence of one TickLog per tick; for one day write fit([logs])")
        logs = [log for day in days for log in day if log is not None and log.n > 0]
        if not logs:
            return self
        values = np.concatenate([log.values[:: max(1, log.n // 500)] for log in logs])
        typical, _ = _typical_price(logs)
        if typical is None:
            return self  # nothing was won and no price told: as good as no days
        scale = Scale.around(values, typical)
        places = Places(self._first_price)
        self._profile = make_profile(days, scale, places, self._first_price, daily)
        self._scale, self._past_places = scale, places
        self._habit = self._habits(days, self._profile)
        self._running = False
        return self

    def _habits(self, days: Sequence[Day], profile: Profile | None) -> ValueHabit:
        """How the factors of past days went with their values."""
        events = self.objective is not Objective.GMV
        rows: list[tuple[float, ValueLevel]] = []
        for day in days:
            level, shift = ValueLevel(events=events), DayShift(profile.log_value if profile else None, len(day))
            for t, log in enumerate(day):
                if log is not None:
                    level = level.plus(*_evidence(log))
                    shift.note(t, log.values)
            rows.append((shift.mean, level))
        return ValueHabit.learned(rows)

    # ------------------------------------------------------------------ the day

    def reset(self, budget: float, target: float | None = None, n_ticks: int = 48) -> "AuctionBidder":
        """Start a day with a budget (account currency), a target (CPA, CPC or ROI by objective) or none, and its ticks."""
        budget = _number(budget)
        if not (np.isfinite(budget) and budget >= 0):
            raise ConfigError(f"budget of {budget}: write an amount of account currency, 0 or more")
        target = None if target is None else _number(target)
        if target is not None and not (np.isfinite(target) and target > 0):
            raise ConfigError(f"target of {target}: write a positive {self._target_name}, or None for the budget alone")
        n = _number(n_ticks)
        if not 1 <= n <= 100_000 or n != np.floor(n):
            raise ConfigError(f"n_ticks of {n_ticks}: write the whole number of ticks in the day")
        self._budget, self._n = budget, int(n)
        self._kappa = None if target is None else (1.0 / target if self.objective is Objective.GMV else target)
        self._places = Places(self._first_price)
        if self._past_places is not None:
            for name in ("count", "ratio", "shown", "seen"):
                table = getattr(self._past_places, name)
                setattr(self._places, name, table * min(1.0, 20_000 / max(float(self._past_places.shown.sum()), 1.0)))
        self._today = None if self._scale is None else Today(self._n, self._scale.n_buckets, self._profile)
        self._day_scale = self._scale
        self._level = ValueLevel(events=self.objective is not Objective.GMV)
        self._bought = Bought()
        self._last: tuple[int, Floats, Floats, float] | None = None  # tick, values, bids, remaining before it
        self._price: float | None = None
        self._probe, self._probed_at, self._told_share = 1.0, -np.inf, 1.0
        self._shift = DayShift(self._profile.log_value if self._profile is not None else None, self._n)
        self._wins = self._auctions = 0
        self._early: list[tuple[int, TickLog, float]] = []  # before the scale of the day is known
        self._beyond = False
        self._notes: list[str] = []
        self._running = True
        self._state = None
        _load_kernels()
        return self

    @property
    def _target_name(self) -> str:
        return {Objective.ORDERS: "CPA", Objective.CLICKS: "CPC", Objective.GMV: "ROI"}[self.objective]

    @property
    def state(self) -> AuctionState:
        """State after the last call of `bid`; `NotFitted` before the first."""
        if self._state is None:
            raise NotFitted("the day has no state before its first bid; call reset and bid")
        return self._state

    def bid(
        self,
        tick: int,
        values: Any,
        value_sds: Any = None,
        remaining_budget: float | None = None,
        observed: TickLog | Mapping[str, Any] | None = None,
    ) -> Floats:
        """Bids of a tick's auctions.

        Parameters
        ----------
        tick
            0, 1, ... n_ticks - 1, rising; some may be left out.
        values, value_sds
            (n_auctions,) believed value of an exposure, and its standard error (``None`` = unknown).
        remaining_budget
            Money left, account currency; ``None`` = the budget less what the logs say.
        observed
            `TickLog` of the last tick that was bid in (or its columns by name); ``None`` where nothing is known of it.

        Returns
        -------
        (n_auctions,) float64, finite, never above `remaining_budget`; 0 = stay out. Auctions whose value is NaN, negative
        or (for events) above 1 are left out, and the state says so.
        """
        if not self._running:
            raise NotFitted("no day was started; call reset(budget, target, n_ticks) first")
        tick = self._checked_tick(tick)
        told, usable = self._checked_values(values)
        self._checked_sds(value_sds, told.size)
        self._learn(observed)
        remaining = self._checked_budget(remaining_budget)
        self._auctions += told.size
        worth = np.where(usable, told, 0.0)
        bids = np.zeros(told.size)
        if remaining <= 0:
            self._report(tick, None, None, "spent", remaining)
        elif not usable.any():
            self._report(tick, None, None, "none", remaining)
        else:
            bids = self._bids(tick, worth, remaining)
        bids = np.where(np.isfinite(bids) & usable, np.clip(bids, 0.0, max(remaining, 0.0)), 0.0)
        self._last = (tick, worth, bids, remaining)
        return bids

    # ------------------------------------------------------------------ deciding

    def _bids(self, tick: int, worth: Floats, remaining: float) -> Floats:
        scale = self._day_scale
        if self._today is None or scale is None or not self._today.ready:
            return self._probing(tick, worth, remaining)
        bucket = scale.bucket(worth)
        self._today.offered(tick, bucket, worth)
        self._shift.note(tick, worth)
        ahead = self._today.ahead(tick)
        try:
            program = self._program(ahead, scale)
            level = self._level_now()
            doubt = COLD_DOUBT * (self._n - tick) / self._n if self._profile is None else 0.0
            choice = choose(program, self._bought, remaining, self._kappa, self.target_mode, level, self._beyond, doubt)
            self._beyond = choice.beyond
        except (SteadyBidError, ArithmeticError, ValueError) as failed:
            return self._held(tick, worth, remaining, failed)
        price = choice.price
        if not (np.isfinite(price) and price > 0):
            price = 1.0 / self._free_multiplier(scale)  # money is no limit: as high as any price
        shade = self._shade(choice, scale, ahead, price)
        self._price = price
        bids = worth / price * np.interp(np.log(np.maximum(worth, 1e-300)), shade[0], shade[1])
        if self._told_share < 0.5:
            # prices to win are not told: bids differ a little, so that what a higher one brings can be seen
            bids *= _ladder(worth.size, tick)
        self._report(tick, choice, ahead, choice.binding, remaining, shade=float(shade[1].mean()))
        return bids

    def _level_now(self) -> ValueLevel:
        """Evidence on the day's factor, its centre moved by how today's values differ from those of past days."""
        return replace(self._level, centre=self._habit.centre(self._shift.mean))

    def _program(self, ahead: Ahead, scale: Scale) -> Program:
        bids, exposures, spend = response(ahead, scale, self._places, self._first_price)
        return Program(bids, exposures, spend, ahead.value.reshape(-1), scale.n_buckets)

    def _free_multiplier(self, scale: Scale) -> float:
        return float(scale.bids[-1]) / max(float(np.max(scale.edges, initial=1e-300)), 1e-300)

    def _shade(self, choice: Choice, scale: Scale, ahead: Ahead, price: float) -> tuple[Floats, Floats]:
        """Log values and what bids are of value / price there; 1 throughout where one place is sold at second price."""
        k = scale.n_buckets
        value = ahead.value[0]
        at = np.log(np.maximum(value, 1e-300))
        if not self._first_price and self._places.single:
            return at, np.ones(k)
        ratio = choice.bids[:k] * price / np.maximum(value, 1e-300)
        live = (choice.bids[:k] > 0) & (ahead.table[0].sum(axis=1) > 0)
        if not live.any():
            return at, np.full(k, 1.0 if not self._first_price else 0.5)
        index: Floats = np.arange(k, dtype=np.float64)
        there: Floats = np.flatnonzero(live).astype(np.float64)
        kept: Floats = np.clip(ratio[live], 0.1, 1.0)
        ratio = np.asarray(np.interp(index, there, kept), np.float64)
        padded: Floats = np.concatenate([ratio[:1], ratio, ratio[-1:]])
        return at, 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]

    def _probing(self, tick: int, worth: Floats, remaining: float) -> Floats:
        """Bids before any price is known: their worst case costs few shares of the budget, and they span many prices."""
        share = PROBE_SHARES * remaining / max(self._n - tick, 1)
        step = np.arange(worth.size)
        rung = np.zeros(worth.size)
        for r, every in enumerate((4, 16, 64, 256), start=1):
            rung[step % every == every - 1] = r
        height = 4.0**rung
        # nothing came of the last probe: bid more; more than a share is gone: less, even if nobody tells of it
        gone = self._probed_at - remaining
        if gone >= 0:
            self._probe *= 4.0 if gone < 0.5 * share / PROBE_SHARES else (0.5 if gone > share else 1.0)
        self._probed_at = remaining
        multiplier = self._probe * share / max(float((worth * height).sum()), 1e-300)
        if self._kappa is not None:
            # a soft target may have to be passed: prices that are only met beyond it are looked for too, once it is seen that
            # none below it sells anything
            most = self._kappa * (max(self._probe / 4, 1.0) ** 0.5 if self.target_mode is TargetMode.SOFT else 1.0)
            multiplier = min(multiplier, most)
            height = np.minimum(height, max(most / multiplier, 1.0))
        self._report(tick, None, None, "probing", remaining, multiplier=multiplier)
        return np.minimum(worth * multiplier * height, remaining)

    def _held(self, tick: int, worth: Floats, remaining: float, failed: Exception) -> Floats:
        """Bids at the last price where the program has no answer."""
        self._notes.append(f"tick {tick}: {failed}; bids at the last price")
        self._report(tick, None, None, "held", remaining)
        return worth / self._price if self._price is not None else np.zeros(worth.size)

    # ------------------------------------------------------------------ learning

    def _learn(self, observed: TickLog | Mapping[str, Any] | None) -> None:
        if self._last is None or observed is None:
            if observed is not None:
                self._notes.append("a log was handed over before any bid of this day: not used; use fit for past days")
            elif self._last is not None:
                self._notes.append(f"tick {self._last[0]}: nothing is known of how it ended")
            self._last = None
            return
        log = observed if isinstance(observed, TickLog) else _from_columns(observed)
        tick, worth, bids, before = self._last
        self._last = None
        if log.n != bids.size:
            raise InvalidPlan(
                f"observed: {log.n} auctions, but tick {tick} was bid in {bids.size}; hand over the log of that tick, in order"
            )
        log = self._consistent(log, tick, worth, bids)
        self._spent_on(log)
        told = log.price_to_win
        assert told is not None
        if log.n:
            self._told_share = 0.5 * self._told_share + 0.5 * float(np.isfinite(told).mean())
        if self._day_scale is not None:
            self._count(tick, log, before)
            return
        # one lucky win at a floor price says little of where prices lie: the scale waits until there are more
        self._early.append((tick, log, before))
        typical, known = _typical_price([early for _, early, _ in self._early])
        if typical is None or known < ENOUGH:
            return
        self._day_scale = Scale.around(np.concatenate([early.values for _, early, _ in self._early]), typical)
        self._today = Today(self._n, self._day_scale.n_buckets, None)
        for each in self._early:
            self._count(*each)
        self._early.clear()

    def _count(self, tick: int, log: TickLog, before: float) -> None:
        """Learn prices from the log of a tick, with the money that was left before it."""
        assert self._today is not None
        assert self._day_scale is not None
        counts = count_tick(log, self._day_scale, self._places, self._first_price, before)
        self._today.learn(tick, counts, self._thresholds(self._day_scale))
        if not self._today.seen(tick):
            self._today.offered(tick, self._day_scale.bucket(log.values), log.values)

    def _thresholds(self, scale: Scale) -> Ints:
        """(n_buckets,) bins of the bids that values at the buckets' edges would get unshaded: where prices matter."""
        edges = np.concatenate([scale.edges[:1] / 1.5, scale.edges]) if scale.edges.size else np.ones(1)
        price = (
            self._price if self._price is not None else float(edges[-1]) / float(scale.prices[len(scale.prices) // 2])
        )
        return scale.bin(edges / price)

    def _spent_on(self, log: TickLog) -> None:
        due, came, squares = _evidence(log)
        self._level = self._level.plus(due, came, squares)
        self._bought = Bought(self._bought.spend + log.paid, self._bought.due + due, self._bought.came + came)
        self._wins += int((log.position > 0).sum())

    def _consistent(self, log: TickLog, tick: int, worth: Floats, bids: Floats) -> TickLog:
        """Log without the rows that contradict themselves or the bids; `InvalidPlan` where most wins do."""
        told = log.price_to_win
        assert told is not None
        off = ~np.isclose(log.bids, bids, rtol=1e-6, atol=0.0) & ((log.bids > 0) | (bids > 0))
        if off.any():
            self._notes.append(
                f"tick {tick}: the log has other bids than were made in {int(off.sum())} auctions; its own count"
            )
        if not np.allclose(np.where(worth > 0, log.values, 0.0), worth, rtol=1e-6, atol=0.0):
            self._notes.append(f"tick {tick}: the log has other values than were bid on; those that were bid on count")
            log = replace(log, values=worth)
        if abs(log.paid - log.charged) > 0.01 * log.charged + 1e-9:
            self._notes.append(
                f"tick {tick}: a spend of {log.paid:.6g} is told, but prices of {log.charged:.6g} for what was exposed; the spend counts"
            )
        won = log.position > 0
        odd = won & ((log.bids <= 0) | (log.price > log.bids * (1 + 1e-6) + 1e-12) | (told > log.bids * (1 + 1e-6)))
        odd |= ~won & (log.exposed | (log.conversions > 0) | (log.price > 0))
        n_odd = int(odd.sum())
        if n_odd == 0:
            return log
        if n_odd > 0.5 * max(int(won.sum()), 1):
            raise InvalidPlan(
                f"observed of tick {tick}: {n_odd} auctions contradict themselves (won without a bid or under the price, "
                "or lost and yet charged); check which column is which"
            )
        self._notes.append(f"tick {tick}: {n_odd} auctions contradict themselves and were left out")
        keep = ~odd
        return TickLog(
            np.where(keep, log.values, 0.0), log.value_sds, np.where(keep, log.bids, 0.0), np.where(keep, log.position, 0),
            np.where(keep, log.price, 0.0), log.exposed & keep, np.where(keep, log.conversions, 0.0), told, log.spend,
        )  # fmt: skip

    # ------------------------------------------------------------------ checks

    def _checked_tick(self, raw: Any) -> int:
        number = _number(raw)
        if not 0 <= number <= self._n or number != np.floor(number):
            raise InvalidPlan(f"tick {raw}: the day has the ticks 0 to {self._n - 1}; call reset for a new day")
        tick = int(number)
        if tick == self._n:
            self._notes.append(f"tick {tick} lies behind the day's last one and is treated as it")
            tick = self._n - 1
        if self._last is not None and tick < self._last[0]:
            raise InvalidPlan(f"tick {tick} after tick {self._last[0]}: ticks come in order; call reset for a new day")
        if self._last is not None and tick > self._last[0] + 1:
            self._notes.append(f"ticks {self._last[0] + 1} to {tick - 1} are missing")
        return tick

    def _checked_values(self, values: Any) -> tuple[Floats, Any]:
        told = column(values, "values", unusable=True)
        top = np.inf if self.objective is Objective.GMV else 1.0
        with np.errstate(invalid="ignore"):
            usable = np.isfinite(told) & (told >= 0) & (told <= top)
        bad = int((~usable).sum())
        if bad > 0.5 * told.size:
            raise InvalidPlan(
                f"values: {bad} of {told.size} are no {'amounts' if top > 1 else 'probabilities'} (NaN, negative"
                f"{'' if top > 1 else ' or above 1'}); hand over the value of one exposure"
            )
        if bad:
            self._notes.append(f"{bad} of {told.size} values cannot be used: no bid there")
        return told, usable

    def _checked_sds(self, value_sds: Any, n: int) -> None:
        if value_sds is None:
            return
        sds = column(value_sds, "value_sds", (1, n), unusable=True)
        if not bool(np.all(np.isfinite(sds) & (sds >= 0))):
            self._notes.append("some standard errors of values cannot be used")

    def _checked_budget(self, remaining: float | None) -> float:
        own = max(self._budget - self._bought.spend, 0.0)
        if remaining is None:
            return own
        told, remaining = remaining, _number(remaining)
        if not np.isfinite(remaining):
            raise InvalidPlan(f"remaining_budget of {told}: write the money that is left, account currency")
        if abs(remaining - own) > 1e-6 * self._budget + 1e-9:
            spent = self._budget - remaining
            if spent >= 0:
                self._bought = replace(self._bought, spend=spent)  # the exchange knows best
        return remaining

    # ------------------------------------------------------------------ telling

    def _report(
        self, tick: int, choice: Choice | None, ahead: Ahead | None, binding: str, remaining: float, shade: float = 1.0,
        multiplier: float = 0.0,
    ) -> None:  # fmt: skip
        level, sd = self._level_now().mean_sd()
        spent, due = self._bought.spend, self._bought.due
        rest_c = choice.spend if choice else 0.0
        rest_v = choice.value if choice else 0.0
        rel = float(np.hypot(ahead.price_sd, ahead.traffic_sd)) if ahead else 0.5
        limited = binding == "budget"
        spend_sd = rest_c * rel * (0.15 if limited else 1.0)
        spend = Band(
            spent + rest_c,
            spent + max(rest_c - 1.28 * spend_sd, 0.0),
            min(spent + rest_c + 1.28 * spend_sd, max(spent + remaining, 0.0)),
        )
        whole = level * (due + rest_v)
        value_sd = float(np.sqrt((sd * (due + rest_v)) ** 2 + (level * rest_v * rel * 0.7) ** 2))
        value = Band(whole, max(whole - 1.28 * value_sd, 0.0), whole + 1.28 * value_sd)
        ratio = spend.mean / whole if whole > 0 else float("nan")
        off = sd / level
        cost = Band(ratio, ratio / (1 + 1.28 * off), ratio * (1 + 1.28 * off))
        band = Band(level, self._level_now().quantile(0.1), self._level_now().quantile(0.9))
        price = choice.price if choice else (self._price or 0.0)
        self._state = AuctionState(
            tick=tick, price=price, multiplier=multiplier or (1 / price if price > 0 else 0.0), shading=shade, binding=binding,
            spent=spent, bought=level * due, plan=choice.now if choice else 0.0, spend=spend, value=value, cost_per_value=cost,
            value_level=band, price_level=ahead.price_level if ahead else 1.0,
            traffic_level=ahead.traffic_level if ahead else 1.0, auctions=self._auctions, wins=self._wins,
            notes=tuple(self._notes[-20:]),
        )  # fmt: skip


def _named(known: Mapping[str, Any], raw: Any, what: str) -> Any:
    key = str(getattr(raw, "value", raw)).strip().lower().replace("-", "_").replace(" ", "_")
    if key not in known:
        raise ConfigError(f"{what} {raw!r}: write one of {sorted(known)}")
    return known[key]


def _number(raw: Any) -> float:
    """Number, or NaN where it is none."""
    try:
        found = np.asarray(raw, np.float64)
    except (TypeError, ValueError):
        return float("nan")
    return float(found.reshape(())) if found.size == 1 else float("nan")


def _listed(raw: Any) -> Sequence[Any]:
    """Anything that can be gone through, as a list."""
    try:
        return list(raw)
    except TypeError as error:
        raise InvalidPlan(f"fit: {error}; it takes days, each a sequence of one TickLog per tick") from error


def _from_columns(raw: Any) -> TickLog:
    """Log from its columns by name, or the last of several logs."""
    if isinstance(raw, list | tuple):
        logs = cast("Sequence[Any]", raw)
        if logs and isinstance(logs[-1], TickLog):
            return logs[-1]
    if isinstance(raw, Mapping):
        try:
            return TickLog(**cast("Mapping[str, Any]", raw))
        except TypeError as error:
            raise InvalidPlan(f"observed: {error}; hand over a TickLog, or its columns by name") from error
    kind = type(cast("object", raw)).__name__
    raise InvalidPlan(f"observed is a {kind}; hand over a TickLog, its columns by name, or None")


def _evidence(log: TickLog) -> tuple[float, float, float]:
    """Believed value of what was exposed, what came of it, and its sum of squares."""
    seen = log.exposed & (log.values > 0)
    came = log.conversions[seen]
    return float(log.values[seen].sum()), float(came.sum()), float((came * came).sum())


def _typical_price(logs: Sequence[TickLog]) -> tuple[float | None, int]:
    """Middle of the prices that logs tell, to win, else paid, and their number; ``None`` where they tell none."""
    told = np.concatenate([p[np.isfinite(p) & (p > 0)] for log in logs if (p := log.price_to_win) is not None])
    if told.size == 0:
        told = np.concatenate([log.price[(log.position > 0) & (log.price > 0)] for log in logs])
    return (float(np.median(told)) if told.size else None), int(told.size)


@cache
def _load_kernels() -> None:
    """Let compiled loops be loaded before the day rather than within its first call: a program of one cell."""
    scale = Scale.around(np.ones(1), 1.0)
    table = np.zeros((1, scale.n_buckets, BINS))
    table[:, :, BINS // 2] = 1.0
    ahead = Ahead(table, np.ones(table.shape[:2]), 0.0, 0.0, 1.0, 1.0)
    bids, exposures, spend = response(ahead, scale, Places(False), False)
    program = Program(bids, exposures, spend, ahead.value.reshape(-1), scale.n_buckets)
    choose(program, Bought(), program.most / 2, None, TargetMode.HARD, ValueLevel())
    follow_level(np.zeros(2), np.ones(2), 2)


def _ladder(n: int, tick: int) -> Floats:
    """(n,) factors around 1, spread evenly on a log scale from auction to auction."""
    golden = 0.6180339887498949
    return np.exp(0.25 * (((np.arange(n) + 7 * tick) * golden) % 1.0 - 0.5))
