"""The audit file: every unit of a plan with its old and new bid, what is expected of it, and why."""

import os
from pathlib import Path

import polars as pl

from connectors.spreadsheet import defused
from domain.plans import BidPlan
from domain.tables import UNITS, check

COLUMNS = (
    "unit", "campaign", "ad_group", "target", "match_type", "sku", "action", "old_bid", "new_bid", "change",
    "spend", "spend_low", "spend_high", "clicks", "orders", "gmv", "limit", "reason",
)  # fmt: skip


def audit_rows(plan: BidPlan, reasons: pl.Series, units: pl.DataFrame) -> pl.DataFrame:
    """Rows of the audit file.

    Parameters
    ----------
    plan
        The plan; all its units are listed.
    reasons
        (n_units,) one sentence per unit, in the plan's order.
    units
        Columns `UNITS`, looked up by ``unit_id``.

    Returns
    -------
    pl.DataFrame
        Columns `COLUMNS`. ``change`` = new / old - 1, null where the old bid is unknown. Texts are safe to open
        in a spreadsheet, numbers are numbers.
    """
    names = check(units, UNITS, "units").select("unit_id", "ad_group", "target", "match_type", "sku").unique("unit_id")
    rows = plan.units.with_columns(reasons.cast(pl.String).alias("reason")).join(
        names, on="unit_id", how="left", maintain_order="left"
    )
    old, new = pl.col("live_bid_cpc"), pl.col("bid_cpc")
    texts = ("campaign", "ad_group", "target", "match_type", "sku", "limit", "reason")
    return rows.select(
        defused(pl.col("unit_id")).alias("unit"),
        *(defused(pl.col(name)).alias(name) for name in texts[:5]),
        pl.col("action").cast(pl.String),
        old.alias("old_bid"),
        new.alias("new_bid"),
        pl.when(old > 0).then(new / old - 1).round(4).alias("change"),
        *(pl.col(name).round(4) for name in ("spend", "spend_low", "spend_high", "clicks", "orders", "gmv")),
        *(defused(pl.col(name)).alias(name) for name in texts[5:]),
    ).select(COLUMNS)


def write_audit(path: Path | str, plan: BidPlan, reasons: pl.Series, units: pl.DataFrame) -> Path:
    """Write the audit CSV of a plan (UTF-8 with BOM, so that spreadsheets read every script); returns its path.

    It appears whole or not at all. Parameters as in `audit_rows`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    rows = audit_rows(plan, reasons, units)
    with draft.open("wb") as stream:
        rows.write_csv(stream, include_bom=True, quote_style="non_numeric")
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
    return path
