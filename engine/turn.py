"""One process at a time per account: runs that overlap take turns instead of reading and sending twice.

The operating system gives the turn back when its holder dies, so nothing is left to clean up after a crash.
Machines that share a control database, but not the folder, are kept apart by the journal's claim.
"""

import fcntl
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from domain.errors import StoreBusy

_POLL_SECONDS = 0.05


@contextmanager
def turn(home: Path, account: str, patience_seconds: float = 120.0) -> Generator[None]:
    """Hold an account of the workspace in `home`.

    Parameters
    ----------
    home
        Folder of the workspace.
    account
        Name of the account.
    patience_seconds
        How long to wait for another holder; after that `StoreBusy`, which is worth a retry.
    """
    folder = home / "turns"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / account).open("w") as handle:
        for _ in range(max(1, round(patience_seconds / _POLL_SECONDS))):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_POLL_SECONDS)
        else:
            raise StoreBusy(
                f"another run of account {account!r} has been at work for more than {patience_seconds:g} s; try again, "
                "and look for a process that hangs"
            )
        yield
