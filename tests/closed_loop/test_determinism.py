"""Same seed, same bytes: in another process, with other threads, alone or beside other runs."""

import json
import os
import pickle
import subprocess
import sys

import pytest

from domain.errors import ConfigError
from evaluation.results import to_json
from evaluation.simulate import POLICIES, run, simulate
from market import Scenario

PROGRAM = """
import json, pickle, sys
from evaluation.results import to_json
from evaluation.simulate import run
scenario = pickle.loads(bytes.fromhex(sys.stdin.read()))
print(json.dumps(to_json([run(scenario, "steadybid", 4)])))
"""


def test_a_run_gives_the_same_bytes_in_any_process(short: Scenario) -> None:
    text = pickle.dumps(short).hex()
    told = []
    for hash_seed, threads in (("1", "1"), ("2", "2")):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed, "POLARS_MAX_THREADS": threads, "OMP_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], input=text, capture_output=True, text=True, check=True, env=env
        )
        told.append(done.stdout)
    assert len(json.loads(told[0])["runs"]) == 1
    assert told[0] == told[1]


def test_runs_side_by_side_give_what_they_give_alone_and_tell_of_every_hour(short: Scenario) -> None:
    told: list[tuple[str, int, int, int]] = []
    beside = simulate(short, ["static", "pid"], [1], jobs=2, progress=lambda *news: told.append(news))
    alone = [run(short, policy, 1) for policy in ("static", "pid")]
    assert to_json(beside) == to_json(alone)
    assert {(policy, seed) for policy, seed, _, _ in told} == {("static", 1), ("pid", 1)}
    assert all(1 <= done <= of == 48 for _, _, done, of in told)


def test_a_policy_that_does_not_exist_is_refused_with_those_that_do(short: Scenario) -> None:
    with pytest.raises(ConfigError, match="steadybid, static, manual, pid"):
        simulate(short, ["clairvoyant"], [1])
    with pytest.raises(ConfigError, match="at least one policy and one seed"):
        simulate(short, POLICIES, [])
