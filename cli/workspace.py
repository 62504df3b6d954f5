"""Where a workspace lies and what time it is: the only place that asks the environment and the system clock."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data import Workspace


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Present instant, UTC."""
        return datetime.now(UTC)


def home() -> Path:
    """Folder of the workspace: `STEADYBID_HOME`, else `var/` below the current folder."""
    return Path(os.environ.get("STEADYBID_HOME") or "var")


def open_workspace(*, create: bool = False) -> "Workspace":
    """Open the workspace; `ConfigError` says to run ``steadybid init`` where there is none."""
    from data import Workspace

    return Workspace.open(home(), create=create, database_url=os.environ.get("STEADYBID_DATABASE_URL"))
