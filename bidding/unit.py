"""Explains one unit's bid: what sets it, what a bid 10 % lower or higher would do, and why it moved since last hour."""

from dataclasses import dataclass, replace

import numpy as np

from bidding.changes import PARTS, why_changed
from bidding.explanations import explain
from bidding.words import amount
from domain.errors import ConfigError
from domain.outlook import HourTable, Outlook
from domain.plans import BidPlan

_WORDS = {
    "cvr": "orders per click",
    "order_value": "value of an order",
    "cost_targets": "CPC and CPA targets",
    "theta": "price of money",
    "price_level": "market price level",
    "limits": "limits and rounding",
}


@dataclass(frozen=True, slots=True)
class Alternative:
    """What another bid would change in the hour.

    Attributes
    ----------
    factor, bid
        Multiple of the plan's bid, and that bid, account currency per click.
    spend, clicks, orders, gmv
        Change against the plan's bid, expected for the hour.
    roi
        Gmv per spend at that bid; ``None`` where nothing is spent.
    words
        One sentence.
    """

    factor: float
    bid: float
    spend: float
    clicks: float
    orders: float
    gmv: float
    roi: float | None
    words: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a unit's bid is what it is.

    Attributes
    ----------
    unit, bid
        Unit, and its bid in the plan; ``None`` = no bid.
    click_value, offset, theta
        Value of a click, what cost targets add to it, price of money: second price, bid = (value + offset) / theta.
    why
        The plan's reason in a trader's words.
    nearby
        Bids 10 % lower and higher; empty where there is no bid.
    change
        Change of the bid since the plan before; ``None`` where either has no bid, or there is none.
    parts
        What the change is made of, by name (`bidding.changes.PARTS`); they add up to it.
    words
        All of it, line by line.
    """

    unit: str
    bid: float | None
    click_value: float | None
    offset: float | None
    theta: float | None
    why: str
    nearby: tuple[Alternative, ...]
    change: float | None
    parts: tuple[tuple[str, float], ...]
    words: tuple[str, ...]


def explain_unit(
    plan: BidPlan, outlook: Outlook, before: BidPlan | None, unit: str, *, currency: str = "", step: float = 0.1
) -> Explanation:
    """Explain the bid of one unit.

    Parameters
    ----------
    plan, outlook
        Plan of the hour, and the outlook it was made from, units in the same order.
    before
        Plan of the hour before, in any order of units; ``None`` where there is none.
    unit
        Its ``unit_id``; `ConfigError` where the plan does not know it.
    currency
        ISO code for the words.
    step
        Relative distance of the bids that are compared.
    """
    at = plan.units["unit_id"].index_of(unit)
    if at is None:
        near = plan.units["unit_id"].head(5).to_list()
        raise ConfigError(f"no unit {unit!r} in the plan for {plan.hour}; there are {', '.join(near) or 'none'}, ...")
    if outlook.n_units != plan.units.height:
        raise ConfigError(
            f"the outlook knows {outlook.n_units} units, the plan {plan.units.height}; give those of one hour"
        )
    row = plan.units.row(at, named=True)
    one = replace(plan, units=plan.units[at : at + 1])
    # `explain` needs the whole plan's tree of groups, so the sentence is made for all and one is kept.
    why = str(explain(plan, currency)[at])
    bid = row["bid_cpc"] if row["bid_cpc"] else None
    around = () if bid is None else _around(outlook, at, float(bid), step, currency)
    change, parts = None, ()
    if before is not None:
        moved = why_changed(before, one).row(0, named=True)
        if moved["change"] is not None:
            change = float(moved["change"])
            parts = tuple((name, float(moved[name] or 0.0)) for name in PARTS)
    words = (why, *(a.words for a in around), _change_in_words(before is not None, bid, change, parts, currency))
    return Explanation(unit, bid, row["click_value"], row["offset"], row["theta"], why, around, change, parts, words)


def _around(outlook: Outlook, at: int, bid: float, step: float, currency: str) -> tuple[Alternative, ...]:
    """The unit's response of the hour, read a step below and above the bid."""
    i = slice(at, at + 1)
    t, p, v = outlook.traffic[i, :1], float(outlook.price[0]), float(outlook.value[0])
    table = HourTable(
        outlook.hours[0], outlook.bids[i] * p, outlook.impressions[i] * t, outlook.clicks[i] * t,
        outlook.spend[i] * (t * p), outlook.orders[i] * (t * v), outlook.gmv[i] * (t * v),
    )  # fmt: skip
    here = table.expected(np.array([bid])).row(0, named=True)
    found: list[Alternative] = []
    for factor in (1 - step, 1 + step):
        there = table.expected(np.array([bid * factor])).row(0, named=True)
        more = {name: there[name] - here[name] for name in ("spend", "clicks", "orders", "gmv")}
        roi = there["gmv"] / there["spend"] if there["spend"] > 0 else None
        told = ", ".join(
            f"{name} by {_signed(more[name])}{f' {currency}' if currency and name in ('spend', 'gmv') else ''}"
            for name in more
        )
        end = "" if roi is None else f"; its ROI would be {amount(roi)}"
        text = f"a bid {abs(factor - 1):.0%} {'lower' if factor < 1 else 'higher'} ({amount(bid * factor)}) would change {told}{end}"
        found.append(Alternative(factor, bid * factor, **more, roi=roi, words=text))
    return tuple(found)


def _change_in_words(
    known: bool, bid: float | None, change: float | None, parts: tuple[tuple[str, float], ...], currency: str
) -> str:
    if not known:
        return "there is no plan of the hour before to compare with"
    if change is None:
        return "no bid now, so no change to explain" if bid is None else "it had no bid in the hour before"
    money = f" {currency}" if currency else ""
    told = [f"{_WORDS[name]} {_signed(part)}" for name, part in parts if abs(part) > 5e-5 * max(abs(bid or 0.0), 1e-9)]
    if abs(change) <= 1e-9 and not told:
        return "the bid is that of the hour before"
    return f"since the hour before: {_signed(change)}{money} ({', '.join(told) or 'rounding'})"


def _signed(number: float) -> str:
    return f"{'-' if number < 0 else '+'}{amount(abs(number))}"
