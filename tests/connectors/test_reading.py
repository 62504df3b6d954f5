"""Reports are recognised by their columns and read alike from every kind of file."""

from datetime import date, datetime

import polars as pl
import pytest

from connectors import read_any, read_report, recognise
from domain.errors import ConfigError
from domain.tables import FACTS

KINDS = ["search_term", "advertised_product", "targeting", "placement", "campaign", "performance_over_time"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["csv", "gz", "xlsx", "tsv", "bom", "utf-16", "semicolon", "crlf"])
def test_every_report_reads_the_same_from_every_kind_of_file(tmp_path, report, expected_totals, kind, form):
    sheet = report(kind)
    path = tmp_path / "download.dat"  # the name says nothing
    match form:
        case "csv":
            sheet.csv(path)
        case "gz":
            sheet.gz(path)
        case "xlsx":
            sheet.xlsx(path)
        case "tsv":
            sheet.csv(path, separator="\t")
        case "bom":
            sheet.csv(path, encoding="utf-8-sig")
        case "utf-16":
            sheet.csv(path, separator="\t", encoding="utf-16")
        case "semicolon":
            sheet.csv(path, separator=";")
        case _:
            path.write_bytes(sheet.text().replace("\n", "\r\n").encode())
    reading = read_any(path)
    assert reading.error is None
    assert reading.report == kind == recognise(path)
    assert reading.rows.schema == pl.Schema(FACTS)
    assert reading.rows_read == reading.rows.height == len(sheet.rows)
    for name, total in expected_totals(sheet).items():
        assert reading.rows[name].sum() == pytest.approx(total, rel=1e-12), name
    assert reading.rows["start_local"].to_list() == [datetime(2024, 2, r[0].day) for r in sheet.rows]
    assert reading.rows["row_number"].to_list() == list(range(2, len(sheet.rows) + 2))
    assert reading.attribution_days == (None if kind == "performance_over_time" else 14)
    assert reading.currency == (None if kind == "performance_over_time" else "INR")
    assert not [w for w in reading.warnings if "UTF-16" not in w]


@pytest.mark.parametrize("kind", KINDS)
def test_dimensions_that_a_report_does_not_have_are_null(tmp_path, report, kind):
    rows = read_report(report(kind).csv(tmp_path / "a.csv")).rows
    has = {
        "search_term": {"campaign", "ad_group", "target", "match_type", "search_term"},
        "advertised_product": {"campaign", "ad_group", "sku"},
        "targeting": {"campaign", "ad_group", "target", "match_type"},
        "placement": {"campaign", "placement"},
        "campaign": {"campaign"},
        "performance_over_time": set(),
    }[kind]
    for name in ("campaign", "ad_group", "target", "match_type", "sku", "search_term", "placement"):
        assert rows[name].null_count() == (0 if name in has else rows.height), name


def test_a_seller_s_seven_day_report_in_the_new_layout_is_read(tmp_path, report):
    sheet = report("search_term").rename(
        {
            "14 Day Total Sales (₹)": "7 Day Total Sales ",
            "Total Advertising Cost of Sales (ACoS)": "Total Advertising Cost of Sales (ACOS) ",
            "Total Return on Advertising Spend (RoAS)": "Total Return on Advertising Spend (ROAS)",
            "14 Day Total Orders (#)": "7 Day Total Orders (#)",
            "14 Day Total Units (#)": "7 Day Total Units (#)",
            "14 Day Conversion Rate": "7 Day Conversion Rate",
            "14 Day Advertised ASIN Units (#)": "7 Day Advertised SKU Units (#)",
            "14 Day Brand Halo ASIN Units (#)": "7 Day Other SKU Units (#)",
            "14 Day Advertised ASIN Sales (₹)": "7 Day Advertised SKU Sales ",
            "14 Day Brand Halo ASIN Sales (₹)": "7 Day Other SKU Sales ",
        }
    )
    sheet = sheet.fill("Currency", ["GBP"] * 12).add("Retailer", "Amazon").add("Country", "United Kingdom")
    reading = read_report(sheet.csv(tmp_path / "a.csv"))
    assert (reading.error, reading.warnings, reading.quarantined.height) == (None, (), 0)
    assert (reading.currency, reading.attribution_days, reading.rows.height) == ("GBP", 7, 12)


def test_a_daily_summary_with_start_and_end_date_is_read_as_days(tmp_path, report):
    sheet = report("targeting").rename({"Date": "Start Date"})
    for row in range(12):
        end = sheet.rows[row][0]
        if row == 0:
            sheet = sheet.add("End Date", None)
        sheet = sheet.put(row, "End Date", end)
    reading = read_report(sheet.csv(tmp_path / "a.csv"))
    assert (reading.rows.height, reading.quarantined.height) == (12, 0)


def test_rows_that_cover_several_days_are_set_aside_with_the_remedy(tmp_path, report):
    sheet = report("targeting").rename({"Date": "Start Date"}).add("End Date", date(2024, 2, 29))
    reading = read_report(sheet.csv(tmp_path / "a.csv"))
    assert reading.error is None
    assert reading.reasons == {"covers several days": 12}
    assert "Daily" in reading.quarantined["detail"][0]


CHINESE = {
    "Date": "日期", "Portfolio name": "广告组合名称", "Currency": "货币", "Campaign Name": "广告活动名称",
    "Ad Group Name": "广告组名称", "Targeting": "投放", "Match Type": "匹配类型", "Customer Search Term": "客户搜索词",
    "Impressions": "展示量", "Clicks": "点击量", "Click-Thru Rate (CTR)": "点击率(CTR)",
    "Cost Per Click (CPC)": "每次点击成本(CPC)", "Spend": "花费", "14 Day Total Sales (₹)": "7天总销售额",
    "Total Advertising Cost of Sales (ACoS)": "广告投入产出比 (ACOS) 总计",
    "Total Return on Advertising Spend (RoAS)": "总广告投资回报率 (ROAS)", "14 Day Total Orders (#)": "7天总订单数(#)",
    "14 Day Total Units (#)": "7天总销售量(#)", "14 Day Conversion Rate": "7天的转化率",
    "14 Day Advertised ASIN Units (#)": "7天内广告SKU销售量(#)", "14 Day Brand Halo ASIN Units (#)": "7天内其他SKU销售量(#)",
}  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "utf-16"])
def test_a_chinese_download_is_read_in_three_encodings(tmp_path, report, expected_totals, encoding):
    english = report("search_term").without("14 Day Advertised ASIN Sales (₹)")
    english = english.without("14 Day Brand Halo ASIN Sales (₹)").fill("Match Type", ["精准", "词组", "广泛", "-"] * 3)
    sheet = english.rename(CHINESE).add("国家/地区", "印度")
    reading = read_report(sheet.csv(tmp_path / "a.csv", encoding=encoding))
    assert reading.error is None
    assert (reading.report, reading.attribution_days, reading.rows.height) == ("search_term", 7, 12)
    assert reading.rows["spend"].sum() == pytest.approx(expected_totals(english)["spend"])
    assert reading.rows["match_type"].to_list()[:4] == ["EXACT", "PHRASE", "BROAD", "-"]
    assert not [w for w in reading.warnings if "read as" not in w]


def test_texts_of_the_campaign_csv_are_read_as_numbers(tmp_path, report, expected_totals):
    plain = report("campaign")
    sheet = plain
    for row, cells in enumerate(plain.rows):
        at = dict(zip(plain.header, cells, strict=True))
        sheet = (
            sheet.put(row, "Date", f"Feb {row + 1}, 2024")
            .put(row, "Budget", "Rs.1,500.0")
            .put(row, "Spend", f"Rs.{at['Spend']:,.2f}")
            .put(row, "14 Day Total Sales (₹)", f"Rs.{at['14 Day Total Sales (₹)']:,.2f}")
            .put(row, "Click-Thru Rate (CTR)", f"{100 * at['Click-Thru Rate (CTR)']:.2f}%")
        )
    reading = read_report(sheet.csv(tmp_path / "a.csv"))
    assert (reading.rows.height, reading.currency, reading.warnings) == (12, "INR", ())
    for name, total in expected_totals(plain).items():
        assert reading.rows[name].sum() == pytest.approx(total)
    assert reading.rows["daily_budget"].unique().to_list() == [1500.0]
    assert reading.rows["campaign_status"].unique().to_list() == ["ENABLED"]


def test_a_file_with_decimal_commas_is_read_and_says_so(tmp_path, report, expected_totals):
    plain = report("targeting")
    sheet = plain.fill("Spend", [f"{row[plain.header.index('Spend')]:.2f}".replace(".", ",") for row in plain.rows])
    sheet = sheet.fill(
        "14 Day Total Sales (₹)",
        [f"{row[plain.header.index('14 Day Total Sales (₹)')]:.2f}".replace(".", ",") for row in plain.rows],
    )
    for column in ("Click-Thru Rate (CTR)", "Cost Per Click (CPC)"):
        sheet = sheet.without(column)
    for column in ("Total Advertising Cost of Sales (ACoS)", "Total Return on Advertising Spend (RoAS)"):
        sheet = sheet.without(column)
    reading = read_report(sheet.csv(tmp_path / "a.csv", separator=";"))
    assert reading.rows["spend"].sum() == pytest.approx(expected_totals(plain)["spend"])
    assert any("decimal commas" in w for w in reading.warnings)


def test_an_unknown_column_is_told_and_changes_nothing(tmp_path, report):
    plain = read_report(report().csv(tmp_path / "a.csv"))
    reading = read_report(report().add("Shoe size", 44).csv(tmp_path / "b.csv"))
    assert reading.rows.equals(plain.rows)
    assert any("Shoe size" in w for w in reading.warnings)


def test_the_order_of_columns_does_not_matter(tmp_path, report):
    sheet = report("search_term")
    order = list(reversed(range(len(sheet.header))))
    turned = type(sheet)(tuple(sheet.header[i] for i in order), tuple(tuple(r[i] for i in order) for r in sheet.rows))
    assert read_report(turned.csv(tmp_path / "a.csv")).rows.equals(read_report(sheet.csv(tmp_path / "b.csv")).rows)


def test_totals_blank_rows_repeated_headers_and_notes_are_counted_as_ignored(tmp_path, report):
    sheet = report("targeting")
    width = len(sheet.header)
    sheet = sheet.also(
        [None] * width,
        sheet.header,
        ["Total", *[None] * (width - 6), 5000, 3, 1, 2, 3],
        ["Data of the last two days may change", *[None] * (width - 1)],
    )
    reading = read_report(sheet.csv(tmp_path / "a.csv"))
    assert (reading.rows.height, reading.quarantined.height, reading.rows_ignored) == (12, 0, 4)
    assert reading.rows_read == 16


def test_a_campaign_called_total_is_a_campaign(tmp_path, report):
    reading = read_report(report("campaign").put(3, "Campaign Name", "Total").csv(tmp_path / "a.csv"))
    assert reading.rows.height == 12
    assert "Total" in reading.rows["campaign"].to_list()


def test_the_hash_is_of_the_bytes_and_does_not_depend_on_the_name(tmp_path, report):
    one, two = report().csv(tmp_path / "a.csv"), report().csv(tmp_path / "b.csv")
    three = report(seed=8).csv(tmp_path / "c.csv")
    assert read_report(one).sha256 == read_report(two).sha256 != read_report(three).sha256
    assert len(read_report(one).sha256) == 64


def test_an_unknown_platform_is_a_wrong_call(tmp_path, report):
    path = report().csv(tmp_path / "a.csv")
    with pytest.raises(ConfigError, match="amazon-sp"):
        read_report(path, platform="amazon")
    with pytest.raises(ConfigError, match="no file reports"):
        read_any(path, platform="sim")


def test_excel_serials_and_iso_texts_in_a_workbook_are_dates(tmp_path, report):
    sheet = report("targeting").put(0, "Date", 45323).put(1, "Date", "2024-02-02").put(2, "Date", "2024-02-03 00:00:00")
    rows = read_report(sheet.xlsx(tmp_path / "a.xlsx")).rows
    assert [d.day for d in rows["start_local"].to_list()[:3]] == [1, 2, 3]
