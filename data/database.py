"""The control database: one engine per process, writers that queue instead of failing, errors a person understands.

SQLite runs in WAL mode, so readers never wait for a writer; writers take their turn with BEGIN IMMEDIATE and
wait up to 15 s for it. `synchronous=full` makes a commit survive the machine, not just the process. Postgres
is used the same way when its URL is given.
"""

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.types import TypeDecorator

from domain.errors import ConfigError, DataError, StoreBusy

BUSY_TIMEOUT_MS = 15_000


class Instant(TypeDecorator[datetime]):
    """Aware UTC instant, kept as text of fixed width that sorts by time and that a person can read."""

    impl = sa.String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ConfigError(f"the instant {value.isoformat()} has no time zone")
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


class Database:
    """Connections to the control database; safe to share between threads and after a fork."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine: sa.Engine | None = None
        self._owner = 0
        self._lock = threading.Lock()

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file."""
        return make_url(self.url).get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Consistent view; never waits for writers."""
        with _in_our_words(self.url), self._connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction: all of it is there afterwards, or nothing."""
        with (
            _in_our_words(self.url),
            self._connect() as connection,
            connection.execution_options(steadybid_begin="IMMEDIATE").begin(),
        ):
            yield connection

    def close(self) -> None:
        """Give back the connections."""
        if self._engine is not None and self._owner == os.getpid():
            self._engine.dispose()
        self._engine = None

    def _connect(self) -> sa.Connection:
        return self._engine_of_this_process().connect()

    def _engine_of_this_process(self) -> sa.Engine:
        with self._lock:
            if self._engine is None or self._owner != os.getpid():
                if self._engine is not None:  # inherited through a fork: its connections are the parent's
                    self._engine.dispose(close=False)
                self._engine, self._owner = _engine(self.url), os.getpid()
                weakref.finalize(self, _dispose, self._engine, self._owner).atexit = False
            return self._engine


def _dispose(engine: sa.Engine, owner: int) -> None:
    if os.getpid() == owner:
        engine.dispose()


def _engine(url: str) -> sa.Engine:
    try:
        engine = sa.create_engine(url)
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError(f"database URL cannot be used: {error}") from error
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"database URL needs the Python package {error.name!r}, which is not installed; install it beside SteadyBid"
        ) from error
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _: Any) -> None:
            connection.isolation_level = None  # we say BEGIN ourselves
            for pragma in (
                f"busy_timeout={BUSY_TIMEOUT_MS}",
                "journal_mode=wal",
                "synchronous=full",
                "foreign_keys=on",
            ):
                connection.execute(f"pragma {pragma}")

        @event.listens_for(engine, "begin")
        def begin(connection: sa.Connection) -> None:
            kind = connection.get_execution_options().get("steadybid_begin", "DEFERRED")
            connection.exec_driver_sql(f"BEGIN {kind}")

    return engine


@contextmanager
def _in_our_words(url: str) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        text = str(error.orig)
        where = make_url(url).render_as_string(hide_password=True)
        if "locked" in text or "busy" in text:
            raise StoreBusy(
                f"the control database {where} is held by another writer for more than {BUSY_TIMEOUT_MS // 1000} s; "
                "try again, and look for a process that hangs"
            ) from error
        raise DataError(
            f"the control database {where} cannot be used: {text}. Check the disk and the file's rights, "
            "or restore it from a backup"
        ) from error
