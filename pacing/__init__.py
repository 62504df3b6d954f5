"""Pacing: the price of money over phases and hours, a trim on spend, and the breaker."""

from pacing.breaker import Breaker, HardCaps, TripRules
from pacing.exploration import Exploration
from pacing.fallback import MirrorFallback
from pacing.pacer import RecedingHorizon
from pacing.pool import contributions
from pacing.ramp import Ramp
from pacing.trim import PiTrim

__all__ = [
    "Breaker",
    "Exploration",
    "HardCaps",
    "MirrorFallback",
    "PiTrim",
    "Ramp",
    "RecedingHorizon",
    "TripRules",
    "contributions",
]
