import asyncio
import socket
from pathlib import Path

import pytest

from dashboard import launch, server
from dashboard.theme import SERVER_OPTIONS
from domain.errors import ConfigError

ROOMS = {
    "domain",
    "data",
    "predictors",
    "bidding",
    "pacing",
    "connectors",
    "market",
    "engine",
    "evaluation",
    "flows",
    "cli",
}


def test_the_server_listens_on_this_machine_only_and_tells_nobody() -> None:
    flags = launch.command(8777)
    for flag in (
        "--server.address=127.0.0.1",
        "--server.port=8777",
        "--server.allowedHosts=127.0.0.1",
        "--browser.gatherUsageStats=false",
        "--server.fileWatcherType=none",
        "--server.headless=true",
        "--client.disableDataExport=true",
    ):
        assert flag in flags


def test_no_option_names_an_address_outside_this_machine() -> None:
    assert not [v for v in SERVER_OPTIONS.values() if isinstance(v, str) and "://" in v]


@pytest.mark.parametrize("port", [0, -1, 70000])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(ConfigError, match="65535"):
        launch.command(port)


def test_a_port_that_is_taken_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} is taken"):
            launch.serve(tmp_path, port)


def test_no_module_of_the_dashboard_bears_the_name_of_a_room() -> None:
    here = Path(launch.__file__).parent
    assert not {p.stem for p in here.glob("*.py")} & ROOMS


def ask(path: str, kind: str = "http") -> tuple[list[dict], list[str]]:
    """What the door answers, and what it passes on."""
    sent, passed = [], []

    async def inner(scope: dict, receive: object, send: object) -> None:
        passed.append(scope["path"])

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(server.Door(inner)({"type": kind, "path": path}, None, send))
    return sent, passed


@pytest.mark.parametrize("address", server.ADDRESSES)
def test_the_address_of_a_page_leads_to_the_root(address: str) -> None:
    sent, passed = ask(f"/{address}")
    assert sent[0]["status"] == 302
    assert dict(sent[0]["headers"])[b"location"] == f"/?page={address}".encode()
    assert not passed


@pytest.mark.parametrize("path", ["/", "/_stcore/health", "/static/x.js", "/targets/more", "//evil.example"])
def test_everything_else_passes_the_door(path: str) -> None:
    assert ask(path) == ([], [path])
