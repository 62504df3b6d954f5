r"""What a forecast has absorbed of a payment that it did not know of: a law of second prices stretched over dearer clicks.

Last month's model says how many clicks there are and what they cost by one log-normal law of second prices. Where a click
costs factor ((1 - omega) second price + omega bid), no such law meets both last month's clicks and last month's spend: the
nearest one promises too many clicks, each too cheap. With u = log bid over median, the nearest law in the logarithms of
both, for bids around the one that wins half, is a regression of what the payment adds,

    g(u) = ( 0,  ln factor + ln(1 - omega + omega bid / second price) ),

on how the law's clicks and spend move with median m, spread s and volume k. What it absorbed is taken out again:

    (d ln m, d ln s, d ln k) = -(J' W J)^-1 J' W g

A factor of 1.06 and omega 0.16 have made such a forecast promise 17 % more clicks than there are, at a median 8 % too high.
"""

import numpy as np
from scipy.special import log_ndtr

from domain.tables import Floats

#: Logarithms of bids over the median that a forecast rests on, and their weights: a factor of two or so to both sides.
_AT = np.linspace(-1.4, 1.4, 29)[:, None]
_WEIGHT = np.exp(-0.5 * (_AT / 0.5) ** 2)
#: Spreads for which the regression is made: beyond, the three can hardly be told apart over these bids; and the bid below
#: which nothing is won, in spreads.
_NARROWEST, _WIDEST, _NOTHING = 0.15, 0.8, -4.0


def absorbed(spread: float, payments: Floats) -> Floats:
    """(n_payments, 3) what is to be added to the logarithms of a forecast's median price, its spread, and its volume.

    Parameters
    ----------
    spread
        Log-sd of the price by the forecast.
    payments
        (n_payments, 2) factor and omega: see `payment`.
    """
    s = min(max(spread, _NARROWEST), _WIDEST)
    z = _AT / s
    weight = np.where(z > _NOTHING, _WEIGHT, 0.0)
    won, paid = (np.exp(-0.5 * t**2 - log_ndtr(t)) / 2.5066282746310002 for t in (z, z - s))
    over = np.exp(_AT - 0.5 * s**2 + log_ndtr(z) - log_ndtr(z - s))  # bid over second price
    clicks = np.hstack([-won / s, -won * z, np.ones_like(z)])
    spend = np.hstack([1 - paid / s, s**2 - paid * (z + s), np.ones_like(z)])
    factor, part = payments.T
    added = np.log(factor) + np.log(1 - part + part * over)
    held = (weight * clicks).T @ clicks + (weight * spend).T @ spend
    return -np.linalg.solve(held, (weight * spend).T @ added).T
