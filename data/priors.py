"""What is believed of an account before its own rows speak, kept beside them: last month's model, or a forecast.

Like every row, a belief has the time it was learned, and a cut sees those learned before it; the newest holds.
"""

from datetime import datetime

import polars as pl

from data.database import Database
from data.rows import Rows, add
from data.warehouse import Warehouse
from domain.errors import InvalidPlan
from domain.tables import HOURS, UTC_TIME, Priors

_STORED = {"learned_at": UTC_TIME, "account": pl.String(), "seq": pl.Int64()}
#: Forecast of hours.
STORED_PRIOR_HOURS = {**HOURS, **_STORED}
#: Forecast of units; null where there is none.
STORED_PRIOR_UNITS = {
    "unit_id": pl.String(),
    "clicks_per_hour": pl.Float64(),
    "price_median": pl.Float64(),
    "price_spread": pl.Float64(),
    **_STORED,
}
_NUMBERS = ("clicks_per_hour", "price_median", "price_spread")


class PriorRows:
    """Priors of one account of a workspace."""

    def __init__(self, database: Database, warehouse: Warehouse, account: str) -> None:
        self._database, self._warehouse = database, warehouse
        self._hours = Rows(database, warehouse, account, "prior_hours", STORED_PRIOR_HOURS)
        self._units = Rows(database, warehouse, account, "prior_units", STORED_PRIOR_UNITS)

    def store(self, priors: Priors, units: pl.Series, learned_at: datetime) -> None:
        """Keep priors; `units` names the units that their arrays follow."""
        columns: dict[str, object] = {"unit_id": units}
        for name in _NUMBERS:
            values = getattr(priors, name)
            if values is not None and len(values) != units.len():
                raise InvalidPlan(f"priors: {name} has {len(values)} numbers for {units.len()} units")
            columns[name] = [None] * units.len() if values is None else values
        numbers = {n: pl.Float64() for n in _NUMBERS}
        frame = pl.DataFrame(columns, schema_overrides=numbers)
        learned = pl.lit(learned_at).cast(UTC_TIME).alias("learned_at")
        add(
            self._database,
            self._warehouse,
            lambda: [
                (self._units, frame.with_columns(learned)),
                (self._hours, priors.hours.select(list(HOURS)).with_columns(learned)),
            ],
        )

    def at(self, units: pl.Series, cut: datetime | None) -> Priors:
        """Priors as known at an instant, in the order of `units`; a forecast that misses a unit is none."""
        hours = _newest(self._hours.until(cut), "start_utc").sort("start_utc").select(list(HOURS))
        told = units.to_frame("unit_id").join(
            _newest(self._units.until(cut), "unit_id"), on="unit_id", how="left", maintain_order="left"
        )
        whole = {n: told[n].to_numpy() for n in _NUMBERS if told.height and not told[n].null_count()}
        return Priors(hours, *(whole.get(n) for n in _NUMBERS))


def _newest(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    return rows.sort("learned_at", "seq", maintain_order=True).unique(key, keep="last")
