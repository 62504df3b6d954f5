"""`steadybid explain`: why one unit's bid is what it is, what another bid would do, and why it moved."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.accounts import AccountOption, JsonFlag
from cli.bids import AtOption
from cli.output import print_json, say
from cli.workspace import SystemClock, open_workspace
from domain.errors import SteadyBidError

if TYPE_CHECKING:
    from data import Workspace
    from domain.plans import BidPlan
    from domain.time import Hour


def explain(
    account: AccountOption,
    unit: Annotated[str, typer.Option("--unit", "-u", help="Unit, as `steadybid plan` names it.")],
    at: AtOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what sets a unit's bid, what a bid 10 % off would do, and why it moved since the hour before."""
    from bidding import explain_unit
    from engine.accounts import hour_of, preview
    from engine.what_if import study

    workspace = open_workspace()
    hour = hour_of(workspace, account, at, SystemClock().now())
    seen = preview(workspace, account, hour)
    owner = seen.known.account
    outlook = study(workspace, account, hour).outlook
    found = explain_unit(seen.plan, outlook, _before(workspace, account, hour.plus(-1)), unit, currency=owner.currency)
    if as_json:
        print_json(asdict(found) | {"account": account, "hour": hour.start, "parts": dict(found.parts)})
        return
    said = "no bid" if found.bid is None else f"bid {found.bid:,.4g} {owner.currency}"
    say(f"{unit}, {hour.local(owner.tz):%Y-%m-%d %H:%M} ({owner.timezone}): {said}")
    for line in found.words:
        say(f"  {line}")


def _before(workspace: "Workspace", account: str, hour: "Hour") -> "BidPlan | None":
    """Plan of an hour: the journalled one, else what would have been planned; ``None`` where nothing was known."""
    from engine.accounts import preview

    decided = workspace.journal(account).find(hour)
    if decided is not None:
        return decided.plan
    try:
        plan = preview(workspace, account, hour).plan
    except SteadyBidError:
        return None
    return plan if plan.units.height else None
