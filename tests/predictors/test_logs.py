"""Rates on their own: fit, score in input order, leaks, bundles."""

import json
import zipfile

import numpy as np
import polars as pl
import pytest

from domain.errors import ConfigError, SchemaMismatch
from predictors import (
    fit_rates,
    judge_rates,
    load_bundle,
    manifest_of,
    rate_blend,
    rate_rounds,
    rate_spread,
    rate_training,
    rates,
    save_bundle,
    score_rates,
)


def log(seed: int, n: int = 800) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    site, hour = rng.integers(0, 12, n), rng.integers(0, 24, n)
    p = 1 / (1 + np.exp(2.0 - 1.2 * np.random.default_rng(1).standard_normal(12)[site]))
    return pl.DataFrame(
        {
            "hour": hour,
            "site": [f"s{i}" for i in site],
            "size": rng.standard_normal(n),
            "at": np.sort(rng.integers(0, 1000, n)),
            "click": (rng.random(n) < p).astype(np.int8),
        }
    )


@pytest.fixture(scope="module")
def bundle():
    return fit_rates(log(0, 1500), "click", time="at")


def test_scores_come_in_input_order_with_bands_around_the_mean(bundle):
    rows = log(5, 300)
    scored = score_rates(bundle, rows, chunk=70)
    assert scored.columns == ["row", "mean", "low", "high"]
    assert scored["row"].to_list() == list(range(300))
    assert (scored["low"] < scored["mean"]).all()
    assert (scored["mean"] < scored["high"]).all()
    mix = np.random.default_rng(0).permutation(300)
    again = score_rates(bundle, rows[mix])
    assert np.allclose(scored["mean"].to_numpy()[mix], again["mean"].to_numpy())


def test_a_bundle_read_back_scores_the_same(bundle, tmp_path):
    save_bundle(bundle, tmp_path / "ctr.bundle")
    rows = log(6, 200)
    back = load_bundle(tmp_path / "ctr.bundle")
    assert np.allclose(score_rates(bundle, rows)["mean"], score_rates(back, rows)["mean"], rtol=1e-9)
    manifest = manifest_of(back)
    assert manifest["rows"] == 1500
    assert manifest["window"] == [str(log(0, 1500)["at"].min()), str(log(0, 1500)["at"].max())]
    assert manifest["scores"]["blend"] < manifest["scores"]["constant"]


def test_an_old_or_broken_bundle_says_what_to_do(bundle, tmp_path):
    path = tmp_path / "old.bundle"
    save_bundle(bundle, path)
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    manifest = json.loads(parts["manifest.json"]) | {"format": 0}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            file.writestr(name, json.dumps(manifest) if name == "manifest.json" else content)
    with pytest.raises(ConfigError, match="fit it anew"):
        load_bundle(path)
    (tmp_path / "no.bundle").write_bytes(b"not a zip")
    with pytest.raises(ConfigError, match="not a bundle"):
        load_bundle(tmp_path / "no.bundle")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_bundle(tmp_path / "missing.bundle")


def test_a_column_that_gives_the_label_away_is_reported_and_left_out():
    rows = log(2)
    told = pl.Series("converted_at", np.where(rows["click"].to_numpy() == 1, rows["at"].to_numpy() + 5.0, np.nan))
    leaky = rows.with_columns(told.fill_nan(None))
    found = fit_rates(leaky, "click")
    assert found.leaks == ("converted_at",)
    assert any("leak" in note for note in found.notes)
    plain = fit_rates(rows, "click")
    assert np.allclose(score_rates(found, leaky)["mean"], score_rates(plain, rows)["mean"])


def test_ignored_columns_change_nothing():
    rows = log(3)
    other = rows.with_columns(pl.Series("later", np.random.default_rng(1).standard_normal(rows.height)))
    one = score_rates(fit_rates(rows, "click"), rows)
    two = score_rates(fit_rates(other, "click", ignore=["later"]), other)
    assert np.array_equal(one["mean"], two["mean"])


def test_labels_that_are_none_are_refused():
    rows = log(4, 100)
    with pytest.raises(SchemaMismatch, match="must hold 0 and 1"):
        fit_rates(rows.with_columns(pl.col("click") * 3), "click")
    with pytest.raises(SchemaMismatch, match="not in the log"):
        fit_rates(rows, "conversion")
    with pytest.raises(SchemaMismatch, match="weight column"):
        fit_rates(rows.with_columns(w=pl.lit(-1.0)), "click", weight="w")


def test_rows_without_a_label_teach_nothing():
    rows = log(7)
    gaps = rows.with_columns(click=pl.when(pl.int_range(pl.len()) % 10 == 0).then(None).otherwise(pl.col("click")))
    found = fit_rates(gaps, "click")
    assert found.rows == 720
    assert any("80 rows without a label" in note for note in found.notes)


def test_the_short_road_of_large_logs_learns_too_and_reads_parquet_by_column(monkeypatch, tmp_path):
    smaller = {
        "MANY_ROWS": 900, "ROWS_TO_REGRESS": 1000, "ROWS_TO_JUDGE": 600, "ROWS_TO_GROW": 950,
        "TREES_OF_MANY": (10, 20, 40),
    }  # fmt: skip
    rooms = (rates, rate_blend, rate_rounds, rate_spread, rate_training)
    for name, value in smaller.items():
        holders = [room for room in rooms if hasattr(room, name)]
        assert holders
        for room in holders:
            monkeypatch.setattr(room, name, value)
    log(11, 3000).write_parquet(tmp_path / "log.parquet")
    fitted = fit_rates(tmp_path / "log.parquet", "click")
    assert fitted.model.kind == "blend"
    assert fitted.model.final is None
    assert len(fitted.model.members) == 3
    save_bundle(fitted, tmp_path / "big.bundle")
    later = log(12, 600)
    told = judge_rates(fitted, later, score_rates(load_bundle(tmp_path / "big.bundle"), later)["mean"].to_numpy())
    assert told is not None
    assert told["log_loss"] < told["log_loss_constant"]


def test_a_log_whose_older_rows_tell_another_story_listens_to_the_recent_ones():
    rng = np.random.default_rng(13)
    site, at = rng.integers(0, 8, 3000), np.arange(3000)
    effect = np.linspace(-2.0, 2.0, 8)
    p = 1 / (1 + np.exp(1.5 - np.where(at < 1200, -0.5 * effect[site], effect[site])))
    rows = pl.DataFrame({"site": [f"s{i}" for i in site], "at": at, "click": (rng.random(3000) < p) * 1})
    fitted = fit_rates(rows, "click", time="at", types={"at": "ignore"})
    assert any("recent rows weigh more" in note for note in fitted.notes)


def test_however_a_log_is_stored_it_teaches_the_same(bundle):
    rows = log(14, 300).with_columns(at=pl.datetime(2026, 3, 1) + pl.duration(minutes=20 * pl.int_range(pl.len())))
    told = pl.when(pl.col("click") == 1)
    otherwise = rows.with_columns(
        pl.col("site").cast(pl.Categorical),
        pl.col("hour").cast(pl.Decimal(9, 2)),
        click=told.then(pl.lit("yes")).otherwise(pl.lit("no")).cast(pl.Categorical),
    )
    texts = rows.with_columns(pl.all().cast(pl.String))
    means = [score_rates(fit_rates(each, "click"), rows)["mean"].to_numpy() for each in (rows, otherwise, texts)]
    assert np.allclose(means, means[0], rtol=1e-6)
    mean = score_rates(bundle, log(15, 300))["mean"].to_numpy()
    judged = [
        judge_rates(bundle, log(15, 300).with_columns(click=click), mean)
        for click in (
            pl.col("click"),
            pl.col("click").cast(pl.Boolean),
            pl.col("click").cast(pl.String),
            told.then(pl.lit("True")).otherwise(pl.lit("False")),
            told.then(pl.lit("yes")).otherwise(pl.lit(" NO")),
        )
    ]
    assert judged[0] is not None
    assert all(each == judged[0] for each in judged)


def test_durations_and_bytes_are_columns_too():
    odd = log(16, 300).with_columns(
        dwell=pl.duration(milliseconds=(pl.col("size") * 1000).cast(pl.Int64)),
        key=pl.col("site").cast(pl.Binary),
        hash=pl.Series([bytes([255, i % 7]) for i in range(300)]),
    )
    fitted = fit_rates(odd.drop("size", "site"), "click")
    assert fitted.model.encoder.roles["dwell"] == "number"
    assert fitted.model.encoder.roles["key"] == fitted.model.encoder.roles["hash"] == "category"
    assert np.isfinite(score_rates(fitted, odd)["mean"].to_numpy()).all()
