r"""What one campaign's hourly totals say of its market, from a cold start on.

The market price of a charged unit is log-normal, ln p ~ N(x, s), and an hour has exp(L) shape_h opportunities:

    volume        V_h ~ exp(L) shape_h Phi(z),  z = (ln b - x) / s      (noise: counting, the hour's luck, bursts)
    second price  paid per unit ~ exp(x + s^2 / 2) Phi(z - s) / Phi(z)
    L = a + day + fast + waves . c       lasting level, luck of the day, what fades within hours, form of the day

Hypotheses (x, s) stand on a grid that follows the price; given one of them L is Gaussian, so each carries its own mean
of (a, day, fast) and all share one covariance: a Rao-Blackwellised grid filter (Doucet et al. 2000), with bursts and
price jumps as second hypotheses (Harrison and Stevens 1976). It needs no first guess of the price: an hour without
volume tells that the price is higher or the traffic smaller, and the grid holds both possibilities.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from domain.tables import Floats
from engine import hourly_answers, hourly_kernels

kernels: Any = hourly_kernels
answers: Any = hourly_answers

N_PRICES = 96
#: Spreads s that are considered, and their prior chances.
SPREADS = np.array([0.28, 0.40, 0.55, 0.75, 1.0, 1.35])
SPREAD_PRIOR = np.array([0.12, 0.20, 0.25, 0.22, 0.14, 0.07])
#: Hourly random step of the log price; size and hourly chance of a jump; error of the price law itself.
PRICE_STEP, PRICE_JUMP, PRICE_JUMP_CHANCE, PRICE_MISFIT = 0.04, 0.25, 0.02, 0.03
#: Log-sd of traffic: single hours, what fades (and its hourly memory), days, hourly step of the lasting level.
HOUR_SD, FAST_SD, FAST_MEMORY, DAY_SD, SLOW_STEP = 0.18, 0.15, 0.6, 0.20, 0.01
#: Size and hourly chance of a burst.
BURST_SD, BURST_CHANCE = 1.0, 0.03
#: Share of each spread's weight that passes to a neighbour in an hour.
SPREAD_LEAK = 0.002
_OWN = 3  # a, day, fast


@dataclass(frozen=True, slots=True)
class Stretch:
    """Hours to come: what each hypothesis' opportunities in them are, up to its own levels.

    Attributes
    ----------
    log_volume
        Log of opportunities at own levels of 0.
    slope
        (3,) how its logarithm answers to the own levels.
    share
        (n_hours,) share of each hour.
    sd
        Log error of the volume, apart from what depends on the hypothesis.
    """

    log_volume: float
    slope: Floats
    share: Floats
    sd: float


@dataclass(frozen=True, slots=True)
class Prior:
    """One of several stories of a market not seen yet: ln p ~ N(`log_price`, `price_sd`), a | x around a line.

    Attributes
    ----------
    chance
        Weight against the other stories; they need not sum to 1.
    level, level_slope
        Lasting level of the traffic at `log_price`, and how it follows the log price: money buys what there is.
    """

    chance: float
    log_price: float
    price_sd: float
    level: float
    level_slope: float


class Belief:
    """Filter of one campaign; money in units that the caller keeps to. See the module."""

    def __init__(self, prior: Sequence[Prior], level_sd: float, wave_sd: float):
        """Begin with a mixture of stories; `level_sd` is the error of the lasting level given the price."""
        low = min(one.log_price - 3.2 * one.price_sd for one in prior)
        high = max(one.log_price + 3.2 * one.price_sd for one in prior)
        self.log_price: Floats = np.linspace(low, high, N_PRICES)
        shape, level = np.zeros(N_PRICES), np.zeros(N_PRICES)
        for one in prior:
            apart = self.log_price - one.log_price
            part = one.chance / one.price_sd * np.exp(-0.5 * (apart / one.price_sd) ** 2)
            shape += part
            level += part * (one.level + one.level_slope * apart)
        self.weight: Floats = SPREAD_PRIOR[:, None] * (shape / shape.sum())
        self.level: Floats = np.zeros((SPREADS.size, N_PRICES, _OWN))
        self.level[:, :, 0] = level / shape
        sd = np.array([level_sd, DAY_SD, FAST_SD, wave_sd, wave_sd, 0.7 * wave_sd, 0.7 * wave_sd])
        self.cov: Floats = np.diag(sd**2)
        self.wave: Floats = np.zeros(4)
        self.mean: Floats = np.zeros(_OWN)
        self._fresh = np.zeros(N_PRICES)
        self._kernel: tuple[float, Floats] = (0.0, np.zeros(0))
        kernels.mean_levels(self.weight, self.level, self.mean)

    def copy(self) -> "Belief":
        """The same belief, to be carried on apart."""
        other = object.__new__(Belief)
        other.log_price, other.wave = self.log_price, self.wave  # never changed in place
        other.weight, other.level, other.cov = self.weight.copy(), self.level.copy(), self.cov.copy()
        other.mean, other._fresh, other._kernel = self.mean.copy(), np.zeros(N_PRICES), self._kernel
        return other

    def pass_hour(self, *, new_day: bool) -> None:
        """An hour goes by: prices drift, luck fades."""
        step = float(self.log_price[1] - self.log_price[0])
        if self._kernel[0] != step:
            self._kernel = (step, _drift(step))
        kernels.spread_out(self.weight, self.level, self._kernel[1], self._fresh, SPREAD_LEAK)
        self.level[:, :, 2] *= FAST_MEMORY
        self.cov[2, :] *= FAST_MEMORY
        self.cov[:, 2] *= FAST_MEMORY
        self.cov[2, 2] += FAST_SD**2 * (1 - FAST_MEMORY**2)
        self.cov[0, 0] += SLOW_STEP**2
        if new_day:
            self.level[:, :, 1] = 0.0
            self.cov[1, :] = 0.0
            self.cov[:, 1] = 0.0
            self.cov[1, 1] = DAY_SD**2
        self._follow_grid()
        kernels.mean_levels(self.weight, self.level, self.mean)

    def observe_volume(self, log_bid: float, volume: float, log_shape: float, waves: Floats) -> None:
        """Learn from what an hour's bid won."""
        due = np.empty(self.weight.shape)
        kernels.expected_volume(log_bid, self.log_price, SPREADS, self.level, log_shape + float(waves @ self.wave), due)
        h = np.concatenate([np.ones(_OWN), waves])
        boost = self.cov.copy()
        boost[2, 2] += BURST_SD**2
        pulled, boosted = self.cov @ h, boost @ h
        v0 = float(h @ pulled) + HOUR_SD**2
        v1 = v0 + BURST_SD**2
        _, miss, burst, slope = kernels.weigh_volume(self.weight, due, volume, v0, v1, BURST_CHANCE)
        count = slope**2 / (volume + 0.5) + 1e-4 if slope > 0.05 else 1.0
        k0 = pulled * slope / (slope**2 * v0 + count)
        k1 = boosted * slope / (slope**2 * v1 + count)
        gain = (1 - burst) * k0 + burst * k1
        apart = (k1 - k0) * miss
        self.cov = (
            (1 - burst) * (self.cov - slope * np.outer(k0, pulled))
            + burst * (boost - slope * np.outer(k1, boosted))
            + burst * (1 - burst) * np.outer(apart, apart)
        )
        kernels.shift_levels(self.level, due, volume, gain[:_OWN])
        self.wave = self.wave + gain[_OWN:] * miss
        kernels.mean_levels(self.weight, self.level, self.mean)

    def observe_price(self, log_bid: float, log_paid: float, draws: float) -> None:
        """Learn from the mean price paid under a bid (second price), a mean over `draws` single prices."""
        kernels.weigh_price(self.weight, self.log_price, SPREADS, log_bid, log_paid, draws, PRICE_MISFIT)
        kernels.mean_levels(self.weight, self.level, self.mean)

    def stretch(self, log_shape: Floats, waves: Floats, today: Floats) -> Stretch:
        """Hours from the present one on; `today` is 1 in hours of the present day."""
        fade = FAST_MEMORY ** np.arange(log_shape.size)
        hours = np.exp(log_shape + waves @ self.wave + self.mean[1] * today + self.mean[2] * fade)
        total = float(hours.sum())
        share = hours / total
        slope = np.array([1.0, float(share @ today), float(share @ fade)])
        gradient = np.concatenate([slope, share @ waves])
        variance = float(gradient @ self.cov @ gradient) + float(share @ share) * (HOUR_SD**2 + FAST_SD**2)
        log_volume = math.log(total) - slope[1] * self.mean[1] - slope[2] * self.mean[2]
        return Stretch(log_volume, slope, share, math.sqrt(max(variance, 0.0)))

    def log_bid(
        self, log_money: float, log_units: float, slope: Floats, shift: float, *, first_price: bool, most: float
    ) -> tuple[float, float]:
        """Mean over hypotheses of the log bid that spends the money in a stretch, and the variance of their answers.

        `shift` is how far prices of the stretch are expected to lie over the present one, in the logarithm.
        """
        mean, variance = answers.bids_for(
            self.weight, self.log_price + shift, SPREADS, self.level, log_units, slope, log_money, first_price, most
        )
        return float(mean), float(variance)

    def outcome(
        self, log_units: float, slope: Floats, log_bid: float, cap: float, *, first_price: bool, shift: float = 0.0
    ) -> tuple[float, float]:
        """Expected charged units and spend of a stretch at a bid; no hypothesis spends more than `cap`."""
        units, spend = answers.rest_at(
            self.weight, self.log_price + shift, SPREADS, self.level, log_units, slope, log_bid, first_price, cap
        )
        return float(units), float(spend)

    def price(self) -> tuple[float, float, float]:
        """Mean and error of the log price, and the typical spread."""
        mean, sd, log_spread = kernels.moments(self.weight, self.log_price, SPREADS)
        return float(mean), float(sd), math.exp(float(log_spread))

    def _follow_grid(self) -> None:
        """Lay the grid anew where the price has left its middle or become much better, or worse, known."""
        mean, sd, _ = self.price()
        half = 0.5 * float(self.log_price[-1] - self.log_price[0])
        centre = 0.5 * float(self.log_price[-1] + self.log_price[0])
        wanted = max(4.5 * sd, 1.0)
        if 0.6 * half < wanted < half and abs(mean - centre) < 0.25 * half:
            return
        fresh = np.linspace(mean - 1.25 * wanted, mean + 1.25 * wanted, N_PRICES)
        self.weight, self.level = kernels.regrid(self.weight, self.level, self.log_price, fresh)
        self.log_price = fresh


def _drift(step: float) -> Floats:
    """Kernel of one hour's price move on a grid of that step: mostly small, at times a jump."""
    reach = min(max(2, math.ceil(2.5 * PRICE_JUMP / step)), 24)
    x = step * np.arange(-reach, reach + 1)
    wide = np.exp(-0.5 * (x / PRICE_JUMP) ** 2)
    aside = PRICE_STEP**2 / (2 * step**2)
    if aside <= 0.3:  # a coarse grid: the variance of the step, dealt to the two neighbours
        near = np.zeros(x.size)
        near[reach - 1] = near[reach + 1] = aside
        near[reach] = 1 - 2 * aside
    else:
        near = np.exp(-0.5 * (x / PRICE_STEP) ** 2)
        near /= near.sum()
    return (1 - PRICE_JUMP_CHANCE) * near + PRICE_JUMP_CHANCE * wide / wide.sum()
