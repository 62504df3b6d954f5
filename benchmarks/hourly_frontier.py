r"""How steady an hourly bidder can be at all: the frontier of one that knows the law of its market, and lacks only luck.

    python -m benchmarks.hourly_frontier                   # 180 campaigns of seeds 100-105, second price, some minutes
    python -m benchmarks.hourly_frontier --seeds 100 --lambdas 0,45

It knows a campaign's profile, mean traffic, price law and spread, and all that has happened of its luck (of the day and
the hour, bursts, drift, walk and jumps of prices) up to the hour before; or up to the present hour itself, which no
bidder can. It does not know what luck will happen. Each hour it finds the CPC c* that, held from now on, spends what is
left, and moves from the mean CPC m so far towards it, all in logarithms, by the least of

    1 - clicks / most clicks + lambda x variance of the log CPC

as far as that is known in closed form. With a share q of the budget left and clicks that answer to the CPC by a log
slope w (counted against a typical one of 1.8), money left over costs w (c* - c) q of the clicks, linear, so that a move
stays within w / (2 lambda (1 - q)); near c* misses of either sign cost by their square, so that the move is
K w q / (1 - q + K w q) of the way, K = 180 / lambda. What would spend more than there is may be held for a while: at
most `OVER` (q - `LITTLE`) over c*. Bids hold the CPC, not the bid: where the hour is dear they are lower.
"""

import argparse
import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_ndtr, ndtr

from domain.outlook import Auction
from domain.tables import Floats
from market.fingerprint import plans_fingerprint
from market.plans_optimum import budget_of, constant_bid, plan_optimum
from market.plans_part import PlansPart
from market.plans_play import PlanRun, play
from market.plans_world import HourResult, PlanCampaign, draw_campaign
from market.scenario import load_scenario
from predictors.profile import WeekProfile

TYPICAL, NEAR = 1.8, 180.0
OVER, LITTLE = 5.0, 0.03
#: Held back while hours are left, per concentration of the rest; the last hour spends so much more than what is left.
HOLD, LAST = 0.7, 0.2
#: All luck of the population switched off; a campaign drawn so shows its law alone.
NO_LUCK = {
    "day_noise": 0.0, "hour_noise": 0.0, "burst_traffic": (1.0, 1.0), "burst_price": (1.0, 1.0), "drift": 0.0,
    "walk": 0.0, "jump": 0.0,
}  # fmt: skip
COLUMNS = (
    "lambda", "knows", "CPC CV / constant", "one day", "longer", "clicks / hindsight", "worst tenth", "budget used",
    "gone early",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Law:
    """A campaign taken apart; (n_hours,) each, traffic as factors and prices in logarithms.

    `traffic` and `price` are what the law expects; the others are luck.
    """

    traffic: Floats
    price: Floats
    day: Floats
    hour: Floats
    burst: Floats
    dear: Floats
    drift: Floats
    level: Floats

    @classmethod
    def of(cls, part: PlansPart, weekly: Floats, world: PlanCampaign) -> "Law":
        """Drawn again with one kind of luck at a time: the same seed brings the same luck."""

        def drawn(*kept: str) -> PlanCampaign:
            quiet = {name: off for name, off in NO_LUCK.items() if name not in kept}
            return draw_campaign(replace(part, **quiet), weekly, *world.key, world.auction)

        plain = drawn()
        price = np.log(plain.price)
        law = cls(
            traffic=plain.impressions,
            price=price,
            day=drawn("day_noise").impressions / plain.impressions,
            hour=np.log(drawn("hour_noise").impressions / plain.impressions) + part.hour_noise**2 / 2,
            burst=drawn("burst_traffic").impressions / plain.impressions,
            dear=np.log(drawn("burst_price").price) - price,
            drift=np.log(drawn("drift").price) - price,
            level=np.log(drawn("walk", "jump").price) - price,
        )
        whole = law.traffic * law.day * np.exp(law.hour - part.hour_noise**2 / 2) * law.burst
        assert np.allclose(whole, world.impressions, rtol=1e-9)
        assert np.allclose(law.price + law.dear + law.drift + law.level, np.log(world.price), atol=1e-9)
        return law

    def ahead(self, part: PlansPart, first: int, seen: int) -> tuple[Floats, Floats]:
        """Expected impressions and log prices of the hours from `first` on, where luck is known up to hour `seen`."""
        hours = np.arange(first, self.traffic.size)
        mean_length = sum(part.burst_hours) / 2
        chance = part.bursts_per_day / 24 * mean_length
        low, high = part.burst_traffic
        usual = 1 + chance * ((high - low) / math.log(high / low) - 1)
        traffic, price = usual * self.traffic[first:], self.price[first:]
        if seen < 0:
            return traffic, price
        lead = hours - seen
        faded, sd = part.hour_memory**lead, part.hour_noise
        traffic = traffic * np.exp(self.hour[seen] * faded - sd**2 / 2 * faded**2)
        traffic = traffic * np.where(hours // 24 == seen // 24, self.day[seen], 1.0)
        price = price + self.level[seen] + self.drift[seen] * part.drift_memory**lead
        if self.burst[seen] == 1:
            return traffic, price
        lasted = 1
        while lasted <= seen and self.burst[seen - lasted] == self.burst[seen]:
            lasted += 1
        still = np.clip((part.burst_hours[-1] + 1 - lasted - lead) / max(part.burst_hours[-1] + 1 - lasted, 1), 0, 1)
        return traffic * (1 + still * (self.burst[seen] / usual - 1)), price + still * self.dear[seen]


class Knowing:
    """Bidder of one campaign that knows its law; see the module.

    Parameters
    ----------
    worth
        lambda: share of the clicks that a variance of 1 is worth.
    present
        Whether the luck of the present hour is known.
    """

    def __init__(
        self, part: PlansPart, world: PlanCampaign, law: Law, budget: float, worth: float, *, present: bool
    ) -> None:
        self._part, self._world, self._law, self._budget = part, world, law, budget
        self._worth, self._present = worth, present
        self._left, self._clicks, self._mean = budget, 0.0, 0.0
        s = world.spread
        self._bid = np.linspace(-12 * s - 4, 6 * s + 4, 4000)  # log bid, CPC and spend per opportunity, over the price
        z = self._bid / s
        self._cpc = s * s / 2 + log_ndtr(z - s) - log_ndtr(z)
        self._paid = math.exp(s * s / 2) * ndtr(z - s)

    def decide(self, hour: int, before: HourResult | None, last: float) -> float:
        """Bid for an hour; see `market.plans_play`."""
        if before is not None:
            self._left -= before.spend
            if before.clicks > 0:
                price = float(np.log(self._world.price[hour - 1]))
                cpc = price + float(np.interp(math.log(last) - price, self._bid, self._cpc))
                self._clicks += before.clicks
                self._mean += before.clicks / self._clicks * (cpc - self._mean)
        if self._left <= 1e-9 * self._budget:
            return 0.0
        traffic, price = self._law.ahead(self._part, hour, hour if self._present else hour - 1)
        share = traffic / traffic.sum()
        hold = HOLD * float(share @ share) if traffic.size > 1 else -LAST
        typical = float(share @ price)
        goal = self._moved(self._spends(self._left * math.exp(-hold), traffic, price, typical), typical)
        bid = price[0] + float(np.interp(goal - price[0], self._cpc, self._bid))
        return min(math.exp(bid), self._left)

    def _spends(self, money: float, traffic: Floats, price: Floats, typical: float) -> float:
        """Log CPC that, held in all hours, spends the money."""
        low, high = typical - 4.0, typical + 3.0
        for _ in range(24):
            middle = 0.5 * (low + high)
            bids = np.interp(middle - price, self._cpc, self._bid)
            spend = self._world.ctr * float(traffic @ (np.exp(price) * np.interp(bids, self._bid, self._paid)))
            low, high = (low, middle) if spend > money else (middle, high)
        return 0.5 * (low + high)

    def _moved(self, ideal: float, typical: float) -> float:
        """Log CPC to hold now, where `ideal` would spend what is left."""
        if self._clicks <= 0 or self._worth <= 0:
            return ideal
        s, q = self._world.spread, self._left / self._budget
        z = float(np.interp(ideal - typical, self._cpc, self._bid)) / s
        clicks, spend = (
            math.exp(-0.5 * at * at - float(log_ndtr(at))) / (s * math.sqrt(2 * math.pi)) for at in (z, z - s)
        )
        answer = min(max(clicks / max(spend - clicks, 0.05) / TYPICAL, 0.05), 20.0)
        gain = NEAR / self._worth * answer * q
        gain /= 1 - q + gain
        step = min(gain * (ideal - self._mean), TYPICAL * answer / (2 * self._worth * (1 - q + 1e-3)))
        return min(self._mean + step, ideal + OVER * max(q - LITTLE, 0.0) / math.sqrt(answer))


def score(worth: float, knows: str, runs: list[tuple[float, bool, PlanRun, float]]) -> str:
    """One line of the table."""
    share = np.array([clicks for clicks, _, _, _ in runs])
    one = np.array([day for _, day, _, _ in runs])
    cv = np.array([run.cpc_cv for _, _, run, _ in runs])
    base = np.array([steady for _, _, _, steady in runs])
    ratios = [
        f"{np.nanmean(cv[kept]) / np.nanmean(base[kept]):.2f}" if np.isfinite(base[kept]).any() else "-"
        for kept in (one | True, one, ~one)
    ]
    cells = (
        f"{worth:g}", knows, *ratios, f"{share.mean():.1%}", f"{np.quantile(share, 0.1):.1%}",
        f"{np.mean([run.budget_use for _, _, run, _ in runs]):.1%}",
        f"{np.mean([run.gone_early for _, _, run, _ in runs]):.1%}",
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="100-105")
    parser.add_argument("--each", type=int, default=30, help="campaigns of each seed")
    parser.add_argument("--lambdas", default="0,5,20,30,45,60,90,180")
    given = parser.parse_args()
    first, last = (int(x) for x in (given.seeds.split("-") * 2)[:2])
    part = load_scenario("month-plan").plans
    assert part is not None
    weekly = WeekProfile.default().traffic
    print(f"hourly campaigns {plans_fingerprint(part)}, seeds {given.seeds}, {given.each} of each, second price\n")
    cases: list[tuple[PlanCampaign, Law, float, float, float]] = []
    for seed in range(first, last + 1):
        for position in range(given.each):
            world = draw_campaign(part, weekly, seed, position, Auction.SECOND_PRICE)
            budget, law = budget_of(world), Law.of(part, weekly, world)
            bid, most = constant_bid(world, budget), float(plan_optimum(world, budget).clicks.sum())
            steady = play(world, budget, lambda h, before, prior, bid=bid: bid)
            cases.append((world, law, budget, most, steady.cpc_cv))
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for knows, present in (("hour before", False), ("present hour", True)):
        for worth in (float(x) for x in given.lambdas.split(",")):
            runs: list[tuple[float, bool, PlanRun, float]] = []
            for world, law, budget, most, steady_cv in cases:
                bidder = Knowing(part, world, law, budget, worth, present=present)
                run = play(world, budget, bidder.decide)
                runs.append((run.expected_clicks / most, world.n_hours == 24, run, steady_cv))
            print(score(worth, knows, runs), flush=True)


if __name__ == "__main__":
    main()
