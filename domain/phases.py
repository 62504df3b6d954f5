"""Phases of a promotion: warm-up ("water storage"), pre-sale, burst, return; ordinary days are one phase."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from domain.errors import ConfigError
from domain.time import Hour, Window


class PhaseKind(StrEnum):
    """Kinds of phases, in the order of a promotion."""

    ORDINARY = "ordinary"
    WARM_UP = "warm-up"
    PRE_SALE = "pre-sale"
    BURST = "burst"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase.

    Attributes
    ----------
    name
        Unique in its calendar.
    kind
        Sort of phase; conversion delay and intensities are learned per kind.
    window
        When it runs.
    budget
        Spend allowed within it, account currency; ``None`` leaves the split to the optimizer.
    traffic, value, price
        Intensities against an ordinary hour as the trader expects them (1.0 = as usual): click
        opportunities, value of a click, market price of a click.
    """

    name: str
    kind: PhaseKind
    window: Window
    budget: float | None = None
    traffic: float = 1.0
    value: float = 1.0
    price: float = 1.0

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("a phase needs a name")
        if self.budget is not None and not (math.isfinite(self.budget) and self.budget > 0):
            raise ConfigError(f"phase {self.name!r}: budget must be a positive amount, got {self.budget}")
        for what, number in (("traffic", self.traffic), ("value", self.value), ("price", self.price)):
            if not (math.isfinite(number) and number > 0):
                raise ConfigError(f"phase {self.name!r}: {what} must be a positive number, got {number}")


@dataclass(frozen=True, slots=True)
class PromotionCalendar:
    """Phases in order of time, without overlap; a gap between two phases is ordinary time."""

    phases: tuple[Phase, ...] = ()

    def __post_init__(self) -> None:
        names = [p.name for p in self.phases]
        if len(set(names)) != len(names):
            raise ConfigError(f"phase names must differ, got {names}")
        for before, after in zip(self.phases, self.phases[1:], strict=False):
            if after.window.start < before.window.start:
                raise ConfigError(f"phase {after.name!r} starts before {before.name!r}; put them in order of time")
            if before.window.overlaps(after.window):
                raise ConfigError(f"phases {before.name!r} and {after.name!r} overlap; end one before the next starts")

    @classmethod
    def of_several(cls, phases: Iterable[Phase]) -> "PromotionCalendar":
        """Calendar of the phases of several promotions, in any order; where two are called alike, all get their start."""
        ordered = sorted(phases, key=lambda p: p.window.start)
        if len({p.name for p in ordered}) < len(ordered):
            ordered = [replace(p, name=f"{p.name} from {p.window.start.isoformat()}") for p in ordered]
        return cls(tuple(ordered))

    @property
    def window(self) -> Window | None:
        """From the first phase's start to the last one's end; ``None`` without phases."""
        return Window(self.phases[0].window.start, self.phases[-1].window.end) if self.phases else None

    def phase_at(self, instant: datetime) -> Phase | None:
        """Phase in which an instant lies; ``None`` on ordinary days."""
        return next((p for p in self.phases if instant in p.window), None)

    def kind_at(self, hour: Hour) -> PhaseKind:
        """Kind of phase in which an hour starts."""
        phase = self.phase_at(hour.start)
        return PhaseKind.ORDINARY if phase is None else phase.kind
