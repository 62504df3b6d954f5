"""Times one hour of the loop by its parts: rows read, outlook, prices of money, bids, review, bids written.

    python -m benchmarks.loop --units 10000 --json out.json
    python -m benchmarks.loop --units 1000000 --hours-ahead 24 --changed 100000

The unit of work is the decision of one hour of a promotion that runs since 48 hours: units of heavy-tailed traffic in
campaigns of a hundred, a budget and an ROI target on the account. Every unit has a row for each of the last hours in
which anybody looked at it, `--rows-per-unit` in the mean. Rows are read from a Parquet file and bids written to a CSV file.
With `--changed` a second hour follows in which that many units have a new row: *update* is the outlook of that hour, all that
is learned and all tables. CPU seconds of this process, one thread, after one run that compiles, of which *system* is what the
operating system takes for memory; the lesser of `--repeats` runs. Memory is the peak of the whole process in the first hour.
"""

# ruff: noqa: E402 - the thread limits must stand before the libraries load
import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np
import polars as pl

from bidding import AutoSolver, Guardrails, ThetaPolicy
from domain.account import Account
from domain.goals import Goals, Target, TargetKind
from domain.groups import Groups
from domain.limits import BidLimits
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.tables import ARRIVALS, BIDS, HOURS, PERFORMANCE, UNITS, BidTable, Known, Priors
from domain.time import Hour, Window
from engine.memory import keep_freed_memory
from pacing import Breaker, RecedingHorizon
from predictors import SteadyModel
from predictors.settings import PredictorSettings

START = Hour(datetime(2026, 11, 8, 16, tzinfo=UTC))
PASSED = 48


class Market:
    """Columns of a made-up account; one seed, one account."""

    def __init__(self, n_units: int, rows_per_unit: float, hours_ahead: int, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.n = n_units
        self.rows_per_unit = rows_per_unit
        self.hour = START.plus(PASSED)
        end = self.hour.plus(hours_ahead)
        whole = [START.plus(h) for h in range(PASSED + hours_ahead)]
        value = np.exp(rng.normal(4.5, 0.7, n_units))
        cvr = 0.03 * np.exp(rng.normal(0, 0.4, n_units))
        median = 0.25 * cvr * value * np.exp(rng.normal(0, 0.4, n_units))
        size = np.exp(rng.normal(-0.5, 1.4, n_units))
        bids = np.maximum(np.round(cvr * value / 4, 2), 0.05)
        ids = pl.Series([f"U{i:07d}" for i in range(n_units)])
        columns: dict[str, Any] = {
            "unit_id": ids,
            "campaign": pl.Series([f"C{i // 100:05d}" for i in range(n_units)]),
            "price": value,
            "prior_ctr": np.full(n_units, 0.02),
            "prior_cvr": np.minimum(cvr * np.exp(rng.normal(0.1, 0.3, n_units)), 0.5),
            "prior_order_value": value,
        }
        self.units = pl.DataFrame(
            [pl.Series(k, columns.get(k, [None] * n_units), t, strict=False) for k, t in UNITS.items()]
        )
        day = 1 + 0.6 * np.sin((np.arange(len(whole)) - 6) * 2 * np.pi / 24)
        self.priors = Priors(
            hours=pl.DataFrame(
                {
                    "start_utc": [h.start for h in whole],
                    "traffic": day,
                    "cvr_factor": 1 + 0.2 * (np.arange(len(whole)) > PASSED),
                    "price_factor": 1 + 0.3 * (np.arange(len(whole)) > PASSED) + 0.05 * np.sin(np.arange(len(whole))),
                },
                schema=dict(HOURS),
            ),
            clicks_per_hour=size,
            price_median=median,
            price_spread=np.full(n_units, 0.65),
        )
        self.starts = np.array([h.start.replace(tzinfo=None) for h in whole], "datetime64[us]")
        self.truth = (value, cvr, median, size, bids, day)
        chosen = rng.random((PASSED, n_units)) < rows_per_unit / PASSED
        past, unit = np.nonzero(chosen)
        del chosen
        self.rows = self._rows(past, unit, rng)
        self.arrivals = _arrivals(self.rows)
        self.live = BidTable(
            pl.DataFrame(
                {
                    "unit_id": ids,
                    "bid_cpc": bids,
                    "state": pl.repeat("enabled", n_units, eager=True),
                    "known": pl.repeat(True, n_units, eager=True),
                    "edits_today": pl.repeat(0, n_units, eager=True),
                }
            ).cast(dict(BIDS))  # pyright: ignore[reportArgumentType]
        )
        self.calendar = PromotionCalendar((Phase("promotion", PhaseKind.PRE_SALE, Window(START.start, end.start)),))
        bought = float(self.rows["spend"].sum())
        share = float(day[PASSED:].sum() / day[:PASSED].sum())
        self.goals = Goals(targets=(Target(TargetKind.BUDGET, bought * (1 + 0.8 * share)), Target(TargetKind.ROI, 3.5)))
        self.ahead = [self.hour.plus(h) for h in range(hours_ahead)]

    def _rows(self, past: np.ndarray, unit: np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
        value, cvr, median, size, bids, day = self.truth
        clicks = rng.poisson(size[unit] * day[past] * 0.6 * PASSED / max(self.rows_per_unit, 1)).astype(np.float64)
        orders = rng.binomial(clicks.astype(np.int64), cvr[unit]).astype(np.float64)
        begun = pl.Series(self.starts[past]).dt.replace_time_zone("UTC")
        return pl.DataFrame(
            {
                "unit": unit.astype(np.uint32),
                "start_utc": begun,
                "grain": pl.repeat("hour", unit.size, eager=True, dtype=PERFORMANCE["grain"]),
                "hours": np.ones(unit.size),
                "impressions": clicks + rng.poisson(clicks * 50),
                "clicks": clicks,
                "spend": clicks * median[unit] * 0.8,
                "orders": orders,
                "gmv": orders * value[unit],
                "bid_cpc": bids[unit],
                "learned_at": begun.dt.offset_by("1h"),
            },
            schema=dict(PERFORMANCE),
        )

    def write(self, folder: Path) -> int:
        """Write rows and arrivals, and forget them; gives how many rows there are."""
        n = self.rows.height
        self.rows.write_parquet(folder / "rows-0.parquet")
        self.arrivals.write_parquet(folder / "arrivals-0.parquet")
        self.rows, self.arrivals = self.rows.clear(), self.arrivals.clear()
        return n

    def pass_hour(self, changed: int, folder: Path, seed: int = 2) -> None:
        """Write the rows of the hour that was decided, of some units, and go on to the next one."""
        rng = np.random.default_rng(seed)
        unit = np.sort(rng.choice(self.n, changed, replace=False))
        rows = self._rows(np.full(changed, PASSED), unit, rng)
        # files are read in order of their names: rows come in order of time, as the warehouse gives them
        rows.write_parquet(folder / "rows-1.parquet")
        _arrivals(rows).write_parquet(folder / "arrivals-1.parquet")
        self.hour, self.ahead = self.ahead[1], self.ahead[1:]

    def known(self, folder: Path) -> Known:
        """What files tell."""
        rows, arrivals = (_whole(pl.read_parquet(folder / f"{name}-*.parquet")) for name in ("rows", "arrivals"))
        account = Account("wide", "EUR", "UTC", "file")
        return Known(account, self.hour, self.units, rows, arrivals, self.live, priors=self.priors)


def _whole(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with each column in one stretch of memory, as those are that the warehouse has sorted."""
    if frame.n_chunks() == 1:
        return frame
    return pl.DataFrame([frame.drop_in_place(name).rechunk() for name in frame.columns])


def _arrivals(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("orders") > 0).select(list(ARRIVALS))


def one_hour(market: Market, folder: Path) -> tuple[dict[str, float], dict[str, Any]]:
    """CPU seconds of each part, and what came out."""
    seconds: dict[str, float] = {}
    system = resource.getrusage(resource.RUSAGE_SELF).ru_stime

    def timed(part: str, work: Callable[[], Any]) -> Any:
        begun = time.process_time()
        answer = work()
        seconds[part] = time.process_time() - begun
        return answer

    limits = BidLimits(floor=0.02, cap=500.0)
    model = SteadyModel(calendar=market.calendar)
    known = timed("read", lambda: market.known(folder))
    groups = timed("groups", lambda: Groups.from_units(known.units))
    outlook = timed("outlook", lambda: model.outlook(known, market.ahead))
    pacer = RecedingHorizon(AutoSolver())
    targets = timed("prices", lambda: pacer.targets(known, outlook, market.goals, market.calendar, groups))
    plan = timed("bids", lambda: ThetaPolicy().propose(known, outlook, targets, limits))
    for guardrail in (Guardrails(limits), Breaker()):
        plan = timed("review", lambda g=guardrail, p=plan: g.review(p, known))
    edits = plan.units.filter(pl.col("action") == "set").select("unit_id", "bid_cpc")
    timed("write", lambda: edits.write_csv(folder / "bids.csv"))
    seconds["all"] = sum(seconds.values())
    seconds["system"] = resource.getrusage(resource.RUSAGE_SELF).ru_stime - system
    proof = targets.certificate
    return seconds, {
        "status": targets.status.value,
        "gap": None if proof is None else proof.gap,
        "edits": edits.height,
        "planned_spend": float(targets.amount[0]),
    }


def update(market: Market, folder: Path) -> dict[str, float]:
    """CPU seconds of an hour's outlook, how much of that the operating system took, and what moving its bytes alone takes."""
    known, model = market.known(folder), SteadyModel(calendar=market.calendar)
    seconds = {"update": 0.0, "system": 0.0, "floor": 0.0, "system of floor": 0.0}
    for part, work in (("update", lambda: model.outlook(known, market.ahead)), ("floor", lambda: moved(known, market))):
        before = resource.getrusage(resource.RUSAGE_SELF)
        work()
        after = resource.getrusage(resource.RUSAGE_SELF)
        system = after.ru_stime - before.ru_stime
        seconds[part] = after.ru_utime - before.ru_utime + system
        seconds["system" if part == "update" else "system of floor"] = system
    return seconds


def moved(known: Known, market: Market) -> list[np.ndarray]:
    """Read each column that an outlook needs once, and write arrays of the outlook's size once."""
    rows, n = known.performance, known.n_units
    for name in ("unit", "start_utc", "impressions", "clicks", "spend", "orders", "gmv", "bid_cpc"):
        column = rows[name].to_numpy()
        (column.view(np.int64) if name == "start_utc" else column).max()
    tables = [(n, PredictorSettings().n_levels)] * 6 + [(n, len(market.ahead))] + [(rows.height,)] * 2
    return [np.full(shape, 1.0) for shape in tables]


def peak_gib() -> float:
    """Most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--units", type=int, default=10_000)
    parser.add_argument("--rows-per-unit", type=float, default=20.0)
    parser.add_argument("--hours-ahead", type=int, default=72)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--changed", type=int, default=0, help="units with a new row in a second hour; 0: no such hour")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.units < 10 or not 0 < args.rows_per_unit <= PASSED or args.hours_ahead < 1 or args.repeats < 1:
        parser.error(f"need --units >= 10, 0 < --rows-per-unit <= {PASSED}, --hours-ahead and --repeats >= 1")
    if args.changed and (args.hours_ahead < 2 or not 0 < args.changed <= args.units):
        parser.error("need --hours-ahead >= 2 and no more --changed than --units")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = Market(200, args.rows_per_unit, args.hours_ahead)
        small.write(folder)
        one_hour(small, folder)  # compiles
        market = Market(args.units, args.rows_per_unit, args.hours_ahead)
        n_rows = market.write(folder)
        keep_freed_memory(args.units)  # as `engine.hourly.run_hour` does
        runs = [one_hour(market, folder) for _ in range(args.repeats)]
        peak, later = peak_gib(), []
        if args.changed:
            market.pass_hour(args.changed, folder)
            later = [update(market, folder) for _ in range(args.repeats)]
    seconds, answer = min(runs, key=lambda run: run[0]["all"])
    record = {
        "units": args.units,
        "rows": n_rows,
        "hours_ahead": args.hours_ahead,
        "cpu_seconds": {part: round(s, 4) for part, s in seconds.items()},
        "peak_gib": round(peak, 3),
        **answer,
    }
    if later:
        best = min(later, key=lambda run: run["update"])
        record["changed_units"] = args.changed
        record["update_cpu_seconds"] = {part: round(s, 4) for part, s in best.items()}
    text = json.dumps(record, indent=2)
    if args.json:
        args.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
