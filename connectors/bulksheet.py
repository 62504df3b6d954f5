"""Amazon bulk sheet downloads: live bids, ids, states and budgets, by column names, never by position.

A sheet has one row per entity (campaign, ad group, keyword, product targeting, ...). Columns differ between
accounts and years (26, 48 and 52 columns were seen), so they are found by name. Ids are text from the first
to the last step: an id that was stored as a number or in scientific notation has lost digits, and its row is set
aside. A bid that is blank is the ad group's default bid. A unit runs only where its campaign and ad group run too.

Not checked against a live account: that a targeting report names a target as the sheet's *resolved* expression.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from connectors import numbers
from connectors.bulkreading import BULK_CAMPAIGNS, BULK_UNITS, BulkReading
from connectors.cells import ROW, RawTable, cells_that_are_numbers, table
from connectors.headers import plain
from connectors.setaside import SetAside, quarantine, together
from connectors.unpack import MAX_UNPACKED_BYTES, Unpacked, sha256_of, unpack
from domain.errors import DataError, SchemaMismatch
from domain.limits import BidLimits
from domain.tables import BIDS, check
from domain.units import unit_id

SHEET = "Sponsored Products Campaigns"
PRODUCT = "Sponsored Products"
STATES = ("enabled", "paused", "archived")

_INFORMATIONAL = "(informational only)"
_FIELDS: Mapping[str, str] = {
    name: name.replace(" ", "_")
    for name in (
        "product", "entity", "operation", "campaign id", "ad group id", "portfolio id", "ad id", "keyword id",
        "product targeting id", "campaign name", "ad group name", "start date", "end date", "targeting type", "state",
        "daily budget", "sku", "asin", "ad group default bid", "bid", "keyword text", "match type", "bidding strategy",
        "placement", "percentage", "product targeting expression", "resolved product targeting expression",
    )
}  # fmt: skip
_NEEDED = (
    "entity", "campaign_id", "ad_group_id", "keyword_id", "product_targeting_id", "state", "daily_budget",
    "ad_group_default_bid", "bid", "keyword_text", "match_type", "product_targeting_expression", "campaign_name",
    "ad_group_name",
)  # fmt: skip
_OLD = {"record id", "record type"}
_SCIENTIFIC = r"^[+-]?\d+(?:\.\d+)?[eE][+-]?\d+$"
_ID = r"^[A-Za-z0-9:_-]{1,64}$"
_LONGEST_NUMBER = 15


def bulk_known(header: Sequence[str]) -> int:
    """How many headers a bulk sheet could have."""
    return sum(plain(text).replace(_INFORMATIONAL, "").strip() in _FIELDS for text in header)


def is_bulksheet(header: Sequence[str]) -> bool:
    """Whether a header is a bulk sheet's (new or old), complete or not."""
    names = {plain(text) for text in header}
    return {"entity", "operation"} <= names or names >= _OLD


def read_bulksheet(
    path: Path | str, limits: BidLimits | None = None, *, max_bytes: int = MAX_UNPACKED_BYTES
) -> BulkReading:
    """Read a bulk sheet download (xlsx or csv).

    Parameters
    ----------
    path
        The file.
    limits
        Bid limits of the account's currency: a live bid outside them cannot be, its row is set aside.
        ``None`` leaves that out.
    max_bytes
        Most bytes that the file may hold when unpacked.
    """
    path = Path(path)
    digest = sha256_of(path, max_bytes)
    try:
        file = unpack(path, max_bytes)
        return read(table(file, bulk_known, SHEET), file, str(path), digest, limits)
    except DataError as error:
        return BulkReading(str(path), error=str(error), sha256=digest)


def read(raw: RawTable, file: Unpacked, name: str, sha256: str, limits: BidLimits | None = None) -> BulkReading:
    """Reading of a table that should be a bulk sheet; `SchemaMismatch` where its columns cannot be one."""
    positions, informational = _positions(raw)
    frame = pl.DataFrame({ROW: raw.cells[ROW], **{f: raw.column(p) for f, p in positions.items()}}).with_columns(
        *(raw.column(p).alias(f"info_{f}") for f, p in informational.items()),
        *(pl.lit(None, pl.String).alias(f) for f in _FIELDS.values() if f not in positions),
        *(
            pl.lit(None, pl.String).alias(f"info_{f}")
            for f in ("campaign_name", "ad_group_name")
            if f not in informational
        ),
    )
    ids = ("campaign_id", "ad_group_id", "keyword_id", "product_targeting_id")
    frame = frame.with_columns(
        pl.col(i).str.replace(r"""^=?["'](.*)["']$""", "$1").str.replace("^'", "") for i in (*ids, "portfolio_id")
    )
    stored = cells_that_are_numbers(file, raw, [positions[i] for i in ids])
    frame = frame.with_columns(numeric.alias(f"number_{i}") for i, numeric in zip(ids, stored, strict=True))
    frame = frame.with_columns(
        pl.col("entity").str.to_lowercase().alias("kind"), pl.col("state").str.to_lowercase().alias("state")
    )
    foreign = pl.col("product").is_not_null() & (pl.col("product").str.to_lowercase() != PRODUCT.lower())
    frame = frame.with_columns(pl.when(~foreign).then(pl.col("kind")).alias("kind"))

    comma = numbers.decimal_comma([frame[f] for f in ("bid", "ad_group_default_bid", "daily_budget")])
    bad_money: dict[str, pl.Series] = {}
    for f in ("bid", "ad_group_default_bid", "daily_budget"):
        parsed = numbers.parse(frame[f], comma)
        frame = frame.with_columns(parsed.values.alias(f"n_{f}"))
        bad_money[f] = parsed.unreadable
    frame = frame.with_columns(column.alias(f"bad_{f}") for f, column in bad_money.items())

    campaigns, bad_campaigns = _campaigns(frame.filter(pl.col("kind") == "campaign"), raw)
    groups = _ad_groups(frame.filter(pl.col("kind") == "ad group"))
    skus = _skus(frame.filter(pl.col("kind") == "product ad"))
    rows = frame.filter(pl.col("kind").is_in(["keyword", "product targeting"]))
    units, bad_units = _units(rows, campaigns, groups, skus, limits, raw)
    used = campaigns.height + units.height + bad_campaigns.height + bad_units.height
    warnings = list(raw.notes) if raw.sheet != SHEET else []
    others = frame.filter(foreign)["product"].unique().sort().to_list()
    if others:
        warnings.append(f"rows of {', '.join(others)} are left out; only {PRODUCT} are bid for")
    if units.height == 0 and rows.height == 0:
        warnings.append("there are no keywords or product targets in the sheet")
    return BulkReading(
        file=name,
        units=units,
        campaigns=campaigns,
        quarantined=together(bad_campaigns, bad_units, raw.broken),
        rows_read=frame.height + raw.broken.height,
        rows_ignored=frame.height - used,
        warnings=tuple(warnings),
        sha256=sha256,
    )


def _positions(raw: RawTable) -> tuple[dict[str, int], dict[str, int]]:
    """Positions of the columns, and of their informational twins; `SchemaMismatch` names what is missing."""
    named: dict[str, int] = {}
    informational: dict[str, int] = {}
    for position, text in enumerate(raw.header):
        name = plain(text)
        bare = name.replace(_INFORMATIONAL, "").strip()
        if bare not in _FIELDS:
            continue
        where = informational if _INFORMATIONAL in name else named
        if _FIELDS[bare] in where:
            raise SchemaMismatch(f"{raw.name}, row 1: two columns {text.strip()!r}; download the bulk sheet again")
        where[_FIELDS[bare]] = position
    if {plain(text) for text in raw.header} >= _OLD:
        raise SchemaMismatch(
            f"{raw.name}, row 1: a bulk sheet of the form used until 2021; download a new one (Sponsored ads > Bulk "
            "operations)"
        )
    if "resolved_product_targeting_expression" in informational:  # it only ever comes as information
        named["resolved_product_targeting_expression"] = informational.pop("resolved_product_targeting_expression")
    missing = [f.replace("_", " ") for f in _NEEDED if f not in named]
    if missing:
        raise SchemaMismatch(
            f"{raw.name}, row 1: a bulk sheet without the column{'s' if len(missing) > 1 else ''} "
            f"{', '.join(missing)}; download it again and do not delete columns"
        )
    return named, informational


def _check_id(aside: SetAside, field_name: str, written: str) -> None:
    again = "download the bulk sheet again and do not save it from a spreadsheet"
    value = pl.col(field_name)
    aside.when(value.is_null(), "missing id", f"has no {written}", remedy=again)
    aside.when(
        value.str.contains(_SCIENTIFIC),
        "id in scientific notation",
        f"{written} {{}} has lost its digits",
        field_name,
        remedy=again,
    )
    aside.when(
        pl.col(f"number_{field_name}") & (value.str.len_chars() > _LONGEST_NUMBER),
        "id stored as a number",
        f"{written} {{}} was stored as a number, which keeps {_LONGEST_NUMBER} digits",
        field_name,
        remedy=again,
    )
    aside.when(~value.str.contains(_ID), "unreadable id", f"{written} is {{}}", field_name, remedy=again)


def _campaigns(rows: pl.DataFrame, raw: RawTable) -> tuple[pl.DataFrame, pl.DataFrame]:
    again = "download the bulk sheet again without editing it"
    aside = SetAside()
    _check_id(aside, "campaign_id", "Campaign ID")
    rows = rows.with_columns(pl.coalesce("campaign_name", "info_campaign_name").alias("campaign"))
    aside.when(pl.col("campaign").is_null(), "missing campaign", "has no Campaign Name", remedy=again)
    aside.when(~pl.col("state").is_in(STATES), "unreadable state", "State is {}", "state", remedy=again)
    aside.when(
        pl.col("bad_daily_budget") | (pl.col("n_daily_budget") <= 0),
        "unreadable daily budget",
        "Daily Budget is {}",
        "daily_budget",
        remedy=again,
    )
    aside.when(
        ~pl.col("campaign_id").is_first_distinct(),
        "duplicate row",
        "campaign {} stands twice",
        "campaign",
        remedy=again,
    )
    good, bad = aside.split(rows, raw)
    renamed = good.with_columns(pl.col("n_daily_budget").alias("daily_budget"))
    return check(renamed, BULK_CAMPAIGNS, raw.name), bad


def _ad_groups(rows: pl.DataFrame) -> pl.DataFrame:
    """Name, state and default bid by ad group id."""
    return (
        rows.filter(pl.col("ad_group_id").is_not_null())
        .unique("ad_group_id", keep="first")
        .select(
            "ad_group_id",
            pl.coalesce("ad_group_name", "info_ad_group_name").alias("group_name"),
            pl.col("state").alias("group_state"),
            pl.when(pl.col("n_ad_group_default_bid") > 0).then(pl.col("n_ad_group_default_bid")).alias("default_bid"),
        )
    )


def _skus(rows: pl.DataFrame) -> pl.DataFrame:
    """The good of each ad group that advertises one only."""
    goods = rows.select("ad_group_id", pl.coalesce("sku", "asin").alias("sku"), "state").filter(
        pl.col("ad_group_id").is_not_null() & pl.col("sku").is_not_null() & (pl.col("state") != "archived")
    )
    return goods.group_by("ad_group_id").agg(
        pl.when(pl.col("sku").n_unique() == 1).then(pl.col("sku").first()).alias("good")
    )


def _units(
    rows: pl.DataFrame,
    campaigns: pl.DataFrame,
    groups: pl.DataFrame,
    skus: pl.DataFrame,
    limits: BidLimits | None,
    raw: RawTable,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    again = "download the bulk sheet again without editing it"
    keyword = pl.col("kind") == "keyword"
    names = campaigns.select("campaign_id", pl.col("campaign"), pl.col("state").alias("campaign_state"))
    rows = (
        rows.join(names, on="campaign_id", how="left", maintain_order="left")
        .join(groups, on="ad_group_id", how="left", maintain_order="left")
        .join(skus, on="ad_group_id", how="left", maintain_order="left")
        .with_columns(
            pl.coalesce("campaign", "info_campaign_name", "campaign_name").alias("campaign"),
            pl.coalesce("group_name", "info_ad_group_name", "ad_group_name").alias("ad_group"),
            pl.when(keyword).then(pl.col("keyword_id")).otherwise(pl.col("product_targeting_id")).alias("entity_id"),
            pl.when(keyword).then(pl.col("number_keyword_id")).otherwise(pl.col("number_product_targeting_id"))
            .alias("number_entity_id"),
            pl.when(keyword).then(pl.col("keyword_text"))
            .otherwise(pl.coalesce("resolved_product_targeting_expression", "product_targeting_expression"))
            .alias("target"),
            pl.when(keyword).then(pl.col("match_type").str.to_uppercase()).otherwise(pl.lit("-")).alias("match"),
            pl.col("bid").is_null().alias("inherits"),
            pl.coalesce("n_bid", "default_bid").alias("bid_cpc"),
        )
    )  # fmt: skip
    aside = SetAside()
    for name, written in (("campaign_id", "Campaign ID"), ("ad_group_id", "Ad Group ID"), ("entity_id", "its own id")):
        _check_id(aside, name, written)
    for name, written in (("campaign", "campaign"), ("ad_group", "ad group")):
        aside.when(pl.col(name).is_null(), f"unknown {written}", f"its {written} is not in the sheet", remedy=again)
    aside.when(pl.col("target").is_null(), "missing target", "has neither keyword nor expression", remedy=again)
    aside.when(
        keyword & ~pl.col("match").is_in(["EXACT", "PHRASE", "BROAD"]).fill_null(False),
        "unreadable match type",
        "Match Type is {}",
        "match_type",
        remedy=again,
    )
    aside.when(
        ~pl.col("state").is_in(STATES).fill_null(False), "unreadable state", "State is {}", "state", remedy=again
    )
    aside.when(pl.col("bad_bid"), "unreadable bid", "Bid is {}, which is no number", "bid", remedy=again)
    aside.when(pl.col("n_bid") <= 0, "bid not positive", "Bid is {}", "bid", remedy=again)
    if limits is not None:
        wrong = "check the currency of the account and of the sheet"
        aside.when(
            pl.col("bid_cpc") < limits.floor - 1e-9,
            "bid below the floor",
            f"bid {{}} lies below {limits.floor}",
            "bid_cpc",
            remedy=wrong,
        )
        aside.when(
            pl.col("bid_cpc") > limits.cap + 1e-9,
            "bid above the cap",
            f"bid {{}} lies above {limits.cap}",
            "bid_cpc",
            remedy=wrong,
        )
    good, bad = aside.split(rows, raw)
    states = pl.concat_list(
        pl.coalesce("campaign_state", pl.lit("enabled")), pl.coalesce("group_state", pl.lit("enabled")), "state"
    )
    good = good.with_columns(pl.col("state").alias("own_state")).with_columns(
        pl.when(states.list.contains("archived")).then(pl.lit("archived"))
        .when(states.list.contains("paused")).then(pl.lit("paused"))
        .otherwise(pl.lit("enabled")).cast(BIDS["state"]).alias("state"),
        pl.col("match").alias("match_type"),
        pl.when(keyword).then(pl.lit("Keyword")).otherwise(pl.lit("Product Targeting")).alias("entity"),
        pl.col("good").alias("sku"),
    ).with_columns(unit_id())  # fmt: skip
    units, doubles = _one_each(check(good, BULK_UNITS, raw.name), raw)
    return units, together(bad, doubles)


def _one_each(units: pl.DataFrame, raw: RawTable) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One row per unit id: the liveliest; others of the same name are told, unless they are archived."""
    order = units.with_columns(pl.col("state").to_physical().alias("rank")).sort("rank", ROW, maintain_order=True)
    keep = order.unique("unit_id", keep="first", maintain_order=True)
    first = keep.select("unit_id", pl.col(ROW).alias("first"))
    others = units.join(keep.select(ROW), on=ROW, how="anti", maintain_order="left").join(
        first, on="unit_id", how="left"
    )
    told = others.filter(pl.col("state") != "archived").with_columns(
        pl.lit("two units of one name").alias("reason"),
        pl.format(
            "row {}: unit {} stands in row {} too, which is kept; archive one of the two, or rename its ad group",
            ROW, "unit_id", "first",
        ).alias("detail"),
    )  # fmt: skip
    return keep.sort(ROW).drop("rank"), quarantine(told, raw)
