"""`steadybid serve`: API server and UI, both flows on their schedules, and a clean end of all of it.

One per workspace. The parent holds the server's lifeline and the workspace's lock; when it is killed, both go.
"""

import asyncio
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from domain.errors import ConfigError, SteadyBidError
from flows.settings import HOST, ServeSettings

START_SECONDS = 150
STOP_SECONDS = 20
_LOG_BYTES = 5_000_000


class ServeFailed(SteadyBidError):
    """The server did not start, or stopped by itself."""


def serve(settings: ServeSettings, *, seconds: float | None = None, tell: Callable[[str], None] = print) -> None:
    """Serve both deployments until Ctrl-C, a termination signal, or for some seconds.

    Parameters
    ----------
    settings
        Where and how.
    seconds
        How long; ``None`` = until told to stop.
    tell
        Takes one line for a person.
    """
    if not (settings.home / "steadybid.db").is_file() and "STEADYBID_DATABASE_URL" not in os.environ:
        raise ConfigError(f"no workspace at {settings.home}: run 'steadybid init' there, or set STEADYBID_HOME")
    with _only_one(settings.folder) as note, _listening(settings.port) as listening:
        port = int(listening.getsockname()[1])
        for name in ("PREFECT_PROFILE", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"):
            os.environ.pop(name, None)  # of some other Prefect
        os.environ.update(settings.environment(port))
        url = f"http://{HOST}:{port}"
        note.write_text(json.dumps({"url": url, "pid": os.getpid()}), encoding="utf-8")
        with _server(settings, listening, url) as server:
            from flows.runner import run_until_told

            asyncio.run(run_until_told(settings, url, server, seconds, tell))


def served_at(home: Path) -> str | None:
    """Address at which a workspace is being served at this moment; ``None`` where it is not."""
    folder = home / "prefect"
    try:
        with (folder / "serve.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            return str(json.loads((folder / "served.json").read_text())["url"])
        except (OSError, ValueError, KeyError):
            return "an address that it has not told yet"
    except OSError:
        return None
    return None


@contextmanager
def _only_one(folder: Path) -> Generator[Path]:
    """Hold the workspace's lock; gives the file that says where it is served."""
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "served.json"
    with (folder / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = f" at {json.loads(note.read_text())['url']}" if note.is_file() else ""
            raise ConfigError(f"this workspace is being served already{where}; stop that one first") from None
        try:
            yield note
        finally:
            note.unlink(missing_ok=True)


@contextmanager
def _listening(port: int) -> Generator[socket.socket]:
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
        except OSError as error:
            raise ConfigError(f"port {port} cannot be used ({error.strerror}); --port 0 takes any free one") from error
        listening.listen(128)
        yield listening


@contextmanager
def _server(settings: ServeSettings, listening: socket.socket, url: str) -> Generator[subprocess.Popen[bytes]]:
    """Run the API server beside us, answering when this yields and gone when it ends."""
    logs = settings.home / "log"
    logs.mkdir(parents=True, exist_ok=True)
    path = logs / "prefect-server.log"
    full = path.is_file() and path.stat().st_size > _LOG_BYTES
    reading, writing = os.pipe()
    with path.open("wb" if full else "ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "flows.api", str(listening.fileno()), str(reading)],
            pass_fds=(listening.fileno(), reading),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us; the server stops last, by its lifeline
        )
    os.close(reading)
    listening.close()
    try:
        _wait_for_health(server, url, path)
        yield server
    finally:
        os.close(writing)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for_health(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise ServeFailed(f"Prefect's server ended with status {server.returncode} while starting; see {log}")
        try:
            with urllib.request.urlopen(f"{url}/api/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise ServeFailed(f"Prefect's server did not answer within {START_SECONDS} s; see {log}")
