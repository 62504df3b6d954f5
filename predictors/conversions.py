"""Orders per click of every unit, and how much of each row's orders is known by now.

Forecast, delay and shrinkage lean on each other: the delay law weighs clicks by what they are worth, the rates
count only the share of orders that the delay lets one see. Two rounds settle them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from domain.tables import Bools, Floats, Ints
from predictors.delay import DelayCounts, DelayLaw, DelayPrior, learn_delay
from predictors.evidence import PHASE_KINDS, Evidence
from predictors.hourly_orders import HourlyOrders
from predictors.kin import Kin
from predictors.rows import Counted
from predictors.settings import PredictorSettings
from predictors.settling import Returns, Waiting
from predictors.shrinkage import Shrunk, shrink_by
from predictors.shrinkage_design import design_of
from predictors.sums import summed
from predictors.value import LEAST_ORDERS

#: Days after which an order is not awaited any more.
DAILY_AGES = 30
#: How far a market price is believed, beside a forecast, to move with the value of the click.
HINT_TRUST = 0.2


@dataclass(frozen=True, slots=True)
class UnitBeliefs:
    """What is believed of units before the account's own rows speak, all (n_units,).

    Attributes
    ----------
    cvr, ctr
        Orders per click, clicks per impression; positive.
    cvr_stated
        Where last month's model gave the cvr; else it is the rate model's.
    order_value
        Account currency; NaN where nobody said.
    campaign
        Position of the campaign, -1 for none.
    market_price
        Forecast market price of a click, account currency, or ``None``.
    kin
        What units of the same category and match type have in common in log cvr, or ``None``.
    """

    cvr: Floats
    ctr: Floats
    cvr_stated: Bools
    order_value: Floats
    campaign: Ints
    market_price: Floats | None
    kin: Kin | None = None


@dataclass(frozen=True, slots=True)
class Conversions:
    """Orders per click net of what comes back, and how late they come.

    Attributes
    ----------
    cvr
        (n_units,) orders per click in a base hour.
    shrunk
        Ratios to the belief, errors, and what was learned of the belief.
    hourly, daily
        Delay laws of hourly and of daily rows, of orders that do not wait for a burst.
    told
        (n_cohorts,) share of the rows' net orders that is known by now; above 1 where some will come back.
    money, final
        (n_cohorts,) share of the rows' value that is known by now, and that there will be: below 1 where deposits are
        forfeited.
    kept
        (n_kinds,) `final` of clicks to come, by kind of phase.
    per_click
        (n_cohorts,) forecast factor on orders per click, of which clicks that will be credited back bring none.
    steps
        (n_cohorts,) age in steps of the rows' delay law, up to which their orders could be told.
    counted
        What all rows sum up to.
    clicks, orders
        (n_units,) clicks seen that stay, and orders seen.
    returned
        Orders that come back.
    waits
        Share of orders that waits for the burst, by position of the kind.
    deposits
        Share of a pre-sale order's value that is paid with it; 1 = no deposits.
    silent_now
        Hours that no order has been told for, though many were due.
    """

    cvr: Floats
    shrunk: Shrunk
    hourly: DelayLaw
    daily: DelayLaw
    told: Floats
    money: Floats
    final: Floats
    kept: Floats
    per_click: Floats
    steps: Floats
    counted: Counted
    clicks: Floats
    orders: Floats
    returned: Returns
    waits: Mapping[int, Waiting]
    deposits: float
    silent_now: int


def learn_conversions(
    evidence: Evidence, beliefs: UnitBeliefs, settings: PredictorSettings, stays: Floats | None = None
) -> Conversions:
    """Delay laws, what waits and what comes back, and shrunk conversion rates from all rows.

    `stays` (n_cohorts,) is the share of clicks that is not credited back; ``None`` = all.
    """
    rows, factors, n = evidence.rows, evidence.factors, evidence.n_units
    cohorts = rows.cohorts
    kind = factors.phase[factors.position(cohorts.hour)]
    kept = np.ones(kind.size) if stays is None else stays
    per_click = kept * _mean_factor(evidence)
    counted = rows.counted(kept, beliefs.cvr, LEAST_ORDERS)
    clicks, orders, told_orders = counted.clicks, counted.orders, counted.told
    # without a forecast there is none to be wrong: the level is the account's own, whatever it is
    level_sd = settings.prior_level_sd if beliefs.cvr_stated.any() else 1.0
    hourly_prior = DelayPrior(settings.hourly_share_at_once, settings.hourly_mean_lag_hours, level_sd)
    daily_prior = DelayPrior(settings.daily_share_at_once, settings.daily_mean_lag_days, level_sd)
    seen = np.maximum(orders, 0.0)
    design = design_of(np.log(beliefs.cvr), *_hints(beliefs), beliefs.kin)
    by_day = np.flatnonzero(cohorts.daily)
    due_first = counted.due * per_click
    hourly_rows = HourlyOrders.of(evidence, kind, due_first, told_orders, beliefs.order_value)
    steps = np.where(cohorts.daily, cohorts.age / 24.0, 0.0)
    steps[hourly_rows.cohorts] = hourly_rows.age

    def settle(cvr: Floats, before: tuple[DelayLaw, Mapping[int, Waiting]] | None) -> Conversions:
        # units are weighed by what is known of them, but the level stays the forecast's: the delay has its own prior
        believed = float(clicks @ beliefs.cvr)
        level = float(clicks @ cvr) / believed if believed > 0 else 1.0
        last = before is not None
        worth = (rows.by_cohort(rows.clicks, cvr) * per_click if last else due_first) / level
        daily_counts = _count_daily(evidence, kind, worth, told_orders)
        daily = learn_delay(daily_counts, daily_prior, step_hours=24, by_phase=last)
        hourly, hourly_counts, settled = hourly_rows.settle(worth, hourly_prior, before)
        told, money, final = np.empty(kind.size), np.empty(kind.size), np.ones(kind.size)
        told[by_day] = money[by_day] = daily.share_told(kind[by_day], cohorts.age[by_day] / 24.0)
        mine = hourly_rows.cohorts
        told[mine], money[mine], final[mine] = settled.told, settled.money, settled.final
        due = rows.by_unit(rows.clicks, per_click * told, n) * beliefs.cvr
        error = max(hourly.error_of_level(hourly_counts.exposed), daily.error_of_level(daily_counts.exposed))
        error = float(np.hypot(error, settled.error))
        shrunk = shrink_by(design, seen, due, beliefs.campaign, level_sd, error, 6 if last else 3)
        cvr = np.minimum(beliefs.cvr * shrunk.ratio, 1.0)
        return Conversions(
            cvr, shrunk, hourly, daily, told, money, final, settled.kept, per_click, steps, counted, clicks, orders,
            settled.returned, settled.waits, settled.deposits, hourly_rows.telling.silent_now,
        )  # fmt: skip

    first = settle(beliefs.cvr, None)
    return settle(first.cvr, (first.hourly, first.waits))


def _hints(beliefs: UnitBeliefs) -> tuple[Floats | None, Floats | None]:
    """Market price and order value: where rivals bid more for clicks that sell, they tell the conversion rate."""
    price, worth = beliefs.market_price, beliefs.order_value
    if price is None or not bool((np.isfinite(worth) & (worth > 0)).all()):
        return None, None
    if beliefs.kin is None:
        return np.stack([np.log(price), np.log(worth)], axis=1), np.array([HINT_TRUST, -HINT_TRUST])
    # what kin have in common is told by the forecasts already
    return np.stack([np.log(price / worth) - beliefs.kin.mean, np.log(worth)], axis=1), np.array([HINT_TRUST, 0.0])


def _count_daily(evidence: Evidence, kind: Ints, worth: Floats, orders: Floats) -> DelayCounts:
    """Arrivals by age and clicks by present age, of daily rows; `worth` and `orders` (n_cohorts,) due and told."""
    cohorts = evidence.rows.cohorts
    mine = cohorts.daily
    n_kinds = len(PHASE_KINDS)
    if not mine.any():
        return DelayCounts.none(n_kinds, DAILY_AGES)
    of_daily = evidence.arrival_of_daily
    age = -(-evidence.arrival_age[of_daily] // 24)
    arrived = evidence.arrival_orders[of_daily]
    if not (arrived[age > 1] != 0).any():
        return DelayCounts.none(n_kinds, DAILY_AGES)  # never restated: an import, not a law
    arrival_kind = evidence.factors.phase[evidence.factors.position(evidence.arrival_hour[of_daily])]
    # what the rows hold beyond their restatements came with their first report
    unlogged = max(float(orders[mine].sum() - arrived.sum()), 0.0)
    by_kind = summed(kind[mine], np.maximum(worth[mine], 0.0), n_kinds)
    share = by_kind / by_kind.sum() if by_kind.sum() > 0 else by_kind
    kinds = np.concatenate([arrival_kind, np.arange(n_kinds)])
    ages = np.concatenate([age, np.ones(n_kinds, np.int64)])
    counts = np.concatenate([arrived, unlogged * share])
    return DelayCounts.count(
        n_kinds, DAILY_AGES, (kinds, ages, counts), (kind[mine], -(-cohorts.age[mine] // 24), worth[mine])
    )


def _mean_factor(evidence: Evidence) -> Floats:
    """(n_cohorts,) forecast factor on orders per click, over a day weighted by traffic."""
    cohorts, factors = evidence.rows.cohorts, evidence.factors
    first = factors.position(cohorts.hour)
    factor = factors.value[first]
    if cohorts.daily.any():
        traffic = np.concatenate([[0.0], np.cumsum(factors.traffic)])
        value = np.concatenate([[0.0], np.cumsum(factors.traffic * factors.value)])
        end = np.minimum(first + cohorts.length, traffic.size - 1)
        factor = (value[end] - value[first]) / np.maximum(traffic[end] - traffic[first], 1e-12)
    return factor
