"""Turns wanted bids into legal ones: floor, cap, step window, tick; and says which of them shaped each bid."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from domain.limits import BidLimits
from domain.outlook import Outlook
from domain.plans import Action
from domain.tables import Bools, Floats, Ints, Known

Texts = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Live:
    """Live bids as arrays (n_units,): bid (NaN where there is none), whether known, paused, archived; edits today."""

    bid: Floats
    known: Bools
    paused: Bools
    archived: Bools
    edits: Ints

    @classmethod
    def of(cls, known: Known) -> "Live":
        """Live bids of what was known."""
        rows = known.live_bids.rows
        state = rows["state"].cast(pl.String)
        return cls(
            bid=rows["bid_cpc"].fill_null(float("nan")).to_numpy(),
            known=rows["known"].to_numpy(),
            paused=(state == "paused").fill_null(False).to_numpy(),
            archived=(state == "archived").fill_null(False).to_numpy(),
            edits=rows["edits_today"].fill_null(0).to_numpy(),
        )


@dataclass(frozen=True, slots=True)
class Proposal:
    """Bids and what is done with them, all (n_units,); `bid` is NaN for a pause and where nothing is known."""

    bid: Floats
    action: Texts
    limit: Texts


def legal(wanted: Floats, live: Live, limits: BidLimits, highest: Floats | None = None) -> Proposal:
    """Nearest legal bid to each wanted one (account currency; <= 0 = no bid, NaN = no estimate).

    Parameters
    ----------
    highest
        (n_units,) bid beyond which the response is unknown, or ``None``.
    """
    n = wanted.size
    limit: Texts = np.full(n, None, object)
    action: Texts = np.full(n, Action.SET.value, object)
    blind = ~np.isfinite(wanted) & ~np.isposinf(wanted)
    bid = np.where(blind, 0.0, wanted)
    if highest is not None:
        over = bid > highest
        bid, limit[over] = np.where(over, highest, bid), "table_end"
    worthless = bid < limits.floor * (1 - 1e-9)
    over = bid > limits.cap
    bid, limit[over] = np.where(over, limits.cap, bid), "cap"
    bid, limit[worthless] = np.where(worthless, limits.floor, bid), "floor"
    low = np.full(n, limits.floor)
    stands = np.isfinite(live.bid) & (live.bid > 0)
    if np.isfinite(limits.max_step):
        # A step window that lies outside floor and cap yields to them.
        least = np.where(stands, live.bid * (1.0 - limits.largest_cut), 0.0)
        most = np.where(stands, live.bid * (1.0 + limits.max_step), np.inf)
        least, most = np.clip(least, limits.floor, limits.cap), np.clip(most, limits.floor, limits.cap)
        limit[(bid < least) | (bid > most)] = "max_step"
        bid, low = np.clip(bid, least, most), least
    # Down to the tick, but never below the lowest legal bid.
    ticks = np.floor(bid / limits.tick + 1e-6)
    least_ticks = np.ceil(low / limits.tick - 1e-6)
    bid = np.round(np.maximum(ticks, least_ticks) * limits.tick, 10)
    bid = np.minimum(bid, limits.cap)
    if limits.may_pause:
        # No bid at all is worth more than the lowest legal one; a pause is no step.
        action[worthless] = Action.PAUSE.value
        bid = np.where(worthless, np.nan, bid)
    same = live.known & ~live.paused & stands & (np.abs(bid - live.bid) < 0.999 * limits.tick)
    action[same], bid = Action.KEEP.value, np.where(same, live.bid, bid)
    asleep = worthless & live.paused & limits.may_pause
    action[asleep] = Action.KEEP.value
    unknown = ~live.known
    action[unknown] = Action.BID_UNKNOWN.value
    held = blind | live.archived
    limit[blind], limit[live.archived] = "no_estimate", "archived"
    if limits.edits_per_day is not None:
        wants = (action == Action.SET.value) | (action == Action.PAUSE.value)
        spent = wants & (live.edits >= limits.edits_per_day)
        held |= spent
        limit[spent] = "edits_per_day"
    action[held] = Action.HOLD.value
    bid = np.where(held, np.where(live.archived | live.paused, np.nan, live.bid), bid)
    return Proposal(bid, action, limit)


def proxied(live: Live, outlook: Outlook) -> Live:
    """Same live bids, with the stated proxy where the bid is unknown, so that step windows have a centre.

    A paused unit has no bid that could be unknown: it may be given one again.
    """
    asleep = live.known & (live.paused | (live.bid == 0))
    known = live.known & (outlook.bid_known | asleep)
    return Live(np.where(known, live.bid, outlook.bid_proxy), known, live.paused, live.archived, live.edits)
