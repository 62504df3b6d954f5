"""New customers of an account: from that report which tells of them in most detail, for the command and the pages."""

from datetime import datetime

import polars as pl

from data import Workspace
from predictors.new_customers import NewCustomers, new_customer_rates

#: Reports in order of their detail, each with what a row is about.
_REPORTS = {
    "advertised_product": ("campaign", "ad_group", "sku"),
    "targeting": ("campaign", "ad_group", "target", "match_type"),
    "search_term": ("campaign", "ad_group", "target", "match_type", "search_term"),
    "placement": ("campaign", "placement"),
    "campaign": ("campaign",),
}
#: Part of the orders of the fullest report that a report must tell of to be preferred for its detail.
_NEARLY_ALL = 0.9


def new_customers(workspace: Workspace, account: str, at: datetime | None = None) -> NewCustomers:
    """Chance that an order is a new customer's, from all imported days known at an instant (``None``: now)."""
    told = workspace.facts(account, at).filter(
        pl.col("new_customer_orders").is_not_null() & (pl.col("orders") > 0) & pl.col("campaign").is_not_null()
    )
    orders = dict(told.group_by("report").agg(pl.col("orders").sum()).iter_rows())
    report = next((r for r in _REPORTS if orders.get(r, 0.0) >= _NEARLY_ALL * max(orders.values(), default=1.0)), None)
    if report is None:
        return NewCustomers.none(
            "no imported report tells orders of new customers; Amazon tells them (New-to-brand Orders) for Sponsored "
            "Brands and Sponsored Display, not for Sponsored Products"
        )
    rows = (
        told.filter(pl.col("report") == report)
        .group_by(_REPORTS[report], maintain_order=True)
        .agg(pl.col("orders").sum(), pl.col("new_customer_orders").sum())
    )
    rows = _with_category(rows, workspace.units(account, at))
    return new_customer_rates(rows, rows["orders"].to_numpy(), rows["new_customer_orders"].to_numpy())


def _with_category(rows: pl.DataFrame, units: pl.DataFrame) -> pl.DataFrame:
    """Rows with the category of their SKU, else that of their campaign where all its units share one."""
    known = units.filter(pl.col("category").is_not_null())
    by_campaign = (
        known.group_by("campaign")
        .agg(pl.col("category").first().alias("of_campaign"), pl.col("category").n_unique().alias("many"))
        .filter(pl.col("many") == 1)
        .drop("many")
    )
    rows = rows.join(by_campaign, on="campaign", how="left", maintain_order="left")
    if "sku" not in rows.columns:
        return rows.rename({"of_campaign": "category"})
    by_sku = known.filter(pl.col("sku").is_not_null()).unique("sku", keep="first").select("sku", "category")
    rows = rows.join(by_sku, on="sku", how="left", maintain_order="left")
    return rows.with_columns(pl.coalesce("category", "of_campaign").alias("category"))
