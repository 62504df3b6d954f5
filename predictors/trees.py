"""Boosted trees on numbers and target statistics: what the regression cannot see.

A target statistic is a category's own rate, as log-odds, shrunk to the mean by `STATISTIC_WORTH` trials. Each training
row gets those of the other three quarters of the rows, so that no row's label helps to explain itself; rows to be
scored get those of all. Thresholds are searched, or drawn at random (extra trees): the first is better where rows are many,
the second where they are few, and their mean mostly better than either.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from domain.tables import Floats
from predictors.features import Encoded
from predictors.sums import summed

if TYPE_CHECKING:
    import lightgbm as lgb

#: Numbers of trees that are compared.
TREES = (25, 50, 100, 150, 200, 300, 400)
#: Trials that a category's own rate is shrunk by.
STATISTIC_WORTH = 20.0
#: Rows that one tree looks at, at most about; each tree draws its own.
ROWS_OF_A_TREE = 500_000
_SETTINGS = {
    "objective": "cross_entropy",
    "learning_rate": 0.05,
    "num_leaves": 12,
    "min_data_in_leaf": 20,
    "min_sum_hessian_in_leaf": 1.0,
    "lambda_l2": 10.0,
    "feature_fraction": 0.5,
    "bagging_freq": 1,
    "max_bin": 63,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
#: Where rows are many, the budget of trees buys more with larger trees and steps.
_MANY = {"num_leaves": 48, "learning_rate": 0.12, "min_data_in_leaf": 200}
_MANY_ROWS = 130_000


@dataclass(frozen=True, slots=True)
class Trees:
    """Boosted trees (LightGBM's text) and the statistics of each category column."""

    text: str
    statistics: tuple[Floats, ...]
    _booster: list["lgb.Booster"] = field(default_factory=list["lgb.Booster"], compare=False, repr=False)

    def logits(self, data: Encoded, n_trees: int | None = None) -> Floats:
        """(n_rows,) log-odds by the first trees, or by all."""
        return self.staged(data, (n_trees,))[0]

    def staged(self, data: Encoded, counts: tuple[int | None, ...]) -> list[Floats]:
        """Log-odds by the first trees, for several numbers of trees."""
        booster, columns = self._read(), _columns(data, self.statistics)
        found: list[Floats] = []
        for count in counts:
            # stages add up, so that no tree is walked twice
            start = (counts[len(found) - 1] or 0) if found else 0
            more = booster.predict(
                columns,
                raw_score=True,
                start_iteration=start,
                num_iteration=None if count is None else count - start,
                num_threads=1,
            )
            found.append(np.asarray(more, np.float64) + (found[-1] if found else 0.0))
        return found

    def first(self, n_trees: int) -> "Trees":
        """The first trees alone."""
        return Trees(self._read().model_to_string(num_iteration=n_trees), self.statistics)

    def _read(self) -> "lgb.Booster":
        if not self._booster:
            # an hour without trees shall not wait for the library to load
            import lightgbm as lgb

            self._booster.append(lgb.Booster(model_str=self.text))
        return self._booster[0]


def grow(
    data: Encoded,
    rows: NDArray[np.intp],
    share: Floats,
    weight: Floats,
    n_trees: int,
    drawn: bool,
    seed: int = 7,
    taught: NDArray[np.intp] | None = None,
) -> Trees:
    """Trees from rows of a table.

    Parameters
    ----------
    rows
        Increasing positions of the rows that the statistics are learned from.
    share, weight
        (rows.size,) share of successes, and trials.
    drawn
        Whether thresholds are drawn at random.
    taught
        Increasing positions among `rows` of those that the trees are learned from; ``None``: all.
    """
    import lightgbm as lgb

    share, weight = share.astype(np.float64), weight.astype(np.float64)
    hits = share * weight
    mean = float((hits.sum() + 0.5) / (weight.sum() + 1.0))
    part = np.random.default_rng(11).integers(0, 4, rows.size, dtype=np.int8)
    n_numbers = data.numbers.shape[1]
    taught = np.arange(rows.size) if taught is None else taught
    columns = np.empty((taught.size, n_numbers + data.codes.shape[1]), np.float32, order="F")
    for c in range(n_numbers):
        columns[:, c] = data.numbers[rows[taught], c]
    tables: list[Floats] = []
    for c in range(data.codes.shape[1]):
        own = data.codes[rows, c]
        n = int(own.max(initial=0)) + 1
        # successes and trials of each code in each quarter of the rows
        cell = own.astype(np.int64) * 4 + part
        won, tried = summed(cell, hits, 4 * n).reshape(n, 4), summed(cell, weight, 4 * n).reshape(n, 4)
        all_won, all_tried = won.sum(1), tried.sum(1)
        tables.append(_log_odds(all_won, all_tried, mean))
        others = _log_odds(all_won[:, None] - won, all_tried[:, None] - tried, mean).astype(np.float32)
        columns[:, n_numbers + c] = others.ravel()[cell[taught]]
    settings = dict(_SETTINGS) | (_MANY if taught.size >= _MANY_ROWS else {})
    settings |= {
        "bagging_fraction": min(0.7, ROWS_OF_A_TREE / taught.size),
        "seed": seed,
        # a second thread waits by spinning: on a machine with other work it costs eight times what it does
        "num_threads": 1,
        "extra_trees": drawn,
    }
    booster = lgb.train(settings, lgb.Dataset(columns, share[taught], weight=weight[taught]), n_trees)
    return Trees(booster.model_to_string(), tuple(tables))


def _log_odds(hits: Floats, trials: Floats, mean: float) -> Floats:
    p = (hits + STATISTIC_WORTH * mean) / (trials + STATISTIC_WORTH)
    return np.log(p / (1 - p))


def _columns(data: Encoded, tables: tuple[Floats, ...]) -> NDArray[np.float32]:
    n_numbers = data.numbers.shape[1]
    columns = np.empty((data.n_rows, n_numbers + len(tables)), np.float32)
    columns[:, :n_numbers] = data.numbers
    for c, table in enumerate(tables):
        codes = data.codes[:, c]
        columns[:, n_numbers + c] = table[np.where(codes < table.size, codes, 0)]
    return columns
