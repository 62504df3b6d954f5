r"""Which bids are left alone: hysteresis, edits that are spread over the day, and steps taken before they are needed.

*What an untouched bid costs.* With x = log bid, Q'(x) clicks per unit of x and the marginal price of a click in
proportion to the bid, the payoff gmv + offset clicks - theta spend falls short of its best by

    loss(d) = G'(x*) (e^d - 1 - d),    d = log(live bid / best bid),    G' = d gain / d log bid at the best bid.

Of all units, the cheapest losses are taken until they add up to `steadiness` times the hour's gain: those bids stay.
So no unit is edited for less than its noise, and what steadiness costs is bounded by what it was set to. No unit gives
up more than a share of its own gain.

*Edits per day.* Where a unit has N edits a day, the k-th may be used from k / N of the day on; a loss of more than `urgent`
of a unit's own gain does not wait. A bid that has to last is the one for the hours until the next edit, not for this one.

*Steps.* Where bids may rise by a share s an hour and the value of a click is known to jump in k hours, all bids are raised by
a factor e^x beforehand,

    min_x   w_0 x^2 + sum_k w_k max(0, a_k - k log(1 + s) - x)^2,     x >= 0,

w_k the gain of the hour k ahead and a_k the log of how much higher its bids will be: early hours pay a little so
that the first hours of the burst are not stepped into from below.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from domain.limits import BidLimits
from domain.outlook import HourTable, Outlook
from domain.tables import Bools, Floats, Ints

#: Half width in log bid over which the slope of the gain is taken.
_REACH = 0.1
#: Hours looked ahead for a jump of value.
_AHEAD = 12


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How steady bids are to be.

    Attributes
    ----------
    share
        Of the hour's gain that may be given up to leave bids alone; 0 = edit whatever moves by a tick.
    own
        Share of a unit's own gain that may be given up: small units are not left far off because they are small.
    urgent
        Share of a unit's own gain whose loss does not wait for the unit's next edit of the day.
    """

    share: float = 0.0005
    own: float = 0.02
    urgent: float = 0.05

    def kept(self, loss: Floats, gain: Floats) -> Bools:
        """(n_units,) bids that stay: the cheapest losses that together are worth `share` of all gain, none over `own`."""
        order = np.argsort(loss, kind="stable")
        cheap = np.cumsum(loss[order]) <= self.share * float(gain.sum())
        kept = np.zeros(loss.size, np.bool_)
        kept[order[cheap]] = True
        return kept & (loss <= self.own * gain)

    def waiting(self, loss: Floats, gain: Floats, edits: Ints, edits_per_day: int, day_share: float) -> Bools:
        """(n_units,) bids whose next edit of the day is kept for later; `day_share` of the day is over."""
        early = edits > day_share * edits_per_day
        return early & (loss <= self.urgent * gain)


def losses(table: HourTable, live: Floats, wanted: Floats, theta: Floats, offset: Floats) -> tuple[Floats, Floats]:
    """(n_units,) gain at the wanted bid, and what the live bid loses of the payoff, gmv; ``inf`` for what is no bid.

    The larger of the formula above, which is right near the best bid where a table's kinks hide the curvature, and the
    table's own difference, which is right far from it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        d = np.log(live / wanted)
    low, high, here, there = (
        table.bought(b, ("clicks", "spend", "gmv"))
        for b in (wanted * np.exp(-_REACH), wanted * np.exp(_REACH), wanted, live)
    )

    def gained(bought: Mapping[str, Floats]) -> Floats:
        return bought["gmv"] + offset * bought["clicks"]

    slope = np.maximum(gained(high) - gained(low), 0.0) / (2 * _REACH)
    gain = gained(here)
    both = np.isfinite(d)
    near = np.clip(np.where(both, d, 0.0), -0.5, 0.5)
    money = np.where(np.isfinite(theta), theta, 0.0)
    far = gain - gained(there) - money * (here["spend"] - there["spend"])
    return gain, np.where(both, np.maximum(slope * (np.expm1(near) - near), far), np.inf)


def lasting(outlook: Outlook, hours: int) -> tuple[float, float]:
    """Factors on value and price of one hour that stands for the next `hours`, weighted by traffic and price."""
    n = min(hours, len(outlook.hours))
    weight = outlook.traffic[:, :n].sum(axis=0) * outlook.price[:n]
    if n <= 1 or weight.sum() <= 0:
        return float(outlook.value[0]), float(outlook.price[0])
    weight = weight / weight.sum()
    return float(np.exp(weight @ np.log(outlook.value[:n]))), float(np.exp(weight @ np.log(outlook.price[:n])))


def ahead_of_steps(outlook: Outlook, limits: BidLimits) -> float:
    """Factor at least 1 on this hour's bids that prepares for hours whose bids a step window would not reach."""
    n = min(_AHEAD, len(outlook.hours))
    if not np.isfinite(limits.max_step) or n < 2:
        return 1.0
    weight = outlook.traffic[:, :n].sum(axis=0) * outlook.value[:n]
    short = np.log(outlook.value[1:n] / outlook.value[0]) - np.arange(1, n) * np.log1p(limits.max_step)
    x = 0.0
    # convex and piecewise quadratic: the minimum is the fixed point of the hours that are still short at it
    for _ in range(n):
        open_ = short > x
        if not open_.any():
            break
        new = float(weight[1:][open_] @ short[open_]) / float(weight[0] + weight[1:][open_].sum())
        if abs(new - x) < 1e-9:
            break
        x = new
    return float(np.exp(max(x, 0.0)))
