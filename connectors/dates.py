"""Days as reports write them: ISO, ``Feb 1, 2020``, Excel serials, and numeric dates whose order must be proven.

``03/04/2020`` is the 3rd of April or the 4th of March. It is read only where another row of the same file
proves the order (``25/04/2020``); else it is set aside, never guessed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

_MIDNIGHT = r"(?:[T ]0{1,2}:00(?::00(?:\.0+)?)?(?:\s*(?:Z|\+00:?00))?)?"
_ISO = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})" + _MIDNIGHT)
_BARE = re.compile(r"(20\d{2})(\d{2})(\d{2})")
_CHINESE = re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})日?")
_NUMERIC = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})" + _MIDNIGHT)
_MONTH_FIRST = re.compile(r"([a-z]{3,9})\.?\s*(\d{1,2})(?:st|nd|rd|th)?\s*,?\s+(\d{4})")
_DAY_FIRST = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?[\s.-]*([a-z]{3,9})\.?[\s,-]*(\d{4}|\d{2})")
_SERIAL = re.compile(r"([2-7]\d{4})(?:\.0+)?")
_NAMES = ("january", "february", "march", "april", "may", "june", "july", "august")
_NAMES += ("september", "october", "november", "december")
_MONTHS: Mapping[str, int] = {
    spelling: number for number, name in enumerate(_NAMES, 1) for spelling in (name, name[:3])
} | {"sept": 9}
_EXCEL_ZERO = date(1899, 12, 30)

UNREADABLE, AMBIGUOUS, IMPOSSIBLE = "unreadable date", "ambiguous date", "impossible date"


@dataclass(frozen=True, slots=True)
class Days:
    """One column of days.

    Attributes
    ----------
    values
        Date; null where there is none, or none that can be read.
    reason
        Why a text was not read, in the words of a quarantine; null otherwise.
    notes
        How ambiguous dates were read, and which row proves it.
    """

    values: pl.Series
    reason: pl.Series
    notes: tuple[str, ...] = ()


def parse(column: pl.Series, row_numbers: pl.Series) -> Days:
    """Days of a column of texts (stripped, null for blank); each distinct text is looked at once."""
    texts = [text for text in column.unique(maintain_order=True).to_list() if text is not None]
    numeric = {
        text: (int(found[1]), int(found[3]))
        for text in texts
        if (found := _NUMERIC.fullmatch(text)) and found[2] != "." and _read(text, "day")[1] != IMPOSSIBLE
    }
    day_first = next((text for text, (first, second) in numeric.items() if first > 12 >= second), None)
    month_first = next((text for text, (first, second) in numeric.items() if second > 12 >= first), None)
    notes: tuple[str, ...] = ()
    order: str | None = None
    doubtful = [text for text, pair in numeric.items() if max(pair) <= 12 and pair[0] != pair[1]]
    if (day_first is None) != (month_first is None):
        order = "day" if day_first is not None else "month"
        proof = day_first or month_first
        row = row_numbers.filter((column == proof).fill_null(False))[0]
        if doubtful:
            notes = (f"dates such as {doubtful[0]} are read {order} first, because row {row} says {proof}",)
    read = {text: _read(text, order) for text in texts}
    table = pl.DataFrame(
        {"text": texts, "day": [r[0] for r in read.values()], "reason": [r[1] for r in read.values()]},
        schema={"text": pl.String, "day": pl.Date, "reason": pl.String},
    )
    joined = pl.DataFrame({"text": column}).join(table, on="text", how="left", maintain_order="left")
    return Days(joined["day"], joined["reason"], notes)


def _read(text: str, order: str | None) -> tuple[date | None, str | None]:
    """Day of one text, or the reason why there is none."""
    low = text.casefold().strip()
    if found := _ISO.fullmatch(text):
        return _day(int(found[1]), int(found[3]), int(found[4]))
    if (found := _BARE.fullmatch(low)) or (found := _CHINESE.fullmatch(low)):
        return _day(int(found[1]), int(found[2]), int(found[3]))
    if found := _NUMERIC.fullmatch(text):
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        if found[2] == "." or first > 12 or first == second:
            return _day(year, second, first)
        if second > 12:
            return _day(year, first, second)
        if order is None:
            return None, AMBIGUOUS
        return _day(year, second, first) if order == "day" else _day(year, first, second)
    if (found := _MONTH_FIRST.fullmatch(low)) and found[1] in _MONTHS:
        return _day(int(found[3]), _MONTHS[found[1]], int(found[2]))
    if (found := _DAY_FIRST.fullmatch(low)) and found[2] in _MONTHS:
        year = int(found[3])
        return _day(year + 2000 if year < 100 else year, _MONTHS[found[2]], int(found[1]))
    if found := _SERIAL.fullmatch(low):
        day = _EXCEL_ZERO + timedelta(days=int(found[1]))
        return _day(day.year, day.month, day.day)
    return None, UNREADABLE


def _day(year: int, month: int, day: int) -> tuple[date | None, str | None]:
    if not 2000 <= year < 2100:
        return None, IMPOSSIBLE
    try:
        return date(year, month, day), None
    except ValueError:
        return None, IMPOSSIBLE
