"""A catalog is read whatever its columns are called; impossible goods are set aside."""

import gzip

import pytest
import xlsxwriter

from connectors import CatalogReading, read_any, read_catalog, recognise

HEADER = "sku,price,margin_rate,category,business_type,stock"
ROWS = ["TEA-1,12.50,0.35,Tea,home,100", "TEA-2,8,0.2,Tea,home,0", "MUG-1,20.00,0.5,Mugs,kitchen,33"]


def write(path, *lines, encoding="utf-8"):
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def test_a_catalog_reads_the_same_from_csv_gzip_and_workbook(tmp_path):
    plain = read_catalog(write(tmp_path / "a.csv", HEADER, *ROWS))
    assert plain.error is None
    assert plain.rows.rows() == [
        ("TEA-1", 12.5, 0.35, "Tea", "home", 100.0),
        ("TEA-2", 8.0, 0.2, "Tea", "home", 0.0),
        ("MUG-1", 20.0, 0.5, "Mugs", "kitchen", 33.0),
    ]
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    with xlsxwriter.Workbook(str(tmp_path / "a.xlsx")) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADER.split(","))
        for r, row in enumerate(plain.rows.rows(), 1):
            sheet.write_row(r, 0, row)
    for name in ("a.csv.gz", "a.xlsx"):
        again = read_any(tmp_path / name)
        assert isinstance(again, CatalogReading)
        assert again.rows.equals(plain.rows)
        assert recognise(tmp_path / name) == "catalog" == again.report


@pytest.mark.parametrize(
    "header",
    [
        "SKU,Price,Margin rate,Category,Business Type,Stock",
        "Seller SKU,Unit Price,Gross margin,Product category,business-type,Inventory",
        "sku , selling_price,margin,Category,Business line,Qty",
        "商品编码,售价,毛利率,类目,业务类型,库存",
        "sku,Price (INR),margin_rate,category,business_type,stock",
    ],
)
def test_the_spelling_of_the_header_is_free(tmp_path, header):
    reading = read_any(write(tmp_path / "a.csv", header, *ROWS))
    assert isinstance(reading, CatalogReading)
    assert (reading.error, reading.warnings) == (None, ())
    assert reading.rows["margin_rate"].to_list() == [0.35, 0.2, 0.5]


@pytest.mark.parametrize(
    ("header", "cells", "warned"),
    [
        ("margin", ["35%", "20 %", "50.0%"], False),
        ("margin %", ["35", "20", "50"], False),
        ("margin (%)", ["35", "20%", "50"], False),
        ("margin", ["35", "20", "50"], True),
        ("margin", ["0.35", ".2", "0.5"], False),
    ],
)
def test_margins_may_be_percent_or_fractions(tmp_path, header, cells, warned):
    lines = [f"{row.split(',')[0]},10,{cell}" for row, cell in zip(ROWS, cells, strict=True)]
    reading = read_catalog(write(tmp_path / "a.csv", f"sku,price,{header}", *lines))
    assert reading.rows["margin_rate"].to_list() == pytest.approx([0.35, 0.2, 0.5])
    assert any("percent" in w for w in reading.warnings) == warned


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",12,0.3,Tea,home,1", "missing sku"),
        ("X,,0.3,Tea,home,1", "missing price"),
        ("X,0,0.3,Tea,home,1", "price not positive"),
        ("X,-4,0.3,Tea,home,1", "price not positive"),
        ("X,free,0.3,Tea,home,1", "unreadable price"),
        ("X,nan,0.3,Tea,home,1", "unreadable price"),
        ("X,5,1.3,Tea,home,1", "margin rate outside 0 to 1"),
        ("X,5,-0.1,Tea,home,1", "margin rate outside 0 to 1"),
        ("X,5,high,Tea,home,1", "unreadable margin_rate"),
        ("X,5,0.3,Tea,home,-1", "negative stock"),
        ("X,5,0.3,Tea,home,lots", "unreadable stock"),
        ("TEA-1,12.50,0.35,Tea,home,100", "duplicate row"),
        ("TEA-1,13.50,0.35,Tea,home,100", "conflicting row"),
        ("1.23E+12,5,0.3,Tea,home,1", "sku in scientific notation"),
        ("X,5,0.3,Tea,home,1,more", "too many cells"),
    ],
)
def test_an_impossible_good_costs_its_row_alone(tmp_path, line, reason):
    reading = read_catalog(write(tmp_path / "a.csv", HEADER, ROWS[0], line, *ROWS[1:]))
    assert reading.error is None
    assert reading.reasons == {reason: 1}
    assert reading.quarantined["row_number"].to_list() == [3]
    assert reading.rows["sku"].to_list() == ["TEA-1", "TEA-2", "MUG-1"]
    assert reading.rows["price"].to_list() == [12.5, 8.0, 20.0]
    assert reading.rows_read == 4


def test_what_is_blank_stays_unknown(tmp_path):
    reading = read_catalog(write(tmp_path / "a.csv", HEADER, "X,5,,,,", ",,,,,", *ROWS))
    assert reading.rows.row(0) == ("X", 5.0, None, None, None, None)
    assert reading.rows_ignored == 1


def test_columns_that_are_not_there_are_told(tmp_path):
    reading = read_any(write(tmp_path / "a.csv", "sku,price,colour", "X,5,red"))
    assert isinstance(reading, CatalogReading)
    assert reading.rows.row(0) == ("X", 5.0, None, None, None, None)
    assert any("colour" in w for w in reading.warnings)
    assert any("margin_rate" in w for w in reading.warnings)


def test_a_catalog_without_its_keys_is_refused(tmp_path):
    reading = read_any(write(tmp_path / "a.csv", "sku,stock,category", "X,5,red"))
    assert isinstance(reading, CatalogReading)
    assert reading.error is not None
    assert "price" in reading.error
    twice = read_catalog(write(tmp_path / "b.csv", "sku,price,Unit Price", "X,5,6"))
    assert twice.error is not None
    assert "two columns for price" in twice.error


def test_prices_of_another_currency_are_set_aside(tmp_path):
    reading = read_catalog(write(tmp_path / "a.csv", "sku,price,stock", "A,₹10,1", "B,€10,1", "C,Rs. 7,1", "D,5,1"))
    assert (reading.currency, reading.reasons) == ("INR", {"other currency": 1})
    assert reading.rows["price"].to_list() == [10.0, 7.0, 5.0]


def test_a_report_is_no_catalog(tmp_path, report):
    path = report("advertised_product").csv(tmp_path / "a.csv")
    assert read_catalog(path).error is not None
    assert not isinstance(read_any(path), CatalogReading)
