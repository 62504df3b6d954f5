r"""One bid an hour for one campaign that sees nothing but its hourly totals.

The shadow price of one budget is the same in every hour of its horizon (docs/mathematics.md, II.1), and clicks of one
campaign are worth alike, so the best plan has one number v, what the last click may cost: second price bids b = v,
first price b + W / W' = v, which under a log-normal price is one bid for all hours of the same price. Each hour

    1. the belief over (price, spread, traffic) takes in the hour before            engine/hourly_belief.py
    2. each hypothesis is asked for the bid that spends what is left over the rest  closed form
    3. the bid is the mean of the answers in the logarithm: the loss of a wrong bid is quadratic in it
    4. while the answers still differ by orders of magnitude, the expected spend of the hour, with the heavy tail of
       hypotheses in which the bid is far too high, stays within a share of its due: the search rises geometrically
    5. later and later in a budget, bids follow new answers less and less: money left over is weighed against steadiness
    6. a target CPC or ROI is a second row: the largest bid with which spend <= target x clicks at the end

Nothing is random and nothing asks the system for the time. Money counts in budgets inside: no currency, no scale.
"""

import math
from collections.abc import Sequence

from domain.errors import ConfigError
from domain.outlook import Auction
from domain.tables import Floats
from engine.hourly_horizon import MOST_HOURS, HourlyHorizon, Moment
from engine.hourly_input import AUCTIONS, OBJECTIVES, check_amounts, named
from engine.hourly_log import HourLog, HourState
from engine.hourly_market import HourlyMarket
from engine.hourly_report import decided
from engine.hourly_reports import Awaited, contradictions
from engine.hourly_search import SEARCH_VARIANCE, held_back, highest_step, within_due
from engine.hourly_steady import Steady
from engine.hourly_target import Bought, Target, highest_within

__all__ = ["HourLog", "HourState", "HourlyBidder"]

#: Spend over target x clicks from which on prices are taken to be as dear as they were, not as believed.
OVERDRAWN = 1.03
#: What the last hour spends beyond what is left, as bids go.
LAST = 0.2
#: In the last hours the log bid rises at most so much over its running mean (and that mean's hourly gain): money that
#: was left over is not thrown at a few dear clicks.
CLOSING, CLOSING_RISE, RUNNING = 3, 0.4, 0.2
#: Spreads over the median price beyond which there is nothing to win. In a first-price auction prices are seen only by
#: what bids win, so where money seems ample for everything the bound climbs, to learn whether it is.
MOST, CLIMB, FALL, HIGHEST = 2.5, 0.25, 0.1, 5.0
#: What a missed budget costs against unsteady bids; a first-price bid is paid in full, and less of it can be given away.
STEADY, STEADY_FIRST = 4.0, 8.0


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
        self.auction = auction if isinstance(auction, Auction) else named(AUCTIONS, auction, "auction")
        self.objective = named(OBJECTIVES, objective, "objective")
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
        check_amounts(budget=budget, target_cpc=target_cpc, target_roi=target_roi, order_value=order_value)
        self._horizon = HourlyHorizon.of(start, end, traffic_forecast)
        self._budget = float(budget)
        self._target = Target.of(self._budget, target_cpc, target_roi, order_value)
        self._market = HourlyMarket(self._horizon, self._budget, self._target, first_price=self._first)
        self._bought = Bought()
        self._steady = Steady(STEADY_FIRST if self._first else STEADY)
        self._awaited = Awaited()
        self._at = -10 * MOST_HOURS  # no hour was decided yet
        self._log_bid: float | None = None
        self._running: float | None = None
        self._most = MOST
        price = self._market.price()
        self.state = HourState(
            0.0, "stopped", math.nan, self._budget, 0.0, 0.0, self._budget, *price, "no hour was asked for yet"
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
                    awaited.spend[at] = self._market.expected_spend(at, self._log_bid, self._left())
                notes.append(f"hour {at} has no totals: taken to have spent what was expected")
        if log is None:
            return notes
        if of < position - 1:
            notes.append(f"the totals given are those of hour {of}, by their bid")
        elif awaited.differs(log, of):
            notes.append(f"the bid in force was {log.bid:g}, not the one asked for: learned from as it was")
        awaited.told(of)
        self._bought.add(log, self._budget, self._target.order_value)
        self._steady.paid(log.bid / self._budget, log.spend / self._budget)
        notes += contradictions(log, self._bought.spend)
        self._market.take(of, log)
        return notes

    def _left(self) -> float:
        return max(0.0, 1.0 - self._bought.spend - self._awaited.total)

    # ---- what is to be bid

    def _decide(self, position: int, left: float, notes: list[str]) -> float:
        horizon, market, charge = self._horizon, self._market, self._market.charge
        assert horizon is not None
        belief = market.ahead(position)
        rest = market.stretch(position, horizon.n_hours, belief)
        log_pay = math.log(charge.per_volume)
        units = rest.log_volume + log_pay
        shift = market.shift(rest)
        last = position == horizon.n_hours - 1
        # Luck falls on few hours at the end: hold money back so that it is not gone early; the last hour spends it.
        hold = -LAST
        if not last:
            hold = held_back(left, rest, self._bought.spend, self._bought.clicks, self._awaited.error)
        log_bid, unsure = belief.log_bid(
            math.log(left) - hold, units, rest.slope, shift, first_price=self._first, most=self._most
        )
        price, price_sd, spread = belief.price()
        binding = "traffic" if log_bid > price + shift + (self._most - 0.2) * spread else "budget"
        step = CLIMB if binding == "traffic" else -FALL
        self._most = min(max(self._most + step, MOST), HIGHEST)
        kappa = self._target.cap(self._bought, 1 - position / horizon.n_hours)
        if binding == "budget" and kappa is None and unsure <= SEARCH_VARIANCE:
            log_bid = self._steady.toward(log_bid, left)
        if unsure > SEARCH_VARIANCE and not last:
            now = market.stretch(position, position + 1, belief)
            within = within_due(
                belief, now, log_pay, left, float(rest.share[0]), unsure, log_bid, first_price=self._first
            )
            binding = "search" if within < log_bid else binding
            log_bid = within
        if self._log_bid is not None and charge.clicks + charge.impressions == 0:
            step = highest_step(self._log_bid, left)
            binding = "search" if step < log_bid else binding
            log_bid = min(log_bid, step)
        if self._running is not None and position >= horizon.n_hours - CLOSING:
            log_bid = min(log_bid, self._running + CLOSING_RISE)
        if kappa is not None:
            cap = highest_within(
                belief, rest, units, shift, self._bought, kappa,
                charge.clicks_per_volume / charge.per_volume, price_sd, first_price=self._first, left=left,
                dearer=market.paid.dearer(overdrawn=self._bought.spend > OVERDRAWN * kappa * self._bought.clicks),
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
        self.state = decided(
            bid, binding, self._budget, gone, left, spend, rest.sd, self._log_bid, (price, price_sd, spread), self._market.price(),
            notes, first_price=self._first,
        )  # fmt: skip
        return bid

    def _stop(self, why: str, notes: list[str]) -> float:
        left = self._left() * self._budget
        gone = self._budget * (self._bought.spend + self._awaited.total)
        self._log_bid = None
        why = "; ".join([f"bid 0: {why}", *notes])
        self.state = HourState(0.0, "stopped", math.nan, left, gone, gone, gone, *self._market.price(), why)
        return 0.0
