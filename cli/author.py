"""Who changes something and why: two options of every command that leaves a mark in an account's history."""

import getpass
from typing import Annotated

import typer

By = Annotated[str | None, typer.Option("--by", help="Who does this (default: your login name).")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the change.")]


def author(by: str | None) -> str:
    """Name to write down: as given, else the login name, and ``unknown`` where the machine has none."""
    if by and by.strip():
        return by
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return "unknown"
