"""Orders per click of every unit, and how much of each row's orders is known by now.

Forecast, delay and shrinkage lean on each other: the delay law weighs clicks by what they are worth, the rates
count only the share of orders that the delay lets one see. Two rounds settle them.
"""

from dataclasses import dataclass

import numpy as np

from domain.tables import Bools, Floats, Ints
from predictors.delay import DelayCounts, DelayLaw, DelayPrior, learn_delay
from predictors.evidence import PHASE_KINDS, Evidence
from predictors.settings import PredictorSettings
from predictors.shrinkage import Shrunk, shrink
from predictors.sums import summed

#: Ages after which an order is not awaited any more, in steps of an hour or a day.
HOURLY_AGES, DAILY_AGES = 336, 30
#: How far a market price is believed, beside a forecast, to move with the value of the click.
HINT_TRUST = 0.15


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
    """

    cvr: Floats
    ctr: Floats
    cvr_stated: Bools
    order_value: Floats
    campaign: Ints
    market_price: Floats | None


@dataclass(frozen=True, slots=True)
class Conversions:
    """Orders per click, and how late they come.

    Attributes
    ----------
    cvr
        (n_units,) orders per click in a base hour.
    shrunk
        Ratios to the belief, errors, and what was learned of the belief.
    hourly, daily
        Delay laws of hourly and of daily rows.
    told
        (n_rows,) share of each row's orders that is known by now.
    factor
        (n_rows,) forecast factor on orders per click.
    clicks
        (n_units,) clicks seen.
    """

    cvr: Floats
    shrunk: Shrunk
    hourly: DelayLaw
    daily: DelayLaw
    told: Floats
    factor: Floats
    clicks: Floats


def learn_conversions(evidence: Evidence, beliefs: UnitBeliefs, settings: PredictorSettings) -> Conversions:
    """Delay laws and shrunk conversion rates from all rows."""
    rows, factors, n = evidence.rows, evidence.factors, evidence.n_units
    kind = factors.phase[factors.position(rows.hour)]
    factor = _mean_factor(evidence)
    seen = summed(rows.unit, np.maximum(rows.orders, 0.0), n)
    clicks = summed(rows.unit, rows.clicks, n)
    # without a forecast there is none to be wrong: the level is the account's own, whatever it is
    level_sd = settings.prior_level_sd if beliefs.cvr_stated.any() else 1.0
    hourly_prior = DelayPrior(settings.hourly_share_at_once, settings.hourly_mean_lag_hours, level_sd)
    daily_prior = DelayPrior(settings.daily_share_at_once, settings.daily_mean_lag_days, level_sd)

    hints, hint_prior = _hints(beliefs)
    by_day = np.flatnonzero(rows.daily)
    by_hour = slice(None) if not by_day.size else np.flatnonzero(~rows.daily)

    def settle(cvr: Floats, last: bool) -> Conversions:
        # units are weighed by what is known of them, but the level stays the forecast's: the delay has its own prior
        believed = float(clicks @ beliefs.cvr)
        level = float(clicks @ cvr) / believed if believed > 0 else 1.0
        worth = rows.clicks * factor * (cvr / level)[rows.unit]
        hourly_counts = _count(evidence, kind, worth, daily=False)
        daily_counts = _count(evidence, kind, worth, daily=True)
        hourly = learn_delay(hourly_counts, hourly_prior, by_phase=last)
        daily = learn_delay(daily_counts, daily_prior, step_hours=24, by_phase=last)
        told = np.empty(rows.clicks.size)
        told[by_day] = daily.share_told(kind[by_day], rows.age[by_day] / 24.0)
        told[by_hour] = hourly.share_told_whole(kind[by_hour], rows.age[by_hour])
        due = summed(rows.unit, rows.clicks * factor * told, n) * beliefs.cvr
        error = max(hourly.error_of_level(hourly_counts.exposed), daily.error_of_level(daily_counts.exposed))
        shrunk = shrink(seen, due, beliefs.cvr, beliefs.campaign, level_sd, error, hints, hint_prior, 6 if last else 3)
        return Conversions(np.minimum(beliefs.cvr * shrunk.ratio, 1.0), shrunk, hourly, daily, told, factor, clicks)

    return settle(settle(beliefs.cvr, last=False).cvr, last=True)


def _hints(beliefs: UnitBeliefs) -> tuple[Floats | None, Floats | None]:
    """Market price and order value: where rivals bid more for clicks that sell, they tell the conversion rate."""
    price, worth = beliefs.market_price, beliefs.order_value
    if price is None or not bool((np.isfinite(worth) & (worth > 0)).all()):
        return None, None
    return np.stack([np.log(price), np.log(worth)], axis=1), np.array([HINT_TRUST, -HINT_TRUST])


def _count(evidence: Evidence, kind: Ints, worth: Floats, daily: bool) -> DelayCounts:
    """Arrivals by age and clicks by present age, of hourly or of daily rows."""
    rows = evidence.rows
    mine = rows.daily if daily else ~rows.daily
    n_kinds, n_ages = len(PHASE_KINDS), DAILY_AGES if daily else HOURLY_AGES
    step = 24 if daily else 1
    nothing = np.zeros(0, np.int64)
    none = DelayCounts.count(n_kinds, n_ages, (nothing, nothing, np.zeros(0)), (nothing, nothing, np.zeros(0)))
    if not mine.any() or not evidence.arrival_orders.size:
        return none
    of_daily = evidence.arrival_of_daily
    chosen = of_daily if daily else ~of_daily
    age = -(-evidence.arrival_age[chosen] // step)
    orders = evidence.arrival_orders[chosen]
    if daily and not (orders[age > 1] != 0).any():
        return none  # never restated: an import, not a law
    arrival_kind = evidence.factors.phase[evidence.factors.position(evidence.arrival_hour[chosen])]
    # what the rows hold beyond their restatements came with their first report
    unlogged = max(float(rows.orders[mine].sum() - orders.sum()), 0.0)
    by_kind = summed(kind[mine], np.maximum(worth[mine], 0.0), n_kinds)
    share = by_kind / by_kind.sum() if by_kind.sum() > 0 else by_kind
    kinds = np.concatenate([arrival_kind, np.arange(n_kinds)])
    ages = np.concatenate([age, np.ones(n_kinds, np.int64)])
    counts = np.concatenate([orders, unlogged * share])
    now = -(-rows.age[mine] // step)
    return DelayCounts.count(n_kinds, n_ages, (kinds, ages, counts), (kind[mine], now, worth[mine]))


def _mean_factor(evidence: Evidence) -> Floats:
    """(n_rows,) forecast factor on orders per click, over a day weighted by traffic."""
    rows, factors = evidence.rows, evidence.factors
    first = factors.position(rows.hour)
    factor = factors.value[first]
    if rows.daily.any():
        traffic = np.concatenate([[0.0], np.cumsum(factors.traffic)])
        value = np.concatenate([[0.0], np.cumsum(factors.traffic * factors.value)])
        end = np.minimum(first + np.maximum(rows.length, 1.0).astype(np.int64), traffic.size - 1)
        factor = (value[end] - value[first]) / np.maximum(traffic[end] - traffic[first], 1e-12)
    return factor
