"""What bids buy, as those who learn it hand it to those who make tables of it."""

from dataclasses import dataclass

import numpy as np

from domain.tables import Bools, Floats, Known
from predictors.landscape import Landscape


@dataclass(frozen=True, slots=True)
class Response:
    """What bids buy, and how that scales over the hours to come.

    Attributes
    ----------
    landscape
        Base hour.
    traffic
        (n_units, n_hours).
    price
        (n_hours,).
    proxy, told
        (n_units,) bid that the evidence belongs to, and whether the platform told it.
    low, high
        (n_units,) bids that data supports.
    highest
        Highest bid level as a multiple of the larger of market price and bid.
    volume_cv
        (n_units,) relative standard error of clicks at a given bid in the hour that is decided.
    common_volume_cv, common_price_cv
        (n_hours,) errors that all units share; see `Outlook`.
    notes
        What a person should know.
    """

    landscape: Landscape
    traffic: Floats
    price: Floats
    proxy: Floats
    told: Bools
    low: Floats
    high: Floats
    highest: float
    volume_cv: Floats
    common_volume_cv: Floats
    common_price_cv: Floats
    notes: tuple[str, ...]


def live_bids(known: Known) -> tuple[Floats, Bools]:
    """(n_units,) live bids, and whether the platform told them."""
    live = known.live_bids.rows
    bid = live["bid_cpc"].to_numpy()  # null becomes NaN
    told = live["known"].to_numpy() & np.isfinite(bid) & (bid > 0)
    return bid, told
