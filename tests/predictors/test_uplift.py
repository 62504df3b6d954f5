"""Uplift of phases: as past promotions had it, around what the trader says, and honest about what is left to doubt."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from scipy.special import ndtr, ndtri

from domain.account import Account
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.tables import ARRIVALS, BIDS, PERFORMANCE, UNITS, BidTable, Known, empty
from domain.time import Hour, Window
from predictors import SteadyModel
from predictors.day_ahead import ahead
from predictors.profile import WeekProfile

START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)
KINDS = {PhaseKind.WARM_UP: (0.8, 0.7), PhaseKind.BURST: (2.5, 1.5)}  # traffic, orders per click


def promotion(day: int, suffix: str = "", stated: float = 1.0) -> tuple[Phase, ...]:
    """Two days of warm-up and two of burst."""
    return (
        Phase(f"warm-up{suffix}", PhaseKind.WARM_UP, Window(START + day * DAY, START + (day + 2) * DAY)),
        Phase(
            f"burst{suffix}", PhaseKind.BURST, Window(START + (day + 2) * DAY, START + (day + 4) * DAY), traffic=stated
        ),
    )


def daily(
    seed: int, days: int, past: PromotionCalendar, n: int = 12, between: float = 0.0, rate: float = 30.0
) -> Known:
    """Rows of days, bids unknown, with the uplifts of `KINDS` in past phases, each off by `between`."""
    rng = np.random.default_rng(seed)
    size = rate * np.exp(0.6 * rng.standard_normal(n))
    traffic, value = np.exp(0.1 * rng.standard_normal(days)), np.ones(days)
    for phase in past.phases:
        inside = [START + d * DAY in phase.window for d in range(days)]
        traffic[inside] *= KINDS[phase.kind][0] * np.exp(between * rng.standard_normal())
        value[inside] *= KINDS[phase.kind][1]
    clicks = rng.poisson(size[:, None] * traffic).astype(float)
    orders = rng.binomial(clicks.astype(int), np.minimum(0.1 * value, 1.0)).astype(float)
    unit, day = (a.ravel() for a in np.mgrid[0:n, 0:days])
    starts = [START + int(d) * DAY for d in day]
    return known_of(
        n,
        Hour(START + days * DAY),
        pl.DataFrame(
            {
                "unit": unit.astype(np.uint32), "start_utc": starts, "grain": ["day"] * unit.size,
                "hours": np.full(unit.size, 24.0), "impressions": clicks.ravel() * 50, "clicks": clicks.ravel(),
                "spend": clicks.ravel() * 2.0, "orders": orders.ravel(), "gmv": orders.ravel() * 40.0,
                "bid_cpc": [None] * unit.size, "learned_at": [s + DAY for s in starts],
            },
            schema=dict(PERFORMANCE),
        ),
    )  # fmt: skip


def known_of(n: int, hour: Hour, performance: pl.DataFrame) -> Known:
    columns = {
        "unit_id": [f"U{i}" for i in range(n)],
        "campaign": ["C"] * n,
        "price": [40.0] * n,
        "prior_ctr": [0.02] * n,
        "prior_cvr": [0.1] * n,
    }
    live = {"unit_id": columns["unit_id"], "bid_cpc": [None] * n, "state": ["enabled"] * n, "known": [False] * n, "edits_today": [0] * n}  # fmt: skip
    return Known(
        Account("past", "EUR"), hour,
        pl.DataFrame({k: columns.get(k, [None] * n) for k in UNITS}, schema=dict(UNITS), strict=False),
        performance, empty(ARRIVALS), BidTable(pl.DataFrame(live, schema=dict(BIDS))),
    )  # fmt: skip


ONE = PromotionCalendar(promotion(30, " of spring"))
COMING = PromotionCalendar(promotion(60))
BURST = COMING.phases[1]


def test_a_past_burst_tells_the_next_one_and_ordinary_days_stay_what_they_were() -> None:
    known = daily(0, 58, ONE)
    model = SteadyModel(calendar=COMING, past=ONE).fit(known)
    for phase in COMING.phases:
        traffic, value = KINDS[phase.kind]
        found = model.uplifts.of(phase, "traffic")
        assert found is not None
        assert abs(np.log(found.factor / traffic)) < 2 * found.sd
        told = model.uplifts.of(phase, "value")
        assert told is not None
        assert abs(np.log(told.factor / value)) < 2 * told.sd
    hours = [known.hour.plus(h) for h in range(24 * 6)]
    plain = SteadyModel(calendar=COMING).fit(known).outlook(known, hours)
    told = model.outlook(known, hours)
    day = slice(0, 24)  # two ordinary days, then the warm-up, then the burst
    burst = slice(24 * 4, 24 * 6)
    gain = (told.clicks[:, 10] @ told.traffic) / (plain.clicks[:, 10] @ plain.traffic)
    found = model.uplifts.of(BURST, "traffic")
    assert found is not None
    assert np.allclose(gain[burst] / gain[0], found.factor)
    assert np.allclose(gain[day], gain[0])
    assert gain[0] < 1  # clicks of the past burst no longer count as those of ordinary days
    assert any("burst" in note and "past" in note for note in told.notes)


def test_without_a_past_promotion_nothing_changes_by_a_bit() -> None:
    known = daily(1, 58, ONE)
    hours = [known.hour.plus(h) for h in range(24 * 6)]
    plain = SteadyModel(calendar=COMING).fit(known)
    again = SteadyModel(calendar=COMING, past=PromotionCalendar()).fit(known)
    later = SteadyModel(calendar=COMING, past=PromotionCalendar(promotion(70, " of summer"))).fit(known)  # not over yet
    for model in (again, later):
        one, two = plain.outlook(known, hours), model.outlook(known, hours)
        for name in ("clicks", "spend", "gmv", "traffic", "value", "price", "matured_gmv", "common_volume_cv"):
            assert np.array_equal(getattr(one, name), getattr(two, name))
        assert one.common_value_cv == two.common_value_cv
        assert one.notes == two.notes


def test_each_further_promotion_counts_for_more_against_the_traders_number() -> None:
    factors, spreads = [], []
    for n in (1, 2, 4):
        past = PromotionCalendar(tuple(p for k in range(n) for p in promotion(20 + 22 * k, f" {k}")))
        known = daily(2, 20 + 22 * n + 10, past)
        found = SteadyModel(past=past).fit(known).uplifts.of(replace(BURST, traffic=1.4), "traffic")
        assert found is not None
        assert found.phases == n
        factors.append(found.factor)
        spreads.append(found.sd)
    assert 1.4 < factors[0] < factors[1] < factors[2] < 2.6
    assert spreads[0] > spreads[1] > spreads[2] > 0.1


def test_a_stated_number_is_believed_more_than_none() -> None:
    model = SteadyModel(past=ONE).fit(daily(3, 58, ONE))
    none, same = (model.uplifts.of(replace(BURST, traffic=t), "traffic") for t in (1.0, 2.5))
    assert none is not None
    assert same is not None
    assert abs(np.log(same.factor / 2.5)) < abs(np.log(none.factor / 2.5))
    assert same.sd < none.sd


def test_bands_of_factors_hold_what_promotions_that_differ_bring() -> None:
    inside = 0
    for seed in range(40):
        past = PromotionCalendar(promotion(25, " 0") + promotion(50, " 1"))
        known = daily(seed, 65, past, between=0.25)
        found = SteadyModel(past=past).fit(known).uplifts.of(BURST, "traffic")
        assert found is not None
        truth = KINDS[PhaseKind.BURST][0] * np.exp(0.25 * np.random.default_rng(1000 + seed).standard_normal())
        inside += abs(np.log(truth / found.factor)) < 1.2816 * found.sd
    assert 26 <= inside <= 38  # 80 % of 40 is 32, standard error 2.5


def test_the_spread_of_what_was_learned_widens_the_bands_of_those_hours_alone_and_fades_once_it_is_seen() -> None:
    known = daily(4, 58, ONE)
    hours = [known.hour.plus(h) for h in range(24 * 6)]
    model, plain = SteadyModel(calendar=COMING, past=ONE).fit(known), SteadyModel(calendar=COMING).fit(known)
    told, before = model.outlook(known, hours), plain.outlook(known, hours)
    assert told.common_volume_cv is not None
    assert before.common_volume_cv is not None
    wider = told.common_volume_cv - before.common_volume_cv
    assert (wider[:48] == 0).all()
    assert (wider[48:] > 0).all()
    assert told.common_value_cv > before.common_value_cv
    bids = [np.repeat(o.bid_proxy[:, None], len(hours), 1) for o in (told, before)]
    assert ahead(told, bids[0])["clicks"].cv[0] > ahead(before, bids[1])["clicks"].cv[0]
    fresh = model.uplifts.spread(COMING, [Hour(BURST.window.start)], "traffic")
    running = model.uplifts.spread(COMING, [Hour(BURST.window.start).plus(24)], "traffic")
    assert running[0] < 0.8 * fresh[0]


def test_bids_that_were_raised_in_the_burst_are_no_traffic() -> None:
    """Hourly rows at known bids; in the burst bids are doubled, traffic is half as much again."""
    rng = np.random.default_rng(5)
    n, hours, spread = 12, 24 * 30, 0.6
    past = PromotionCalendar((Phase("burst", PhaseKind.BURST, Window(START + 14 * DAY, START + 16 * DAY)),))
    hour = np.arange(hours)
    burst = (hour >= 14 * 24) & (hour < 16 * 24)
    profile = WeekProfile.default().traffic[hour % 168]
    bid = np.where(burst, 2.0, 1.0)
    z = np.log(bid) / spread
    won = ndtr(z)
    clicks = rng.poisson(12.0 * profile * np.where(burst, 1.5, 1.0) * won, (n, hours)).astype(float)
    spend = np.zeros((n, hours))
    for h in range(hours):
        for i in range(n):
            u = rng.random(int(clicks[i, h])) * won[h]
            spend[i, h] = np.exp(spread * ndtri(u)).sum()
    unit, at = (a.ravel() for a in np.mgrid[0:n, 0:hours])
    starts = [START + timedelta(hours=int(h)) for h in at]
    known = known_of(
        n, Hour(START + timedelta(hours=hours)),
        pl.DataFrame(
            {
                "unit": unit.astype(np.uint32), "start_utc": starts, "grain": ["hour"] * unit.size,
                "hours": np.ones(unit.size), "impressions": clicks.ravel() * 50, "clicks": clicks.ravel(),
                "spend": spend.ravel(), "orders": np.zeros(unit.size), "gmv": np.zeros(unit.size),
                "bid_cpc": bid[at], "learned_at": [s + timedelta(hours=1) for s in starts],
            },
            schema=dict(PERFORMANCE),
        ),
    )  # fmt: skip
    (seen,) = SteadyModel(past=past).fit(known).uplifts.past
    y, error = seen.uplift["traffic"]
    assert abs(y - np.log(1.5)) < 2 * error
    naive = np.log(clicks[:, burst].sum() / (clicks[:, ~burst].sum() * profile[burst].sum() / profile[~burst].sum()))
    assert abs(y - np.log(1.5)) < 0.3 * abs(naive - np.log(1.5))


def test_too_few_clicks_and_rows_learned_later_teach_nothing() -> None:
    sparse = daily(6, 58, ONE, n=3, rate=0.05)
    assert SteadyModel(past=ONE).fit(sparse).uplifts.of(BURST, "traffic") is None
    known = daily(7, 58, ONE)
    # the burst's orders are still being told: nothing is said of orders per click yet
    early = replace(known, hour=Hour(START + 36 * DAY), performance=known.performance.filter(pl.col("start_utc") < START + 34 * DAY))  # fmt: skip
    model = SteadyModel(past=ONE).fit(early)
    assert model.uplifts.of(BURST, "traffic") is not None
    assert model.uplifts.of(BURST, "value") is None


def test_a_past_phase_may_be_called_as_the_coming_one() -> None:
    known = daily(8, 58, ONE)
    hours = [known.hour.plus(h) for h in range(24 * 6)]
    alike = PromotionCalendar(promotion(30))
    one, two = (SteadyModel(calendar=COMING, past=past).fit(known).outlook(known, hours) for past in (ONE, alike))
    assert np.array_equal(one.clicks, two.clicks)
    assert np.array_equal(one.traffic, two.traffic)
    assert one.notes == two.notes
