"""What Prefect is told: where it keeps its records, whom it may talk to (nobody), how often it shows a sign of life.

Prefect reads its settings from the environment when it is first imported; so they are put there before.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from domain.errors import ConfigError

#: Only this machine is answered; whoever wants more puts a proxy with a password in front.
HOST = "127.0.0.1"

#: Minute 5 begins the hours of most time zones, minute 35 those at half past (Asia/Kolkata). For everyone the
#: other one is a second look that completes what a crash has left; an hour that is decided stays decided.
HOURLY_CRON = "5,35 * * * *"
NIGHTLY_CRON = "30 3 * * *"

_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "150",
}


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Present instant, UTC."""
        return datetime.now(UTC)


def keep_quiet() -> None:
    """Switch off what Prefect would tell its makers, and give a slow machine time to start."""
    os.environ.update(_QUIET)


def workspace_folder(given: str | Path | None = None) -> Path:
    """Folder of the workspace: as given, else `STEADYBID_HOME`, else `var/` below the current folder."""
    return Path(given or os.environ.get("STEADYBID_HOME") or "var").expanduser().absolute()


def database_url() -> str | None:
    """Control database elsewhere, where `STEADYBID_DATABASE_URL` names one."""
    return os.environ.get("STEADYBID_DATABASE_URL") or None


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """How the schedules are served.

    Attributes
    ----------
    home
        Folder of the workspace; Prefect's records lie in ``prefect/`` below it.
    port
        Port of API and UI on 127.0.0.1; 0 takes any that is free.
    poll_seconds
        How often the runner asks for runs that are due.
    heartbeat_seconds
        How often a run shows a sign of life; Prefect takes 30 or more.
    dead_after_seconds
        Silence after which a run counts as crashed.
    hourly_cron, nightly_cron
        When runs start, UTC.
    """

    home: Path
    port: int = 4200
    poll_seconds: float = 2.0
    heartbeat_seconds: int = 30
    dead_after_seconds: int = 100
    hourly_cron: str = HOURLY_CRON
    nightly_cron: str = NIGHTLY_CRON
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port {self.port}: give a number from 1 to 65535, or 0 for any free one")
        if self.heartbeat_seconds < 30:
            raise ConfigError(f"heartbeat of {self.heartbeat_seconds} s: Prefect takes 30 s or more")
        object.__setattr__(self, "folder", self.home / "prefect")

    def environment(self, port: int) -> Mapping[str, str]:
        """Environment of server, runner and runs, given the port that was taken."""
        origin = f"http://{HOST}:{port}"
        return {
            **_QUIET,
            "STEADYBID_HOME": str(self.home),
            "OPENBLAS_NUM_THREADS": os.environ.get("OPENBLAS_NUM_THREADS", "1"),  # as cli.main, and why
            "PREFECT_HOME": str(self.folder),
            "PREFECT_API_URL": f"{origin}/api",
            "PREFECT_UI_URL": origin,
            "PREFECT_SERVER_API_HOST": HOST,
            "PREFECT_SERVER_API_PORT": str(port),
            "PREFECT_SERVER_UI_API_URL": f"{origin}/api",
            "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": origin,
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(self.heartbeat_seconds),
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        }
