"""How far an hourly bid may go while its market is not known, and what is held back against luck."""

import math

from engine.hourly_belief import Belief, Stretch

#: While bids differ by more than this variance, an hour's expected spend stays within a share of its due.
SEARCH_VARIANCE, SEARCH_SHARE = 0.25, 0.25
#: Largest rise of the log bid in an hour while nothing was won yet.
SEARCH_STEP = 2.1
#: A click that costs this share of the money left is dear: from there on the search rises by smaller steps.
DEAR, DEAR_STEP = 0.02, 0.6
#: Money held back against luck, per concentration of the rest (1 / hours if even), and per 1 / sqrt(clicks it buys).
HOLD, HOLD_FEW = 0.7, 0.4
#: The same per share of the rest that hours without totals may have spent.
HOLD_UNKNOWN = 0.5


def within_due(
    belief: Belief,
    hour: Stretch,
    log_pay: float,
    left: float,
    share: float,
    unsure: float,
    log_bid: float,
    *,
    first_price: bool,
) -> float:
    """Largest bid up to `log_bid` with which the hour's expected spend stays within its due.

    Parameters
    ----------
    log_pay
        Log of charged units per opportunity.
    share
        Of what is left, what the hour is due.
    unsure
        Variance of the log bids that hypotheses ask for.
    """
    units = hour.log_volume + log_pay + 0.5 * float(belief.cov[0, 0])
    due = SEARCH_SHARE * max(4.0 / unsure, 1.0) * share * left

    def beyond(at: float) -> bool:
        return belief.outcome(units, hour.slope, at, left, first_price=first_price)[1] > due

    if not beyond(log_bid):
        return log_bid
    low, high = log_bid - 8.0, log_bid
    for _ in range(14):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return low


def highest_step(log_bid: float, left: float) -> float:
    """Largest log bid of an hour after one in which nothing was won at `log_bid`."""
    return min(log_bid + SEARCH_STEP, max(math.log(DEAR * left), log_bid + DEAR_STEP))


def held_back(left: float, rest: Stretch, spend: float, clicks: float, unknown: float) -> float:
    """Logarithm by which less than what is left is planned to be spent: more where few hours or clicks remain.

    Parameters
    ----------
    spend, clicks
        So far, money in budgets.
    unknown
        Error of what hours without totals have spent.
    """
    few = 0.0
    if clicks > 0:
        few = min(math.sqrt(spend / clicks / left), 1.0)
    return min(HOLD * float(rest.share @ rest.share) + HOLD_FEW * few + HOLD_UNKNOWN * unknown / left, HOLD)
