"""Rivals: who bids against the account, hour by hour, with budgets, pacing, coming and going, and reaction.

A rival of category c bids in every auction of c while it is awake: strength x price level of the unit x noise. What it
spends is reckoned in the mean, so that the state of all rivals is a number per rival and hour: its level

    log level_r(h) = log strength_r + pace_r(h) + reaction_r(h),    or asleep.

Sleepers have left, not yet come, or spent their day's budget. Pacing rivals bid lower when they are ahead of their
budget and higher when behind; reacting ones raise their bids where this account's ads stand above theirs more than
usual, and calm down slowly. Levels depend on what the account bid before, never on what it bids now.
"""

from dataclasses import dataclass

import numpy as np

from domain.tables import Bools, Floats, Ints
from market.scenario import Scenario
from market.truth import Profiles, stream

_RIVALS = 40  # random stream beside those of market.truth

#: Share of auctions with this account on top that rivals are used to.
USUAL_PRESENCE = 0.30
#: Share of a reaction that is left after an hour.
MEMORY = 0.8
#: How fast a pacing rival turns, and how far.
PACE_GAIN, PACE_BOUND = 0.15, 0.35


@dataclass(frozen=True, slots=True)
class Population:
    """Rivals of a world, all (n_rivals,) unless stated.

    Attributes
    ----------
    category
        Where each one bids.
    log_strength
        Logarithm of its bids over the price level, unpaced.
    daily_budget
        In units of what it would spend that day against all others, unpaced.
    paces, reaction
        Whether it paces, and how strongly it reacts.
    present
        (n_rivals, n_hours) whether it has come and not left.
    """

    category: Ints
    log_strength: Floats
    daily_budget: Floats
    paces: Bools
    reaction: Floats
    present: Bools


def draw_population(scenario: Scenario, seed: int) -> Population:
    """Rivals of a world; every category keeps two that never leave nor run dry, where it has as many."""
    part = scenario.auction
    assert part is not None
    rng = stream(seed, _RIVALS)
    n, hours = part.rivals, scenario.n_hours
    category = np.arange(n) % part.categories
    strength = part.strength_spread * rng.standard_normal(n)
    budget = part.budget_tightness * np.exp(0.4 * rng.standard_normal(n))
    present = np.ones((n, hours), np.bool_)
    rank = np.arange(n) // part.categories
    budget[rank < 2] = np.inf
    for r in np.flatnonzero((rng.random(n) < part.coming_share) & (rank >= 2)):
        at = int(rng.integers(hours // 4, max(hours - hours // 4, hours // 4 + 1)))
        present[r, :at] = False
        if rng.random() < 0.5:
            present[r] = ~present[r]
    return Population(
        category=category,
        log_strength=strength,
        daily_budget=budget,
        paces=rng.random(n) < part.pacing_share,
        reaction=part.reaction * 2 * rng.random(n) * (rng.random(n) < 0.5),
        present=present,
    )


@dataclass(frozen=True, slots=True)
class Levels:
    """Rivals as they bid in a stretch of hours: (n_rivals, n_hours) log levels; -inf = asleep."""

    log_level: Floats
    category: Ints


class Rivals:
    """The running state of a population in one run; ask for levels hour by hour.

    Parameters
    ----------
    population
        Who they are.
    expected
        Traffic and price factors that everybody expects: what rivals plan their days by.
    """

    def __init__(self, population: Population, expected: Profiles) -> None:
        self.population = population
        self._expected = expected
        n, hours = population.present.shape
        self.recorded = np.full((n, hours), -np.inf)
        self._pace, self._react, self._spent = np.zeros(n), np.zeros(n), np.zeros(n)
        weight = expected.traffic * expected.price
        # Rivals know the calendar too: a day's budget is a multiple of what that day is expected to cost.
        self._of_day = weight / np.bincount(expected.day, weight)[expected.day]
        self._usual = self._share(population.log_strength, np.ones(n, np.bool_))

    def at(self, hour: int) -> Floats:
        """(n_rivals,) log levels of an hour, recorded."""
        who, day = self.population, self._expected.day
        if hour == 0 or day[hour] != day[hour - 1]:
            self._spent[:] = 0
        awake = who.present[:, hour] & (self._spent < who.daily_budget)
        level = np.where(awake, who.log_strength + self._pace + self._react, -np.inf)
        self.recorded[:, hour] = level
        return level

    def after(self, hour: int, presence: Floats) -> None:
        """Take note of an hour: (n_categories,) share of auctions in which the account stood on top."""
        who = self.population
        level = self.recorded[:, hour]
        awake = np.isfinite(level)
        share = self._share(np.where(awake, level, 0.0), awake)
        spend = (
            self._of_day[hour] * share / self._usual * np.exp(np.where(awake, level - who.log_strength, 0.0)) * awake
        )
        self._spent += spend
        due = np.minimum(who.daily_budget, 1.0) * self._of_day[hour]
        error = np.log(np.maximum(spend, 1e-9) / np.maximum(due, 1e-9))
        self._pace = np.where(
            who.paces & awake,
            np.clip(self._pace - PACE_GAIN * np.clip(error, -1, 1), -PACE_BOUND, PACE_BOUND),
            self._pace,
        )
        self._react = MEMORY * self._react + (1 - MEMORY) * who.reaction * (presence[who.category] - USUAL_PRESENCE)

    def _share(self, level: Floats, awake: Bools) -> Floats:
        """(n_rivals,) share of the category's auctions that each wins, roughly: by the square of its level."""
        weight = np.where(awake, np.exp(2 * level), 0.0)
        total = np.bincount(self.population.category, weight, int(self.population.category.max()) + 1)
        return np.maximum(weight / np.maximum(total[self.population.category], 1e-12), 1e-6)
