"""The faces that rooms show each other; each has a contract suite under tests/contracts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import polars as pl

from domain.goals import Goals
from domain.groups import Groups
from domain.limits import BidLimits
from domain.outlook import Outlook
from domain.phases import PromotionCalendar
from domain.plans import BidPlan, Decision, Receipts, SpendTargets
from domain.problem import Problem, Solution
from domain.tables import BidTable, Known, ReportBatch
from domain.time import Hour, Window


class AdPlatform(Protocol):
    """Where ads run: a simulated market, or folders of files.

    `read_reports` may repeat rows and restate old ones, never tells of hours that lie ahead, and gives an
    empty batch where there is nothing. `live_bids` marks unknown bids, it does not guess. `publish` is
    safe to repeat and gives one receipt per unit whose action is ``set`` or ``pause``.
    """

    def read_reports(self, window: Window) -> ReportBatch: ...

    def live_bids(self) -> BidTable: ...

    def publish(self, plan: BidPlan) -> Receipts: ...


class ResponseModel(Protocol):
    """Predicts how units respond to bids. `outlook` is pure: same `known`, same answer."""

    def fit(self, history: Known) -> "ResponseModel": ...

    def outlook(self, known: Known, hours: Sequence[Hour]) -> Outlook: ...


class Solver(Protocol):
    """Solves a `Problem`; raises `SolverFailed` rather than give an uncertified answer."""

    def solve(self, problem: Problem) -> Solution: ...


class Pacer(Protocol):
    """Turns goals and what was bought so far into prices of money. Pure: its state is in `known`."""

    def targets(
        self, known: Known, outlook: Outlook, goals: Goals, calendar: PromotionCalendar, groups: Groups
    ) -> SpendTargets: ...


class BidPolicy(Protocol):
    """Turns prices of money into bids. Baselines that do without an optimizer look at `known` only."""

    def propose(self, known: Known, outlook: Outlook, targets: SpendTargets, limits: BidLimits) -> BidPlan: ...


class Guardrail(Protocol):
    """Looks at a plan before it is stored; may hold, lower or pause units, and says why."""

    def review(self, plan: BidPlan, known: Known) -> BidPlan: ...


class ReportStore(Protocol):
    """Keeps every report row and bid that was read; nothing is overwritten."""

    def append(self, batch: ReportBatch, live: BidTable, learned_at: datetime) -> None: ...


class AsOf(Protocol):
    """Cuts the stored rows at an hour."""

    def at(self, hour: Hour) -> Known: ...


class Journal(Protocol):
    """One decision per (account, hour).

    `open` stores a plan and returns the decision; where the hour is decided already it returns the stored
    one (`Decision.state` then is not ``open``, or its plan is the stored plan). `close` adds the receipts.
    """

    def find(self, hour: Hour) -> Decision | None: ...

    def open(self, plan: BidPlan, known: Known) -> Decision: ...

    def planned(self, hour: Hour, lookback_hours: int) -> pl.DataFrame:
        """Rows `PLANNED` of decisions for the `lookback_hours` hours before `hour`, oldest first."""
        ...

    def close(self, decision: Decision, receipts: Receipts | None) -> Decision: ...
