"""What a learner could reach at best: one who knows all of a world but the conversion rates of its units.

    python -m benchmarks.learner_floor --scenario four-phase-roi --seeds 0-9

The learner knows the law that rates and forecasts are drawn from with all its numbers (bias, errors, share of new units, what
each category and match type makes of a rate, how market prices follow the value of clicks), when orders are told, what a bid
buys, order values, and every phase; only each unit's own rate it must learn, from its forecast, its market price and the
orders told so far (exact posterior on a grid). Each hour it bids best for what it believes then, at one price of money that
hindsight chooses so that the target is met exactly in expectation. Orders are drawn from what it bought. What it misses
of the hindsight optimum, nobody can reach who has to learn units as they sell: the rest is what better prediction could win.
"""

import argparse
from dataclasses import replace

import numpy as np
from scipy.special import pdtrik

from domain.tables import Floats
from market.contested import _HIDDEN, _MATCH, _TELLS, ContestedWorld, make_world  # pyright: ignore[reportPrivateUsage]
from market.fluid import Curves
from market.scenario import load_scenario

#: Distances of a unit's log rate from what its category and match type make of it.
GRID = np.linspace(-1.6, 1.6, 161)
_STREAM = 99


class Learner:
    """Beliefs of one world's units: what the law says, and what orders add."""

    def __init__(self, world: ContestedWorld) -> None:
        part, prior = world.scenario, world.scenario.prior
        told, match, hidden = world._traits  # pyright: ignore[reportPrivateUsage]
        spread = part.value.cvr_spread
        base = world.curves.cvr.mean(axis=1)
        self.factor = world.curves.cvr / base[:, None]
        own = np.log(part.value.cvr_median) + spread * (_TELLS * told + _MATCH * match)
        log_rate = own[:, None] + GRID
        true = own + spread * _HIDDEN * hidden
        refunds = part.aftermath.refund_last_month if part.aftermath else 0.0
        forecast = np.log(world.units["prior_cvr"].to_numpy()) - np.log((1 + prior.cvr_bias) * (1 - refunds))
        price = world.priors.price_median
        assert price is not None
        hint = np.log(price / world.curves.order_value)
        hint = hint - (hint - true).mean()
        fit = np.full(log_rate.shape, -np.inf)
        new = part.units.cold_share
        for share, error in ((1 - new, prior.cvr_noise), (new, prior.cvr_noise_cold)):
            if share > 0:
                off = (forecast[:, None] - log_rate + 0.5 * error**2) / error
                fit = np.logaddexp(fit, np.log(share / error) - 0.5 * off**2)
        fit = fit - 0.5 * (GRID / (spread * _HIDDEN)) ** 2
        self.prior = fit - 0.5 * ((hint[:, None] - log_rate) / part.rivals.level_spread) ** 2
        self.rate = np.exp(log_rate + (np.log(base) - true)[:, None])
        late = part.conversion.mean_lag_hours / (1 - part.conversion.same_hour_share)
        age = np.arange(world.n_hours + 1)
        self.told = np.where(age > 0, 1 - (1 - part.conversion.same_hour_share) * np.exp(-(age - 1) / late), 0.0)

    def believe(self, hour: int, orders: Floats, clicks: Floats) -> Floats:
        """(n_units,) posterior means at an hour from (n_units, n_hours) orders and clicks of the hours before."""
        if hour == 0:
            fit = self.prior
        else:
            told = self.told[hour - np.arange(hour)]
            seen = (orders[:, :hour] * told).sum(axis=1)
            due = (clicks[:, :hour] * self.factor[:, :hour] * told).sum(axis=1)
            fit = self.prior + seen[:, None] * np.log(self.rate) - due[:, None] * self.rate
        weight = np.exp(fit - fit.max(axis=1, keepdims=True))
        return (weight * self.rate).sum(axis=1) / weight.sum(axis=1)


def play(world: ContestedWorld, learner: Learner, hours: list[Curves], theta: float) -> tuple[float, float]:
    """Expected gmv and spend of a run at one price of money."""
    luck = np.random.default_rng([world.seed, _STREAM]).random((world.n_units, world.n_hours))
    truth, value = world.curves.cvr, world.curves.click_value
    orders, clicks, spend, gmv = np.zeros(truth.shape), np.zeros(truth.shape), 0.0, 0.0
    for h, curves in enumerate(hours):
        believed = learner.believe(h, orders, clicks) * learner.factor[:, h]
        bids = replace(curves, cvr=believed[:, None]).best_bids(theta)  # pyright: ignore[reportArgumentType, reportCallIssue]
        got, paid = curves.response(bids)
        clicks[:, h] = got[:, 0]
        due = np.maximum(clicks[:, h] * truth[:, h], 1e-9)
        orders[:, h] = np.maximum(np.ceil(pdtrik(np.clip(luck[:, h], 1e-9, 1 - 1e-9), due)), 0.0)
        gmv, spend = gmv + float(clicks[:, h] @ value[:, h]), spend + float(paid.sum())
    return gmv, spend


def floor(name: str, seed: int) -> tuple[float, float]:
    """GMV over the hindsight optimum's, and return over the target (budget-bound worlds: spend over the budget)."""
    world = make_world(load_scenario(name), seed)
    if not isinstance(world, ContestedWorld) or world.pools or world.cpc_target is not None:
        raise SystemExit(f"{name}: need rivals, and one budget with or without an ROI target for the whole account")
    best, learner = world.hindsight(world.curves), Learner(world)
    hours = [world.curves.at_hour(h) for h in range(world.n_hours)]
    by_budget = best.total_spend >= 0.999 * world.budget or world.roi_target is None
    low, high = 0.7 * best.theta, 1.5 * best.theta
    for _ in range(11):
        theta = (low * high) ** 0.5
        gmv, spend = play(world, learner, hours, theta)
        kept = spend <= world.budget if by_budget else gmv >= (world.roi_target or 0.0) * spend
        low, high = (low, theta) if kept else (theta, high)
    gmv, spend = play(world, learner, hours, high)
    return gmv / best.gmv, spend / world.budget if by_budget else gmv / spend / (world.roi_target or 1.0)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="four-phase-roi")
    parser.add_argument("--seeds", default="0-9")
    options = parser.parse_args()
    first, last = (int(x) for x in (options.seeds.split("-") * 2)[:2])
    found = []
    for seed in range(first, last + 1):
        found.append(floor(options.scenario, seed))
        print(f"{options.scenario} seed {seed}: {found[-1][0]:.2%} of the optimum's GMV", flush=True)
    share = np.array([f[0] for f in found])
    print(f"mean {share.mean():.2%}, worst {share.min():.2%}")


if __name__ == "__main__":
    main()
