"""The price of stability: what each notch of steadiness saves in edits, and what it gives up in gmv."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from bidding.policies.steadiness import Steadiness
from bidding.policies.theta import ThetaPolicy
from domain.limits import BidLimits
from domain.outlook import Outlook
from domain.plans import Action, SpendTargets
from domain.tables import Known

#: Shares of the hour's gain that are tried.
NOTCHES = (0.0, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02)


def price_of_stability(
    known: Known,
    outlook: Outlook,
    targets: SpendTargets,
    limits: BidLimits,
    notches: Sequence[float] = NOTCHES,
    base: Steadiness | None = None,
) -> pl.DataFrame:
    """What an hour's bids would be at each notch of `Steadiness.share`.

    Parameters
    ----------
    notches
        Shares of the hour's gain that may be given up; the first is what the others are compared with.
    base
        Other settings of steadiness; ``None`` = the defaults.

    Returns
    -------
    pl.DataFrame
        One row per notch: ``share``, ``edits`` (units that are set or paused), ``bid_change`` (mean absolute change of the
        logarithm of bids, weighted by spend), expected ``spend`` and ``gmv`` of the hour, and ``lost``: payoff
        gmv - theta spend that is given up, as a share of the first notch's gmv.
    """
    table = outlook.at(0)
    theta = np.where(np.isfinite(targets.theta), targets.theta, 0.0)
    rows: list[dict[str, float]] = []
    best = 0.0
    for share in notches:
        policy = ThetaPolicy(replace(base or Steadiness(), share=share))
        units = policy.propose(known, outlook, targets, limits).units
        bid = units["bid_cpc"].fill_null(0.0).to_numpy()
        live = units["live_bid_cpc"].fill_null(0.0).to_numpy()
        bought = table.expected(np.where(units["action"] == Action.PAUSE.value, 0.0, bid))
        spend, gmv = bought["spend"].to_numpy(), bought["gmv"].to_numpy()
        payoff = float(gmv.sum() - theta @ spend)
        if not rows:
            best = payoff
        moved = (bid > 0) & (live > 0)
        change = np.abs(np.log(np.where(moved, bid, 1.0) / np.where(moved, live, 1.0)))
        rows.append(
            {
                "share": share,
                "edits": float(units["action"].is_in([Action.SET.value, Action.PAUSE.value]).sum()),
                "bid_change": float(change @ spend / max(spend.sum(), 1e-12)),
                "spend": float(spend.sum()),
                "gmv": float(gmv.sum()),
                "lost": (best - payoff) / max(rows[0]["gmv"] if rows else float(gmv.sum()), 1e-12),
            }
        )
    return pl.DataFrame(rows)
