"""One simulated world: a scenario and a seed made concrete. It never changes; what is bid in it does not enter it.

Hidden: `truth`, and the shoppers that come out of it. Open to everybody: the account, its units with last month's
model, the forecast of the hours, the calendar, the goals, the legal bids.
"""

import numpy as np
import polars as pl

from domain.goals import Goals, Scope, Target, TargetKind
from domain.tables import HOURS, UNITS, Floats, Priors
from market.fluid import Curves, FluidPlan, Pool, fluid_optimum, pooled_optimum
from market.scenario import Pooling, Scenario, account_of
from market.shocks import biased, over_delivery, shocked
from market.truth import (
    Assortment,
    Belief,
    Profiles,
    Shoppers,
    Truth,
    draw_assortment,
    draw_belief,
    draw_shoppers,
    draw_truth,
    profiles,
)


class SimWorld:
    """A promotion in which bids can be tried out.

    Attributes
    ----------
    scenario, seed
        What it was made from: same pair, same world, in any process.
    truth
        Hidden numbers; evaluation reads them, a policy never does.
    curves
        Hidden expected response to bids, before anybody has reacted to them.
    expected
        What everybody expects of the hours.
    account, units, priors, calendar, goals, limits
        What the account's desk starts with.
    hours
        Hours of the scenario, in order.
    budget, roi_target, cpc_target
        Targets as numbers: account currency, gmv per unit of spend, account currency; ``None`` = no such target.
    pools
        Business types with targets of their own; then the account has but its budget.
    delivery_stops_at
        Spend at which the platform stops delivery, account currency: the budget, unless it over-delivers.
    start_bids
        (n_units,) live bids before the first decision: what last month's model can afford for a click
        at the target ROI.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.seed = seed
        self.expected: Profiles = profiles(scenario)
        expected = self.expected
        goods = self._assortment()
        belief = biased(self._belief(goods), scenario)
        self.truth: Truth = shocked(draw_truth(scenario, seed, goods, expected), scenario, seed)
        self.hours = tuple(scenario.first_hour.plus(h) for h in range(scenario.n_hours))
        self.calendar = scenario.calendar()
        self.limits = scenario.bid_limits()
        self.account = account_of(scenario)
        n = scenario.units.count
        campaign = np.arange(n) % scenario.units.campaigns
        kinds = np.array(scenario.units.business_types)[campaign % len(scenario.units.business_types)]
        columns = {
            "unit_id": [f"U{i + 1:05d}" for i in range(n)],
            "campaign": [f"C{c + 1:02d}" for c in campaign],
            "target": ["auto"] * n,
            "match_type": ["auto"] * n,
            "sku": [f"SKU{i + 1:05d}" for i in range(n)],
            "business_type": kinds,
            "category": kinds,
            "price": goods.order_value,
            "prior_ctr": np.full(n, scenario.demand.ctr),
            "prior_cvr": belief.cvr,
            "prior_order_value": goods.order_value,
            **self._descriptions(),
        }
        self.units = pl.DataFrame(
            {name: columns.get(name, [None] * n) for name in UNITS}, schema=dict(UNITS), strict=False
        )
        self.curves: Curves = self._curves()
        price_median, price_spread, volume = self._price_forecast(goods)
        self.priors = Priors(
            hours=pl.DataFrame(
                {
                    "start_utc": [hour.start for hour in self.hours],
                    "traffic": expected.traffic,
                    "cvr_factor": expected.cvr,
                    "price_factor": expected.price,
                },
                schema=dict(HOURS),
            ),
            clicks_per_hour=belief.clicks_per_hour * volume,
            price_median=price_median,
            price_spread=price_spread,
        )
        self.budget = scenario.goals.budget
        self.delivery_stops_at = self.budget * over_delivery(scenario)
        best = fluid_optimum(self.curves, self.budget, None)
        roi, cpc = scenario.goals.roi_of_budget_optimum, scenario.goals.cpc_of_budget_optimum
        self.roi_target: float | None = None if roi is None else round(roi * best.roi, 4)
        best_cpc = best.total_spend / max(float(best.clicks.sum()), 1e-12)
        self.cpc_target: float | None = None if cpc is None else round(cpc * best_cpc, 4)
        stated = (
            (TargetKind.BUDGET, self.budget), (TargetKind.ROI, self.roi_target), (TargetKind.CPC, self.cpc_target)
        )  # fmt: skip
        targets = [Target(kind, value) for kind, value in stated if value is not None]
        self.pools: tuple[Pool, ...] = ()
        if scenario.goals.pooling is Pooling.BUSINESS_TYPE:
            self.pools = self._pools(kinds, roi or 1.0)
            self.roi_target = None
            targets = targets[:1]
            for pool in self.pools:
                targets.append(Target(TargetKind.BUDGET, pool.budget, Scope.BUSINESS_TYPE, pool.name))
                targets.append(Target(TargetKind.ROI, pool.roi, Scope.BUSINESS_TYPE, pool.name))
        self.goals = Goals(targets=tuple(targets))
        limits = self.limits
        affordable = belief.cvr * goods.order_value / (self.roi_target or best.roi)
        self.start_bids: Floats = np.clip(
            np.floor(affordable / limits.tick + 1e-9) * limits.tick, limits.floor, limits.cap
        )

    def _pools(self, kinds: np.ndarray, roi: float) -> tuple[Pool, ...]:
        """Business types with their part of the budget, and `roi` times the ROI it could have."""
        found: list[Pool] = []
        for name in sorted(set(kinds.tolist())):
            mine = kinds == name
            budget = round(self.budget * float(mine.mean()), 2)
            best = fluid_optimum(self.curves.subset(mine), budget, None)
            found.append(Pool(name, mine, budget, round(roi * best.roi, 4)))
        return tuple(found)

    def hindsight(self, curves: Curves) -> FluidPlan:
        """The best that could have been done on these curves under the world's targets."""
        if self.pools:
            return pooled_optimum(curves, self.pools)
        return fluid_optimum(curves, self.budget, self.roi_target, self.cpc_target)

    def _assortment(self) -> Assortment:
        """What is advertised."""
        return draw_assortment(self.scenario, self.seed)

    def _belief(self, goods: Assortment) -> Belief:
        """Last month's model."""
        return draw_belief(self.scenario, self.seed, goods)

    def _descriptions(self) -> dict[str, object]:
        """Columns `UNITS` that say more of the units."""
        return {}

    def _curves(self) -> Curves:
        """Expected response to bids before anybody has reacted to them."""
        return self.truth

    def _price_forecast(self, goods: Assortment) -> tuple[Floats, Floats, Floats]:
        """(n_units,) median and spread of the market price of a click, and clicks there are over opportunities.

        As last month's model has them.
        """
        return goods.price_median, goods.price_spread, np.ones(goods.cvr.size)

    @property
    def n_units(self) -> int:
        """Number of bid units."""
        return self.scenario.units.count

    @property
    def n_hours(self) -> int:
        """Number of hours."""
        return len(self.hours)

    def shoppers(self, hour: int) -> Shoppers:
        """Everybody who would click an ad in an hour; the same people for every policy."""
        return draw_shoppers(self.scenario, self.seed, self.truth, hour)
