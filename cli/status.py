"""`steadybid status`: what was bought, what its reports say by now, what they will end with, and what targets count."""

from datetime import timedelta
from typing import Annotated, Any

import typer

from cli.accounts import AccountOption, JsonFlag
from cli.output import dash, print_json, say, table
from cli.workspace import SystemClock, open_workspace


def status(
    account: AccountOption,
    at: Annotated[
        str | None, typer.Option("--at", help="A time within an hour, such as 2026-11-11T20:00+08:00 (default: now).")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="Days back (default: the promotion while one runs, else 7 days).")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show spend, reported ROI, final ROI with its 80 % band, and the ROI that targets count, by account and campaign."""
    from engine.accounts import hour_of
    from engine.what_if import study

    workspace = open_workspace()
    owner = workspace.account(account)
    hour = hour_of(workspace, account, at, SystemClock().now())
    window = workspace.phases(account).window
    if days is None and window is not None and hour.start in window:
        since, words = window.start, "since the promotion began"
    else:
        back = days or 7
        since, words = (
            hour.start - timedelta(days=back),
            f"over the last {back} days" if back > 1 else "over the last day",
        )
    rows = study(workspace, account, hour).matured_roi(since).to_dicts()
    if as_json:
        print_json({"account": account, "hour": hour.start, "since": since, "currency": owner.currency, "groups": rows})
        return
    say(f"{account}: bought {words}, as known at {hour.local(owner.tz):%Y-%m-%d %H:%M}")
    shown = [r for r in rows if r["spend"] > 0 or r["group"] == "account"]
    table(
        ("", f"spend, {owner.currency}", "ROI reported", "final, 80 % band", "ROI for targets"),
        [(_name(r["group"]), r["spend"], r["reported_roi"], _band(r), r["roi"]) for r in shown],
        right=(1, 2, 3, 4),
    )
    say(
        "final: what reports will end with: orders still to come from clicks paid already, less orders and spend that come back"
    )
    if any(r["roi"] is not None and not r["roi_low"] <= r["roi"] <= r["roi_high"] for r in shown):
        say("ROI for targets: of few orders the luck counts in part only, so that a lucky day is not spent twice")


def _name(group: str) -> str:
    kind, _, key = group.partition(":")
    return f"all of {key}" if kind == "business_type" else key or group


def _band(row: dict[str, Any]) -> str | None:
    return None if row["roi"] is None else f"{row['roi_low']:.2f} {dash()} {row['roi_high']:.2f}"
