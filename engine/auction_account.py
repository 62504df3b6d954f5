"""What a day of auctions has bought so far, what is left of its budget, and what its values are worth."""

from dataclasses import replace

import numpy as np

from domain.auctions import TickLog
from domain.errors import InvalidPlan
from domain.tables import Floats
from engine.auction_goal import Bought
from engine.auction_input import number
from engine.auction_value import DayShift, ValueHabit, ValueLevel, evidence


class Account:
    """Accounts of one day.

    Attributes
    ----------
    bought
        Money and value so far.
    wins
        Auctions won.
    """

    def __init__(self, budget: float, n_ticks: int, habit: ValueHabit, usual: Floats | None, *, events: bool) -> None:
        self._budget, self._habit = budget, habit
        self._level = ValueLevel(events=events)
        self._shift = DayShift(usual, n_ticks)
        self.bought = Bought()
        self.wins = 0

    def offered(self, tick: int, worth: Floats) -> None:
        """Note the values of the tick that is decided."""
        self._shift.note(tick, worth)

    def add(self, log: TickLog) -> None:
        """Book the log of a tick."""
        due, came, squares = evidence(log)
        self._level = self._level.plus(due, came, squares)
        self.bought = Bought(self.bought.spend + log.paid, self.bought.due + due, self.bought.came + came)
        self.wins += int((log.position > 0).sum())

    @property
    def value_level(self) -> ValueLevel:
        """Evidence on the day's factor, its centre moved by how today's values differ from those of past days."""
        return replace(self._level, centre=self._habit.centre(self._shift.mean), usual_sd=self._habit.sd)

    def remaining(self, told: float | None) -> float:
        """Money left, as the exchange tells it (it knows best), else as the logs do."""
        own = max(self._budget - self.bought.spend, 0.0)
        if told is None:
            return own
        remaining = number(told)
        if not np.isfinite(remaining):
            raise InvalidPlan(f"remaining_budget of {told}: write the money that is left, account currency")
        if abs(remaining - own) > 1e-6 * self._budget + 1e-9:
            spent = self._budget - remaining
            if spent >= 0:
                self.bought = replace(self.bought, spend=spent)
        return remaining
