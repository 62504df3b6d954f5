"""`steadybid simulate`: what may be asked, and the file it writes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.simulation import parse_seeds
from domain.errors import ConfigError

KEYS = {
    "scenario", "policy", "seed", "gmv", "spend", "gmv_vs_hindsight", "efficiency", "roi_miss", "misallocation",
    "budget_utilisation", "overspend", "hourly_cpc_cv",
}  # fmt: skip
SHIPPED = Path(__file__).resolve().parents[2] / "scenarios" / "demo.toml"
PHASES = """[[phases]]
name = "store"
kind = "warm-up"
start = 2026-11-08T00:00:00
end = 2026-11-08T04:00:00
traffic = 0.9
cvr = 0.9
price = 0.9

[[phases]]
name = "burst"
kind = "burst"
start = 2026-11-08T04:00:00
end = 2026-11-08T06:00:00
traffic = 1.5
cvr = 1.5
price = 1.5
"""


@pytest.fixture
def tiny(tmp_path):
    """The shipped scenario, six hours long, with twelve units."""
    text = SHIPPED.read_text(encoding="utf-8").split("[[phases]]")[0]
    for pattern, value in {
        r'^name = ".*"': 'name = "tiny"',
        r"^end = .*": "end = 2026-11-08T06:00:00",
        r"^count = .*": "count = 12",
        r"^campaigns = .*": "campaigns = 2",
        r"^rise_at = .*": "rise_at = 2026-11-08T03:00:00",
        r"^budget = .*": "budget = 4000.0",
    }.items():
        text, found = re.subn(pattern, value, text, count=1, flags=re.MULTILINE)
        assert found == 1, pattern
    path = tmp_path / "tiny.toml"
    path.write_text(text + PHASES, encoding="utf-8")
    return path


def test_figures_are_written_whole_with_their_keys_and_the_same_for_any_number_of_jobs(done, tiny, tmp_path):
    common = ("simulate", "--scenario", tiny, "--seeds", "3,5", "--policy", "steadybid,static")
    first, second = tmp_path / "new" / "folder" / "a.json", tmp_path / "b.json"
    said = done(*common, "--jobs", "1", "--json", first, "--out", tmp_path / "report")
    done(*common, "--jobs", "2", "--json", second, "--out", tmp_path / "report")
    assert first.read_bytes() == second.read_bytes()
    runs = json.loads(first.read_text())["runs"]
    assert [(r["scenario"], r["policy"], r["seed"]) for r in runs] == [
        ("tiny", "steadybid", 3), ("tiny", "steadybid", 5), ("tiny", "static", 3), ("tiny", "static", 5),
    ]  # fmt: skip
    for run in runs:
        assert set(run) >= KEYS
        assert run["spend"] > 0
        assert run["overspend"] == 0
        assert 0 < run["efficiency"] <= 1.2
    assert os.listdir(first.parent) == ["a.json"]
    assert (tmp_path / "report" / "report.html").is_file()
    assert "steadybid" in said.out
    assert "\x1b" not in said.out
    assert "hours done" in said.err
    assert "hours done" not in said.out


def test_the_regret_of_every_run_is_split_where_it_is_asked_for_and_adds_up(done, tiny, tmp_path):
    file = tmp_path / "a.json"
    common = ("simulate", "--scenario", tiny, "--seeds", "3", "--jobs", "1", "--json", file)
    done(*common, "--policy", "steadybid,static,constant_price", "--regret")
    runs = json.loads(file.read_text())["runs"]
    for run in runs:
        assert set(run["regret"]) == {"prediction", "pacing", "bidding", "edits", "noise"}
        assert sum(run["regret"].values()) == pytest.approx(run["regret_total"], abs=1e-9)
        assert set(run["binding"]) <= {"budget", "roi"}
    assert runs[2]["regret"]["prediction"] == 0
    done(*common, "--policy", "static")
    assert json.loads(file.read_text())["runs"][0]["regret"] is None


def test_a_figure_that_nothing_was_bought_for_is_null_and_never_nan(done, tiny, tmp_path):
    text = tiny.read_text()
    assert "budget = 4000.0" in text
    tiny.write_text(text.replace("budget = 4000.0", "budget = 0.01"))
    file = tmp_path / "a.json"
    done("simulate", "--scenario", tiny, "--seeds", "0", "--policy", "static", "--json", file)
    (run,) = json.loads(file.read_text(), parse_constant=pytest.fail)["runs"]
    assert run["hourly_cpc_cv"] is None
    assert run["overspend"] == 0


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", [3]), ("0-4", [0, 1, 2, 3, 4]), ("1,5,9", [1, 5, 9]), (" 2 , 4-5", [2, 4, 5])]
)
def test_seeds_are_numbers_ranges_and_lists(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "x", "4-1", "-1", "1,1", "0-2,1", "1.5", "1,,2", "0-99999999", "٣-", "--"])
def test_seeds_that_make_no_sense_are_refused(text):
    with pytest.raises(ConfigError, match="--seeds"):
        parse_seeds(text)


@pytest.mark.parametrize(
    "words",
    [
        ("--policy", "magic"),
        ("--policy", ","),
        ("--policy", "static,static"),
        ("--seeds", "none"),
        ("--scenario", "nowhere"),
        ("--scenario", "absent.toml"),
        ("--scenario", "."),
        ("--jobs", "0"),
        ("--json", "."),
        ("--json", "/dev/null/a.json"),
        ("--out", "/dev/null/report"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_runs(run, tiny, words):
    base = {"--scenario": str(tiny), "--policy": "static", "--seeds": "0"} | dict([words])
    said = run("simulate", *(word for pair in base.items() for word in pair))
    assert said.status == 2
    assert said.err
    assert "hours done" not in said.err


@pytest.mark.parametrize(
    ("before", "after"),
    [("count = 12", "count = 0"), ("count = 12", "count = 12\ncolour = 1"), ("budget = 4000.0", "budget = nan"),
     ("[units]", "[units"), ("end = 2026-11-08T06:00:00", "end = 2026-11-07T06:00:00")],
)  # fmt: skip
def test_a_scenario_that_contradicts_itself_is_refused(run, tiny, before, after):
    text = tiny.read_text()
    assert before in text
    tiny.write_text(text.replace(before, after, 1))
    said = run("simulate", "--scenario", tiny, "--policy", "static", "--seeds", "0")
    assert said.status == 2
    assert "tiny.toml" in said.err


@pytest.mark.parametrize(
    ("words", "result"),
    [
        (["simulate", "--policy", "steadybid,static", "--seeds", "0-3", "--json"], "a.json"),
        (["evaluate", "--quick", "--json"], "a.json"),
    ],
)
def test_ctrl_c_ends_long_work_cleanly(home, tmp_path, words, result):
    command = [str(Path(sys.executable).with_name("steadybid")), *words, str(tmp_path / result), "--jobs", "2"]
    # whoever runs the tests in the background ignores Ctrl-C, and what is started from there would too
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout is not None
    try:
        if words[0] == "simulate":
            assert process.stdout.read(8) == "scenario"  # the first line comes when the runs begin
        time.sleep(5)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        if process.poll() is None:  # what hangs must not trouble the tests that follow
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 130
    assert "stopped" in err
    assert "Traceback" not in out + err
    assert not (tmp_path / result).exists()
