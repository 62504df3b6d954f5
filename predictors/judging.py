"""Judges rates on rows with labels: log loss, calibration ratio with its error, expected calibration error, AUC.

Rows are weighted shares: row i stands for w_i trials of which a share y_i succeeded.
"""

from dataclasses import dataclass

import numpy as np

from domain.tables import Floats


@dataclass(frozen=True, slots=True)
class Judgement:
    """How rates did.

    Attributes
    ----------
    log_loss, log_loss_constant
        Per trial, of the rates and of one constant rate.
    ratio, ratio_error
        Successes predicted / seen, and its binomial standard error.
    ece
        Mean absolute distance of ten equally filled bins from their share of successes.
    auc
        Chance that a success has a higher rate than a failure; NaN with one class only.
    """

    log_loss: float
    log_loss_constant: float
    ratio: float
    ratio_error: float
    ece: float
    auc: float


def judge(rate: Floats, share: Floats, weight: Floats, constant: float) -> Judgement:
    """Judgement of (n_rows,) rates; rows without trials do not count."""
    told = weight > 0
    p, y, w = np.clip(rate[told], 1e-12, 1 - 1e-12), share[told], weight[told]
    trials, seen = float(w.sum()), float(w @ y)
    if trials == 0:
        return Judgement(*(float("nan") for _ in range(6)))
    return Judgement(
        float(-(w @ (y * np.log(p) + (1 - y) * np.log1p(-p)))) / trials,
        float(-(seen * np.log(constant) + (trials - seen) * np.log1p(-constant))) / trials,
        float(w @ p) / seen if seen else float("nan"),
        float(np.sqrt(w @ (p * (1 - p)))) / seen if seen else float("nan"),
        _calibration_error(p, y, w),
        _auc(p, y, w),
    )


def _calibration_error(p: Floats, y: Floats, w: Floats, bins: int = 10) -> float:
    order = np.argsort(p, kind="stable")
    done = np.cumsum(w[order]) / w.sum()
    place = np.minimum((done * bins - 1e-9).astype(np.int64), bins - 1)
    off = np.bincount(place, (w * (p - y))[order], minlength=bins)
    return float(np.abs(off).sum() / w.sum())


def _auc(p: Floats, y: Floats, w: Floats) -> float:
    good, bad = float(w @ y), float(w @ (1 - y))
    if good == 0 or bad == 0:
        return float("nan")
    _, place = np.unique(p, return_inverse=True)
    hits, misses = np.bincount(place, w * y), np.bincount(place, w * (1 - y))
    below = np.cumsum(misses) - misses
    return float(hits @ (below + 0.5 * misses) / (good * bad))
