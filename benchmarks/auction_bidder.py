"""What `AuctionBidder` reaches in days of half a million auctions, against hindsight; and what a call costs.

    python -m benchmarks.auction_bidder --seeds 100-111 --json result.json

Each seed is a market with a day, a budget and a CPA target of its own: budgets and targets turn with the seed. The score is that of
expected conversions over the exact hindsight optimum of that day under the same budget and target; runs with a hard
target are counted by how far the day's CPA (expected conversions) lies above it. Beside them the best constant
multiplier in hindsight and a PID on spend.
"""

import argparse
import json
import time
from dataclasses import replace

import numpy as np

from domain.auctions import TargetMode
from engine import AuctionBidder
from market.auction_hindsight import HindsightCurve, best_constant
from market.auction_play import ConstantMultiplier, PidMultiplier, play_day
from market.auction_world import AuctionMarket, fingerprint, load_auction_scenario

#: Budgets, and CPA targets over the CPA that the budget alone would have in hindsight.
BUDGETS, TARGETS = (2000.0, 4000.0, 8000.0), (0.8, 0.95, 1.1, 1.3)
PAST_DAYS = 4


def one(seed: int, auctions: int | None = None) -> dict[str, float]:
    """Figures of one seed."""
    scenario = load_auction_scenario()
    scale = 1.0
    if auctions is not None:
        scale = auctions / scenario.auctions_per_day
        scenario = replace(scenario, auctions_per_day=auctions)
    market = AuctionMarket.draw(scenario, seed)
    day = market.day(100)
    curve = HindsightCurve.of(day)
    budget = BUDGETS[seed % 3] * scale
    free = curve.best(budget, None)
    factor = TARGETS[seed // 3 % 4]
    target = factor * free.spend / free.value
    soft = curve.best(budget, target)
    hard = curve.best(budget, target, TargetMode.HARD)
    past = []
    for number in range(PAST_DAYS):
        before = market.day(number)
        multiplier = 0.25 * float(np.median(before.thresholds[:, -1]) / np.median(before.values))
        past.append(play_day(before, ConstantMultiplier(multiplier), 1e12, None).logs)
    fitted = AuctionBidder("orders", "gsp", "soft").fit(past)
    strict = AuctionBidder("orders", "gsp", "hard").fit(past)
    found: dict[str, float] = {
        "seed": seed, "budget": budget, "target": target, "target_factor": factor, "hindsight_spend": soft.spend / budget,
        "constant": best_constant(day, budget, target).score / soft.score,
        "pid": play_day(day, PidMultiplier(target), budget, target).score(target) / soft.score,
    }  # fmt: skip
    runs = {
        "past": (fitted, TargetMode.SOFT),
        "cold": (AuctionBidder("orders", "gsp", "soft"), TargetMode.SOFT),
        "hard": (strict, TargetMode.HARD),
        "hard_cold": (AuctionBidder("orders", "gsp", "hard"), TargetMode.HARD),
    }
    for name, (bidder, mode) in runs.items():
        result = play_day(day, bidder, budget, target, cpu_clock=time.process_time)
        best = soft if mode is TargetMode.SOFT else hard
        found[name] = result.score(target, mode) / best.score
        found[f"{name}_over"] = result.spend / max(result.value, 1e-12) / target - 1
        found[f"{name}_over_counted"] = result.spend / max(result.realised, 0.5) / target - 1
        found[f"{name}_spend"] = result.spend / budget
        sizes = np.diff(day.first)
        # per 10,000 auctions: all calls of the day together, and the dearest twentieth of those in larger ticks (a part of a
        # call's cost is the same for any number); what past days teach is learned before, all else within the calls
        large = sizes >= min(8000, int(np.median(sizes)))
        found[f"{name}_ms"] = float(1e7 * result.seconds.sum() / sizes.sum())
        found[f"{name}_ms_p95"] = float(np.quantile(result.seconds[large] * 1e7 / sizes[large], 0.95))
    return found


def summary(rows: list[dict[str, float]]) -> dict[str, float]:
    """Means, worst days and misses."""
    table = {k: np.array([r[k] for r in rows]) for k in rows[0]}
    bound = table["hindsight_spend"] >= 0.999
    found = {"runs": float(len(rows)), "budget_bound": float(bound.sum())}
    for name in ("past", "cold", "constant", "pid"):
        found[f"{name}_mean"], found[f"{name}_worst"] = float(table[name].mean()), float(table[name].min())
    for name in ("past", "cold"):
        found[f"{name}_most_over"] = float(table[f"{name}_over"].max())
        found[f"{name}_most_over_budget_bound"] = float(table[f"{name}_over"][bound].max(initial=-1.0))
        found[f"{name}_ms_per_10000"] = float(table[f"{name}_ms"].mean())
        found[f"{name}_ms_per_10000_p95"] = float(np.median(table[f"{name}_ms_p95"]))
    for name in ("hard", "hard_cold"):
        found[f"{name}_mean"] = float(table[name].mean())
        found[f"{name}_share_over_10pct"] = float((table[f"{name}_over"] > 0.10).mean())
        found[f"{name}_share_over_10pct_counted"] = float((table[f"{name}_over_counted"] > 0.10).mean())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="100-105")
    parser.add_argument("--auctions", type=int, default=None, help="auctions a day instead of the scenario's")
    parser.add_argument("--json", default="")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("-")
    world = fingerprint(load_auction_scenario())
    rows: list[dict[str, float]] = []
    for seed in range(int(first), int(last or first) + 1):
        rows.append(one(seed, given.auctions))
        r = rows[-1]
        print(f"{seed}: past {r['past']:.3f} cold {r['cold']:.3f} hard {r['hard']:.3f} ({r['hard_over']:+.2f}) constant {r['constant']:.3f} pid {r['pid']:.3f} factor {r['target_factor']}", flush=True)  # fmt: skip
        if given.json:
            with open(given.json, "w", encoding="utf-8") as file:
                json.dump({"world": world, "summary": summary(rows), "runs": rows}, file, indent=1)
    print(json.dumps({"world": world, **summary(rows)}, indent=1))


if __name__ == "__main__":
    main()
