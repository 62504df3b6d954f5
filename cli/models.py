"""`steadybid models`: the fits that the nights tried, which one is used, and going back to an earlier one."""

from dataclasses import asdict
from typing import Annotated

import typer

from cli.accounts import AccountOption, JsonFlag
from cli.author import By, Reason, author
from cli.output import print_json, say, table
from cli.workspace import SystemClock, open_workspace

models_app = typer.Typer(
    help="Fits of the forecast: which one is used, how good it was, and going back.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@models_app.command("list")
def list_models(
    account: AccountOption,
    last: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 14,
    as_json: JsonFlag = False,
) -> None:
    """List the fits that were tried, newest first, with their scores on a day that they had not seen."""
    from engine.champions import FitBook

    workspace = open_workspace()
    owner = workspace.account(account)
    found = FitBook.of(workspace.home, owner.name).fits()[::-1][:last]
    if as_json:
        print_json({"account": account, "fits": [asdict(fit) for fit in found]})
        return
    if not found:
        say(f"{account}: no fit has been tried yet, so all rows are used; the nights of steadybid serve try one a day")
        return
    table(
        ("learned from rows before", "state", "loss", "champion's", "±", "clicks", "bands held", "reason"),
        [
            (f"{fit.until.astimezone(owner.tz):%Y-%m-%d %H:%M}", fit.state, f"{fit.loss:.4f}",
             "none yet" if fit.champion_loss is None else f"{fit.champion_loss:.4f}", f"{fit.error:.4f}", f"{fit.clicks:,.0f}",
             "not counted" if fit.coverage is None else f"{fit.coverage:.0%} of {fit.bands}", fit.reason)
            for fit in found
        ],
        right=(2, 3, 4, 5, 6),
    )  # fmt: skip
    for fit in found:
        for alarm in fit.alarms:
            say(f"  alarm, {fit.until.astimezone(owner.tz):%Y-%m-%d}: {alarm}")
    say("loss: log loss per click on the day after the fit's rows; lower is better. Bands are made to hold 80 %.")


@models_app.command("roll-back")
def roll_back_model(account: AccountOption, by: By = None, reason: Reason = "") -> None:
    """Return to the champion before the present one; for a week a newer fit must then be better by its noise."""
    from engine.champions import roll_back

    workspace = open_workspace()
    tz = workspace.account(account).tz
    until = roll_back(workspace, account, SystemClock().now(), reason or "no reason given", author(by))
    say(f"{account}: back to the fit of rows before {until.astimezone(tz):%Y-%m-%d %H:%M}; the next hour uses it")
