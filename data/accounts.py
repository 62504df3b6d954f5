"""Accounts of a workspace, their modes, and the stop that works when nothing else does.

A stop is a file below ``stop/`` of the workspace. While it lies there the account is paused, whatever the
database says or fails to say; so an account can be stopped with a locked database, damaged facts, or by hand.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from data.database import Database
from data.schema import accounts, mode_edits
from domain.account import Account, Mode
from domain.errors import ConfigError, DataError


class Accounts:
    """Accounts of a workspace."""

    def __init__(self, home: Path, database: Database) -> None:
        self._home = home
        self._database = database

    def create(self, account: Account) -> Account:
        """Add an account; `ConfigError` where the name is taken."""
        values = {
            "name": account.name,
            "currency": account.currency,
            "timezone": account.timezone,
            "platform": account.platform,
            "mode": account.mode.value,
            "assumed": " ".join(account.assumed),
        }
        try:
            with self._database.write() as connection:
                connection.execute(accounts.insert().values(values))
        except IntegrityError as error:
            raise ConfigError(f"account {account.name!r} exists already; choose another name") from error
        return self.get(account.name)

    def find(self, name: str) -> Account | None:
        """Account of a name, or ``None``."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(accounts).where(accounts.c.name == name)).mappings().first()
        return None if row is None else self._account(row)

    def get(self, name: str) -> Account:
        """Account of a name; `ConfigError` lists the others."""
        account = self.find(name)
        if account is None:
            names = [a.name for a in self.all()]
            raise ConfigError(
                f"no account {name!r} in this workspace; "
                + (f"there are: {', '.join(names)}" if names else "make one with 'steadybid init --account NAME'")
            )
        return account

    def all(self) -> list[Account]:
        """All accounts, by name."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(accounts).order_by(accounts.c.name)).mappings().all()
        return [self._account(row) for row in rows]

    def change(self, name: str, **fields: Any) -> Account:
        """State fields that were assumed, or change the platform profile; callers check that facts allow it."""
        account = self.get(name)
        values = {key: value for key, value in fields.items() if value is not None}
        left = [field for field in account.assumed if field not in values]
        Account(**{**_fields(account), **values, "assumed": tuple(left)})  # refuses nonsense
        with self._database.write() as connection:
            connection.execute(
                accounts.update().where(accounts.c.name == name).values(**values, assumed=" ".join(left))
            )
        return self.get(name)

    def set_mode(self, name: str, mode: Mode, *, author: str, reason: str, now: datetime) -> Account:
        """Change what happens with decisions; written down with who and why."""
        account = self.get(name)
        if mode is Mode.PAUSED:
            stop(self._home, name, author=author, reason=reason, now=now)
        with self._database.write() as connection:
            connection.execute(accounts.update().where(accounts.c.name == name).values(mode=mode.value))
            connection.execute(
                mode_edits.insert().values(account=name, mode=mode.value, author=author, reason=reason, said_at=now)
            )
        if mode is not Mode.PAUSED:
            stop_file(self._home, account.name).unlink(missing_ok=True)
        return self.get(name)

    def mode_history(self, name: str) -> list[Mapping[str, Any]]:
        """Changes of mode, oldest first: mode, author, reason, said_at."""
        query = sa.select(mode_edits).where(mode_edits.c.account == name).order_by(mode_edits.c.id)
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _account(self, row: sa.RowMapping) -> Account:
        stopped = stop_file(self._home, row["name"]).exists()
        return Account(
            name=row["name"],
            currency=row["currency"],
            timezone=row["timezone"],
            platform=row["platform"],
            mode=Mode.PAUSED if stopped else Mode(row["mode"]),
            assumed=tuple(row["assumed"].split()),
        )


def stop(home: Path, name: str, *, author: str, reason: str, now: datetime) -> Path:
    """Stop an account without asking the database; gives the file that stops it."""
    if not name or not all(c.isalnum() or c in "-_" for c in name):
        raise ConfigError(f"account name {name!r}: use letters, digits, '-' and '_'")
    path = stop_file(home, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"author": author, "reason": reason, "at": now.isoformat()}), encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"cannot write the stop {path}: {error}; make that file by hand, its content does not matter"
        ) from error
    return path


def stop_file(home: Path, name: str) -> Path:
    """File that stops an account while it lies there."""
    return home / "stop" / name


def _fields(account: Account) -> dict[str, Any]:
    return {f: getattr(account, f) for f in ("name", "currency", "timezone", "platform", "mode")}
