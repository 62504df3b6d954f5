"""What happened in a run: clicks, spend and orders by unit and hour, and the orders that are still to come."""

from collections.abc import Mapping
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
    _coming: dict[int, list[tuple[int, np.ndarray, Mapping[str, Floats]]]] = field(init=False)

    def __post_init__(self) -> None:
        shape = (self.n_units, self.n_hours)
        for name in ("bids", "impressions", "clicks", "spend", "orders", "gmv"):
            setattr(self, name, np.zeros(shape))
        self.changed = np.full(shape, -1, np.int32)
        self._coming = {}

    def expect(self, hour: int, unit: np.ndarray, lag: np.ndarray, value: Floats, count: Floats | None = None) -> None:
        """Take up orders of clicks of an hour; they count once their lag has passed.

        `count` is 1 for an order, -1 for one that is taken back, 0 for money alone; ``None`` = all orders.
        """
        counts = np.ones(unit.size) if count is None else count
        nothing = np.zeros(unit.size)
        self._expect(hour, unit, lag, {"orders": counts, "gmv": value, "clicks": nothing, "spend": nothing})

    def expect_credit(self, hour: int, unit: np.ndarray, lag: np.ndarray, spend: Floats) -> None:
        """Take up clicks of an hour that will turn out invalid: click and money come back once the lag has passed."""
        nothing = np.zeros(unit.size)
        self._expect(hour, unit, lag, {"orders": nothing, "gmv": nothing, "clicks": nothing - 1, "spend": -spend})

    def _expect(self, hour: int, unit: np.ndarray, lag: np.ndarray, changes: Mapping[str, Floats]) -> None:
        for wait in np.unique(lag):
            mine = lag == wait
            part = {name: change[mine] for name, change in changes.items()}
            self._coming.setdefault(hour + int(wait), []).append((hour, unit[mine], part))

    def settle(self, hour: int) -> None:
        """Book what comes in during an hour; it can be read when the hour ends."""
        for clicked, unit, changes in self._coming.pop(hour, []):
            for name, change in changes.items():
                if change.any():
                    np.add.at(getattr(self, name)[:, clicked], unit, change)
            self.changed[unit, clicked] = hour + 1

    @property
    def open_orders(self) -> int:
        """Changes that have not come in yet."""
        return sum(unit.size for parts in self._coming.values() for _, unit, _ in parts)
