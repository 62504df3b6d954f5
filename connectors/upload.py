"""The bulk sheet that a trader uploads: changed bids only, checked against the platform's rules before writing.

Only keywords and product targets are written, with their ids, state and bid. Campaign rows are never written:
there an omitted portfolio detaches the campaign and a blank end date deletes it. Nothing is archived (that is for
good), and nothing that a person paused is switched on again.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
import xlsxwriter

from connectors.bulksheet import PRODUCT, SHEET
from domain.errors import SchemaMismatch
from domain.limits import BidLimits
from domain.plans import Action, BidPlan

#: Columns of the upload, in the platform's spelling.
COLUMNS = (
    "Product", "Entity", "Operation", "Campaign ID", "Ad Group ID", "Keyword ID", "Product Targeting ID", "State", "Bid",
)  # fmt: skip
#: Most rows and bytes that the platform takes in one file, as documented by third parties.
MAX_ROWS = 500_000
_ENTITIES = ("unit_id", "entity", "campaign_id", "ad_group_id", "entity_id", "own_state")
_ID = r"^[A-Za-z0-9:_-]{1,64}$"


@dataclass(frozen=True, slots=True)
class Upload:
    """What an upload changes.

    Attributes
    ----------
    path
        The file; ``None`` where nothing changes, then no file is written.
    rows
        ``unit_id, entity, campaign_id, ad_group_id, entity_id, state, old_bid, new_bid``: what the file holds.
    refused
        ``unit_id, reason``: units with action ``set`` or ``pause`` that could not go in.
    unchanged
        ``unit_id, bid_cpc``: units with action ``set`` or ``pause`` that are so already.
    """

    path: Path | None
    rows: pl.DataFrame
    refused: pl.DataFrame
    unchanged: pl.DataFrame


def changes(
    plan: BidPlan,
    entities: pl.DataFrame,
    limits: BidLimits,
    paused_by_us: Collection[str] = (),
    uncertain: Collection[str] = (),
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Rows to write, units refused with the reason, and units that are so already.

    Parameters
    ----------
    plan
        Bids to set and units to pause; other actions are left out.
    entities
        Text columns ``unit_id, entity, campaign_id, ad_group_id, entity_id, own_state``, as
        `BulkReading.entities` gives them.
    limits
        Floor, cap and tick of the account's currency.
    paused_by_us
        Units that an earlier upload of ours paused; only these are switched on again.
    uncertain
        Units whose live bid may be another than the plan says, since an earlier upload was not answered yet; they are
        written even where the bid looks unchanged.
    """
    missing = [c for c in _ENTITIES if c not in entities.columns]
    if missing:
        raise SchemaMismatch(f"entity ids lack the columns {missing}; read the bulk sheet again")
    wanted = plan.units.filter(pl.col("action").cast(pl.String).is_in([Action.SET.value, Action.PAUSE.value]))
    rows = wanted.select(
        "unit_id",
        (pl.col("action").cast(pl.String) == Action.PAUSE.value).alias("pause"),
        pl.col("live_bid_cpc").alias("old_bid"),
        pl.col("bid_cpc"),
    ).join(entities.select(_ENTITIES), on="unit_id", how="left", maintain_order="left")
    ours = pl.col("unit_id").is_in(list(paused_by_us))
    rows = rows.with_columns(
        pl.when("pause").then(pl.col("old_bid")).otherwise(pl.col("bid_cpc")).alias("new_bid"),
        pl.when("pause").then(pl.lit("paused")).otherwise(pl.lit("enabled")).alias("state"),
    )
    steps = pl.col("new_bid") / limits.tick
    texts = pl.concat_str([pl.col(c).fill_null("") for c in ("campaign_id", "ad_group_id", "entity_id")], separator=" ")
    faults = [
        (pl.col("entity_id").is_null(), "its ids are unknown: import a bulk sheet that holds it"),
        (~pl.col("entity").is_in(["Keyword", "Product Targeting"]), "it is neither a keyword nor a product target"),
        (
            ~pl.all_horizontal(pl.col(c).str.contains(_ID) for c in _ENTITIES[2:5]),
            "an id is damaged: read the bulk sheet again",
        ),
        (pl.col("own_state") == "archived", "it is archived"),
        (
            ~pl.col("pause") & (pl.col("own_state") == "paused") & ~ours,
            "a person paused it: enable it by hand to bid again",
        ),
        (~pl.col("new_bid").is_finite().fill_null(False), "there is no bid to write"),
        (pl.col("new_bid") < limits.floor - 1e-9, f"its bid lies below the floor of {limits.floor}"),
        (pl.col("new_bid") > limits.cap + 1e-9, f"its bid lies above the cap of {limits.cap}"),
        ((steps - steps.round()).abs() > 1e-4, f"its bid is no multiple of the tick of {limits.tick}"),
        (texts.is_duplicated() & pl.col("entity_id").is_not_null(), "another unit has the same ids"),
    ]
    rows = rows.with_columns(
        pl.coalesce([pl.when(c.fill_null(False)).then(pl.lit(words)) for c, words in faults]).alias("reason"),
        (steps.round() * limits.tick).round(6).alias("new_bid"),
    )
    refused = rows.filter(pl.col("reason").is_not_null()).select("unit_id", "reason")
    good = rows.filter(pl.col("reason").is_null())
    same = ((pl.col("new_bid") - pl.col("old_bid")).abs() < 1e-6) & (pl.col("state") == pl.col("own_state"))
    same = same.fill_null(False) & ~pl.col("unit_id").is_in(list(uncertain))
    columns = ("unit_id", *_ENTITIES[1:5], "state", "old_bid", "new_bid")
    return (
        good.filter(~same).select(columns),
        refused,
        good.filter(same).select("unit_id", pl.col("new_bid").alias("bid_cpc")),
    )


def write_upload(
    path: Path | str,
    plan: BidPlan,
    entities: pl.DataFrame,
    limits: BidLimits,
    paused_by_us: Collection[str] = (),
    uncertain: Collection[str] = (),
) -> Upload:
    """Write the upload of a plan (xlsx); parameters as in `changes`.

    The file appears whole or not at all, and the same plan gives the same bytes.
    """
    path = Path(path)
    rows, refused, unchanged = changes(plan, entities, limits, paused_by_us, uncertain)
    if rows.height == 0:
        return Upload(None, rows, refused, unchanged)
    if rows.height > MAX_ROWS:
        raise SchemaMismatch(f"{rows.height:,} changed bids, more than the {MAX_ROWS:,} that one file may hold")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    decimals = max(0, -round(_exponent(limits.tick)))
    _write(draft, rows, plan.hour.start, decimals)
    with draft.open("rb") as stream:
        os.fsync(stream.fileno())
    draft.replace(path)
    return Upload(path, rows, refused, unchanged)


def _exponent(tick: float) -> int:
    """Power of ten of a tick: -2 for 0.01, 0 for 1."""
    return int(f"{tick:e}".split("e")[1])


def _write(path: Path, rows: pl.DataFrame, made_at: datetime, decimals: int) -> None:
    """Write the sheet row by row, in constant memory; ids and names are texts, bids are numbers."""
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties({"created": made_at.replace(tzinfo=None)})
        sheet = book.add_worksheet(SHEET)
        for column, text in enumerate(COLUMNS):
            sheet.write_string(0, column, text)
        wanted = rows.select("entity", "campaign_id", "ad_group_id", "entity_id", "state", "new_bid")
        for line, (entity, campaign, group, own, state, bid) in enumerate(wanted.iter_rows(), 1):
            keyword = entity == "Keyword"
            sheet.write_string(line, 0, PRODUCT)
            sheet.write_string(line, 1, entity)
            sheet.write_string(line, 2, "Update")
            sheet.write_string(line, 3, campaign)
            sheet.write_string(line, 4, group)
            sheet.write_string(line, 5 if keyword else 6, own)
            sheet.write_string(line, 7, state)
            sheet.write_number(line, 8, round(bid, decimals))
