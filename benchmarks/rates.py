"""Times a click model of 5,000,000 rows x 30 columns from a parquet file, and the scoring of a million rows.

    python -m benchmarks.rates --rows 5000000 --json out.json

CPU seconds of this process, wall seconds, peak resident memory, rows per
CPU-second, and the share of LightGBM itself. The log is drawn from a seed: 14 category columns (three of them with up
to 500,000 categories), 8 whole numbers, 8 real numbers; click rates follow effects of categories, crosses and numbers.
"""

# ruff: noqa: E402 - the thread limits must stand before the libraries load
import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("POLARS_MAX_THREADS", "2")

import lightgbm as lgb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from predictors import fit_rates, load_bundle, save_bundle, score_rates
from predictors.judging import judge

CARDINALITIES = (3, 5, 8, 12, 25, 50, 100, 300, 1_000, 5_000, 20_000, 100_000, 300_000, 500_000)
SLICE = 250_000


def write_log(path: Path, rows: int, seed: int, skip: int = 0) -> None:
    """Write a log in slices, so that it never lies in memory as a whole."""
    fixed = np.random.default_rng(seed)
    effects = [0.35 * fixed.standard_normal(n) for n in CARDINALITIES]
    cross = 0.5 * fixed.standard_normal((25, 50))
    writer = None
    for start in range(0, rows, SLICE):
        rng, n = np.random.default_rng((seed, skip + start)), min(SLICE, rows - start)
        codes = [np.minimum((c * rng.random(n) ** 2.5).astype(np.int64), c - 1) for c in CARDINALITIES]
        counts, reals = rng.geometric(0.1, (8, n)), rng.standard_normal((8, n))
        z = -3.2 + np.sum([e[c] for e, c in zip(effects, codes, strict=True)], axis=0) + cross[codes[4], codes[5]]
        z += (
            0.3 * np.log(counts[0])
            - 0.25 * np.sqrt(counts[1]) * (codes[1] == 0)
            + 0.4 * np.tanh(reals[0])
            + 0.2 * reals[1] * reals[2]
        )
        columns: dict[str, Any] = {"click": (rng.random(n) < 1 / (1 + np.exp(-z))).astype(np.int8)}
        columns |= {f"c{k}": pa.array(np.char.add("v", c.astype(str))) for k, c in enumerate(codes)}
        columns |= {f"i{k}": c.astype(np.int32) for k, c in enumerate(counts)}
        columns |= {f"x{k}": x.astype(np.float32) for k, x in enumerate(reals)}
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    if writer:
        writer.close()


class Share:
    """CPU seconds spent inside some functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            try:
                return work(*args, **kwargs)
            finally:
                self.seconds += time.process_time() - start

        return timed


def measured(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Answer, CPU seconds and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    answer = work()
    return answer, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--score", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--log", type=Path, help="Keep the log here, or use the one that is here.")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.rows < 1000 or args.score < 1:
        parser.error("--rows must be at least 1000, --score at least 1")
    share = Share()
    lgb.train = share.watch(lgb.train)
    lgb.Booster.predict = share.watch(lgb.Booster.predict)
    with tempfile.TemporaryDirectory() as folder:
        log = args.log or Path(folder) / "log.parquet"
        later = log.with_name(f"later-{log.name}")
        # written by a process of its own, whose memory does not count
        for path, rows, skip in ((log, args.rows, 0), (later, args.score, args.rows)):
            if not path.exists():
                writer = multiprocessing.get_context("spawn").Process(
                    target=write_log, args=(path, rows, args.seed, skip)
                )
                writer.start()
                writer.join()
        bundle, fit_cpu, fit_wall = measured(lambda: fit_rates(log, "click"))
        fit_share, share.seconds = share.seconds / fit_cpu, 0.0
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        save_bundle(bundle, Path(folder) / "ctr.bundle")
        kept = load_bundle(Path(folder) / "ctr.bundle")
        scored, score_cpu, score_wall = measured(lambda: score_rates(kept, later))
        clicks = pl.read_parquet(later, columns=["click"]).to_series().to_numpy().astype(np.float64)
        size = (Path(folder) / "ctr.bundle").stat().st_size
    told = judge(scored["mean"].to_numpy(), clicks, np.ones(clicks.size), bundle.model.rate)
    record = {
        "rows": args.rows,
        "columns": len(CARDINALITIES) + 16,
        "fit": {
            "cpu_seconds": fit_cpu,
            "wall_seconds": fit_wall,
            "peak_gib": peak,
            "rows_per_cpu_second": args.rows / fit_cpu,
            "lightgbm_share": fit_share,
        },
        "score": {
            "rows": args.score,
            "cpu_seconds": score_cpu,
            "wall_seconds": score_wall,
            "rows_per_cpu_second": args.score / score_cpu,
            "lightgbm_share": share.seconds / score_cpu,
        },
        "bundle_mib": size / 1024**2,
        "log_loss": told.log_loss,
        "log_loss_constant": told.log_loss_constant,
        "predicted_to_seen": told.ratio,
        "auc": told.auc,
        "trees": None if bundle.model.scores is None else bundle.model.scores.n_trees,
        "load_average": os.getloadavg()[0],
    }
    text = json.dumps(record, indent=2)
    if args.json:
        args.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
