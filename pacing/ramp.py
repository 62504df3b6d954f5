"""Changed targets are approached in steps, so that CPC, ROI and spend bend instead of jumping.

A ratio target or CPC, CPA cap that was changed at an instant passes geometrically from its old value to its new one,

    value(h) = old^(1 - x) new^x,    x = min(1, hours since the change / hours of the ramp),

because prices of money answer to ratios. Budgets are not ramped: money that is gone or taken back is so at once. A target
that is new counts from the start, one that was dropped does no longer.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.errors import ConfigError
from domain.goals import Goals, Target, TargetKind
from domain.time import Hour


@dataclass(frozen=True, slots=True)
class Ramp:
    """A change of goals, and how long it takes.

    Attributes
    ----------
    before, after
        Goals until the change, and what was asked for.
    start
        Instant of the change.
    hours
        Hours until the new values are reached; 0 = at once.
    """

    before: Goals
    after: Goals
    start: datetime
    hours: int = 6

    def __post_init__(self) -> None:
        if self.hours < 0:
            raise ConfigError(f"a ramp of {self.hours} hours: need 0 or more; 0 changes targets at once")

    @property
    def end(self) -> datetime:
        """Instant from which the new targets stand as asked for."""
        return self.start + timedelta(hours=self.hours)

    def goals_at(self, hour: Hour) -> Goals:
        """Goals that an hour is decided under."""
        passed = (hour.end - self.start) / timedelta(hours=1)
        if passed <= 0:
            return self.before
        share = 1.0 if self.hours == 0 else min(1.0, passed / self.hours)
        old = {_mark(t): t.value for t in self.before.targets}
        return replace(self.after, targets=tuple(_between(t, old.get(_mark(t)), share) for t in self.after.targets))


def _mark(target: Target) -> tuple[str, str, str]:
    return target.kind.value, target.label, target.period.value


def _between(target: Target, old: float | None, share: float) -> Target:
    if old is None or target.kind is TargetKind.BUDGET or share >= 1.0:
        return target
    return replace(target, value=old ** (1 - share) * target.value**share)
