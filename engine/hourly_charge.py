"""What a campaign pays for: clicks, or impressions; read off its spend, and counted in units that its bid prices.

A bid per click never pays more than bid x clicks. Spend beyond that shows a market that charges impressions; the bid
may then price an impression, a thousand of them, or a click that is expected (bid x predicted CTR): the finest of
these that keeps spend within bid x units is taken.
"""

from dataclasses import dataclass

from engine.hourly_log import HourLog

#: Clicks per impression before any was seen, and how many clicks that guess is worth.
USUAL_CTR, CTR_WORTH = 0.02, 1.0
#: Hourly memory of counts: rates may drift.
MEMORY = 0.995
_SLACK = 1.001


@dataclass(slots=True)
class Charge:
    """Running counts of one campaign; see the module."""

    unit: str = "click"
    clicks: float = 0.0
    impressions: float = 0.0
    ctr_guess: float = USUAL_CTR
    _spend: float = 0.0
    _bid_impressions: float = 0.0
    _bid_expected: float = 0.0
    _blind: bool = False

    def count(self, log: HourLog) -> bool:
        """Add an hour; returns whether it changed what is taken to be charged."""
        self.clicks = MEMORY * self.clicks + log.clicks
        self.impressions = MEMORY * self.impressions + log.impressions
        blind, self._blind = self._blind, self.impressions < self.clicks
        if log.predicted_ctr:
            self.ctr_guess = log.predicted_ctr
        if not log.bid > 0:
            return blind != self._blind
        self._spend += log.spend
        self._bid_impressions += log.bid * log.impressions
        self._bid_expected += log.bid * log.impressions * (log.predicted_ctr or self.ctr)
        before = self.unit
        if self.unit == "click" and log.impressions > 0 and log.spend > _SLACK * log.bid * log.clicks:
            self.unit = "impression"
        if self.unit != "click":
            self.unit = self._finest()
        return self.unit != before or blind != self._blind

    def _finest(self) -> str:
        """Unit of the largest spend over bid x units that does not pass 1 by more than chance."""
        paid = self._spend
        choices = (
            ("impression", self._bid_impressions, 1.02),
            ("thousand", self._bid_impressions / 1000, 1.02),
            ("expected click", self._bid_expected, 1.5),
        )
        fits = [(paid / units, name) for name, units, most in choices if units > 0 and paid <= most * units]
        return max(fits)[1] if fits else "impression"

    @property
    def ctr(self) -> float:
        """Clicks per impression, drawn to the guess while few were seen."""
        return (self.clicks + CTR_WORTH) / (self.impressions + CTR_WORTH / self.ctr_guess)

    @property
    def per_volume(self) -> float:
        """Charged units per unit of volume (impressions where they are counted, else clicks)."""
        if self._blind:
            return 1.0
        return {"click": self.ctr, "expected click": self.ctr, "impression": 1.0, "thousand": 1e-3}[self.unit]

    @property
    def clicks_per_volume(self) -> float:
        """Clicks per unit of volume."""
        return 1.0 if self._blind else self.ctr

    def volume(self, log: HourLog) -> float:
        """Volume of an hour."""
        return log.clicks if self._blind else log.impressions

    def units(self, log: HourLog) -> float:
        """Charged units of an hour."""
        if self.unit == "click" or self._blind:
            return log.clicks
        if self.unit == "expected click":
            return log.impressions * (log.predicted_ctr or self.ctr)
        return log.impressions * self.per_volume

    def draws(self, log: HourLog) -> float:
        """Single prices that an hour's spend is the sum of."""
        return log.clicks if self.unit == "click" or self._blind else log.impressions
