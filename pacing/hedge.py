r"""Prices of money that allow for the forecast's own error: the mean over what the market may turn out to be.

A program of the rest that takes its forecast for certain lets a target that will probably hold cost nothing, and pays for
it late and dearly where it does not: a market 20 % dearer than forecast makes a CPC cap bind that seemed loose, when
most of the cheap clicks are gone. Solved for each of a few cases, what matters now is the mean of what they ask for:

    1 / theta = sum_k w_k / theta_k        offset / theta = sum_k w_k offset_k / theta_k

that is the mean of the bids (click value + offset_k) / theta_k. The cases are the forecast itself (weight 1/3), and price
and traffic of the hours to come at +- sqrt(3) of the standard errors that all units share (1/6 each), as learned by
the predictors: the nodes that integrate cubic functions of two independent errors exactly (Julier and Uhlmann, 1997).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from domain.outlook import Outlook
from domain.tables import Floats

_REACH = math.sqrt(3.0)
#: Weights of the forecast itself and of each other case, before they are brought to a sum of 1.
_CENTRE, _SIDE = 1 / 3, 1 / 6
#: No case counts for a price of money further from the forecast's own than this factor: beyond it a target is out of
#: reach, or nothing binds, and the number says no more than that.
_MOST = 4.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the solution of one case asks of the hour that is decided.

    Attributes
    ----------
    price
        Factor on the price of clicks in the hour, in that case.
    theta, offset
        (n_units,) price of money, and what is added to the value of a click.
    spend
        (n_units,) spend of the hour.
    """

    price: float
    theta: Floats
    offset: Floats
    spend: Floats


def cases(outlook: Outlook) -> Iterator[Outlook]:
    """What may come instead of the forecast, all equally likely; nothing where no error is stated."""
    price, volume = outlook.common_price_cv, outlook.common_volume_cv
    for side in (_REACH, -_REACH):
        if price is not None:
            yield replace(outlook, price=outlook.price * np.exp(side * price))
        if volume is not None and len(outlook.hours) > 1:
            later = np.exp(side * volume)
            later[0] = 1.0  # what is decided now is not what the error of the rest is about
            yield replace(outlook, traffic=outlook.traffic * later)


def weights(n: int) -> Floats:
    """(n,) weights of the forecast's own answer and of n - 1 others."""
    weight = np.array([_CENTRE, *[_SIDE] * (n - 1)])
    return weight / weight.sum()


def hedged(answers: Sequence[Answer]) -> Answer:
    """One answer from those of all cases, the first of which is the forecast's own.

    A unit that the forecast itself would not price (theta 0 or infinite) stays as it is.
    """
    own = answers[0]
    if len(answers) == 1:
        return own
    priced = np.isfinite(own.theta) & (own.theta > 0)
    base = np.where(priced, own.theta, 1.0)
    inverse, added, spend = (np.zeros(base.size) for _ in range(3))
    for weight, a in zip(weights(len(answers)), answers, strict=True):
        theta = np.clip(np.where(np.isnan(a.theta), base, a.theta), base / _MOST, base * _MOST)
        inverse += weight / theta
        added += weight * np.where(np.isfinite(a.theta) & (a.theta > 0), a.offset / np.maximum(a.theta, 1e-300), 0.0)
        spend += weight * a.spend * (own.price / a.price)
    theta = np.where(priced, 1.0 / inverse, own.theta)
    return Answer(own.price, theta, np.where(priced, added / inverse, own.offset), np.where(priced, spend, own.spend))
