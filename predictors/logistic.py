"""Ridge logistic regression on one-hot categories and numbers: the strong plain model that small logs ask for.

Minimises sum_i w_i (log(1 + e^z_i) - y_i z_i) + lambda / 2 |beta|^2 with z = a + X beta (a is free), by L-BFGS.
Rows are weighted shares: y_i in [0, 1] of w_i trials, so report rows (orders of clicks) fit as well as single ones.
A number enters as a standardised signed logarithm, and its bins and categories beside it, which then count half:
they are shrunk four times as much.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit

from domain.tables import Floats
from predictors.features import Encoded

#: What stands in the one-hot columns of bins and categories whose number is there too.
BESIDE_A_NUMBER = 0.5


@dataclass(frozen=True, slots=True)
class Design:
    """What turns a table into a matrix.

    Attributes
    ----------
    sizes, tag_sizes
        One-hot columns of each category column and of each tag column.
    values
        (n_categories,) what stands in a one-hot column: 1, or `BESIDE_A_NUMBER`.
    scale
        (4, n_numbers) mean, standard deviation, least and greatest signed logarithm of each number.
    """

    sizes: tuple[int, ...]
    tag_sizes: tuple[int, ...]
    values: Floats
    scale: Floats

    @classmethod
    def learn(cls, data: Encoded) -> "Design":
        """Sizes that hold every code of the training data, and the spread of its numbers."""
        few = data if data.n_rows <= 400_000 else data.take(np.arange(0, data.n_rows, data.n_rows // 200_000))
        scale = np.zeros((4, data.numbers.shape[1]))
        scale[1] = 1.0
        for c in range(data.numbers.shape[1]):
            seen = _signed_log(few.numbers[:, c])
            seen = seen[np.isfinite(seen)]
            if seen.size:
                low, high = np.quantile(seen, (0.005, 0.995))
                inside = np.clip(seen, low, high)
                spread = float(inside.std())
                scale[:, c] = inside.mean(), spread if spread > 1e-9 else 1.0, low, high
        return cls(
            tuple(int(data.codes[:, c].max(initial=0)) + 1 for c in range(data.codes.shape[1])),
            tuple(int(code.max(initial=0)) + 1 for _, code in data.tags),
            np.where(data.twice, BESIDE_A_NUMBER, 1.0),
            scale,
        )

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return max(sum(self.sizes) + sum(self.tag_sizes) + self.scale.shape[1], 1)

    def matrix(self, data: Encoded) -> sparse.csr_matrix:
        """(n_rows, n_columns); tags of a row share a weight of 1."""
        n = data.n_rows
        offsets = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int32)
        limit = np.array(self.sizes, np.int32) - 1
        codes = np.where(data.codes > limit, 0, data.codes) + offsets[:-1]
        start = int(offsets[-1] + sum(self.tag_sizes))
        mean, spread, low, high = self.scale
        numbers = (np.clip(_signed_log(data.numbers), low, high) - mean) / spread
        numbers = np.where(np.isfinite(numbers), numbers, 0.0)
        width = codes.shape[1] + numbers.shape[1]
        places = np.concatenate([codes, np.broadcast_to(start + np.arange(numbers.shape[1]), numbers.shape)], axis=1)
        values = np.concatenate([np.broadcast_to(self.values, codes.shape), numbers], axis=1)
        shape = (n, self.n_columns)
        dense = sparse.csr_matrix(
            (values.ravel(), places.astype(np.int32).ravel(), np.arange(n + 1, dtype=np.int64) * width), shape=shape
        )
        if not data.tags:
            return dense
        rows: list[NDArray[np.int64]] = []
        columns: list[NDArray[np.int64]] = []
        shares: list[Floats] = []
        start = int(offsets[-1])
        for (row, code), size in zip(data.tags, self.tag_sizes, strict=True):
            kept = code < size
            at = row[kept].astype(np.int64)
            rows.append(at)
            columns.append(code[kept].astype(np.int64) + start)
            shares.append(1.0 / np.sqrt(np.maximum(np.bincount(at, minlength=n)[at], 1)))
            start += size
        parts = (np.concatenate(shares), (np.concatenate(rows), np.concatenate(columns)))
        return sparse.csr_matrix(dense + sparse.csr_matrix(parts, shape=shape))


@dataclass(frozen=True, slots=True)
class Logistic:
    """A fitted regression: intercept and (n_columns,) weights."""

    intercept: float
    weights: Floats

    @classmethod
    def constant(cls, rate: float, n_columns: int) -> "Logistic":
        """Regression that gives one rate everywhere."""
        return cls(float(np.log(rate / (1 - rate))), np.zeros(n_columns))

    def logits(self, matrix: sparse.csr_matrix) -> Floats:
        """(n_rows,) log-odds."""
        return np.asarray(matrix @ self.weights, np.float64) + self.intercept


def fit_logistic(matrix: sparse.csr_matrix, share: Floats, weight: Floats, ridge: float, start: Logistic) -> Logistic:
    """Regression of shares on a matrix, from a start such as `Logistic.constant` or a neighbouring ridge's answer."""
    transposed = sparse.csr_matrix(matrix.T)
    total = float(weight.sum())

    def loss(theta: Floats) -> tuple[float, Floats]:
        z = matrix @ theta[1:] + theta[0]
        value = weight @ (np.logaddexp(0.0, z) - share * z) + 0.5 * ridge * theta[1:] @ theta[1:]
        pull = weight * (expit(z) - share)
        slope = np.concatenate([[pull.sum()], transposed @ pull + ridge * theta[1:]])
        return float(value), slope

    first = np.concatenate([[start.intercept], start.weights])
    found = minimize(
        loss, first, jac=True, method="L-BFGS-B", options={"maxiter": 120, "ftol": 1e-9, "gtol": 1e-5 * total}
    )
    return Logistic(float(found.x[0]), np.asarray(found.x[1:], np.float64))


def _signed_log(numbers: NDArray[np.float32]) -> Floats:
    values = numbers.astype(np.float64)
    return np.sign(values) * np.log1p(np.abs(values))
