"""`steadybid init` and `steadybid accounts`: the workspace and who is in it."""

from dataclasses import replace
from typing import Annotated

import typer

from cli.output import print_json, say, table, warn
from cli.workspace import SystemClock, home, open_workspace
from domain.account import Account
from domain.errors import ConfigError

AccountOption = Annotated[str, typer.Option("--account", "-a", help="Name of the account.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]


def init(
    account: Annotated[str | None, typer.Option("--account", "-a", help="Also make this account.")] = None,
    currency: Annotated[str | None, typer.Option(help="ISO 4217 code of the account, such as INR.")] = None,
    timezone: Annotated[
        str | None, typer.Option(help="IANA time zone of the account, such as Asia/Kolkata (default: UTC, assumed).")
    ] = None,
    platform: Annotated[str | None, typer.Option(help="Platform profile of the account (default: amazon-sp).")] = None,
) -> None:
    """Make the workspace (var/ below this folder, or STEADYBID_HOME), and an account in it. Safe to repeat."""
    if account is None:
        given = [
            n for n, v in (("currency", currency), ("timezone", timezone), ("platform", platform)) if v is not None
        ]
        if given:
            raise ConfigError(f"--{given[0]} belongs to an account; add --account NAME")
        open_workspace(create=True)
        say(f"workspace: {home()}")
        say(
            "next: steadybid init --account NAME --currency CODE --timezone ZONE, or steadybid import FILES --account NAME"
        )
        return
    if currency is None:
        raise ConfigError(f"account {account!r} needs a currency; add --currency, such as --currency INR")
    stated = _stated(account, currency, timezone, platform)  # refuses nonsense before anything is written
    workspace = open_workspace(create=True)
    there = next((a for a in workspace.accounts() if a.name == account), None)
    if there is not None:  # what was not said again stays as it is
        stated = replace(stated, timezone=timezone or there.timezone, platform=platform or there.platform)
    say(f"workspace: {home()}")
    made = workspace.create_account(stated, SystemClock().now())
    assumed = f" ({', '.join(made.assumed)} assumed)" if made.assumed else ""
    say(f"account {made.name}: {made.currency}, {made.timezone}, {made.platform}, mode {made.mode.value}{assumed}")
    _warn_of_limits(made)


def _stated(name: str, currency: str, timezone: str | None, platform: str | None) -> Account:
    from connectors import profile

    stated = Account(
        name,
        currency.strip().upper(),
        "UTC" if timezone is None else timezone,
        profile("amazon-sp" if platform is None else platform).name,
        assumed=("timezone",) if timezone is None else (),
    )
    if stated.currency == "XXX":
        raise ConfigError("currency 'XXX' means none; use the ISO 4217 code of the account's money, such as INR")
    return stated


def _warn_of_limits(account: Account) -> None:
    """Tell early what would only show when the first hour is planned."""
    from connectors import profile

    try:
        profile(account.platform).limits(account.currency)
    except ConfigError as missing:
        warn(f"note: reports can be imported, but bids cannot be planned yet: {missing}")


def accounts(as_json: JsonFlag = False) -> None:
    """List the accounts of the workspace."""
    found = open_workspace().accounts()
    if not found and not as_json:
        say("no account yet: steadybid init --account NAME --currency CODE --timezone ZONE, or import a report")
        return
    if as_json:
        print_json({"accounts": [
            {"account": a.name, "currency": a.currency, "timezone": a.timezone, "platform": a.platform,
             "mode": a.mode.value, "assumed": list(a.assumed)} for a in found
        ]})  # fmt: skip
        return
    table(
        ("account", "currency", "time zone", "platform", "mode", "assumed"),
        [(a.name, a.currency, a.timezone, a.platform, a.mode.value, ", ".join(a.assumed) or None) for a in found],
    )
