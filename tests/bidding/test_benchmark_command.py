"""The solver benchmark runs as documented and tells all its figures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KEYS = {
    "cpu_seconds",
    "floor_seconds",
    "ratio_to_floor",
    "gap",
    "violation",
    "binding_share",
    "peak_extra_bytes",
    "compile_seconds",
}


@pytest.mark.parametrize(("kind", "gap", "violation"), [("t0", 1e-9, 1e-9), ("t1", 1e-4, 0.0)])
def test_a_benchmark_writes_all_its_figures(tmp_path: Path, kind: str, gap: float, violation: float) -> None:
    file = tmp_path / "figures.json"
    call = [sys.executable, "-m", "benchmarks.solve", "--units", "4000", "--campaigns", "20", "--problem", kind]
    subprocess.run(
        [*call, "--repeats", "1", "--json", str(file)], cwd=ROOT, check=True, capture_output=True, timeout=300
    )
    found = json.loads(file.read_text())
    assert set(found) >= KEYS
    assert abs(found["gap"]) <= gap
    assert found["violation"] <= violation
    assert found["binding_share"] >= 0.5
    assert found["account_row_binds"]
