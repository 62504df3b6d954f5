import csv
import io
import re
from datetime import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.words import change, count, formula_safe, listed, moment, money, number, plain, share

HOSTILE = ["<script>alert(1)</script>", "=cmd()", "![x](http://evil.example/x.png)", "[a](b)", ":red[a]", "$x$", "**b**", "`c`", ":material/home:", "# h"]  # fmt: skip


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=40))
def test_every_sign_that_markdown_could_read_is_escaped_and_the_letters_stay(text: str) -> None:
    shown = plain(text)
    assert re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", shown) == " ".join(text.split())
    assert not re.search(r"(?<!\\)[!-/:-@\[\]^_`{-~]", shown.replace("\\\\", ""))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_leaves_no_sign_of_markup_unescaped(name: str) -> None:
    assert not re.search(r"(?<!\\)[\[\]()<>!*`$:#=]", plain(name))


def test_names_with_line_breaks_stay_on_one_line() -> None:
    assert plain("a\n\n# b") == r"a \# b"


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_no_cell_of_a_csv_starts_a_formula(name: str) -> None:
    frame = pl.DataFrame({"a": [name, "plain", None]})
    text = frame.with_columns(formula_safe("a")).write_csv()
    rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert rows == [[f"'{name}"], ["plain"], []]


@pytest.mark.parametrize(
    ("value", "words"),
    [(12345.6, "12,346"), (123.45, "123.5"), (1.234, "1.23"), (0.0, "0"), (-5.0, "−5"), (None, "–"), (float("nan"), "–")],
)  # fmt: skip
def test_numbers_have_as_many_digits_as_a_person_wants(value: float | None, words: str) -> None:
    assert number(value) == words


def test_amounts_and_shares_are_told_with_their_sign() -> None:
    assert money(12.5, "CNY") == "12.50 CNY"
    assert money(None, "CNY") == "–"
    assert share(0.643) == "64 %"
    assert change(0.1) == "+10 %"
    assert change(-0.1) == "−10 %"
    assert change(-0.00001, 1) == "±0.0 %"


def test_words_for_times_and_counts() -> None:
    assert moment(datetime(2026, 11, 11, 9, 0)) == "Wed 11 Nov 09:00"
    assert (count(1, "bid"), count(2000, "bid")) == ("1 bid", "2,000 bids")
    assert listed(["a", "b*", "c"], 2) == r"a, b\* and 1 more"
