"""The fast hand on the wheel: a PI trim of the price of money on spend that leaves its plan.

    e_t = log(actual spend / planned spend) of hour t
    I_t = clip(0.8 I_{t-1} + e_t, -0.5, 0.5)          leaky integral: winds up no further than half
    theta <- theta * exp(gain * I)

It is for shocks the forecast has not understood yet; in calm hours it stays near 1. Frozen (conditional
integration) in hours that were dark or planned next to nothing, and halved in the first half of the budget,
where there is time to let the forecast learn. A PI step on a multiplier is mirror descent with momentum
(Balseiro et al., "Dual-based PI controllers", 2022). State is recomputed from stored rows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PiTrim:
    """Settings of the trim; defaults from mathematics II.2.

    Attributes
    ----------
    gain
        Strength of the integral on log theta.
    leak
        Share of the integral that survives an hour.
    bound
        Largest absolute integral.
    least_share
        An hour counts only where planned spend is at least this share of the mean planned spend.
    """

    gain: float = 0.10
    leak: float = 0.8
    bound: float = 0.5
    least_share: float = 0.1

    def factor(self, planned: Sequence[float], actual: Sequence[float], budget_used: float) -> float:
        """Factor on theta after these hours, oldest first; `actual` is NaN where an hour is dark."""
        if not planned:
            return 1.0
        floor = self.least_share * sum(planned) / len(planned)
        integral = 0.0
        for plan, spend in zip(planned, actual, strict=True):
            if math.isnan(spend) or plan <= max(floor, 1e-12) or spend <= 0:
                continue  # dark or capped: hold the integral
            error = math.log(max(1 / math.e, min(math.e, spend / plan)))
            integral = max(-self.bound, min(self.bound, self.leak * integral + error))
        gain = self.gain * (0.5 if budget_used < 0.5 else 1.0)
        return math.exp(gain * integral)
