"""One bad row never costs a good one: it is set aside with its number, its reason and what to do."""

import json

import pytest

from connectors import read_report

SPEND, SALES, ORDERS = "Spend", "14 Day Total Sales (₹)", "14 Day Total Orders (#)"


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("Clicks", -3, "negative clicks"),
        (SPEND, -0.01, "negative spend"),
        ("Impressions", -1, "negative impressions"),
        (SALES, -5.5, "negative gmv"),
        (ORDERS, -1, "negative orders"),
        ("Clicks", 2.5, "fractional clicks"),
        (ORDERS, "0.5", "fractional orders"),
        (SPEND, "NaN", "unreadable spend"),
        (SPEND, "inf", "unreadable spend"),
        (SPEND, "-Infinity", "unreadable spend"),
        ("Clicks", "many", "unreadable clicks"),
        (SPEND, "12.3.4", "unreadable spend"),
        (SPEND, "1e300", "impossible spend"),
        ("Clicks", 10**15, "impossible clicks"),
        (SPEND, None, "missing spend"),
        ("Clicks", "", "missing clicks"),
        ("Impressions", "--", "missing impressions"),
        ("Impressions", 0, "more clicks than impressions"),
        ("Campaign Name", "  ", "missing campaign"),
        ("Targeting", None, "missing target"),
        ("Date", "soon", "unreadable date"),
        ("Date", "2024-02-30", "impossible date"),
        ("Date", "1900-01-01", "impossible date"),
        ("Date", None, "missing date"),
        ("Currency", "USD", "other currency"),
        ("Currency", None, "missing currency"),
        (SPEND, "$12.50", "other currency"),
        (SALES, "€100.00", "other currency"),
    ],
)
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_bad_cell_costs_its_row_alone(tmp_path, report, column, value, reason, form):
    sheet = report("targeting").put(4, column, value)
    path = sheet.csv(tmp_path / "a.csv") if form == "csv" else sheet.xlsx(tmp_path / "a.xlsx")
    reading = read_report(path)
    assert reading.error is None
    assert reading.reasons == {reason: 1}
    assert reading.rows["row_number"].to_list() == [2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13]
    bad = reading.quarantined.row(0, named=True)
    assert bad["row_number"] == 6
    assert bad["detail"].startswith("row 6: ")
    assert ";" in bad["detail"]  # what, then what to do
    assert json.loads(bad["raw"])["Ad Group Name"] == "Group 0"


def test_spend_without_a_click_is_set_aside(tmp_path, report):
    sheet = report("campaign").put(2, "Clicks", 0)
    assert read_report(sheet.csv(tmp_path / "a.csv")).reasons == {"spend without clicks": 1}


def test_orders_without_clicks_are_kept(tmp_path, report):
    sheet = report("targeting").put(2, "Clicks", 0).put(2, SPEND, 0).put(2, ORDERS, 2).put(2, SALES, 700)
    reading = read_report(sheet.csv(tmp_path / "a.csv"))
    assert reading.rows.height == 12
    assert reading.rows["orders"][2] == 2


def test_a_search_term_may_have_more_clicks_than_impressions_but_it_is_told(tmp_path, report):
    reading = read_report(report("search_term").put(3, "Impressions", 0).csv(tmp_path / "a.csv"))
    assert reading.rows.height == 12
    assert any("more clicks than impressions" in w and "row 5" in w for w in reading.warnings)


def test_blank_orders_and_sales_are_read_as_zero_and_told(tmp_path, report):
    reading = read_report(report("targeting").put(3, ORDERS, None).put(3, SALES, None).csv(tmp_path / "a.csv"))
    assert reading.rows["orders"][3] == reading.rows["gmv"][3] == 0
    assert sum("read as 0 (first: row 5)" in w for w in reading.warnings) == 2


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("Total Advertising Cost of Sales (ACoS)", "ACOS"),
        ("Total Return on Advertising Spend (RoAS)", "ROAS"),
        ("Cost Per Click (CPC)", "CPC"),
        ("Click-Thru Rate (CTR)", "CTR"),
    ],
)
def test_a_ratio_that_contradicts_its_row_is_told_and_not_used(tmp_path, report, column, name):
    plain = read_report(report().csv(tmp_path / "a.csv"))
    reading = read_report(report().put(0, column, 777.0).csv(tmp_path / "b.csv"))
    assert reading.rows.equals(plain.rows)
    assert [w for w in reading.warnings if name in w and "row 2" in w]
    assert not plain.warnings


def test_of_identical_rows_the_first_counts(tmp_path, report):
    sheet = report()
    reading = read_report(sheet.also(sheet.rows[3], sheet.rows[3]).csv(tmp_path / "a.csv"))
    assert reading.rows.equals(read_report(sheet.csv(tmp_path / "b.csv")).rows)
    assert reading.reasons == {"duplicate row": 2}
    assert "row 5" in reading.quarantined["detail"][0]


def test_of_rows_that_contradict_each_other_the_first_counts_and_the_others_name_it(tmp_path, report):
    sheet = report()
    other = list(sheet.rows[3])
    other[sheet.header.index(SPEND)] = 1.0
    reading = read_report(sheet.also(other).csv(tmp_path / "a.csv"))
    assert reading.rows["spend"].sum() == read_report(sheet.csv(tmp_path / "b.csv")).rows["spend"].sum()
    assert reading.reasons == {"conflicting row": 1}
    detail = reading.quarantined["detail"][0]
    assert "row 5" in detail
    assert "spend" in detail


def test_the_rarer_currency_of_a_file_is_set_aside_whichever_comes_first(tmp_path, report):
    sheet = report("performance_over_time").add("Currency", "INR")
    sheet = sheet.put(0, "Currency", "USD").put(1, "Currency", "USD")
    reading = read_report(sheet.csv(tmp_path / "a.csv"))
    assert reading.currency == "INR"
    assert reading.reasons == {"other currency": 2}
    assert reading.rows.height == 10


def test_a_campaign_of_two_countries_keeps_the_larger_one(tmp_path, report):
    sheet = report("targeting").add("Country", "Germany").fill("Campaign Name", ["Tea"] * 12)
    sheet = sheet.put(5, "Country", "France")
    reading = read_report(sheet.csv(tmp_path / "a.csv"))
    assert reading.reasons == {"same campaign in another country": 1}
    assert reading.rows.height == 11


def test_rows_below_a_second_header_of_another_window_are_set_aside(tmp_path, report):
    sheet = report()
    other = [h.replace("14 Day", "7 Day") for h in sheet.header]
    late = report(seed=9, n=3).fill("Targeting", ["x", "y", "z"]).rows
    reading = read_report(sheet.also(other, *late).csv(tmp_path / "a.csv"))
    assert reading.rows.height == 12
    assert reading.reasons == {"another header above": 4}
    assert reading.attribution_days == 14


def test_dates_in_numbers_are_set_aside_where_nothing_tells_day_from_month(tmp_path, report):
    sheet = report(n=4).fill("Date", ["03/04/2024", "05/05/2024", "06/04/2024", "2024-04-07"])
    reading = read_report(sheet.csv(tmp_path / "a.csv"))
    assert reading.reasons == {"ambiguous date": 2}
    assert [d.isoformat()[:10] for d in reading.rows["start_local"]] == ["2024-05-05", "2024-04-07"]


@pytest.mark.parametrize(("proof", "first"), [("25/04/2024", "2024-04-03"), ("04/25/2024", "2024-03-04")])
def test_one_unambiguous_date_settles_the_others_and_the_warning_names_it(tmp_path, report, proof, first):
    sheet = report(n=4).fill("Date", ["03/04/2024", "03/04/2024", proof, "03/04/2024"])
    reading = read_report(sheet.csv(tmp_path / "a.csv"))
    assert reading.rows["start_local"][0].isoformat()[:10] == first
    assert any("row 4" in w and proof in w for w in reading.warnings)


def test_proofs_that_contradict_each_other_settle_nothing(tmp_path, report):
    sheet = report(n=4).fill("Date", ["03/04/2024", "25/04/2024", "04/25/2024", "2024-04-07"])
    reading = read_report(sheet.csv(tmp_path / "a.csv"))
    assert reading.reasons == {"ambiguous date": 1}
    assert reading.rows.height == 3


def test_a_cell_with_a_comma_too_many_costs_its_row_alone(tmp_path, report):
    lines = report().text().splitlines()
    lines[5] = lines[5].replace("green tea 4", "green, tea 4")
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    reading = read_report(tmp_path / "a.csv")
    assert reading.reasons == {"too many cells": 1}
    assert reading.quarantined["row_number"][0] == 6
    assert reading.rows.height == 11


def test_a_quotation_mark_out_of_place_costs_its_row_alone(tmp_path, report):
    lines = report().text().splitlines()
    lines[5] = lines[5].replace("green tea 4", '"green tea 4')
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    reading = read_report(tmp_path / "a.csv")
    assert reading.reasons == {"broken quotes": 1}
    assert reading.rows["row_number"].to_list() == [2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13]


def test_an_inch_sign_inside_a_name_is_part_of_it(tmp_path, report):
    lines = report().text().splitlines()
    lines[5] = lines[5].replace("green tea 4", 'pan 12" steel')
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    reading = read_report(tmp_path / "a.csv")
    assert reading.rows["target"][4] == 'pan 12" steel'
    assert reading.rows.height == 12


def test_a_line_that_was_cut_off_is_set_aside(tmp_path, report):
    text = report().text()
    (tmp_path / "a.csv").write_text(text[: text.rindex(",EXACT") if ",EXACT" in text[-90:] else len(text) - 70])
    reading = read_report(tmp_path / "a.csv")
    assert reading.rows.height == 11
    assert reading.quarantined.height == 1


def test_names_that_a_spreadsheet_would_run_are_kept_as_they_are(tmp_path, report):
    names = ["=cmd()", "<script>alert(1)</script>", "+1", "@x", "null", "NaN", "名前", "a\nb"]
    sheet = report(n=8).fill("Campaign Name", names)
    for path in (sheet.csv(tmp_path / "a.csv"), sheet.xlsx(tmp_path / "a.xlsx")):
        assert read_report(path).rows["campaign"].to_list() == names
