"""`steadybid dashboard`: the pages, in a browser on this machine."""

import sys
from typing import Annotated

import typer

from cli.output import say
from cli.workspace import home


def dashboard(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 8501,
) -> None:
    """Show the workspace in a browser, on this machine only; stop it with Ctrl-C."""
    from dashboard.launch import serve

    say(f"dashboard of {home()}: http://127.0.0.1:{port} (stop with Ctrl-C)")
    sys.stdout.flush()
    serve(home(), port)
