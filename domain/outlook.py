"""What the predictors hand to pacing and bidding: response tables, and how they scale over the hours to come."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray

from domain.errors import InvalidPlan
from domain.tables import Bools, Floats
from domain.time import Hour


class Auction(StrEnum):
    """How a won click is priced."""

    SECOND_PRICE = "second_price"  #: pays the price to beat; also GSP, as an approximation
    FIRST_PRICE = "first_price"  #: pays the bid


@dataclass(frozen=True, slots=True)
class RateForecast:
    """A rate per unit with its uncertainty.

    Attributes
    ----------
    mean, low, high
        (n_units,) expected value and 80 % band.
    evidence
        (n_units,) trials the account itself has seen (impressions for ctr, clicks for cvr).
    """

    mean: Floats
    low: Floats
    high: Floats
    evidence: Floats


@dataclass(frozen=True, slots=True)
class Outlook:
    """Expected response of every unit at every bid level, now and over the rest of the horizon.

    The tables hold a *base hour*: traffic, price and value factors all 1. Hour h scales them:
    a bid of ``bids * price[h]`` gets ``clicks * traffic[:, h]`` at ``spend * traffic[:, h] * price[h]``
    and ``gmv * traffic[:, h] * value[h]`` (orders likewise).

    Attributes
    ----------
    hours
        (n_hours,) the horizon; the first is the hour that is decided.
    bids
        (n_units, n_levels) bid per click, ascending along levels, account currency.
    impressions, clicks, spend, orders, gmv
        (n_units, n_levels) expected, of the base hour; orders and gmv are final (matured) ones.
    traffic
        (n_units, n_hours) multiples of the base hour's opportunities.
    price, value
        (n_hours,) factors on the market price of a click, and on orders per click.
    click_value
        (n_units,) expected gmv of one click in a base hour (cvr x order value), after shrinkage.
    cvr
        Orders per click of a base hour, with band.
    click_value_cv, volume_cv
        (n_units,) relative standard error of the click value and of clicks at a given bid.
    common_value_cv
        Relative standard error that all units' click values share.
    bid_proxy
        (n_units,) the bid that the evidence belongs to: the live bid where known, else the stated proxy.
    bid_known
        (n_units,) whether `bid_proxy` is a live bid that the platform told.
    support_low, support_high
        (n_units,) range of bids that data supports; outside it the table is the pooled prior's.
    matured_orders, matured_gmv
        One number per row of `Known.performance`: estimated final orders and gmv of its clicks.
    matured_spend
        One number per row of `Known.performance`: what its clicks will have cost once invalid ones are credited back;
        ``None`` = what is told.
    spend_kept
        Share of a coming hour's spend that stays.
    auction
        How clicks are priced.
    marginal_price
        (n_units,) what one more click costs at the margin per unit of bid; ``None`` = 1 everywhere: in a second
        price auction the last click won costs the bid. Above 1 where `bid_proxy` is an average price paid,
        because the true bid then lies above the proxy by that factor.
    common_volume_cv, common_price_cv
        (n_hours,) relative standard errors that all units share: of clicks at a given ratio of bid to market price, and
        of the market price; ``None`` = not told.
    notes
        What a person should know of how this was made ("prior ctr used for 12 units").
    """

    hours: tuple[Hour, ...]
    bids: Floats
    impressions: Floats
    clicks: Floats
    spend: Floats
    orders: Floats
    gmv: Floats
    traffic: Floats
    price: Floats
    value: Floats
    click_value: Floats
    cvr: RateForecast
    click_value_cv: Floats
    volume_cv: Floats
    common_value_cv: float
    bid_proxy: Floats
    bid_known: Bools
    support_low: Floats
    support_high: Floats
    matured_orders: Floats
    matured_gmv: Floats
    matured_spend: Floats | None = None
    spend_kept: float = 1.0
    auction: Auction = Auction.SECOND_PRICE
    marginal_price: Floats | None = None
    common_volume_cv: Floats | None = None
    common_price_cv: Floats | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape, hours = self.bids.shape, len(self.hours)
        for name in ("impressions", "clicks", "spend", "orders", "gmv"):
            if getattr(self, name).shape != shape:
                raise InvalidPlan(f"outlook: {name} has shape {getattr(self, name).shape}, bids {shape}")
        if self.traffic.shape != (shape[0], hours) or self.price.shape != (hours,) or self.value.shape != (hours,):
            raise InvalidPlan(
                f"outlook: traffic {self.traffic.shape}, price {self.price.shape} and value {self.value.shape} "
                f"do not fit {shape[0]} units x {hours} hours"
            )

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.bids.shape[0]

    def at(self, position: int = 0) -> "HourTable":
        """Response tables of one hour of the horizon."""
        t, p, v = self.traffic[:, position, None], self.price[position], self.value[position]
        return HourTable(
            hour=self.hours[position],
            bids=self.bids * p,
            impressions=self.impressions * t,
            clicks=self.clicks * t,
            spend=self.spend * (t * p),
            orders=self.orders * (t * v),
            gmv=self.gmv * (t * v),
        )


@dataclass(frozen=True, slots=True)
class HourTable:
    """Response tables (n_units, n_levels) of one hour, in the units of `Outlook`."""

    hour: Hour
    bids: Floats
    impressions: Floats
    clicks: Floats
    spend: Floats
    orders: Floats
    gmv: Floats

    def expected(self, bid: Floats) -> pl.DataFrame:
        """Expected impressions, clicks, spend, orders and gmv at one bid per unit, shape (n_units,); see `bought`."""
        return pl.DataFrame(self.bought(bid, ("impressions", "clicks", "spend", "orders", "gmv")))

    def bought(self, bid: Floats, names: Sequence[str]) -> dict[str, Floats]:
        """(n_units,) expected amounts of some kinds at one bid per unit, shape (n_units,).

        Between two levels the tables are interpolated linearly in the bid; below the first level they fall
        to zero at bid zero; above the last one they stay. A bid of NaN or 0 means no delivery.
        """
        n, levels = self.bids.shape
        wanted = np.nan_to_num(bid, nan=0.0)
        upper = np.minimum((self.bids < wanted[:, None]).sum(axis=1), levels - 1)
        lower: NDArray[np.intp] = upper - 1
        row = np.arange(n, dtype=np.intp)
        b1 = self.bids[row, upper]
        inside, below = lower >= 0, np.maximum(lower, 0)
        b0 = np.where(inside, self.bids[row, below], 0.0)
        share = np.clip((wanted - b0) / np.maximum(b1 - b0, 1e-300), 0.0, 1.0)
        amounts: dict[str, Floats] = {}
        for name in names:
            table: Floats = getattr(self, name)
            y0 = np.where(inside, table[row, below], 0.0)
            amounts[name] = np.where(wanted > 0, y0 + share * (table[row, upper] - y0), 0.0)
        return amounts
