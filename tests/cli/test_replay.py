"""`steadybid replay` as a person calls it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

SEED = 331
Run = Callable[..., Any]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    rng = np.random.default_rng(SEED)
    n = 3000
    value = rng.lognormal(-7, 0.8, n)
    frame = pl.DataFrame(
        {
            "when": pl.Series(np.sort(rng.integers(0, 30 * 3600, n))).cast(pl.Int64) * 1_000_000,
            "pctr": value,
            "paying": np.round(rng.lognormal(4, 0.6, n)),
            "click": (rng.random(n) < 30 * value).astype(int),
        }
    ).with_columns(pl.col("when").cast(pl.Datetime("us")))
    path = tmp_path / "log.csv"
    frame.write_csv(path)
    return path


def test_a_log_is_replayed_with_its_own_column_names(done: Run, log: Path) -> None:
    said = done("replay", log, "--budget", "1/4,25%,5000", "--price", "paying", "--time", "when", "--resamples", "3")
    assert "3,000" not in said.out.splitlines()[0]  # half of it is played
    assert "1,500 impressions played" in said.out
    assert "only what was won then can be won now" in said.out


def test_json_stands_alone_and_holds_bands_and_support(done: Run, log: Path, tmp_path: Path) -> None:
    parquet = tmp_path / "log.parquet"
    pl.read_csv(log, try_parse_dates=True).write_parquet(parquet)
    call = ("--budget", "1/4", "--price", "paying", "--time", "when", "--resamples", "3", "--json")
    found, again = done("replay", log, *call).json, done("replay", parquet, *call).json
    assert found["runs"] == again["runs"]
    run = found["runs"][0]
    assert 0.9 < run["value_share"] <= 1
    assert run["value_band"][0] <= run["value"] <= run["value_band"][1]
    assert run["spend"] <= run["budget"]
    assert 0 <= run["bids_beyond_support"] <= 1


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("--budget", "lots"), 2, "no amount and no share"),
        (("--budget", "-5"), 2, "no amount and no share"),
        (("--target", "-1"), 2, "positive"),
        (("--objective", "fame"), 2, "write one of"),
        (("--train", "1.5"), 2, "share"),
        (("--price", "nothing"), 1, "no such column"),
        (("--price", "paying", "--value", "paying"), 1, "no probability"),
    ],
)
def test_a_wrong_call_is_told_what_to_do(run: Run, log: Path, words: tuple[str, ...], status: int, told: str) -> None:
    said = run("replay", log, *(words if "--price" in words else (*words, "--price", "paying")))
    assert said.status == status
    assert told in said.err


def test_files_that_are_no_logs_are_refused(run: Run, tmp_path: Path) -> None:
    assert "no such file" in run("replay", tmp_path / "none.csv").err
    (tmp_path / "empty.csv").write_text("pctr,price\n")
    assert "no rows" in run("replay", tmp_path / "empty.csv").err
    (tmp_path / "odd.parquet").write_bytes(b"PAR1 not really")
    assert "cannot be read" in run("replay", tmp_path / "odd.parquet").err
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    assert "name it with --value" in run("replay", tmp_path / "other.csv").err
