"""Which hour a report tells of, and what hours without a report are taken to have spent.

A report carries the bid that was in force, and bids hardly ever repeat to the last digit: a report that comes an hour
or more late is recognised by its bid. Until it comes, its hour is taken to have spent what was expected.
"""

import math
from dataclasses import dataclass, field

from engine.hourly_log import HourLog

#: Hours back for which reports are still recognised.
LATEST = 6
#: Relative difference at which a bid is the same, and from which it is another than the one asked for.
SAME, OTHER = 1e-6, 0.02


@dataclass(slots=True)
class Awaited:
    """Hours decided whose totals are not known; money in budgets.

    Attributes
    ----------
    bids
        Bid asked for in each hour not told of yet, account currency.
    spend
        What each hour without totals is taken to have spent.
    lag
        Hours from the last report's hour to the call that brought it.
    """

    bids: dict[int, float] = field(default_factory=dict[int, float])
    spend: dict[int, float] = field(default_factory=dict[int, float])
    lag: int = 1

    @property
    def total(self) -> float:
        """Spend of all hours without totals."""
        return sum(self.spend.values())

    @property
    def error(self) -> float:
        """Error of `total`, were each hour's spend as unsure as it is large."""
        return math.sqrt(sum(value * value for value in self.spend.values()))

    def asked(self, hour: int, bid: float) -> None:
        """A bid was decided for an hour; hours too far back are forgotten as bids, not as spend."""
        self.bids[hour] = bid
        for old in [h for h in self.bids if h < hour - LATEST]:
            del self.bids[old]

    def hour_of(self, log: HourLog, now: int) -> int:
        """Hour that a report given in hour `now` tells of: the one before, unless its bid is of an earlier one."""
        fits = [h for h, bid in self.bids.items() if h < now and log.bid > 0 and abs(log.bid - bid) <= SAME * bid]
        if not fits or (self.lag == 1 and now - 1 in fits):
            self.lag = 1
            return now - 1
        hour = min(fits, key=lambda h: (abs(now - h - self.lag), -h))
        self.lag = now - hour
        return hour

    def differs(self, log: HourLog, hour: int) -> bool:
        """Whether the bid in force was another than the one asked for."""
        asked = self.bids.get(hour)
        return asked is not None and abs(log.bid - asked) > OTHER * max(asked, log.bid)

    def told(self, hour: int) -> None:
        """The totals of an hour are known."""
        self.bids.pop(hour, None)
        self.spend.pop(hour, None)


def contradictions(log: HourLog, spent: float) -> list[str]:
    """What is odd about an hour's totals; `spent` in budgets, the hour included."""
    notes: list[str] = []
    if log.bid <= 0 < log.spend:
        notes.append("money was spent at a bid of 0: it counts, and teaches nothing")
    if log.bid > 0 and log.spend > 1.001 * log.bid * log.clicks and log.impressions <= 0:
        notes.append("more was spent than the bid allows for these clicks: it counts")
    if 0 < log.impressions < log.clicks:
        notes.append("more clicks than impressions")
    if spent > 1.0 + 1e-9:
        notes.append("more was spent than the budget")
    return notes
