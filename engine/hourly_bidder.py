r"""One bid an hour for one campaign that sees nothing but its hourly totals.

The shadow price of one budget is the same in every hour of its horizon (docs/mathematics.md, II.1), and clicks of one
campaign are worth alike, so the best plan has one number v, what the last click may cost: second price bids b = v,
first price b + W / W' = v, which under a log-normal price is one bid for all hours of the same price. Each hour

    1. the belief over (price, spread, traffic) takes in the hour before            engine/hourly_belief.py
    2. each hypothesis is asked for the bid that spends what is left over the rest  closed form
    3. the bid is the mean of the answers in the logarithm: the loss of a wrong bid is quadratic in it
    4. while the answers still differ by orders of magnitude, the expected spend of the hour, with the heavy tail of
       hypotheses in which the bid is far too high, stays within a share of its due: the search rises geometrically
    5. a target CPC or ROI is a second row: the largest bid with which spend <= target x clicks at the end

Nothing is random and nothing asks the system for the time. Money counts in budgets inside: no currency, no scale.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from domain.errors import ConfigError
from domain.outlook import Auction
from domain.tables import Floats
from engine.hourly_belief import Belief, Prior, Stretch
from engine.hourly_charge import USUAL_CTR, Charge
from engine.hourly_horizon import MOST_HOURS, HourlyHorizon, Moment
from engine.hourly_log import HourLog, HourState
from engine.hourly_reports import Awaited
from engine.hourly_target import Bought, Paid, Target, highest_within
from predictors.price_level import follow_level

__all__ = ["HourLog", "HourState", "HourlyBidder"]

#: Spend over target x clicks from which on prices are taken to be as dear as they were, not as believed.
OVERDRAWN = 1.03
#: Log of volume in a mean hour, and its error.
USUAL_VOLUME, USUAL_SD = math.log(10.0 / USUAL_CTR), 3.0
#: Chance that a told volume counts what we count, and its error then; otherwise it is as unsure as an untold one.
TOLD_CHANCE, TOLD_SD = 0.3, 0.7
#: All traffic at the median price costs exp(1.2 +- 1) budgets: advertisers do not bring money for everything.
DEPTH, DEPTH_SD = 1.2, 1.0
#: A target CPC tells the median price, with this error in the logarithm.
TARGET_SD = 1.2
#: Errors of the day's form, without and with a forecast.
WAVE_SD, TOLD_WAVE_SD = 0.4, 0.15
#: While bids differ by more than this variance, an hour's expected spend stays within a share of its due.
SEARCH_VARIANCE, SEARCH_SHARE = 0.25, 0.25
#: Largest rise of the log bid in an hour while nothing was won yet.
SEARCH_STEP = 2.1
#: A click that costs this share of the money left is dear: from there on the search rises by smaller steps.
DEAR, DEAR_STEP = 0.02, 0.6
#: Money held back against luck, per concentration of the rest (1 / hours if even), and per 1 / sqrt(clicks it buys);
#: what the last hour adds.
HOLD, HOLD_FEW, LAST = 0.7, 0.4, 0.2
#: The same per share of the rest that hours without totals may have spent.
HOLD_UNKNOWN = 0.5
#: Hours that a report may be late and still be learned from.
LATE = 3
#: In the last hours the log bid rises at most so much over its running mean (and that mean's hourly gain): money that
#: was left over is not thrown at a few dear clicks.
CLOSING, CLOSING_RISE, RUNNING = 3, 0.4, 0.2
#: Spreads over the median price beyond which there is nothing to win. In a first-price auction prices are seen only by
#: what bids win, so where money seems ample for everything the bound climbs, to learn whether it is.
MOST, CLIMB, FALL, HIGHEST = 2.5, 0.25, 0.1, 5.0
#: Hours from which the price level is forecast, and for which.
PRICE_MEMORY, PRICE_AHEAD = 72, 48

_AUCTIONS = {
    "first_price": Auction.FIRST_PRICE,
    "second_price": Auction.SECOND_PRICE,
    "vcg": Auction.SECOND_PRICE,
    "gsp": Auction.SECOND_PRICE,
}
_OBJECTIVES = {"clicks": "clicks", "conversions": "orders", "orders": "orders", "gmv": "gmv"}


@dataclass(slots=True)
class _Seen:
    """An hour as it was told: its position, and the log."""

    position: int
    log: HourLog


class HourlyBidder:
    """Bids once an hour for one campaign; see the module, and docs/library.md for use and limits.

    Parameters
    ----------
    auction
        ``first_price``, or ``second_price`` / ``vcg`` / ``gsp``: how what is bought is priced; hyphens will do.
    objective
        ``clicks``, ``orders`` (= ``conversions``) or ``gmv``. Within a campaign the hours are held to be alike in orders
        and value per click, so all three ask for the most clicks; it matters with a target ROI.
    """

    def __init__(self, auction: str | Auction, objective: str = "clicks") -> None:
        name = str(auction).strip().lower().replace("-", "_").replace(" ", "_")
        if name not in _AUCTIONS:
            raise ConfigError(f"unknown auction {auction!r}; write one of {', '.join(sorted(_AUCTIONS))}")
        goal = str(objective).strip().lower()
        if goal not in _OBJECTIVES:
            raise ConfigError(f"unknown objective {objective!r}; write one of {', '.join(sorted(_OBJECTIVES))}")
        self.auction = _AUCTIONS[name]
        self.objective = _OBJECTIVES[goal]
        self._first = self.auction is Auction.FIRST_PRICE
        self._horizon: HourlyHorizon | None = None

    def reset(
        self,
        budget: float,
        start: Moment,
        end: Moment,
        target_cpc: float | None = None,
        target_roi: float | None = None,
        traffic_forecast: Sequence[float] | Floats | None = None,
        order_value: float | None = None,
    ) -> None:
        """Begin a campaign.

        Parameters
        ----------
        budget
            Account currency, for all of it.
        start, end
            Local dates with time, or whole hours (0 = a Monday 00:00); the end is exclusive.
        target_cpc, target_roi
            Most that a click may cost in the mean; least gmv per spend.
        traffic_forecast
            Impressions expected in each hour; see `HourlyHorizon.of`.
        order_value
            Value of an order, account currency, for a target ROI where logs bring no gmv.

        Raises `ConfigError` where a number or moment makes no sense.
        """
        for name, value in (
            ("budget", budget),
            ("target_cpc", target_cpc),
            ("target_roi", target_roi),
            ("order_value", order_value),
        ):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} must be a number above 0, got {value!r}")
        self._horizon = HourlyHorizon.of(start, end, traffic_forecast)
        self._budget = float(budget)
        self._target = Target(
            None if target_cpc is None else target_cpc / self._budget,
            target_roi,
            None if order_value is None else order_value / self._budget,
        )
        self._charge = Charge()
        self._bought = Bought()
        self._seen: list[_Seen] = []
        self._awaited = Awaited()
        self._at = -10 * MOST_HOURS  # no hour was decided yet
        self._log_bid: float | None = None
        self._running: float | None = None
        self._most = MOST
        self._begin()
        self.state = HourState(
            0.0, "stopped", math.nan, self._budget, 0.0, 0.0, self._budget, *self._price(), "no hour was asked for yet"
        )

    def bid(self, hour: Moment, observed: HourLog | None = None) -> float:
        """Bid for an hour, after the totals of the hour before it (``None``: not known, or there was none).

        Returns account currency per click, 0 where nothing is to be bought; `state` says why. The same hour asked again
        gets the same answer. Hours that were skipped, or have no totals, are taken to have spent what was expected.

        Raises `ConfigError` for an hour before one that was decided, for a call before `reset`, and where a target ROI
        meets orders without a value; nothing has changed then.
        """
        horizon = self._horizon
        if horizon is None:
            raise ConfigError("call reset(budget, start, end, ...) before bid(...)")
        position = horizon.position(hour)
        if position < self._at:
            raise ConfigError(
                f"hour {hour} lies {self._at - position} hours before the last one decided; hours come in order, "
                "and a new campaign begins with reset"
            )
        if position == self._at:
            return self.state.bid
        self._target.check(observed)
        notes = self._take_in(position, observed)
        if position < 0:
            return self._stop("the campaign has not started", notes)
        self._at = position
        if position >= horizon.n_hours:
            return self._stop("the campaign is over", notes)
        left = self._left()
        if left <= 1e-9:
            return self._stop("the budget is spent", notes)
        return self._decide(position, left, notes)

    # ---- what was seen

    def _begin(self) -> None:
        """Belief before the first hour."""
        horizon, target = self._horizon, self._target
        assert horizon is not None
        told = horizon.expected is not None
        level = math.log(horizon.expected) if horizon.expected is not None else USUAL_VOLUME
        balance = DEPTH - math.log(horizon.n_hours * self._charge.per_volume)
        depth_var = DEPTH_SD**2 * (1 if target.empty else 4)  # with a target, the budget may be ample
        level_sd = math.sqrt(USUAL_SD**2 * depth_var / (USUAL_SD**2 + depth_var))
        parts: list[Prior] = []
        for story, volume_sd in ((TOLD_CHANCE, TOLD_SD), (1 - TOLD_CHANCE, USUAL_SD)) if told else ((1.0, USUAL_SD),):
            chance, price, price_var, volume = story, balance - level, volume_sd**2 + depth_var, level
            follow = -(volume_sd**2) / price_var
            if target.cpc is not None:
                known = math.log(target.cpc * self._charge.clicks_per_volume / self._charge.per_volume)
                error_var = price_var + TARGET_SD**2
                share = price_var / error_var
                chance *= math.exp(-0.5 * (known - price) ** 2 / error_var) / math.sqrt(error_var)
                volume += follow * share * (known - price)
                price += share * (known - price)
                price_var *= 1 - share
            parts.append(Prior(chance, price, math.sqrt(price_var), volume, follow))
        wave_sd = TOLD_WAVE_SD if horizon.told else WAVE_SD
        self._belief = Belief(parts, level_sd, wave_sd)
        self._paid = Paid()
        self._prices: list[float] = []
        self._price_vars: list[float] = []
        self._hour = 0

    def _take_in(self, position: int, log: HourLog | None) -> list[str]:
        """Account for the hours up to `position`; `log` tells of the one before it."""
        notes: list[str] = []
        horizon = self._horizon
        assert horizon is not None
        first, awaited = self._at, self._awaited
        if log is not None and first < 0:
            if log.spend > 0 or log.clicks > 0:
                self._bought.add(log, self._budget, self._target.order_value)
                notes.append("totals from before the first bid count as spent, and teach nothing")
            log = None
        if first < 0:
            return notes
        of = -1 if log is None else awaited.hour_of(log, position)
        for at in range(first, min(position, horizon.n_hours)):
            if at != of:
                if self._log_bid is not None:
                    awaited.spend[at] = self._expected_spend(at)
                notes.append(f"hour {at} has no totals: taken to have spent what was expected")
        if log is None:
            return notes
        if of < position - 1:
            notes.append(f"the totals given are those of hour {of}, by their bid")
        elif awaited.differs(log, of):
            notes.append(f"the bid in force was {log.bid:g}, not the one asked for: learned from as it was")
        awaited.told(of)
        self._bought.add(log, self._budget, self._target.order_value)
        notes += self._contradictions(log)
        seen = _Seen(of, log)
        if self._charge.count(log):
            self._begin()  # what was charged was taken for something else: read all hours again
            for earlier in self._seen:
                self._learn(earlier)
        self._seen.append(seen)
        self._learn(seen)
        return notes

    def _contradictions(self, log: HourLog) -> list[str]:
        notes: list[str] = []
        if log.bid <= 0 < log.spend:
            notes.append("money was spent at a bid of 0: it counts, and teaches nothing")
        if log.bid > 0 and log.spend > 1.001 * log.bid * log.clicks and log.impressions <= 0:
            notes.append("more was spent than the bid allows for these clicks: it counts")
        if 0 < log.impressions < log.clicks:
            notes.append("more clicks than impressions")
        if self._bought.spend > 1.0 + 1e-9:
            notes.append("more was spent than the budget")
        return notes

    def _learn(self, seen: _Seen) -> None:
        """Filter one hour, and pass to the next."""
        horizon, charge, belief, log = self._horizon, self._charge, self._belief, seen.log
        assert horizon is not None
        if seen.position < self._hour:
            return  # too late to learn from: the belief has gone past that hour
        while self._hour < seen.position:
            self._pass(self._hour)
        if log.bid > 0 and seen.position < horizon.n_hours:
            log_bid = math.log(log.bid / self._budget)
            at = seen.position
            belief.observe_volume(log_bid, charge.volume(log), float(horizon.log_shape[at]), horizon.waves[at])
            units = charge.units(log)
            if not self._first and not self._target.empty:
                won, spent = belief.outcome(
                    0.0, self._stretch(at, at + 1, belief).slope, log_bid, math.inf, first_price=False
                )
                self._paid.add(units, log.spend / self._budget, units * spent / won if won > 0 else 0.0)
            paid = log.spend / (units * log.bid) if units > 0 else 0.0
            if not self._first and 0 < paid <= (1.001 if charge.unit != "expected click" else 1.5):
                draws = min(charge.draws(log), 1e6)
                belief.observe_price(log_bid, log_bid + math.log(min(paid, 1.0)), draws)
        self._pass(seen.position)

    def _pass(self, position: int) -> None:
        """One hour goes by."""
        horizon = self._horizon
        assert horizon is not None
        price, sd, _ = self._belief.price()
        self._prices.append(price)
        self._price_vars.append(sd * sd + 1e-4 if sd < 0.3 else math.inf)
        self._belief.pass_hour(new_day=horizon.new_day(position + 1))
        self._hour = position + 1

    def _ahead(self, position: int) -> Belief:
        """Belief as of an hour; while reports of the last hours may still come, their hours pass in a copy alone."""
        horizon = self._horizon
        assert horizon is not None
        while self._hour < position - LATE:
            self._pass(self._hour)
        if self._hour >= position:
            return self._belief
        view = self._belief.copy()
        for at in range(self._hour, position):
            view.pass_hour(new_day=horizon.new_day(at + 1))
        return view

    def _left(self) -> float:
        return max(0.0, 1.0 - self._bought.spend - self._awaited.total)

    def _expected_spend(self, at: int) -> float:
        """Of an hour that nobody told of, in budgets."""
        horizon = self._horizon
        assert horizon is not None
        assert self._log_bid is not None
        belief = self._ahead(at)
        hour = self._stretch(at, at + 1, belief)
        log_units = hour.log_volume + math.log(self._charge.per_volume)
        left = self._left()
        return min(left, belief.outcome(log_units, hour.slope, self._log_bid, left, first_price=self._first)[1])

    # ---- what is to be bid

    def _stretch(self, first: int, end: int, belief: Belief) -> Stretch:
        horizon = self._horizon
        assert horizon is not None
        today = (horizon.day[first:end] == horizon.day[first]).astype(np.float64)
        return belief.stretch(horizon.log_shape[first:end], horizon.waves[first:end], today)

    def _decide(self, position: int, left: float, notes: list[str]) -> float:
        horizon, belief = self._horizon, self._ahead(position)
        assert horizon is not None
        rest = self._stretch(position, horizon.n_hours, belief)
        log_pay = math.log(self._charge.per_volume)
        units = rest.log_volume + log_pay
        shift = self._shift(rest)
        last = position == horizon.n_hours - 1
        # Luck falls on few hours at the end: hold money back so that it is not gone early; the last hour spends it.
        hold = -LAST if last else self._held_back(left, rest)
        log_bid, unsure = belief.log_bid(
            math.log(left) - hold, units, rest.slope, shift, first_price=self._first, most=self._most
        )
        price, price_sd, spread = belief.price()
        binding = "traffic" if log_bid > price + shift + (self._most - 0.2) * spread else "budget"
        step = CLIMB if binding == "traffic" else -FALL
        self._most = min(max(self._most + step, MOST), HIGHEST)
        if unsure > SEARCH_VARIANCE and not last:
            within = self._within_due(belief, position, left, float(rest.share[0]), unsure, log_bid)
            binding = "search" if within < log_bid else binding
            log_bid = within
        if self._log_bid is not None and self._charge.clicks + self._charge.impressions == 0:
            step = self._log_bid + SEARCH_STEP
            step = min(step, max(math.log(DEAR * left), self._log_bid + DEAR_STEP))
            binding = "search" if step < log_bid else binding
            log_bid = min(log_bid, step)
        if self._running is not None and position >= horizon.n_hours - CLOSING:
            log_bid = min(log_bid, self._running + CLOSING_RISE)
        kappa = self._target.cap(self._bought, 1 - position / horizon.n_hours)
        if kappa is not None:
            cap = highest_within(
                belief, rest, units, shift, self._bought, kappa,
                self._charge.clicks_per_volume / self._charge.per_volume, price_sd, first_price=self._first, left=left,
                dearer=self._paid.dearer(overdrawn=self._bought.spend > OVERDRAWN * kappa * self._bought.clicks),
            )  # fmt: skip
            if cap < log_bid:
                log_bid, binding = cap, "target"
        elif self._target.roi is not None:
            notes.append("no order value is known yet: the target ROI is not held to")
        if self._running is None or binding == "search":
            self._running = log_bid
        self._running += RUNNING * (log_bid - self._running)
        self._log_bid = min(log_bid, math.log(left))
        bid = min(math.exp(self._log_bid), left) * self._budget
        self._awaited.asked(position, bid)
        spend = belief.outcome(units, rest.slope, self._log_bid, math.inf, first_price=self._first, shift=shift)[1]
        gone = self._bought.spend + self._awaited.total
        sd = math.hypot(rest.sd, 0.5 * price_sd)
        low, high = (min(left, spend * math.exp(sign * 1.645 * sd)) for sign in (-1.0, 1.0))
        z = (self._log_bid - price) / spread
        self.state = HourState(
            bid, binding, bid * (1 + _shading(z, spread)) if self._first else bid, left * self._budget,
            (gone + min(left, spend)) * self._budget, (gone + low) * self._budget, (gone + high) * self._budget,
            *self._price(), "; ".join(notes),
        )  # fmt: skip
        return bid

    def _held_back(self, left: float, rest: Stretch) -> float:
        """Logarithm by which less than what is left is planned to be spent: more where few hours or clicks remain."""
        few = 0.0
        if self._bought.clicks > 0:
            few = min(math.sqrt(self._bought.spend / self._bought.clicks / left), 1.0)
        unknown = HOLD_UNKNOWN * self._awaited.error / left
        return min(HOLD * float(rest.share @ rest.share) + HOLD_FEW * few + unknown, HOLD)

    def _within_due(
        self, belief: Belief, position: int, left: float, share: float, unsure: float, log_bid: float
    ) -> float:
        """Largest bid up to `log_bid` with which the hour's expected spend stays within its due."""
        now = self._stretch(position, position + 1, belief)
        units = now.log_volume + math.log(self._charge.per_volume) + 0.5 * float(belief.cov[0, 0])
        due = SEARCH_SHARE * max(4.0 / unsure, 1.0) * share * left

        def beyond(at: float) -> bool:
            return belief.outcome(units, now.slope, at, left, first_price=self._first)[1] > due

        if not beyond(log_bid):
            return log_bid
        low, high = log_bid - 8.0, log_bid
        for _ in range(14):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if beyond(middle) else (middle, high)
        return low

    def _shift(self, rest: Stretch) -> float:
        """How far prices of the rest are expected over the present one: a level that rose may come back."""
        if self._first or len(self._prices) < 3:
            return 0.0
        variance = np.array(self._price_vars[-PRICE_MEMORY:])
        known = np.isfinite(variance)
        if known.sum() < 3:
            return 0.0
        level = np.array(self._prices[-PRICE_MEMORY:])
        level = level - np.average(level[known], weights=1 / variance[known])
        n = min(rest.share.size, PRICE_AHEAD)
        ahead, _ = follow_level(level, variance, n)
        return float(rest.share[:n] @ ahead + rest.share[n:].sum() * ahead[-1] - ahead[0])

    def _price(self) -> tuple[float, float]:
        price, sd, _ = self._belief.price()
        return math.exp(price) * self._budget, sd

    def _stop(self, why: str, notes: list[str]) -> float:
        left = self._left() * self._budget
        gone = self._budget * (self._bought.spend + self._awaited.total)
        self._log_bid = None
        self.state = HourState(
            0.0, "stopped", math.nan, left, gone, gone, gone, *self._price(), "; ".join([f"bid 0: {why}", *notes])
        )
        return 0.0


def _shading(z: float, spread: float) -> float:
    """How much dearer than the mean the last click is in a first-price auction: s Phi(z) / phi(z)."""
    z = min(z, 6.0)
    if z < -20.0:
        return -spread / z  # the tail, where the product below is 0 times infinity
    return spread * 0.5 * math.erfc(-z / math.sqrt(2)) * math.sqrt(2 * math.pi) * math.exp(0.5 * z * z)
