"""What callers of `AuctionBidder` hand over, checked: names, numbers, values, and logs that contradict themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from domain.auctions import Day, TickLog, column
from domain.errors import ConfigError, InvalidPlan
from domain.goals import Objective
from domain.outlook import Auction
from domain.tables import Bools, Floats

OBJECTIVES = {
    "orders": Objective.ORDERS, "order": Objective.ORDERS, "conversions": Objective.ORDERS, "conversion": Objective.ORDERS,
    "cpa": Objective.ORDERS, "clicks": Objective.CLICKS, "click": Objective.CLICKS, "cpc": Objective.CLICKS,
    "gmv": Objective.GMV, "value": Objective.GMV, "roi": Objective.GMV, "roas": Objective.GMV,
}  # fmt: skip
AUCTIONS = {
    "second_price": Auction.SECOND_PRICE, "second": Auction.SECOND_PRICE, "gsp": Auction.SECOND_PRICE,
    "vcg": Auction.SECOND_PRICE, "first_price": Auction.FIRST_PRICE, "first": Auction.FIRST_PRICE,
}  # fmt: skip


def named(known: Mapping[str, Any], raw: Any, what: str) -> Any:
    """What a name stands for."""
    key = str(getattr(raw, "value", raw)).strip().lower().replace("-", "_").replace(" ", "_")
    if key not in known:
        raise ConfigError(f"{what} {raw!r}: write one of {sorted(known)}")
    return known[key]


def number(raw: Any) -> float:
    """Number, or NaN where it is none."""
    try:
        found = np.asarray(raw, np.float64)
    except (TypeError, ValueError):
        return float("nan")
    return float(found.reshape(())) if found.size == 1 else float("nan")


def check_terms(budget: Any, target: Any, n_ticks: Any, objective: Objective) -> tuple[float, float | None, int]:
    """Budget, target and number of ticks of a day; `ConfigError` where they make no sense."""
    money = number(budget)
    if not (np.isfinite(money) and money >= 0):
        raise ConfigError(f"budget of {budget}: write an amount of account currency, 0 or more")
    goal = None if target is None else number(target)
    if goal is not None and not (np.isfinite(goal) and goal > 0):
        name = {Objective.ORDERS: "CPA", Objective.CLICKS: "CPC", Objective.GMV: "ROI"}[objective]
        raise ConfigError(f"target of {target}: write a positive {name}, or None for the budget alone")
    n = number(n_ticks)
    if not 1 <= n <= 100_000 or n != np.floor(n):
        raise ConfigError(f"n_ticks of {n_ticks}: write the whole number of ticks in the day")
    return money, goal, int(n)


def check_tick(raw: Any, n_ticks: int, last: int | None, notes: list[str]) -> int:
    """Number of a tick after the `last` one that was bid in; `InvalidPlan` where the day does not have it, or it lies behind."""
    told = number(raw)
    if not 0 <= told <= n_ticks or told != np.floor(told):
        raise InvalidPlan(f"tick {raw}: the day has the ticks 0 to {n_ticks - 1}; call reset for a new day")
    tick = int(told)
    if tick == n_ticks:
        notes.append(f"tick {tick} lies behind the day's last one and is treated as it")
        tick = n_ticks - 1
    if last is not None and tick < last:
        raise InvalidPlan(f"tick {tick} after tick {last}: ticks come in order; call reset for a new day")
    if last is not None and tick > last + 1:
        notes.append(f"ticks {last + 1} to {tick - 1} are missing")
    return tick


def logs_of(days: Sequence[Day]) -> list[TickLog]:
    """Logs of past days that hold an auction; `InvalidPlan` where these are no days."""
    every = [log for day in _listed(days) if not isinstance(day, TickLog) for log in _listed(day)]
    if any(log is not None and not isinstance(log, TickLog) for log in every):
        raise InvalidPlan("fit takes days, each a sequence of one TickLog per tick (None where one is missing)")
    if any(isinstance(day, TickLog) for day in days):
        raise InvalidPlan("fit takes days, each a sequence of one TickLog per tick; for one day write fit([logs])")
    return [log for day in days for log in day if log is not None and log.n > 0]


def _listed(raw: Any) -> Sequence[Any]:
    """Anything that can be gone through, as a list."""
    try:
        return list(raw)
    except TypeError as error:
        raise InvalidPlan(f"fit: {error}; it takes days, each a sequence of one TickLog per tick") from error


def log_from(raw: Any) -> TickLog:
    """Log from its columns by name, or the last of several logs."""
    if isinstance(raw, TickLog):
        return raw
    if isinstance(raw, list | tuple):
        logs = cast("Sequence[Any]", raw)
        if logs and isinstance(logs[-1], TickLog):
            return logs[-1]
    if isinstance(raw, Mapping):
        try:
            return TickLog(**cast("Mapping[str, Any]", raw))
        except TypeError as error:
            raise InvalidPlan(f"observed: {error}; hand over a TickLog, or its columns by name") from error
    kind = type(cast("object", raw)).__name__
    raise InvalidPlan(f"observed is a {kind}; hand over a TickLog, its columns by name, or None")


def usable_values(values: Any, objective: Objective, notes: list[str]) -> tuple[Floats, Bools]:
    """Values as numbers, and which of them can be bid on; `InvalidPlan` where most cannot."""
    told = column(values, "values", unusable=True)
    top = np.inf if objective is Objective.GMV else 1.0
    with np.errstate(invalid="ignore"):
        usable = np.isfinite(told) & (told >= 0) & (told <= top)
    bad = int((~usable).sum())
    if bad > 0.5 * told.size:
        raise InvalidPlan(
            f"values: {bad} of {told.size} are no {'amounts' if top > 1 else 'probabilities'} (NaN, negative"
            f"{'' if top > 1 else ' or above 1'}); hand over the value of one exposure"
        )
    if bad:
        notes.append(f"{bad} of {told.size} values cannot be used: no bid there")
    return told, usable


def check_sds(value_sds: Any, n: int, notes: list[str]) -> None:
    """Note standard errors that cannot be used; `InvalidPlan` for arrays of another length."""
    if value_sds is None:
        return
    sds = column(value_sds, "value_sds", (1, n), unusable=True)
    if not bool(np.all(np.isfinite(sds) & (sds >= 0))):
        notes.append("some standard errors of values cannot be used")


def consistent(log: TickLog, tick: int, worth: Floats, bids: Floats, notes: list[str]) -> TickLog:
    """Log without the rows that contradict themselves or the bids; `InvalidPlan` where most wins do."""
    if log.n != bids.size:
        raise InvalidPlan(
            f"observed: {log.n} auctions, but tick {tick} was bid in {bids.size}; hand over the log of that tick, in order"
        )
    told = log.price_to_win
    assert told is not None
    off = ~np.isclose(log.bids, bids, rtol=1e-6, atol=0.0) & ((log.bids > 0) | (bids > 0))
    if off.any():
        notes.append(f"tick {tick}: the log has other bids than were made in {int(off.sum())} auctions; its own count")
    if not np.allclose(np.where(worth > 0, log.values, 0.0), worth, rtol=1e-6, atol=0.0):
        notes.append(f"tick {tick}: the log has other values than were bid on; those that were bid on count")
        log = replace(log, values=worth)
    if abs(log.paid - log.charged) > 0.01 * log.charged + 1e-9:
        notes.append(
            f"tick {tick}: a spend of {log.paid:.6g} is told, but prices of {log.charged:.6g} for what was exposed; the spend counts"
        )
    won = log.position > 0
    odd = won & ((log.bids <= 0) | (log.price > log.bids * (1 + 1e-6) + 1e-12) | (told > log.bids * (1 + 1e-6)))
    odd |= ~won & (log.exposed | (log.conversions > 0) | (log.price > 0))
    n_odd = int(odd.sum())
    if n_odd == 0:
        return log
    if n_odd > 0.5 * max(int(won.sum()), 1):
        raise InvalidPlan(
            f"observed of tick {tick}: {n_odd} auctions contradict themselves (won without a bid or under the price, "
            "or lost and yet charged); check which column is which"
        )
    notes.append(f"tick {tick}: {n_odd} auctions contradict themselves and were left out")
    keep = ~odd
    return TickLog(
        np.where(keep, log.values, 0.0), log.value_sds, np.where(keep, log.bids, 0.0), np.where(keep, log.position, 0),
        np.where(keep, log.price, 0.0), log.exposed & keep, np.where(keep, log.conversions, 0.0), told, log.spend,
    )  # fmt: skip
