"""What people look at: series of spend and sales, decisions, plans and what changed in them, as known now.

Reads only. Facts are read by DuckDB, in memory, over the files that the manifest names; one connection per
thread. Fact files never change, so an answer holds until the list of files does, and is kept until then.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import polars as pl
import sqlalchemy as sa

from data.database import Instant
from data.ingest import FACT_TABLE
from data.localtime import periods
from data.marts import Kept, Marts
from data.schema import calendar_edits, decisions, files, hold_edits, mode_edits, target_edits
from data.workspace import Workspace
from domain.plans import PLAN, BidPlan, Decision
from domain.tables import GRAIN, REPORT, UTC_TIME, empty
from domain.time import Hour

_SUMS = ("impressions", "clicks", "spend", "orders", "gmv")
_UNIT_ROWS = "unit_rows"
_CAMPAIGN_ROWS = {
    "campaign": pl.String(),
    "start_utc": UTC_TIME,
    "grain": GRAIN,
    **{name: pl.Float64() for name in _SUMS},
    "daily_budget": pl.Float64(),
}
#: Which report tells of a campaign's totals, best first.
_TOTALS = ("campaign", "targeting", "advertised_product", "placement", "search_term")

_REPORTED = """
    select campaign, start_utc, grain, sum(impressions) impressions, sum(clicks) clicks, sum(spend) spend,
           sum(orders) orders, sum(gmv) gmv
    from (
        select * from read_parquet($files) where learned_at <= $at and start_utc >= $since
        qualify row_number() over (partition by unit_id, start_utc, grain order by learned_at desc, seq desc) = 1
    ) rows left join units using (unit_id)
    group by all
"""
_IMPORTED = """
    with versions as (
        select * from read_parquet($files) where report in (select unnest($reports)) and learned_at <= $at
        qualify row_number() over (
            partition by report, start_local, grain, campaign, ad_group, target, match_type, sku, search_term, placement
            order by learned_at desc, seq desc
        ) = 1
    ), totals as (
        select campaign, start_local, grain, report, sum(impressions) impressions, sum(clicks) clicks,
               sum(spend) spend, sum(orders) orders, sum(gmv) gmv, max(daily_budget) daily_budget
        from versions where campaign is not null group by all
    )
    select * exclude (report) from totals
    qualify row_number() over (
        partition by campaign, start_local, grain order by list_position($reports, report)
    ) = 1
"""

_UNIT = """
    select * from read_parquet($files) where unit_id = $unit and learned_at <= $at and start_utc < $until
    qualify row_number() over (partition by start_utc, grain order by learned_at desc, seq desc) = 1
    order by start_utc
"""
_BEGINNING, _END_OF_TIME = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


class Views:
    """Read models of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._local = threading.local()
        self._kept: dict[tuple[str, str], Kept] = {}
        self._marts = Marts(workspace.home)

    def series(
        self,
        account: str,
        *,
        by: Literal["account", "campaign"] = "account",
        per: Literal["hour", "day"] = "day",
        start: datetime | None = None,
        end: datetime | None = None,
        at: datetime | None = None,
    ) -> pl.DataFrame:
        """Spend and sales over time.

        Parameters
        ----------
        account
            Name of the account.
        by
            One line for the account, or one per campaign (column ``campaign``).
        per
            Local days, into which hours are summed; or hours, as far as reports tell of hours.
        start, end
            Half-open stretch of time; ``None`` is open.
        at
            As known at this instant; ``None`` = now.

        Returns
        -------
        polars.DataFrame
            ``start_utc``, ``start_local``, ``impressions``, ``clicks``, ``spend``, ``orders``, ``gmv``, ``cpc``,
            ``roi``, and per day ``daily_budget`` where a report tells it; ordered by time.
        """
        owner = self._workspace.account(account)
        rows = self._campaign_rows(account, at)
        if start is not None:
            rows = rows.filter(pl.col("start_utc") >= start)
        if end is not None:
            rows = rows.filter(pl.col("start_utc") < end)
        local = pl.col("start_utc").dt.convert_time_zone(owner.timezone)
        if per == "hour":
            rows = rows.filter(pl.col("grain") == "hour")
            rows = rows.with_columns(local.dt.replace_time_zone(None).alias("start_local"))
        else:
            rows = rows.with_columns(local.dt.date().cast(pl.Datetime("us")).alias("start_local"))
            midnight = periods(rows.select("start_local", pl.lit("day").cast(GRAIN).alias("grain")), owner.tz)
            rows = rows.drop("start_utc").join(midnight.select("start_local", "start_utc"), on="start_local")
        keys = ["start_utc", "start_local", *(["campaign"] if by == "campaign" else [])]
        sums = [pl.col(n).sum() for n in _SUMS]
        if per == "day":  # one budget per campaign and day
            rows = rows.group_by("start_utc", "start_local", "campaign").agg(*sums, pl.col("daily_budget").max())
            budget = pl.when(pl.col("daily_budget").count() > 0).then(pl.col("daily_budget").sum())
            sums.append(budget.alias("daily_budget"))
        summed = rows.group_by(keys).agg(sums)
        return summed.with_columns(_ratio("spend", "clicks").alias("cpc"), _ratio("gmv", "spend").alias("roi")).sort(
            keys
        )

    def unit_history(
        self, account: str, unit_id: str, *, end: datetime | None = None, at: datetime | None = None
    ) -> pl.DataFrame:
        """Rows of one unit that the platform reports directly, oldest first; empty where it reports no units.

        Columns ``start_utc``, ``grain``, sums and ``bid_cpc`` (the bid in force, null where unknown).
        """
        columns = ("start_utc", "grain", *_SUMS, "bid_cpc")
        live = self._files(account, "unit_rows")
        if not live:
            return pl.DataFrame(schema={n: REPORT[n] for n in columns})
        given = {"files": live, "unit": unit_id, "at": at or _END_OF_TIME, "until": end or _END_OF_TIME}
        rows = self._connection().sql(_UNIT, params=given).pl()
        return rows.select(pl.col(n).cast(REPORT[n]) for n in columns)

    def decisions(self, account: str, limit: int | None = None) -> pl.DataFrame:
        """Decisions, newest first: hour, state, status, reason, counts of actions, expected figures, approval."""
        columns = [c for c in decisions.c if c.name not in ("id", "plan", "plan_files", "receipts_file", "known")]
        query = sa.select(*columns).where(decisions.c.account == account).order_by(decisions.c.hour.desc()).limit(limit)
        with self._workspace.database.read() as connection:
            rows = [dict(r) for r in connection.execute(query).mappings()]
        return pl.DataFrame(rows, schema={c.name: _polars_type(c) for c in columns})

    def latest(self, account: str) -> Decision | None:
        """Newest decision, with its plan."""
        hour = self._newest_hours(account, None, 1)
        return self._workspace.journal(account).find(hour[0]) if hour else None

    def planned_and_real(self, account: str) -> pl.DataFrame:
        """Per decided hour: expected and reported spend, clicks, orders and gmv (null where not reported yet)."""
        planned = self.decisions(account).select(
            pl.col("hour").alias("start_utc"), "state", "status", *(f"expected_{n}" for n in _SUMS[1:])
        )
        real = self.series(account, per="hour").select("start_utc", *_SUMS[1:])
        return planned.join(real, on="start_utc", how="left").sort("start_utc")

    def changes(self, account: str, hour: Hour | None = None) -> pl.DataFrame:
        """What the plan of an hour (the newest by default) changed against the plan before it.

        Columns: ``unit_id``, ``campaign``, ``action``, ``limit``, and ``bid_cpc``, ``click_value``, ``theta`` with
        the earlier value as ``*_before``; rows whose bid or action is another one, largest change first.
        """
        found = self._newest_hours(account, hour, 2)
        plans = [d.plan for d in map(self._workspace.journal(account).find, found) if d is not None]
        if not plans:
            return _changes(None, None)
        return _changes(plans[0], plans[1] if len(plans) > 1 else None)

    def learned_until(self, account: str) -> datetime | None:
        """When the newest row of an account was learned; ``None`` without rows."""
        found: list[datetime] = []
        for table in ("unit_rows", FACT_TABLE):
            live = self._files(account, table)
            if live:
                query = "select max(learned_at) from read_parquet($files)"
                found += [
                    t for (t,) in self._connection().sql(query, params={"files": live}).fetchall() if t is not None
                ]
        return max(found, default=None)

    def mark(self, account: str) -> str:
        """A text that changes whenever rows, decisions or what the trader said of an account change."""
        tables = (files, target_edits, calendar_edits, hold_edits, decisions, mode_edits)
        newest = [sa.select(sa.func.max(t.c.id)).where(t.c.account == account).scalar_subquery() for t in tables]
        # ids of removed rows come again, paths never do
        newest.append(sa.select(sa.func.max(files.c.path)).where(files.c.account == account).scalar_subquery())
        closed = sa.select(sa.func.max(decisions.c.closed_at)).where(decisions.c.account == account).scalar_subquery()
        said = sa.select(sa.func.max(decisions.c.approved_at)).where(decisions.c.account == account).scalar_subquery()
        with self._workspace.database.read() as connection:
            found = connection.execute(sa.select(*newest, closed, said)).one()
        owner = self._workspace.account(account)
        return "|".join(map(str, (*found, owner.mode.value, owner.timezone, owner.currency)))

    def build_marts(self, account: str) -> int:
        """Put the account's sums by campaign and hour by for other processes; gives the number of their rows."""
        count = 0
        for table, make in ((_UNIT_ROWS, self._reported), (FACT_TABLE, self._imported)):
            count += self._cached(account, table, None, make).height
            self._marts.save(account, table, self._kept[account, table])
        return count

    # -- parts --------------------------------------------------------------------------------------------------

    def _campaign_rows(self, account: str, at: datetime | None) -> pl.DataFrame:
        """Rows by campaign, start and grain: campaign, start_utc, grain, sums, daily_budget."""
        reported = self._cached(account, _UNIT_ROWS, at, self._reported)
        imported = self._cached(account, FACT_TABLE, at, self._imported)
        return pl.concat([reported, imported])

    def _reported(self, account: str, files: list[str], at: datetime, since: datetime) -> pl.DataFrame:
        units = self._workspace.units(account).select("unit_id", "campaign")
        connection = self._connection()
        connection.register("units", units.to_arrow())
        return _tidy(connection.sql(_REPORTED, params={"files": files, "at": at, "since": since}).pl())

    def _imported(self, account: str, files: list[str], at: datetime, _: datetime) -> pl.DataFrame:
        params = {"files": files, "reports": list(_TOTALS), "at": at}
        rows = self._connection().sql(_IMPORTED, params=params).pl()
        rows = rows.with_columns(pl.col("grain").cast(GRAIN))
        spans = periods(rows, self._workspace.account(account).tz).select("start_local", "grain", "start_utc")
        placed = rows.join(spans, on=("start_local", "grain")).filter(pl.col("start_utc").is_not_null())
        return _tidy(placed)

    def _cached(
        self,
        account: str,
        table: str,
        at: datetime | None,
        make: Callable[[str, list[str], datetime, datetime], pl.DataFrame],
    ) -> pl.DataFrame:
        """Kept answer, or a new one; where files were only added, hours before those they tell of are kept."""
        live, units = (tuple(self._files(account, t)) for t in (table, "units"))
        rest = (self._workspace.account(account).timezone, str(at), *units)
        key = (account, table if at is None else f"{table} (past)")  # the past does not push out the present
        kept = self._kept.get(key)
        if kept is None and at is None:
            kept = self._marts.load(account, table, _CAMPAIGN_ROWS)
            if kept is not None:
                self._kept[key] = kept
        if kept is not None and (kept.files, kept.rest) == (live, rest):
            return kept.rows
        until = at or _END_OF_TIME
        if not live:
            rows = _nothing()
        elif table == _UNIT_ROWS and kept is not None and kept.rest == rest and live[: len(kept.files)] == kept.files:
            fresh = list(live[len(kept.files) :])
            query = "select min(start_utc) from read_parquet($files)"
            since = self._connection().sql(query, params={"files": fresh}).fetchall()[0][0] or _END_OF_TIME
            rows = pl.concat([kept.rows.filter(pl.col("start_utc") < since), make(account, list(live), until, since)])
        else:
            rows = make(account, list(live), until, _BEGINNING)
        self._kept[key] = Kept(live, rest, rows)
        return rows

    def _files(self, account: str, table: str) -> list[str]:
        home = self._workspace.home
        return [str(home / file.path) for file in self._workspace.warehouse.live_now(account, table)]

    def _newest_hours(self, account: str, until: Hour | None, count: int) -> list[Hour]:
        query = sa.select(decisions.c.hour).where(decisions.c.account == account)
        if until is not None:
            query = query.where(decisions.c.hour <= until.start)
        with self._workspace.database.read() as connection:
            return [Hour(h) for h in connection.execute(query.order_by(decisions.c.hour.desc()).limit(count)).scalars()]

    def _connection(self) -> Any:
        import duckdb

        if not hasattr(self._local, "connection"):
            settings: dict[str, Any] = {
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            }
            self._local.connection = duckdb.connect(":memory:", config=settings)
            self._local.connection.execute("set TimeZone = 'UTC'")
        return self._local.connection


def _nothing() -> pl.DataFrame:
    return pl.DataFrame(schema=_CAMPAIGN_ROWS)


def _ratio(above: str, below: str) -> pl.Expr:
    return pl.when(pl.col(below) > 0).then(pl.col(above) / pl.col(below))


def _tidy(rows: pl.DataFrame) -> pl.DataFrame:
    budget = pl.col("daily_budget") if "daily_budget" in rows.columns else pl.lit(None, pl.Float64)
    return rows.select(
        "campaign",
        pl.col("start_utc").cast(UTC_TIME),
        pl.col("grain").cast(GRAIN),
        *(pl.col(n).cast(pl.Float64).fill_null(0.0) for n in _SUMS),
        budget.alias("daily_budget"),
    )


def _polars_type(column: sa.Column[Any]) -> pl.DataType:
    if isinstance(column.type, Instant):
        return UTC_TIME
    if isinstance(column.type, sa.Integer):
        return pl.Int64()
    return pl.Float64() if isinstance(column.type, sa.Float) else pl.String()


def _changes(new: BidPlan | None, old: BidPlan | None) -> pl.DataFrame:
    contract = {n: PLAN[n] for n in ("unit_id", "action", "bid_cpc", "click_value", "theta")}
    before = empty(contract) if old is None else old.units.select(list(contract))
    now = empty(PLAN) if new is None else new.units
    joined = now.join(before, on="unit_id", how="left", suffix="_before", maintain_order="left")
    moved = pl.col("bid_cpc").ne_missing(pl.col("bid_cpc_before")) | pl.col("action").ne_missing(
        pl.col("action_before")
    )
    size = (pl.col("bid_cpc").fill_null(0.0) / pl.col("bid_cpc_before").fill_null(0.0)).log().abs()
    columns = [n for n in contract if n != "unit_id"]
    return (
        joined.filter(moved)
        .sort(size, "unit_id", descending=[True, False], nulls_last=True)
        .select("unit_id", "campaign", "limit", *columns, *(f"{n}_before" for n in columns))
    )
