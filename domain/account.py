"""The advertiser's account: currency, time zone, platform, and how much the machine may do on its own."""

from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from domain.errors import ConfigError
from domain.time import zone


class Mode(StrEnum):
    """What happens with a decision."""

    SHADOW = "shadow"  #: decide and store, publish nothing (the default)
    APPROVE = "approve"  #: publish what a person has confirmed
    LIVE = "live"  #: publish
    PAUSED = "paused"  #: decide nothing, publish nothing


@dataclass(frozen=True, slots=True)
class Account:
    """One advertiser account on one platform.

    Attributes
    ----------
    name
        Short name, unique in the workspace; letters, digits, ``-`` and ``_``.
    currency
        ISO 4217 code; all money of the account is in it.
    timezone
        IANA name; days and daily budgets are days of this zone.
    platform
        Name of the platform profile (limits, report lag, edit rules).
    mode
        What happens with a decision.
    assumed
        Names of the fields that nobody stated (taken from a file or a default).
    """

    name: str
    currency: str
    timezone: str = "UTC"
    platform: str = "amazon-sp"
    mode: Mode = Mode.SHADOW
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or not all(c.isalnum() or c in "-_" for c in self.name) or len(self.name) > 64:
            raise ConfigError(f"account name {self.name!r}: use 1 to 64 letters, digits, '-' and '_'")
        if len(self.currency) != 3 or not self.currency.isalpha() or not self.currency.isupper():
            raise ConfigError(f"currency {self.currency!r}: use an ISO 4217 code such as INR, USD or CNY")
        zone(self.timezone)

    @property
    def tz(self) -> ZoneInfo:
        """Time zone of the account."""
        return zone(self.timezone)
