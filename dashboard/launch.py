"""Starts the dashboard's server on this machine only."""

import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

from dashboard.theme import SERVER_OPTIONS
from domain.errors import ConfigError


def command(port: int) -> list[str]:
    """Command line of the server; options given here outweigh any configuration file of the user."""
    if not 1 <= port <= 65535:
        raise ConfigError(f"port {port}: use a number from 1 to 65535")
    options = {**SERVER_OPTIONS, "server.port": port, "browser.serverPort": port}
    flags = [
        f"--{name}={_text(v)}"
        for name, value in options.items()
        for v in (value if isinstance(value, tuple) else (value,))
    ]
    return [sys.executable, "-m", "streamlit", "run", str(Path(__file__).with_name("server.py")), *flags]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def environment(home: Path) -> dict[str, str]:
    """Environment of the server: the workspace, and nothing that speaks to others."""
    return {**os.environ, "STEADYBID_HOME": str(home.absolute()), "DO_NOT_TRACK": "1"}


def serve(home: Path, port: int) -> NoReturn:
    """Become the server; it runs until it is stopped. `ConfigError` where the port is taken."""
    line = command(port)
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigError(f"port {port} is taken ({error.strerror}); try another one with --port") from error
    # in the place of this process, so that whoever stops it stops the server
    os.execve(line[0], line, environment(home))
