"""The registry of rates: better on later rows is promoted, what was promoted can be undone, and drift is told."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from domain.errors import ConfigError, SchemaMismatch
from predictors import Registry, drift, fit_rates, load_bundle, score_rates

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def log(seed: int, n: int = 500, shift: float = 0.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    site = rng.integers(0, 6, n)
    p = 1 / (1 + np.exp(1.0 - np.array([-1.5, -1.0, 0.0, 0.5, 1.0, 1.5])[site] - shift))
    return pl.DataFrame(
        {"site": [f"s{i}" for i in site], "size": rng.standard_normal(n), "click": (rng.random(n) < p) * 1}
    )


@pytest.fixture(scope="module")
def good():
    return fit_rates(log(1), "click")


@pytest.fixture(scope="module")
def poor():
    return fit_rates(log(2).drop("site"), "click")


def test_the_better_of_two_bundles_is_in_use_and_the_history_says_why(good, poor, tmp_path):
    registry = Registry(tmp_path / "ctr")
    assert registry.champion() is None
    assert registry.challenge(poor, log(3), NOON).promoted
    first = registry.champion()
    verdict = registry.challenge(good, log(3), NOON)
    assert verdict.promoted
    assert verdict.challenger_loss < verdict.champion_loss
    refused = registry.challenge(poor, log(4), NOON)
    assert not refused.promoted
    assert registry.champion() != first
    rows = log(5)
    assert np.allclose(score_rates(load_bundle(registry.champion()), rows)["mean"], score_rates(good, rows)["mean"])
    assert [entry["action"] for entry in registry.history()] == ["promote", "promote"]


def test_a_rollback_puts_the_bundle_before_back_and_no_further_than_there_are_any(good, poor, tmp_path):
    registry = Registry(tmp_path)
    registry.challenge(poor, log(3), NOON)
    first = registry.champion()
    with pytest.raises(ConfigError, match="no champion before"):
        registry.rollback(NOON, "")
    registry.challenge(good, log(3), NOON)
    assert registry.rollback(NOON, "clicks fell") == first
    assert registry.champion() == first
    assert registry.history()[-1]["reason"] == "clicks fell"
    with pytest.raises(ConfigError, match="no champion before"):
        registry.rollback(NOON, "")
    assert registry.challenge(good, log(3), NOON).promoted


def test_a_bundle_that_is_off_is_not_promoted_however_it_ranks(good, tmp_path):
    verdict = Registry(tmp_path).challenge(good, log(6, 2000, shift=1.2), NOON)
    assert not verdict.promoted
    assert "predicted / seen" in verdict.reason


def test_a_log_without_labels_cannot_judge(good, tmp_path):
    with pytest.raises(SchemaMismatch, match="labels"):
        Registry(tmp_path).challenge(good, log(7).drop("click"), NOON)


def test_a_damaged_registry_is_refused_in_words(good, tmp_path):
    (tmp_path / "registry.json").write_text("{")
    with pytest.raises(ConfigError, match="damaged"):
        Registry(tmp_path).champion()


def test_drift_is_silent_on_the_same_world_and_loud_on_another(good):
    assert drift(good, log(8, 2000)).alarms == ()
    moved = log(9, 2000).with_columns(site=pl.lit("s9"), size=pl.col("size") + 2)
    found = drift(good, moved)
    assert found.columns["site"] > 0.25
    assert found.columns["size"] > 0.25
    assert len(found.alarms) >= 2
    higher = drift(good, log(10, 2000, shift=0.8))
    assert higher.off < -3
    assert drift(good, moved.drop("click")).off is None
