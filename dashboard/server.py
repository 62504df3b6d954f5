"""The server of the dashboard: Streamlit's, and a small door before it.

A page that is asked for by its address (``/targets``) is led to ``/?page=targets``. Streamlit's client would
otherwise look for its server below ``/targets`` first, and leave errors in the browser's console.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.middleware import Middleware
from streamlit.starlette import App

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Addresses of pages, the first one being that of ``/``.
ADDRESSES = ("overview", "cost-stability", "targets", "bids", "merchant")


class Door:
    """ASGI middleware that leads addresses of pages to the root."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a redirect, or pass on."""
        page = str(scope.get("path", "")).strip("/")
        if scope["type"] != "http" or page not in ADDRESSES:
            await self._app(scope, receive, send)
            return
        headers = [(b"location", f"/?page={page}".encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 302, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


app = App("app.py", middleware=[Middleware(Door)])
