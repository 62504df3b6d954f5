"""Units that a person holds: in the plan their bids stay, and what was planned before the hold is not sent.

A hold is asked for twice: when the plan is made, so that the plan says who holds the unit, and right before it is
sent, so that a hold said meanwhile counts too. Only the breaker's hard caps are stronger: they stop spend whoever
holds a unit.
"""

from dataclasses import dataclass, replace

import polars as pl

from domain.plans import ACTION, INTERVENTIONS, RECEIPTS, Action, BidPlan, Receipts, ReceiptState
from domain.tables import Known

_FIGURES = (
    "impressions",
    *(f"{name}{end}" for name in ("spend", "clicks", "orders", "gmv") for end in ("", "_low", "_high")),
)
_CHANGED = (Action.SET.value, Action.PAUSE.value)


def words_of(author: pl.Expr) -> pl.Expr:
    """How a plan says who holds a unit."""
    return pl.format("held by {}", author)


@dataclass(frozen=True, slots=True)
class PersonsHolds:
    """Keeps the live bids of units that a person holds.

    Attributes
    ----------
    held
        Holds in force, columns ``unit_id`` and ``author``.
    """

    held: pl.DataFrame

    def review(self, plan: BidPlan, known: Known) -> BidPlan:
        """Same plan where nobody holds a unit of it, else one that holds those units and says who does.

        Expected figures of a bid that would have changed are scaled to the live bid; of a unit that would have been
        paused they are not known. A unit whose live bid is unknown keeps its advice: nothing can be sent anyway.
        """
        who = self.held.select("unit_id", words_of(pl.col("author")).alias("who"))
        units = plan.units.join(who, on="unit_id", how="left", maintain_order="left")
        action = pl.col("action").cast(pl.String)
        mine = pl.col("who").is_not_null() & (action != Action.BID_UNKNOWN.value)
        touched = units.filter(mine)
        if touched.is_empty():
            return plan
        factor = (
            pl.when(action == Action.SET.value)
            .then(pl.col("live_bid_cpc") / pl.col("bid_cpc"))
            .when(action != Action.PAUSE.value)
            .then(1.0)
        )
        held = units.with_columns(
            *(pl.when(mine).then(pl.col(name) * factor).otherwise(name).alias(name) for name in _FIGURES),
            pl.when(mine).then("live_bid_cpc").otherwise("bid_cpc").alias("bid_cpc"),
            pl.when(mine).then(pl.lit(Action.HOLD.value)).otherwise(action).cast(ACTION).alias("action"),
            pl.when(mine).then("who").otherwise("limit").alias("limit"),
        ).drop("who")
        noted = touched.filter(action.is_in(_CHANGED)).select(
            "unit_id",
            pl.col("who").alias("rule"),
            pl.col("bid_cpc").alias("before"),
            pl.col("live_bid_cpc").alias("after"),
        )
        notes = pl.concat([plan.interventions, noted.select(list(INTERVENTIONS))])
        return replace(plan, units=held, interventions=notes)


def without_held(plan: BidPlan, held: pl.DataFrame) -> tuple[BidPlan, Receipts]:
    """Plan as it may be sent, and a receipt *not sent* for each unit that was held after the plan was made.

    Parameters
    ----------
    plan
        As it was stored.
    held
        Holds in force now, columns ``unit_id`` and ``author``.
    """
    who = held.select("unit_id", words_of(pl.col("author")).alias("reason"))
    capped = pl.col("limit").fill_null("").str.starts_with("hard cap")
    late = plan.units.filter(pl.col("action").cast(pl.String).is_in(_CHANGED), ~capped).join(who, on="unit_id")
    left_out = late.select(
        "unit_id",
        pl.lit(ReceiptState.NOT_SENT.value).cast(RECEIPTS["state"]).alias("state"),
        pl.lit(None, pl.Float64).alias("bid_cpc"),
        "reason",
    )
    if late.is_empty():
        return plan, Receipts(left_out)
    mine = pl.col("unit_id").is_in(late["unit_id"].to_list())
    units = plan.units.with_columns(
        pl.when(mine).then("live_bid_cpc").otherwise("bid_cpc").alias("bid_cpc"),
        pl.when(mine).then(pl.lit(Action.HOLD.value)).otherwise(pl.col("action").cast(pl.String)).cast(ACTION).alias("action"),
    )  # fmt: skip
    return replace(plan, units=units), Receipts(left_out)
