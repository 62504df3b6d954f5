"""The nightly flow: each account's night work, then the workspace's. What a night is, `engine.nightly` knows."""

from typing import Any, cast

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Failed
from prefect.task_runners import ThreadPoolTaskRunner

from data import Workspace
from engine.nightly import NightOutcome, Tidied, run_night, tidy
from flows import artifacts, work
from flows.settings import SystemClock, database_url, workspace_folder


@task(
    task_run_name="night-of-{account}",
    retries=work.RETRIES,
    retry_delay_seconds=work.RETRY_DELAY_SECONDS,
    retry_condition_fn=work.is_retryable,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def care_for(workspace: Workspace, account: str) -> NightOutcome:
    """One account's night."""
    with work.THINKING:
        outcome = run_night(workspace, account, SystemClock())
    log = get_run_logger()
    (log.warning if outcome.problem else log.info)("%s: %s", account, outcome.words)
    return outcome


@task(
    task_run_name="tidy",
    retries=work.RETRIES,
    retry_delay_seconds=work.RETRY_DELAY_SECONDS,
    retry_condition_fn=work.is_retryable,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def tidy_up(workspace: Workspace) -> Tidied:
    """Sweep and look over the workspace's files."""
    return tidy(workspace, SystemClock())


@flow(
    name="nightly",
    description="Rehearses the coming hour, puts small files together, sweeps, ends approvals that nobody gave.",
    task_runner=cast(Any, ThreadPoolTaskRunner)(max_workers=16),
    persist_result=False,
)
def nightly(home: str | None = None, accounts: list[str] | None = None) -> State[Any]:
    """Do the night work of accounts.

    Parameters
    ----------
    home
        Folder of the workspace; ``None`` = `STEADYBID_HOME`, or ``var`` below the current folder.
    accounts
        Names; ``None`` = all accounts of the workspace.
    """
    workspace = Workspace.open(workspace_folder(home), database_url=database_url())
    names = [a.name for a in workspace.accounts()] if accounts is None else list(dict.fromkeys(accounts))
    good, bad = work.gather({name: care_for.submit(workspace, name) for name in names})
    tidied = tidy_up(workspace)
    rows = [[n, o.words, " ".join(o.notes)] for n, o in good.items()]
    rows += [[n, f"failed: {why}", ""] for n, why in bad.items()]
    heading = f"Night work; {tidied.files} unused files swept"
    artifacts.summary("nightly", heading, ("account", "outcome", "notes"), sorted(rows))
    workspace.close()
    if tidied.damaged:
        return Failed(
            message=f"{len(tidied.damaged)} fact files are damaged, such as {tidied.damaged[0]}; restore them from a backup"
        )
    return work.verdict(good, bad)
