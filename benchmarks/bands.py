"""Back-test of bands of the next day and of final ROI, and of the landscape: many worlds, bids near last month's, dithered.

    python -m benchmarks.bands --first 3000 --worlds 10
    python -m benchmarks.bands --first 120 --worlds 5 --scenarios four-phase-roi,first-price --landscape

Every midnight of a world is one plan-day (and each campaign's day another): bids of the day are fixed, the bands of the
day are made from what is known, the day runs, and late orders come in. So are the bands of the day after next ("third day
ahead", at the bids that will be in force then). Printed are the shares of plan-days inside the
80 % bands, those that `predictors.champion` counts of each day that ended a day ago ("night"), and, if asked for, how far
the spend at 30 % more and less bid is off against the spend at the bid, five times a day. Faults and shocks of a scenario
happen. World k of scenario i has the seed first + i worlds + k, so that no two of them are alike; seeds from 100 on are for
tuning.

Every noon and midnight final ROI is told of all that was bought so far ("at once"), and of what was bought up to a day before
("24 h later"), with a burst ahead (nobody knows how many carts wait for it) or with none: how often its band held what came in
at last, and how far the figure was off that and off the expected value of the clicks in the world ("luck" = came in at last over
expected). With ``--final`` nothing else is made, which is ten times as fast.
"""

import argparse
from collections import defaultdict
from dataclasses import replace

import numpy as np

from data.memory import MemoryStore
from domain.goals import Scope
from domain.groups import Groups
from domain.phases import PhaseKind
from domain.tables import Floats, Known
from domain.time import Window
from evaluation.desks import auction_of
from market import SimPlatform, SimWorld, load_scenario, make_platform, make_world, troubled
from predictors import SteadyModel
from predictors.champion import challenge
from predictors.day_ahead import FIGURES, Band, ahead
from predictors.matured import Matured

DAY = 24
#: Days from midnight to the beginning of the third day ahead.
LATER = 2
#: How often final ROI is told.
HALF_DAY = 12
#: Hours of the day in which the landscape is looked at.
LOOKS = (1, 9, 13, 17, 21)
#: Scenarios of accounts that are bid for by the hour; the wide one is looked at through its first units.
SCENARIOS = (
    "demo", "demo-budget", "four-phase-roi", "four-phase-budget", "first-price", "ordinary-week", "cold-start",
    "cpc-capped", "platform-outage", "pooled-types", "poor-predictors", "shock-day", "thin-account", "two-edits",
    "wide-account",
)  # fmt: skip
WIDE = 5


def run(
    name: str, seed: int, units: int, dither: float, landscape: bool, only_final: bool = False
) -> dict[str, list[tuple[float, float]]]:
    """Miss of each figure in units of the stated error, and landscape errors, of one world."""
    scenario = load_scenario(name)
    count = units * WIDE if name == "wide-account" else units
    scenario = replace(scenario, units=replace(scenario.units, count=min(count, scenario.units.count)))
    world = make_world(scenario, seed)
    world.delivery_stops_at = np.inf  # bands are of bids in force; that a budget ends a day is the planner's to know
    platform = make_platform(world)
    reports = troubled(platform, scenario)
    store = MemoryStore(world.account, world.units, world.priors)
    model = SteadyModel(calendar=world.calendar, auction=auction_of(world))
    rng = np.random.default_rng([seed, 9])
    campaign = (world.units["campaign"].rank("dense").to_numpy() - 1).astype(np.int64)
    level = np.exp(0.2 * rng.standard_normal())
    dithered = np.exp(dither * rng.standard_normal((-(-len(world.hours) // DAY), world.n_units, DAY)))
    told: list[tuple[int, str, str, dict[str, Band]]] = []
    nights: dict[int, Known] = {}
    final: list[tuple[str, int, int, Matured]] = []
    groups = Groups.from_units(world.units, (Scope.CAMPAIGN,))
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    plan = np.zeros((world.n_units, DAY))
    for h, hour in enumerate(world.hours):
        store.append(reports.read_reports(Window(world.hours[0].start, hour.end)), reports.live_bids(), hour.start)
        if h and h % HALF_DAY == 0:
            known = store.at(hour)
            for when, upto in (("at once", h), ("24 h later", h - DAY)):
                if upto > 0:
                    final.append((when, h, upto, model.matured(known, groups, until=world.hours[upto].start)))
        if h % DAY == 0:
            plan = _plan(world, h, level, dithered)
        if h % DAY == 0 and not only_final:
            nights[h] = store.at(hour)
            if h >= 2 * DAY:  # as the night does it: of the day that ended a day ago
                tried = challenge(model, nights[h - 2 * DAY], nights[h], world.hours[h - 2 * DAY : h - DAY], None)
                found["night"].append((tried.coverage or 0.0, float(tried.bands)))
            for when, at in (("", h), (", third day ahead", h + LATER * DAY)):
                if at < world.n_hours:
                    outlook = model.outlook(nights[h], world.hours[at : at + DAY])
                    bids = _plan(world, at, level, dithered)
                    for kind, group in (("account", None), ("campaign", campaign)):
                        told.append((at, kind, when, ahead(outlook, bids, group)))
        looked = landscape and h % DAY in LOOKS
        if looked:
            table = model.outlook(store.at(hour), [hour]).at(0)
        platform.put(plan[:, h % DAY], rules=False)
        platform.advance(hour)
        if looked:
            curves, bids = platform.curves.at_hour(h), plan[:, h % DAY]
            base, true = table.expected(bids)["spend"].to_numpy(), curves.response(bids[:, None])[1][:, 0]
            some = (true > 0) & (base > 0)
            for k in (0.7, 1.3):
                here, there = table.expected(k * bids)["spend"].to_numpy(), curves.response(k * bids[:, None])[1][:, 0]
                whole = here.sum() / base.sum() / (there.sum() / true.sum()) - 1
                each = (here / np.maximum(base, 1e-12) / np.maximum(there / np.maximum(true, 1e-12), 1e-12))[some] - 1
                found[f"landscape account day {h // DAY}"].append((abs(whole), whole))
                found[f"landscape unit day {h // DAY}"].append((float(np.median(np.abs(each))), float(np.median(each))))
    platform.run_out()
    for key, values in _final(world, platform, groups, final).items():
        found[key] += values
    for h, kind, when, bands in told:
        for figure in FIGURES:
            total = getattr(platform.ledger, figure)[:, h : h + DAY].sum(1)
            seen = total.sum()[None] if kind == "account" else np.bincount(campaign, total)
            band = bands[figure]
            inside = (seen >= band.low) & (seen <= band.high)
            for k in range(seen.size):
                miss = (seen[k] / max(band.mean[k], 1e-12) - 1) / max(band.cv[k], 1e-12)
                found[f"{kind} {figure}{when}"].append((float(inside[k]), float(miss)))
                found[f"{kind} {figure} day {h // DAY}{when}"].append((float(inside[k]), float(miss)))
    return found


def _plan(world: SimWorld, h: int, level: float, dithered: Floats) -> Floats:
    """(n_units, 24) bids of the day that begins at hour h."""
    hours = slice(h, h + DAY)
    return world.start_bids[:, None] * level * world.expected.price[hours] * dithered[h // DAY][:, : world.n_hours - h]


def _final(
    world: SimWorld, platform: SimPlatform, groups: Groups, told: list[tuple[str, int, int, Matured]]
) -> dict[str, list[tuple[float, float]]]:
    """Whether bands of final ROI held (and the miss over half their width), and how far the account's figure was off."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    ledger, curves = platform.ledger, world.curves
    expected = ledger.clicks * curves.cvr * curves.order_value[:, None]
    bursts = [world.hours.index(h) for p in world.calendar.phases if p.kind is PhaseKind.BURST for h in world.hours if h.start == p.window.start]  # fmt: skip
    for when, now, upto, one in told:

        def total(amounts: Floats, end: int = upto) -> Floats:
            return groups.rolled_up(amounts[:, :end].sum(1))

        spend = np.maximum(total(ledger.spend), 1e-12)
        came, worth = total(ledger.gmv) / spend, total(expected) / spend
        spent = one.final_spend > 0
        low, figure, high = (np.where(spent, g / np.maximum(one.final_spend, 1e-12), 0.0) for g in (one.low, one.gmv, one.high))  # fmt: skip
        wide = (high - low) / 2 > 1e-6
        miss = np.where(wide, (came - (low + high) / 2) / np.where(wide, (high - low) / 2, 1.0), 0.0)
        inside = (low <= came) & (came <= high)
        state = f"final {when}, {'a burst ahead' if any(now <= b for b in bursts) else 'none ahead'}"
        for g in np.flatnonzero(spent):
            found[f"{state}: {'campaign' if g else 'account'}"].append((float(inside[g]), float(miss[g])))
        if not spent[0]:
            continue
        luck = float(came[0] / worth[0] - 1)
        found[f"{state}: luck"].append((abs(luck), luck))
        for what, truth in (("at last", came[0]), ("expected", worth[0])):
            off = float(figure[0] / truth - 1) if truth > 0 else 0.0
            found[f"{state}: off {what}"].append((abs(off), off))
        found[f"{state}: half width"].append((float((high[0] - low[0]) / 2 / max(came[0], 1e-12)),) * 2)
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--first", type=int, default=3000)
    parser.add_argument("--worlds", type=int, default=10)
    parser.add_argument("--landscape", action="store_true")
    parser.add_argument("--final", action="store_true")
    parser.add_argument("--units", type=int, default=60)
    parser.add_argument("--dither", type=float, default=0.1)
    options = parser.parse_args()
    total: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for i, name in enumerate(options.scenarios.split(",")):
        one: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for k in range(options.worlds):
            seed = options.first + i * options.worlds + k
            for key, values in run(name, seed, options.units, options.dither, options.landscape, options.final).items():
                one[key] += values
                total[key] += values
        _print(name, one)
    _print("all", total)


def _print(name: str, found: dict[str, list[tuple[float, float]]]) -> None:
    print(f"\n{name}")
    for key in sorted(found):
        a = np.array(found[key])
        if key.startswith("landscape"):
            print(f"  {key:28s} median error {np.median(a[:, 0]):6.1%}   n {len(a)}")
        elif key.startswith("final") and not key.endswith(("account", "campaign")):
            rms, near = np.sqrt((a[:, 1] ** 2).mean()), (a[:, 0] < 0.02).mean()
            middle = f"median {np.median(a[:, 0]):6.2%}   mean {a[:, 1].mean():+.2%}   rms {rms:.2%}"
            print(f"  {key:46s} {middle}   within 2 % {near:.0%}   n {len(a)}")
        elif key == "night":
            held = float((a[:, 0] * a[:, 1]).sum() / max(a[:, 1].sum(), 1.0))
            print(f"  {key:28s} inside 80 % band {held:6.1%}   n {a[:, 1].sum():.0f} of {len(a)} nights")
        else:
            miss = f"miss / error: mean {a[:, 1].mean():+.2f}, sd {a[:, 1].std():.2f}"
            print(f"  {key:28s} inside 80 % band {a[:, 0].mean():6.1%}   {miss}   n {len(a)}", flush=True)


if __name__ == "__main__":
    main()
