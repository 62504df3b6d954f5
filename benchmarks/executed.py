"""What executed bids lose against the relaxed optimum, on the continuous curves that the tables sample.

    python -m benchmarks.executed --units 100000 --campaigns 10000

A solution may mix two levels; what is sent is one interpolated bid per unit. Its spend and gmv are those of the
landscape, not of the table: log-normal market prices, then pages of four positions whose clicks differ in worth. Loss = planned gmv - executed gmv + theta (executed - planned spend) - offset (executed - planned
clicks), each unit's money and clicks at its own prices, as a share of planned gmv; negative = the curve between levels lies
above the chord.
"""

import argparse
import json

import numpy as np
from scipy.special import ndtr

from benchmarks.instances import instance, paged, tables
from bidding import LaminarSolver, RichSolver


def executed(
    units: int, campaigns: int, kind: str, levels: int = 20, seed: int = 0, *, positions: bool = False
) -> dict[str, object]:
    """Figures of one instance: loss, and executed over planned spend and gmv."""
    problem = instance(units, campaigns, kind, levels, seed, positions=positions)
    t = tables(np.random.default_rng(seed), units, levels, positions=positions)  # the draw that `instance` makes first
    solution = (LaminarSolver() if kind == "t0" else RichSolver()).solve(problem)
    if positions:
        landscape = (t[name] for name in ("median", "spread", "offers", "worth"))
        clicks, spend, gained = (table[:, 0] for table in paged(solution.bid[:, None], *landscape))
        gmv = t["value"] * gained
    else:
        z = (np.log(np.maximum(solution.bid, 1e-300)) - np.log(t["median"])) / t["spread"]
        spend = t["offers"] * t["median"] * np.exp(t["spread"] ** 2 / 2) * ndtr(z - t["spread"])
        clicks = t["offers"] * ndtr(z)
        gmv = t["value"] * clicks
    planned = solution.gmv.sum()
    lost = solution.gmv - gmv + solution.theta * (spend - solution.spend)
    loss = (lost + solution.offset * (solution.clicks - clicks)).sum() / planned
    return {
        "units": units,
        "campaigns": campaigns,
        "problem": kind,
        "positions": positions,
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
    cases = [(kind, positions) for positions in (False, True) for kind in ("t0", "t1")]
    found = [executed(args.units, args.campaigns, kind, positions=positions) for kind, positions in cases]
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
