"""From facts to bid units: which report tells of a campaign's units, and what the catalog adds to them.

On Amazon a bid unit is campaign x ad group x target x match type. For each campaign the finest report that is
known tells of its units: targeting; else search terms, summed over terms; else the campaign itself is one unit.
So spend is counted once, whatever mixture of reports was imported.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from data.versions import NUMBERS, settle
from domain.tables import FACT_KEY, UTC_TIME
from domain.units import UNIT_PARTS, unit_id

#: Reports that can tell of units, finest first, and what part of the name they know.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "targeting": UNIT_PARTS,
    "search_term": UNIT_PARTS,
    "campaign": ("campaign",),
    "placement": ("campaign",),
    "advertised_product": ("campaign",),
}

_DIMENSIONS = ("unit_id", *UNIT_PARTS)
_ROW = ("unit_id", "start_utc", "grain", "hours")


@dataclass(frozen=True, slots=True)
class UnitRows:
    """What facts say of units.

    Attributes
    ----------
    units
        ``unit_id``, `UNIT_PARTS` and ``sku``; one row per unit, by name.
    performance
        ``unit_id``, ``start_utc``, ``grain``, ``hours``, `NUMBERS`, ``learned_at``: what holds.
    arrivals
        ``unit_id``, ``start_utc``, ``learned_at``, ``orders``, ``gmv``: what each restatement added.
    business_type
        ``campaign``, ``business_type``: of the goods that most of a campaign's spend goes to.
    notes
        What a person should know of how units were found.
    """

    units: pl.DataFrame
    performance: pl.DataFrame
    arrivals: pl.DataFrame
    business_type: pl.DataFrame
    notes: tuple[str, ...]


def unit_rows(versions: pl.DataFrame, catalog: pl.DataFrame) -> UnitRows:
    """Units of an account from its facts.

    Parameters
    ----------
    versions
        Columns `FACTS` with ``start_utc``, ``hours``, ``learned_at``, ``seq``: all versions known at the cut.
    catalog
        Columns `CATALOG` as known at the cut.
    """
    rank = {report: place for place, report in enumerate(SOURCES)}
    told = versions.filter(pl.col("report").is_in(list(SOURCES)) & pl.col("campaign").is_not_null()).with_columns(
        pl.col("report").replace_strict(rank, return_dtype=pl.Int32).alias("_rank")
    )
    best = told.group_by("campaign").agg(pl.col("_rank").min().alias("_best"))
    chosen = told.join(best, on="campaign").filter(pl.col("_rank") == pl.col("_best"))
    coarse = ~pl.col("report").is_in([r for r, parts in SOURCES.items() if parts == UNIT_PARTS])
    chosen = chosen.with_columns(
        pl.when(coarse).then(None).otherwise(pl.col(part)).alias(f"_{part}") for part in UNIT_PARTS[1:]
    )
    named = ("campaign", *(f"_{part}" for part in UNIT_PARTS[1:]))
    chosen = chosen.with_columns(unit_id(*named))
    settled = settle(chosen, FACT_KEY)
    performance = (
        settled.latest.group_by(_ROW)
        .agg(*(pl.col(n).fill_null(0.0).sum() for n in NUMBERS), pl.col("learned_at").max())
        .sort("start_utc", "grain", "unit_id")
    )
    # When imported history was learned is assumed, so it cannot tell how long its orders took.
    arrivals = (
        settled.steps.filter(~pl.col("assumed"))
        .group_by("unit_id", "start_utc", "learned_at")
        .agg(pl.col("orders").fill_null(0.0).sum(), pl.col("gmv").fill_null(0.0).sum())
        .sort("learned_at", "start_utc", "unit_id")
    )
    units = (
        settled.latest.select("unit_id", "campaign", *(pl.col(f"_{p}").alias(p) for p in UNIT_PARTS[1:]))
        .unique("unit_id")
        .sort("unit_id")
    )
    goods = _goods(versions)
    units = _with_main_sku(units, goods)
    return UnitRows(units, performance, arrivals, _business_type(goods, catalog), _notes(settled.latest, versions))


def _goods(versions: pl.DataFrame) -> pl.DataFrame:
    """Advertised goods as known: campaign, ad_group, sku, clicks, impressions, spend."""
    rows = settle(versions.filter((pl.col("report") == "advertised_product") & pl.col("sku").is_not_null()), FACT_KEY)
    return rows.latest.group_by("campaign", "ad_group", "sku").agg(
        pl.col(n).fill_null(0.0).sum() for n in ("clicks", "impressions", "spend")
    )


def _with_main_sku(units: pl.DataFrame, goods: pl.DataFrame) -> pl.DataFrame:
    """Add the good with most clicks of the unit's ad group; of its campaign, where the unit is a campaign."""

    def main(*group: str) -> pl.DataFrame:
        sums = goods.group_by(*group, "sku").agg(pl.col("clicks", "impressions").sum())
        best = sums.sort("clicks", "impressions", "sku", descending=[True, True, False])
        return best.unique(group, keep="first", maintain_order=True).select(
            *group, pl.col("sku").alias(f"_{len(group)}")
        )

    joined = units.join(main("campaign", "ad_group"), on=("campaign", "ad_group"), how="left", maintain_order="left")
    joined = joined.join(main("campaign"), on="campaign", how="left", maintain_order="left")
    of_campaign = pl.when(pl.col("ad_group").is_null()).then(pl.col("_1"))
    return joined.with_columns(pl.coalesce("_2", of_campaign).alias("sku")).select(*_DIMENSIONS, "sku")


def _business_type(goods: pl.DataFrame, catalog: pl.DataFrame) -> pl.DataFrame:
    known = catalog.filter(pl.col("business_type").is_not_null()).select("sku", "business_type")
    weight = (
        goods.join(known, on="sku")
        .group_by("campaign", "business_type")
        .agg(pl.col("spend", "clicks", "impressions").sum())
    )
    best = weight.sort("spend", "clicks", "impressions", "business_type", descending=[True, True, True, False])
    return best.unique("campaign", keep="first", maintain_order=True).select("campaign", "business_type")


def _notes(latest: pl.DataFrame, versions: pl.DataFrame) -> tuple[str, ...]:
    used = dict(latest.group_by("report").agg(pl.col("campaign").n_unique()).iter_rows())
    notes: list[str] = []
    if "search_term" in used:
        notes.append(
            f"units of {used['search_term']} campaigns come from the search-term report, summed over terms: it leaves "
            "out terms without a click, so their impressions are too low; import the targeting report"
        )
    coarse = {r: n for r, n in used.items() if SOURCES[r] != UNIT_PARTS}
    if coarse:
        notes.append(
            f"{sum(coarse.values())} campaigns are units of their own, since only their "
            f"{' and '.join(sorted(coarse))} report was imported; import the targeting report"
        )
    days = _days_without_units(latest, versions)
    if days:
        notes.append(
            f"the campaign report tells of spend on {days} campaign days of which the report of their units says "
            "nothing; import that report for these days"
        )
    if not used and versions.height:
        notes.append("the imported reports name no campaigns, so there are no units; import the targeting report")
    return tuple(notes)


def _days_without_units(latest: pl.DataFrame, versions: pl.DataFrame) -> int:
    spent = settle(versions.filter(pl.col("report") == "campaign"), FACT_KEY).latest.filter(pl.col("spend") > 0)
    told = latest.filter(pl.col("report").is_in(["targeting", "search_term"])).select("campaign", "start_utc").unique()
    return (
        spent.join(told.select("campaign").unique(), on="campaign", how="semi")
        .join(told, on=("campaign", "start_utc"), how="anti")
        .height
    )


def budgets_of(versions: pl.DataFrame) -> pl.DataFrame:
    """Daily budget of each campaign by the newest day that its campaign report tells of; columns `BUDGETS`."""
    rows = versions.filter(
        (pl.col("report") == "campaign") & pl.col("daily_budget").is_not_null() & pl.col("campaign").is_not_null()
    )
    if not rows.height:
        return pl.DataFrame(schema={"campaign": pl.String, "daily_budget": pl.Float64, "learned_at": UTC_TIME})
    newest = rows.sort("start_utc", "learned_at", "seq", maintain_order=True).unique("campaign", keep="last")
    return newest.select("campaign", "daily_budget", "learned_at").sort("campaign")
