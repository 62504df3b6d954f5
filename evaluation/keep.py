"""Keeps a simulated run in a workspace as an account of its own, so that the dashboard shows it like a live one.

While the run goes on, a `Tape` notes what its desk reads; `keep` then writes it down as it happened: every report
row with the time it was learned, live bids, targets, phases and decisions. Beside them stands what only a
simulation knows: hindsight, and what other policies came to in the very same hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl

from data import MemoryJournal, Workspace
from data.kept import REFERENCES, SIMULATED, forget, restore, store_reference
from domain.account import Account, Mode
from domain.goals import Goals
from domain.phases import PromotionCalendar
from domain.plans import Decision
from domain.tables import BIDS, REPORT, UTC_TIME, BidTable, Floats, Priors, ReportBatch
from domain.time import Hour, Window
from engine.desk import Desk
from evaluation.trace import Hindsight, Trace
from market import SimPlatform, SimWorld

#: Account under which the demo is kept.
DEMO = "demo"


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A finished run, as its desk saw it.

    Attributes
    ----------
    currency, timezone
        Of the simulated account.
    units, priors, goals, calendar
        What the desk started with.
    hours
        Hours of the run, in order.
    reports
        Columns `REPORT`: every version of every row, with the time it was learned.
    bids
        Columns `BIDS` and ``learned_at``: live bids as they were read, without repetitions.
    decisions
        One per hour, in order.
    hindsight
        What could have been done.
    """

    currency: str
    timezone: str
    units: pl.DataFrame
    priors: Priors
    goals: Goals
    calendar: PromotionCalendar
    hours: tuple[Hour, ...]
    reports: pl.DataFrame
    bids: pl.DataFrame
    decisions: tuple[Decision, ...]
    hindsight: Hindsight


class Tape:
    """Notes what a desk reads, and passes it on to the desk's own store."""

    def __init__(self, desk: Desk) -> None:
        self._store, self._journal = desk.reports, desk.journal
        self._reports: list[pl.DataFrame] = []
        self._bids: list[pl.DataFrame] = []
        desk.reports = self

    def append(self, batch: ReportBatch, live: BidTable, learned_at: datetime) -> None:
        """Note, and pass on."""
        self._reports.append(batch.rows)
        self._bids.append(live.rows.with_columns(pl.lit(learned_at).cast(UTC_TIME).alias("learned_at")))
        self._store.append(batch, live, learned_at)

    def kept(self, world: SimWorld, platform: SimPlatform, hindsight: Hindsight) -> KeptRun:
        """The run, once it is over and its last orders have come in."""
        if not isinstance(self._journal, MemoryJournal):
            raise TypeError("a tape records desks whose journal is in memory")
        late = platform.read_reports(Window(world.hours[0].start, world.hours[-1].end)).rows
        reports = pl.concat([*self._reports, late]).unique(maintain_order=True)
        bids = pl.concat(self._bids).sort("learned_at", maintain_order=True)
        same = [pl.col(n).eq_missing(pl.col(n).shift(1).over("unit_id")) for n in ("bid_cpc", "state", "known")]
        first = pl.int_range(pl.len()).over("unit_id") == 0
        bids = bids.filter(first | ~pl.all_horizontal(same))
        return KeptRun(
            currency=world.account.currency,
            timezone=world.account.timezone,
            units=world.units,
            priors=world.priors,
            goals=world.goals,
            calendar=world.calendar,
            hours=world.hours,
            reports=reports.select(list(REPORT)),
            bids=bids,
            decisions=tuple(self._journal.all()),
            hindsight=hindsight,
        )


def keep(
    workspace: Workspace,
    run: KeptRun,
    traces: dict[str, Trace],
    now: datetime,
    account: str = DEMO,
    platform: str = SIMULATED,
) -> Account:
    """Write a run into a workspace, in the place of the one that was kept before.

    Parameters
    ----------
    workspace
        Where to.
    run
        What is kept.
    traces
        Runs of policies in the same world (same scenario and seed) by name, ``steadybid`` included: what they came
        to is kept beside it.
    now
        Present time, for the record.
    account
        Name; `ConfigError` where a real account bears it.
    platform
        Platform profile of the account; with another than the simulated one it goes on like a live account.
    """
    forget(workspace, account)
    first = run.hours[0].start
    workspace.create_account(Account(account, run.currency, run.timezone, platform), now)
    workspace.declare_units(account, run.units, learned_at=first)
    store = workspace.asof(account)
    store.store_priors(run.priors, run.units["unit_id"], first)
    for (learned_at,), rows in run.bids.group_by("learned_at", maintain_order=True):
        assert isinstance(learned_at, datetime)
        store.store_bids(BidTable(rows.select(list(BIDS))), learned_at)
    store.append(ReportBatch(run.reports, "simulated run"), BidTable(run.bids.clear().select(list(BIDS))), now)
    said = {"by": "simulation", "reason": "the scenario's own", "now": first}
    for target in run.goals.targets:
        workspace.set_target(account, target, **said)
    workspace.set_phases(account, run.calendar, **said)
    restore(workspace, account, [_renamed(d, account) for d in run.decisions])
    sources = {"hindsight": (run.hindsight.clicks, run.hindsight.spend, run.hindsight.gmv)}
    sources |= {name: (t.clicks, t.spend, t.gmv) for name, t in traces.items()}
    reference = pl.concat(_reference(name, run.hours, *columns) for name, columns in sources.items())
    store_reference(workspace, account, reference, now)
    workspace.compact(account, now)
    reason = "a finished simulation: nothing is decided any more"
    return workspace.set_mode(account, Mode.PAUSED, by="simulation", reason=reason, now=now)


def _renamed(decision: Decision, account: str) -> Decision:
    return replace(
        decision,
        account=account,
        plan=replace(decision.plan, account=account),
        decided_at=decision.decided_at or decision.hour.start,
    )


def _reference(name: str, hours: Sequence[Hour], clicks: Floats, spend: Floats, gmv: Floats) -> pl.DataFrame:
    columns = {
        "source": [name] * len(hours),
        "start_utc": [h.start for h in hours],
        "clicks": clicks,
        "spend": spend,
        "orders": np.full(len(hours), np.nan),
        "gmv": gmv,
    }
    return pl.DataFrame(columns, schema=dict(REFERENCES)).with_columns(pl.col("orders").fill_nan(None))
