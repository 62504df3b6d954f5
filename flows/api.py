"""Prefect's API server and UI as a process of their own: ``python -m flows.api LISTENING_FD LIFELINE_FD``.

The socket is handed over open, so a free port cannot be lost between choosing and using it. The lifeline is the
reading end of a pipe that the parent holds: when the parent is gone, however it went, the server stops too, and
no orphan keeps the records locked.
"""

import os
import socket
import sys
import threading
from typing import Any

import uvicorn
from prefect.server.api.server import create_app
from prefect.server.database.orm_models import FlowRun
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from flows.settings import HOST


def let_schedules_be_stored() -> None:
    """Let Prefect 3.8 store scheduled runs under SQLAlchemy 2.1.

    Its scheduler hands rows to a bulk insert that hold a key ``state``, which is a hybrid property, not a
    column. SQLAlchemy 2.0 left such keys alone; 2.1 asks the property how to store them, and fails where it does
    not say: no schedule would ever start a run. The answer is: not at all, the states have rows of their own.
    """
    state: Any = FlowRun.__mapper__.all_orm_descriptors["state"]
    if hasattr(state.inplace, "bulk_dml"):
        state.inplace.bulk_dml(lambda cls, mapping, value: None)


class OwnPagesOnly:
    """Refuses what a browser sends for a page of another origin; programs, which name no origin, pass.

    CORS keeps a foreign page from reading an answer, not from making the call: any page that the merchant
    happens to visit could start runs, or worse, on 127.0.0.1.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            own = {f"{scheme}://{host}:{_port(scope)}" for scheme in ("http", "https") for host in self.hosts}
            if headers.get("origin", "") not in {"", *own}:
                if scope["type"] == "websocket":
                    await send({"type": "websocket.close", "code": 1008})
                else:
                    await PlainTextResponse("pages of other origins are not served here", 403)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _port(scope: Scope) -> int:
    server = scope.get("server")
    return int(server[1]) if server else 0


def application() -> ASGIApp:
    """Prefect's application, for this machine only.

    The host name is checked too: a foreign page whose name resolves to 127.0.0.1 would count as our own.
    """
    let_schedules_be_stored()
    hosts = (HOST, "localhost")
    # around the application, not in it: its automations call it within the process, by another name
    return TrustedHostMiddleware(OwnPagesOnly(create_app(), hosts), allowed_hosts=list(hosts))


def main(listening: int, lifeline: int) -> None:
    """Serve until told to stop, or until the parent is gone."""
    server = uvicorn.Server(
        uvicorn.Config(application(), log_level="warning", timeout_keep_alive=5, timeout_graceful_shutdown=3)
    )

    def stop_with_the_parent() -> None:
        os.read(lifeline, 1)
        server.should_exit = True

    threading.Thread(target=stop_with_the_parent, daemon=True).start()
    server.run(sockets=[socket.socket(fileno=listening)])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
