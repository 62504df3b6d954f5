"""What both flows do around an account's work: retries, turns within the process, and one verdict at the end."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from prefect.tasks import Task

from domain.errors import SteadyBidError

#: Accounts think one after another, so that a small machine is not overrun; while one waits for its retry, the
#: others go on.
THINKING = threading.Lock()

RETRIES = 3
RETRY_DELAY_SECONDS = [5.0, 20.0, 60.0]


def is_retryable(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Whether trying again may help: a busy database or a platform that does not answer, not a wrong target."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, SteadyBidError) and error.retryable


def in_words(error: object) -> str:
    """Error as a person reads it; one that SteadyBid does not know carries its kind."""
    return str(error) if isinstance(error, SteadyBidError) else f"{type(error).__name__}: {error}"


def gather(futures: Mapping[str, PrefectFuture[Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Outcomes of the accounts that went well, and of each other one the error in words."""
    good: dict[str, Any] = {}
    bad: dict[str, str] = {}
    for account, future in futures.items():
        future.wait()
        result = future.state.result(raise_on_failure=False)
        if future.state.is_completed():
            good[account] = result
        else:
            bad[account] = in_words(result)
    return good, bad


def verdict(done: Iterable[str], failed: Mapping[str, str]) -> State[Any]:
    """Final state of a flow run: failed where one account failed, saying which and why."""
    n = len(list(done))
    if not failed:
        return Completed(message=f"{n} accounts" if n else "no accounts")
    told = "; ".join(f"{account}: {why}" for account, why in failed.items())
    return Failed(message=f"{len(failed)} of {n + len(failed)} accounts failed. {told}")
