"""How near conversion rates of units come to the truth, and how near anybody could come.

    python -m benchmarks.unit_rates --first 100 --worlds 12

Accounts are drawn from a stated law: rates that follow category, match type and a part that nothing tells; forecasts
with a common bias, an error per unit, and more of it for new units; market prices that go with the value of clicks; orders
that come late. At several hours the loop's own estimate (delay, level and units all learned) is compared with the
truth, beside the posterior mean of one who knows the whole law with all its numbers (bias, errors, spreads, delay) and
only not the draws: the floor. Errors are root mean squares of the logarithm, weighted by the value of clicks: of the level that
all units share, and of units around it.
"""

import argparse
from dataclasses import dataclass

import numpy as np
import polars as pl

from domain.tables import Floats, Ints
from predictors.conversions import UnitBeliefs, learn_conversions
from predictors.evidence import NEVER, Evidence, HourFactors
from predictors.kin import kin_of
from predictors.rows import Cohorts, Rows
from predictors.settings import PredictorSettings

HOUR_OF_DAY = np.array([
    0.55, 0.35, 0.25, 0.20, 0.20, 0.30, 0.50, 0.75, 0.95, 1.10, 1.20, 1.25,
    1.25, 1.20, 1.15, 1.15, 1.15, 1.15, 1.20, 1.40, 1.65, 1.75, 1.50, 1.00,
])  # fmt: skip
#: Orders told with their click, and mean hours of the others; spread of rates, and weights of what tells them.
AT_ONCE, LATE_MEAN, SPREAD = 0.45, 10 / 0.55, 0.4
_CATEGORY, _MATCH, _HIDDEN, _PRICE = 0.6 * SPREAD, 0.4 * SPREAD, 0.69 * SPREAD, 0.4


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of account: units, clicks per unit and hour, categories, common bias, error of forecasts, share of new units and theirs."""

    units: int
    clicks: float
    categories: int
    bias: float
    error: float
    new: float = 0.0
    error_new: float = 0.0


KINDS = {
    "good forecasts, 40 units": Kind(40, 4.0, 4, 0.10, 0.10),
    "usual, 10 units": Kind(10, 2.5, 4, 0.10, 0.30, 0.10, 0.75),
    "usual, 200 units": Kind(200, 15.0, 8, 0.10, 0.30, 0.10, 0.75),
    "poor, 200 units": Kind(200, 15.0, 8, 0.25, 0.50, 0.10, 0.90),
    "many new, 200 units": Kind(200, 15.0, 8, 0.10, 0.30, 0.30, 0.90),
}


@dataclass(frozen=True, slots=True)
class World:
    """One account: (n_units,) truth, forecast, price over value, category, match type; (n_units, n_hours) clicks; orders one by one."""

    kind: Kind
    cvr: Floats
    value: Floats
    forecast: Floats
    price: Floats
    category: Ints
    match: Ints
    clicks: Ints
    order_unit: Ints
    order_hour: Ints
    lag: Ints


def draw(kind: Kind, seed: int, hours: int) -> World:
    """One account from the law."""
    rng, n = np.random.default_rng([seed, 7]), kind.units
    category, match = rng.permutation(n) % kind.categories, rng.integers(0, 3, n)
    told = _CATEGORY * rng.standard_normal(kind.categories)[category] + _MATCH * (match - 1) / 0.816
    cvr = np.minimum(0.03 * np.exp(told + _HIDDEN * rng.standard_normal(n)), 0.5)
    value = 90 * np.exp(0.7 * rng.standard_normal(n))
    size = np.exp(rng.standard_normal(n))
    price = 0.2 * np.exp(_PRICE * rng.standard_normal(n)) * cvr * value
    error = np.full(n, kind.error)
    error[rng.permutation(n)[: round(kind.new * n)]] = kind.error_new
    forecast = cvr * (1 + kind.bias) * np.exp(error * rng.standard_normal(n) - 0.5 * error**2)
    won = (cvr * value) ** 2 / ((cvr * value) ** 2 + (5 * price) ** 2)  # bids follow value: cheap units win more
    day = HOUR_OF_DAY / HOUR_OF_DAY.mean()
    luck = rng.gamma(1 / 0.09, 0.09, (n, hours))
    clicks = rng.poisson((kind.clicks * size / size.mean() * won)[:, None] * day[np.arange(hours) % 24] * luck)
    orders = rng.binomial(clicks, cvr[:, None])
    unit, hour = (np.repeat(at, orders[orders > 0]) for at in np.nonzero(orders))
    lag = np.where(rng.random(unit.size) < AT_ONCE, 0, rng.geometric(1 / LATE_MEAN, unit.size))
    return World(kind, cvr, value, np.minimum(forecast, 0.95), price, category, match, clicks, unit, hour, lag)


def evidence_of(world: World, until: int) -> Evidence:
    """What reports have told by an hour."""
    hour, unit = np.nonzero(world.clicks[:, :until].T)
    clicks = world.clicks[unit, hour].astype(np.float64)
    told = world.order_hour + world.lag < until
    orders = np.zeros(world.clicks.shape)
    np.add.at(orders, (world.order_unit[told], world.order_hour[told]), 1.0)
    n = until + 1
    one, nothing = np.ones(n), np.zeros(n, np.int64)
    factors = HourFactors(
        -until, one, one, one, nothing, np.arange(n) // 24, np.arange(n) % 168, np.ones(n, np.bool_), nothing + NEVER
    )
    cohorts = Cohorts(np.arange(until) - until, np.ones(until, np.int64), np.zeros(until, np.bool_))
    got, worth = orders[unit, hour], world.value[unit]
    at = (unit.astype(np.int32), hour.astype(np.int32), cohorts)
    rows = Rows(*at, 50 * clicks, clicks, clicks, got, got * worth, clicks)
    mine, age = world.order_unit[told], world.lag[told] + 1
    return Evidence(
        world.kind.units,
        rows,
        factors,
        mine,
        world.order_hour[told] - until,
        age,
        np.ones(mine.size),
        world.value[mine],
        np.zeros(0, np.int64),
        np.zeros(0),
        np.zeros(0),
    )


def ours(world: World, evidence: Evidence) -> Floats:
    """(n_units,) rates as the loop learns them."""
    n = world.kind.units
    kin = kin_of(np.log(world.forecast), [pl.Series(world.category), pl.Series(world.match)])
    campaign = np.arange(n) % max(n // 20, 2)
    stated = np.ones(n, np.bool_)
    beliefs = UnitBeliefs(world.forecast, np.full(n, 0.02), stated, world.value, campaign, world.price, kin)
    return learn_conversions(evidence, beliefs, PredictorSettings()).cvr


def floor(world: World, evidence: Evidence) -> Floats:
    """(n_units,) posterior mean of one who knows the law: categories by kriging, units on a grid of their log rate."""
    kind, rows = world.kind, evidence.rows
    forecast, hint = np.log(world.forecast / (1 + kind.bias)), np.log(world.price / world.value / 0.2)
    usual = (1 - kind.new) * kind.error**2 + kind.new * kind.error_new**2
    noise = 1 / (1 / usual + 1 / _PRICE**2)
    match = np.log(0.03) + _MATCH * (world.match - 1) / 0.816
    member = _CATEGORY * (world.category[:, None] == np.arange(kind.categories))
    seen = noise * ((forecast + 0.5 * usual) / usual + hint / _PRICE**2) - match
    held = noise + _HIDDEN**2
    spread = np.linalg.inv(np.eye(kind.categories) + member.T @ member / held)
    kin = match + member @ (spread @ (member.T @ seen)) / held
    kin_variance = _HIDDEN**2 + np.einsum("ij,jk,ik->i", member, spread, member)
    told = 1 - (1 - AT_ONCE) * (1 - 1 / LATE_MEAN) ** (-rows.hour - 1.0)
    due = np.bincount(rows.unit, rows.clicks * told, kind.units)
    orders = np.bincount(rows.unit, rows.orders, kind.units)
    grid = np.log(0.03) + np.linspace(-3, 3, 481)
    fit = np.full((kind.units, grid.size), -np.inf)
    for share, error in ((1 - kind.new, kind.error), (kind.new, kind.error_new)):
        if share > 0:
            off = (forecast[:, None] - grid + 0.5 * error**2) / error
            fit = np.logaddexp(fit, np.log(share / error) - 0.5 * off**2)
    fit = fit - 0.5 * ((hint[:, None] - grid) / _PRICE) ** 2 - 0.5 * (grid - kin[:, None]) ** 2 / kin_variance[:, None]
    fit = fit + orders[:, None] * grid - due[:, None] * np.exp(grid)
    weight = np.exp(fit - fit.max(1, keepdims=True))
    return weight @ np.exp(grid) / weight.sum(1)


def misses(world: World, cvr: Floats) -> tuple[float, float]:
    """Error of the common level and root mean square of units around it, log scale, weighted by the value of clicks."""
    weight = (world.clicks.mean(1) + 0.01) * world.cvr * world.value
    off = np.log(cvr / world.cvr)
    level = float(np.average(off, weights=weight))
    return level, float(np.sqrt(np.average((off - level) ** 2, weights=weight)))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--worlds", type=int, default=12)
    parser.add_argument("--hours", default="8,24,48,96")
    options = parser.parse_args()
    hours = [int(h) for h in options.hours.split(",")]
    for name, kind in KINDS.items():
        worlds = [draw(kind, options.first + k, max(hours)) for k in range(options.worlds)]
        for until in hours:
            seen = [evidence_of(world, until) for world in worlds]
            own, best = (
                np.array([misses(w, rate(w, e)) for w, e in zip(worlds, seen, strict=True)]) for rate in (ours, floor)
            )
            level = np.sqrt((own[:, 0] ** 2).mean())
            print(
                f"{name:26s} hour {until:3d}  orders {np.mean([e.rows.orders.sum() for e in seen]):6.0f}  level "
                f"{level:.3f}  units {own[:, 1].mean():.3f}  floor {best[:, 1].mean():.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
