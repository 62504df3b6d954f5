"""Bulk sheets come in with every id whole, and go out with changed bids only."""

from dataclasses import replace
from datetime import UTC, datetime

import fastexcel
import numpy as np
import polars as pl
import pytest
import xlsxwriter

from connectors import BulkReading, profile, read_bulksheet, recognise, write_upload
from domain.limits import BidLimits
from domain.plans import ACTION, INTERVENTIONS, PLAN, BidPlan
from domain.problem import Status
from domain.tables import BIDS, UNITS, check, empty
from domain.time import Hour

LIMITS = profile("amazon-sp").limits("INR")
UPLOAD = [
    "Product",
    "Entity",
    "Operation",
    "Campaign ID",
    "Ad Group ID",
    "Keyword ID",
    "Product Targeting ID",
    "State",
    "Bid",
]


def plan_of(reading: BulkReading, action, bid, hour: int = 0) -> BidPlan:
    """A plan for the units of a sheet: `action` and `bid` are columns or functions of the live bids."""
    live = reading.units["bid_cpc"].to_numpy()
    units = reading.units.select("unit_id", "campaign", pl.col("bid_cpc").alias("live_bid_cpc")).with_columns(
        pl.Series("action", action(live) if callable(action) else action, dtype=pl.String).cast(ACTION),
        pl.Series("bid_cpc", bid(live) if callable(bid) else bid, dtype=pl.Float64),
    )
    units = units.with_columns(pl.lit(None, d).alias(c) for c, d in PLAN.items() if c not in units.columns)
    at = Hour(datetime(2024, 3, 1, hour, tzinfo=UTC))
    return BidPlan("shop", at, units.select(list(PLAN)), None, empty(INTERVENTIONS), Status.SLACK, "test")


def uploaded(path) -> pl.DataFrame:
    """Cells of an upload: ids as they are stored, told from numbers."""
    sheet = fastexcel.read_excel(path).load_sheet("Sponsored Products Campaigns", schema_sample_rows=None)
    return sheet.to_polars()


def applied(sheet, rows: pl.DataFrame):
    """The account after the platform took an upload: what the next download shows."""
    header = {h.lower(): i for i, h in enumerate(sheet.header)}
    new = {}
    for row in rows.iter_rows(named=True):
        new[row["Keyword ID"] or row["Product Targeting ID"]] = (row["Bid"], row["State"])
    cells = []
    for row in sheet.rows:
        own = row[header["keyword id"]] or row[header["product targeting id"]]
        if own in new and row[1] in ("Keyword", "Product Targeting"):
            edited = list(row)
            edited[header["bid"]], edited[header["state"]] = new[own]
            cells.append(tuple(edited))
        else:
            cells.append(row)
    return replace(sheet, rows=tuple(cells))


@pytest.mark.parametrize("columns", [26, 48, 52])
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_every_variant_gives_bids_ids_states_and_budgets(tmp_path, bulk, columns, form):
    sheet = bulk(n=40, columns=columns)
    assert len(sheet.header) == columns
    path = sheet.csv(tmp_path / "a.csv") if form == "csv" else sheet.xlsx(tmp_path / "a.xlsx")
    reading = read_bulksheet(path, LIMITS)
    assert (reading.error, reading.warnings, reading.quarantined.height) == (
        None,
        () if form == "csv" else reading.warnings,
        0,
    )
    assert reading.rows_read == len(sheet.rows)
    assert (reading.units.height, reading.campaigns.height) == (40, 2)
    first = reading.units.row(0, named=True)
    assert first["unit_id"] == "Tea 0 / Group 0 / green tea 0 / EXACT"
    assert (first["campaign_id"], first["ad_group_id"]) == ("100000000000000000", "110000000000000000")
    assert (first["entity_id"], first["entity"], first["sku"]) == ("140000000000000000", "Keyword", "SKU-0")
    ids = reading.units["entity_id"]
    assert (ids.str.len_chars() == 18).all()
    assert ids.n_unique() == 40
    assert reading.campaigns["daily_budget"].to_list() == [500, 501]
    assert (reading.units["state"] == "enabled").all()
    check(reading.bids.rows, BIDS, "bids")
    check(reading.declared_units, UNITS, "units")
    assert recognise(path) == "bulk_sheet"


def test_columns_are_found_by_name_in_any_order(tmp_path, bulk):
    sheet = bulk(n=20)
    order = np.random.default_rng(4).permutation(len(sheet.header))
    mixed = replace(
        sheet,
        header=tuple(sheet.header[i] for i in order),
        rows=tuple(tuple(row[i] for i in order) for row in sheet.rows),
    )
    one = read_bulksheet(sheet.xlsx(tmp_path / "a.xlsx"))
    two = read_bulksheet(mixed.xlsx(tmp_path / "b.xlsx"))
    assert one.units.equals(two.units)


def test_a_blank_bid_is_the_default_bid_of_its_ad_group(tmp_path, bulk):
    units = read_bulksheet(bulk(n=10).csv(tmp_path / "a.csv")).units
    assert units.filter(pl.col("inherits"))["bid_cpc"].to_list() == [3.5]


def test_a_target_is_named_as_reports_name_it(tmp_path, bulk):
    wide = read_bulksheet(bulk(n=10).csv(tmp_path / "a.csv")).units
    assert wide["target"][9] == 'category="Teas 9"'
    assert wide["match_type"].to_list()[7:] == ["-"] * 3
    narrow = read_bulksheet(bulk(n=10, columns=26).csv(tmp_path / "b.csv")).units
    assert narrow["target"][9] == 'category="9"'


@pytest.mark.parametrize(("entity", "state"), [("Campaign", "paused"), ("Ad Group", "archived"), ("Keyword", "paused")])
def test_a_unit_runs_only_where_its_campaign_and_ad_group_run(tmp_path, bulk, entity, state):
    sheet = bulk(n=10)
    row = next(i for i, r in enumerate(sheet.rows) if r[1] == entity)
    units = read_bulksheet(sheet.put(row, "State", state).csv(tmp_path / "a.csv")).units
    touched = units.filter(pl.col("state") == state)
    assert touched.height == (1 if entity == "Keyword" else 10)
    assert touched["own_state"].unique().to_list() == (["paused"] if entity == "Keyword" else ["enabled"])


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("Keyword ID", "1.4E+17", "id in scientific notation"),
        ("Keyword ID", "1.4e17", "id in scientific notation"),
        ("Campaign ID", "1E+17", "id in scientific notation"),
        ("Keyword ID", None, "missing id"),
        ("Keyword ID", "123456789.0", "unreadable id"),
        ("Keyword ID", "=1+1", "unreadable id"),
        ("Ad Group ID", "119999999999999999", "unknown ad group"),
        ("Bid", 0.5, "bid below the floor"),
        ("Bid", 5000.5, "bid above the cap"),
        ("Bid", -1, "bid not positive"),
        ("Bid", 0, "bid not positive"),
        ("Bid", "nan", "unreadable bid"),
        ("Bid", "much", "unreadable bid"),
        ("State", "sleeping", "unreadable state"),
        ("State", None, "unreadable state"),
        ("Match Type", "similar", "unreadable match type"),
        ("Keyword Text", None, "missing target"),
    ],
)
def test_a_bad_row_of_a_bulk_sheet_costs_itself_alone(tmp_path, bulk, column, value, reason):
    sheet = bulk(n=10)
    row = next(i for i, r in enumerate(sheet.rows) if r[1] == "Keyword")
    if column == "Ad Group ID":
        sheet = sheet.put(row, "Ad Group Name (Informational only)", None)
    reading = read_bulksheet(sheet.put(row, column, value).csv(tmp_path / "a.csv"), LIMITS)
    assert reading.error is None
    assert reading.reasons == {reason: 1}
    assert reading.quarantined["row_number"][0] == row + 2
    assert reading.units.height == 9


@pytest.mark.parametrize("all_of_them", [True, False])
def test_an_id_that_a_workbook_keeps_as_a_number_is_not_trusted(tmp_path, bulk, all_of_them):
    sheet = bulk(n=10)
    path = tmp_path / "a.xlsx"
    ids = sheet.header.index("Keyword ID")
    numbers = [i for i, r in enumerate(sheet.rows) if r[1] == "Keyword" and (all_of_them or r[ids].endswith("3"))]
    with xlsxwriter.Workbook(str(path)) as book:
        page = book.add_worksheet("Sponsored Products Campaigns")
        page.write_row(0, 0, sheet.header)
        for r, row in enumerate(sheet.rows):
            for c, value in enumerate(row):
                if isinstance(value, str):
                    page.write_string(r + 1, c, value)
                elif value is not None:
                    page.write_number(r + 1, c, value)
            if r in numbers:
                page.write_number(r + 1, ids, int(row[ids]))
            elif all_of_them:
                page.write_blank(r + 1, ids, None)
    reading = read_bulksheet(path)
    assert set(reading.reasons) == {"id stored as a number"}
    aside = set(reading.quarantined["row_number"])
    assert aside >= {i + 2 for i in numbers}
    for row in aside - {i + 2 for i in numbers}:  # texts that a number could have been, in a column of both
        assert not all_of_them
        assert int(float(sheet.rows[row - 2][ids])) == int(sheet.rows[row - 2][ids])
    assert reading.units.height == 10 - len(aside) > 0


@pytest.mark.parametrize("column", ["Campaign ID", "Ad Group ID", "Keyword ID", "Product Targeting ID", "Bid", "State"])
def test_a_sheet_without_a_needed_column_is_refused_and_the_column_named(tmp_path, bulk, column):
    reading = read_bulksheet(bulk(n=10).without(column).xlsx(tmp_path / "a.xlsx"))
    assert reading.error is not None
    assert column.lower() in reading.error
    assert reading.units.height == 0


def test_the_old_bulk_sheet_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "a.csv").write_text("Record ID,Record Type,Campaign ID,Campaign,Max Bid\n1,Keyword,2,x,1.0\n")
    reading = read_bulksheet(tmp_path / "a.csv")
    assert reading.error is not None
    assert "2021" in reading.error
    assert recognise(tmp_path / "a.csv") == "bulk_sheet"


def test_other_ad_products_are_left_out_and_told(tmp_path, bulk):
    sheet = bulk(n=10)
    rows = [i for i, r in enumerate(sheet.rows) if r[1] == "Keyword"][:3]
    for row in rows:
        sheet = sheet.put(row, "Product", "Sponsored Brands")
    reading = read_bulksheet(sheet.csv(tmp_path / "a.csv"))
    assert reading.units.height == 7
    assert any("Sponsored Brands" in w for w in reading.warnings)


def test_of_two_units_of_one_name_the_living_one_counts(tmp_path, bulk):
    sheet = bulk(n=10)
    at = next(i for i, r in enumerate(sheet.rows) if r[1] == "Keyword")
    ids = sheet.header.index("Keyword ID")
    twin = list(sheet.rows[at])
    twin[ids] = "777777777777777777"
    archived = sheet.put(at, "State", "archived").also(twin)
    reading = read_bulksheet(archived.csv(tmp_path / "a.csv"))
    assert reading.quarantined.height == 0
    unit = reading.units.filter(pl.col("target") == "green tea 0")
    assert unit["entity_id"].to_list() == ["777777777777777777"]
    both = read_bulksheet(sheet.also(twin).csv(tmp_path / "b.csv"))
    assert both.reasons == {"two units of one name": 1}


@pytest.mark.parametrize("n", [10, 3_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_a_round_trip_changes_the_bids_that_were_meant_and_nothing_else(tmp_path, bulk, n):
    """Download -> plan -> upload -> the platform takes it -> next download."""
    sheet = bulk(n=n, columns=52 if n < 1000 else 26)
    before = read_bulksheet(sheet.xlsx(tmp_path / "down.xlsx"), LIMITS)
    assert before.units.height == n
    rng = np.random.default_rng(6)
    changed = rng.random(n) < 0.7
    changed[0] = True
    new = np.where(
        changed, np.round(before.units["bid_cpc"].to_numpy() * 1.1 + 0.01, 2), before.units["bid_cpc"].to_numpy()
    )
    action = np.where(changed, "set", rng.choice(["keep", "hold", "set"], n))
    upload = write_upload(tmp_path / "up.xlsx", plan_of(before, action, new), before.entities, LIMITS)
    assert upload.refused.height == 0
    assert upload.rows.height == changed.sum()
    rows = uploaded(upload.path)
    assert rows.columns == UPLOAD
    assert rows.height == changed.sum()
    assert rows.schema["Campaign ID"] == rows.schema["Keyword ID"] == pl.String
    assert rows.schema["Bid"] == pl.Float64
    after = applied(sheet, rows)
    path = after.csv(tmp_path / "next.csv")
    result = read_bulksheet(path, LIMITS)
    assert result.units["unit_id"].equals(before.units["unit_id"])
    assert result.units["bid_cpc"].to_list() == pytest.approx(new.tolist(), abs=1e-9)
    assert result.campaigns.equals(before.campaigns)
    untouched = ~changed
    assert result.units.filter(untouched).equals(before.units.filter(untouched))


def test_an_upload_names_no_campaign_row_portfolio_or_end_date(tmp_path, bulk):
    before = read_bulksheet(bulk(n=20).csv(tmp_path / "a.csv"))
    rows = uploaded(
        write_upload(tmp_path / "u.xlsx", plan_of(before, ["set"] * 20, lambda b: b + 1), before.entities, LIMITS).path
    )
    assert set(rows["Entity"]) == {"Keyword", "Product Targeting"}
    assert set(rows["Operation"]) == {"Update"}
    assert not {"Portfolio ID", "End Date", "Campaign Name"} & set(rows.columns)
    keyword = pl.col("Entity") == "Keyword"
    assert (
        rows.filter(keyword & (pl.col("Product Targeting ID").is_not_null() | pl.col("Keyword ID").is_null())).height
        == 0
    )
    assert (
        rows.filter(~keyword & (pl.col("Product Targeting ID").is_null() | pl.col("Keyword ID").is_not_null())).height
        == 0
    )


@pytest.mark.parametrize(
    ("bid", "words"),
    [(0.99, "floor"), (5000.01, "cap"), (7.005, "tick"), (None, "no bid"), (float("inf"), "")],
)
def test_an_illegal_bid_is_refused_before_anything_is_written(tmp_path, bulk, bid, words):
    before = read_bulksheet(bulk(n=10).csv(tmp_path / "a.csv"))
    bids = before.units["bid_cpc"].to_list()
    if bid == float("inf"):
        return  # a plan refuses it by itself
    bids[4] = bid
    bids[5] += 1
    upload = write_upload(tmp_path / "u.xlsx", plan_of(before, ["set"] * 10, bids), before.entities, LIMITS)
    assert upload.refused["unit_id"].to_list() == [before.units["unit_id"][4]]
    assert words in upload.refused["reason"][0]
    assert upload.rows.height == 1
    assert upload.unchanged.height == 8


@pytest.mark.parametrize(
    ("limits", "bid", "written"),
    [
        (BidLimits(2.0, 100_000.0, 1.0), 57.0, 57.0),
        (BidLimits(0.02, 1000.0, 0.01), 0.07, 0.07),
        (BidLimits(0.5, 9.0, 0.5), 4.5, 4.5),
    ],
)
def test_bids_are_written_in_the_currency_s_tick(tmp_path, bulk, limits, bid, written):
    before = read_bulksheet(bulk(n=10).csv(tmp_path / "a.csv"))
    upload = write_upload(tmp_path / "u.xlsx", plan_of(before, ["set"] * 10, [bid] * 10), before.entities, limits)
    assert set(uploaded(upload.path)["Bid"]) == {written}
    assert upload.rows.height + upload.unchanged.height == 10


def test_pausing_writes_the_state_and_leaves_the_bid(tmp_path, bulk):
    before = read_bulksheet(bulk(n=10).csv(tmp_path / "a.csv"))
    upload = write_upload(tmp_path / "u.xlsx", plan_of(before, ["pause"] * 10, [None] * 10), before.entities, LIMITS)
    rows = uploaded(upload.path)
    assert set(rows["State"]) == {"paused"}
    assert rows["Bid"].to_list() == before.units["bid_cpc"].to_list()


def test_what_a_person_paused_stays_paused(tmp_path, bulk):
    sheet = bulk(n=10)
    at = next(i for i, r in enumerate(sheet.rows) if r[1] == "Keyword")
    before = read_bulksheet(sheet.put(at, "State", "paused").csv(tmp_path / "a.csv"))
    name = before.units["unit_id"][0]
    plan = plan_of(before, ["set"] * 10, lambda b: b + 1)
    by_hand = write_upload(tmp_path / "u.xlsx", plan, before.entities, LIMITS)
    assert by_hand.refused["unit_id"].to_list() == [name]
    assert "person" in by_hand.refused["reason"][0]
    ours = write_upload(tmp_path / "u.xlsx", plan, before.entities, LIMITS, paused_by_us=[name])
    assert ours.refused.height == 0
    assert uploaded(ours.path)["State"].to_list() == ["enabled"] * 10


def test_units_without_ids_or_with_damaged_ones_are_refused(tmp_path, bulk):
    before = read_bulksheet(bulk(n=10).csv(tmp_path / "a.csv"))
    plan = plan_of(before, ["set"] * 10, lambda b: b + 1)
    some = before.entities[1:].with_columns(
        pl.when(pl.col("unit_id") == before.units["unit_id"][3])
        .then(pl.lit("=cmd()"))
        .otherwise("entity_id")
        .alias("entity_id")
    )
    upload = write_upload(tmp_path / "u.xlsx", plan, some, LIMITS)
    reasons = dict(upload.refused.iter_rows())
    assert "unknown" in reasons[before.units["unit_id"][0]]
    assert "damaged" in reasons[before.units["unit_id"][3]]
    assert upload.rows.height == 8


def test_where_nothing_changes_no_file_is_written(tmp_path, bulk):
    before = read_bulksheet(bulk(n=10).csv(tmp_path / "a.csv"))
    for plan in (plan_of(before, ["set"] * 10, lambda b: b), plan_of(before, ["keep"] * 10, lambda b: b + 1)):
        upload = write_upload(tmp_path / "u.xlsx", plan, before.entities, LIMITS)
        assert upload.path is None
        assert not (tmp_path / "u.xlsx").exists()


def test_the_same_plan_gives_the_same_bytes_and_no_draft_stays(tmp_path, bulk):
    before = read_bulksheet(bulk(n=30).csv(tmp_path / "a.csv"))
    plan = plan_of(before, ["set"] * 30, lambda b: b + 1)
    path = tmp_path / "out" / "u.xlsx"
    one = write_upload(path, plan, before.entities, LIMITS).path.read_bytes()
    assert write_upload(path, plan, before.entities, LIMITS).path.read_bytes() == one
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["u.xlsx"]
