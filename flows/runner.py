"""The runner: deploys both flows, starts the runs that are due, and sees to runs that died."""

import asyncio
import signal
import subprocess
from collections.abc import Callable
from datetime import timedelta

from prefect.automations import Automation
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.deployments.runner import RunnerDeployment
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.runner import Runner
from prefect.schedules import Cron
from prefect.states import Crashed
from prefect.types.entrypoint import EntrypointType

from flows.hourly import hourly
from flows.nightly import nightly
from flows.serve import ServeFailed
from flows.settings import ServeSettings

DEAD_RUNS = "steadybid: runs without a sign of life have crashed"
_ALIVE = "prefect.flow-run.heartbeat"
_ENDED = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}


async def run_until_told(
    settings: ServeSettings,
    url: str,
    server: subprocess.Popen[bytes],
    seconds: float | None,
    tell: Callable[[str], None],
) -> None:
    """Serve until a signal comes, the time is up, or the server is gone."""
    runner = Runner(name="steadybid", query_seconds=settings.poll_seconds, limit=2)
    async with get_client() as client:
        await mark_dead_runs(settings)
        left = await close_abandoned_runs(client)
        if left:
            tell(f"{left} runs of an earlier session had died; their hours are looked after by the next run")
        for deployment in await deployments(settings):
            await runner.aadd_deployment(deployment)
        polling = asyncio.create_task(runner.start())
        told = asyncio.Event()
        while not runner.started and not polling.done():
            await asyncio.sleep(0.02)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):  # after start(), which sets a handler of its own
            loop.add_signal_handler(number, told.set)
        tell(f"serving {settings.home}")
        tell(f"  watch   {url}")
        tell(f"  hourly  {settings.hourly_cron} (UTC)    nightly  {settings.nightly_cron} (UTC)")
        tell("  stop    Ctrl-C")
        try:
            await _wait(told, server, polling, seconds)
        finally:
            await runner.astop()
            await polling
    tell("stopped")


async def _wait(
    told: asyncio.Event, server: subprocess.Popen[bytes], polling: "asyncio.Task[None]", seconds: float | None
) -> None:
    loop = asyncio.get_running_loop()
    end = None if seconds is None else loop.time() + seconds
    while not told.is_set() and (end is None or loop.time() < end):
        if server.poll() is not None:
            raise ServeFailed(f"Prefect's server ended by itself with status {server.returncode}; start again")
        if polling.done():
            raise ServeFailed("the runner ended by itself; start again") from polling.exception()
        try:
            await asyncio.wait_for(told.wait(), 0.5 if end is None else min(0.5, max(end - loop.time(), 0.01)))
        except TimeoutError:
            continue


async def deployments(settings: ServeSettings) -> list[RunnerDeployment]:
    """Both flows on their schedules, loaded by module path, with the workspace as parameter."""
    made: list[RunnerDeployment] = []
    for flow, cron in ((hourly, settings.hourly_cron), (nightly, settings.nightly_cron)):
        made.append(
            await flow.ato_deployment(
                name=flow.name,
                schedule=Cron(cron, timezone="UTC"),
                parameters={"home": str(settings.home)},
                entrypoint_type=EntrypointType.MODULE_PATH,
                paused=False,
            )
        )
    return made


async def mark_dead_runs(settings: ServeSettings) -> None:
    """Let the server mark a run crashed when its signs of life stop: made anew, or brought up to date."""
    wanted = Automation(
        name=DEAD_RUNS,
        description="A run that was killed together with its runner would stay running for ever.",
        trigger=EventTrigger(
            after={_ALIVE},
            expect={_ALIVE, *_ENDED},
            match={"prefect.resource.id": ["prefect.flow-run.*"]},  # pyright: ignore[reportArgumentType]
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=settings.dead_after_seconds),
        ),
        actions=[
            ChangeFlowRunState(
                name=None,
                force=False,
                state=StateType.CRASHED,
                message=f"no sign of life for {settings.dead_after_seconds} s; the next run looks after its hour",
            )
        ],
    )
    try:
        there = await Automation.aread(name=DEAD_RUNS)
    except ValueError:
        await wanted.acreate()
        return
    wanted.id = there.id
    await wanted.aupdate()


async def close_abandoned_runs(client: PrefectClient) -> int:
    """Mark runs crashed that an earlier session left behind: we hold the lock, so nobody runs them any more."""
    unfinished = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    runs = await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=unfinished)))
    )
    for run in runs:
        await client.set_flow_run_state(run.id, Crashed(message="its runner is gone"), force=True)
    return len(runs)
