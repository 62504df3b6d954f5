"""Exports of live accounts are read without a single refusal, and tell one story."""

import polars as pl
import pytest

from connectors import read_any, reconcile

pytestmark = pytest.mark.real_data


def test_the_indian_account_s_six_reports_agree(real_data):
    readings = [read_any(path) for path in sorted(real_data.glob("amazon_sp_IN_*.csv.gz"))]
    assert len(readings) == 6
    for reading in readings:
        assert reading.error is None
        assert (reading.quarantined.height, reading.rows_ignored, reading.warnings) == (0, 0, ())
        assert reading.rows["spend"].sum() == pytest.approx(22_337.77)
        assert reading.rows["clicks"].sum() == 1180
        if reading.report != "performance_over_time":
            assert (reading.currency, reading.attribution_days) == ("INR", 14)
            assert reading.rows["orders"].sum() == 146
    found = reconcile(pl.concat([r.rows for r in readings]), "INR")
    assert found.agree
    assert len(found.words) == 1
    assert "22,337.77 INR, 1,180 clicks, 146 orders" in found.words[0]


def test_the_british_account_s_search_terms_are_read(real_data):
    reading = read_any(real_data / "amazon_sp_UK_search_term.csv.gz")
    assert reading.error is None
    assert (reading.report, reading.currency, reading.attribution_days) == ("search_term", "GBP", 7)
    assert (reading.rows.height, reading.quarantined.height) == (1226, 0)
    assert reading.rows["spend"].sum() == pytest.approx(2166.94)
