"""Orders of new customers: taken along from reports that tell them, null where they do not."""

import pytest

from connectors import read_report


@pytest.mark.parametrize("kind", ["advertised_product", "targeting", "search_term", "placement", "campaign"])
@pytest.mark.parametrize("header", ["14 Day New-to-brand Orders (#)", "14-day NTB orders (#)", "New-to-Brand  Orders"])
def test_orders_of_new_customers_are_taken_along(tmp_path, report, kind, header) -> None:
    rows = read_report(report(kind).add(header, 3).csv(tmp_path / "a.csv")).rows
    assert rows.height == 12
    assert rows["new_customer_orders"].to_list() == [3.0] * rows.height


def test_without_the_column_nobody_said_and_shares_are_no_counts(tmp_path, report) -> None:
    plain = read_report(report().csv(tmp_path / "a.csv")).rows
    assert plain["new_customer_orders"].null_count() == plain.height
    share = read_report(report().add("14 Day % of Orders New-to-brand", "40%").csv(tmp_path / "b.csv")).rows
    assert share["new_customer_orders"].null_count() == share.height


@pytest.mark.parametrize(("cell", "reason"), [(-1, "negative"), (1.5, "fractional"), ("many", "unreadable")])
def test_a_number_that_cannot_be_sets_its_row_aside(tmp_path, report, cell, reason) -> None:
    sheet = report().add("14 Day New-to-brand Orders (#)", 1).put(2, "14 Day New-to-brand Orders (#)", cell)
    reading = read_report(sheet.csv(tmp_path / "a.csv"))
    assert reading.rows.height == 11
    assert reading.quarantined["reason"].to_list() == [f"{reason} new_customer_orders"]
