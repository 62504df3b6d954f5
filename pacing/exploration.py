r"""Cold start: a budgeted group of units that bid a little more than they seem worth, because what they sell is unknown.

With x = log bid, primes for d/dx at the best bid, a click value known to a relative variance v = 1 / a (a counts orders),
and payoff J = gmv - theta spend, a bid that is off by d loses G' d^2 / 2; so not knowing the value loses G' v / 2 an hour.
Orders come in anyway at c = cvr Q an hour of the present kind, and v falls as 1 / (a + c t). One order more, now, is
worth over the T such hours that are left

    1/2 int_0^T G' (a + c t)^-2 dt = 1/2 G' T / (a (a + c T)),

and a bid that is higher by d brings cvr Q' d orders more for a loss of G' d^2 / 2. The best of it is

    d = 1/2 cvr Q' T / (a (a + c T)),    which learns  G' d^2 / 2  more than it costs.

The rule stops by itself: d falls with evidence, and with the time in which it could be used. Units with d under `least`
do not explore, and all of them together spend at most `budget` of the hour's aim on it. (A two-armed version of the
knowledge gradient; compare Frazier, Powell and Dayanik, 2008.)
"""

from dataclasses import dataclass

import numpy as np

from domain.errors import ConfigError
from domain.outlook import Outlook
from domain.tables import Bools, Floats

#: Half width in log bid over which slopes are taken.
_REACH = 0.1


@dataclass(frozen=True, slots=True)
class Learning:
    """What exploring does in an hour.

    Attributes
    ----------
    raise_by
        (n_units,) log of the factor on bids; 0 = does not explore.
    spend
        (n_units,) expected extra spend of the hour, account currency.
    gain
        (n_units,) gmv that is expected to be won later by what is learned, less what it costs now.
    """

    raise_by: Floats
    spend: Floats
    gain: Floats

    @property
    def group(self) -> Bools:
        """(n_units,) units that explore."""
        return self.raise_by > 0

    @property
    def words(self) -> str:
        """One sentence a trader reads; empty where nothing is explored."""
        n = int(self.group.sum())
        if not n:
            return ""
        return (
            f"{n} units with little evidence bid up to {np.expm1(self.raise_by.max()):.0%} more to learn what they sell: "
            f"{self.spend.sum():,.2f} this hour, expected to bring {self.gain.sum():,.2f} of gmv"
        )


@dataclass(frozen=True, slots=True)
class Exploration:
    """Settings of the group.

    Attributes
    ----------
    budget
        Share of the hour's aim that may be spent on learning.
    least
        Smallest raise (log) that is worth an edit; below it a unit has been learned.
    most
        Largest raise (log).
    """

    budget: float = 0.01
    least: float = 0.02
    most: float = 0.3

    def __post_init__(self) -> None:
        if not (0 < self.budget < 1 and 0 < self.least < self.most):
            raise ConfigError(f"exploration needs 0 < budget < 1 and 0 < least < most, got {self}")

    def plan(self, outlook: Outlook, theta: Floats, amount: float) -> Learning:
        """Who explores in the first hour of the outlook, at prices of money theta (n_units,) and the hour's aim."""
        n = outlook.n_units
        worth = outlook.click_value * outlook.value[0]
        bidding = np.isfinite(theta) & (theta > 0) & (worth > 0)
        best = np.divide(worth, theta, out=np.zeros(n), where=bidding)
        table = outlook.at(0)
        low, here, high = (table.expected(best * np.exp(x)) for x in (-_REACH, 0.0, _REACH))

        def slope(name: str) -> Floats:
            return np.maximum(high[name].to_numpy() - low[name].to_numpy(), 0.0) / (2 * _REACH)

        now = outlook.traffic[:, 0] * outlook.value[0]
        later = outlook.traffic[:, 1:] @ outlook.value[1:]
        left = np.divide(later, now, out=np.zeros(n), where=now > 0)
        cvr = outlook.cvr.mean * outlook.value[0]
        seen = 1.0 / np.maximum(outlook.click_value_cv, 1e-6) ** 2
        rate = cvr * here["clicks"].to_numpy()
        d = 0.5 * cvr * slope("clicks") * left / (seen * (seen + rate * left))
        d = np.where(bidding & (d >= self.least), np.minimum(d, self.most), 0.0)
        spend = slope("spend") * d
        allowed = self.budget * amount
        if spend.sum() > allowed:
            d, spend = d * (allowed / spend.sum()), spend * (allowed / spend.sum())
        return Learning(d, spend, 0.5 * slope("gmv") * d**2)
