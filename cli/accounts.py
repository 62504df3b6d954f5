"""`steadybid init` and `steadybid accounts`: the workspace and who is in it."""

from typing import Annotated

import typer

from cli.output import print_json, say, table
from cli.workspace import SystemClock, home, open_workspace
from domain.account import Account
from domain.errors import ConfigError

AccountOption = Annotated[str, typer.Option("--account", "-a", help="Name of the account.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]


def init(
    account: Annotated[str | None, typer.Option("--account", "-a", help="Also make this account.")] = None,
    currency: Annotated[str | None, typer.Option(help="ISO 4217 code of the account, such as INR.")] = None,
    timezone: Annotated[str, typer.Option(help="IANA time zone of the account, such as Asia/Kolkata.")] = "UTC",
    platform: Annotated[str, typer.Option(help="Platform profile of the account.")] = "amazon-sp",
) -> None:
    """Make the workspace (var/ below this folder, or STEADYBID_HOME), and an account in it."""
    if account is None and currency is not None:
        raise ConfigError("--currency belongs to an account; add --account NAME")
    if account is not None and currency is None:
        raise ConfigError(f"account {account!r} needs a currency; add --currency, such as --currency INR")
    made = None
    if account is not None and currency is not None:
        from connectors import profile

        profile(platform)  # refuses an unknown platform before anything is written
        made = Account(name=account, currency=currency.upper(), timezone=timezone, platform=platform)
    workspace = open_workspace(create=True)
    say(f"workspace: {home()}")
    if made is not None:
        workspace.create_account(made, SystemClock().now())
        say(f"account {made.name}: {made.currency}, {made.timezone}, {made.platform}, mode {made.mode.value}")
    else:
        say(
            "next: steadybid init --account NAME --currency CODE --timezone ZONE, or steadybid import FILES --account NAME"
        )


def accounts(as_json: JsonFlag = False) -> None:
    """List the accounts of the workspace."""
    found = open_workspace().accounts()
    if as_json:
        print_json({"accounts": [
            {"account": a.name, "currency": a.currency, "timezone": a.timezone, "platform": a.platform,
             "mode": a.mode.value, "assumed": list(a.assumed)} for a in found
        ]})  # fmt: skip
        return
    table(
        ("account", "currency", "time zone", "platform", "mode", "assumed"),
        [(a.name, a.currency, a.timezone, a.platform, a.mode.value, ", ".join(a.assumed) or "–") for a in found],
    )
