"""The hourly flow: each account's hour, independent of the others. What an hour is, `engine.hourly` knows."""

from typing import Any, cast

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.task_runners import ThreadPoolTaskRunner

from bidding import explain
from data import Workspace
from domain.time import Hour
from engine.hourly import HourOutcome, run_hour
from flows import artifacts, work
from flows.settings import SystemClock, database_url, workspace_folder


@task(
    task_run_name="decide-{account}",
    retries=work.RETRIES,
    retry_delay_seconds=work.RETRY_DELAY_SECONDS,
    retry_condition_fn=work.is_retryable,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def decide(workspace: Workspace, account: str, hour: str | None) -> HourOutcome:
    """One account's hour; ``None`` = the present one, read anew in every attempt."""
    clock = SystemClock()
    with work.THINKING:
        tz = workspace.account(account).tz
        wanted = Hour.containing(clock.now(), tz) if hour is None else Hour.parse(hour, tz)
        outcome = run_hour(workspace, account, wanted, clock=clock)
        _leave_table(workspace, outcome)
    get_run_logger().info("%s, %s: %s", account, outcome.hour, outcome.words)
    return outcome


@flow(
    name="hourly",
    description="Decides the present hour of every account, once.",
    task_runner=cast(Any, ThreadPoolTaskRunner)(max_workers=16),
    persist_result=False,
)
def hourly(home: str | None = None, hour: str | None = None, accounts: list[str] | None = None) -> State[Any]:
    """Decide an hour of accounts.

    Parameters
    ----------
    home
        Folder of the workspace; ``None`` = `STEADYBID_HOME`, or ``var`` below the current folder.
    hour
        Time within the hour to decide, such as 2026-11-11T20:00+08:00; one without offset is read in each
        account's time zone. ``None`` = the present hour of each account.
    accounts
        Names; ``None`` = all accounts of the workspace.
    """
    workspace = Workspace.open(workspace_folder(home), database_url=database_url())
    names = [a.name for a in workspace.accounts()] if accounts is None else list(dict.fromkeys(accounts))
    good, bad = work.gather({name: decide.submit(workspace, name, hour) for name in names})
    outcomes: dict[str, HourOutcome] = good
    rows = [[n, str(o.hour), o.mode.value, o.words, " ".join(o.notes)] for n, o in outcomes.items()]
    rows += [[n, hour or "present", "", f"failed: {why}", ""] for n, why in bad.items()]
    artifacts.summary("hourly", "Hourly decisions", ("account", "hour", "mode", "outcome", "notes"), sorted(rows))
    workspace.close()
    return work.verdict(good, bad)


def _leave_table(workspace: Workspace, outcome: HourOutcome) -> None:
    if outcome.decision is None:
        return
    plan = outcome.decision.plan
    money = workspace.account(outcome.account).currency
    shown = plan.units.with_columns(explain(plan, money).alias("reason")).sort(
        "spend", descending=True, nulls_last=True
    )
    rows = [
        {
            "unit": row["unit_id"],
            "action": row["action"],
            f"live bid, {money}": row["live_bid_cpc"],
            f"bid, {money}": row["bid_cpc"],
            f"expected spend, {money}": None if row["spend"] is None else round(row["spend"], 2),
            "reason": row["reason"],
        }
        for row in shown.head(artifacts.TABLE_ROWS).iter_rows(named=True)
    ]
    artifacts.decision_table(outcome.account, str(outcome.hour), rows, plan.units.height)
