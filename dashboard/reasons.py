"""Plans with a reason beside every bid."""

import polars as pl

from bidding import explain
from dashboard.session import Sight
from domain.plans import BidPlan


def with_reasons(seen: Sight, plan: BidPlan) -> pl.DataFrame:
    """Units of a plan with ``reason``, one sentence each."""
    return seen.kept(
        "reasons", plan.hour.start, lambda: plan.units.with_columns(explain(plan, seen.currency).alias("reason"))
    )
