r"""How far the day's believed values are off: a common factor, learned from what came of the exposures.

With y the events (or value) that came of exposures worth sum w as believed, y ~ Poisson(L sum w) with dispersion phi (1 for
events; sum y^2 / sum y where values differ), and ln L a priori normal with a small chance of a much wider error. The
posterior is kept on a grid, so that "a tenth off" is the rule and "half as much" is believed when the day insists.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from domain.auctions import Day, TickLog
from domain.tables import Floats

_GRID = np.linspace(-1.6, 1.6, 129)
#: Spread of a day's factor, of a surprising day's, and the chance of one.
USUAL_SD, WIDE_SD, WIDE_CHANCE = 0.07, 0.40, 0.05
#: Spread of a day's factor around what past days and today's values say of it.
TOLD_SD = 0.05
#: Spread of an error that all days share, before past days tell: a few days that happened to lie on one side are no habit.
HABIT_SD = 0.04
#: How much of a day's shift of believed values is an error of the predictions, before past days tell; and its spread.
ERROR_SHARE, ERROR_SHARE_SD = 0.6, 0.3


@dataclass(frozen=True, slots=True)
class ValueLevel:
    """Evidence on the factor.

    Attributes
    ----------
    centre
        Log factor of ordinary days.
    due, came
        Believed value of what was exposed, and what came of it.
    squares
        Sum of squares of single outcomes.
    events
        Whether outcomes are events, so that silence can be weighed too; amounts of money have no scale before the first.
    usual_sd
        Spread of the log factor around its centre, but for surprising days.
    """

    centre: float = 0.0
    due: float = 0.0
    came: float = 0.0
    squares: float = 0.0
    events: bool = True
    usual_sd: float = USUAL_SD

    def plus(self, due: float, came: float, squares: float) -> "ValueLevel":
        """With more evidence."""
        return replace(self, due=self.due + due, came=self.came + came, squares=self.squares + squares)

    def after(self, log: TickLog) -> "ValueLevel":
        """With what came of a tick's exposures."""
        return self.plus(*evidence(log))

    @property
    def dispersion(self) -> float:
        """Variance of the outcome over its mean."""
        return self.squares / self.came if self.came > 0 else 1.0

    def posterior(self) -> tuple[Floats, Floats]:
        """Factors and their probabilities."""
        off = _GRID - self.centre
        usual = np.exp(-0.5 * (off / self.usual_sd) ** 2) / self.usual_sd
        wide = np.exp(-0.5 * (off / WIDE_SD) ** 2) / WIDE_SD
        log_prior = np.log((1 - WIDE_CHANCE) * usual + WIDE_CHANCE * wide + 1e-300)
        if self.came > 0 or self.events:
            log_prior = log_prior + (self.came * _GRID - self.due * np.exp(_GRID)) / self.dispersion
        weight = np.exp(log_prior - log_prior.max())
        return np.exp(_GRID), weight / weight.sum()

    def mean_sd(self) -> tuple[float, float]:
        """Mean and standard deviation of the factor."""
        factor, p = self.posterior()
        mean = float(p @ factor)
        return mean, float(np.sqrt(max(float(p @ factor**2) - mean**2, 0.0)))

    def quantile(self, share: float) -> float:
        """Factor below which it lies with this probability."""
        factor, p = self.posterior()
        return float(np.interp(share, np.cumsum(p) - p / 2, factor))


class DayShift:
    """How much higher a day's believed values are than those of past days at the same ticks, in logarithms.

    Parameters
    ----------
    usual
        (n,) mean log value by tick of past days, or ``None``.
    n_ticks
        Ticks of this day.
    """

    def __init__(self, usual: Floats | None, n_ticks: int) -> None:
        self._usual = None
        if usual is not None:
            at = np.minimum((np.arange(n_ticks) + 0.5) * usual.size / n_ticks, usual.size - 1).astype(np.int64)
            self._usual = usual[at]
        self._sum = self._weight = 0.0

    def note(self, tick: int, values: Floats) -> None:
        """Add the values of a tick."""
        positive = values[values > 0]
        if self._usual is None or positive.size == 0:
            return
        self._sum += float(np.log(positive).sum()) - positive.size * float(self._usual[tick])
        self._weight += positive.size

    @property
    def mean(self) -> float:
        """Shift so far; 0 where there is nothing to compare with. Larger ones are another traffic, not another error."""
        return float(np.clip(self._sum / self._weight, -0.3, 0.3)) if self._weight > 0 else 0.0


@dataclass(frozen=True, slots=True)
class ValueHabit:
    """What past days say of a day's log factor: level - error_share x shift of its believed values, usually within `sd`."""

    level: float = 0.0
    error_share: float = ERROR_SHARE
    sd: float = USUAL_SD

    def centre(self, shift: float) -> float:
        """Log factor to expect."""
        return self.level - self.error_share * shift

    @classmethod
    def learned(cls, days: Sequence[tuple[float, ValueLevel]]) -> "ValueHabit":
        """From (shift, evidence) of past days: posterior means over a grid."""
        level = np.linspace(-0.8, 0.8, 65)[:, None]
        share = np.linspace(-0.4, 1.6, 41)[None, :]
        wide = np.exp(-0.5 * (level / WIDE_SD) ** 2) / WIDE_SD * WIDE_CHANCE
        log_p = (
            np.log(np.exp(-0.5 * (level / HABIT_SD) ** 2) / HABIT_SD + wide)
            - 0.5 * ((share - ERROR_SHARE) / ERROR_SHARE_SD) ** 2
        )
        for shift, day in days:
            if day.came > 0:
                factor = level - share * shift
                # a day has an error of its own beside the one its values show
                own = 1.0 + TOLD_SD**2 * day.due / day.dispersion
                log_p = log_p + (day.came * factor - day.due * np.exp(factor)) / (day.dispersion * own)
        p = np.exp(log_p - log_p.max())
        p /= p.sum()
        return cls(float((p * level).sum()), float((p * share).sum()), TOLD_SD)

    @classmethod
    def of_days(cls, days: Sequence[Day], usual: Floats | None, *, events: bool) -> "ValueHabit":
        """How the factors of past days went with their values; `usual` as in `DayShift`."""
        rows: list[tuple[float, ValueLevel]] = []
        for day in days:
            level, shift = ValueLevel(events=events), DayShift(usual, len(day))
            for t, log in enumerate(day):
                if log is not None:
                    level = level.after(log)
                    shift.note(t, log.values)
            rows.append((shift.mean, level))
        return cls.learned(rows)


def evidence(log: TickLog) -> tuple[float, float, float]:
    """Believed value of what was exposed, what came of it, and its sum of squares."""
    seen = log.exposed & (log.values > 0)
    came = log.conversions[seen]
    return float(log.values[seen].sum()), float(came.sum()), float((came * came).sum())
