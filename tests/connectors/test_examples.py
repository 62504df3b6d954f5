"""The invented shop of the walk-through: its reports agree, its bulk sheet fits them, and its maker makes them."""

import importlib.util
from pathlib import Path

import polars as pl
import pytest

from connectors import BulkReading, CatalogReading, FileReading, read_any, reconcile
from domain.units import unit_id

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def readings() -> list[FileReading | CatalogReading | BulkReading]:
    return [read_any(p) for p in (*sorted((EXAMPLES / "reports").iterdir()), EXAMPLES / "bulk-sheet.xlsx")]


def test_every_file_is_read_without_a_remark(readings):
    kinds = [r.report for r in readings]
    assert sorted(kinds) == sorted(
        [
            "advertised_product",
            "bulk_sheet",
            "campaign",
            "catalog",
            "performance_over_time",
            "placement",
            "search_term",
            "targeting",
        ]
    )
    for reading in readings:
        assert (reading.error, reading.warnings, reading.quarantined.height) == (None, (), 0), reading.file
        if isinstance(reading, FileReading) and reading.report != "performance_over_time":
            assert (reading.currency, reading.attribution_days) == ("EUR", 7)


def test_the_six_reports_tell_one_story_of_three_weeks(readings):
    facts = pl.concat([r.rows for r in readings if isinstance(r, FileReading)])
    found = reconcile(facts, "EUR")
    assert found.agree
    assert len(found.words) == 1
    assert facts["start_local"].n_unique() == 21
    assert facts["campaign"].n_unique() == 5  # four, and none in the report of whole days


def test_the_bulk_sheet_holds_the_units_of_the_reports_and_the_catalog_their_goods(readings):
    (sheet,) = (r for r in readings if isinstance(r, BulkReading))
    (catalog,) = (r for r in readings if isinstance(r, CatalogReading))
    facts = pl.concat([r.rows for r in readings if isinstance(r, FileReading)])
    targeting = facts.filter(pl.col("report") == "targeting").with_columns(unit_id())
    assert set(targeting["unit_id"]) == set(sheet.units["unit_id"])
    assert set(facts["sku"].drop_nulls()) == set(catalog.rows["sku"])
    paid = targeting.group_by("unit_id").agg(pl.col("spend").sum() / pl.col("clicks").sum())
    both = paid.join(sheet.units, on="unit_id")
    assert (both["spend"] < both["bid_cpc"]).all()  # nobody pays more than the bid


def test_the_script_makes_the_files_that_are_there(tmp_path):
    spec = importlib.util.spec_from_file_location("make_reports", EXAMPLES / "make_reports.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.write_all(tmp_path)
    for path in sorted((EXAMPLES / "reports").iterdir()):
        assert (tmp_path / "reports" / path.name).read_text() == path.read_text(), path.name
    made, there = read_any(tmp_path / "bulk-sheet.xlsx"), read_any(EXAMPLES / "bulk-sheet.xlsx")
    assert isinstance(made, BulkReading)
    assert isinstance(there, BulkReading)
    assert made.units.equals(there.units)
