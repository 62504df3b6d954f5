"""`steadybid dashboard`: the pages, in a browser on this machine."""

from typing import Annotated

import typer

from cli.output import say
from cli.workspace import home
from domain.errors import SteadyBidError


class _Ended(SteadyBidError):
    """The dashboard's server ended by itself."""


def dashboard(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 8501,
) -> None:
    """Show the workspace in a browser, on this machine only; stop it with Ctrl-C."""
    from dashboard.launch import serve

    say(f"dashboard of {home()}: http://127.0.0.1:{port} (stop with Ctrl-C)")
    status = serve(home(), port)
    if status:
        raise _Ended(f"the dashboard ended with status {status}; if the port is taken, try --port {port + 1}")
