"""Fact files that were written before a column was there: their rows have null in it, and stay readable for good."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import polars as pl

from data import Workspace
from data.ingest import FACT_TABLE, STORED_FACTS

Take = Callable[..., Any]
Facts = Callable[..., pl.DataFrame]


def forget_the_column(workspace: Workspace) -> None:
    """Make all fact files what an older version wrote."""
    for path in (workspace.home / "facts" / FACT_TABLE).rglob("*.parquet"):
        pl.read_parquet(path, hive_partitioning=False).drop("new_customer_orders").write_parquet(path)


def told(workspace: Workspace) -> dict[str, float | None]:
    return dict(workspace.facts("shop").select("target", "new_customer_orders").iter_rows())


def test_old_files_have_null_in_a_new_column_and_can_be_put_together_with_new_ones(
    workspace: Workspace, take: Take, facts: Facts, now: datetime
) -> None:
    take(facts({"target": "old"}))
    forget_the_column(workspace)
    reopened = Workspace.open(workspace.home)
    assert told(reopened) == {"old": None}
    rows = facts({"target": "new", "new_customer_orders": 1.0}, {"target": "newer", "new_customer_orders": 0.0})
    take(rows, "b.csv")
    after = {"old": None, "new": 1.0, "newer": 0.0}
    assert told(Workspace.open(workspace.home)) == after
    workspace.compact("shop", now)
    assert told(Workspace.open(workspace.home)) == after
    files = list((workspace.home / "facts" / FACT_TABLE).rglob("*.parquet"))
    assert any(pl.read_parquet(f, hive_partitioning=False).columns == list(STORED_FACTS) for f in files)


def test_the_same_day_imported_again_with_the_column_is_a_correction(
    workspace: Workspace, take: Take, facts: Facts
) -> None:
    take(facts({"orders": 2.0}))
    forget_the_column(workspace)
    again = Workspace.open(workspace.home)
    take(facts({"orders": 2.0, "new_customer_orders": 2.0}), "again.csv")
    assert again.facts("shop")["new_customer_orders"].to_list() == [2.0]
    assert again.fact_history("shop")["new_customer_orders"].to_list() == [None, 2.0]
