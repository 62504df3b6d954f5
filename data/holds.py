"""Units that a person keeps from being changed: until released, or for one hour's plan; nothing is overwritten.

A hold may come at any moment until the plan goes out. It binds bids only: the unit is forecast, reported and
decided as ever, and its live bid stays.
"""

from collections.abc import Collection
from datetime import datetime

import polars as pl
import sqlalchemy as sa

from data.control import Said
from data.database import Database
from data.schema import hold_edits
from domain.errors import ConfigError
from domain.tables import UTC_TIME
from domain.time import Hour

#: Holds in force, one row per unit; ``hour`` is null where the hold lasts until it is released.
HOLDS = {
    "unit_id": pl.String(),
    "author": pl.String(),
    "reason": pl.String(),
    "said_at": UTC_TIME,
    "hour": UTC_TIME,
}


class Holds:
    """Holds on the units of one account."""

    def __init__(self, database: Database, account: str) -> None:
        self._database = database
        self._account = account

    def say(self, units: Collection[str], said: Said, *, held: bool, hour: Hour | None = None) -> None:
        """Hold units or release them; with an hour, for that hour's plan only.

        A release without an hour ends every hold on the units, those for one hour too.
        """
        if not units:
            raise ConfigError("no unit is named: say which units to hold or to release")
        start = None if hour is None else hour.start
        rows = [
            {
                "account": self._account,
                "unit_id": unit,
                "held": held,
                "hour": start,
                "author": said.author,
                "reason": said.reason,
                "said_at": said.said_at,
            }
            for unit in dict.fromkeys(units)
        ]
        with self._database.write() as connection:
            connection.execute(hold_edits.insert(), rows)

    def in_force(self, hour: Hour | None = None, known_at: datetime | None = None) -> pl.DataFrame:
        """Holds, columns `HOLDS`, by unit: those until released and, with an hour, those for its plan.

        `known_at` gives them as they were said until then.
        """
        of_hour = hold_edits.c.hour.is_(None) if hour is None else sa.or_(
            hold_edits.c.hour.is_(None), hold_edits.c.hour == hour.start
        )  # fmt: skip
        query = sa.select(hold_edits).where(hold_edits.c.account == self._account, of_hour).order_by(hold_edits.c.id)
        if known_at is not None:
            query = query.where(hold_edits.c.said_at <= known_at)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        standing: dict[str, dict[str, object]] = {}
        once: dict[str, dict[str, object]] = {}
        for row in rows:
            kind = once if row["hour"] is not None else standing
            if row["held"]:
                kind[row["unit_id"]] = {name: row[name] for name in HOLDS}
                continue
            kind.pop(row["unit_id"], None)
            if row["hour"] is None:
                once.pop(row["unit_id"], None)
        return pl.DataFrame(list({**once, **standing}.values()), schema=HOLDS).sort("unit_id")

    def history(self) -> pl.DataFrame:
        """Everything said about holds, oldest first: columns `HOLDS` and ``held``."""
        query = sa.select(hold_edits).where(hold_edits.c.account == self._account).order_by(hold_edits.c.id)
        with self._database.read() as connection:
            rows = [{n: r[n] for n in (*HOLDS, "held")} for r in connection.execute(query).mappings()]
        return pl.DataFrame(rows, schema={**HOLDS, "held": pl.Boolean()})
