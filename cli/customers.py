"""`steadybid new-customers`: how many of the orders came from people who had not bought before, by campaign."""

from typing import Annotated

import typer

from cli.accounts import AccountOption, JsonFlag
from cli.output import dash, print_json, say, table
from cli.workspace import SystemClock, open_workspace


def new_customers(
    account: AccountOption,
    at: Annotated[
        str | None, typer.Option("--at", help="As known at a time, such as 2026-11-11T20:00+08:00 (default: now).")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the share of orders that new customers place, with 80 % bands, where reports tell it."""
    from engine.accounts import hour_of
    from engine.new_customers import new_customers as learned

    workspace = open_workspace()
    owner = workspace.account(account)
    cut = None if at is None else hour_of(workspace, account, at, SystemClock().now()).start
    found = learned(workspace, owner.name, cut)
    whole = found.account
    if as_json:
        told = None if whole is None else {"rate": whole.mean[0], "low": whole.low[0], "high": whole.high[0]}
        print_json({"account": account, "told": told, "campaigns": found.campaigns.to_dicts(), "note": found.note})
        return
    say(f"{account}: {found.note}")
    if whole is None:
        return
    say(
        f"chance that an order is a new customer's: {whole.mean[0]:.0%}, 80 % band {_band(whole.low[0], whole.high[0])}"
    )
    table(
        ("campaign", "orders", "new", "chance", "80 % band"),
        [
            (r["campaign"], f"{r['orders']:,.0f}", f"{r['new']:,.0f}", f"{r['rate']:.0%}", _band(r["low"], r["high"]))
            for r in found.campaigns.iter_rows(named=True)
        ],
        right=(1, 2, 3, 4),
    )
    say("chance: a campaign with few orders is drawn to its category's and the account's")


def _band(low: float, high: float) -> str:
    return f"{low:.0%} {dash()} {high:.0%}"
