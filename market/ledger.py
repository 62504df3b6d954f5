"""What happened in a run: clicks, spend and orders by unit and hour, and the orders that are still to come."""

from dataclasses import dataclass, field

import numpy as np

from domain.tables import Floats


@dataclass(slots=True)
class Ledger:
    """Counts of one run, all (n_units, n_hours) and booked on the hour of the click.

    Attributes
    ----------
    bids
        Bid in force, account currency; 0 = paused.
    impressions, clicks, spend
        Delivered.
    orders, gmv
        Conversions that have come in so far.
    changed
        First clock hour at whose start the present state of the cell could be read; -1 where there is no row.
    """

    n_units: int
    n_hours: int
    bids: Floats = field(init=False)
    impressions: Floats = field(init=False)
    clicks: Floats = field(init=False)
    spend: Floats = field(init=False)
    orders: Floats = field(init=False)
    gmv: Floats = field(init=False)
    changed: np.ndarray = field(init=False)
    _coming: dict[int, list[tuple[np.ndarray, np.ndarray, Floats]]] = field(init=False)

    def __post_init__(self) -> None:
        shape = (self.n_units, self.n_hours)
        for name in ("bids", "impressions", "clicks", "spend", "orders", "gmv"):
            setattr(self, name, np.zeros(shape))
        self.changed = np.full(shape, -1, np.int32)
        self._coming = {}

    def expect(self, hour: int, unit: np.ndarray, lag: np.ndarray, value: Floats) -> None:
        """Take up orders of clicks of an hour; they count once their lag has passed."""
        for wait in np.unique(lag):
            mine = lag == wait
            clicked = np.full(int(mine.sum()), hour)
            self._coming.setdefault(hour + int(wait), []).append((unit[mine], clicked, value[mine]))

    def settle(self, hour: int) -> None:
        """Book the orders that come in during an hour; they can be read when it ends."""
        for unit, clicked, value in self._coming.pop(hour, []):
            np.add.at(self.orders, (unit, clicked), 1.0)
            np.add.at(self.gmv, (unit, clicked), value)
            self.changed[unit, clicked] = hour + 1

    @property
    def open_orders(self) -> int:
        """Orders that have not come in yet."""
        return sum(unit.size for parts in self._coming.values() for unit, _, _ in parts)
