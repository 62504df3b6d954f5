"""The decision journal of an account: one decision per hour, stored before it is sent.

The unique (account, hour) of the database is the lock of the hour: of any number of runs that decide it, one
stores its plan and all others get that plan back. Columns of a plan are Parquet files; a decision and its files
appear in one transaction.

    open ──publish──> published            live, or approved in time
         ──close────> shadow               by choice not sent
         ──await────> awaiting_approval ──> published | expired | shadow (held by a person)
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from data.codec import arrays_to_frame, frame_to_arrays, pack, unpack
from data.database import Database
from data.schema import decisions
from data.warehouse import Warehouse
from domain.account import Account
from domain.errors import ConfigError
from domain.plans import INTERVENTIONS, PLAN, RECEIPTS, Action, BidPlan, Decision, DecisionState, Receipts
from domain.problem import Status
from domain.tables import PLANNED, Known, check, empty
from domain.time import Clock, Hour

_OPEN = (DecisionState.OPEN.value, DecisionState.AWAITING.value)
_FIGURES = ("spend", "clicks", "orders", "gmv")


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's yes to one hour's plan."""

    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A decision whose end was not written down; `claimed` where somebody had begun to send it."""

    hour: Hour
    state: DecisionState
    claimed: bool


class SqlJournal:
    """`Journal` of one account of a workspace."""

    def __init__(self, database: Database, warehouse: Warehouse, account: Account, clock: Clock | None = None) -> None:
        self._database = database
        self._warehouse = warehouse
        self._account = account.name
        self._clock = clock

    # -- the protocol -------------------------------------------------------------------------------------------

    def find(self, hour: Hour) -> Decision | None:
        """Stored decision of an hour."""
        row = self._row(hour)
        return None if row is None else self._decision(row)

    def open(self, plan: BidPlan, known: Known) -> Decision:
        """Store a plan, or give the decision that its hour has already."""
        if plan.account != self._account:
            raise ConfigError(f"a plan of account {plan.account!r} was handed to the journal of {self._account!r}")
        there = self.find(plan.hour)
        if there is not None:
            return there
        tables, text = taken_apart(plan)
        staged = {n: self._warehouse.stage(n, frame, part=str(plan.hour)) for n, frame in tables.items()}
        decided_at = None if self._clock is None else self._clock.now()
        values = {
            "account": self._account,
            "hour": plan.hour.start,
            "state": DecisionState.OPEN.value,
            "status": plan.status.value,
            "reason": plan.reason,
            "known": json.dumps(known.totals()),
            "plan": text,
            "plan_files": json.dumps({n: s.path for n, s in staged.items()}),
            "decided_at": decided_at,
            **summary_of(plan),
        }
        try:
            with self._database.write() as connection:
                connection.execute(decisions.insert().values(values))
                self._warehouse.register(connection, self._account, list(staged.values()))
        except IntegrityError:
            there = self.find(plan.hour)  # another run was faster; our files are swept later
            if there is None:
                raise
            return there
        return Decision(self._account, plan.hour, DecisionState.OPEN, plan, None, known.totals(), decided_at)

    def close(self, decision: Decision, receipts: Receipts | None) -> Decision:
        """Write down what became of a decision, once.

        With receipts it is published. Without, it keeps the state it was handed in with, an open one being
        shadow; one that awaits approval expires at the end of its hour. A decision that is closed stays as it is.
        """
        if receipts is not None:
            return self._finish(decision.hour, DecisionState.PUBLISHED, receipts)
        if decision.state is DecisionState.AWAITING:
            return self.await_approval(decision.hour, decision.hour.end)
        state = DecisionState.SHADOW if decision.state is DecisionState.OPEN else decision.state
        return self._finish(decision.hour, state, None)

    def planned(self, hour: Hour, lookback_hours: int) -> pl.DataFrame:
        """Rows `PLANNED` of decisions for the hours before `hour`, oldest first."""
        earliest = hour.plus(-lookback_hours)
        query = (
            sa.select(decisions.c.plan_files)
            .where(
                decisions.c.account == self._account,
                decisions.c.hour >= earliest.start,
                decisions.c.hour < hour.start,
            )
            .order_by(decisions.c.hour)
        )
        with self._database.read() as connection:
            named = [json.loads(text) for text in connection.execute(query).scalars()]
        paths = [files["planned"] for files in named if "planned" in files]
        return check(self._warehouse.collect(self._warehouse.scan(paths, PLANNED)), PLANNED, "planned")

    # -- approval and receipts that come later ------------------------------------------------------------------

    def await_approval(self, hour: Hour, expires_at: datetime) -> Decision:
        """Let an open decision wait for a person until an instant."""
        with self._database.write() as connection:
            connection.execute(
                self._update(hour)
                .where(decisions.c.state == DecisionState.OPEN.value)
                .values(state=DecisionState.AWAITING.value, expires_at=expires_at)
            )
        return self._must_find(hour)

    def approve(self, hour: Hour, who: str, now: datetime) -> Decision:
        """Say yes to a decision that waits; the next run of its hour publishes it."""
        if not who.strip():
            raise ConfigError("an approval needs a name: say who approves")
        self.expire(now)
        with self._database.write() as connection:
            done = connection.execute(
                self._update(hour)
                .where(decisions.c.state == DecisionState.AWAITING.value, decisions.c.approved_at.is_(None))
                .values(approved_by=who, approved_at=now)
            ).rowcount
        decision = self._must_find(hour)
        if not done and decision.state is not DecisionState.AWAITING:
            raise ConfigError(
                f"the decision of {self._account!r} for {hour} is {decision.state.value}; only one that waits for "
                "approval can be approved"
            )
        return decision

    def hold(self, hour: Hour, who: str, now: datetime) -> Decision:
        """Say no to a decision that waits: it is kept and never sent; `claimed_by` tells who held it."""
        if not who.strip():
            raise ConfigError("holding a decision needs a name: say who holds it")
        with self._database.write() as connection:
            done = connection.execute(
                self._update(hour)
                .where(decisions.c.state == DecisionState.AWAITING.value, decisions.c.approved_at.is_(None))
                .values(state=DecisionState.SHADOW.value, closed_at=now, claimed_by=f"held by {who}")
            ).rowcount
        decision = self._must_find(hour)
        if not done:
            raise ConfigError(
                f"the decision of {self._account!r} for {hour} is {decision.state.value} or approved already; only one "
                "that waits for approval can be held"
            )
        return decision

    def approval(self, hour: Hour) -> Approval | None:
        """Who approved an hour's plan, or ``None``."""
        row = self._row(hour)
        return None if row is None or row["approved_at"] is None else Approval(row["approved_by"], row["approved_at"])

    def expire(self, now: datetime) -> int:
        """End the wait of decisions that nobody approved in time; gives their number."""
        with self._database.write() as connection:
            return connection.execute(
                decisions.update()
                .where(
                    decisions.c.account == self._account,
                    decisions.c.state == DecisionState.AWAITING.value,
                    decisions.c.approved_at.is_(None),
                    decisions.c.expires_at <= now,
                )
                .values(state=DecisionState.EXPIRED.value, closed_at=now)
            ).rowcount

    def claim(self, hour: Hour, who: str, now: datetime, lease: timedelta = timedelta(minutes=5)) -> bool:
        """Take the right to publish an hour's decision; false where somebody holds it.

        A holder that dies loses it when the lease ends. Taking it again under the same name renews it.
        """
        with self._database.write() as connection:
            return bool(
                connection.execute(
                    self._update(hour)
                    .where(
                        decisions.c.state.in_(_OPEN),
                        sa.or_(
                            decisions.c.claimed_until.is_(None),
                            decisions.c.claimed_until <= now,
                            decisions.c.claimed_by == who,
                        ),
                    )
                    .values(claimed_by=who, claimed_until=now + lease)
                ).rowcount
            )

    def unfinished(self, before: Hour) -> list[Unfinished]:
        """Decisions for hours before `before` that are open or wait, oldest first."""
        columns = (decisions.c.hour, decisions.c.state, decisions.c.claimed_by)
        query = (
            sa.select(*columns)
            .where(
                decisions.c.account == self._account,
                decisions.c.hour < before.start,
                decisions.c.state.in_(_OPEN),
            )
            .order_by(decisions.c.hour)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [Unfinished(Hour(r.hour), DecisionState(r.state), r.claimed_by is not None) for r in rows]

    def later(self, hour: Hour | None, now: datetime) -> Hour | None:
        """Newest hour after `hour` (``None``: of all) that was decided until `now`; ``None`` where there is none."""
        query = sa.select(sa.func.max(decisions.c.hour)).where(
            decisions.c.account == self._account,
            sa.true() if hour is None else decisions.c.hour > hour.start,
            sa.or_(decisions.c.decided_at.is_(None), decisions.c.decided_at <= now),
        )
        with self._database.read() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else Hour(found)

    def answer(self, hour: Hour, receipts: Receipts) -> Decision:
        """Replace the receipts of a published decision by later, fuller ones."""
        file = self._warehouse.stage("receipts", receipts.rows, part=str(hour))
        with self._database.write() as connection:
            done = connection.execute(
                self._update(hour)
                .where(decisions.c.state == DecisionState.PUBLISHED.value)
                .values(receipts_file=file.path)
            ).rowcount
            if done:
                self._warehouse.register(connection, self._account, [file])
        if not done:
            raise ConfigError(f"the decision of {self._account!r} for {hour} was not published, so it has no receipts")
        return self._must_find(hour)

    # -- parts --------------------------------------------------------------------------------------------------

    def _finish(self, hour: Hour, state: DecisionState, receipts: Receipts | None) -> Decision:
        file = None if receipts is None else self._warehouse.stage("receipts", receipts.rows, part=str(hour))
        with self._database.write() as connection:
            done = connection.execute(
                self._update(hour)
                .where(decisions.c.state.in_(_OPEN))
                .values(
                    state=state.value,
                    receipts_file=None if file is None else file.path,
                    closed_at=None if self._clock is None else self._clock.now(),
                )
            ).rowcount
            if done and file is not None:
                self._warehouse.register(connection, self._account, [file])
        return self._must_find(hour)

    def _update(self, hour: Hour) -> sa.Update:
        return decisions.update().where(decisions.c.account == self._account, decisions.c.hour == hour.start)

    def _row(self, hour: Hour) -> sa.RowMapping | None:
        query = sa.select(decisions).where(decisions.c.account == self._account, decisions.c.hour == hour.start)
        with self._database.read() as connection:
            return connection.execute(query).mappings().first()

    def _must_find(self, hour: Hour) -> Decision:
        decision = self.find(hour)
        if decision is None:
            raise ConfigError(f"account {self._account!r} has no decision for {hour}")
        return decision

    def _decision(self, row: sa.RowMapping) -> Decision:
        paths = json.loads(row["plan_files"])
        receipts = row["receipts_file"]
        return Decision(
            account=row["account"],
            hour=Hour(row["hour"]),
            state=DecisionState(row["state"]),
            plan=self._plan(row, paths),
            receipts=None if receipts is None else Receipts(self._table(receipts, RECEIPTS)),
            known=json.loads(row["known"]),
            decided_at=row["decided_at"],
        )

    def _plan(self, row: sa.RowMapping, paths: Mapping[str, str]) -> BidPlan:
        text = json.loads(row["plan"])
        arrays = frame_to_arrays(self._table(paths["plan_arrays"], None)) if "plan_arrays" in paths else {}
        interventions = paths.get("interventions")
        return BidPlan(
            account=row["account"],
            hour=Hour(row["hour"]),
            units=self._table(paths["plans"], PLAN),
            targets=unpack(text["targets"], arrays),
            interventions=empty(INTERVENTIONS) if interventions is None else self._table(interventions, INTERVENTIONS),
            status=Status(row["status"]),
            reason=row["reason"],
            notes=tuple(text["notes"]),
            attempts=tuple(text["attempts"]),
        )

    def _table(self, path: str, contract: Mapping[str, pl.DataType] | None) -> pl.DataFrame:
        frame = self._warehouse.collect(self._warehouse.scan([path], contract or {}, exact=False))
        return frame if contract is None else check(frame, contract, path)


def taken_apart(plan: BidPlan) -> tuple[dict[str, pl.DataFrame], str]:
    """Tables of a plan, by name, and the rest of it as JSON."""
    arrays: dict[str, Any] = {}
    text = json.dumps(
        {
            "targets": pack(plan.targets, arrays, "targets"),
            "notes": list(plan.notes),
            "attempts": list(plan.attempts),
        },
        allow_nan=False,
    )
    tables = {"plans": plan.units}
    if arrays:
        tables["plan_arrays"] = arrays_to_frame(arrays)
    if plan.targets is not None:
        tables["planned"] = plan.targets.planned()
    if plan.interventions.height:
        tables["interventions"] = plan.interventions
    return tables, text


def summary_of(plan: BidPlan) -> dict[str, Any]:
    """Columns of `decisions` that sum up a plan."""
    counts = dict(plan.units["action"].cast(pl.String).value_counts().iter_rows())
    sums = {f"expected_{n}": plan.units[n].sum() if plan.units[n].count() else None for n in _FIGURES}
    return {**{f"units_{a.value}": int(counts.get(a.value, 0)) for a in Action}, **sums}
