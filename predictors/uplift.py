"""What phases of earlier promotions did to traffic and to orders per click, and what that says of those to come.

A phase j that is over brought y_j = ln(seen / due at the level of the ordinary days before it), with an error e_j of
counting and of days. Phases of one kind differ between promotions by tau, and their common uplift U lies around what the
trader says of the coming phase:

    y_j ~ N(ln U, tau^2 + e_j^2),      ln U ~ N(ln stated, sigma^2)

so each past promotion moves the forecast further from the trader's number to what was seen, and what is left of the spread
goes into the bands. Own bids are usually raised in a burst, which is no traffic: the ratio of price paid to bid tells how
many auctions were won (`_win_rate`), before as well as then.
Source: Gelman et al., Bayesian Data Analysis, 5.4 (normal hierarchical model).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from scipy.special import ndtr

from domain.outlook import Auction
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.tables import Bools, Floats, Ints
from domain.time import Hour
from predictors.evidence import Evidence
from predictors.landscape import mean_price
from predictors.sums import summed

#: Days before a promotion that its level is read from, clicks needed on either side, and age from which orders are told.
BEFORE_DAYS, LEAST_CLICKS, SETTLED_HOURS = 28, 20.0, 168
#: Relative sd of one day's traffic and of one day's orders per click, and days that the first is worth.
DAY_SD, VALUE_DAY_SD, DAY_WORTH = 0.2, 0.1, 3.0
#: Log-sd between promotions of one kind of phase, and phases it is worth, for traffic and value.
TAU = {"traffic": 0.25, "value": 0.15}
TAU_WORTH = 4.0
#: Log-sd of a number that the trader states, and of one that nobody stated (1.0).
STATED_SD, UNSTATED_SD = 0.3, 0.8
#: Error of ratios where bids are unknown, and of the correction for bids where they are known, as a share of it.
UNKNOWN_BID_SD, CORRECTION_SD = 0.15, 0.3
FIGURES = ("traffic", "value")


@dataclass(frozen=True, slots=True)
class PastPhase:
    """What one phase that is over brought against the ordinary days before it.

    Attributes
    ----------
    phase
        As it was in force.
    uplift
        By figure (`FIGURES`), natural logarithm of seen / due and its standard error; missing where too little was seen.
    """

    phase: Phase
    uplift: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Uplift:
    """Forecast uplift of one figure of a coming phase: factor, its relative standard error, and phases it rests on."""

    factor: float
    sd: float
    phases: int


@dataclass(frozen=True, slots=True)
class Uplifts:
    """What all past phases taught."""

    past: tuple[PastPhase, ...] = ()

    def of(self, phase: Phase, figure: str) -> Uplift | None:
        """Uplift of a coming phase, around what its trader says; ``None`` where no phase of its kind was seen."""
        seen = [p.uplift[figure] for p in self.past if p.phase.kind is phase.kind and figure in p.uplift]
        if not seen:
            return None
        y, error = (np.array(column) for column in zip(*seen, strict=True))
        tau2 = self._between(figure)
        stated = getattr(phase, figure)
        prior = (STATED_SD if stated != 1.0 else UNSTATED_SD) ** -2
        weight = 1.0 / (error**2 + tau2)
        held = prior + float(weight.sum())
        mean = (prior * np.log(stated) + float(weight @ y)) / held
        return Uplift(float(np.clip(np.exp(mean), 0.05, 20.0)), float(np.sqrt(1 / held + tau2)), len(seen))

    def calendar(self, coming: PromotionCalendar) -> PromotionCalendar:
        """Calendar with learned factors, and past phases as ordinary time at their own factors; the same without any."""
        if not self.past:
            return coming
        phases = [
            replace(p, **{name: found.factor for name in FIGURES for found in [self.of(p, name)] if found})
            for p in coming.phases
        ]
        # as ordinary time: what waits and how late orders come is the running promotion's business
        before = [
            replace(p.phase, kind=PhaseKind.ORDINARY, **{name: self._own(p, name) for name in FIGURES})
            for p in self.past
        ]
        return PromotionCalendar.of_several((*before, *phases))

    def spread(self, coming: PromotionCalendar, hours: Sequence[Hour], figure: str) -> Floats:
        """(n_hours,) relative standard error of the learned factors; less where a phase has shown itself for a while."""
        spread = np.zeros(len(hours))
        for phase in coming.phases:
            found = self.of(phase, figure)
            if found is None:
                continue
            days = max((hours[0].start - phase.window.start).total_seconds(), 0.0) / 86_400
            sd = (found.sd**-2 + days / (DAY_SD if figure == "traffic" else VALUE_DAY_SD) ** 2) ** -0.5
            spread[[h.start in phase.window for h in hours]] = sd
        return spread

    def words(self, coming: PromotionCalendar) -> tuple[str, ...]:
        """What was learned for the phases that are to come or run."""
        told: list[str] = []
        for p in coming.phases:
            for name, what in (("traffic", "traffic"), ("value", "orders per click")):
                found, stated = self.of(p, name), getattr(p, name)
                if found:
                    told.append(
                        f"{what} of phase {p.name!r} times {found.factor:.2f} +- {found.sd:.0%}, from {found.phases} past "
                        f"{p.kind.value} phases and {'the stated' if stated != 1.0 else 'no stated number, so'} {stated:.2f}"
                    )
        return tuple(told)

    def _between(self, figure: str) -> float:
        """Variance between promotions of one kind, a prior worth `TAU_WORTH` phases and what kinds with several show."""
        total, count = TAU_WORTH * TAU[figure] ** 2, TAU_WORTH
        for kind in {p.phase.kind for p in self.past}:
            seen = [p.uplift[figure] for p in self.past if p.phase.kind is kind and figure in p.uplift]
            if len(seen) < 2:
                continue
            y, error = (np.array(column) for column in zip(*seen, strict=True))
            total += max(float(((y - y.mean()) ** 2).sum() - (error**2).mean() * (y.size - 1)), 0.0)
            count += y.size - 1
        return total / count

    def _own(self, past: PastPhase, figure: str) -> float:
        """Factor of a past phase itself: as it was seen, and where little was seen, as the trader had said."""
        stated = float(getattr(past.phase, figure))
        if figure not in past.uplift:
            return stated
        y, error = past.uplift[figure]
        trust = 1.0 / (1.0 + error**2 / STATED_SD**2)
        return float(np.clip(np.exp(trust * y + (1 - trust) * np.log(stated)), 0.05, 20.0))


def learn_uplifts(evidence: Evidence, past: PromotionCalendar, cut: Hour, auction: Auction, spread: float) -> Uplifts:
    """Uplifts of phases that are over.

    Parameters
    ----------
    evidence
        Rows and factors up to `cut`; factors of ordinary time, such as the week's profile.
    past
        Phases that are over; phases with less than a day of ordinary time between them are one promotion.
    cut
        Hour that hours of `evidence` are counted from.
    auction
        How clicks are priced.
    spread
        Standard deviation of the log market price.
    """
    rows = evidence.rows
    if not past.phases or not rows.clicks.size:
        return Uplifts()
    traffic = np.concatenate([[0.0], np.cumsum(evidence.factors.traffic)])
    first = evidence.factors.position(rows.hour)
    last = np.minimum(first + np.maximum(rows.length, 1.0).astype(np.int64), traffic.size - 1)
    promised = np.maximum(traffic[last] - traffic[first], 1e-6)  # ordinary hours that a row is worth
    at = [(_hours(p.window.start, cut), _hours(p.window.end, cut)) for p in past.phases]
    begun = rows.hour + np.where(rows.daily, rows.length / 2, 0.5)  # a day belongs to what holds most of it
    inside = [(begun >= a) & (begun < b) for a, b in at]
    ordinary = ~np.logical_or.reduce(inside)
    found: list[PastPhase] = []
    start = at[0][0]
    for (a, _), phase, mine, previous in zip(at, past.phases, inside, [None, *at[:-1]], strict=True):
        if previous is None or a - previous[1] >= 24:
            start = a
        before = ordinary & (begun < start) & (begun >= start - 24 * BEFORE_DAYS)
        found.append(PastPhase(phase, _compare(evidence, promised, before, mine, auction, spread)))
    return Uplifts(tuple(found))


def _hours(instant: datetime, cut: Hour) -> float:
    return (instant - cut.start).total_seconds() / 3600.0


def _compare(
    evidence: Evidence, promised: Floats, before: Bools, mine: Bools, auction: Auction, spread: float
) -> dict[str, tuple[float, float]]:
    """Logarithm of seen / due of a phase's rows against those before, of units that were there in both, with errors."""
    rows, n = evidence.rows, evidence.n_units
    there = np.zeros(n, np.bool_)
    there[np.intersect1d(rows.unit[before], rows.unit[mine])] = True
    before, mine = before & there[rows.unit], mine & there[rows.unit]
    old, new = (summed(rows.unit[m], rows.clicks[m], n) for m in (before, mine))
    if old.sum() < LEAST_CLICKS or new.sum() < LEAST_CLICKS:
        return {}
    found: dict[str, tuple[float, float]] = {}
    # days on which a unit has no row are days without delivery, as long as others had rows
    span = [_ordinary_hours(rows.hour[m], promised[m]) for m in (before, mine)]
    won_before, won = (_win_rate(evidence, m, auction, spread) for m in (before, mine))
    if won_before is None or won is None:
        correction, doubt = 0.0, UNKNOWN_BID_SD
    else:
        correction = float(np.log(won / won_before))
        doubt = CORRECTION_SD * abs(correction)
    due = float(old.sum()) * span[1] / span[0]
    day_sd, n_old = _day_sd(evidence, promised, before)
    n_new = max(np.unique(evidence.factors.day[evidence.factors.position(rows.hour[mine])]).size, 1)
    error = 1 / old.sum() + 1 / new.sum() + day_sd**2 * (1 / n_old + 1 / n_new) + doubt**2
    found["traffic"] = (float(np.log(new.sum() / due)) - correction, float(np.sqrt(error)))
    settled = rows.age >= SETTLED_HOURS
    sold_old, sold = (
        summed(rows.unit[m], np.maximum(rows.orders[m], 0.0), n) for m in (before & settled, mine & settled)
    )
    if sold_old.sum() < 5 or sold.sum() < 5:
        return found
    clicks_old, clicks = (summed(rows.unit[m], rows.clicks[m], n) for m in (before & settled, mine & settled))
    usual = float(sold_old.sum() / max(clicks_old.sum(), 1.0))
    worth = 5.0 / usual
    rate = (sold_old + worth * usual) / (clicks_old + worth)
    rate *= sold_old.sum() / max(float(rate @ clicks_old), 1e-12)
    error = 1 / sold_old.sum() + 1 / sold.sum() + VALUE_DAY_SD**2 * (1 / n_old + 1 / n_new)
    found["value"] = (float(np.log(sold.sum() / max(float(rate @ clicks), 1e-12))), float(np.sqrt(error)))
    return found


def _ordinary_hours(hour: Ints, promised: Floats) -> float:
    """Ordinary hours that a stretch is worth: each hour or day that has rows counts once."""
    _, one = np.unique(hour, return_index=True)
    return float(promised[one].sum())


def _day_sd(evidence: Evidence, promised: Floats, before: Bools) -> tuple[float, int]:
    """Relative sd of days around the level before, beyond counting, and how many days there are."""
    rows = evidence.rows
    day = evidence.factors.day[evidence.factors.position(rows.hour[before])]
    day = day - day.min()
    clicks = summed(day, rows.clicks[before], int(day.max()) + 1)
    _, one = np.unique(rows.hour[before], return_index=True)
    worth = summed(day[one], promised[before][one], clicks.size)
    full = worth > 0.5 * worth.max()  # the rest of a broken day says little
    n = int(full.sum())
    rate = clicks[full] / worth[full]
    mean = float(rate.mean())
    counting = float((mean / worth[full]).mean())
    excess = max(float(((rate - mean) ** 2).sum()) - n * counting, 0.0) / max(mean, 1e-12) ** 2
    return float(np.sqrt((excess + DAY_WORTH * DAY_SD**2) / (max(n - 1, 0) + DAY_WORTH))), max(n, 1)


def _win_rate(evidence: Evidence, some: Bools, auction: Auction, spread: float) -> float | None:
    """Share of auctions won, from what clicks cost against the bid under second price; ``None`` where it does not tell."""
    rows = evidence.rows
    bid = rows.bid[some]
    known = np.isfinite(bid) & (bid > 0) & (rows.clicks[some] > 0)
    clicks, spend = rows.clicks[some], rows.spend[some]
    offered = float((bid[known] * clicks[known]).sum())
    if auction is Auction.FIRST_PRICE or clicks[known].sum() * 2 < clicks.sum() or offered <= 0:
        return None
    ratio = float(spend[known].sum()) / offered
    z = np.linspace(-4.0, 4.0, 321)
    one = np.ones_like(z)
    paid = mean_price(z, np.exp(-z * spread), spread * one, one, Auction.SECOND_PRICE)  # per unit of bid, falls with z
    return float(ndtr(np.interp(-ratio, -paid, z)))
