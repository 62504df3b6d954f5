"""`HourlyBidder` over hourly campaigns: what it reaches, beside a PID, the best constant bid in hindsight, and the clock.

    python -m benchmarks.hourly_bidder                     # 300 campaigns of seeds 0-9, both auction rules
    python -m benchmarks.hourly_bidder --seeds 100-101 --each 20 --without target,pid

One unit of work is one campaign of `scenarios/month-plan.toml`'s population; each is played with a traffic forecast and
without. Clicks are those that the executed bids are worth on the true curves, over the hindsight optimum's. Hourly CPC
varies by its CV against that of the best constant bid in hindsight; in first price a constant bid has none, so there
against the CV of the best hourly bids in hindsight.
"""

import argparse
import math
import time
import warnings
from datetime import timedelta

import numpy as np

from domain.outlook import Auction
from engine import HourLog, HourlyBidder
from market.fingerprint import plans_fingerprint
from market.plans_optimum import budget_of, constant_bid, plan_optimum
from market.plans_play import PlanRun, play
from market.plans_world import HourResult, PlanCampaign, draw_campaign
from market.scenario import load_scenario
from predictors.profile import WeekProfile

COLUMNS = (
    "bidder", "forecast", "clicks / hindsight", "one day", "longer", "worst tenth", "budget used", "gone early",
    "CPC CV / hindsight", "ms an hour",
)  # fmt: skip


def ours(world: PlanCampaign, budget: float, *, forecast: bool, cpc: float | None = None) -> tuple[PlanRun, float]:
    """Our run, and CPU seconds in `bid`."""
    bidder = HourlyBidder(world.auction)
    bidder.reset(budget, world.start, world.end, target_cpc=cpc, traffic_forecast=world.forecast if forecast else None)
    clock = 0.0

    def decide(hour: int, before: HourResult | None, last: float) -> float:
        nonlocal clock
        log = before and HourLog(last, before.spend, before.clicks, before.impressions, before.orders)
        begun = time.process_time()
        bid = bidder.bid(world.start + timedelta(hours=hour), log)
        clock += time.process_time() - begun
        return bid

    return play(world, budget, decide), clock


def pid(world: PlanCampaign, budget: float, *, forecast: bool) -> PlanRun:
    """PI control of the log bid on spend against an even share of traffic; begins at the true median price."""
    shape = (
        world.forecast
        if forecast
        else WeekProfile.default().traffic[(24 * world.start.weekday() + np.arange(world.n_hours)) % 168]
    )
    share = shape / shape.sum()
    state = {"bid": math.log(float(world.price[0])), "sum": 0.0}

    def decide(hour: int, before: HourResult | None, last: float) -> float:
        if before is not None:
            due = share[hour - 1] * budget
            error = float(
                np.clip(
                    math.log((due + 0.05 * budget / world.n_hours) / (before.spend + 0.05 * budget / world.n_hours)),
                    -1,
                    1,
                )
            )
            state["sum"] = float(np.clip(0.8 * state["sum"] + error, -2, 2))
            state["bid"] += 0.15 * error + 0.05 * state["sum"]
        return math.exp(state["bid"])

    return play(world, budget, decide)


def score(name: str, told: str, rows: list[tuple[float, float, float, float, float, float, float]]) -> str:
    """One line of the table."""
    share, one, use, early, cv, base, ms = np.array(rows).T
    worst = np.sort(share)[: max(1, len(share) // 10)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        ratio = np.nanmean(cv) / np.nanmean(base) if np.nanmean(base) > 1e-6 else math.nan
    cells = (
        name, told, f"{share.mean():.1%}", f"{share[one > 0].mean():.1%}", f"{share[one == 0].mean():.1%}",
        f"{np.quantile(share, 0.1):.1%} (mean of them {worst.mean():.1%})", f"{use.mean():.1%}", f"{early.mean():.1%}",
        "-" if math.isnan(ratio) else f"{ratio:.2f}", f"{ms.mean():.2f}" if ms.any() else "-",
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0-9")
    parser.add_argument("--each", type=int, default=30, help="campaigns of each seed")
    parser.add_argument("--without", default="", help="of: target, pid, constant")
    parser.add_argument("--auction", choices=[a.value for a in Auction], help="one rule only")
    given = parser.parse_args()
    first, last = (int(x) for x in (given.seeds.split("-") * 2)[:2])
    part = load_scenario("month-plan").plans
    assert part is not None
    weekly = WeekProfile.default().traffic
    print(f"hourly campaigns {plans_fingerprint(part)}, seeds {given.seeds}, {given.each} of each")
    for auction in [Auction(given.auction)] if given.auction else list(Auction):
        table: dict[tuple[str, str], list[tuple[float, float, float, float, float, float, float]]] = {}
        missed: dict[str, list[float]] = {}
        for seed in range(first, last + 1):
            for position in range(given.each):
                world = draw_campaign(part, weekly, seed, position, auction)
                budget = budget_of(world)
                best = plan_optimum(world, budget)
                bid = constant_bid(world, budget)
                steady = play(world, budget, lambda h, before, prior, bid=bid: bid)
                plan = (
                    steady
                    if steady.cpc_cv > 1e-6
                    else play(world, budget, lambda h, before, prior, best=best: best.bids[h])
                )
                one = float(world.n_hours == 24)

                def keep(
                    name: str,
                    told: str,
                    run: PlanRun,
                    goal: float,
                    ms: float = 0.0,
                    *,
                    one=one,
                    plan=plan,
                    table=table,
                ) -> None:
                    table.setdefault((name, told), []).append(
                        (run.expected_clicks / goal, one, run.budget_use, run.gone_early, run.cpc_cv, plan.cpc_cv, ms)
                    )

                most = float(best.clicks.sum())
                if "constant" not in given.without:
                    keep("best constant bid", "-", steady, most)
                for forecast in (True, False):
                    told = "yes" if forecast else "no"
                    run, cpu = ours(world, budget, forecast=forecast)
                    keep("HourlyBidder", told, run, most, 1e3 * cpu / world.n_hours)
                    if "pid" not in given.without:
                        keep("PID from the true price", told, pid(world, budget, forecast=forecast), most)
                    if "target" not in given.without:
                        cap = part.target_of_hindsight * best.cpc
                        run, cpu = ours(world, budget, forecast=forecast, cpc=cap)
                        goal = float(plan_optimum(world, budget, cap).clicks.sum())
                        keep("HourlyBidder, target CPC", told, run, goal, 1e3 * cpu / world.n_hours)
                        missed.setdefault(told, []).append(run.cpc / cap if run.clicks.sum() else 1.0)
        print(f"\n{auction.value}\n\n| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
        for (name, told), rows in table.items():
            print(score(name, told, rows))
        for told, ratios in missed.items():
            over = float(np.mean(np.array(ratios) > 1.05))
            print(
                f"target CPC, forecast {told}: mean CPC / target {np.mean(ratios):.3f}, more than 5 % over in {over:.1%}"
            )


if __name__ == "__main__":
    main()
