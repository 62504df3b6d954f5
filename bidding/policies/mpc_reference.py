r"""The plain receding-horizon controller that SteadyBid has to beat: mathematics part II, and nothing beyond it.

    calibration   r_i = (k R + n_i) / (k + e_i),   e_i = sum clicks x prior cvr x factor x F(age),   R = sum n / sum e
    delay         F(age) = p0 + (1 - p0)(1 - exp(-age / tau)); p0 and tau by the likelihood of hourly order totals on
                  grids, for each stretch of the calendar by itself: hours in a row whose forecast factors are equal
    price         theta_B: smallest theta with C0 + sum C(theta) <= B;  theta_R: on (0, rho], smallest theta with
                  V0 + sum V(theta) >= rho (C0 + sum C(theta));  theta = max of both
    trim          theta exp(0.10 I), I = clip(0.8 I + log(actual / planned), +-0.5), halved in the first half

k is learned from how far units spread beyond Poisson noise (empirical Bayes). Market price, traffic and calendar
stay what was forecast; spend that leaves the forecast is met by solving anew and by the trim. It looks at `known`
alone: outlook and prices of money of the desk are not used, except for the targets' own numbers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy.special import gammaln, ndtr  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from bidding.policies.baselines import account_row, kept, stored
from bidding.policies.clipping import Live, legal
from domain.limits import BidLimits
from domain.outlook import Outlook
from domain.plans import BidPlan, SpendTargets
from domain.problem import Status
from domain.tables import Floats, Known

#: Means of the late part of the delay that are tried, hours.
LAG_GRID = tuple(float(x) for x in np.geomspace(2.0, 60.0, 18))
#: Shares of orders that come in within the hour of the click that are tried.
ONCE_GRID = (0.3, 0.45, 0.6, 0.75, 0.9, 0.98)
#: Mean of the late part on ordinary days, hours, and how far a stretch may be from an ordinary day (log, logit).
USUAL_LAG, LAG_SPREAD, ONCE_SPREAD = 18.0, 0.8, 1.0
#: Relative spreads of units around the common ratio that are tried.
SPREAD_GRID = tuple(float(x) for x in np.geomspace(0.05, 1.2, 16))
#: Stands for a price of money of 0, where more is left than bids can spend: every click of any worth is wanted.
FREE = 1e-200


@dataclass(frozen=True, slots=True)
class Rest:
    """Forecast of the hours to come; hours in which the same bid over value is right are one column.

    With x = value factor / price factor of a column, a bid of value * factor / theta meets the median price m at
    z = ln(value x / (theta m)) / s, so all hours of a column share one win rate.

    Attributes
    ----------
    x
        (n_columns,) value factor over price factor.
    spend_weight, gmv_weight
        (n_columns,) sums over hours of traffic x price factor and of traffic x value factor.
    now
        Column of the hour that is decided.
    now_spend
        Traffic x price factor of that hour.
    now_value
        Value factor of that hour.
    """

    x: Floats
    spend_weight: Floats
    gmv_weight: Floats
    now: int
    now_spend: float
    now_value: float


@dataclass(frozen=True, slots=True)
class Market:
    """Forecast of the units, all (n_units,): opportunities of an ordinary hour, median and spread of prices."""

    opportunities: Floats
    median: Floats
    spread: Floats

    def totals(self, value: Floats, rest: Rest, theta: float) -> tuple[float, float, float]:
        """Expected (spend, gmv) of the rest, and the spend of the hour that is decided."""
        with np.errstate(divide="ignore"):
            z = (np.log(value / self.median)[:, None] + np.log(rest.x / max(theta, FREE))) / self.spread[:, None]
        per_click = self.median * np.exp(0.5 * self.spread**2)
        spend = (self.opportunities * per_click) @ ndtr(z - self.spread[:, None])
        gmv = (self.opportunities * value) @ ndtr(z)
        return float(spend @ rest.spend_weight), float(gmv @ rest.gmv_weight), float(spend[rest.now] * rest.now_spend)


@dataclass(frozen=True, slots=True)
class MpcReferencePolicy:
    """Solves the rest of the promotion every hour, from last month's model calibrated by one formula.

    Attributes
    ----------
    share_at_once
        Share of orders that come in within the hour of the click.
    gain, leak, bound
        Of the trim.
    prior_orders
        Orders that the forecast's common level is worth.
    """

    share_at_once: float = 0.45
    gain: float = 0.10
    leak: float = 0.8
    bound: float = 0.5
    prior_orders: float = 30.0

    def propose(self, known: Known, outlook: Outlook, targets: SpendTargets, limits: BidLimits) -> BidPlan:
        """Plan of the hour; holds bids where there is no forecast to plan by."""
        live, priors, units = Live.of(known), known.priors, known.units
        rest = _rest(known)
        if rest is None or priors.price_median is None or priors.clicks_per_hour is None:
            return stored(known, outlook, targets, kept(live), "mpc_reference: no forecast to plan by")
        spread = priors.price_spread if priors.price_spread is not None else np.full(known.n_units, 0.6)
        market = Market(priors.clicks_per_hour, priors.price_median, spread)
        worth = units["prior_order_value"].fill_null(units["price"]).fill_null(0.0).to_numpy()
        cvr = np.maximum(units["prior_cvr"].fill_null(0.0).to_numpy(), 1e-9)
        past = _past(known)
        value, gained = self._calibrate(known, past, cvr, worth)
        spent = float(past["spend"].sum())
        theta, status = self._price(targets, market, rest, value, spent, gained)
        trim = self._trim(known, targets, spent)
        planned = market.totals(value, rest, theta)[2]
        bids = value * rest.now_value / max(theta * trim, FREE)
        amount = np.minimum(np.where(np.arange(targets.amount.size) == 0, planned, targets.amount), targets.ceiling)
        own = replace(targets, amount=amount, theta=np.full(known.n_units, theta * trim), trim=trim, status=status)
        return stored(known, outlook, own, legal(bids, live, limits), "mpc_reference: the rest solved anew")

    def _calibrate(self, known: Known, past: pl.DataFrame, cvr: Floats, worth: Floats) -> tuple[Floats, float]:
        """(n_units,) value of a click in an ordinary hour, and the estimated final gmv of past clicks."""
        n = known.n_units
        unit = past["unit"].to_numpy()
        due = past["clicks"].to_numpy() * past["cvr_factor"].to_numpy() * cvr[unit]
        told = self._told_share(known, past, due)
        orders = np.bincount(unit, past["orders"].to_numpy(), n).astype(np.float64)
        expected = np.bincount(unit, due * told, n).astype(np.float64)
        common = (self.prior_orders + orders.sum()) / (self.prior_orders + expected.sum())
        k = _strength(orders, expected * common)
        ratio = common * (k + orders) / (k + expected * common)
        value = cvr * ratio * worth
        gained = float(due @ (ratio * worth)[unit])  # of past clicks at the calibrated rate, not as reported
        return value, gained

    def _told_share(self, known: Known, past: pl.DataFrame, due: Floats) -> Floats:
        """(n_rows,) share of the orders of each past row that is known by now."""
        stretch, age = past["stretch"].to_numpy(), past["age"].to_numpy()
        came = known.arrivals.join(past.select("start_utc", "stretch").unique(), on="start_utc", how="inner")
        told = np.zeros(past.height)
        for name in np.unique(stretch):
            mine = stretch == name
            once, lag = self._delay(known, came.filter(pl.col("stretch") == name), age[mine], due[mine])
            told[mine] = _told(age[mine], once, lag)
        return told

    def _delay(self, known: Known, came: pl.DataFrame, age: Floats, due: Floats) -> tuple[float, float]:
        """Share at once and mean of the late part: likelihood of the orders of each hour, level left free."""
        if not came.height:
            return self.share_at_once, USUAL_LAG
        ago = (pl.lit(known.hour.start) - pl.col("learned_at")).dt.total_hours().alias("ago")
        hourly = came.group_by(ago).agg(pl.col("orders").sum())
        since, orders = hourly["ago"].to_numpy(), np.maximum(hourly["orders"].to_numpy(), 0.0)
        per_hour = np.bincount(age.astype(np.int64), due)  # by age of the clicks' hour
        ages = np.flatnonzero(per_hour)
        # The clicks of age a now were of age a - ago when those orders came in.
        then = (ages[None, :] - since[:, None]).astype(np.float64)
        usual = math.log(self.share_at_once / (1 - self.share_at_once))
        best, found = -math.inf, (self.share_at_once, USUAL_LAG)
        for lag in LAG_GRID:
            late = 1 - np.exp(-np.maximum(then - 1, 0) / lag)  # of the late part, known by then
            step = np.where(then > 1, late - (1 - np.exp(-np.maximum(then - 2, 0) / lag)), 0.0) @ per_hour[ages]
            at_once = np.where(then == 1, 1.0, 0.0) @ per_hour[ages]
            for once in ONCE_GRID:
                mean = np.maximum(once * at_once + (1 - once) * step, 1e-12)
                level = (orders.sum() + self.prior_orders) / (mean.sum() + self.prior_orders)
                score = float(orders @ np.log(level * mean) - level * mean.sum())
                score -= 0.5 * (math.log(lag / USUAL_LAG) / LAG_SPREAD) ** 2
                score -= 0.5 * ((math.log(once / (1 - once)) - usual) / ONCE_SPREAD) ** 2
                if score > best:
                    best, found = score, (once, lag)
        return found

    def _price(
        self, targets: SpendTargets, market: Market, rest: Rest, value: Floats, spent: float, gained: float
    ) -> tuple[float, Status]:
        """Price of money of the rest, and which row set it."""
        budget, roi = account_row(targets, "budget"), account_row(targets, "roi")
        top = float((value / market.median).max()) * float(rest.x.max()) * 1e3
        theta_b = theta_r = 0.0
        if budget is not None:
            left = max(budget.target - spent, 1e-9)
            theta_b = _smallest(lambda t: market.totals(value, rest, t)[0] <= left, top * 1e-9, top)
        if roi is not None:
            rho = roi.target

            def holds(theta: float) -> bool:
                spend, gmv, _ = market.totals(value, rest, theta)
                return gained + gmv >= rho * (spent + spend)

            if holds(rho):
                theta_r = _smallest(holds, min(top * 1e-9, rho / 2), rho)
            else:
                return max(rho, theta_b), Status.UNREACHABLE
        return max(theta_b, theta_r), Status.BUDGET_BINDS if theta_b > theta_r else Status.ROI_BINDS

    def _trim(self, known: Known, targets: SpendTargets, spent: float) -> float:
        """Factor on theta from how spend left the plan in the last hours."""
        planned = known.planned.filter(pl.col("group") == "account").sort("start_utc").tail(24)
        if not planned.height:
            return 1.0
        by_hour = known.performance.group_by("start_utc").agg(pl.col("spend").sum())
        both = planned.join(by_hour, on="start_utc", how="inner").sort("start_utc")
        integral = 0.0
        for plan, actual in both.select("amount", "spend").iter_rows():
            if plan > 0 and actual > 0:
                integral = self.leak * integral + max(-1.0, min(1.0, math.log(actual / plan)))
                integral = max(-self.bound, min(self.bound, integral))
        budget = account_row(targets, "budget")
        early = budget is not None and spent < 0.5 * budget.target
        return math.exp(self.gain * integral * (0.5 if early else 1.0))


def _told(age: Floats, once: float, lag: float) -> Floats:
    """Share of the orders of clicks of an hour that are known `age` hours after its start."""
    return once + (1 - once) * -np.expm1(-np.maximum(age - 1, 0) / lag)


def _past(known: Known) -> pl.DataFrame:
    """Hourly rows with the forecast factor of their hour, their stretch of the calendar, and their age in hours."""
    hours = known.priors.hours.sort("start_utc")
    turns = pl.struct("cvr_factor", "price_factor")
    stretch = (turns != turns.shift(1)).fill_null(False).cum_sum().alias("stretch")
    factor = hours.select("start_utc", "cvr_factor", stretch)
    age = (pl.lit(known.hour.start) - pl.col("start_utc")).dt.total_hours().cast(pl.Float64).alias("age")
    rows = known.performance.filter((pl.col("grain") == "hour") & (pl.col("start_utc") < known.hour.start))
    rows = rows.join(factor, on="start_utc", how="left", maintain_order="left")
    return rows.with_columns(pl.col("cvr_factor").fill_null(1.0), pl.col("stretch").fill_null(0), age)


def _rest(known: Known) -> Rest | None:
    """Hours from the decided one on, as columns; ``None`` where none is forecast."""
    ahead = known.priors.hours.filter(pl.col("start_utc") >= known.hour.start).sort("start_utc")
    if not ahead.height or ahead["start_utc"][0] != known.hour.start:
        return None
    traffic, price, cvr = (ahead[name].to_numpy() for name in ("traffic", "price_factor", "cvr_factor"))
    _, first, column = np.unique(np.round(np.log(cvr / price), 6), return_index=True, return_inverse=True)
    return Rest(
        x=(cvr / price)[first],
        spend_weight=np.bincount(column, traffic * price).astype(np.float64),
        gmv_weight=np.bincount(column, traffic * cvr).astype(np.float64),
        now=int(column[0]),
        now_spend=float(traffic[0] * price[0]),
        now_value=float(cvr[0]),
    )


def _strength(orders: Floats, expected: Floats) -> float:
    """Orders that the common ratio is worth against a unit's own: negative binomial likelihood on a grid."""
    seen = expected > 0
    n, e = orders[seen], expected[seen]
    best, found = -math.inf, 1 / 0.3**2
    for spread in SPREAD_GRID:
        k = 1 / spread**2
        score = (
            gammaln(n + k) - gammaln(k) + k * np.log(k / (k + e)) + n * np.log(np.maximum(e / (k + e), 1e-300))
        ).sum()
        score -= 0.5 * (math.log(spread / 0.3) / 0.5) ** 2
        if score > best:
            best, found = float(score), k
    return found


def _smallest(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Smallest price in the bracket at which a row holds that holds at its upper end; 0 where it always does."""
    if holds(low):
        return 0.0
    a, b = math.log(low), math.log(high)
    for _ in range(60):
        middle = 0.5 * (a + b)
        a, b = (a, middle) if holds(math.exp(middle)) else (middle, b)
    return math.exp(b)
