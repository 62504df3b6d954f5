"""What became of an upload: the next bulk-sheet download is compared with what was sent.

An upload counts as taken when a sheet shows one of its new bids, or most of its units away from their old ones.
Then a unit is *applied* (the bid that was sent), *adjusted* (another bid) or *rejected* (still the old one).
Before that every unit is *unseen*. Units that a later upload wrote say nothing of an earlier one.
"""

import polars as pl

from domain.plans import RECEIPTS, ReceiptState
from domain.tables import check

_SAME = 1e-6


def answer(sent: pl.DataFrame, units: pl.DataFrame) -> tuple[pl.DataFrame, bool]:
    """Receipts of one upload by a later sheet, and whether it was taken.

    Parameters
    ----------
    sent
        ``unit_id, state, old_bid, new_bid`` as written.
    units
        Columns `BULK_UNITS` of the sheet.
    """
    rows = sent.join(units.select("unit_id", "own_state", "bid_cpc"), on="unit_id", how="left", maintain_order="left")
    here = pl.col("bid_cpc").is_not_null()
    same_bid = ((pl.col("bid_cpc") - pl.col("new_bid")).abs() < _SAME).fill_null(False)
    old_bid = ((pl.col("bid_cpc") - pl.col("old_bid")).abs() < _SAME).fill_null(False)
    same_state = (pl.col("own_state") == pl.col("state")).fill_null(False)
    rows = rows.with_columns((same_bid & same_state).alias("applied"), (here & ~old_bid).alias("moved"))
    taken = bool(rows["applied"].any()) or int(rows["moved"].sum()) * 2 > rows.height
    state = (
        pl.when(~here)
        .then(pl.lit(ReceiptState.UNSEEN.value))
        .when("applied")
        .then(pl.lit(ReceiptState.APPLIED.value))
        .when(~pl.lit(taken))
        .then(pl.lit(ReceiptState.UNSEEN.value))
        .when(old_bid & ~same_bid | same_bid & ~same_state)
        .then(pl.lit(ReceiptState.REJECTED.value))
        .otherwise(pl.lit(ReceiptState.ADJUSTED.value))
    )
    rows = rows.with_columns(state.alias("outcome"))
    words = {
        ReceiptState.APPLIED.value: pl.lit("the download shows the bid that was sent"),
        ReceiptState.ADJUSTED.value: pl.format("the download shows {} instead of {}", "bid_cpc", "new_bid"),
        ReceiptState.REJECTED.value: pl.lit("the download shows the old bid although others of the upload were taken"),
        ReceiptState.UNSEEN.value: pl.when(here)
        .then(pl.lit("the upload has not been taken yet"))
        .otherwise(pl.lit("the unit is not in the download")),
    }
    reason = pl.coalesce([pl.when(pl.col("outcome") == name).then(text) for name, text in words.items()])
    return receipts(rows.with_columns(pl.col("outcome").alias("state"), reason.alias("reason"))), taken


def receipts(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows ``unit_id, state, bid_cpc, reason`` with columns `RECEIPTS`."""
    return check(
        rows.with_columns(pl.col("state").cast(RECEIPTS["state"])).select(list(RECEIPTS)), RECEIPTS, "receipts"
    )
