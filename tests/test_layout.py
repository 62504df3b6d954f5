"""The house stands as drawn: every room comes from this repository, and no import runs up a floor."""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ROOMS = (
    "domain", "data", "predictors", "bidding", "pacing", "connectors", "market",
    "engine", "evaluation", "flows", "dashboard", "cli",
)  # fmt: skip


def test_every_room_comes_from_this_repository(tmp_path: Path) -> None:
    code = (
        f"import importlib.util, json;print(json.dumps({{r: importlib.util.find_spec(r).origin for r in {ROOMS!r}}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    for room, origin in json.loads(done.stdout).items():
        assert Path(origin).resolve() == REPOSITORY / room / "__init__.py"


def test_no_module_of_a_thin_room_bears_a_rooms_name() -> None:
    for thin in ("dashboard", "flows"):
        names = {p.stem for p in (REPOSITORY / thin).rglob("*.py")}
        assert not names & set(ROOMS), f"{thin} holds a module that shadows a room"


def test_no_import_runs_up_a_floor() -> None:
    tool = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([str(tool), "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_module_asks_the_system_for_time_or_randomness_below_the_edge() -> None:
    forbidden = ("datetime.now(", "time.time(", "datetime.utcnow(", "date.today(", "default_rng()", "import random")
    for room in ROOMS[:9]:
        for path in (REPOSITORY / room).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            found = [word for word in forbidden if word in text]
            assert not found, f"{path.relative_to(REPOSITORY)} uses {found}; pass a Clock or a Generator in"
