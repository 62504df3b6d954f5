"""Pacing: the price of money over phases and hours, a trim on spend, and the breaker."""

from pacing.breaker import Breaker, HardCaps, TripRules
from pacing.pacer import MirrorFallback, RecedingHorizon
from pacing.trim import PiTrim

__all__ = ["Breaker", "HardCaps", "MirrorFallback", "PiTrim", "RecedingHorizon", "TripRules"]
