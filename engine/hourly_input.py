"""What callers of `HourlyBidder` hand over, checked: names of auctions and objectives, amounts of a campaign."""

import math
from collections.abc import Mapping
from typing import TypeVar

from domain.errors import ConfigError
from domain.outlook import Auction

AUCTIONS = {
    "first_price": Auction.FIRST_PRICE,
    "second_price": Auction.SECOND_PRICE,
    "vcg": Auction.SECOND_PRICE,
    "gsp": Auction.SECOND_PRICE,
}
OBJECTIVES = {"clicks": "clicks", "conversions": "orders", "orders": "orders", "gmv": "gmv"}

_Known = TypeVar("_Known")


def named(known: Mapping[str, _Known], raw: object, what: str) -> _Known:
    """What a name stands for; hyphens and blanks will do for underscores."""
    name = str(raw).strip().lower().replace("-", "_").replace(" ", "_")
    if name not in known:
        raise ConfigError(f"unknown {what} {raw!r}; write one of {', '.join(sorted(known))}")
    return known[name]


def check_amounts(**amounts: float | None) -> None:
    """Raise `ConfigError` where an amount that is given is no number above 0."""
    for name, value in amounts.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ConfigError(f"{name} must be a number above 0, got {value!r}")
