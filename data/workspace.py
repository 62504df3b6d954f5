"""A workspace: one folder with everything that SteadyBid remembers, and the one door to it.

steadybid.db      accounts, targets, phases, list of imports, manifest of fact files, decision journal
facts/<table>/    immutable Parquet files; the manifest says which of them count
stop/<account>    while such a file lies there, that account is paused
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from data.accounts import Accounts, stop
from data.catalog import ingest_catalog
from data.control import CalendarEdit, Control, Said, TargetEdit
from data.database import Database
from data.entities import read_entities, store_entities
from data.holds import Holds
from data.imports import IngestResult, Source, enter, list_imports, list_quarantine, prepare, reasons_of, was_read
from data.ingest import FACT_TABLE, STORED_FACTS, Ingestion
from data.journal import SqlJournal
from data.restate import restate
from data.rows import STORED_BIDS, STORED_BUDGETS, STORED_CATALOG, STORED_REPORT, STORED_UNITS
from data.schema import check_version, create_tables, imports
from data.store import AccountStore
from data.versions import settle
from data.warehouse import Swept, Warehouse
from domain.account import Account, Mode
from domain.errors import ConfigError
from domain.goals import Goals, Objective, Period, Scope, Target, TargetKind
from domain.phases import PromotionCalendar
from domain.tables import FACT_KEY, FACTS, BidTable, Priors
from domain.time import Clock, Hour

#: ISO 4217 for "no currency": held by an account until its first file tells.
NO_CURRENCY = "XXX"

_COMPACTED = {
    FACT_TABLE: STORED_FACTS,
    "unit_rows": STORED_REPORT,
    "bids": STORED_BIDS,
    "units": STORED_UNITS,
    "budgets": STORED_BUDGETS,
    "catalog": STORED_CATALOG,
}


class Workspace:
    """Everything that is remembered; open it once per process and share it between threads."""

    def __init__(self, home: Path, database: Database) -> None:
        self.home = home
        self.database = database
        self.warehouse = Warehouse(home, database)
        self._accounts = Accounts(home, database)

    @classmethod
    def open(cls, home: Path, *, create: bool = False, database_url: str | None = None) -> "Workspace":
        """Open the workspace in a folder.

        Parameters
        ----------
        home
            The folder.
        create
            Make the workspace where there is none; one that is there is left as it is.
        database_url
            Control database elsewhere, such as ``postgresql+psycopg://host/name``; a file in `home` by default.
        """
        file = home / "steadybid.db"
        url = database_url or f"sqlite:///{file}"
        if not create and (not home.is_dir() or (database_url is None and not file.is_file())):
            raise ConfigError(f"no workspace at {home}: run 'steadybid init' there, or set STEADYBID_HOME")
        database = Database(url)
        if create:
            try:
                home.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(f"cannot make the workspace folder {home}: {error.strerror}") from error
            create_tables(database)
        else:
            check_version(database)
        return cls(home, database)

    def close(self) -> None:
        """Give back the database's connections."""
        self.database.close()

    # -- accounts -----------------------------------------------------------------------------------------------

    def account(self, name: str) -> Account:
        """Account of a name; `ConfigError` lists the others."""
        return self._accounts.get(name)

    def accounts(self) -> list[Account]:
        """All accounts, by name."""
        return self._accounts.all()

    def create_account(self, account: Account, now: datetime) -> Account:
        """Add an account, or state what was assumed of one that an import made.

        Facts that were imported under an assumed time zone are placed anew: their days, and when they were
        learned. What `account` itself assumes stays assumed. `ConfigError` where the account exists and stated
        something else.
        """
        there = self._accounts.find(account.name)
        if there is None:
            return self._accounts.create(account)
        same = ("currency", "timezone", "platform")
        differing = [f for f in same if getattr(there, f) != getattr(account, f)]
        stated = [f for f in differing if f not in there.assumed]
        if stated:
            raise ConfigError(
                f"account {account.name!r} exists with {', '.join(f'{f} {getattr(there, f)}' for f in stated)}; "
                "choose another name"
            )
        if "currency" in differing and self._has_money(account.name):
            raise ConfigError(
                f"account {account.name!r} holds reports in {there.currency}; choose another name for {account.currency}"
            )
        if differing or there.assumed:
            restate(self.database, self.warehouse, there, account, now, keep_assumed=account.assumed)
        return self.account(account.name)

    def ensure_account(
        self, name: str, *, currency: str | None, now: datetime, platform: str = "amazon-sp"
    ) -> tuple[Account, bool]:
        """Account of a name, and whether it was made just now, with the file's currency and UTC, both assumed."""
        there = self._accounts.find(name)
        if there is None:
            assumed = ("currency", "timezone")
            return self._accounts.create(Account(name, currency or NO_CURRENCY, "UTC", platform, assumed=assumed)), True
        if currency is not None and there.currency == NO_CURRENCY and "currency" in there.assumed:
            restate(self.database, self.warehouse, there, Account(name, currency, there.timezone, there.platform), now,
                    keep_assumed=("currency", "timezone"))  # fmt: skip
        return self.account(name), False

    def set_mode(self, name: str, mode: Mode, *, by: str, reason: str, now: datetime) -> Account:
        """Change what happens with decisions."""
        return self._accounts.set_mode(name, mode, author=by, reason=reason, now=now)

    def mode_history(self, name: str) -> pl.DataFrame:
        """Changes of mode, oldest first: mode, author, reason, said_at."""
        schema = {"mode": pl.String, "author": pl.String, "reason": pl.String, "said_at": pl.Datetime("us", "UTC")}
        return pl.DataFrame([{k: r[k] for k in schema} for r in self._accounts.mode_history(name)], schema=schema)

    @staticmethod
    def stop(home: Path, name: str, *, by: str, reason: str, now: datetime) -> Path:
        """Pause an account without opening the workspace; works when database and facts do not."""
        return stop(home, name, author=by, reason=reason, now=now)

    # -- files in -----------------------------------------------------------------------------------------------

    def ingest(
        self,
        account: str,
        rows: pl.DataFrame,
        *,
        report: str,
        file: str,
        sha256: str,
        currency: str | None,
        attribution_days: int | None,
        quarantined: pl.DataFrame,
        now: datetime,
        report_lag_hours: float,
        learned_at: datetime | None = None,
        taken_at: datetime | None = None,
        unknown_until: datetime | None = None,
    ) -> IngestResult:
        """Take the rows of one report file, columns `FACTS`; see `data.ingest` and `Source` for what that means."""
        owner = self.account(account)
        if owner.currency == NO_CURRENCY and currency is not None:
            owner, _ = self.ensure_account(account, currency=currency, now=now)
        source = Source(
            report, file, sha256, currency, attribution_days, report_lag_hours, learned_at, taken_at, unknown_until
        )
        return Ingestion(self.database, self.warehouse, owner).ingest(rows, quarantined, source, now)

    def ingest_catalog(
        self,
        account: str,
        rows: pl.DataFrame,
        *,
        file: str,
        sha256: str,
        quarantined: pl.DataFrame,
        now: datetime,
        learned_at: datetime | None = None,
    ) -> IngestResult:
        """Take what the trader says of goods, columns `CATALOG`; makes the account where it is unknown."""
        owner, _ = self.ensure_account(account, currency=None, now=now)
        source = Source("catalog", file, sha256, learned_at=learned_at)
        return ingest_catalog(self.database, self.warehouse, owner.name, rows, quarantined, source, now)

    def enter_file(
        self,
        account: str,
        *,
        report: str,
        file: str,
        sha256: str,
        quarantined: pl.DataFrame,
        rows: tuple[int, int, int],
        now: datetime,
    ) -> None:
        """Enter a file that tells a state, such as a bulk sheet, with its quarantine; `rows`: new, same, changed.

        The very same file is entered once.
        """
        source, name = Source(report, file, sha256), self.account(account).name
        with self.database.read() as connection:
            if was_read(connection, name, source):
                return
        entry = prepare(self.warehouse, name, source, quarantined, now, read_before=False)
        result = IngestResult(*rows, quarantined.height, (), reasons_of(quarantined))
        with self.database.write() as connection:
            enter(connection, self.warehouse, entry, result)

    def store_bids(
        self, account: str, bids: BidTable, entities: pl.DataFrame | None = None, *, learned_at: datetime
    ) -> None:
        """Keep live bids, and the platform's ids of their units (``unit_id`` and text columns)."""
        owner = self.account(account)
        AccountStore(self.database, self.warehouse, owner).store_bids(bids, learned_at)
        if entities is not None:
            store_entities(self.database, self.warehouse, owner.name, entities, learned_at)

    def entities(self, account: str, at: datetime | None = None) -> pl.DataFrame:
        """Platform ids of units as known at an instant (``None``: now); text columns beside ``unit_id``."""
        return read_entities(self.database, self.warehouse, self.account(account).name, at)

    def declare_units(self, account: str, units: pl.DataFrame, *, learned_at: datetime) -> None:
        """Say which units a platform has, columns `UNITS`."""
        self.asof(account).declare_units(units, learned_at)

    def store_budgets(self, account: str, budgets: pl.DataFrame) -> None:
        """Keep daily budgets that a platform told apart from reports, columns `BUDGETS`."""
        self.asof(account).store_budgets(budgets)

    def quarantine(self, account: str | None = None) -> pl.DataFrame:
        """Rows that were set aside: account, file, report, row_number, reason, detail, raw, at."""
        return list_quarantine(self.database, self.warehouse, account)

    def files(self, account: str | None = None) -> pl.DataFrame:
        """Imports, oldest first."""
        return list_imports(self.database, account)

    # -- rows out -----------------------------------------------------------------------------------------------

    def asof(self, account: str, priors: Priors | None = None) -> AccountStore:
        """`AsOf` and `ReportStore` of an account; keep it to read new rows only."""
        return AccountStore(self.database, self.warehouse, self.account(account), priors)

    def facts(self, account: str, at: datetime | None = None) -> pl.DataFrame:
        """Imported facts as known at an instant (``None``: now), columns `FACTS`."""
        rows = self.asof(account).versions(at)
        numbers = [n for n in FACTS if n not in FACT_KEY and n != "row_number"]
        return settle(rows, FACT_KEY, numbers).latest.select(list(FACTS)).sort("report", "start_local", "row_number")

    def fact_history(self, account: str) -> pl.DataFrame:
        """Every version of every imported fact, columns `FACTS` with learned_at, assumed and file_id."""
        rows = self.asof(account).versions()
        return rows.sort("learned_at", "seq").select(*FACTS, "learned_at", "assumed", "file_id")

    def units(self, account: str, at: datetime | None = None) -> pl.DataFrame:
        """Units as known at an instant (``None``: now), columns `UNITS`."""
        return self.asof(account).units(at)

    def catalog(self, account: str, at: datetime | None = None) -> pl.DataFrame:
        """What is known of goods, columns `CATALOG`."""
        return self.asof(account).catalog(at)

    def reported_budgets(self, account: str, at: datetime | None = None) -> dict[str, float]:
        """Daily budget of each campaign that a report or the platform told."""
        return dict(self.asof(account).budgets(at).select("campaign", "daily_budget").iter_rows())

    # -- what the trader says -----------------------------------------------------------------------------------

    def set_target(
        self, account: str, target: Target, *, by: str, reason: str, now: datetime, effective_at: datetime | None = None
    ) -> None:
        """Set a target; an earlier one of its kind, group and period is superseded."""
        self._control(account).set_target(target, Said(by, reason, now, effective_at))

    def remove_target(
        self,
        account: str,
        *,
        kind: TargetKind,
        scope: Scope,
        key: str,
        period: Period,
        by: str,
        reason: str,
        now: datetime,
        effective_at: datetime | None = None,
    ) -> bool:
        """Take a target back; false where there is none."""
        return self._control(account).remove_target(kind, scope, key, period, Said(by, reason, now, effective_at))

    def set_objective(self, account: str, objective: Objective, *, by: str, reason: str, now: datetime) -> None:
        """Say what is maximised."""
        self._control(account).set_objective(objective, Said(by, reason, now))

    def goals(self, account: str, at: datetime | None = None, known_at: datetime | None = None) -> Goals:
        """Objective and targets in effect at an instant, as said until `known_at` (``None``: everything)."""
        return self._control(account).goals(at, known_at)

    def target_history(self, account: str, *, only_in_force: bool = False) -> pl.DataFrame:
        """What was said of targets: kind, value (null = removed), scope, key, period, set_at, author, reason, ..."""
        return self._control(account).target_table(only_in_force=only_in_force)

    def target_edits(self, account: str) -> list[TargetEdit]:
        """The same as values, oldest first."""
        return self._control(account).target_history()

    def set_phases(
        self,
        account: str,
        calendar: PromotionCalendar,
        *,
        by: str,
        reason: str,
        now: datetime,
        effective_at: datetime | None = None,
    ) -> None:
        """Set the phases of a promotion; the whole calendar is superseded."""
        self._control(account).set_calendar(calendar, Said(by, reason, now, effective_at))

    def phases(self, account: str, at: datetime | None = None, known_at: datetime | None = None) -> PromotionCalendar:
        """Phases in effect at an instant, as said until `known_at` (``None``: everything)."""
        return self._control(account).calendar(at, known_at)

    def phase_history(self, account: str) -> list[CalendarEdit]:
        """Every calendar that was said, oldest first."""
        return self._control(account).calendar_history()

    def hold_units(
        self, account: str, units: Collection[str], *, by: str, reason: str, now: datetime, hour: Hour | None = None
    ) -> None:
        """Leave the bids of units as they are until they are released; with an hour, in that hour's plan only."""
        Holds(self.database, self._named(account, units)).say(units, Said(by, reason, now), held=True, hour=hour)

    def release_units(
        self, account: str, units: Collection[str], *, by: str, reason: str, now: datetime, hour: Hour | None = None
    ) -> None:
        """Let the bids of units be decided again."""
        Holds(self.database, self.account(account).name).say(units, Said(by, reason, now), held=False, hour=hour)

    def held_units(self, account: str, hour: Hour | None = None, known_at: datetime | None = None) -> pl.DataFrame:
        """Units that a person holds: unit_id, author, reason, said_at, hour (null: until released)."""
        return Holds(self.database, self.account(account).name).in_force(hour, known_at)

    def hold_history(self, account: str) -> pl.DataFrame:
        """Every hold and release, oldest first."""
        return Holds(self.database, self.account(account).name).history()

    # -- decisions ----------------------------------------------------------------------------------------------

    def journal(self, account: str, clock: Clock | None = None) -> SqlJournal:
        """Decision journal of an account; with a clock, decisions carry the time they were made."""
        return SqlJournal(self.database, self.warehouse, self.account(account), clock)

    def approve(self, account: str, hour: Hour, who: str, now: datetime) -> None:
        """Say yes to a decision that waits for a person."""
        self.journal(account).approve(hour, who, now)

    # -- care ---------------------------------------------------------------------------------------------------

    def sweep(self, now: datetime, grace: timedelta = timedelta(days=1)) -> Swept:
        """Remove files that no manifest names; those younger than the grace period may still be on their way."""
        return self.warehouse.sweep(now, grace)

    def compact(self, account: str, now: datetime) -> int:
        """Put an account's many small fact files into few; gives the number of files that were replaced."""
        return sum(self.warehouse.compact(account, table, schema, now) for table, schema in _COMPACTED.items())

    def damaged_files(self) -> Sequence[str]:
        """Fact files that count but are missing, shortened or unreadable."""
        return self.warehouse.damaged()

    def _control(self, account: str) -> Control:
        return Control(self.database, self.account(account).name)

    def _named(self, account: str, units: Collection[str]) -> str:
        """Name of an account that has all of some units; `ConfigError` names those it has not."""
        there = set(self.units(account)["unit_id"])
        strange = [u for u in units if u not in there]
        if strange:
            raise ConfigError(
                f"account {account!r} has no unit {strange[0]!r}"
                + (f" (nor {len(strange) - 1} others)" if len(strange) > 1 else "")
                + "; see its units with steadybid plan"
            )
        return account

    def _has_money(self, account: str) -> bool:
        query = sa.select(imports.c.id).where(imports.c.account == account, imports.c.currency.is_not(None)).limit(1)
        with self.database.read() as connection:
            return connection.execute(query).first() is not None
