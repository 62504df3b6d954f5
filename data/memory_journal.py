"""A decision journal in memory: what simulated runs write to. It answers as the SQL journal does."""

from dataclasses import replace

import polars as pl

from domain.errors import ConfigError
from domain.plans import BidPlan, Decision, DecisionState, Receipts
from domain.tables import PLANNED, Known, empty
from domain.time import Clock, Hour

_OPEN = (DecisionState.OPEN, DecisionState.AWAITING)


class MemoryJournal:
    """`Journal` of one account."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock
        self._decisions: dict[Hour, Decision] = {}
        self._planned: dict[Hour, pl.DataFrame] = {}

    def find(self, hour: Hour) -> Decision | None:
        """Stored decision of an hour."""
        return self._decisions.get(hour)

    def open(self, plan: BidPlan, known: Known) -> Decision:
        """Store a plan, or give the decision that its hour has already."""
        there = self._decisions.get(plan.hour)
        if there is not None:
            return there
        decided_at = None if self._clock is None else self._clock.now()
        decision = Decision(plan.account, plan.hour, DecisionState.OPEN, plan, None, known.totals(), decided_at)
        self._decisions[plan.hour] = decision
        if plan.targets is not None:
            self._planned[plan.hour] = plan.targets.planned()
        return decision

    def planned(self, hour: Hour, lookback_hours: int) -> pl.DataFrame:
        """Rows `PLANNED` of decisions for the hours before `hour`, oldest first."""
        earlier = (hour.plus(-back) for back in range(lookback_hours, 0, -1))
        told = [self._planned[h] for h in earlier if h in self._planned]
        return pl.concat(told) if told else empty(PLANNED)

    def close(self, decision: Decision, receipts: Receipts | None) -> Decision:
        """Write down what became of a decision, once; see `data.journal.SqlJournal.close`."""
        stored = self._decisions.get(decision.hour)
        if stored is None:
            raise ConfigError(f"account {decision.account!r} has no decision for {decision.hour}")
        if stored.state not in _OPEN:
            return stored
        if receipts is not None:
            state = DecisionState.PUBLISHED
        elif decision.state is DecisionState.OPEN:
            state = DecisionState.SHADOW
        else:
            state = decision.state
        closed = replace(stored, state=state, receipts=receipts)
        self._decisions[decision.hour] = closed
        return closed

    def all(self) -> list[Decision]:
        """All decisions, oldest first."""
        return [self._decisions[hour] for hour in sorted(self._decisions)]
