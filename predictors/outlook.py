"""Composes what the estimators learned into an `Outlook`.

Two kinds of accounts go through here. Where bids are told, market price and traffic are followed hour by hour and
every unit has its own landscape. Where they are not (daily reports), each unit is anchored at its average price
paid as a proxy bid, and ordinary hours are spread by the week's profile. Conversions take one road in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from domain.errors import InsufficientHistory
from domain.outlook import Auction, Outlook, RateForecast
from domain.tables import Bools, Floats, Known
from domain.time import Hour
from predictors.conversions import Conversions, UnitBeliefs
from predictors.credits import Credits
from predictors.elasticity import FIRST_PRICE_SD, PRIOR_SD, elasticity_correction
from predictors.evidence import PHASE_KINDS, Evidence
from predictors.landscape import Landscape, mean_price
from predictors.past import learn_past
from predictors.payment import PAYMENTS, PriceRows, learn_payment
from predictors.price_level import follow_price
from predictors.settings import PredictorSettings
from predictors.shrinkage import gamma_band
from predictors.sums import summed
from predictors.traffic import LEVEL_SD, UNPLACED_LEVEL_SD, daily_volume, learn_traffic
from predictors.won_level import follow_won

#: Log-sd of single prices around a unit's mean, and of units around their campaign, where no bid is known.
_PRICE_NOISE, _PRICE_UNITS = 0.5, 0.4
#: Clicks that the believed click rate is worth.
CTR_WORTH = 20.0


@dataclass(frozen=True, slots=True)
class Response:
    """What bids buy, and how that scales over the hours to come.

    Attributes
    ----------
    landscape
        Base hour.
    traffic
        (n_units, n_hours).
    price
        (n_hours,).
    proxy, told
        (n_units,) bid that the evidence belongs to, and whether the platform told it.
    low, high
        (n_units,) bids that data supports.
    highest
        Highest bid level as a multiple of the larger of market price and bid.
    volume_cv
        (n_units,) relative standard error of clicks at a given bid in the hour that is decided.
    common_volume_cv, common_price_cv
        (n_hours,) errors that all units share; see `Outlook`.
    notes
        What a person should know.
    """

    landscape: Landscape
    traffic: Floats
    price: Floats
    proxy: Floats
    told: Bools
    low: Floats
    high: Floats
    highest: float
    volume_cv: Floats
    common_volume_cv: Floats
    common_price_cv: Floats
    notes: tuple[str, ...]


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
    rows, n = evidence.rows, evidence.n_units
    ahead = evidence.factors.position(np.array([h.hours_since(known.hour) for h in hours], np.int64))
    past = learn_past(evidence, beliefs, settings)
    conversions, credits, worth = past.conversions, past.credits, past.worth
    bids_known = np.isfinite(rows.bid) & (rows.bid > 0)
    if rows.clicks[bids_known].sum() * 2 >= rows.clicks.sum() and (
        bids_known.any() or known.priors.price_median is not None
    ):
        response = _followed(known, evidence, ahead, settings, auction)
    else:
        response = _anchored(known, evidence, beliefs, ahead, settings, auction)
    bids = response.landscape.levels(
        response.proxy / response.price[0], settings.lowest_bid, response.highest, settings.n_levels
    )
    clicks, spend = response.landscape.tables(bids)
    cvr = credits.clicks_kept * conversions.cvr  # of the clicks that an hour charges at first
    orders = clicks * cvr[:, None]
    impressions_seen = summed(rows.unit, rows.impressions, n)
    # impressions only inform: plain credibility is enough for the click rate
    ctr = (conversions.clicks + CTR_WORTH) / (impressions_seen + CTR_WORTH / beliefs.ctr)
    cv = conversions.shrunk.cv()
    low, high = gamma_band(cvr, cv)
    value = evidence.factors.value[ahead] * conversions.kept[evidence.factors.phase[ahead]]
    if past.unpriced:
        notes = (*notes, f"no price for {past.unpriced} units: the account's mean order value is used")
    return Outlook(
        hours=tuple(hours),
        bids=bids,
        impressions=clicks / np.clip(ctr, 1e-6, 1.0)[:, None],
        clicks=clicks,
        spend=spend,
        orders=orders,
        gmv=orders * worth[:, None],
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


def _credit_words(credits: Credits) -> tuple[str, ...]:
    back = 1 - credits.spend_kept
    if abs(back) < 0.001:
        return ()
    return (f"{abs(back):.1%} of an hour's spend {'comes back as credits' if back > 0 else 'is told later'}",)


def _live(known: Known) -> tuple[Floats, Bools]:
    live = known.live_bids.rows
    bid = live["bid_cpc"].to_numpy()  # null becomes NaN
    told = live["known"].to_numpy() & np.isfinite(bid) & (bid > 0)
    return bid, told


def _followed(
    known: Known, evidence: Evidence, ahead: np.ndarray, settings: PredictorSettings, auction: Auction
) -> Response:
    """Response where bids are told: price level and traffic followed by the hour."""
    rows, factors, priors, n = evidence.rows, evidence.factors, known.priors, evidence.n_units
    now_at = -factors.first  # position of the hour that is decided
    kept = ~rows.daily & np.isfinite(rows.bid) & (rows.bid > 0) & (rows.age <= settings.hourly_lookback_days * 24)
    order = slice(None) if kept.all() else np.flatnonzero(kept)
    if bool((np.diff(rows.hour[order]) < 0).any()):
        order = np.flatnonzero(kept)
        order = order[np.argsort(rows.hour[order], kind="stable")]
    unit, hour, clicks, bid = rows.unit[order].astype(np.int64), rows.hour[order], rows.clicks[order], rows.bid[order]
    first = int(hour[0]) if hour.size else 0
    position = factors.position(hour)
    notes: list[str] = []
    live, told = _live(known)
    median = priors.price_median
    price_sd = settings.prior_price_sd
    if median is None:
        times = np.bincount(unit, minlength=n)
        mean_log = summed(unit, np.log(bid / factors.price[position]), n) / np.maximum(times, 1)
        usual = mean_log[times > 0].mean() if (times > 0).any() else float(np.log(np.nanmedian(live)))
        median = np.exp(np.where(times > 0, mean_log, usual))
        price_sd = 2 * settings.prior_price_sd
        notes.append("no market price is forecast: it is taken from bids, and learned from prices paid")
    spread = priors.price_spread if priors.price_spread is not None else np.full(n, settings.pooled_price_spread)
    log_price = np.log(median)[unit] + np.log(factors.price)[position]
    slot = hour - first
    n_past = int(slot[-1]) + 1 if hour.size else 0
    gap = -(first + n_past)  # hours between the last row and the hour that is decided
    last = int(ahead.max() - now_at)
    spend = rows.spend[order]
    factor, pays = 1.0, 0.0
    coming = factors.traffic[position] * (1.0 if priors.clicks_per_hour is None else priors.clicks_per_hour[unit])
    if auction is Auction.FIRST_PRICE:  # who pays the bid learns nothing of the market from prices paid
        level = follow_won(
            unit, slot, clicks, bid, coming, log_price, spread[unit], n, n_past, gap + last + 1, price_sd
        )
    else:
        won_all = coming if priors.clicks_per_hour is not None else np.full(coming.size, np.nan)
        paid_rows = PriceRows(unit, slot, clicks, spend, bid, log_price, spread[unit])
        factor, pays = (float(x) for x in learn_payment(paid_rows, won_all, n, price_sd) @ PAYMENTS)
        paid = spend / factor
        level = follow_price(
            unit, slot, clicks, paid, bid, log_price, spread[unit], n, n_past, gap + last + 1, price_sd, pays
        )
    when = ahead - now_at + gap
    price = factors.price[ahead] * np.exp(level.ahead[when])
    now = log_price + level.offset[unit] + (level.past[slot] if n_past else 0.0)
    z = (np.log(bid) - now) / spread[unit]
    won = ndtr(z)
    due = factors.traffic[position] * won
    per_hour, traffic_sd = priors.clicks_per_hour, settings.prior_traffic_sd
    steeper, _ = elasticity_correction(
        unit, slot, clicks, due if per_hour is None else due * per_hour[unit], z, spread[unit], n,
        FIRST_PRICE_SD if auction is Auction.FIRST_PRICE else PRIOR_SD,
    )  # fmt: skip
    flat = spread
    spread = spread / steeper
    if steeper != 1.0:
        won = ndtr(z * steeper)
        due = factors.traffic[position] * won
    if per_hour is None:
        total = float(due.sum())
        if total <= 0 or clicks.sum() <= 0:
            raise InsufficientHistory(
                f"account {known.account.name}: no forecast of traffic and no click yet at a known bid; import reports, "
                "or state clicks per hour"
            )
        per_hour = np.full(n, clicks.sum() / total)
        traffic_sd = 1.5
        notes.append("no traffic is forecast: clicks at known bids tell it")
    today = int(factors.day[now_at])
    shared_sd = UNPLACED_LEVEL_SD if auction is Auction.FIRST_PRICE else LEVEL_SD
    found = learn_traffic(
        unit, slot, factors.day[position], clicks, due * per_hour[unit], n, today, traffic_sd, shared_sd
    )
    same_day = factors.day[ahead] == today
    traffic = factors.traffic[ahead] * np.where(same_day, found.today[:, None], found.later)
    middle = median * np.exp(level.offset)
    proxy = np.where(told, live, middle * price[0])
    # clicks at the bid cost what they were seen to cost, whatever the spread
    at_bid = np.log(proxy) - np.log(middle * price[0])
    usual = [mean_price(at_bid / s, middle * price[0], s, proxy, Auction.SECOND_PRICE) for s in (flat, spread)]
    scale = np.ones(n) if auction is Auction.FIRST_PRICE else usual[0] / usual[1]
    landscape = Landscape(per_hour * found.unit, middle, spread, scale, auction, pays, factor)
    low = np.full(n, np.inf)
    high = np.zeros(n)
    np.minimum.at(low, unit, bid)
    np.maximum.at(high, unit, bid)
    seen = high > 0
    low, high = np.where(seen, low, proxy), np.where(seen, high, proxy)
    price_error = np.hypot(level.ahead_sd[when[0]], level.offset_sd)
    z = np.clip((np.log(proxy) - np.log(landscape.median * price[0])) / spread, -4.0, 4.0)
    slope = np.exp(-0.5 * z**2) / (2.5066282746310002 * ndtr(z)) / spread
    volume_cv = np.sqrt(found.unit_sd**2 + found.today_sd**2 + found.hour_sd**2 + (slope * price_error) ** 2)
    if auction is Auction.FIRST_PRICE:
        notes.append("first price: prices paid do not tell the market price; which units lose clicks does")
    if pays > 0.05:
        notes.append(
            f"prices paid follow the bid: {pays:.0%} of the price is the bid itself, as where there are several slots"
        )
    if factor > 1.02:
        notes.append(f"clicks cost {factor - 1:.0%} more than the next bid for them, as where there are several slots")
    if abs(steeper - 1) > 0.02:
        notes.append(f"clicks answer to bids {steeper - 1:+.0%} against what the spread of prices says")
    if n_past and clicks.sum() > 0:
        notes.append(
            f"market price stands {np.exp(level.ahead[when[0]]) - 1:+.0%} against its forecast, "
            f"traffic today {np.average(found.today * found.unit) - 1:+.0%}"
        )
    return Response(
        landscape, traffic, price, proxy, told, low, high, settings.highest_bid, volume_cv,
        np.where(same_day, found.today_sd, found.later_sd), level.ahead_sd[when], tuple(notes),
    )  # fmt: skip


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
    live, told = _live(known)
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
