"""The response model: what the engine asks for fits and outlooks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from domain.errors import ConfigError
from domain.outlook import Auction, Outlook
from domain.phases import PromotionCalendar
from domain.tables import Floats, Known
from domain.time import Hour
from predictors.conversions import UnitBeliefs
from predictors.evidence import gather
from predictors.outlook import compose
from predictors.profile import WeekProfile
from predictors.settings import PredictorSettings

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
    auction
        How clicks are priced.
    settings
        Beliefs held until the account's own rows speak.
    profile
        Traffic over the hours of a week.
    notes
        What `fit` has to say.
    """

    calendar: PromotionCalendar = field(default_factory=PromotionCalendar)
    auction: Auction = Auction.SECOND_PRICE
    settings: PredictorSettings = field(default_factory=PredictorSettings)
    profile: WeekProfile | None = None
    notes: tuple[str, ...] = ()

    def fit(self, history: Known) -> "SteadyModel":
        """Model that has learned from `history` what changes slowly."""
        return replace(self)

    def outlook(self, known: Known, hours: Sequence[Hour]) -> Outlook:
        """Expected response over `hours`, of which the first is decided.

        Raises `InsufficientHistory` where neither rows nor priors give a price or a volume to start from.
        """
        if not hours:
            raise ConfigError("an outlook needs at least one hour")
        profile = self.profile if self.profile is not None else WeekProfile.default()
        evidence = gather(known, hours, self.calendar, profile)
        beliefs, notes = self._beliefs(known, evidence.rows.clicks, evidence.rows.impressions, evidence.rows.orders)
        return compose(known, hours, evidence, beliefs, self.settings, self.auction, (*self.notes, *notes))

    def _beliefs(
        self, known: Known, clicks: Floats, impressions: Floats, orders: Floats
    ) -> tuple[UnitBeliefs, tuple[str, ...]]:
        units, notes = known.units, []
        # the account's own mean, half a click and half an order away from the plain rates
        own_ctr = (float(clicks.sum()) + 0.5) / (float(impressions.sum()) + 0.5 / PLAIN_CTR)
        own_cvr = (float(orders.sum()) + 0.5) / (float(clicks.sum()) + 0.5 / PLAIN_CVR)
        ctr, ctr_stated = _stated(units["prior_ctr"].to_numpy(), min(own_ctr, 1.0))
        cvr, cvr_stated = _stated(units["prior_cvr"].to_numpy(), min(own_cvr, 1.0))
        if not ctr_stated.all():
            notes.append(f"no ctr forecast for {int((~ctr_stated).sum())} units: the account's own rate stands in")
        if not cvr_stated.all():
            notes.append(f"no cvr forecast for {int((~cvr_stated).sum())} units: the account's own rate stands in")
        value = units["prior_order_value"].to_numpy().astype(np.float64)
        price = units["price"].to_numpy().astype(np.float64)
        worth = np.where(np.isfinite(value) & (value > 0), value, price)
        campaign = units["campaign"].rank("dense").cast(int).fill_null(0).to_numpy().astype(np.int64) - 1
        return UnitBeliefs(cvr, ctr, cvr_stated, worth, campaign, known.priors.price_median), tuple(notes)


def _stated(column: Floats, fallback: float) -> tuple[Floats, np.ndarray]:
    column = column.astype(np.float64)
    stated = np.isfinite(column) & (column > 0) & (column <= 1)
    return np.where(stated, column, fallback), stated
