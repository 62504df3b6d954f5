"""Compares rates with strong rivals on real click logs: constant, two ridge regressions, LightGBM with Platt.

    python -m benchmarks.rates_real FOLDER --log avazu --seed 100

FOLDER holds the logs named below, which are not ours to ship. Logs without time: five random folds by seed; with time:
four steps, of which the first 40, 55, 70 and 85 % of the rows teach and the next 15 % judge. Rivals choose their strength
by five-fold cross-validation within what teaches. "By chance": the ECE that a model would have on rows of this number
if its rates were true.
"""

# ruff: noqa: E402 - the thread limits must stand before the libraries load
import argparse
import os
from collections.abc import Iterator
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import lightgbm as lgb
import numpy as np
import polars as pl
from scipy import sparse
from scipy.special import expit

from predictors import fit_rates, score_rates
from predictors.calibration import blend_weights, trial_loss
from predictors.features import Encoded, Encoder
from predictors.judging import judge
from predictors.logistic import Design, Logistic, fit_logistic

#: File, label, columns known only afterwards, time column.
LOGS = {
    "ipinyou": ("ipinyou_2259_fields_train.parquet", "click", ("bidid", "price"), None),
    "criteo": ("criteo_train.parquet", "click", (), None),
    "avazu": ("avazu_train.parquet", "click", ("id",), None),
    "talkingdata": ("talkingdata_clicks_train.parquet", "is_attributed", ("attributed_time",), "click_time"),
    "openbandit": ("obd_men.parquet", "click", ("propensity_score",), "timestamp"),
}
RIDGES = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
TREES = (25, 50, 100, 200, 300, 400)
PEER = {
    "objective": "binary", "learning_rate": 0.03, "num_leaves": 8, "min_data_in_leaf": 50, "lambda_l2": 20.0,
    "feature_fraction": 0.5, "bagging_fraction": 0.7, "bagging_freq": 1, "num_threads": 1, "verbosity": -1, "seed": 3,
    "cat_smooth": 30.0, "cat_l2": 30.0, "max_bin": 63,
}  # fmt: skip


def splits(log: pl.DataFrame, time: str | None, seed: int) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    if time is None:
        fold = np.random.default_rng(seed).permutation(log.height) % 5
        for k in range(5):
            yield log.filter(pl.Series(fold != k)), log.filter(pl.Series(fold == k))
        return
    log = log.sort(time)
    for start, end in ((0.4, 0.55), (0.55, 0.7), (0.7, 0.85), (0.85, 1.0)):
        a, b = int(start * log.height), int(end * log.height)
        yield log[:a], log[a:b]


def regression(train: Encoded, test: Encoded, y: np.ndarray, bins: bool) -> np.ndarray:
    """Ridge regression; its numbers are bins, or logarithms."""
    design = Design.learn(train)
    n_codes = sum(design.sizes)
    last = np.array([c for c, twice in enumerate(train.twice) if twice], int)
    offsets = np.concatenate([[0], np.cumsum(design.sizes)])
    keep = np.ones(design.n_columns, bool)
    if bins:
        keep[n_codes + sum(design.tag_sizes) :] = False
    else:
        for c in last:
            if design.sizes[c] <= 40:
                keep[offsets[c] : offsets[c + 1]] = False
    # one-hot columns hold 1 here, also those beside a number
    scale = np.where(np.repeat(train.twice, design.sizes), 1 / design.values.min(initial=1.0), 1.0)
    columns = sparse.diags(np.concatenate([scale, np.ones(design.n_columns - n_codes)]) * keep)
    learn, judged = ((design.matrix(data) @ columns).tocsr() for data in (train, test))
    weight, fold = np.ones(y.size), np.random.default_rng(1).permutation(y.size) % 5
    totals = np.zeros(len(RIDGES))
    for k in range(5):
        found = Logistic.constant(y.mean(), design.n_columns)
        for r, ridge in enumerate(RIDGES):
            found = fit_logistic(learn[fold != k], y[fold != k], weight[fold != k], ridge, found)
            totals[r] += trial_loss(found.logits(learn[fold == k]), y[fold == k], weight[fold == k]).sum()
    found = Logistic.constant(y.mean(), design.n_columns)
    for ridge in RIDGES[: int(np.argmin(totals)) + 1]:
        found = fit_logistic(learn, y, weight, ridge, found)
    return expit(found.logits(judged))


def boosted(train: Encoded, test: Encoded, y: np.ndarray) -> np.ndarray:
    """LightGBM on numbers and native categories, mean of five folds, with Platt."""
    native = np.flatnonzero(~train.twice)
    tables = [np.concatenate([x.numbers, x.codes[:, native]], axis=1).astype(np.float32) for x in (train, test)]
    places = list(range(train.numbers.shape[1], tables[0].shape[1]))
    fold = np.random.default_rng(2).permutation(y.size) % 5
    unseen, later = np.zeros((len(TREES), y.size)), np.zeros((len(TREES), tables[1].shape[0]))
    for k in range(5):
        data = lgb.Dataset(tables[0][fold != k], y[fold != k], categorical_feature=places)
        model = lgb.train(dict(PEER), data, TREES[-1])
        for t, n in enumerate(TREES):
            unseen[t, fold == k] = model.predict(tables[0][fold == k], raw_score=True, num_iteration=n)
            later[t] += np.asarray(model.predict(tables[1], raw_score=True, num_iteration=n)) / 5
    best = int(np.argmin([trial_loss(z, y, np.ones(y.size)).sum() for z in unseen]))
    a, b = blend_weights(unseen[best][:, None], y, np.ones(y.size))
    return expit(a + b * later[best])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--log", choices=list(LOGS), action="append", help="Only this log. Repeatable.")
    parser.add_argument("--seed", type=int, default=100)
    args = parser.parse_args()
    print("| log | model | log loss | ours less this | z | predicted / seen | ECE | by chance | AUC |")
    print("|---|---|---|---|---|---|---|---|---|")
    for key in args.log or LOGS:
        file, label, ignore, time = LOGS[key]
        found: dict[str, list[np.ndarray]] = {}
        labels: list[np.ndarray] = []
        for train, test in splits(pl.read_parquet(args.folder / file), time, args.seed):
            y = train[label].to_numpy().astype(float)
            encoder = Encoder.learn(train, [label, *ignore])
            learn, judged = encoder.apply(train), encoder.apply(test)
            labels.append(test[label].to_numpy().astype(float))
            rates = {
                "ours": score_rates(fit_rates(train, label, ignore=ignore, time=time), test.drop(label))["mean"].to_numpy(),
                "constant": np.full(test.height, y.mean()),
                "regression, bins": regression(learn, judged, y, bins=True),
                "regression, logarithms": regression(learn, judged, y, bins=False),
                "LightGBM + Platt": boosted(learn, judged, y),
            }  # fmt: skip
            for name, rate in rates.items():
                found.setdefault(name, []).append(rate)
        truth = np.concatenate(labels)
        weight, mean = np.ones(truth.size), float(truth.mean())
        losses = {}
        for name, parts in found.items():
            p = np.clip(np.concatenate(parts), 1e-12, 1 - 1e-12)
            losses[name] = trial_loss(np.log(p) - np.log1p(-p), truth, weight)
            told, less = judge(p, truth, weight, mean), losses["ours"] - losses[name]
            rng = np.random.default_rng(7)
            chance = np.mean([judge(p, (rng.random(p.size) < p).astype(float), weight, mean).ece for _ in range(20)])
            z = less.mean() / less.std() * np.sqrt(less.size) if less.any() else 0.0
            print(f"| {key} | {name} | {told.log_loss:.5f} | {less.mean():+.5f} | {z:+.1f} | {told.ratio:.3f} +- {told.ratio_error:.3f} | {told.ece:.5f} | {chance:.5f} | {told.auc:.3f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
