"""Composes what the estimators learned into an `Outlook`.

Two kinds of accounts go through here. Where bids are told, market price and traffic are followed hour by hour and
every unit has its own landscape. Where they are not (daily reports), each unit is anchored at its average price
paid as a proxy bid, and ordinary hours are spread by the week's profile. Conversions take one road in both.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit

from domain.errors import InsufficientHistory
from domain.outlook import Auction, Outlook, RateForecast
from domain.tables import Bools, Floats, Known
from domain.time import Hour
from predictors.bid_rows import Told
from predictors.conversions import Conversions, UnitBeliefs
from predictors.credits import Credits
from predictors.evidence import PHASE_KINDS, Evidence
from predictors.followed import followed
from predictors.landscape import Landscape
from predictors.past import learn_past
from predictors.response import Response, live_bids
from predictors.settings import PredictorSettings
from predictors.shrinkage import gamma_band
from predictors.sums import summed
from predictors.traffic import daily_volume

#: Log-sd of single prices around a unit's mean, and of units around their campaign, where no bid is known.
_PRICE_NOISE, _PRICE_UNITS = 0.5, 0.4
#: Clicks that the believed click rate is worth.
CTR_WORTH = 20.0
#: Cells of a table from which on orders and impressions are told in single precision: each costs a sixth of a gigabyte.
SINGLE_TABLES_FROM = 10_000_000


def compose(
    known: Known,
    hours: Sequence[Hour],
    evidence: Evidence,
    beliefs: UnitBeliefs,
    settings: PredictorSettings,
    auction: Auction,
    notes: tuple[str, ...],
) -> Outlook:
    """Outlook from evidence and beliefs."""
    rows = evidence.rows
    ahead = evidence.factors.position(np.array([h.hours_since(known.hour) for h in hours], np.int64))
    past = learn_past(evidence, beliefs, settings)
    conversions, credits, worth = past.conversions, past.credits, past.worth
    told = Told.of(rows, settings.hourly_lookback_days * 24)
    if told.clicks * 2 >= rows.clicks.sum() and (told.rows or known.priors.price_median is not None):
        response = followed(known, evidence, told, ahead, settings, auction)
    else:
        response = _anchored(known, evidence, beliefs, ahead, settings, auction)
    bids = response.landscape.levels(
        response.proxy / response.price[0], settings.lowest_bid, response.highest, settings.n_levels
    )
    clicks, spend = response.landscape.tables(bids)
    cvr = credits.clicks_kept * conversions.cvr  # of the clicks that an hour charges at first
    # impressions only inform: plain credibility is enough for the click rate
    ctr = (conversions.clicks + CTR_WORTH) / (conversions.counted.impressions + CTR_WORTH / beliefs.ctr)
    # orders and impressions are told, slopes are taken of gmv and spend
    told_kind: Any = np.float32 if bids.size >= SINGLE_TABLES_FROM else np.float64
    impressions, orders, gmv = np.empty(bids.shape, told_kind), np.empty(bids.shape, told_kind), np.empty(bids.shape)
    _of_clicks(clicks, np.clip(ctr, 1e-6, 1.0), cvr, cvr * worth, impressions, orders, gmv)
    cv = conversions.shrunk.cv()
    low, high = gamma_band(cvr, cv)
    value = evidence.factors.value[ahead] * conversions.kept[evidence.factors.phase[ahead]]
    if past.unpriced:
        notes = (*notes, f"no price for {past.unpriced} units: the account's mean order value is used")
    return Outlook(
        hours=tuple(hours),
        bids=bids,
        impressions=impressions,
        clicks=clicks,
        spend=spend,
        orders=orders,
        gmv=gmv,
        traffic=response.traffic,
        price=response.price,
        value=value,
        click_value=cvr * worth,
        cvr=RateForecast(cvr, low, np.minimum(high, 1.0), conversions.clicks),
        click_value_cv=np.hypot(conversions.shrunk.own_cv, past.worth_cv),
        volume_cv=response.volume_cv,
        common_value_cv=conversions.shrunk.common_cv,
        bid_proxy=response.proxy,
        bid_known=response.told,
        support_low=response.low,
        support_high=response.high,
        matured_orders=past.orders,
        matured_gmv=past.gmv,
        matured_spend=past.spend,
        spend_kept=credits.spend_kept,
        auction=auction,
        common_volume_cv=response.common_volume_cv,
        common_price_cv=response.common_price_cv,
        marginal_price=response.landscape.factor * response.landscape.spend_scale
        if auction is Auction.SECOND_PRICE
        else None,
        notes=(*notes, *response.notes, *_words(conversions), *_credit_words(credits)),
    )


@njit(cache=True, error_model="numpy")
def _of_clicks(clicks, ctr, cvr, click_value, impressions, orders, gmv):
    """Writes the last three tables, (n_units, n_levels), in one pass over the clicks."""
    for i in range(clicks.shape[0]):
        for k in range(clicks.shape[1]):
            impressions[i, k] = clicks[i, k] / ctr[i]
            orders[i, k] = clicks[i, k] * cvr[i]
            gmv[i, k] = clicks[i, k] * click_value[i]


def _credit_words(credits: Credits) -> tuple[str, ...]:
    back = 1 - credits.spend_kept
    if abs(back) < 0.001:
        return ()
    return (f"{abs(back):.1%} of an hour's spend {'comes back as credits' if back > 0 else 'is told later'}",)


def _anchored(
    known: Known,
    evidence: Evidence,
    beliefs: UnitBeliefs,
    ahead: np.ndarray,
    settings: PredictorSettings,
    auction: Auction,
) -> Response:
    """Response where bids are unknown: average price paid as the proxy bid, clicks as they were per day."""
    rows, factors, n = evidence.rows, evidence.factors, evidence.n_units
    if rows.clicks.sum() <= 0:
        raise InsufficientHistory(
            f"account {known.account.name}: {rows.clicks.size} report rows and not one click; there is no price to "
            "start from. Import reports with clicks, or a bulk sheet with bids"
        )
    age_days = rows.age / 24.0
    # old rows fade, but where there is nothing newer they are still all that is known
    decay = np.maximum(np.exp(-np.log(2.0) / settings.daily_half_life_days * np.maximum(age_days - 1, 0)), 1e-9)
    position = factors.position(rows.hour)
    # clicks and prices of phases are put on the footing of ordinary hours
    ordinary = factors.price[position]
    clicks = summed(rows.unit, rows.clicks * decay, n)
    spend = summed(rows.unit, rows.spend * decay / ordinary, n)
    proxy, known_price = _click_prices(clicks, spend, beliefs)
    first_seen = np.zeros(n)
    np.maximum.at(first_seen, rows.unit, age_days)
    day_traffic = _day_traffic(evidence)
    volume = daily_volume(
        rows.unit.astype(np.int64),
        age_days,
        rows.clicks / day_traffic,
        first_seen,
        beliefs.campaign,
        settings.daily_half_life_days,
    )
    landscape = Landscape.anchored(proxy, volume.rate, settings.pooled_price_spread, auction)
    live, told = live_bids(known)
    price = factors.price[ahead]
    stated = np.where(told, live, proxy * price[0])
    paid = rows.clicks > 0
    low, high = np.full(n, np.inf), np.zeros(n)
    average = rows.spend[paid] / rows.clicks[paid]
    np.minimum.at(low, rows.unit[paid], average)
    np.maximum.at(high, rows.unit[paid], average)
    low, high = np.where(high > 0, low, proxy), np.where(high > 0, high, proxy)
    notes = [
        f"bids are unknown for {int((~told).sum())} of {n} units: their average price paid stands for the bid, and how "
        "clicks answer to bids is the pooled prior's"
    ]
    if not known_price.all():
        notes.append(f"{int((~known_price).sum())} units have no click yet: price and volume are their campaign's")
    traffic = np.broadcast_to(factors.traffic[ahead], (n, ahead.size)).copy()
    return Response(
        landscape,
        traffic,
        price,
        stated,
        told,
        low,
        high,
        settings.highest_untried_bid,
        np.hypot(volume.cv, 0.3),
        np.full(ahead.size, 0.3),
        np.full(ahead.size, 0.1),
        tuple(notes),
    )


def _day_traffic(evidence: Evidence) -> Floats:
    """(n_rows,) forecast traffic of a row against 24 ordinary hours."""
    rows, factors = evidence.rows, evidence.factors
    total = np.concatenate([[0.0], np.cumsum(factors.traffic)])
    first = factors.position(rows.hour)
    end = np.minimum(first + np.maximum(rows.length, 1.0).astype(np.int64), total.size - 1)
    return np.maximum((total[end] - total[first]) / 24.0, 1e-3)


def _click_prices(clicks: Floats, spend: Floats, beliefs: UnitBeliefs) -> tuple[Floats, Bools]:
    """Average price paid per click of each unit, shrunk on log scale to campaign and account."""
    paid = (clicks > 0) & (spend > 0)
    log_price = np.log(np.where(paid, spend / np.maximum(clicks, 1e-12), 1.0))
    account = float(np.average(log_price[paid], weights=clicks[paid]))
    held = np.where(beliefs.campaign < 0, int(beliefs.campaign.max(initial=-1)) + 1, beliefs.campaign)
    n_groups = int(held.max(initial=0)) + 1
    trust = np.where(paid, 1 / (_PRICE_UNITS**2 + _PRICE_NOISE**2 / np.maximum(clicks, 1e-12)), 0.0)
    weight = summed(held, trust, n_groups)
    group = (summed(held, trust * log_price, n_groups) + account / _PRICE_UNITS**2) / (weight + _PRICE_UNITS**-2)
    own = np.where(paid, clicks / _PRICE_NOISE**2, 0.0)
    return np.exp((own * log_price + group[held] / _PRICE_UNITS**2) / (own + _PRICE_UNITS**-2)), paid


def _words(conversions: Conversions) -> tuple[str, ...]:
    law = conversions.hourly if conversions.hourly.learned_from >= conversions.daily.learned_from else conversions.daily
    step = "hours" if law.step_hours == 1 else "days"
    if law.learned_from < 1:
        return ("conversion delay: assumed, no restatement has been seen yet",)
    extra: list[str] = []
    if conversions.silent_now:
        extra.append(
            f"no order was told for {conversions.silent_now} hours though many were due: taken for missing news"
        )
    if conversions.returned.learned_from >= 3:
        extra.append(f"{conversions.returned.share:.1%} of orders come back")
    words = {k: w for k, w in conversions.waits.items() if w.share_sd > 0 and w.share > 2 * w.share_sd}
    extra += [f"{w.share:.0%} of {PHASE_KINDS[k]} orders wait for the burst" for k, w in words.items()]
    if conversions.deposits < 1:
        extra.append(f"pre-sale orders pay a deposit of {conversions.deposits:.0%}; the balance is due in the burst")
    return (
        f"conversion delay: mean {law.mean_lag_steps:.1f} +- {law.mean_lag_sd:.1f} {step}, from {law.learned_from:.0f} "
        f"orders; forecast conversion rates times {conversions.shrunk.level:.2f}, typical error of a unit "
        f"{conversions.shrunk.typical_error:.0%}",
        *extra,
    )
