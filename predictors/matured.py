"""What clicks that are paid already cost and sold in the end, by group, with an 80 % band: "reported 3.1, final 3.6, 3.4 to 3.8".

The figures are those that decisions use (`past`). The band is of what will be told at last, luck included: what is told
stays, and `still_due` has the law of what is still to come. Of few orders the luck counts in part for decisions
(`luck`), so their figure may lie outside of the band.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from domain.groups import Groups
from domain.tables import Bools, Floats
from predictors.evidence import Evidence
from predictors.past import Past
from predictors.still_due import still_due
from predictors.sums import summed

_RATIOS = ("reported_roi", "roi", "roi_low", "roi_high")


@dataclass(frozen=True, slots=True)
class Matured:
    """Totals of past clicks by group, all (n_groups,), account currency.

    Attributes
    ----------
    groups
        Labels of the groups, as in `Groups`.
    spend, reported
        What was charged and what gmv was told so far.
    final_spend, gmv
        Estimated final spend and gmv, as decisions use them.
    low, high
        Ends of the 80 % band of the gmv that will be told at last.
    """

    groups: tuple[str, ...]
    spend: Floats
    reported: Floats
    final_spend: Floats
    gmv: Floats
    low: Floats
    high: Floats

    @classmethod
    def none(cls) -> "Matured":
        """Of no group."""
        return cls((), *(np.zeros(0) for _ in range(6)))

    def table(self) -> pl.DataFrame:
        """Columns ``group, spend, gmv_reported, final_spend, gmv, reported_roi, roi, roi_low, roi_high``.

        Ratios are null where nothing was spent.
        """

        def ratio(top: Floats, below: Floats) -> list[float | None]:
            return [float(t / b) if b > 0 else None for t, b in zip(top, below, strict=True)]

        final = self.final_spend
        ratios = (
            ratio(self.reported, self.spend), ratio(self.gmv, final), ratio(self.low, final), ratio(self.high, final)
        )  # fmt: skip
        sums = {"spend": self.spend, "gmv_reported": self.reported, "final_spend": final, "gmv": self.gmv}
        columns = {"group": list(self.groups), **sums, **dict(zip(_RATIOS, ratios, strict=True))}
        return pl.DataFrame(columns, schema={"group": pl.String, **dict.fromkeys((*sums, *_RATIOS), pl.Float64)})


def matured_totals(evidence: Evidence, past: Past, groups: Groups, level_sd: float, kept: Bools) -> Matured:
    """Totals of those rows that are kept, (n_rows,).

    Parameters
    ----------
    level_sd
        Relative error of the account's conversion level before any order was told.
    """
    rows = evidence.rows
    mine = np.flatnonzero(kept)
    unit = rows.unit[mine]

    def by_group(values: Floats) -> Floats:
        return groups.rolled_up(summed(unit, values[mine], evidence.n_units))

    reported = by_group(rows.gmv)
    coming = still_due(evidence, past, groups, level_sd, kept)
    low, high = (np.maximum(reported + end, 0.0) for end in coming.band())
    return Matured(
        groups.names, by_group(rows.spend), reported, by_group(past.spend), by_group(past.gmv), low, high
    )  # fmt: skip
