"""Cells that a spreadsheet opens as what they are: text never runs as a formula."""

import polars as pl

#: A cell that begins with one of these is run as a formula by common spreadsheets.
_DANGEROUS = r"^[\s\u00a0\u200b\ufeff]*[=+\-@\t\r\n|＝＋－＠]"
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f]"


def defused(text: pl.Expr) -> pl.Expr:
    """Text with a leading apostrophe where a spreadsheet would run it, and without control characters.

    A lone ``-`` (Amazon's "no match type") is left as it is.
    """
    clean = text.str.replace_all(r"[\t\r\n]+", " ").str.replace_all(_CONTROL, "")
    risky = text.str.contains(_DANGEROUS) & (text.str.strip_chars() != "-")
    return pl.when(risky).then(pl.concat_str(pl.lit("'"), clean)).otherwise(clean)
