"""Policies to compare with that need no optimizer: keep the bids, or set them once and never look again."""

from dataclasses import dataclass, replace

import numpy as np

from bidding.policies.clipping import Live, Proposal, legal
from bidding.policies.table import plan
from domain.limits import BidLimits
from domain.outlook import Outlook
from domain.plans import Action, BidPlan, RowReport, SpendTargets
from domain.tables import Floats, Known


@dataclass(frozen=True, slots=True)
class HoldPolicy:
    """Every live bid stays."""

    def propose(self, known: Known, outlook: Outlook, targets: SpendTargets, limits: BidLimits) -> BidPlan:
        """Plan that keeps all bids."""
        return stored(known, outlook, targets, kept(Live.of(known)), "hold: every bid stays")


@dataclass(frozen=True, slots=True)
class StaticPolicy:
    """Bids once what last month's model says a click is worth over the first price of money; then never changes."""

    def propose(self, known: Known, outlook: Outlook, targets: SpendTargets, limits: BidLimits) -> BidPlan:
        """First bids where nothing has run yet, else the live ones."""
        live = Live.of(known)
        if started(known):
            return stored(known, outlook, targets, kept(live), "static: bids were set once")
        return stored(known, outlook, targets, first_bids(known, targets, live, limits), "static: first bids")


def started(known: Known) -> bool:
    """Whether any hour has been reported with a bid of ours in force."""
    return bool(known.performance["bid_cpc"].is_not_null().any())


def prior_value(known: Known) -> Floats:
    """(n_units,) value of a click as last month's model has it; 0 where it says nothing."""
    units = known.units
    order_value = units["prior_order_value"].fill_null(units["price"])
    return (units["prior_cvr"] * order_value).fill_null(0.0).to_numpy()


def first_bids(known: Known, targets: SpendTargets, live: Live, limits: BidLimits) -> Proposal:
    """Prior click value over the price of money, free of the step limit: there is no bid yet to step from."""
    theta = np.where(np.isfinite(targets.theta) & (targets.theta > 0), targets.theta, np.inf)
    nothing = replace(live, bid=np.full(theta.size, np.nan))
    return legal(prior_value(known) / theta, nothing, limits)


def kept(live: Live) -> Proposal:
    """Every live bid stays; paused ones stay paused."""
    n = live.bid.size
    bid = np.where(live.paused | live.archived, np.nan, live.bid)
    action = np.where(live.known, Action.KEEP.value, Action.BID_UNKNOWN.value).astype(object)
    return Proposal(bid, action, np.full(n, None, object))


def stored(known: Known, outlook: Outlook, targets: SpendTargets, proposal: Proposal, reason: str) -> BidPlan:
    """Plan of a baseline: its click values are the prior ones, and the price of money is what its bids imply."""
    value = prior_value(known)
    bid = np.where(np.isfinite(proposal.bid), proposal.bid, 0.0)
    theta = np.divide(value, bid, out=np.full_like(value, np.inf), where=bid > 0)
    return plan(
        known,
        outlook,
        targets,
        proposal,
        click_value=value,
        theta=theta,
        offset=np.zeros_like(value),
        reason=reason,
    )


def account_row(targets: SpendTargets, kind: str) -> RowReport | None:
    """The account's target of a kind ("budget", "roi"), or ``None``."""
    return next((r for r in targets.rows if r.kind == kind and r.group == "account"), None)
