"""The last look at a plan before it is stored: no bid leaves outside the limits, whatever proposed it.

Policies clip to the limits themselves; guardrails do it again without trusting them, and write down each change.
A changed bid's expected figures are scaled with it, since no response table is at hand here.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from domain.limits import BidLimits
from domain.plans import ACTION, INTERVENTIONS, Action, BidPlan
from domain.tables import Known, empty

_AMOUNTS = (
    "impressions",
    *(f"{name}{end}" for name in ("spend", "clicks", "orders", "gmv") for end in ("", "_low", "_high")),
)


@dataclass(frozen=True, slots=True)
class Guardrails:
    """Holds a plan to the limits: floor, cap, tick, largest step, edits per day; refuses bids that are no numbers.

    Attributes
    ----------
    limits
        What platform and trader allow.
    """

    limits: BidLimits

    def review(self, plan: BidPlan, known: Known) -> BidPlan:
        """Same plan where all is well, else one with the changed units and an intervention for each change."""
        limits, units = self.limits, plan.units
        if units.is_empty():
            return plan
        live = known.live_bids.rows
        action = units["action"].cast(pl.String).to_numpy().astype(object)
        before = units["bid_cpc"].fill_null(float("nan")).to_numpy()
        at = live["bid_cpc"].fill_null(float("nan")).to_numpy()
        told = live["known"].to_numpy() & np.isfinite(at) & (at > 0)
        edits = action == Action.SET.value
        advised = action == Action.BID_UNKNOWN.value
        rule = np.full(units.height, None, object)
        bid = before.copy()

        lost = edits & ~(np.isfinite(bid) & (bid > 0))
        moves = (edits & ~lost) | (advised & np.isfinite(bid))
        if np.isfinite(limits.max_step):
            stepped = moves & told & edits
            least = np.clip(at * (1 - limits.largest_cut), limits.floor, limits.cap)
            most = np.clip(at * (1 + limits.max_step), limits.floor, limits.cap)
            far = stepped & ((bid < least - limits.tick) | (bid > most + 1e-9))
            bid[far], rule[far] = np.clip(bid, least, most)[far], "max_step"
        high, low = moves & (bid > limits.cap * (1 + 1e-12)), moves & (bid < limits.floor * (1 - 1e-12))
        bid[high], rule[high] = limits.cap, "cap"
        bid[low], rule[low] = limits.floor, "floor"
        ticks = np.round(np.floor(bid / limits.tick + 1e-6) * limits.tick, 10)
        crooked = moves & (np.abs(ticks - bid) > 1e-6 * limits.tick)
        bid[crooked] = np.maximum(ticks, limits.floor)[crooked]
        rule[crooked & (rule == None)] = "tick"  # noqa: E711 - elementwise

        held = lost.copy()
        rule[lost] = "not a bid"
        if limits.edits_per_day is not None:
            spent = (edits | (action == Action.PAUSE.value)) & (live["edits_today"].to_numpy() >= limits.edits_per_day)
            held |= spent
            rule[spent] = "edits_per_day"
        if not limits.may_pause:
            stuck = action == Action.PAUSE.value
            held |= stuck
            rule[stuck] = "may_not_pause"
        bid = np.where(held, np.where(told, at, np.nan), bid)
        action[held] = Action.HOLD.value
        touched = rule != None  # noqa: E711 - elementwise
        if not touched.any():
            return plan
        factor = np.divide(bid, before, out=np.ones_like(bid), where=np.isfinite(before) & (before > 0))
        factor = np.where(np.isfinite(factor), factor, 0.0)
        changed = units.with_columns(
            pl.Series("action", action.tolist(), dtype=ACTION),
            pl.Series("bid_cpc", bid, nan_to_null=True),
            pl.when(pl.Series(touched))
            .then(pl.Series("limit", rule.tolist(), dtype=pl.String))
            .otherwise(pl.col("limit"))
            .alias("limit"),
            *(pl.col(name) * pl.Series(factor) for name in _AMOUNTS),
        )
        noted = pl.DataFrame(
            {
                "unit_id": units["unit_id"].filter(pl.Series(touched)),
                "rule": pl.Series(rule[touched].tolist(), dtype=pl.String),
                "before": pl.Series(before[touched], nan_to_null=True),
                "after": pl.Series(bid[touched], nan_to_null=True),
            },
            schema_overrides=dict(INTERVENTIONS),
        )
        earlier = plan.interventions if plan.interventions.height else empty(INTERVENTIONS)
        return replace(plan, units=changed, interventions=pl.concat([earlier, noted.select(list(INTERVENTIONS))]))
