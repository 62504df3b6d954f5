"""Response where bids are told: market price and traffic are followed hour by hour, every unit has its own landscape."""

import numpy as np
from numba import njit
from scipy.special import ndtr

from domain.errors import InsufficientHistory
from domain.outlook import Auction
from domain.tables import Floats, Ints, Known
from predictors.absorbed import absorbed
from predictors.apart import Apart, Groups
from predictors.bid_rows import BidRows, Sample, Told
from predictors.daily_dip import HOURS_OF_DAY, dip_shape
from predictors.elasticity import FIRST_PRICE_SD, PRIOR_SD, elasticity_of
from predictors.evidence import Evidence, HourFactors
from predictors.landscape import Landscape, mean_price
from predictors.paid_prices import cdf
from predictors.payment import PAYMENTS, learn_payment
from predictors.price_level import follow_price
from predictors.response import Response, live_bids
from predictors.settings import PredictorSettings
from predictors.sums import summed
from predictors.traffic import LEVEL_SD, UNPLACED_LEVEL_SD, learn_traffic
from predictors.won_level import follow_won

#: Payment where the winner pays its bid: factor, and part of the price that is the bid.
FIRST_PRICE = np.array([[1.0, 1.0]])
#: Categories beyond which they are not followed apart: per unit, since few units tell little, and in all.
MOST_PER_UNIT, MOST = 0.2, 300


def followed(
    known: Known, evidence: Evidence, told: Told, ahead: Ints, settings: PredictorSettings, auction: Auction
) -> Response:
    """Response from rows with a bid; `ahead` (n_hours,) are positions of the hours to come."""
    factors, priors, n = evidence.factors, known.priors, evidence.n_units
    now_at = -factors.first  # position of the hour that is decided
    rows, past = _rows(known, evidence, told, settings)
    notes: list[str] = []
    live, live_told = live_bids(known)
    price_sd = settings.prior_price_sd
    if priors.price_median is None:
        rows = _with_median(rows, live)
        price_sd = 2 * settings.prior_price_sd
        notes.append("no market price is forecast: it is taken from bids, and learned from prices paid")
    n_past = past.size
    gap = now_at - int(past[-1]) - 1 if n_past else 0  # hours between the last row and the hour that is decided
    n_ahead = gap + int(ahead.max() - now_at) + 1
    shape = _day_shape(factors, int(past[0]) if n_past else now_at, n_past + n_ahead)
    factor, pays = 1.0, 0.0
    apart = Apart.nothing(Groups.none(n, n_past + n_ahead), n_past)
    if auction is Auction.FIRST_PRICE:  # who pays the bid learns nothing of the market from prices paid
        if priors.price_median is not None and n:  # a forecast took bids that were paid for second prices
            rows = rows.with_law(*absorbed(float(np.median(rows.spread)), FIRST_PRICE)[0])
        groups = _groups(known, factors, int(past[0]) if n_past else now_at, n_past + n_ahead)
        sample = Sample.of(rows)
        level, apart = follow_won(rows, n_ahead, price_sd, shape, groups, sample)
    else:
        laws = np.zeros((len(PAYMENTS), 3))
        if priors.price_median is not None and n:  # a forecast of prices took clicks for second-price ones
            laws = absorbed(float(np.median(rows.spread)), PAYMENTS)
        chance = learn_payment(rows, price_sd, laws)
        factor, pays = (float(x) for x in chance @ PAYMENTS)
        rows = rows.with_law(*(chance @ laws))
        sample = Sample.of(rows)
        level = follow_price(rows, n_ahead, price_sd, factor, pays, shape, sample)
    median, spread = np.exp(rows.log_median), rows.spread
    when = ahead - now_at + gap
    price = factors.price[ahead] * np.exp(level.ahead[when])
    middle = rows.log_median + level.offset
    market = rows.log_factor + level.past
    sd = FIRST_PRICE_SD if auction is Auction.FIRST_PRICE else PRIOR_SD
    if sample is None:
        steeper, _ = elasticity_of(rows, middle, market, sd, apart)
    else:
        steeper, _ = elasticity_of(sample.rows, middle[sample.units], market, sd, apart.some(sample.units))
    flat = spread
    spread = spread / steeper
    due = np.empty(rows.unit.size, rows.kind)
    low, high = _win(
        rows.unit, rows.hour, rows.bid, middle, market, apart.of_unit, apart.past, spread, rows.traffic, due
    )
    per_hour, traffic_sd = None if priors.clicks_per_hour is None else rows.per_hour, settings.prior_traffic_sd
    clicks = float(rows.clicks.sum())
    if per_hour is None:
        total = float(due.sum())
        if total <= 0 or clicks <= 0:
            raise InsufficientHistory(
                f"account {known.account.name}: no forecast of traffic and no click yet at a known bid; import reports, "
                "or state clicks per hour"
            )
        per_hour = np.full(n, clicks / total)
        traffic_sd = 1.5
        notes.append("no traffic is forecast: clicks at known bids tell it")
    today = int(factors.day[now_at])
    shared_sd = UNPLACED_LEVEL_SD if auction is Auction.FIRST_PRICE else LEVEL_SD
    found = learn_traffic(
        rows.unit, rows.hour, factors.day[past], rows.clicks, due, per_hour, today, traffic_sd, shared_sd, sample
    )
    same_day = factors.day[ahead] == today
    traffic = np.multiply.outer(found.today, np.where(same_day, factors.traffic[ahead], 0.0))
    traffic += np.where(same_day, 0.0, factors.traffic[ahead] * found.later)
    median = median * np.exp(apart.ahead[apart.of_unit, when[0]])
    middle = median * np.exp(level.offset)
    proxy = np.where(live_told, live, middle * price[0])
    # clicks at the bid cost what they were seen to cost, whatever the spread
    at_bid = np.log(proxy) - np.log(middle * price[0])
    usual = [mean_price(at_bid / s, middle * price[0], s, proxy, Auction.SECOND_PRICE) for s in (flat, spread)]
    scale = np.ones(n) if auction is Auction.FIRST_PRICE else usual[0] / usual[1]
    landscape = Landscape(per_hour * found.unit, middle, spread, scale, auction, pays, factor)
    seen = high > 0
    low, high = np.where(seen, low, proxy), np.where(seen, high, proxy)
    price_error = np.hypot(level.ahead_sd[when[0]], level.offset_sd)
    z = np.clip((np.log(proxy) - np.log(landscape.median * price[0])) / spread, -4.0, 4.0)
    slope = np.exp(-0.5 * z**2) / (2.5066282746310002 * ndtr(z)) / spread
    volume_cv = np.sqrt(found.unit_sd**2 + found.today_sd**2 + found.hour_sd**2 + (slope * price_error) ** 2)
    if auction is Auction.FIRST_PRICE:
        notes.append("first price: prices paid do not tell the market price; which units lose clicks does")
        away_now = np.exp(apart.ahead[:, when[0]]) - 1
        if np.ptp(away_now) > 0.05:
            notes.append(
                f"market prices of categories lie {away_now.min():+.0%} to {away_now.max():+.0%} off the account's"
            )
    if pays > 0.05:
        notes.append(
            f"prices paid follow the bid: {pays:.0%} of the price is the bid itself, as where there are several slots"
        )
    if factor > 1.02:
        notes.append(f"clicks cost {factor - 1:.0%} more than the next bid for them, as where there are several slots")
    if abs(steeper - 1) > 0.02:
        notes.append(f"clicks answer to bids {steeper - 1:+.0%} against what the spread of prices says")
    if n_past and clicks > 0:
        notes.append(
            f"market price stands {np.exp(level.ahead[when[0]]) - 1:+.0%} against its forecast, "
            f"traffic today {np.average(found.today * found.unit) - 1:+.0%}"
        )
    return Response(
        landscape, traffic, price, proxy, live_told, low, high, settings.highest_bid, volume_cv,
        np.where(same_day, found.today_sd, found.later_sd), level.ahead_sd[when], tuple(notes),
    )  # fmt: skip


def _rows(known: Known, evidence: Evidence, told: Told, settings: PredictorSettings) -> tuple[BidRows, Ints]:
    """Rows that price and traffic are learned from, and positions of their hours, from the first to the last one."""
    rows, factors, priors, n = evidence.rows, evidence.factors, known.priors, evidence.n_units
    order = told.order(rows)
    cohort = rows.cohort[order]
    hours = rows.cohorts.hour
    first, last = (int(hours[cohort[0]]), int(hours[cohort[-1]])) if cohort.size else (0, -1)
    slot = hours - first
    hour = cohort if np.array_equal(slot, np.arange(slot.size)) else slot.astype(np.int32)[cohort]
    past = factors.position(np.arange(first, last + 1))
    spread = priors.price_spread if priors.price_spread is not None else np.full(n, settings.pooled_price_spread)
    return BidRows(
        rows.unit[order], hour, rows.clicks[order], rows.spend[order], rows.bid[order],
        np.full(n, np.nan) if priors.price_median is None else np.log(priors.price_median),
        spread,
        np.full(n, np.nan) if priors.clicks_per_hour is None else priors.clicks_per_hour,
        np.log(factors.price[past]), factors.traffic[past],
    ), past  # fmt: skip


def _with_median(rows: BidRows, live: Floats) -> BidRows:
    """Rows with the mean bid of each unit as its market price, and that of all units where one has none."""
    n = rows.n_units
    times = np.bincount(rows.unit, minlength=n)
    mean = summed(rows.unit, np.log(rows.bid) - rows.log_factor[rows.hour], n) / np.maximum(times, 1)
    usual = mean[times > 0].mean() if (times > 0).any() else float(np.log(np.nanmedian(live)))
    return rows.with_median(np.where(times > 0, mean, usual))


def _day_shape(factors: HourFactors, first: int, n_hours: int) -> Floats:
    """(n_hours,) how prices fall in the course of the days that hours from position `first` on lie in."""
    hour_of_day = factors.hour_of_week % HOURS_OF_DAY
    return dip_shape(factors.traffic, hour_of_day)[hour_of_day[first : first + n_hours]]


def _groups(known: Known, factors: HourFactors, first: int, n_hours: int) -> Groups:
    """Categories of the units; one for all where the column says nothing, or names single units."""
    label = known.units["category"]
    code = label.rank("dense").fill_null(0).to_numpy().astype(np.int32)
    code -= code.min(initial=1)
    count = int(code.max(initial=0)) + 1
    if not 1 < count <= min(MOST_PER_UNIT * code.size, MOST):
        return Groups.none(code.size, n_hours)
    return Groups(code, count, factors.day[first : first + n_hours])


@njit(cache=True)
def _win(unit, hour, bid, middle, market, group, apart, spread, traffic, due):
    """Writes ordinary hours' opportunities that bids win, (n_rows,); gives (n_units,) the lowest and the highest bid."""
    low, high = np.full(spread.size, np.inf), np.zeros(spread.size)
    for r in range(unit.size):
        u, h, offered = unit[r], hour[r], bid[r]
        away = np.log(offered) - middle[u] - market[h] - apart[group[u], h]
        due[r] = traffic[h] * cdf(away / spread[u])
        low[u] = min(low[u], offered)
        high[u] = max(high[u], offered)
    return low, high
