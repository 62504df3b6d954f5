"""Reports: units' own rates, shrunk by a beta-binomial, are never lost sight of."""

import json
import zipfile
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from predictors import fit_rates, load_bundle, save_bundle, score_rates
from predictors.features import Encoder
from predictors.rate_units import fit_units


def report(seed: int, n: int = 60, worth: float = 8.0, mean: float = 0.12):
    """Clicks and orders of units whose rates follow a beta law, and the rates."""
    rng = np.random.default_rng(seed)
    rate = rng.beta(worth * mean, worth * (1 - mean), n)
    clicks = rng.integers(1, 80, n)
    frame = pl.DataFrame(
        {
            "campaign": [f"c{i % 5}" for i in range(n)],
            "target": [f"t{i}" for i in range(n)],
            "clicks": clicks,
            "orders": rng.binomial(clicks, rate),
        }
    )
    return frame, rate


def told(frame: pl.DataFrame):
    """Columns of categories alone, as arrays."""
    return Encoder.learn(frame, ["clicks", "orders"], reports=True).apply(frame)


def loss(rate, truth, clicks):
    return -(clicks * (truth * np.log(rate) + (1 - truth) * np.log1p(-rate))).sum()


def test_rates_of_units_are_those_of_the_beta_law_they_follow():
    frame, _ = report(100, n=3000)
    data = told(frame)
    clicks, orders = frame["clicks"].to_numpy().astype(float), frame["orders"].to_numpy().astype(float)
    units = fit_units(data, (0, 1), orders / clicks, clicks)
    assert expit(units.mean) == pytest.approx(0.12, abs=0.01)
    expected = (orders + 8.0 * 0.12) / (clicks + 8.0)
    assert expit(units.logits(data)) == pytest.approx(expected, abs=0.02)


def test_units_never_seen_have_the_mean_of_all():
    frame, _ = report(101)
    clicks, orders = frame["clicks"].to_numpy().astype(float), frame["orders"].to_numpy().astype(float)
    encoder = Encoder.learn(frame, ["clicks", "orders"], reports=True)
    units = fit_units(encoder.apply(frame), (0, 1), orders / clicks, clicks)
    new = pl.DataFrame({"campaign": ["c0", "c9"], "target": ["never", "t3"]})
    assert units.logits(encoder.apply(new)) == pytest.approx(units.mean)


def test_units_that_do_not_differ_keep_the_mean():
    rng = np.random.default_rng(102)
    frame = report(102, n=400)[0].with_columns(clicks=pl.lit(40.0), orders=pl.Series(rng.binomial(40, 0.1, 400)))
    units = fit_units(told(frame), (0, 1), frame["orders"].to_numpy() / 40, np.full(400, 40.0))
    assert expit(units.known) == pytest.approx(expit(units.mean), abs=0.02)


def test_a_report_of_one_row_per_unit_does_not_lose_to_the_beta_law_of_its_units():
    behind = []
    for seed in range(103, 106):
        frame, truth = report(seed)
        clicks, orders = frame["clicks"].to_numpy().astype(float), frame["orders"].to_numpy().astype(float)
        data = told(frame)
        law = expit(fit_units(data, (0, 1), orders / clicks, clicks).logits(data))
        ours = score_rates(fit_rates(frame, "orders", trials="clicks"), frame)["mean"].to_numpy()
        everywhere = np.full(clicks.size, orders.sum() / clicks.sum())
        gain = loss(everywhere, truth, clicks) - loss(law, truth, clicks)
        assert gain > 0
        behind.append((loss(ours, truth, clicks) - loss(law, truth, clicks)) / gain)
    assert np.mean(behind) < 0.03


def test_a_bundle_keeps_the_rates_of_units(tmp_path):
    frame, _ = report(107)
    bundle = fit_rates(frame, "orders", trials="clicks")
    assert bundle.model.final is not None
    assert bundle.model.final.units is not None
    save_bundle(bundle, tmp_path / "cvr.bundle")
    later = frame.with_columns(target=pl.when(pl.int_range(pl.len()) % 7 == 0).then(pl.lit("new")).otherwise("target"))
    assert score_rates(load_bundle(tmp_path / "cvr.bundle"), later).equals(score_rates(bundle, later))


def test_a_bundle_from_before_units_had_rates_is_still_read(tmp_path):
    rng = np.random.default_rng(108)
    site = rng.integers(0, 4, 600)
    single = pl.DataFrame(
        {"site": [f"s{k}" for k in site], "order": rng.random(600) < np.array([0.1, 0.2, 0.4, 0.6])[site]}
    )
    bundle = fit_rates(single, "order")
    assert bundle.model.members
    save_bundle(bundle, tmp_path / "new.bundle")
    with zipfile.ZipFile(tmp_path / "new.bundle") as file:
        parts = {name: file.read(name) for name in file.namelist()}
    manifest = json.loads(parts["manifest.json"]) | {"format": 3}
    del manifest["scores"]["units"]
    with zipfile.ZipFile(tmp_path / "old.bundle", "w") as file:
        for name, content in (parts | {"manifest.json": json.dumps(manifest).encode()}).items():
            file.writestr(name, content)
    assert score_rates(load_bundle(tmp_path / "old.bundle"), single).equals(score_rates(bundle, single))


def test_daily_rows_weigh_units_beside_the_models_in_stretches_of_time():
    frame, rate = report(109, n=80, worth=4.0)
    rng = np.random.default_rng(109)
    days = []
    for d in range(12):
        clicks = rng.poisson(3.0, rate.size)
        own = frame.drop("clicks", "orders").with_columns(
            day=pl.lit(date(2026, 1, 1) + timedelta(d)), clicks=clicks, orders=rng.binomial(clicks, rate)
        )
        days.append(own.filter(pl.col("clicks") > 0))
    bundle = fit_rates(pl.concat(days), "orders", trials="clicks", time="day")
    assert bundle.model.split.endswith("stretches of time, each held out once")
    assert bundle.model.scores is not None
    assert bundle.model.scores.units is not None
    assert bundle.model.scores.blend < bundle.model.scores.constant
    assert bundle.model.blend.size == 5
