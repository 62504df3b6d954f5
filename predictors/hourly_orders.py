"""Orders of hourly rows: counted by age where they follow the delay law, by the burst's clock where they waited for it.

Puts together what `delay`, `telling` and `settling` know, so that each row has two shares: of its orders that are known
by now, and of its money. Both are net of what comes back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from domain.tables import Bools, Floats, Ints
from predictors.delay import DelayCounts, DelayLaw, DelayPrior, learn_delay
from predictors.evidence import NEVER, PHASE_KINDS, Evidence
from predictors.settling import (
    NO_WAITING,
    PRE_SALE,
    WAIT_PRIOR,
    WARM_UP,
    Returns,
    Waiting,
    deposit,
    paid,
    returns,
    waiting,
)
from predictors.sums import summed
from predictors.telling import Telling, listen

#: Hours after which an order is not awaited any more.
HOURLY_AGES = 336
#: Centre of the prior share of deposits that are told at once.
DEPOSITS_AT_ONCE = 0.98
_WAITERS = (WARM_UP, PRE_SALE)


@dataclass(frozen=True, slots=True)
class Settled:
    """Shares of the hourly cohorts, (n_mine,) each, and what they come from; see `Conversions`."""

    told: Floats
    money: Floats
    final: Floats
    kept: Floats
    error: float
    returned: Returns
    waits: Mapping[int, Waiting]
    deposits: float


@dataclass(frozen=True, slots=True)
class HourlyOrders:
    """Cohorts of hourly rows and their arrivals, sorted by what they are.

    Attributes
    ----------
    cohorts
        (n_mine,) positions of the cohorts of hourly rows.
    kind, age, in_burst
        (n_mine,) kind of phase, age in steps of telling, and of that the hours since the burst that the rows' orders may
        wait for began; 0 where there is none, or before it.
    can_wait
        (n_mine,) whether there is such a burst.
    telling
        When the platform told of orders.
    arrived
        (kind, age, span, orders) of orders that follow the delay law; each came within `span` steps up to its age.
    waited, balances
        By kind, (n_hours,) orders of waiters told by hour since the burst; (n_hours,) money without orders, in orders.
    returned
        Orders that come back.
    deposits
        Share of a pre-sale order's value that is paid with it.
    pre_sold
        Pre-sale orders told before the burst.
    unlogged
        Orders that rows hold beyond their restatements.
    """

    cohorts: Ints
    kind: Ints
    age: Ints
    in_burst: Ints
    can_wait: Bools
    telling: Telling
    arrived: tuple[Ints, Ints, Ints, Floats]
    waited: Mapping[int, Floats]
    balances: Floats
    returned: Returns
    deposits: float
    pre_sold: float
    unlogged: float

    @classmethod
    def of(cls, evidence: Evidence, kind: Ints, due: Floats, row_orders: Floats, worth: Floats) -> "HourlyOrders":
        """Sort cohorts and arrivals.

        Parameters
        ----------
        kind, due, row_orders
            (n_cohorts,) kind of phase, orders that clicks should bring, and orders that the rows hold.
        worth
            (n_units,) of one order.
        """
        cohorts, factors = evidence.rows.cohorts, evidence.factors
        mine = np.flatnonzero(~cohorts.daily)
        chosen = ~evidence.arrival_of_daily
        hour, raw_age = evidence.arrival_hour[chosen], evidence.arrival_age[chosen]
        orders, gmv, unit = evidence.arrival_orders[chosen], evidence.arrival_gmv[chosen], evidence.arrival_unit[chosen]
        telling = listen(cohorts.hour[mine], due[mine], hour + raw_age, raw_age, orders)
        age = np.maximum(raw_age - telling.lag, 1)
        at = factors.position(hour)
        arrival_kind, to_burst = factors.phase[at], factors.to_burst[at]
        waiter = np.isin(arrival_kind, _WAITERS) & (to_burst < NEVER)
        since = np.where(waiter, age - to_burst, 0)  # 1 = told in the first hour of the burst
        late = since >= 1
        back = (orders <= -1 + 1e-6) & (np.abs(orders - np.rint(orders)) < 1e-6)
        value = np.where(np.isfinite(worth) & (worth > 0), worth, np.nan)[unit]
        pre = waiter & (arrival_kind == PRE_SALE) & ~late & ~back
        plain = (orders > 0) & (arrival_kind != PRE_SALE) & np.isfinite(value)
        share = _deposits(orders, gmv, value, pre & np.isfinite(value), plain)
        balance = waiter & late & (arrival_kind == PRE_SALE) & (np.abs(orders) < 1e-9) & (gmv > 0) & np.isfinite(value)
        left = np.maximum(value * (1 - share) * _ratio(gmv, orders, value, plain), 1e-9)
        n_hours = int(since.max(initial=0)) + 1
        waited = {
            k: summed(since[m] - 1, orders[m], n_hours)
            for k in _WAITERS
            for m in [waiter & late & (arrival_kind == k) & ~back]
        }
        law = ~back & ~late
        row_to_burst = np.where(
            np.isin(kind[mine], _WAITERS), factors.to_burst[factors.position(cohorts.hour[mine])], NEVER
        )
        row_age = telling.age(cohorts.age[mine])
        clock = hour + raw_age  # when it was told, counted from the cut
        first = int(clock.min(initial=0))
        owed = waiter & (arrival_kind == PRE_SALE) & (share < 1)  # not to be taken back before it is paid in full
        came = np.where(owed, np.where(balance, gmv / left, 0.0), np.where(back, 0.0, np.maximum(orders, 0.0)))
        told, gone = (summed(clock - first, w, 1 - first) for w in (came, np.where(back, -orders, 0.0)))
        return cls(
            cohorts=mine,
            kind=kind[mine],
            age=row_age,
            in_burst=np.maximum(row_age - row_to_burst, 0),
            can_wait=row_to_burst < NEVER,
            telling=telling,
            arrived=(arrival_kind[law], age[law], 1 + telling.silent_before[law], orders[law]),
            waited=waited,
            balances=summed(since[balance] - 1, gmv[balance] / left[balance], n_hours)
            if share < 1
            else np.zeros(n_hours),
            returned=returns(told, gone),
            deposits=share,
            pre_sold=float(orders[pre].sum()),
            unlogged=max(float(row_orders[mine].sum() - orders.sum()), 0.0),
        )

    def settle(
        self, worth: Floats, prior: DelayPrior, before: tuple[DelayLaw, Mapping[int, Waiting]] | None
    ) -> tuple[DelayLaw, DelayCounts, Settled]:
        """Laws and shares; `worth` (n_cohorts,) are orders due at level 1, `before` what an earlier round found.

        The first round has one law for all phases, the second one allows each its own.
        """
        due = worth[self.cohorts]
        counts = self._counts(due, before, prior)
        law = self._law(counts, prior, by_phase=before is not None)
        ages = np.arange(HOURLY_AGES)
        kinds = np.arange(len(PHASE_KINDS))
        burst_age = self.age - self.in_burst  # age at which the burst began, or the present one
        plain = _at(law.share, self.kind, self.age)
        early = _at(law.share, self.kind, burst_age)
        waits = self._waits(due, counts, law, early, prior)
        returned = self.returned
        rho = returned.share
        # what has come back of orders that follow the law: their delay, then the returns'
        reach = np.diff(returned.law, prepend=0.0)[:192]
        both = np.stack([np.convolve(np.diff(law.share[k], prepend=0.0), reach)[:HOURLY_AGES] for k in kinds]).cumsum(1)
        share = np.zeros(kinds.size)
        come, sd = np.zeros((kinds.size, 1 + max(w.come.size for w in waits.values()))), np.zeros(kinds.size)
        for k, w in waits.items():
            share[k], sd[k] = w.share, w.share_sd
            come[k] = np.concatenate([w.come, np.full(come.shape[1] - w.come.size, w.come[-1])])
        can_wait = self.can_wait
        w = np.where(can_wait, share[self.kind], 0.0)
        in_burst = np.minimum(self.in_burst, come.shape[1] - 1)
        waited = np.where(can_wait, come[self.kind, in_burst], 0.0)
        since = returned.law[np.minimum(self.in_burst, ages[-1])]
        back_plain = _at(both, self.kind, self.age)
        deposits = self.deposits
        balance = paid(self.pre_sold, self.balances, int(self.in_burst.max(initial=0)))
        sold_ahead = can_wait & (self.kind == PRE_SALE) & (deposits < 1)
        come_back = np.where(sold_ahead, since, (1 - w) * back_plain + waited * since)
        told = ((1 - w) * plain + waited - rho * come_back) / (1 - rho)
        final = np.where(sold_ahead, deposits + (1 - deposits) * balance.share, 1.0)
        paid_now = balance.come[np.minimum(self.in_burst, balance.come.size - 1)]
        money = np.where(
            sold_ahead,
            (deposits * ((1 - w) * plain + waited) + (1 - deposits) * paid_now - rho * come_back * final) / (1 - rho),
            told,
        )
        kept = np.ones(kinds.size)
        if deposits < 1:
            kept[PRE_SALE] = deposits + (1 - deposits) * balance.share
        total = float(due @ told)
        doubt = due * np.where(can_wait & (self.in_burst == 0), sd[self.kind] * plain, 0.0)
        error = float(doubt.sum()) / total if total > 0 else 0.0
        error = float(np.hypot(error, returned.share_sd))
        return law, counts, Settled(told, money, final, kept, error, returned, waits, deposits)

    def _law(self, counts: DelayCounts, prior: DelayPrior, by_phase: bool) -> DelayLaw:
        """Delay law of each kind; where pre-sale orders are deposits, theirs says nothing of the others'."""
        if self.deposits == 1:
            return learn_delay(counts, prior, by_phase=by_phase)
        apart = np.arange(len(PHASE_KINDS))[:, None] == PRE_SALE
        law = learn_delay(counts.where(~apart), prior, by_phase=by_phase)
        at_once = replace(prior, share_at_once=DEPOSITS_AT_ONCE)
        own = learn_delay(counts.where(apart), at_once, by_phase=False)
        scenarios = np.where(apart[None], own.scenarios, law.scenarios)
        return replace(law, share=scenarios.mean(0), scenarios=scenarios)

    def _counts(
        self, due: Floats, before: tuple[DelayLaw, Mapping[int, Waiting]] | None, prior: DelayPrior
    ) -> DelayCounts:
        """Orders by age where they follow the law, and clicks by present age; those that may wait until the burst."""
        n_kinds = len(PHASE_KINDS)
        kind, age, span, orders = self.arrived
        if not self.cohorts.size or not (orders.size or self.age.size):
            return DelayCounts.none(n_kinds, HOURLY_AGES)
        if (span > 1).any():
            share = (
                learn_delay(DelayCounts.none(n_kinds, HOURLY_AGES), prior).share if before is None else before[0].share
            )
            kind, age, orders = _spread(kind, age, span, orders, share)
        by_kind = summed(self.kind, np.maximum(due, 0.0), n_kinds)
        part = by_kind / by_kind.sum() if by_kind.sum() > 0 else by_kind
        kinds = np.concatenate([kind, np.arange(n_kinds)])
        ages = np.concatenate([age, np.ones(n_kinds, np.int64)])
        seen = self.age - self.in_burst > 0
        # those that wait are not due under the law
        waits = np.zeros(n_kinds)
        for k, (a, b) in WAIT_PRIOR.items():
            waits[k] = a / (a + b) if before is None else before[1][k].share
        plain = due * np.where(self.can_wait, 1 - waits[self.kind], 1.0)
        exposed = (self.kind[seen], (self.age - self.in_burst)[seen], plain[seen])
        return DelayCounts.count(
            n_kinds, HOURLY_AGES, (kinds, ages, np.concatenate([orders, self.unlogged * part])), exposed
        )

    def _waits(
        self, due: Floats, counts: DelayCounts, law: DelayLaw, early: Floats, prior: DelayPrior
    ) -> dict[int, Waiting]:
        """Share of each kind that waits, the level told by all other kinds."""
        found: dict[int, Waiting] = {}
        by_kind = counts.arrived.sum(1)
        expected = (counts.exposed * law.share).sum(1)
        shape = prior.level_sd**-2
        for k in _WAITERS:
            mine = (self.kind == k) & self.can_wait
            if not mine.any():
                found[k] = NO_WAITING
                continue
            others = [j for j in range(by_kind.size) if j not in _WAITERS or (j != k and j == PRE_SALE)]
            rate = shape + float(expected[others].sum())
            mean = (shape + float(by_kind[others].sum())) / rate
            hours_in = int(self.in_burst[mine].max())
            n = max(hours_in, 1)
            plain = np.zeros(n)
            if hours_in:  # what the law alone would bring in each hour of the burst
                clicked = summed(np.minimum((self.age - self.in_burst)[mine], HOURLY_AGES - 1), due[mine], HOURLY_AGES)
                step = np.diff(law.share[k], prepend=0.0)
                plain = np.array([float(clicked[: HOURLY_AGES - u] @ step[u:]) for u in range(n)])
            orders = np.zeros(n)
            told = self.waited[k][:n]
            orders[: told.size] = np.maximum(told, 0.0)
            found[k] = waiting(
                k, (float(by_kind[k]), float(due[mine] @ early[mine])), (orders, plain), float(due[mine].sum()),
                (mean, float((shape + by_kind[others].sum()) ** -0.5)), hours_in,
            )  # fmt: skip
        return found


def _at(share: Floats, kind: Ints, age: Ints) -> Floats:
    """Share (n_kinds, n_ages) at ages 1, 2, ...; 0 at age 0."""
    n_ages = share.shape[1]
    return np.where(age > 0, share.ravel().take(kind * n_ages + np.clip(age, 1, n_ages) - 1), 0.0)


def _spread(kind: Ints, age: Ints, span: Ints, orders: Floats, share: Floats) -> tuple[Ints, Ints, Floats]:
    """Orders that came at an unknown age of a span, over its ages in proportion to a law."""
    span = np.minimum(span, age)
    row = np.repeat(np.arange(age.size), span)
    back = np.arange(row.size) - np.repeat(np.cumsum(span) - span, span)
    at = np.minimum(age[row] - back, share.shape[1])
    step = np.diff(share, axis=1, prepend=0.0)[kind[row], at - 1] + 1e-9
    whole = summed(row, step, age.size)
    return kind[row], at, orders[row] * step / whole[row]


def _ratio(gmv: Floats, orders: Floats, value: Floats, plain: np.ndarray) -> float:
    """Money per stated value of an order, where no deposit is involved."""
    due = float((orders * value)[plain].sum())
    return (float(gmv[plain].sum()) + 500.0) / (due + 500.0) if due > 0 else 1.0


def _deposits(orders: Floats, gmv: Floats, value: Floats, pre: np.ndarray, plain: np.ndarray) -> float:
    due = float((orders * value)[pre].sum())
    if due <= 0:
        return 1.0
    return deposit(float(orders[pre].sum()), float(gmv[pre].sum()) / due / _ratio(gmv, orders, value, plain))
