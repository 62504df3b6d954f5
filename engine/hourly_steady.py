r"""Hourly bids that move less: a move costs steadiness, money that is left over costs clicks.

With a share q of the budget left, the rest spent at log bids of mean m, and a* the log bid that would spend what is left by
the end: bids at a from now on spread by q (1 - q) (a - m)^2 around the campaign's mean, and miss its budget by a multiple of
q (a - a*). The least of

    q (1 - q) (a - m)^2 + K (q (a - a*))^2      is at      a = m + g (a* - m),   g = K q / (1 - q + K q),

and stays the best rule where a* is only forecast and will be forecast anew (certainty equivalence: Simon 1956, Theil 1957):
early on a forecast is followed, later less and less. What would spend more than there is may be held for a while; the less
is left, the less of it, or the money is gone before the end.
"""

import math
from dataclasses import dataclass

#: How far the log bid may lie over the one that spends what is left, per share of the budget that is left beyond `LITTLE`.
OVER, LITTLE = 5.0, 0.03


@dataclass(slots=True)
class Steady:
    """Bids of one campaign so far.

    Attributes
    ----------
    worth
        K above: cost of a missed budget against that of unsteady bids.
    mean
        Log bid so far, in the mean over money; money in budgets.
    spent
        Money that it is the mean over.
    """

    worth: float
    mean: float = 0.0
    spent: float = 0.0

    def paid(self, bid: float, spend: float) -> None:
        """Count an hour's bid, and what was spent at it."""
        if bid > 0 and spend > 0:
            self.spent += spend
            self.mean += spend / self.spent * (math.log(bid) - self.mean)

    def toward(self, log_bid: float, left: float) -> float:
        """Log bid, where `log_bid` would spend the share of the budget that is left."""
        if self.spent <= 0:
            return log_bid
        gain = self.worth * left / (max(1 - left, 0.0) + self.worth * left)
        return min(self.mean + gain * (log_bid - self.mean), log_bid + OVER * max(left - LITTLE, 0.0))
