"""Ridge logistic regression on one-hot categories: the strong plain model that small logs ask for.

Minimises sum_i w_i (log(1 + e^z_i) - y_i z_i) + lambda / 2 |beta|^2 with z = a + X beta (a is free), by L-BFGS.
Rows are weighted shares: y_i in [0, 1] of w_i trials, so report rows (orders of clicks) fit as well as single ones.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit

from domain.tables import Floats
from predictors.features import Encoded


@dataclass(frozen=True, slots=True)
class OneHot:
    """Positions of one-hot columns: sizes of the category columns and of the tag columns."""

    sizes: tuple[int, ...]
    tag_sizes: tuple[int, ...]

    @classmethod
    def learn(cls, data: Encoded) -> "OneHot":
        """Sizes that hold every code of the training data."""
        return cls(
            tuple(int(c) + 1 for c in data.codes.max(axis=0, initial=0)),
            tuple(int(code.max(initial=0)) + 1 for _, code in data.tags),
        )

    @property
    def n_columns(self) -> int:
        """Number of one-hot columns."""
        return max(sum(self.sizes) + sum(self.tag_sizes), 1)

    def matrix(self, data: Encoded) -> sparse.csr_matrix:
        """(n_rows, n_columns); tags of a row share a weight of 1."""
        n = data.n_rows
        offsets = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
        codes = np.minimum(data.codes, np.array(self.sizes, np.int64) - 1) + offsets[:-1]
        rows: list[NDArray[np.int64]] = [np.repeat(np.arange(n, dtype=np.int64), codes.shape[1])]
        columns: list[NDArray[np.int64]] = [codes.ravel()]
        values = [np.ones(codes.size)]
        start = int(offsets[-1])
        for (row, code), size in zip(data.tags, self.tag_sizes, strict=True):
            kept = code < size
            at = row[kept].astype(np.int64)
            rows.append(at)
            columns.append(code[kept].astype(np.int64) + start)
            values.append(1.0 / np.sqrt(np.maximum(np.bincount(at, minlength=n)[at], 1)))
            start += size
        shape = (n, self.n_columns)
        parts = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return sparse.csr_matrix(parts, shape=shape)


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
