"""Tables of the control database, and the check that this program may read it.

    meta ─ schema version
    accounts ─ mode, target, calendar and hold _edits       what the trader said, nothing overwritten
    imports ─ quarantine_counts                             what was read, and what was set aside
    files                                                   manifest: which Parquet files count
    decisions                                               journal: one per (account, hour)

Times are UTC. Amounts are in account currency.
"""

import sqlalchemy as sa

from data.database import Database, Instant
from domain.errors import ConfigError

#: Raise by one with every change of the tables or of the columns of the Parquet files.
SCHEMA_VERSION = 2
#: Versions that become the present one by making the tables that they lack.
_LACK_TABLES_ONLY = {1}

metadata = sa.MetaData()

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("timezone", sa.String(64), nullable=False),
    sa.Column("platform", sa.String(64), nullable=False),
    sa.Column("mode", sa.String(16), nullable=False),
    sa.Column("assumed", sa.Text, nullable=False),  # names of assumed fields, separated by blanks
)

mode_edits = sa.Table(
    "mode_edits",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.name"), nullable=False, index=True),
    sa.Column("mode", sa.String(16), nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("said_at", Instant, nullable=False),
)

target_edits = sa.Table(
    "target_edits",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.name"), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),  # a TargetKind, or "objective"
    sa.Column("scope", sa.String(16), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("period", sa.String(16), nullable=False),
    sa.Column("value", sa.Float),  # null: the target is removed
    sa.Column("words", sa.String(16)),  # the objective
    sa.Column("since", Instant),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("said_at", Instant, nullable=False),
    sa.Column("effective_at", Instant),  # null: always
)

calendar_edits = sa.Table(
    "calendar_edits",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.name"), nullable=False, index=True),
    sa.Column("calendar", sa.Text, nullable=False),  # JSON
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("said_at", Instant, nullable=False),
    sa.Column("effective_at", Instant),
)

hold_edits = sa.Table(
    "hold_edits",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.name"), nullable=False, index=True),
    sa.Column("unit_id", sa.Text, nullable=False),
    sa.Column("held", sa.Boolean, nullable=False),  # false: released
    sa.Column("hour", Instant),  # null: until released; else for the plan of that hour
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("said_at", Instant, nullable=False),
)

imports = sa.Table(
    "imports",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.name"), nullable=False, index=True),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("report", sa.String(32), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("currency", sa.String(3)),
    sa.Column("attribution_days", sa.Integer),
    sa.Column("report_lag_hours", sa.Float, nullable=False),
    sa.Column("learned_at", Instant),  # null: assumed for history, the time of import for corrections
    sa.Column("imported_at", Instant, nullable=False),
    sa.Column("rows_new", sa.Integer, nullable=False),
    sa.Column("rows_unchanged", sa.Integer, nullable=False),
    sa.Column("rows_superseded", sa.Integer, nullable=False),
    sa.Column("rows_quarantined", sa.Integer, nullable=False),
    sa.Column("first_day", sa.String(10)),
    sa.Column("last_day", sa.String(10)),
)

quarantine_counts = sa.Table(
    "quarantine_counts",
    metadata,
    sa.Column("import_id", sa.ForeignKey("imports.id"), primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("rows", sa.Integer, nullable=False),
)

files = sa.Table(
    "files",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.name"), nullable=False),
    sa.Column("fact_table", sa.String(32), nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),  # order of commits within account and table
    sa.Column("path", sa.Text, nullable=False, unique=True),  # relative to the workspace
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Column("part", sa.Text),  # report or hour that the file belongs to
    sa.Column("first_start", sa.String(19)),  # first and last local start, ISO
    sa.Column("last_start", sa.String(19)),
    sa.Column("live", sa.Boolean, nullable=False),
    sa.Column("retired_at", Instant),
    sa.UniqueConstraint("account", "fact_table", "seq"),
    sa.Index("files_live", "account", "fact_table", "live"),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.name"), nullable=False),
    sa.Column("hour", Instant, nullable=False),
    sa.Column("state", sa.String(24), nullable=False),
    sa.Column("status", sa.String(24), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("known", sa.Text, nullable=False),  # JSON: spend, clicks, orders, gmv that were known
    sa.Column("plan", sa.Text, nullable=False),  # JSON: all of the plan but its columns
    sa.Column("plan_files", sa.Text, nullable=False),  # JSON: table -> path
    sa.Column("receipts_file", sa.Text),
    sa.Column("decided_at", Instant),
    sa.Column("closed_at", Instant),
    sa.Column("expires_at", Instant),
    sa.Column("approved_by", sa.Text),
    sa.Column("approved_at", Instant),
    sa.Column("claimed_by", sa.Text),
    sa.Column("claimed_until", Instant),
    *(
        sa.Column(f"units_{action}", sa.Integer, nullable=False)
        for action in ("set", "keep", "pause", "hold", "bid_unknown")
    ),
    *(sa.Column(f"expected_{name}", sa.Float) for name in ("spend", "clicks", "orders", "gmv")),
    sa.UniqueConstraint("account", "hour"),
)


def create_tables(database: Database) -> None:
    """Make the tables where they are not there yet, and check their version."""
    with database.write() as connection:
        metadata.create_all(connection)
        if connection.execute(sa.select(meta.c.value).where(meta.c.key == "schema_version")).scalar() is None:
            connection.execute(meta.insert().values(key="schema_version", value=str(SCHEMA_VERSION)))
    check_version(database)


def check_version(database: Database) -> None:
    """Raise `ConfigError` unless this program knows the tables; those of an earlier version are completed."""
    found = _version(database)
    if found > SCHEMA_VERSION:
        raise ConfigError(
            f"this workspace was written by a newer SteadyBid (tables of version {found}, this program knows up to "
            f"{SCHEMA_VERSION}); upgrade SteadyBid, or point it to another workspace"
        )
    if found in _LACK_TABLES_ONLY:
        with database.write() as connection:
            metadata.create_all(connection)
            connection.execute(meta.update().where(meta.c.key == "schema_version").values(value=str(SCHEMA_VERSION)))
    elif found < SCHEMA_VERSION:
        raise ConfigError(
            f"this workspace has tables of version {found}, this program needs {SCHEMA_VERSION}; make a new workspace "
            "with 'steadybid init' and import the reports again"
        )


def _version(database: Database) -> int:
    with database.read() as connection:
        if not sa.inspect(connection).has_table("meta"):
            raise ConfigError("the control database holds no workspace; run 'steadybid init'")
        text = connection.execute(sa.select(meta.c.value).where(meta.c.key == "schema_version")).scalar()
    return int(text) if text and text.isdigit() else 0
