r"""Bids in single auctions, thousands a tick, for one day's budget and one target: the engine without warehouse or scheduler.

Each tick: count what the last one taught (`auction_counts`), look at the rest of the day (`auction_outlook`), choose
how much of it to buy (`auction_goal`, with the laminar solver of the hourly loop), and bid

    bid_i = shade(value_i) value_i / price

with one price of money for the rest of the day; `shade` is 1 where one place is sold at a second price, and less where a
higher place or the own bid costs more than it brings (docs/library.md, docs/mathematics.md I.3 and II).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from domain.auctions import Day, TargetMode, TickLog
from domain.errors import NotFitted, SteadyBidError
from domain.goals import Objective
from domain.outlook import Auction
from domain.tables import Floats
from engine.auction_account import Account
from engine.auction_counts import Scale
from engine.auction_goal import Choice, Program, choose
from engine.auction_input import (
    AUCTIONS,
    OBJECTIVES,
    check_sds,
    check_terms,
    check_tick,
    consistent,
    log_from,
    named,
    usable_values,
)
from engine.auction_kernels import load_kernels
from engine.auction_outlook import Ahead
from engine.auction_past import Past
from engine.auction_probe import Probe
from engine.auction_report import AuctionState, state_of
from engine.auction_response import response
from engine.auction_shade import ladder, shade
from engine.auction_shown import Shown

#: Without past days: what the score of a whole day may be off by in forecast, where going beyond a soft target is asked.
COLD_DOUBT = 0.15
#: With past days: how many of its errors the value level may lie above its mean for a soft plan to keep within bounds.
#: A cost 5 % over a soft target costs a point or two of the score, 5 % under it ten. Without them prices are in doubt as well.
LEAN = 0.5


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
        self.objective = named(OBJECTIVES, objective, "objective")
        self.auction = named(AUCTIONS, auction, "auction")
        self.target_mode = named({m.value: m for m in TargetMode}, target_mode, "target_mode")
        self._first_price = self.auction is Auction.FIRST_PRICE
        self._events = self.objective is not Objective.GMV
        self._past = Past()
        self._running = False
        self._state: AuctionState | None = None

    # ------------------------------------------------------------------ past days

    def fit(self, days: Sequence[Day], daily: bool = True) -> "AuctionBidder":
        """Learn from past days, each a sequence of one `TickLog` per tick (``None`` where one is missing).

        Without ``daily`` they are stretches of ticks as long as those to come, but no days: only levels are learned, no shape.
        """
        past = Past.of_days(days, first_price=self._first_price, events=self._events, daily=daily)
        if past is not None:
            self._past, self._running = past, False
        return self

    # ------------------------------------------------------------------ the day

    def reset(self, budget: float, target: float | None = None, n_ticks: int = 48) -> "AuctionBidder":
        """Start a day with a budget (account currency), a target (CPA, CPC or ROI by objective) or none, and its ticks."""
        self._budget, target, self._n = check_terms(budget, target, n_ticks, self.objective)
        self._kappa = None if target is None else (1.0 / target if self.objective is Objective.GMV else target)
        past = self._past
        self._shown = Shown(self._n, self._first_price, past.scale, past.profile, past.places)
        self._account = Account(self._budget, self._n, past.habit, past.log_value, events=self._events)
        self._last: tuple[int, Floats, Floats, float] | None = None  # tick, values, bids, remaining before it
        self._price: float | None = None
        self._probe = Probe()
        self._auctions = 0
        self._beyond = False
        self._notes: list[str] = []
        self._running = True
        self._state = None
        load_kernels()
        return self

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
        tick = check_tick(tick, self._n, None if self._last is None else self._last[0], self._notes)
        told, usable = usable_values(values, self.objective, self._notes)
        check_sds(value_sds, told.size, self._notes)
        self._learn(observed)
        remaining = self._account.remaining(remaining_budget)
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
        shown, scale = self._shown, self._shown.scale
        if scale is None or not shown.ready:
            return self._probing(tick, worth, remaining)
        shown.offered(tick, worth)
        self._account.offered(tick, worth)
        ahead = shown.ahead(tick)
        try:
            program = self._program(ahead, scale)
            cold = self._past.profile is None
            doubt = COLD_DOUBT * (self._n - tick) / self._n if cold else 0.0
            choice = choose(
                program, self._account.bought, remaining, self._kappa, self.target_mode, self._account.value_level,
                self._beyond, doubt, 0.0 if cold else LEAN,
            )  # fmt: skip
            self._beyond = choice.beyond
        except (SteadyBidError, ArithmeticError, ValueError) as failed:
            return self._held(tick, worth, remaining, failed)
        price = choice.price
        if not (np.isfinite(price) and price > 0):
            price = 1.0 / self._free_multiplier(scale)  # money is no limit: as high as any price
        at, share = shade(choice, scale, ahead, price, shown.places, first_price=self._first_price)
        self._price = price
        bids = worth / price * np.interp(np.log(np.maximum(worth, 1e-300)), at, share)
        if shown.told_share < 0.5:
            # prices to win are not told: bids differ a little, so that what a higher one brings can be seen
            bids *= ladder(worth.size, tick)
        self._report(tick, choice, ahead, choice.binding, remaining, shading=float(share.mean()))
        return bids

    def _program(self, ahead: Ahead, scale: Scale) -> Program:
        bids, exposures, spend = response(ahead, scale, self._shown.places, self._first_price)
        return Program(bids, exposures, spend, ahead.value.reshape(-1), scale.n_buckets)

    def _free_multiplier(self, scale: Scale) -> float:
        return float(scale.bids[-1]) / max(float(np.max(scale.edges, initial=1e-300)), 1e-300)

    def _probing(self, tick: int, worth: Floats, remaining: float) -> Floats:
        """Bids before any price is known."""
        bids, multiplier = self._probe.bids(worth, remaining, self._n - tick, self._kappa, self.target_mode)
        self._report(tick, None, None, "probing", remaining, multiplier=multiplier)
        return bids

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
        log = log_from(observed)
        tick, worth, bids, before = self._last
        self._last = None
        log = consistent(log, tick, worth, bids, self._notes)
        self._account.add(log)
        self._shown.learn(tick, log, before, self._price)

    # ------------------------------------------------------------------ telling

    def _report(
        self, tick: int, choice: Choice | None, ahead: Ahead | None, binding: str, remaining: float, shading: float = 1.0,
        multiplier: float = 0.0,
    ) -> None:  # fmt: skip
        self._state = state_of(
            tick, choice, ahead, binding, remaining, self._account.bought, self._account.value_level, self._price, shading=shading,
            multiplier=multiplier, auctions=self._auctions, wins=self._account.wins, notes=tuple(self._notes[-20:]),
        )  # fmt: skip
