"""The response model: what the engine asks for fits and outlooks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from domain.errors import ConfigError
from domain.groups import Groups
from domain.outlook import Auction, Outlook
from domain.phases import PromotionCalendar
from domain.tables import HOURS, Bools, Floats, Known, empty, instants, moment
from domain.time import Hour
from predictors.account_rates import UnitRate, fit_unit_rate
from predictors.conversions import UnitBeliefs
from predictors.evidence import Evidence, gather
from predictors.kin import kin_of
from predictors.matured import Matured, matured_totals
from predictors.outlook import compose
from predictors.past import learn_past
from predictors.profile import HOURS_OF_WEEK, WeekProfile
from predictors.rows import Rows
from predictors.settings import PredictorSettings
from predictors.sums import summed
from predictors.uplift import Uplifts, learn_uplifts

#: Rates where neither last month's model nor a single row tells one.
PLAIN_CTR, PLAIN_CVR = 0.01, 0.03


@dataclass(frozen=True, slots=True)
class SteadyModel:
    """Predicts clicks, spend, orders and gmv of every unit at every bid; satisfies `ResponseModel`.

    `fit` is for the night: it learns what changes slowly. `outlook` is for the hour: it learns levels, prices,
    delays and single units anew from `known`, and is pure: the same `known` gives the same answer, and rows
    that were learned later cannot enter.

    Attributes
    ----------
    calendar
        Phases of the promotion.
    past
        Phases of earlier promotions, to learn from what they did.
    auction
        How clicks are priced.
    settings
        Beliefs held until the account's own rows speak.
    profile
        Traffic over the hours of a week; ``None`` = the shipped one.
    ctr, cvr
        Rates of units that no forecast speaks of; ``None`` = the account's constant rate.
    uplifts
        What past phases did.
    notes
        What `fit` has to say.
    """

    calendar: PromotionCalendar = field(default_factory=PromotionCalendar)
    past: PromotionCalendar = field(default_factory=PromotionCalendar)
    auction: Auction = Auction.SECOND_PRICE
    settings: PredictorSettings = field(default_factory=PredictorSettings)
    profile: WeekProfile | None = None
    ctr: UnitRate | None = None
    cvr: UnitRate | None = None
    uplifts: Uplifts = field(default_factory=Uplifts)
    notes: tuple[str, ...] = ()

    def fit(self, history: Known) -> "SteadyModel":
        """Model that has learned from `history` what changes slowly.

        Click and conversion rates where units lack a forecast (LightGBM where it wins), what past phases did, and the
        week's profile where hourly rows lack one. History without rows leaves the model as it is.
        """
        if not history.performance.height or not history.n_units:
            return self
        rows, n = history.performance, history.n_units
        unit = rows["unit"].to_numpy()
        impressions, clicks, orders = (
            summed(unit, np.nan_to_num(rows[name].to_numpy()), n) for name in ("impressions", "clicks", "orders")
        )
        learned = self
        for what, column, hits, trials in (
            ("ctr", "prior_ctr", clicks, impressions),
            ("cvr", "prior_cvr", orders, clicks),
        ):
            if history.units[column].null_count():
                rate = fit_unit_rate(what, history.units, hits, trials)
                learned = replace(learned, **{what: rate})
        learned = replace(learned, uplifts=self._uplifts(history))
        return replace(
            learned,
            profile=learned._profile(history),
            notes=tuple(rate.note for rate in (learned.ctr, learned.cvr) if rate is not None),
        )

    def _uplifts(self, history: Known) -> Uplifts:
        """What phases did that were over when `history` was known."""
        over = PromotionCalendar(tuple(p for p in self.past.phases if p.window.end <= history.hour.start))
        if not over.phases:
            return Uplifts()
        profile = self.profile if self.profile is not None else WeekProfile.default()
        plain = replace(history, priors=replace(history.priors, hours=empty(HOURS)))
        evidence = gather(plain, [history.hour], PromotionCalendar(), profile)
        return learn_uplifts(evidence, over, history.hour, self.auction, self.settings.pooled_price_spread)

    def _profile(self, history: Known) -> WeekProfile | None:
        """The account's own profile, from a week or more of hourly rows that no forecast covers."""
        start = WeekProfile.default()
        evidence = gather(history, [history.hour], self.uplifts.calendar(self.calendar), start)
        rows, factors = evidence.rows, evidence.factors
        cohorts = rows.cohorts
        position = factors.position(cohorts.hour)
        used = np.flatnonzero(~cohorts.daily & ~factors.forecast[position])
        if not used.size or int(np.ptp(cohorts.hour[used])) < HOURS_OF_WEEK:
            return self.profile
        n_rows = np.bincount(rows.cohort, minlength=position.size)
        expected = n_rows * factors.traffic[position]
        return start.learned(factors.hour_of_week[position[used]], rows.by_cohort(rows.clicks)[used], expected[used])

    def outlook(self, known: Known, hours: Sequence[Hour]) -> Outlook:
        """Expected response over `hours`, of which the first is decided.

        Raises `InsufficientHistory` where neither rows nor priors give a price or a volume to start from.
        """
        if not hours:
            raise ConfigError("an outlook needs at least one hour")
        profile = self.profile if self.profile is not None else WeekProfile.default()
        evidence = gather(known, hours, self.uplifts.calendar(self.calendar), profile)
        beliefs, notes = self._beliefs(known, evidence.rows)
        outlook = compose(known, hours, evidence, beliefs, self.settings, self.auction, (*self.notes, *notes))
        return self._with_doubt(outlook, evidence, known.hour) if self.uplifts.past else outlook

    def matured(
        self, known: Known, groups: Groups, since: datetime | None = None, until: datetime | None = None
    ) -> Matured:
        """What past clicks cost and sold in the end, by group: the outlook's matured figures, and 80 % bands.

        Parameters
        ----------
        groups
            Groups of the units of `known`.
        since, until
            Clicks of hours (or days) that start from the one instant on, and before the other; ``None`` = no end.
        """
        profile = self.profile if self.profile is not None else WeekProfile.default()
        evidence = gather(known, [known.hour], self.uplifts.calendar(self.calendar), profile)
        rows = evidence.rows
        beliefs, _ = self._beliefs(known, rows)
        past = learn_past(evidence, beliefs, self.settings)
        starts = instants(known.performance["start_utc"])
        kept = np.ones(starts.size, np.bool_)
        kept &= True if since is None else starts >= moment(since)
        kept &= True if until is None else starts < moment(until)
        level_sd = self.settings.prior_level_sd if beliefs.cvr_stated.any() else 1.0
        return matured_totals(evidence, past, groups, level_sd, kept)

    def _with_doubt(self, outlook: Outlook, evidence: Evidence, cut: Hour) -> Outlook:
        """Outlook whose shared errors hold those of learned uplifts too, in hours that no forecast speaks of."""
        at = evidence.factors.position(np.array([h.hours_since(cut) for h in outlook.hours], np.int64))
        open_hours = ~evidence.factors.forecast[at]
        traffic, value = (
            np.where(open_hours, self.uplifts.spread(self.calendar, outlook.hours, name), 0.0)
            for name in ("traffic", "value")
        )
        weight = evidence.factors.traffic[at] * outlook.value
        # hours of one phase miss together, those of another apart
        shares = [
            float((weight * value)[value == sd].sum()) / float(weight.sum()) for sd in np.unique(value[value > 0])
        ]
        volume = np.zeros(at.size) if outlook.common_volume_cv is None else outlook.common_volume_cv
        return replace(
            outlook,
            common_volume_cv=np.hypot(volume, traffic),
            common_value_cv=float(np.sqrt(outlook.common_value_cv**2 + sum(s * s for s in shares))),
            notes=(*outlook.notes, *self.uplifts.words(self.calendar)),
        )

    def _beliefs(self, known: Known, rows: Rows) -> tuple[UnitBeliefs, tuple[str, ...]]:
        units, notes = known.units, []

        def rate(
            column: str, fitted: UnitRate | None, hits: Floats, trials: Floats, plain: float
        ) -> tuple[Floats, Bools]:
            number = units[column].to_numpy().astype(np.float64)
            stated = np.isfinite(number) & (number > 0) & (number <= 1)
            if stated.all():
                return number, stated
            if fitted is not None:
                return np.where(stated, number, fitted.predict(units)), stated
            # where nothing was fitted, the account's own mean, half a success away from the plain rate
            own = min((float(hits.sum()) + 0.5) / (float(trials.sum()) + 0.5 / plain), 1.0)
            return np.where(stated, number, own), stated

        ctr, ctr_stated = rate("prior_ctr", self.ctr, rows.clicks, rows.impressions, PLAIN_CTR)
        cvr, cvr_stated = rate("prior_cvr", self.cvr, rows.orders, rows.clicks, PLAIN_CVR)
        for what, stated, fitted in (("ctr", ctr_stated, self.ctr), ("cvr", cvr_stated, self.cvr)):
            if not stated.all() and fitted is None:
                notes.append(f"no {what} forecast for {int((~stated).sum())} units: the account's own rate stands in")
        value = units["prior_order_value"].to_numpy().astype(np.float64)
        price = units["price"].to_numpy().astype(np.float64)
        worth = np.where(np.isfinite(value) & (value > 0), value, price)
        kin = kin_of(np.log(cvr), [units["category"], units["match_type"]]) if known.n_units else None
        campaign = units["campaign"].rank("dense").cast(int).fill_null(0).to_numpy().astype(np.int64) - 1
        return UnitBeliefs(cvr, ctr, cvr_stated, worth, campaign, known.priors.price_median, kin), tuple(notes)
