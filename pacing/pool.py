"""Who carries a pooled target: what each member of a group has bought, and how much slack it gives or takes.

Under one ROI row sum(gmv) >= rho sum(spend), a member gives the pool ``gmv - rho spend``; the gifts of all members add
up to the pool's slack. A member that takes is no waste: at the optimum the last money returns the same everywhere, so
good members pay for the reach of others.
"""

import numpy as np
import polars as pl

from domain.groups import Groups
from pacing.ledger import Bought


def contributions(bought: Bought, groups: Groups, group: int, target_roi: float) -> pl.DataFrame:
    """What the direct members of a group contribute to its ROI target.

    Parameters
    ----------
    bought
        Per group of the account's tree, orders and gmv matured (`pacing.ledger.Ledger.since`).
    group
        Position of the pool in `groups`.
    target_roi
        Gmv per unit of spend that is asked of the pool.

    Returns
    -------
    pl.DataFrame
        ``member, spend, gmv, roi, slack, share_of_spend``, largest giver first; units that hang on the pool itself
        come as ``(others)``. `slack` is ``gmv - target spend``, account currency; `roi` is null without spend.
    """
    inside = np.flatnonzero(groups.parent == group)
    names = [groups.names[int(k)] for k in inside]
    spend, gmv = bought.spend[inside], bought.gmv[inside]
    rest = float(bought.spend[group] - spend.sum()), float(bought.gmv[group] - gmv.sum())
    if bool((groups.leaf == group).any()):
        names.append("(others)")
        spend, gmv = np.append(spend, rest[0]), np.append(gmv, rest[1])
    total = max(float(bought.spend[group]), 1e-12)
    frame = pl.DataFrame(
        {
            "member": pl.Series(names, dtype=pl.String),
            "spend": spend,
            "gmv": gmv,
            "roi": np.divide(gmv, spend, out=np.full_like(gmv, np.nan), where=spend > 0),
            "slack": gmv - target_roi * spend,
            "share_of_spend": spend / total,
        },
        nan_to_null=True,
    )
    return frame.sort("slack", descending=True, maintain_order=True)
