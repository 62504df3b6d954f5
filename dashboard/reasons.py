"""Plans with a reason beside every bid."""

import polars as pl

from bidding import explain
from dashboard.session import Sight
from domain.plans import BidPlan


def with_reasons(seen: Sight, plan: BidPlan) -> pl.DataFrame:
    """Units of a plan with three texts each.

    ``reason`` is one sentence, ``why`` the shortest of it for a table, ``unit`` the name below the campaign.
    """
    inside = pl.col("unit_id").str.starts_with(pl.concat_str("campaign", pl.lit(" / "))).fill_null(False)
    below = pl.col("unit_id").str.slice(pl.col("campaign").str.len_chars() + 3)
    return seen.kept(
        "reasons",
        plan.hour.start,
        lambda: plan.units.with_columns(
            explain(plan, seen.currency).alias("reason"),
            explain(plan, seen.currency, brief=True).alias("why"),
            pl.when(inside).then(below).otherwise("unit_id").alias("unit"),
        ),
    )
