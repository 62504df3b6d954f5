"""Reports are compared on all they share, and every difference is told."""

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from connectors import reconcile
from domain.tables import FACTS

REPORTS = ("campaign", "targeting", "search_term", "placement", "advertised_product", "performance_over_time")


def facts(days: int = 6, campaigns: int = 3, seed: int = 5) -> pl.DataFrame:
    """Six reports of one account: the same amounts, split in other ways."""
    rng = np.random.default_rng(seed)
    rows = []
    for day in range(days):
        for campaign in range(campaigns):
            parts = [
                {
                    "clicks": float(rng.integers(1, 30)),
                    "spend": float(rng.integers(100, 9000)) / 100,
                    "orders": float(rng.integers(0, 4)),
                    "gmv": float(rng.integers(0, 90000)) / 100,
                }
                for _ in range(4)
            ]
            base = {"start_local": datetime(2024, 2, 1 + day), "grain": "day", "campaign": f"Tea {campaign}"}
            whole = {k: round(sum(p[k] for p in parts), 2) for k in parts[0]}
            rows.append({"report": "campaign", **base, **whole})
            dimension = {"targeting": "target", "search_term": "search_term", "placement": "placement"}
            for report in ("targeting", "search_term", "placement", "advertised_product"):
                column = dimension.get(report, "sku")
                rows += [{"report": report, **base, column: str(i), **p} for i, p in enumerate(parts)]
            rows.append(
                {
                    "report": "performance_over_time",
                    **base,
                    "campaign": None,
                    "clicks": whole["clicks"],
                    "spend": whole["spend"],
                }
            )
    return (
        pl.DataFrame(rows, schema_overrides={"grain": FACTS["grain"]}, infer_schema_length=None)
        .with_row_index("row_number", offset=2)
        .with_columns(
            pl.lit(None, dtype).alias(n)
            for n, dtype in FACTS.items()
            if n not in {*rows[0], *dimension.values(), "sku", "row_number"}
        )
        .select(pl.col(n).cast(dtype) for n, dtype in FACTS.items())
    )


def change(frame: pl.DataFrame, where: pl.Expr, **values: float) -> pl.DataFrame:
    """Same facts with an amount added in the first row where a condition holds."""
    row = frame.with_row_index("at").filter(where)["at"][0]
    at = pl.int_range(pl.len()) == row
    return frame.with_columns(pl.when(at).then(pl.col(n) + v).otherwise(pl.col(n)).alias(n) for n, v in values.items())


def test_reports_of_one_truth_agree_and_the_totals_are_told():
    frame = facts()
    found = reconcile(frame, "INR")
    assert found.agree
    assert found.differences.height == 0
    campaign = frame.filter(pl.col("report") == "campaign")
    for report in REPORTS:
        assert report in found.words[0]
    for amount in (f"{campaign['spend'].sum():,.2f} INR", f"{campaign['clicks'].sum():,.0f} clicks"):
        assert amount in found.words[0]
    assert len(found.words) == 1


@pytest.mark.parametrize("report", ["targeting", "search_term", "placement", "advertised_product"])
@pytest.mark.parametrize(("measure", "amount"), [("spend", 0.02), ("clicks", 1.0), ("orders", -1.0), ("gmv", 5.0)])
def test_any_change_of_one_row_is_found_and_told(report, measure, amount):
    here = (pl.col("report") == report) & (pl.col("campaign") == "Tea 1") & (pl.col("start_local").dt.day() == 3)
    found = reconcile(change(facts(), here, **{measure: amount}))
    assert not found.agree
    row = found.differences.row(0, named=True)
    assert found.differences.height == 1
    assert (row["report"], row["measure"], row["campaign"], row["day"].day) == (report, measure, "Tea 1", 3)
    assert row["difference"] == pytest.approx(amount)
    assert any(w.startswith(f"{measure} of {report} differs from campaign") and "Tea 1" in w for w in found.words)


def test_the_report_of_whole_days_is_compared_by_day():
    found = reconcile(change(facts(), pl.col("report") == "performance_over_time", spend=3.0))
    row = found.differences.row(0, named=True)
    assert (row["campaign"], row["difference"]) == (None, pytest.approx(3.0))


def test_rounding_is_no_difference():
    assert reconcile(change(facts(), pl.col("report") == "targeting", spend=0.004, gmv=-0.004)).agree
    assert not reconcile(change(facts(), pl.col("report") == "targeting", spend=0.004), money_tolerance=0.001).agree


def test_a_campaign_that_one_report_lacks_is_a_difference():
    frame = facts().filter(~((pl.col("report") == "placement") & (pl.col("campaign") == "Tea 2")))
    found = reconcile(frame)
    assert set(found.differences["campaign"]) == {"Tea 2"}
    assert (found.differences["value"] == 0).all()


def test_days_that_one_report_lacks_are_told_and_not_compared():
    found = reconcile(facts().filter((pl.col("report") != "placement") | (pl.col("start_local").dt.day() < 4)))
    assert found.agree
    assert any("placement does not cover 3 days between 2024-02-04 and 2024-02-06" in w for w in found.words)
    assert any(w.startswith("placement agrees on the days it shares (2024-02-01 to 2024-02-03)") for w in found.words)


def test_reports_without_a_common_day_are_not_said_to_agree():
    frame = facts().filter(
        ((pl.col("report") == "campaign") & (pl.col("start_local").dt.day() < 3))
        | ((pl.col("report") == "targeting") & (pl.col("start_local").dt.day() > 4))
    )
    found = reconcile(frame)
    assert any("share no day" in w for w in found.words)
    assert not any("agree" in w for w in found.words)


@pytest.mark.parametrize("reports", [(), ("targeting",)])
def test_there_is_nothing_to_compare_with_fewer_than_two_reports(reports):
    found = reconcile(facts().filter(pl.col("report").is_in(reports)))
    assert found.agree
    assert len(found.words) == 1


def test_the_order_of_rows_changes_nothing():
    frame = change(facts(), pl.col("report") == "targeting", spend=9.0)
    one, two = reconcile(frame), reconcile(frame.sample(fraction=1.0, shuffle=True, seed=3))
    assert one.words == two.words
    assert one.differences["difference"].to_list() == pytest.approx(two.differences["difference"].to_list())
