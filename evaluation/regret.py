"""Where the regret comes from: reruns on the same seed, each with one more thing put right.

    run 0   as it was                                                    g0
    run 1   + no edit rules, ticks or faults of the platform             edits      = g1 - g0
    run 2   + true curves in the place of our predictions                prediction = g2 - g1
    run 3   + hindsight's price of money in the place of our pacing      pacing     = g3 - g2
    run 4   + hindsight's bids in the place of our bidding               bidding    = g4 - g3
            realised against expected                                    noise      = 1 - g4

g is gmv over the hindsight optimum of the same run, so the parts add up to 1 - g0 whatever the order; a part may be
negative, where two errors made up for each other. True curves of a contested world are those of rivals as usual
for hours that have not run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from domain.goals import Goals
from domain.groups import Groups
from domain.limits import BidLimits
from domain.outlook import Outlook, RateForecast
from domain.phases import PromotionCalendar
from domain.plans import SpendTargets
from domain.protocols import Pacer, ResponseModel
from domain.tables import Floats, Known
from domain.time import Hour
from engine.cycle import run_cycle
from evaluation.desks import auction_of, desk_for
from evaluation.metrics import measure
from evaluation.oracles import ORACLES, play_oracle, rows_of
from market import FluidPlan, Scenario, SimPlatform, make_platform, make_world

#: Parts, in the order in which they are told.
PARTS = ("prediction", "pacing", "bidding", "edits", "noise")
#: Bids free of rules.
FREE = BidLimits(floor=1e-6, cap=1e9, tick=1e-6)
_LEVELS = np.geomspace(0.1, 40.0, 40)


@dataclass(frozen=True, slots=True)
class TrueModel:
    """Outlooks from the true curves of a run; satisfies `ResponseModel`."""

    platform: SimPlatform

    def fit(self, history: Known) -> ResponseModel:
        """There is nothing to learn."""
        return self

    def outlook(self, known: Known, hours: Sequence[Hour]) -> Outlook:
        """True response of the hours, and true value of what was bought; the present hour is the base."""
        curves, n = self.platform.curves, known.n_units
        first = self.platform.world.hours[0]
        ahead = np.array([h.hours_since(first) for h in hours])
        now = int(ahead[0])
        here = curves.at_hour(now)
        bids = here.level * _LEVELS
        clicks, spend = np.empty_like(bids), np.empty_like(bids)
        for k in range(_LEVELS.size):
            q, c = here.response(bids[:, k : k + 1])
            clicks[:, k], spend[:, k] = q[:, 0], c[:, 0]
        worth = here.click_value[:, 0]
        orders = clicks * here.cvr
        base = np.maximum(curves.opportunities[:, now], 1e-9)
        sells = curves.cvr[:, now] > 0
        rows = known.performance
        unit = rows["unit"].to_numpy()
        at = ((rows["start_utc"] - first.start).dt.total_hours()).to_numpy()
        bought = rows["clicks"].to_numpy()
        nothing, sure = np.zeros(n), np.ones(n, np.bool_)
        return Outlook(
            hours=tuple(hours),
            bids=bids,
            impressions=clicks * 100,
            clicks=clicks,
            spend=spend,
            orders=orders,
            gmv=clicks * worth[:, None],
            traffic=curves.opportunities[:, ahead] / base[:, None],
            price=np.median(curves.level[:, ahead] / curves.level[:, [now]], axis=0),
            value=np.median(curves.cvr[sells][:, ahead] / curves.cvr[sells][:, [now]], axis=0)
            if sells.any()
            else np.ones(ahead.size),
            click_value=worth,
            cvr=RateForecast(here.cvr[:, 0], here.cvr[:, 0], here.cvr[:, 0], nothing),
            click_value_cv=nothing,
            volume_cv=nothing,
            common_value_cv=0.0,
            bid_proxy=here.level[:, 0],
            bid_known=sure,
            support_low=bids[:, 0],
            support_high=bids[:, -1],
            matured_orders=bought * curves.cvr[unit, at],
            matured_gmv=bought * curves.click_value[unit, at],
            auction=auction_of(self.platform.world),
        )


@dataclass(frozen=True, slots=True)
class TruePrice:
    """Pacer that keeps to hindsight's price of money; the rest of its answer is the inner one's."""

    inner: Pacer
    theta: Floats
    offset: float = 0.0

    def targets(
        self, known: Known, outlook: Outlook, goals: Goals, calendar: PromotionCalendar, groups: Groups
    ) -> SpendTargets:
        """Targets at the one price."""
        given = self.inner.targets(known, outlook, goals, calendar, groups)
        n = given.theta.size
        return replace(given, theta=self.theta, offset=np.full(n, self.offset), trim=1.0)


def split(scenario: Scenario, seed: int, as_it_was: float, policy: str = "steadybid") -> dict[str, float]:
    """Parts of the regret of a run whose gmv over hindsight was `as_it_was`.

    An oracle predicts, paces and bids as hindsight does: what it lacks is what the edit rules took, or noise.
    """
    if policy in ORACLES:
        rules = 1 - as_it_was if policy == "constant_price" else 0.0
        return dict.fromkeys(PARTS, 0.0) | {"edits": rules, "noise": 1 - as_it_was - rules}
    free = replace(scenario, faults=tuple(f for f in scenario.faults if f.kind.value in _WORLDLY))
    g1 = _rerun(free, seed, policy)
    g2 = _rerun(free, seed, policy, truth=True)
    world = make_world(scenario, seed)
    platform = play_oracle(world, "oracle")
    g3 = _rerun(free, seed, policy, truth=True, best=world.hindsight(platform.curves))
    g4 = measure(platform.curves, platform.ledger, rows_of(world)).gmv_vs_hindsight
    return {"prediction": g2 - g1, "pacing": g3 - g2, "bidding": g4 - g3, "edits": g1 - as_it_was, "noise": 1 - g4}


#: Faults that are the world's own and stay.
_WORLDLY = ("price_shock", "demand_shock", "rival_entry", "stock_out", "predictor_bias")


def _rerun(scenario: Scenario, seed: int, policy: str, *, truth: bool = False, best: FluidPlan | None = None) -> float:
    """Gmv over hindsight of a run without edit rules: with true curves, and at the price of money of a best plan."""
    world = make_world(scenario, seed)
    world.limits = FREE
    platform = make_platform(world)
    desk = desk_for(policy, world, platform)
    if truth:
        desk.model = TrueModel(platform)
    if best is not None:
        desk.pacer = TruePrice(
            desk.pacer,
            best.unit_theta if best.unit_theta is not None else np.full(world.n_units, best.theta),
            best.offset,
        )
    for hour in world.hours:
        run_cycle(hour, desk)
        platform.advance(hour)
    platform.run_out()
    return measure(platform.curves, platform.ledger, rows_of(world)).gmv_vs_hindsight
