"""Margins nobody stated: the category's, then the account's, with bands that hold; rows count by their orders."""

import numpy as np
import polars as pl
import pytest

from predictors.margins import learn_margins


def units(margin, category) -> pl.DataFrame:
    return pl.DataFrame({"margin_rate": margin, "category": category}, schema={"margin_rate": pl.Float64, "category": pl.String})  # fmt: skip


def test_a_unit_that_nobody_spoke_of_takes_its_categorys_margin_and_an_unknown_category_the_accounts() -> None:
    found = learn_margins(units([0.50, 0.52, 0.48, None, 0.20, 0.21, None, None], [*"aaaabbbc"]))
    assert found.rate is not None
    mean = found.rate.mean
    assert mean[0] == pytest.approx(0.50, abs=0.01)
    assert mean[3] == pytest.approx(0.50, abs=0.05)
    assert mean[6] == pytest.approx(0.21, abs=0.06)
    assert 0.25 < mean[7] < 0.48
    width = found.rate.high - found.rate.low
    assert width[0] < width[3] < width[7]


def test_bands_hold_for_units_and_categories_that_were_left_out() -> None:
    inside, n = 0, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        category = rng.integers(0, 8, 80)
        truth = 0.4 + 0.08 * rng.standard_normal(8)[category] + 0.06 * rng.standard_normal(80)
        told = rng.random(80) < 0.4
        found = learn_margins(units([float(m) if t else None for m, t in zip(truth, told, strict=True)], [str(c) for c in category]))  # fmt: skip
        assert found.rate is not None
        inside += int(((truth >= found.rate.low) & (truth <= found.rate.high))[~told].sum())
        n += int((~told).sum())
    assert 0.74 < inside / n < 0.88


def test_rows_with_cost_or_margin_tell_by_their_orders() -> None:
    rows = pl.DataFrame({"unit": [0, 1], "orders": [400.0, 1.0], "gmv": [8000.0, 20.0], "cost": [6400.0, 16.0]})
    found = learn_margins(units([None, None, 0.6, 0.6], ["a"] * 4), rows)
    assert found.rate is not None
    assert found.rate.mean[0] == pytest.approx(0.2, abs=0.02)
    assert 0.25 < found.rate.mean[1] < 0.6
    same = learn_margins(units([None, None, 0.6, 0.6], ["a"] * 4), rows.with_columns(margin=pl.col("gmv") - pl.col("cost")).drop("cost"))  # fmt: skip
    assert same.rate is not None
    assert np.allclose(same.rate.mean, found.rate.mean)


def test_without_any_word_there_is_no_margin_and_a_reason() -> None:
    found = learn_margins(units([None, None], ["a", None]), pl.DataFrame({"unit": [0], "orders": [1.0], "gmv": [9.0]}))
    assert found.rate is None
    assert "no catalog" in found.note
