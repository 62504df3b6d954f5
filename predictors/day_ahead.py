"""What a stretch of hours brings at given bids, by group, with 80 % bands that were back-tested.

The variance of a group's total has three parts, all relative to its mean:

    shared by the account   traffic of the day, market price through how the figure answers to it, level of click values
    each unit's own         lasting errors of its traffic and its click value, weighted by its share of the total
    luck                    counts, overdispersed by the hour; prices of single clicks, values of single orders

The market's share of the error moves all hours of a day together. A gamma law with that mean and variance gives the
band; where so few clicks or orders are due that there may be none, a share of its own lies at 0 (`few_band`).
The back-test (`benchmarks/bands.py`; figures in docs/predictors.md) found nothing that `SCALE` would have to widen or narrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from domain.outlook import Outlook
from domain.tables import Floats, Ints
from predictors.shrinkage import gamma_band, gamma_quantile
from predictors.sums import summed

FIGURES = ("spend", "clicks", "orders", "gmv")
#: Factor on the relative standard error of each figure; 1 = as derived.
SCALE: dict[str, float] = dict.fromkeys(FIGURES, 1.0)
#: Relative sd of a unit's clicks in an hour beyond counting, of single prices, and of single orders' values.
HOUR_SD, PRICE_SD, BASKET_SD = 0.3, 0.4, 0.3
#: Relative sd that the market's ways of the day add to what its price is known by: rivals come and go.
MARKET_SD = 0.03


@dataclass(frozen=True, slots=True)
class Band:
    """One figure of each group, (n_groups,): expected value, ends of the 80 % band, relative standard error."""

    mean: Floats
    low: Floats
    high: Floats
    cv: Floats


@dataclass(frozen=True, slots=True)
class Stretch:
    """Single units over the hours of an outlook, before they are summed to groups; arrays are (n_units, n_hours).

    Attributes
    ----------
    outlook
        Hours to come; orders and gmv are final ones.
    clicks, spend
        Expected at the bids in force.
    steep_clicks, steep_spend
        Change of the same with a market that is dearer, per unit of the logarithm of its price.
    """

    outlook: Outlook
    clicks: Floats
    spend: Floats
    steep_clicks: Floats
    steep_spend: Floats

    @classmethod
    def of(cls, outlook: Outlook, bids: Floats) -> "Stretch":
        """Stretch at (n_units, n_hours) bids to be in force; 0 = none."""
        clicks, spend, steep_clicks, steep_spend = (np.empty(bids.shape) for _ in range(4))
        for h in range(bids.shape[1]):
            table = outlook.at(h)
            here = table.expected(bids[:, h])
            clicks[:, h], spend[:, h] = here["clicks"], here["spend"]
            # a market 5 % dearer is a bid 5 % lower at prices 5 % higher
            there = table.expected(bids[:, h] / 1.05)
            steep_clicks[:, h] = (there["clicks"].to_numpy() - clicks[:, h]) / 0.05
            steep_spend[:, h] = (there["spend"].to_numpy() * 1.05 - spend[:, h]) / 0.05
        return cls(outlook, clicks, spend, steep_clicks, steep_spend)

    def bands(self, group: Ints | None = None, figures: Sequence[str] = FIGURES) -> dict[str, Band]:
        """Bands of `figures`; `group` (n_units,) is the position of each unit's group, ``None`` = all in one."""
        outlook, clicks, spend = self.outlook, self.clicks, self.spend
        steep_clicks, steep_spend = self.steep_clicks, self.steep_spend
        n, hours = clicks.shape
        where = np.zeros(n, np.int64) if group is None else group
        n_groups = int(where.max(initial=0)) + 1
        orders = clicks * outlook.cvr.mean[:, None] * outlook.value
        worth = np.divide(outlook.click_value, outlook.cvr.mean, out=np.zeros(n), where=outlook.cvr.mean > 0)
        volume = outlook.common_volume_cv if outlook.common_volume_cv is not None else np.full(hours, 0.2)
        price = outlook.common_price_cv if outlook.common_price_cv is not None else np.full(hours, 0.1)
        price = np.hypot(price, MARKET_SD)
        own_volume = np.sqrt(np.maximum(outlook.volume_cv**2 - volume[0] ** 2 - HOUR_SD**2, 0.02**2))
        value_cv = outlook.common_value_cv
        bands: dict[str, Band] = {}
        for name in figures:
            if name == "spend":
                mean, steep, unit, single = spend, steep_spend, np.ones(n), PRICE_SD
                own = own_volume
            else:
                unit = {"clicks": np.ones(n), "orders": np.ones(n), "gmv": worth}[name]
                mean = (clicks if name == "clicks" else orders) * unit[:, None]
                rate = outlook.cvr.mean[:, None] * outlook.value * unit[:, None]
                steep = steep_clicks * (1.0 if name == "clicks" else rate)
                single = BASKET_SD if name == "gmv" else 0.0
                own = own_volume if name == "clicks" else np.hypot(own_volume, outlook.click_value_cv)
            total = summed(where, mean.sum(1), n_groups)
            safe = np.maximum(total, 1e-12)
            shared = summed(where, (mean * volume).sum(1), n_groups) / safe
            market = summed(where, (steep * price).sum(1), n_groups) / safe
            value = 0.0 if name in ("spend", "clicks") else value_cv
            own_part = summed(where, (mean.sum(1) * own) ** 2, n_groups) / safe**2
            # one click of spend costs its average price, one order brings its worth
            size = (
                np.divide(spend.sum(1), clicks.sum(1), out=np.zeros(n), where=clicks.sum(1) > 0)
                if name == "spend"
                else unit
            )
            counting = summed(where, mean.sum(1) * size, n_groups) * (1 + single**2) / safe**2
            rough = summed(where, ((mean * HOUR_SD) ** 2).sum(1), n_groups) / safe**2
            cv = SCALE[name] * np.sqrt(shared**2 + market**2 + value**2 + own_part + counting + rough)
            events = summed(where, (clicks if name in ("spend", "clicks") else orders).sum(1), n_groups)
            low, high = few_band(total, cv, events)
            bands[name] = Band(total, low, high, cv)
        return bands


def ahead(outlook: Outlook, bids: Floats, group: Ints | None = None) -> dict[str, Band]:
    """Bands of `FIGURES` over the hours of an outlook.

    Parameters
    ----------
    outlook
        Hours to come; orders and gmv are final ones.
    bids
        (n_units, n_hours) bids to be in force; 0 = none.
    group
        (n_units,) position of each unit's group; ``None`` = all in one.
    """
    return Stretch.of(outlook, bids).bands(group)


def few_band(mean: Floats, cv: Floats, events: Floats, share: float = 0.8) -> tuple[Floats, Floats]:
    """Equal-tailed band of totals of few events: nothing at all with the chance of a negative binomial, else a gamma.

    Parameters
    ----------
    mean, cv
        (n,) expected total and its relative standard error.
    events
        (n,) expected number of events (clicks, orders) that the total is the sum of.
    """
    tail = (1.0 - share) / 2
    many = np.maximum(events, 1e-9)
    beyond = np.maximum(cv**2 - 1 / many, 1e-3)
    none = np.where(events < 40, np.exp(-np.log1p(many * beyond) / beyond), 0.0)
    low, high = gamma_band(mean, cv, share)
    rare = none > 1e-3
    if rare.any():
        some = 1 - none[rare]
        # mean and variance of the total, given that there is any
        inner = mean[rare] / some
        inner_cv = np.sqrt(np.maximum((cv[rare] ** 2 + 1) * some - 1, 0.01))
        low[rare] = gamma_quantile(inner, inner_cv, np.clip((tail - none[rare]) / some, 0.0, 1.0))
        high[rare] = gamma_quantile(inner, inner_cv, np.clip((1 - tail - none[rare]) / some, 0.0, 1.0))
    return low, high
