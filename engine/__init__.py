"""The hour and the night as plain functions, and the engine as a library.

AuctionBidder     one bid per auction, thousands of auctions a tick; with TickLog, what is known of a tick
HourlyBidder      one bid an hour for one campaign that sees hourly totals

Both are loaded when they are first asked for, so that the room itself stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from domain.auctions import TargetMode as TargetMode
    from domain.auctions import TickLog as TickLog
    from engine.auction_bidder import AuctionBidder as AuctionBidder
    from engine.auction_report import AuctionState as AuctionState
    from engine.hourly_bidder import HourLog as HourLog  # pyright: ignore
    from engine.hourly_bidder import HourlyBidder as HourlyBidder  # pyright: ignore

_OFFERED = {
    "AuctionBidder": "engine.auction_bidder",
    "AuctionState": "engine.auction_report",
    "HourLog": "engine.hourly_bidder",
    "HourlyBidder": "engine.hourly_bidder",
    "TargetMode": "domain.auctions",
    "TickLog": "domain.auctions",
}


def __getattr__(name: str) -> Any:
    if name not in _OFFERED:
        raise AttributeError(f"the engine offers {sorted(_OFFERED)}, not {name!r}")
    return getattr(import_module(_OFFERED[name]), name)
