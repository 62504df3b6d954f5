"""Numbers and dates as people write them mean what they say, or are not read at all."""

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import dates, numbers

amounts = st.integers(0, 10**9).map(lambda cents: cents / 100)


def one(text: str, comma: bool | None = False) -> float | None:
    read = numbers.parse(pl.Series([text]), comma)
    assert not (read.unreadable[0] and read.values[0] is not None)
    return read.values[0]


@pytest.mark.parametrize(
    ("text", "value", "sign"),
    [
        ("1,234.50", 1234.5, None),
        ("1,00,000.25", 100000.25, None),  # lakhs
        ("1,234", 1234.0, None),
        ("1 234.5", 1234.5, None),
        ("1\u202f234.5", 1234.5, None),
        ("Rs.1000.0", 1000.0, "INR"),
        ("Rs. 1,000", 1000.0, "INR"),
        ("₹15.51", 15.51, "INR"),
        ("INR 7", 7.0, "INR"),
        ("7 GBP", 7.0, "GBP"),
        ("$12", 12.0, "$"),
        ("-$12", -12.0, "$"),
        ("$-12", -12.0, "$"),
        ("(12.50)", -12.5, None),
        ("−3", -3.0, None),
        ("1.66%", 0.0166, None),
        ("1e-7", 1e-7, None),
        ("+7", 7.0, None),
        (".5", 0.5, None),
        ("１２", 12.0, None),
    ],
)
def test_these_are_numbers(text, value, sign):
    read = numbers.parse(pl.Series([text]))
    assert read.values[0] == pytest.approx(value)
    assert read.signs[0] == sign
    assert not read.unreadable[0]


@pytest.mark.parametrize(
    "text",
    [
        "nan",
        "NaN",
        "inf",
        "-Infinity",
        "1e999",
        "abc",
        "1.2.3",
        "1,2,3",
        "12,34",
        "12 apples",
        "#DIV/0!",
        "0x10",
        "1_000",
        "--5",
        "5-",
        "5%%",
        "$",
        "Rs",
        "%",
        "12-13",
        "(5",
        "USD5EUR x",
        "$1$2",
        "=1+1",
    ],
)
def test_these_are_not_numbers(text):
    read = numbers.parse(pl.Series([text]))
    assert read.values[0] is None
    assert read.unreadable[0]


def test_blanks_are_missing_not_unreadable():
    read = numbers.parse(pl.Series(["", "-", "--", "n/a", None, "—"], dtype=pl.String))
    assert read.values.null_count() == 6
    assert not read.unreadable.any()


@settings(max_examples=60, deadline=None)
@given(st.lists(amounts, min_size=1, max_size=20))
def test_any_way_to_write_an_amount_gives_the_amount(values):
    ways = [
        [f"{v:.2f}" for v in values],
        [f"{v:,.2f}" for v in values],
        [f"Rs.{v:,.2f}" for v in values],
        [f"{v:,.2f} €" for v in values],
        [f"£{v:.2f}" for v in values],
        [repr(v) for v in values],
        [f"{v * 100:.2f}%" for v in values],
    ]
    for texts in ways:
        assert numbers.decimal_comma([pl.Series(texts)]) is not True
        # A percentage is divided by 100, which may round the last of a float's 53 bits (2.2e-16).
        assert numbers.parse(pl.Series(texts)).values.to_list() == pytest.approx(values, rel=3e-16, abs=1e-9)
    swap = str.maketrans(",.", ".,")
    comma = [f"{v:,.2f}".translate(swap) for v in values]
    assert numbers.decimal_comma([pl.Series(comma)]) is True
    assert numbers.parse(pl.Series(comma), True).values.to_list() == pytest.approx(values)


def test_a_file_that_writes_fractions_both_ways_does_not_say_which():
    assert numbers.decimal_comma([pl.Series(["12,34", "5.60"])]) is None
    assert numbers.decimal_comma([pl.Series(["1,234", "5"])]) is False
    assert one("12,34", None) is None
    assert one("12.34", None) == 12.34


WAYS = ["%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d.%m.%Y"]


@settings(max_examples=60, deadline=None)
@given(st.dates(date(2000, 1, 1), date(2068, 12, 31)), st.sampled_from([*WAYS, "%Y-%m-%d 00:00:00", "%Y年%m月%d日"]))
def test_any_unambiguous_way_to_write_a_day_gives_the_day(day, way):
    read = dates.parse(pl.Series([day.strftime(way)]), pl.Series([2]))
    assert read.values[0] == day
    assert read.reason[0] is None


@settings(max_examples=40, deadline=None)
@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_excel_serials_are_days(day):
    serial = (day - date(1899, 12, 30)).days
    read = dates.parse(pl.Series([str(serial), f"{serial}.0"]), pl.Series([2, 3]))
    assert read.values.to_list() == [day, day]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dates(date(2020, 1, 1), date(2020, 12, 31)), min_size=1, max_size=30), st.booleans())
def test_numeric_dates_are_never_misread(days, day_first):
    """Whatever days a file holds: each is read right, or not at all."""
    texts = pl.Series([d.strftime("%d/%m/%Y" if day_first else "%m/%d/%Y") for d in days])
    read = dates.parse(texts, pl.Series(range(2, len(days) + 2)))
    for day, value, reason in zip(days, read.values, read.reason, strict=True):
        assert value == day or (value is None and reason == dates.AMBIGUOUS)
    if any(d.day > 12 for d in days):
        assert read.values.to_list() == days


def test_a_month_of_numeric_dates_is_read_completely():
    days = [date(2024, 4, 1) + timedelta(days=i) for i in range(30)]
    read = dates.parse(pl.Series([d.strftime("%d/%m/%Y") for d in days]), pl.Series(range(2, 32)))
    assert read.values.to_list() == days
    assert read.notes == ("dates such as 01/04/2024 are read day first, because row 14 says 13/04/2024",)
    # 01/04 is doubtful, 04/04 is not


def test_an_impossible_day_proves_nothing():
    read = dates.parse(pl.Series(["31/02/2024", "03/04/2024"]), pl.Series([2, 3]))
    assert read.reason.to_list() == [dates.IMPOSSIBLE, dates.AMBIGUOUS]
