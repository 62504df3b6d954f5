"""One hour, no way back: read, append, cut, predict, price, propose, review, store, publish.

The same function runs live, simulated, by hand and in backfill; only the desk differs. The decision is stored
before it is sent, and its key (account, hour) makes a rerun return the stored one. Where prediction, pacing or
optimization fails in an expected way, live bids are held and the decision says so.
"""

from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl

from domain.errors import OptimizationError, PredictionError
from domain.groups import Groups
from domain.plans import ACTION, INTERVENTIONS, PLAN, Action, BidPlan, Decision, DecisionState, SpendTargets
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
    """All that is known when the hour starts, with what earlier decisions planned.

    Where nothing was decided lately, older decisions are remembered as far back as reports are: a loop that comes back
    after days must know that it has been away. Rows of hours that have not begun yet are left out: no report can
    know them.
    """
    known = desk.asof.at(hour)
    newest = known.performance["start_utc"].max()
    if isinstance(newest, datetime) and newest >= hour.start:
        begun = pl.col("start_utc") < hour.start
        told = {name: getattr(known, name).filter(begun) for name in ("performance", "arrivals", "credits")}
        known = replace(known, **told)
    planned = desk.journal.planned(hour, MEMORY_HOURS)
    if not planned.height:
        planned = desk.journal.planned(hour, desk.lookback_hours)
    return replace(known, planned=planned)


def decide(known: Known, desk: Desk) -> BidPlan:
    """Make the plan of the hour of `known`; stores and sends nothing."""
    groups = desk.groups_of(known)
    if not known.n_units:
        plan = hold(known, "no unit is known yet: import reports first")
    else:
        try:
            outlook = desk.model.outlook(known, desk.horizon.hours_from(known.hour))
            attempts: tuple[str, ...] = ()
            goals = desk.goals_at(known.hour)
            try:
                targets = desk.pacer.targets(known, outlook, goals, desk.calendar, groups)
            except OptimizationError as error:
                if desk.fallback is None:
                    raise
                targets = desk.fallback.targets(known, outlook, goals, desk.calendar, groups)
                attempts = (f"{type(error).__name__}: {error}",)
            plan = desk.policy.propose(known, outlook, targets, desk.limits)
            if attempts:
                plan = replace(plan, attempts=(*attempts, *plan.attempts))
        except (PredictionError, OptimizationError) as error:
            reason = f"live bids are held: {type(error).__name__}: {error}"
            plan = hold(known, reason, continued(known, groups, reason))
    for guardrail in desk.guardrails:
        plan = guardrail.review(plan, known)
    return plan


def continued(known: Known, groups: Groups, reason: str) -> SpendTargets | None:
    """Spend aims of an hour in which live bids are held: those of the last decided hour; ``None`` before any.

    Later hours count what held bids spend in the dark by them, and know that the loop was awake.
    """
    if not known.planned.height:
        return None
    last = known.planned.filter(pl.col("start_utc") == known.planned["start_utc"].max())
    amount, theta = (dict(last.select("group", name).iter_rows()) for name in ("amount", "theta"))
    n = len(groups.names)
    aim = np.array([float(amount.get(name, 0.0)) for name in groups.names])
    price = np.array([float(theta.get(name, np.inf)) for name in groups.names])
    return SpendTargets(
        hour=known.hour,
        groups=groups,
        amount=aim,
        ceiling=np.full(n, np.inf),
        theta=price[groups.leaf],
        offset=np.zeros(groups.leaf.size),
        status=Status.SLACK,
        rows=(),
        certificate=None,
        reason=reason,
    )


def hold(known: Known, reason: str, targets: SpendTargets | None = None) -> BidPlan:
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
        targets=targets,
        interventions=empty(INTERVENTIONS),
        status=Status.SLACK,
        reason=reason,
    )
