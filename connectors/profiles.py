"""What each platform allows and how late it tells: bid limits, ticks, report lag, edit rules.

The limits of ``amazon-sp`` come from documents and programs of third parties; none was checked against a live
account. Check them before relying on them; `PlatformProfile.with_limits` replaces one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from domain.errors import ConfigError
from domain.limits import BidLimits
from domain.outlook import Auction


@dataclass(frozen=True, slots=True)
class PlatformProfile:
    """Rules of one platform.

    Attributes
    ----------
    name
        As `profile` finds it.
    bid_limits
        Floor, cap and tick of a bid, by currency.
    daily_budget_limits
        Smallest and largest daily budget of a campaign, by currency.
    report_lag_hours
        Hours from the end of a day until its report can be read.
    attribution_days
        Window in which orders are counted where a report does not say.
    over_delivery
        Largest spend of one day as a multiple of the daily budget.
    edits_per_day
        Most bid edits of one unit in a day; ``None`` where no limit is known.
    auction
        How clicks are priced.
    stale_after_hours
        Age of the newest learned row from which on reports are stale.
    any_currency
        Limits for a currency that `bid_limits` does not list; ``None`` refuses it.
    """

    name: str
    bid_limits: Mapping[str, BidLimits]
    daily_budget_limits: Mapping[str, tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))
    report_lag_hours: float = 0.0
    attribution_days: int = 7
    over_delivery: float = 1.0
    edits_per_day: int | None = None
    auction: Auction = Auction.SECOND_PRICE
    stale_after_hours: float = 6.0
    any_currency: BidLimits | None = None

    def limits(self, currency: str) -> BidLimits:
        """Bid limits in a currency; `ConfigError` where none are known."""
        found = self.bid_limits.get(currency, self.any_currency)
        if found is None:
            raise ConfigError(
                f"no bid limits are known for {currency} on {self.name}; there are some for "
                f"{', '.join(sorted(self.bid_limits))}. Reports in {currency} can be imported and watched; bids cannot be planned"
            )
        return found

    def with_limits(self, currency: str, limits: BidLimits) -> "PlatformProfile":
        """Same platform with other limits in one currency."""
        return replace(self, bid_limits=MappingProxyType({**self.bid_limits, currency: limits}))


def _amazon() -> PlatformProfile:
    """Amazon Sponsored Products. Unverified: bid and budget limits as documented by third parties (2021-2024).

    Reports settle about 12 h after a click, later corrections come for up to 60 days; a day may spend twice its
    budget; no limit on edits is documented. Yen have no hundredths. Reports are of days, so they are stale only
    when two of them are missing. The largest raise of a bid, by half within an hour, is our own rule: a forecast is
    good near the bids that were tried, and a longer way up is taken in several hours; a cut may be of any size.
    """
    western = BidLimits(floor=0.02, cap=1000.0, tick=0.01, max_step=0.5, max_cut=1.0)
    return PlatformProfile(
        name="amazon-sp",
        bid_limits=MappingProxyType(
            {
                "USD": western,
                "EUR": western,
                "GBP": western,
                "CNY": BidLimits(floor=0.1, cap=1000.0, tick=0.01, max_step=0.5, max_cut=1.0),
                "JPY": BidLimits(floor=2.0, cap=100_000.0, tick=1.0, max_step=0.5, max_cut=1.0),
                "INR": BidLimits(floor=1.0, cap=5000.0, tick=0.01, max_step=0.5, max_cut=1.0),
            }
        ),
        daily_budget_limits=MappingProxyType({"USD": (1.0, 1_000_000.0), "INR": (500.0, 21_000_000.0)}),
        report_lag_hours=12.0,
        attribution_days=7,
        over_delivery=2.0,
        stale_after_hours=72.0,
    )


def _simulated() -> PlatformProfile:
    """The simulated market: any currency, reports at once, budgets kept to the cent."""
    return PlatformProfile(name="sim", bid_limits=MappingProxyType({}), any_currency=BidLimits(0.01, 1000.0, 0.01))


_PROFILES: Mapping[str, PlatformProfile] = MappingProxyType({p.name: p for p in (_amazon(), _simulated())})


def profile(name: str) -> PlatformProfile:
    """Profile by name; `ConfigError` lists the known ones."""
    if name not in _PROFILES:
        raise ConfigError(f"unknown platform {name!r}; known are {', '.join(sorted(_PROFILES))}")
    return _PROFILES[name]
