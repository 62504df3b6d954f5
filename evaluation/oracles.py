"""Policies that know the truth: what no account can do, and what others are measured against.

`oracle` bids the hindsight optimum, free of ticks, edit rules and faults; its figures are expected ones, so that luck
does not enter. `constant_price` bids click value over the best single price of money that the edit rules let one
execute; its figures are those of the shoppers that came, like everybody's.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from domain.problem import Status
from domain.tables import Bools, Floats
from evaluation.metrics import Rows, hourly_cpc_cv
from market import FluidPlan, Ledger, Scenario, SimPlatform, SimWorld, make_platform, make_world
from market.fluid import Curves

#: Times that an oracle plans against rivals who react to it.
ROUNDS = 4
#: Policies that read hidden truth; they never sit at a desk.
ORACLES = ("constant_price", "oracle")


@dataclass(frozen=True, slots=True)
class Executable:
    """Curves of a world on which only bids that its edit rules allow can be placed.

    Attributes
    ----------
    curves
        What is true.
    world
        Whose rules hold.
    units
        (n_units,) units of the world that the curves are of; ``None`` = all.
    """

    curves: Curves
    world: SimWorld
    units: Bools | None = None

    @property
    def click_value(self) -> Floats:
        return self.curves.click_value

    @property
    def cvr(self) -> Floats:
        return self.curves.cvr

    @property
    def opportunities(self) -> Floats:
        return self.curves.opportunities

    @property
    def level(self) -> Floats:
        return self.curves.level

    @property
    def order_value(self) -> Floats:
        return self.curves.order_value

    def at_hour(self, hour: int) -> Curves:
        return self.curves.at_hour(hour)

    @property
    def lowest_theta(self) -> float:
        return self.curves.lowest_theta

    @property
    def most_gmv(self) -> float:
        return self.curves.most_gmv

    def best_bids(self, theta: float, offset: float = 0.0) -> Floats:
        wanted = self.curves.best_bids(theta, offset)
        if self.units is None:
            return executed(self.world, wanted)
        whole = np.zeros((self.world.n_units, wanted.shape[1]))
        whole[self.units] = wanted
        return executed(self.world, whole)[self.units]

    def subset(self, units: Bools) -> "Executable":
        return Executable(self.curves.subset(units), self.world, units)

    def response(self, bids: Floats) -> tuple[Floats, Floats]:
        return self.curves.response(bids)


def executed(world: SimWorld, wanted: Floats) -> Floats:
    """Bids (n_units, n_hours) in force where `wanted` ones are sent hour by hour under the edit rules."""
    limits = world.limits
    ticks = np.round(np.floor(wanted / limits.tick + 1e-6) * limits.tick, 9)
    legal = np.where(wanted >= limits.floor * (1 - 1e-9), np.clip(ticks, limits.floor, limits.cap), 0.0)
    if limits.edits_per_day is None and not np.isfinite(limits.max_step):
        return legal
    bids, live, edits = np.empty_like(legal), world.start_bids.copy(), np.zeros(world.n_units, np.int64)
    tz = world.account.tz
    day = None
    for h, hour in enumerate(world.hours):
        if hour.local(tz).date() != day:
            day = hour.local(tz).date()
            edits[:] = 0
        new = legal[:, h]
        if np.isfinite(limits.max_step):
            low, high = live * (1 - limits.largest_cut), live * (1 + limits.max_step)
            stepped = np.round(np.clip(new, low, high) / limits.tick) * limits.tick
            new = np.where((new > 0) & (live > 0), np.clip(stepped, limits.floor, limits.cap), new)
        moved = new != live
        if limits.edits_per_day is not None:
            moved &= edits < limits.edits_per_day
        live = np.where(moved, new, live)
        edits += moved
        bids[:, h] = live
    return bids


def best_constant_price(world: SimWorld, curves: Curves) -> FluidPlan:
    """Plan of the best single price of money that can be executed."""
    return world.hindsight(Executable(curves, world))


def play(world: SimWorld, bids: Floats, *, rules: bool) -> SimPlatform:
    """A finished run in which bids (n_units, n_hours) were placed."""
    platform = make_platform(world)
    for h, hour in enumerate(world.hours):
        platform.put(bids[:, h], rules=rules)
        platform.advance(hour)
    platform.run_out()
    return platform


def expected_ledger(world: SimWorld, curves: Curves, bids: Floats) -> Ledger:
    """What bids (n_units, n_hours) bring in expectation, as a ledger."""
    ledger = Ledger(world.n_units, world.n_hours)
    ledger.bids[:] = bids
    ledger.clicks[:], ledger.spend[:] = curves.response(bids)
    return ledger


def play_oracle(world: SimWorld, policy: str) -> SimPlatform:
    """A finished run of one of `ORACLES`.

    Rivals may react to what is bid, and the plan then is not the best one against them any more: it is made anew
    against rivals as they were, until they are as they were.
    """
    curves, platform = world.curves, None
    for _ in range(1 if world.scenario.auction is None else ROUNDS):
        plan = world.hindsight(curves) if policy == "oracle" else best_constant_price(world, curves)
        platform = play(world, plan.bids, rules=policy != "oracle")
        curves = platform.curves
    assert platform is not None
    return platform


@lru_cache(maxsize=8)
def constant_price_cpc_cv(scenario: Scenario, seed: int) -> float | None:
    """`hourly_cpc_cv` of the executed constant price: how much the hourly cost of a click must vary at least."""
    ledger = play_oracle(make_world(scenario, seed), "constant_price").ledger
    return hourly_cpc_cv(ledger.clicks.sum(axis=0), ledger.spend.sum(axis=0))


def rows_of(world: SimWorld) -> Rows:
    """Targets that a run in a world is measured against."""
    return Rows(budget=world.budget, roi=world.roi_target, cpc=world.cpc_target, pools=world.pools)


def binding_rows(world: SimWorld, plan: FluidPlan) -> tuple[str, ...]:
    """Rows that bind in a hindsight plan: the one that set its price of money, and those used to a part in a thousand."""
    clicks = max(float(plan.clicks.sum()), 1e-12)
    if world.pools:
        spend = [float(plan.spend[p.units].sum()) for p in world.pools]
        return tuple(
            f"{'budget' if s >= 0.999 * p.budget else 'roi'}:{p.name}" for s, p in zip(spend, world.pools, strict=True)
        )
    found = {
        "budget": plan.status is Status.BUDGET_BINDS or plan.total_spend >= 0.999 * world.budget,
        "roi": plan.status is Status.ROI_BINDS
        or (world.roi_target is not None and plan.roi <= 1.001 * world.roi_target),
        "cpc": plan.status is Status.CPC_BINDS
        or (world.cpc_target is not None and plan.total_spend / clicks >= 0.999 * world.cpc_target),
    }
    return tuple(name for name, binds in found.items() if binds)
