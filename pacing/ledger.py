"""What each group has bought so far: spend, clicks, matured orders and gmv since an instant.

Estimates replace what is not reported yet: orders and gmv are the *matured* ones of the outlook (a click's
final value, not what was reported), and hours that no report covers count at what was planned for them.
"""

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from domain.groups import Groups
from domain.outlook import Outlook
from domain.tables import Floats, Known, instants, moment


@dataclass(frozen=True, slots=True)
class Bought:
    """Per group, shape (n_groups,), account currency and counts.

    `unreported_spend` is part of `spend`; `final_spend` is what stays of it once invalid clicks are credited back.
    """

    spend: Floats
    final_spend: Floats
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

    def since(self, start: datetime | None) -> Bought:
        """Everything bought from `start` on (``None``: ever) until the hour that is decided."""
        if start not in self._cache:
            self._cache[start] = self._sum(start)
        return self._cache[start]

    def _sum(self, start: datetime | None) -> Bought:
        rows = self.known.performance
        keep = slice(None) if start is None else instants(rows["start_utc"]) >= moment(start)
        unit = rows["unit"].to_numpy()[keep]
        n = self.known.n_units

        def by_group(values: Floats) -> Floats:
            return self.groups.rolled_up(np.bincount(unit, weights=values[keep], minlength=n).astype(np.float64))

        spend, clicks = by_group(rows["spend"].to_numpy()), by_group(rows["clicks"].to_numpy())
        stays = self.outlook.matured_spend
        final = spend if stays is None else by_group(stays)
        orders, gmv = by_group(self.outlook.matured_orders), by_group(self.outlook.matured_gmv)
        dark = self._dark_spend(start)
        if not dark.any():
            return Bought(spend, final, clicks, orders, gmv, dark)
        # Hours in the dark bought at the rates of the hours that were seen; where none was seen, nothing
        # is credited for the money: the careful side.
        share = dark / np.maximum(spend, 1e-12)
        seen = spend > 0
        grown = 1.0 + np.where(seen, share, 0.0)
        final = final + dark * self.outlook.spend_kept
        return Bought(spend + dark, final, clicks * grown, orders * grown, gmv * grown, dark)

    def _dark_spend(self, start: datetime | None) -> Floats:
        """(n_groups,) spend that was planned from `start` on for past hours which no report covers yet."""
        planned, n = self.known.planned, len(self.groups.names)
        begin = [moment(t) for t in (self.known.reported_until(), start) if t is not None]
        starts = instants(planned["start_utc"])
        dark = np.flatnonzero(starts >= max(begin)) if begin else np.arange(starts.size)
        amounts = np.zeros(n)
        if dark.size:
            position = {name: g for g, name in enumerate(self.groups.names)}
            told = planned["group"].gather(dark).to_list()
            for name, amount in zip(told, planned["amount"].to_numpy()[dark].tolist(), strict=True):
                if name in position:
                    amounts[position[name]] += amount
        return amounts
