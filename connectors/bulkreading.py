"""What a bulk sheet said: live bids, ids, states and budgets, and the rows set aside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from connectors.readings import reasons
from domain.errors import SchemaMismatch
from domain.tables import BIDS, BUDGETS, QUARANTINE, UNITS, UTC_TIME, BidTable, check, empty

#: One row per keyword or product target.
BULK_UNITS: Mapping[str, pl.DataType] = {
    "unit_id": pl.String(),
    "campaign": pl.String(),
    "ad_group": pl.String(),
    "target": pl.String(),
    "match_type": pl.String(),
    "entity": pl.String(),  # "Keyword" or "Product Targeting"
    "campaign_id": pl.String(),
    "ad_group_id": pl.String(),
    "entity_id": pl.String(),
    "state": BIDS["state"],  # of the unit within its campaign and ad group
    "own_state": pl.String(),  # of the unit alone
    "bid_cpc": pl.Float64(),  # the default bid of the ad group where the unit has none of its own
    "inherits": pl.Boolean(),
    "sku": pl.String(),  # of the ad group, where it advertises one only
    "row_number": pl.Int64(),
}

#: One row per campaign.
BULK_CAMPAIGNS: Mapping[str, pl.DataType] = {
    "campaign_id": pl.String(),
    "campaign": pl.String(),
    "state": pl.String(),
    "daily_budget": pl.Float64(),
    "bidding_strategy": pl.String(),
    "portfolio_id": pl.String(),
    "row_number": pl.Int64(),
}


@dataclass(frozen=True, slots=True)
class BulkReading:
    """One bulk sheet as read.

    Attributes
    ----------
    file
        Path as it was given.
    units
        Keywords and product targets, columns `BULK_UNITS`; one row per unit id.
    campaigns
        Columns `BULK_CAMPAIGNS`.
    quarantined
        Rows set aside, columns `QUARANTINE`.
    rows_read, rows_ignored
        Rows below the header, and those of other entities (ads, negatives, placements, ad groups) or blank;
        rows_read = units + campaigns + quarantined + ignored.
    warnings, error, sha256
        As in `FileReading`.
    """

    file: str
    units: pl.DataFrame = field(default_factory=lambda: empty(BULK_UNITS))
    campaigns: pl.DataFrame = field(default_factory=lambda: empty(BULK_CAMPAIGNS))
    quarantined: pl.DataFrame = field(default_factory=lambda: empty(QUARANTINE))
    rows_read: int = 0
    rows_ignored: int = 0
    warnings: tuple[str, ...] = ()
    error: str | None = None
    sha256: str = ""

    def __post_init__(self) -> None:
        check(self.units, BULK_UNITS, self.file)
        check(self.campaigns, BULK_CAMPAIGNS, self.file)
        check(self.quarantined, QUARANTINE, self.file)
        told = self.units.height + self.campaigns.height + self.quarantined.height + self.rows_ignored
        if told != self.rows_read:
            raise SchemaMismatch(f"{self.file}: {self.rows_read} rows read, {told} told of")

    @property
    def report(self) -> str:
        """Kind of file, in the words of `recognise`."""
        return "bulk_sheet"

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows were set aside for each reason."""
        return reasons(self.quarantined)

    @property
    def bids(self) -> BidTable:
        """Live bids of all units; edits of today are not in a bulk sheet and count as none."""
        return BidTable(
            self.units.select(
                "unit_id",
                "bid_cpc",
                "state",
                pl.col("bid_cpc").is_not_null().alias("known"),
                pl.lit(0, pl.Int64).alias("edits_today"),
            )
        )

    @property
    def entities(self) -> pl.DataFrame:
        """Ids that an upload must name, all text: unit_id, entity, campaign_id, ad_group_id, entity_id, own_state."""
        return self.units.select("unit_id", "entity", "campaign_id", "ad_group_id", "entity_id", "own_state")

    def budgets(self, learned_at: datetime) -> pl.DataFrame:
        """Daily budgets, columns `BUDGETS`."""
        known = self.campaigns.filter(pl.col("daily_budget").is_not_null() & (pl.col("state") != "archived"))
        return known.select("campaign", "daily_budget", pl.lit(learned_at).cast(UTC_TIME).alias("learned_at")).select(
            list(BUDGETS)
        )

    @property
    def declared_units(self) -> pl.DataFrame:
        """Units as the sheet names them, columns `UNITS`; archived ones left out."""
        live = self.units.filter(pl.col("state") != "archived")
        return live.with_columns(
            pl.lit(None, dtype).alias(name) for name, dtype in UNITS.items() if name not in live.columns
        ).select(list(UNITS))
