"""What each group has bought so far: spend, clicks, matured orders and gmv since an instant.

Estimates replace what is not reported yet: orders and gmv are the *matured* ones of the outlook (a click's
final value, not what was reported), and hours that no report covers count at what was planned for them.
"""

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import polars as pl

from domain.groups import Groups
from domain.outlook import Outlook
from domain.tables import Floats, Known


@dataclass(frozen=True, slots=True)
class Bought:
    """Per group, shape (n_groups,), account currency and counts; `unreported_spend` is part of `spend`."""

    spend: Floats
    clicks: Floats
    orders: Floats
    gmv: Floats
    unreported_spend: Floats


@dataclass(slots=True)
class Ledger:
    """Sums of `Known.performance` by group, one pass per distinct starting instant."""

    known: Known
    outlook: Outlook
    groups: Groups
    _cache: dict[datetime | None, Bought] = field(default_factory=dict[datetime | None, Bought])
    _dark: pl.DataFrame | None = None

    def since(self, start: datetime | None) -> Bought:
        """Everything bought from `start` on (``None``: ever) until the hour that is decided."""
        if start not in self._cache:
            self._cache[start] = self._sum(start)
        return self._cache[start]

    def reported_until(self) -> datetime | None:
        """End of the newest row that is known; ``None`` without rows."""
        rows = self.known.performance
        if not rows.height:
            return None
        newest = rows.select((pl.col("start_utc") + pl.duration(minutes=pl.col("hours") * 60)).max()).item()
        return newest if isinstance(newest, datetime) else None

    def _sum(self, start: datetime | None) -> Bought:
        rows = self.known.performance
        keep = np.ones(rows.height, np.bool_) if start is None else (rows["start_utc"] >= start).to_numpy()
        unit = rows["unit"].to_numpy()[keep]
        n = self.known.n_units

        def by_group(values: Floats) -> Floats:
            return self.groups.rolled_up(np.bincount(unit, weights=values[keep], minlength=n).astype(np.float64))

        spend, clicks = by_group(rows["spend"].to_numpy()), by_group(rows["clicks"].to_numpy())
        orders, gmv = by_group(self.outlook.matured_orders), by_group(self.outlook.matured_gmv)
        dark = self._dark_spend(start)
        if not dark.any():
            return Bought(spend, clicks, orders, gmv, dark)
        # Hours in the dark bought at the rates of the hours that were seen; where none was seen, nothing
        # is credited for the money: the careful side.
        share = dark / np.maximum(spend, 1e-12)
        seen = spend > 0
        grown = 1.0 + np.where(seen, share, 0.0)
        return Bought(spend + dark, clicks * grown, orders * grown, gmv * grown, dark)

    def _unreported(self) -> pl.DataFrame:
        """What was planned for past hours which no report covers yet."""
        if self._dark is None:
            planned, newest = self.known.planned, self.reported_until()
            self._dark = planned if newest is None else planned.filter(pl.col("start_utc") >= newest)
        return self._dark

    def _dark_spend(self, start: datetime | None) -> Floats:
        """(n_groups,) spend that was planned from `start` on for past hours which no report covers yet."""
        dark, n = self._unreported(), len(self.groups.names)
        if dark.height and start is not None:
            dark = dark.filter(pl.col("start_utc") >= start)
        if not dark.height:
            return np.zeros(n)
        amounts = dict(dark.group_by("group").agg(pl.col("amount").sum()).iter_rows())
        return np.array([float(amounts.get(name, 0.0)) for name in self.groups.names])
