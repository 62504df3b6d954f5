"""The inbox: files are taken when they are whole, archived when they were used, set aside when they were not.

A file is whole when nobody has touched it for a while, or when its size and time are those of an earlier look.
Names that mark a download in progress are left alone. Every step can be repeated: what a file tells is made
durable before the file is moved, so a crash in between only makes it be read once more.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from connectors.bulkreading import BulkReading
from connectors.readings import CatalogReading, FileReading
from domain.errors import DataError, SteadyBidError, Unavailable

Reading = FileReading | CatalogReading | BulkReading

#: How browsers, sync tools and editors mark a file that is not whole, or not a file of the user's.
UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".download", ".filepart", ".swp", "~")
_HIDDEN = (".", "~$")


class Outcome(StrEnum):
    """What became of a file."""

    ARCHIVED = "archived"
    REFUSED = "refused"
    WAITING = "waiting"  #: not whole yet, or a passing fault: it stays in the inbox


@dataclass(frozen=True, slots=True)
class Taken:
    """One file of the inbox.

    Attributes
    ----------
    file
        Its name in the inbox.
    outcome
        What became of it.
    reason
        Why it was refused or waits; empty where it was archived.
    reading
        What it said; ``None`` where it was not read.
    path
        Where it lies now.
    """

    file: str
    outcome: Outcome
    reason: str
    reading: Reading | None
    path: Path


@dataclass(slots=True)
class Inbox:
    """Folders ``inbox``, ``archive``, ``refused`` and ``state`` below one root.

    Attributes
    ----------
    root
        Folder of the account.
    quiet
        How long a file must have been untouched to count as whole at first sight.
    """

    root: Path
    quiet: timedelta = timedelta(seconds=10)

    def __post_init__(self) -> None:
        try:
            for name in ("inbox", "outbox", "archive", "refused", "state"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(
                f"cannot make folders below {self.root} ({error}); check the path and its permissions"
            ) from error

    def take(self, now: datetime, read: Callable[[Path], Reading], use: Callable[[Reading], None]) -> list[Taken]:
        """Read all whole files, oldest first, hand each to `use`, and move it.

        `use` makes durable what the file tells; it may be called again for the same file. A `DataError` of it
        refuses the file, a retryable error leaves it where it is.
        """
        found: list[Taken] = []
        seen = self._seen()
        present: dict[str, list[int]] = {}
        for path, mark in self._files():
            present[path.name] = mark
            age = now.timestamp() - mark[1] / 1e9
            if seen.get(path.name) != mark and age < self.quiet.total_seconds():
                found.append(Taken(path.name, Outcome.WAITING, "it may still be written", None, path))
                continue
            taken = self._one(path, mark, read, use)
            if taken is not None:
                found.append(taken)
                if taken.outcome is not Outcome.WAITING:
                    present.pop(path.name)
        write_whole(self.root / "state" / "seen.json", json.dumps(present, sort_keys=True).encode())
        return found

    def _one(
        self, path: Path, mark: list[int], read: Callable[[Path], Reading], use: Callable[[Reading], None]
    ) -> Taken | None:
        reading = read(path)
        if _mark(path) != mark:  # written to, or moved by another run, while it was read
            return (
                Taken(path.name, Outcome.WAITING, "it changed while it was read", None, path) if path.exists() else None
            )
        reason = reading.error
        if reason is None:
            try:
                use(reading)
            except SteadyBidError as error:
                if error.retryable:
                    return Taken(path.name, Outcome.WAITING, str(error), reading, path)
                if not isinstance(error, DataError):
                    raise
                reason = str(error)
        if reason is None:
            moved = self._move(path, "archive", reading.sha256)
            return None if moved is None else Taken(path.name, Outcome.ARCHIVED, "", reading, moved)
        moved = self._move(path, "refused", reading.sha256, reason)
        return None if moved is None else Taken(path.name, Outcome.REFUSED, reason, reading, moved)

    def _files(self) -> Iterator[tuple[Path, list[int]]]:
        try:
            paths = sorted((self.root / "inbox").iterdir())
        except OSError as error:
            raise Unavailable(f"cannot look into {self.root / 'inbox'} ({error})") from error
        marked: list[tuple[Path, list[int]]] = []
        for path in paths:
            name = path.name.lower()
            if name.startswith(_HIDDEN) or name.endswith(UNFINISHED):
                continue
            mark = _mark(path)
            if mark is not None:
                marked.append((path, mark))
        yield from sorted(marked, key=lambda pair: (pair[1][1], pair[0].name))

    def _seen(self) -> dict[str, list[int]]:
        try:
            return json.loads((self.root / "state" / "seen.json").read_bytes())
        except (OSError, ValueError):
            return {}  # never looked before, or the note was lost: every file is new

    def _move(self, path: Path, folder: str, sha256: str, reason: str | None = None) -> Path | None:
        """Move a file without overwriting another; ``None`` where another run has moved it."""
        target = self.root / folder / path.name
        if target.exists():
            target = self.root / folder / f"{path.stem}-{sha256[:8] or 'unread'}{path.suffix}"
        count = 1
        while target.exists():
            count += 1
            target = self.root / folder / f"{path.stem}-{sha256[:8] or 'unread'}-{count}{path.suffix}"
        try:
            if reason is not None:
                write_whole(target.with_name(target.name + ".reason.txt"), (reason + "\n").encode())
            path.rename(target)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"cannot move {path} to {target} ({error}); check space and permissions") from error
        return target


def _mark(path: Path) -> list[int] | None:
    """Size and time of a regular file; ``None`` for anything else."""
    try:
        status = path.stat()
        return [status.st_size, status.st_mtime_ns] if path.is_file() else None
    except OSError:
        return None


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it appears whole or not at all; `Unavailable` where the disk refuses."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError as error:
        raise Unavailable(f"cannot write {path} ({error}); check space and permissions") from error
