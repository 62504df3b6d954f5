"""The market's prices and traffic have the shape of real ones."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from evaluation.fits import compare, cut_at, market_prices
from market import load_scenario, make_world
from market.contested import ContestedWorld


@pytest.fixture(scope="module")
def prices() -> np.ndarray:
    world = make_world(load_scenario("four-phase-roi"), 100)
    assert isinstance(world, ContestedWorld)
    return market_prices(world, 100_000)


@pytest.mark.real_data
@pytest.mark.parametrize(("log", "far"), [("ipinyou_2259", 0.09), ("ipinyou_1458_a", 0.17)])
def test_prices_against_rivals_have_the_shape_of_a_real_log(
    real_data: Path, prices: np.ndarray, log: str, far: float
) -> None:
    fit = compare(pl.read_parquet(real_data / f"{log}.parquet")["price"].to_numpy().astype(float), prices)
    assert fit.distance < far
    assert fit.market_sd == pytest.approx(fit.log_sd, rel=0.19)  # the two logs differ by as much
    assert np.abs(np.log(fit.market / fit.log)).max() < 0.50


@pytest.mark.real_data
def test_the_ordinary_week_has_the_traffic_of_a_real_one(real_data: Path) -> None:
    rows = pl.read_parquet(real_data / "avito_traffic_share_a.parquet")
    real = (
        rows.group_by("dow", "hour").agg(pl.col("traffic_share").mean()).sort("dow", "hour")["traffic_share"].to_numpy()
    )
    shipped = np.array(load_scenario("ordinary-week").demand.hour_of_week)
    assert shipped / shipped.mean() == pytest.approx(real / real.mean(), rel=0.001)


def test_a_log_agrees_with_itself_and_not_with_a_narrower_one(prices: np.ndarray) -> None:
    log = cut_at(prices[:50_000], 4.0)
    assert compare(log, prices[50_000:]).distance < 0.02
    assert compare(log, np.sqrt(prices[50_000:])).distance > 0.1
