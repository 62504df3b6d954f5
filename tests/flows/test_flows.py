"""Both flows in Prefect's test harness: independent accounts, retries where they help, artifacts to read."""

import gc
import os
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect.artifacts import Artifact
from prefect.client.schemas.objects import State
from prefect.testing.utilities import prefect_test_harness

from data import Workspace
from domain.account import Account, Mode
from domain.errors import ConfigError, StoreBusy, Unavailable
from domain.plans import DecisionState
from domain.time import FixedClock, Hour
from engine.hourly import HourOutcome
from engine.hourly import run_hour as run_hour_of
from flows import artifacts, hourly, nightly
from flows.hourly import hourly as hourly_flow
from flows.nightly import nightly as nightly_flow
from flows.settings import SystemClock

pytestmark = [
    pytest.mark.xdist_group("prefect"),
    # Prefect leaves connections of its threads to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
Shop = Callable[..., Workspace]
AT = "2026-11-10T10:00"
NOW = datetime(2026, 11, 10, 9, 5, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def harness() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=150):
        yield
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()  # connections to the server that is gone, which Prefect leaves to the collector


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, task in ((hourly, "decide"), (nightly, "care_for"), (nightly, "tidy_up")):
        monkeypatch.setattr(module, task, getattr(module, task).with_options(retry_delay_seconds=0))


def run(home: Path, **parameters: object) -> State[object]:
    return hourly_flow(home=str(home), **parameters, return_state=True)  # type: ignore[arg-type]


def run_hour_by_hand(workspace: Workspace, hour: Hour) -> None:
    run_hour_of(workspace, "tea", hour, clock=FixedClock(NOW))


def read(key: str) -> str:
    found = Artifact.get(key)
    assert found is not None
    return str(found.data)


def test_the_hourly_flow_decides_sends_and_leaves_something_to_read(tmp_path: Path, shop: Shop) -> None:
    workspace = shop(tmp_path)
    state = run(tmp_path, hour=AT)
    assert state.is_completed(), state
    decision = workspace.journal("tea").find(Hour.parse(AT, workspace.account("tea").tz))
    assert decision is not None
    assert decision.state is DecisionState.PUBLISHED
    assert decision.plan.units.height == 23
    assert [p.name for p in (tmp_path / "files/tea/outbox").glob("bids-*")] == ["bids-tea-20261110T0900Z.xlsx"]
    assert "tea" in read("hourly-summary")
    assert "nordlicht" in read("decision-tea")


def test_a_failing_account_does_not_keep_a_good_one_from_its_hour(tmp_path: Path, shop: Shop) -> None:
    workspace = shop(tmp_path)
    workspace.create_account(Account("lira", "TRY", platform="amazon-sp"), NOW)
    state = run(tmp_path, hour=AT)
    assert state.is_failed()
    assert state.message is not None
    assert state.message.startswith("1 of 2 accounts failed. lira: no bid limits are known for TRY")
    decision = workspace.journal("tea").find(Hour.parse(AT, workspace.account("tea").tz))
    assert decision is not None
    assert decision.state is DecisionState.PUBLISHED
    assert "failed: no bid limits" in read("hourly-summary")


def test_an_account_that_is_named_and_not_there_fails_alone(tmp_path: Path, shop: Shop) -> None:
    shop(tmp_path, mode=Mode.SHADOW)
    state = run(tmp_path, hour=AT, accounts=["tea", "coffee", "tea"])
    assert state.message is not None
    assert state.message.startswith("1 of 2 accounts failed. coffee: no account 'coffee'")


def test_a_workspace_without_accounts_has_nothing_to_do(tmp_path: Path) -> None:
    Workspace.open(tmp_path, create=True)
    state = run(tmp_path)
    assert state.is_completed()
    assert state.message == "no accounts"


def test_the_present_hour_is_decided_where_none_is_given(tmp_path: Path, shop: Shop) -> None:
    workspace = shop(tmp_path, mode=Mode.SHADOW)
    before = Hour.containing(SystemClock().now(), workspace.account("tea").tz)
    assert run(tmp_path).is_completed()
    after = Hour.containing(SystemClock().now(), workspace.account("tea").tz)
    assert any(workspace.journal("tea").find(hour) is not None for hour in (before, after))


@pytest.mark.parametrize(
    ("error", "attempts", "good"),
    [
        (StoreBusy("held by another writer"), 3, True),
        (Unavailable("no answer"), 3, True),
        (ConfigError("a wrong target"), 1, False),
        (ValueError("a fault of ours"), 1, False),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(
    tmp_path: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch, error: Exception, attempts: int, good: bool
) -> None:
    shop(tmp_path, mode=Mode.SHADOW)
    real, seen = hourly.run_hour, list[str]()

    def run_hour(workspace: Workspace, account: str, hour: Hour, *, clock: SystemClock) -> HourOutcome:
        seen.append(account)
        if len(seen) <= 2:
            raise error
        return real(workspace, account, hour, clock=clock)

    monkeypatch.setattr(hourly, "run_hour", run_hour)
    state = run(tmp_path, hour=AT)
    assert len(seen) == attempts
    assert state.is_completed() is good
    if not good:
        assert state.message is not None
        assert str(error) in state.message


def test_a_paused_account_shows_up_as_paused(tmp_path: Path, shop: Shop) -> None:
    workspace = shop(tmp_path)
    workspace.set_mode("tea", Mode.PAUSED, by="Ada", reason="stock is out", now=NOW)
    assert run(tmp_path, hour=AT).is_completed()
    assert "paused" in read("hourly-summary")
    assert list((tmp_path / "files/tea/inbox").iterdir())  # not even read


def test_the_night_ends_waits_rehearses_and_sweeps(tmp_path: Path, shop: Shop) -> None:
    workspace = shop(tmp_path, mode=Mode.APPROVE)
    hour = Hour.parse(AT, workspace.account("tea").tz)
    run_hour_by_hand(workspace, hour)
    waiting = workspace.journal("tea").find(hour)
    assert waiting is not None
    assert waiting.state is DecisionState.AWAITING
    stray = tmp_path / "facts" / "plans" / "left-by-a-crash.parquet.tmp"
    stray.write_bytes(b"half a file")
    os.utime(stray, (NOW.timestamp(), NOW.timestamp()))
    state = nightly_flow(home=str(tmp_path), return_state=True)
    assert state.is_completed(), state
    assert not stray.exists()
    expired = workspace.journal("tea").find(hour)
    assert expired is not None
    assert expired.state is DecisionState.EXPIRED
    assert "rehearsed 23 units" in read("nightly-summary")
    assert nightly_flow(home=str(tmp_path), return_state=True).is_completed()  # a second time is harmless


def test_the_night_tells_of_damaged_files(tmp_path: Path, shop: Shop) -> None:
    workspace = shop(tmp_path, mode=Mode.SHADOW)
    run_hour_by_hand(workspace, Hour.parse(AT, workspace.account("tea").tz))
    for file in (tmp_path / "facts" / "plans").glob("*.parquet"):
        file.write_bytes(file.read_bytes()[:-100])
    state = nightly_flow(home=str(tmp_path), return_state=True)
    assert state.is_failed()
    assert state.message is not None
    assert "damaged" in state.message


def test_names_of_campaigns_stay_text_in_a_summary() -> None:
    assert artifacts.plain("<script>alert(1)</script>|[x](y)") == (r"&lt;script&gt;alert(1)&lt;/script&gt;\|\[x\](y)")


def test_two_accounts_never_share_an_artifact() -> None:
    keys = {artifacts.key("decision", name) for name in ("B_2", "b-2", "B-2", "b_2")}
    assert len(keys) == 4
    assert all(key == key.lower() and "_" not in key for key in keys)
