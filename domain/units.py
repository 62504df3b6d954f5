"""How a bid unit is named: readable, stable, and the same in every room that meets it."""

import polars as pl

#: Columns that together name a bid unit, outermost first.
UNIT_PARTS = ("campaign", "ad_group", "target", "match_type")


def unit_id(*parts: str) -> pl.Expr:
    """Name of the bid unit of each row: ``campaign / ad group / target / match type``.

    Parts that are null at the end are left out (a campaign that is a unit of its own is named by the
    campaign alone). A slash after a blank is doubled within a part, so two units never share a name.

    Parameters
    ----------
    parts
        Columns that hold the parts, outermost first; `UNIT_PARTS` where none are given.
    """
    columns = [pl.col(part).str.replace_all(" /", " //", literal=True).fill_null("") for part in parts or UNIT_PARTS]
    return pl.concat_str(columns, separator=" / ").str.replace(r"( / )+$", "").alias("unit_id")
