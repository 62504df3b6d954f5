"""One hour, no way back: read, append, cut, predict, price, propose, review, store, publish.

The same function runs live, simulated, by hand and in backfill; only the desk differs. The decision is stored
before it is sent, and its key (account, hour) makes a rerun return the stored one. Where prediction, pacing or
optimization fails in an expected way, live bids are held and the decision says so.
"""

from dataclasses import replace

import polars as pl

from domain.errors import OptimizationError, PredictionError
from domain.plans import ACTION, INTERVENTIONS, PLAN, Action, BidPlan, Decision, DecisionState
from domain.problem import Status
from domain.tables import Known, empty
from domain.time import Hour
from engine.desk import Desk

#: How far back the controller remembers what it planned.
MEMORY_HOURS = 48


def run_cycle(hour: Hour, desk: Desk) -> Decision:
    """Decide one hour of one account, once.

    Parameters
    ----------
    hour
        The hour to decide; only what was known when it started is used.
    desk
        The account's desk.

    Returns
    -------
    Decision
        The stored decision: the new one, or the one that an earlier run of this hour left.
    """
    stored = desk.journal.find(hour)
    if stored is not None and stored.state is not DecisionState.OPEN:
        return stored
    if stored is None:
        desk.reports.append(desk.platform.read_reports(desk.lookback(hour)), desk.platform.live_bids(), hour.start)
        known = know(hour, desk)
        stored = desk.journal.open(decide(known, desk), known)
        if stored.state is not DecisionState.OPEN:
            return stored  # another run was faster
    if desk.publishes:
        return desk.journal.close(stored, desk.platform.publish(stored.plan))
    if desk.awaits_approval:
        stored = replace(stored, state=DecisionState.AWAITING)
    return desk.journal.close(stored, None)


def know(hour: Hour, desk: Desk) -> Known:
    """All that is known when the hour starts, with what earlier decisions planned."""
    return replace(desk.asof.at(hour), planned=desk.journal.planned(hour, MEMORY_HOURS))


def decide(known: Known, desk: Desk) -> BidPlan:
    """Make the plan of the hour of `known`; stores and sends nothing."""
    groups = desk.groups_of(known)
    if not known.n_units:
        plan = hold(known, "no unit is known yet: import reports first")
    else:
        try:
            outlook = desk.model.outlook(known, desk.horizon.hours_from(known.hour))
            attempts: tuple[str, ...] = ()
            try:
                targets = desk.pacer.targets(known, outlook, desk.goals, desk.calendar, groups)
            except OptimizationError as error:
                if desk.fallback is None:
                    raise
                targets = desk.fallback.targets(known, outlook, desk.goals, desk.calendar, groups)
                attempts = (f"{type(error).__name__}: {error}",)
            plan = desk.policy.propose(known, outlook, targets, desk.limits)
            if attempts:
                plan = replace(plan, attempts=(*attempts, *plan.attempts))
        except (PredictionError, OptimizationError) as error:
            plan = hold(known, f"live bids are held: {type(error).__name__}: {error}")
    for guardrail in desk.guardrails:
        plan = guardrail.review(plan, known)
    return plan


def hold(known: Known, reason: str) -> BidPlan:
    """Plan that keeps every live bid, with the reason."""
    live = known.live_bids.rows
    given = pl.DataFrame(
        {
            "unit_id": known.units["unit_id"],
            "campaign": known.units["campaign"],
            "bid_cpc": live["bid_cpc"],
            "live_bid_cpc": live["bid_cpc"],
        }
    )
    units = given.with_columns(
        pl.lit(Action.HOLD.value).cast(ACTION).alias("action"),
        pl.lit("held").alias("limit"),
        *(
            pl.lit(None, dtype).alias(name)
            for name, dtype in PLAN.items()
            if name not in {*given.columns, "action", "limit"}
        ),
    ).select(list(PLAN))
    return BidPlan(
        account=known.account.name,
        hour=known.hour,
        units=units,
        targets=None,
        interventions=empty(INTERVENTIONS),
        status=Status.SLACK,
        reason=reason,
    )
