"""What is known of a tick of single auctions: the bids, what they won, what was paid and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from domain.errors import InvalidPlan
from domain.tables import Bools, Floats

#: Positions are small whole numbers; 0 = lost.
Positions = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class TickLog:
    """One tick of auctions as the bidder saw it; anything array-like is taken and kept as arrays of these dtypes.

    All arrays are (n_auctions,), in the order in which the values were handed over; n may be 0. `InvalidPlan` where
    lengths differ, or where a column holds what it cannot hold.

    Attributes
    ----------
    values
        float64, what an exposure was believed to be worth: probability of the objective's event, or expected value in
        account currency where the objective is value; what cannot be one (NaN, negative) is kept as 0, for nobody bids on it.
    value_sds
        float64, standard error of each value; 0 where nobody knows.
    bids
        float64, account currency per exposure; <= 0 = stayed out.
    position
        int16, place won, 1 = best; 0 = lost.
    price
        float64, account currency, charged if the ad is exposed; 0 where lost.
    exposed
        bool, whether the shopper saw the ad.
    conversions
        float64, events of the objective that came of it (or value, where the objective is value).
    price_to_win
        float64, lowest bid that would have won any place, also of lost auctions; NaN where the exchange does not tell,
        ``None`` = it tells nothing.
    spend
        Money paid in the tick; ``None`` = the prices of what was exposed.
    """

    values: Floats
    value_sds: Floats
    bids: Floats
    position: Positions
    price: Floats
    exposed: Bools
    conversions: Floats
    price_to_win: Floats | None = None
    spend: float | None = None

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        values = column(self.values, "values", unusable=True)
        values = np.where(np.isfinite(values) & (values > 0), values, 0.0)
        n = values.size
        put("values", values)
        for name in ("value_sds", "bids", "price", "conversions"):
            raw = getattr(self, name)
            put(name, np.zeros(n) if raw is None else np.broadcast_to(column(raw, name, (1, n)), (n,)))
        position = column(self.position, "position", (n,))
        if bool(np.any((position < 0) | (position > 1000) | (position != np.floor(position)))):
            raise InvalidPlan("tick log: position holds places 1, 2, ... and 0 for lost; it holds something else")
        put("position", position.astype(np.int16))
        put("exposed", column(self.exposed, "exposed", (n,)) > 0)
        if self.price_to_win is None:
            put("price_to_win", np.full(n, np.nan))
        else:
            put("price_to_win", column(self.price_to_win, "price_to_win", (n,), may_miss=True))
        if bool(np.any(self.price < 0) or np.any(self.conversions < 0) or np.any(self.value_sds < 0)):
            raise InvalidPlan("tick log: prices, conversions and standard errors cannot be negative")
        spend = self.charged if self.spend is None else float(np.sum(np.asarray(self.spend, np.float64)))
        if not (np.isfinite(spend) and spend >= 0):
            raise InvalidPlan(f"tick log: spend of {spend}; write an amount of account currency, 0 or more")
        put("spend", spend)

    @property
    def n(self) -> int:
        """Number of auctions."""
        return int(self.values.size)

    @property
    def charged(self) -> float:
        """Sum of the prices of what was exposed, account currency."""
        return float(self.price[self.exposed].sum())

    @property
    def paid(self) -> float:
        """Money paid, account currency."""
        assert self.spend is not None  # set when the log was made
        return self.spend


#: A day: one log per tick, in order; ``None`` for a tick that is missing.
Day = Sequence[TickLog | None]


def column(
    raw: ArrayLike, name: str, sizes: tuple[int, ...] = (), *, may_miss: bool = False, unusable: bool = False
) -> Floats:
    """One-dimensional float64 column; `InvalidPlan` names it where it is none, of another length, or not finite.

    ``may_miss`` lets NaN and infinity pass, ``unusable`` any number.
    """
    try:
        found = np.atleast_1d(np.asarray(raw, np.float64))
    except (TypeError, ValueError) as error:
        raise InvalidPlan(f"tick log: {name} is no array of numbers ({error})") from error
    if found.ndim != 1:
        raise InvalidPlan(f"tick log: {name} has shape {found.shape}; hand over one number per auction")
    if sizes and found.size not in sizes:
        raise InvalidPlan(f"tick log: {name} has {found.size} entries, values {sizes[-1]}; they go by auction")
    if unusable:
        return found
    bad = ~np.isfinite(found) if not may_miss else np.isinf(found) & (found < 0)
    if bool(bad.any()):
        raise InvalidPlan(f"tick log: {name}[{int(np.argmax(bad))}] is {found[np.argmax(bad)]}; numbers only")
    return found


class TargetMode(StrEnum):
    """What a target means at the end of the day."""

    HARD = "hard"  #: to be met; value counts in full
    SOFT = "soft"  #: value counts with the factor of `score`


def score(value: ArrayLike, spend: ArrayLike, cost_target: float) -> Floats:
    """What a day counts under a soft target: value x min(1, (cost_target x value / spend)^2).

    ``cost_target`` is the CPA or CPC target, or 1 / the ROI target: then the factor is (roi / target)^2.
    """
    bought, paid = np.asarray(value, np.float64), np.asarray(spend, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(paid > 0, cost_target * bought / paid, np.inf)
    return bought * np.minimum(1.0, factor) ** 2
