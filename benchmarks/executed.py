"""What executed bids lose against the relaxed optimum, on the continuous curves that the tables sample.

    python -m benchmarks.executed --units 100000 --campaigns 10000

A solution may mix two levels; what is sent is one interpolated bid per unit. Its spend and gmv are those of the
log-normal landscape, not of the table. Loss = planned gmv - executed gmv + theta (executed spend - planned spend),
each unit's money at its own price, as a share of planned gmv; negative = the curve between levels lies above the chord.
"""

import argparse
import json

import numpy as np
from scipy.special import ndtr

from benchmarks.instances import instance, tables
from bidding import LaminarSolver, RichSolver


def executed(units: int, campaigns: int, kind: str, levels: int = 20, seed: int = 0) -> dict[str, object]:
    """Figures of one instance: loss, and executed over planned spend and gmv."""
    problem = instance(units, campaigns, kind, levels, seed)
    t = tables(np.random.default_rng(seed), units, levels)  # the draw that `instance` makes first
    solution = (LaminarSolver() if kind == "t0" else RichSolver()).solve(problem)
    z = (np.log(np.maximum(solution.bid, 1e-300)) - np.log(t["median"])) / t["spread"]
    spend = t["offers"] * t["median"] * np.exp(t["spread"] ** 2 / 2) * ndtr(z - t["spread"])
    gmv = t["value"] * t["offers"] * ndtr(z)
    planned = solution.gmv.sum()
    loss = (solution.gmv - gmv + solution.theta * (spend - solution.spend)).sum() / planned
    return {
        "units": units,
        "campaigns": campaigns,
        "problem": kind,
        "loss": float(loss),
        "spend_over_plan": float(spend.sum() / solution.spend.sum() - 1),
        "gmv_over_plan": float(gmv.sum() / planned - 1),
        "mixed_share": float((solution.share < 1).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--units", type=int, default=100_000)
    parser.add_argument("--campaigns", type=int, default=10_000)
    args = parser.parse_args()
    print(json.dumps([executed(args.units, args.campaigns, kind) for kind in ("t0", "t1")], indent=2))


if __name__ == "__main__":
    main()
