"""Whether what was fitted anew at night is used: champion and challenger are tried on days that neither has seen.

What `SteadyModel.fit` learns (rates of units without a forecast, the week's profile) depends only on how far back its
rows reach, so a fit is named by the instant before which its rows begin. Both fits forecast the same later stretch from
the same cut, with everything else learned anew, and are judged by a proper score:

    clicks of units     negative binomial log score of the total at the bids that were in force
    clicks of hours     log score of the hour's share, given the total
    orders of units     log score of the unit's share, given the total: late orders are missing alike in both

The newer fit is taken unless it is worse by more than its noise: it has seen more. Apart from that, `alarms` say whether
clicks or spend of the stretch lay so far outside their band that a person should look, and `coverage` how many of the
bands of single campaigns held.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import polars as pl
from scipy.special import gammaln

from domain.errors import InsufficientHistory
from domain.outlook import Outlook
from domain.tables import Bools, Floats, Ints, Known
from domain.time import Hour
from predictors.day_ahead import Stretch
from predictors.model import SteadyModel
from predictors.sums import summed

#: Relative variance of a unit's clicks around a forecast that is as good as forecasts are.
CLICK_VARIANCE = 0.15
#: Standard errors by which a challenger must be worse to be turned down, and by which a stretch must miss to alarm.
WORSE, ALARM = 1.64, 3.0
#: Clicks due from which on a campaign's bands are counted: with fewer, "none or one" holds whatever the model is like.
LEAST_DUE = 5.0
_BANDS = ("clicks", "spend")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a challenge said.

    Attributes
    ----------
    promoted
        Whether the challenger is to be used.
    reason
        Why, for a person.
    champion_loss, challenger_loss
        Log loss per click; ``None`` for a champion that was not there.
    error
        Standard error of their difference.
    clicks
        Clicks judged by.
    alarms
        What a person should look at; empty where all is well.
    coverage, bands
        Share of the challenger's 80 % bands that held (clicks and spend of each campaign with `LEAST_DUE` clicks or more
        due), and how many there were; ``None`` where there was none.
    """

    promoted: bool
    reason: str
    champion_loss: float | None
    challenger_loss: float
    error: float
    clicks: float
    alarms: tuple[str, ...]
    coverage: float | None = None
    bands: int = 0


def fit_until(model: SteadyModel, known: Known, until: datetime | None) -> SteadyModel:
    """Model fitted on the rows that begin before an instant; ``None`` = on all rows."""
    if until is None:
        return model.fit(known)
    rows = known.performance.filter(pl.col("start_utc") < until)
    return model.fit(replace(known, performance=rows))


def challenge(
    model: SteadyModel,
    before: Known,
    after: Known,
    hours: list[Hour],
    champion: datetime | None,
    *,
    doubted: bool = False,
) -> Verdict:
    """Try the fit on all rows of `before` against the champion's.

    Parameters
    ----------
    model
        Unfitted model.
    before
        What was known when the stretch began: both fits forecast from it.
    after
        What is known of the stretch by now.
    hours
        The stretch; its first hour is that of `before`.
    champion
        Instant before which the champion's rows begin; ``None`` = there is none.
    doubted
        Whether a newer fit must be better by more than its noise, as after a rollback.
    """
    start, end = hours[0].start, hours[-1].end
    rows = after.performance.filter((pl.col("start_utc") >= start) & (pl.col("start_utc") < end))
    rows = rows.join(_positions(after, before), on="unit", how="inner")
    if float(rows["clicks"].sum()) < 1:
        raise InsufficientHistory(
            f"no click between {start:%Y-%m-%d %H:%M} and {end:%Y-%m-%d %H:%M}: nothing to judge by"
        )
    day = _Day.of(rows, hours, before)
    outlook, bids = day.forecast(fit_until(model, before, None))
    stretch = Stretch.of(outlook, bids)
    new, alarms, held = day.losses(outlook, stretch.clicks), day.alarms(stretch), day.held(stretch)
    clicks = float(rows["clicks"].sum())
    coverage = float(held.mean()) if held.size else None
    if champion is None or champion >= start:
        loss = float(new.sum()) / clicks
        return Verdict(True, "there was no champion", None, loss, 0.0, clicks, alarms, coverage, held.size)
    outlook, bids = day.forecast(fit_until(model, before, champion))
    expected = [outlook.at(h).expected(bids[:, h])["clicks"].to_numpy() for h in range(len(hours))]
    old = day.losses(outlook, np.stack(expected, axis=1))
    gain = old - new
    error = float(np.sqrt(gain.size) * gain.std())
    promoted = float(gain.sum()) > (WORSE * error if doubted else -WORSE * error - 1e-9)
    reason = (
        f"log loss per click {new.sum() / clicks:.4f} against {old.sum() / clicks:.4f} of the champion "
        f"(+- {error / clicks:.4f})"
    )
    return Verdict(
        promoted, reason, float(old.sum()) / clicks, float(new.sum()) / clicks, error / clicks, clicks, alarms,
        coverage, held.size,
    )  # fmt: skip


def _positions(after: Known, before: Known) -> pl.DataFrame:
    """Position in `before` of each unit of `after` that both know."""
    own = after.units.select("unit_id").with_row_index("unit").with_columns(pl.col("unit").cast(pl.UInt32))
    return own.join(before.units.select("unit_id").with_row_index("at"), on="unit_id", how="inner")


@dataclass(frozen=True, slots=True)
class _Day:
    """What the stretch brought; arrays are (n_rows,), positions of units are those of `before`."""

    before: Known
    hours: list[Hour]
    unit: Ints
    first: Ints  # hour of the stretch
    length: Ints  # hours
    bid: Floats
    clicks: Floats
    spend: Floats
    orders: Floats

    @classmethod
    def of(cls, rows: pl.DataFrame, hours: list[Hour], before: Known) -> "_Day":
        first = (rows["start_utc"].to_physical().to_numpy() - int(hours[0].start.timestamp() * 1e6)) // 3_600_000_000
        length = np.maximum(np.nan_to_num(rows["hours"].to_numpy(), nan=1.0), 1.0).astype(np.int64)
        seen = (np.nan_to_num(rows[c].to_numpy().astype(np.float64)) for c in ("clicks", "spend", "orders"))
        bid = rows["bid_cpc"].to_numpy().astype(np.float64)
        return cls(before, hours, rows["at"].to_numpy().astype(np.int64), first, length, bid, *seen)

    def forecast(self, model: SteadyModel) -> tuple[Outlook, Floats]:
        """What a model expected of the stretch, and the (n_units, n_hours) bids that were in force."""
        outlook = model.outlook(self.before, self.hours)
        return outlook, _in_force(outlook, self.unit, self.first, self.length, self.bid, self.before.n_units)

    def losses(self, outlook: Outlook, expected: Floats) -> Floats:
        """Log losses of units and hours of the stretch; `expected` (n_units, n_hours) clicks at the bids in force."""
        n = self.before.n_units
        got = np.maximum(summed(self.unit, self.clicks, n), 0.0)
        losses = [_negative_binomial(got, expected.sum(1))]
        if (self.length == 1).all() and len(self.hours) > 1:
            share = expected.sum(0) / max(float(expected.sum()), 1e-12)
            losses.append(-summed(self.first, self.clicks, len(self.hours)) * np.log(np.maximum(share, 1e-9)))
        sold = np.maximum(summed(self.unit, self.orders, n), 0.0)
        weight = got * outlook.cvr.mean
        if sold.sum() > 0:
            losses.append(-sold * np.log(np.maximum(weight / max(float(weight.sum()), 1e-12), 1e-9)))
        return np.concatenate(losses)

    def alarms(self, stretch: Stretch) -> tuple[str, ...]:
        """What lay so far from its forecast that a person should look."""
        band = stretch.bands(figures=_BANDS)
        got = np.maximum(summed(self.unit, self.clicks, self.before.n_units), 0.0)
        return tuple(
            f"{name} came to {seen:,.0f} where {band[name].mean[0]:,.0f} were forecast at these bids: {abs(off):.1f} errors off"
            for name, seen in (("clicks", float(got.sum())), ("spend", float(self.spend.sum())))
            for off in [(seen / max(band[name].mean[0], 1e-9) - 1) / max(band[name].cv[0], 1e-9)]
            if abs(off) > ALARM
        )

    def held(self, stretch: Stretch) -> Bools:
        """Whether clicks and spend of each campaign with enough clicks due lay in their bands."""
        campaign = self.before.units["campaign"].fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
        n = int(campaign.max(initial=-1)) + 1
        bands = stretch.bands(campaign, _BANDS)
        due = bands["clicks"].mean >= LEAST_DUE
        held: list[Bools] = []
        for name, amount in (("clicks", self.clicks), ("spend", self.spend)):
            seen = summed(campaign[self.unit], amount, n)
            held.append(((seen >= bands[name].low) & (seen <= bands[name].high))[due])
        return np.concatenate(held)


def _in_force(outlook: Outlook, unit: Ints, first: Ints, length: Ints, bid: Floats, n: int) -> Floats:
    """(n_units, n_hours) bids of the stretch: as reported, else the unit's proxy at the hour's price; 0 without a row."""
    n_hours = len(outlook.hours)
    bids = np.zeros((n, n_hours))
    proxy = outlook.bid_proxy / outlook.price[0]
    for h in range(n_hours):
        here = (first <= h) & (h < first + length)
        known = here & np.isfinite(bid) & (bid > 0)
        bids[unit[here], h] = proxy[unit[here]] * outlook.price[h]
        bids[unit[known], h] = bid[known]
    return bids


def _negative_binomial(seen: Floats, mean: Floats) -> Floats:
    """Log loss of counts around means of relative variance `CLICK_VARIANCE` beyond counting."""
    k = 1.0 / CLICK_VARIANCE
    m = np.maximum(mean, 1e-6)
    fit = gammaln(k + seen) - gammaln(k) - gammaln(seen + 1) + k * np.log(k / (k + m)) + seen * np.log(m / (k + m))
    return -fit
