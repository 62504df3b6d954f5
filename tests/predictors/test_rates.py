"""Rates of any log: better than constants where there is signal, honest constants where there is none, never NaN."""

import numpy as np
import polars as pl
import pytest

from domain.errors import InsufficientHistory, SchemaMismatch
from predictors.features import Encoder
from predictors.rates import fit_rate


def log(seed: int, n: int = 2500, signal: float = 1.0):
    rng = np.random.default_rng(seed)
    site, ad, hour = rng.integers(0, 60, n), rng.integers(0, 8, n), rng.integers(0, 24, n)
    site_effect = signal * np.random.default_rng(99).standard_normal(60)
    z = -2.5 + site_effect[site] + signal * 0.5 * np.sin(hour / 24 * 6.28) + signal * 0.4 * (ad == 3)
    p = 1 / (1 + np.exp(-z))
    frame = pl.DataFrame(
        {"site": [f"s{i}" for i in site], "ad": [f"a{i}" for i in ad], "hour": hour, "noise": rng.standard_normal(n)}
    )
    return frame, (rng.random(n) < p).astype(float), p


def loss(y, p):
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))


def test_signal_is_found_and_calibrated_on_rows_never_seen():
    frame, click, _ = log(0, n=4000)
    later, later_click, truth = log(1)
    mean, low, high = fit_rate(frame, click, np.ones(click.size)).predict(later)
    constant = np.full(truth.size, click.mean())
    assert loss(later_click, mean) < loss(later_click, constant) - 0.02
    # more than 60 % of what the true rates would gain
    gain = loss(later_click, constant) - loss(later_click, mean)
    assert gain > 0.6 * (loss(later_click, constant) - loss(later_click, truth))
    assert mean.sum() / truth.sum() == pytest.approx(1.0, abs=0.05)
    assert (low < mean).all()
    assert (mean < high).all()


def test_a_log_without_signal_gives_the_constant_rate_and_says_why():
    frame, click, _ = log(2, signal=0.0)
    model = fit_rate(frame, click, np.ones(click.size))
    assert model.kind == "constant"
    assert any("constant rate" in note for note in model.notes)
    assert model.predict(frame)[0] == pytest.approx(click.mean(), rel=0.01)


def test_report_rows_and_single_events_teach_the_same():
    frame, click, _ = log(3)
    grouped = frame.with_columns(pl.Series("click", click)).group_by("site", "ad", "hour", maintain_order=True)
    rows = grouped.agg(pl.col("click").sum().alias("hits"), pl.len().alias("trials"))
    single = fit_rate(frame.select("site", "ad", "hour"), click, np.ones(click.size)).predict(frame)[0]
    pooled = fit_rate(
        rows.select("site", "ad", "hour"), rows["hits"].to_numpy(), rows["trials"].to_numpy().astype(float)
    ).predict(frame)[0]
    assert np.corrcoef(np.log(single), np.log(pooled))[0, 1] > 0.95


def test_the_same_log_gives_the_same_model():
    frame, click, _ = log(4, n=600)
    one = fit_rate(frame, click, np.ones(click.size)).predict(frame)[0]
    two = fit_rate(frame, click, np.ones(click.size)).predict(frame)[0]
    assert np.array_equal(one, two)


@pytest.mark.parametrize(
    "click",
    [np.zeros(200), np.ones(200), np.eye(1, 200).ravel()],
    ids=["no click", "only clicks", "one click"],
)
def test_logs_of_one_class_fall_back_to_a_rate_inside_zero_and_one(click):
    frame = log(5, n=200)[0]
    mean, low, high = fit_rate(frame, click, np.ones(200)).predict(frame)
    for numbers in (mean, low, high):
        assert np.isfinite(numbers).all()
        assert ((numbers > 0) & (numbers < 1)).all()


def test_ten_rows_fall_back_with_a_reason():
    frame, _, _ = log(6, n=10)
    model = fit_rate(frame, np.array([1.0, 0] * 5), np.ones(10))
    assert model.kind == "constant"
    assert "too few" in model.notes[-1]


def test_unseen_categories_missing_columns_and_nulls_get_a_rate():
    frame, click, _ = log(7, n=1000)
    model = fit_rate(frame, click, np.ones(click.size))
    strange = pl.DataFrame({"site": ["never seen", None], "ad": ["a1", None], "hour": [None, 3]})
    mean, low, high = model.predict(strange)
    assert np.isfinite([mean, low, high]).all()


def test_useless_columns_are_left_out_with_a_reason():
    frame, click, _ = log(8, n=1000)
    frame = frame.with_columns(
        pl.lit("x").alias("same"),
        pl.lit(None, pl.String).alias("empty"),
        pl.Series("name", [f"row {i}" for i in range(1000)]),
    )
    model = fit_rate(frame, click, np.ones(1000))
    assert set(model.encoder.left_out) == {"same", "empty", "name"}
    assert np.isfinite(model.predict(frame)[0]).all()


def test_columns_of_tags_are_understood():
    rng = np.random.default_rng(9)
    tags = [",".join(str(t) for t in rng.permutation(30)[: rng.integers(2, 8)]) for _ in range(3000)]
    hot = np.array(["7" in t.split(",") for t in tags])
    click = (rng.random(3000) < np.where(hot, 0.4, 0.1)).astype(float)
    mean = fit_rate(pl.DataFrame({"tags": tags, "z": rng.standard_normal(3000)}), click, np.ones(3000)).predict(
        pl.DataFrame({"tags": ["7,9", "8,9"], "z": [0.0, 0.0]})
    )[0]
    assert mean[0] > 2 * mean[1]


def test_a_log_without_trials_is_refused():
    with pytest.raises(InsufficientHistory, match="no row of the log has a trial"):
        fit_rate(log(1, n=20)[0], np.zeros(20), np.zeros(20))


def test_a_column_to_ignore_that_is_not_there_is_refused():
    with pytest.raises(SchemaMismatch, match="nonsense"):
        Encoder.learn(log(1, n=20)[0], ignore=["nonsense"])
