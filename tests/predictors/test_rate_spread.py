"""Bands of reports' units: wide for a unit that nobody has seen, narrow for one of many clicks, and true of both."""

import io
import json
import zipfile
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.special import expit

from predictors import fit_rates, load_bundle, save_bundle, score_rates
from predictors.rate_spread import learn_drift, learn_spread, median_of


def report(seed: int, n: int = 100, worth: float = 20.0, mean: float = 0.2):
    """Clicks (1 to 150) and orders of units whose rates follow a beta law, and the rates."""
    rng = np.random.default_rng(seed)
    rate = rng.beta(worth * mean, worth * (1 - mean), n)
    clicks = np.exp(rng.uniform(0, 5, n)).astype(int)
    columns = {"campaign": [f"c{i % 5}" for i in range(n)], "target": [f"t{i}" for i in range(n)]}
    return pl.DataFrame({**columns, "clicks": clicks, "orders": rng.binomial(clicks, rate)}), rate


def logit_width(scored: pl.DataFrame) -> np.ndarray:
    low, high = (scored[name].to_numpy() for name in ("low", "high"))
    return np.log(high / (1 - high)) - np.log(low / (1 - low))


def test_bands_hold_rates_of_units_seen_little_seen_much_and_never():
    held: dict[str, list[float]] = {"little": [], "much": [], "never": []}
    for seed in range(400, 406):
        frame, rate = report(seed)
        scored = score_rates(fit_rates(frame.head(80), "orders", trials="clicks"), frame)
        inside = (scored["low"].to_numpy() <= rate) & (rate <= scored["high"].to_numpy())
        clicks, seen = frame["clicks"].to_numpy(), np.arange(100) < 80
        width = logit_width(scored)
        assert width[~seen].mean() > 1.3 * width[seen & (clicks >= 40)].mean()
        for name, some in (("little", seen & (clicks < 15)), ("much", seen & (clicks >= 40)), ("never", ~seen)):
            held[name] += inside[some].tolist()
    for name, hits in held.items():
        assert 0.7 < np.mean(hits) < 0.98, name


def test_a_level_that_wanders_with_time_is_in_the_band():
    held = []
    for seed in range(410, 414):
        rng = np.random.default_rng(seed)
        rate, level = rng.beta(1.5, 13, 60), np.cumsum(0.1 * rng.standard_normal(28))
        days = []
        for d in range(28):
            clicks = rng.poisson(4.0, 60)
            p = expit(np.log(rate / (1 - rate)) + level[d])
            columns = {"day": [date(2026, 1, 1) + timedelta(d)] * 60, "target": [f"t{i}" for i in range(60)]}
            days.append(pl.DataFrame({**columns, "clicks": clicks, "orders": rng.binomial(clicks, p), "p": p}))
        rows = pl.concat(days).filter(pl.col("clicks") > 0)
        past, week = (rows.filter((pl.col("day") < date(2026, 1, 22)) == before) for before in (True, False))
        bundle = fit_rates(past.drop("p"), "orders", trials="clicks", time="day")
        assert bundle.model.spread.drift > 0.02
        scored = score_rates(bundle, week.drop("p"))
        held.append(week.select(((pl.col("p") >= scored["low"]) & (pl.col("p") <= scored["high"])).mean()).item())
    assert 0.65 < np.mean(held) < 0.97


@pytest.mark.parametrize("sd", [0.25, 0.8])
def test_the_spread_of_units_is_found_whether_or_not_their_past_counts(sd):
    rng = np.random.default_rng(420)
    n, folds = 800, 5
    z = -2.0 + sd * rng.standard_normal(n)
    unit, fold = (a.ravel() for a in np.mgrid[0:n, 0:folds])
    clicks = rng.poisson(6.0, n * folds) + 1.0
    orders = rng.binomial(clicks.astype(int), expit(z[unit]))
    blind = np.full(unit.size, expit(z).mean())
    found = learn_spread(blind, orders / clicks, clicks, unit, None)
    assert found[:2] == (pytest.approx(sd, rel=0.2), 0.0)
    assert found[2] > 5
    # models that know all of a unit but the part that is judged leave what its trials do not tell
    others, tried = np.bincount(unit, orders)[unit] - orders, np.bincount(unit, clicks)[unit] - clicks
    prior = 1.0 / sd**2 / (blind * (1 - blind))
    knowing = (others + prior * blind) / (tried + prior)
    found, share, _ = learn_spread(knowing, orders / clicks, clicks, unit * folds + fold, tried)
    assert found == pytest.approx(sd, rel=0.45)
    assert share > 0.15


def test_units_that_do_not_differ_have_a_small_spread_and_steady_levels_no_drift():
    rng = np.random.default_rng(421)
    unit, clicks = np.repeat(np.arange(400), 5), np.full(2000, 50.0)
    share = rng.binomial(50, 0.1, 2000) / 50
    assert learn_spread(np.full(2000, 0.1), share, clicks, unit, None)[0] < 0.1
    stretch = np.repeat(np.arange(5), 400)
    assert learn_drift(np.full(2000, 0.1), share, clicks, stretch) < 0.06
    wandering = np.clip(share * np.array([0.7, 1.2, 0.8, 1.3, 1.0])[stretch], 0, 1)
    assert learn_drift(np.full(2000, 0.1), wandering, clicks, stretch) == pytest.approx(0.25, abs=0.1)
    assert learn_spread(np.full(2000, 0.1), share, clicks, unit, None)[2] < 0


def test_the_middle_of_a_band_has_the_rate_as_its_mean():
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    for mean in (0.001, 0.05, 0.3, 0.5, 0.9):
        for sd in (0.2, 0.6, 1.0):
            middle = median_of(np.array([mean]), np.array([sd**2]))[0]
            assert (weights @ expit(middle + sd * nodes)) / weights.sum() == pytest.approx(mean, rel=0.025)


def test_rates_that_are_rounded_to_an_end_have_a_middle_too():
    assert np.isfinite(median_of(np.array([0.0, 1.0]), np.array([1.0, 0.0]))).all()


def test_a_bundle_keeps_the_bands_of_units_and_older_ones_are_read(tmp_path):
    frame, _ = report(430)
    bundle = fit_rates(frame.head(80), "orders", trials="clicks")
    assert bundle.model.spread.laws
    save_bundle(bundle, tmp_path / "new.bundle")
    assert score_rates(load_bundle(tmp_path / "new.bundle"), frame).equals(score_rates(bundle, frame))
    with zipfile.ZipFile(tmp_path / "new.bundle") as file:
        parts = {name: file.read(name) for name in file.namelist()}
    manifest, state = (json.loads(parts[name]) for name in ("manifest.json", "model.json"))
    del state["laws"], state["drift"]
    with np.load(io.BytesIO(parts["arrays.npz"])) as stored:
        arrays = {name: stored[name] for name in stored.files if not name.startswith(("levels", "trials"))}
    assert len(arrays) == len(stored.files) - 2
    kept = io.BytesIO()
    np.savez(kept, **arrays)
    parts["arrays.npz"] = kept.getvalue()
    parts |= {"manifest.json": json.dumps(manifest | {"format": 4}).encode(), "model.json": json.dumps(state).encode()}
    with zipfile.ZipFile(tmp_path / "old.bundle", "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    older = score_rates(load_bundle(tmp_path / "old.bundle"), frame)
    assert older["mean"].equals(score_rates(bundle, frame)["mean"])
