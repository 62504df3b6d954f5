"""Why bids changed since the last hour, as parts that add up, and what a bid 10 % higher or lower would do.

Second price: b = (cvr x order value + offset) / theta before limits. The parts replace one factor after another by
the new hour's, in that order. What is left is due to limits and rounding; under first price, and where there are several
slots, a bid lies below b by as much as the response table says, and what is left of a bid that no limit shaped is due
to that table: to the level of prices.
"""

import numpy as np
import polars as pl

from domain.outlook import Outlook
from domain.plans import BidPlan
from domain.tables import Floats

#: Names of the parts of a change, which add up to it.
PARTS = ("cvr", "order_value", "cost_targets", "theta", "price_level", "limits")


def why_changed(before: BidPlan, after: BidPlan) -> pl.DataFrame:
    """Parts of each unit's change of bid, account currency per click.

    Parameters
    ----------
    before, after
        Plans of two hours.

    Returns
    -------
    pl.DataFrame
        One row per unit of `after`: ``unit_id``, ``change``, and `PARTS`, which add up to it. Null where a unit had or
        has no bid.
    """
    both = after.units.select("unit_id").join(before.units, on="unit_id", how="left", maintain_order="left")
    old, new = _factors(both), _factors(after.units)
    steps = [_bid(*old)]
    for k in range(4):
        steps.append(_bid(*new[: k + 1], *old[k + 1 :]))
    was, now = (frame["bid_cpc"].fill_null(float("nan")).to_numpy() for frame in (both, after.units))
    parts = {name: steps[k + 1] - steps[k] for k, name in enumerate(("cvr", "order_value", "cost_targets", "theta"))}
    change = now - was
    left = change - sum(parts.values(), np.zeros_like(change))
    unshaped = both["limit"].is_null().to_numpy() & after.units["limit"].is_null().to_numpy()
    level = np.where(unshaped, left, 0.0 * left)
    columns = {"unit_id": after.units["unit_id"], "change": change, **parts}
    return pl.DataFrame({**columns, "price_level": level, "limits": left - level}, nan_to_null=True)


def nearby(outlook: Outlook, bid: Floats, step: float = 0.1) -> pl.DataFrame:
    """What bids of (1 - step) and (1 + step) times `bid` (n_units,) would change in the hour.

    Returns
    -------
    pl.DataFrame
        Two rows per unit, in the units' order, lower bid first: ``unit``, ``factor``, and the change of ``spend``,
        ``clicks``, ``orders``, ``gmv``, and ``roi`` at that bid.
    """
    table = outlook.at(0)
    here = table.expected(bid)
    frames: list[pl.DataFrame] = []
    for factor in (1 - step, 1 + step):
        there = table.expected(bid * factor)
        frames.append(
            pl.DataFrame(
                {
                    "unit": np.arange(outlook.n_units, dtype=np.uint32),
                    "factor": np.full(outlook.n_units, factor),
                    **{name: there[name] - here[name] for name in ("spend", "clicks", "orders", "gmv")},
                    "roi": there["gmv"] / there["spend"],
                }
            )
        )
    return pl.concat(frames).sort("unit", maintain_order=True)


def _factors(units: pl.DataFrame) -> list[Floats]:
    """Cvr, order value, offset, theta; a unit without expected orders keeps its click value in the first."""
    value, offset, theta, clicks, orders = (
        units[name].fill_null(float("nan")).to_numpy()
        for name in ("click_value", "offset", "theta", "clicks", "orders")
    )
    cvr = np.divide(orders, clicks, out=np.full_like(value, np.nan), where=clicks > 0)
    told = np.isfinite(cvr) & (cvr > 0)
    safe = np.where(told, cvr, 1.0)
    return [np.where(told, cvr, value), np.where(told, value / safe, 1.0), offset, theta]


def _bid(cvr: Floats, order_value: Floats, offset: Floats, theta: Floats) -> Floats:
    worth = cvr * order_value + offset
    return np.divide(worth, theta, out=np.full_like(worth, np.nan), where=(theta > 0) & np.isfinite(theta))
