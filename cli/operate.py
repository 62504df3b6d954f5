"""Running accounts: the hour by hand, approvals, modes, the stop, what was decided, and the schedules.

The stop comes first and asks nobody: a file in the workspace, written before anything that could be broken is
touched.
"""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.accounts import AccountOption, JsonFlag
from cli.author import By, Reason, author
from cli.output import print_json, say, table, warn
from cli.workspace import SystemClock, home, open_workspace
from domain.account import Mode
from domain.errors import ConfigError, SteadyBidError

if TYPE_CHECKING:
    from data import Workspace
    from engine.hourly import HourOutcome

_FIGURES = ("spend", "clicks", "orders", "gmv")


def run_hour(
    account: AccountOption,
    at: Annotated[
        str | None, typer.Option("--at", help="A time within the hour, such as 2026-11-11T20:00+08:00 (default: now).")
    ] = None,
    send: Annotated[
        bool,
        typer.Option("--send", help="On a live account, send the plan even though the hour is not the present one."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Decide an hour of an account, once, as the schedule does; a second time shows what was decided."""
    from engine.accounts import hour_of
    from engine.hourly import run_hour as run

    workspace, clock = open_workspace(), SystemClock()
    hour, present = hour_of(workspace, account, at, clock.now()), hour_of(workspace, account, None, clock.now())
    if hour != present and workspace.account(account).mode is Mode.LIVE and not send:
        raise ConfigError(
            f"account {account!r} is live and {hour} is not the present hour ({present}): its plan would be sent now. "
            f"Add --send to do that, or look at it with: steadybid plan --account {account} --at {hour}"
        )
    _show(workspace, run(workspace, account, hour, clock=clock), as_json)


def approve(
    account: AccountOption,
    hour: Annotated[
        str | None,
        typer.Option("--hour", help="Hour of the plan, such as 2026-11-11T20:00 (default: the one that waits)."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--unit", help="Send the bid of this unit alone; may be given several times (default: all)."),
    ] = None,
    by: By = None,
    as_json: JsonFlag = False,
) -> None:
    """Send the plan that waits for approval, as it was stored; never after its hour has ended."""
    from domain.time import Hour
    from engine.hourly import approve as say_yes
    from engine.hourly import waiting

    workspace, clock = open_workspace(), SystemClock()
    tz = workspace.account(account).tz
    if hour is not None:
        wanted = Hour.parse(hour, tz)
    else:
        there = waiting(workspace, account, clock)
        if not there:
            raise ConfigError(
                f"no plan of account {account!r} waits for approval; see steadybid decisions --account {account}"
            )
        wanted = there[-1]
    _show(workspace, say_yes(workspace, account, wanted, author(by), clock, only=only or None), as_json)


def hold(
    units: Annotated[list[str], typer.Argument(help="Units, as steadybid plan names them.", metavar="UNIT...")],
    account: AccountOption,
    by: By = None,
    reason: Reason = "",
) -> None:
    """Leave the bids of units as they are until they are released; plans go on for all others."""
    open_workspace().hold_units(account, units, by=author(by), reason=reason, now=SystemClock().now())
    say(f"{account}: {len(units)} units held by {author(by)} until: steadybid release --account {account} UNIT...")


def release(
    account: AccountOption,
    units: Annotated[
        list[str] | None, typer.Argument(help="Units that are held (default: all of them).", metavar="[UNIT...]")
    ] = None,
    by: By = None,
    reason: Reason = "",
) -> None:
    """Let the bids of held units be decided again."""
    workspace = open_workspace()
    held = workspace.held_units(account)["unit_id"].to_list()
    if strange := [u for u in units or [] if u not in held]:
        raise ConfigError(f"unit {strange[0]!r} of account {account!r} is not held; see steadybid holds")
    if not held:
        raise ConfigError(f"no unit of account {account!r} is held")
    workspace.release_units(account, units or held, by=author(by), reason=reason, now=SystemClock().now())
    say(f"{account}: {len(units or held)} units released; the next hour decides them again")


def holds(account: AccountOption, as_json: JsonFlag = False) -> None:
    """List the units that somebody holds, and why."""
    workspace = open_workspace()
    tz, rows = workspace.account(account).tz, workspace.held_units(account).to_dicts()
    if as_json:
        print_json({"account": account, "holds": rows})
        return
    if not rows:
        say(f"{account}: no unit is held")
        return
    table(
        ("unit", "held by", "since", "reason"),
        [(r["unit_id"], r["author"], f"{r['said_at'].astimezone(tz):%Y-%m-%d %H:%M}", r["reason"]) for r in rows],
    )


def pause(account: AccountOption, by: By = None, reason: Reason = "") -> None:
    """Stop an account: nothing is decided or sent until it is resumed. Works with a broken database too."""
    from data import stop

    folder, now = home(), SystemClock().now()
    if not (folder / "facts").is_dir() and not (folder / "steadybid.db").exists() and not (folder / "stop").is_dir():
        raise ConfigError(f"{folder} is no workspace; set STEADYBID_HOME to the one that account {account!r} is in")
    path = stop(folder, account, author=author(by), reason=reason, now=now)
    try:
        workspace = open_workspace()
        known = [a.name for a in workspace.accounts()]
    except SteadyBidError as broken:
        warn(f"steadybid: the database could not be asked whether account {account!r} exists: {broken}")
        say(f"{account}: paused by the file {path}")
        return
    if account not in known:
        path.unlink(missing_ok=True)
        raise ConfigError(f"no account {account!r} in this workspace; there are: {', '.join(known) or 'none'}")
    try:
        workspace.set_mode(account, Mode.PAUSED, by=author(by), reason=reason, now=now)
    except SteadyBidError as broken:
        warn(f"steadybid: the pause could not be written to the history: {broken}")
    say(f"{account}: paused; nothing is decided or sent until: steadybid resume --account {account}")


def resume(account: AccountOption, by: By = None, reason: Reason = "") -> None:
    """Let a paused account go on in the mode it had before."""
    workspace = open_workspace()
    if workspace.account(account).mode is not Mode.PAUSED:
        raise ConfigError(f"account {account!r} is not paused; its mode is {workspace.account(account).mode.value}")
    earlier = [m for m in workspace.mode_history(account)["mode"].to_list() if m != Mode.PAUSED.value]
    mode = Mode(earlier[-1]) if earlier else Mode.SHADOW
    workspace.set_mode(account, mode, by=author(by), reason=reason, now=SystemClock().now())
    say(f"{account}: resumed in mode {mode.value}")


def mode(
    wanted: Annotated[str, typer.Argument(help="shadow, approve or live.", metavar="MODE")],
    account: AccountOption,
    by: By = None,
    reason: Reason = "",
) -> None:
    """Say what happens with decisions: shadow (stored only), approve (a person confirms), live (sent)."""
    allowed = [m.value for m in Mode if m is not Mode.PAUSED]
    if wanted not in allowed:
        raise ConfigError(f"mode {wanted!r}: use one of {', '.join(allowed)}; to stop an account, use steadybid pause")
    workspace = open_workspace()
    if workspace.account(account).mode is Mode.PAUSED:
        raise ConfigError(f"account {account!r} is paused; first: steadybid resume --account {account}")
    workspace.set_mode(account, Mode(wanted), by=author(by), reason=reason, now=SystemClock().now())
    say(f"{account}: mode {wanted}")


def decisions(
    account: AccountOption,
    last: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 24,
    as_json: JsonFlag = False,
) -> None:
    """List what was decided for each hour, and what became of it."""
    from data import Views

    workspace = open_workspace()
    owner = workspace.account(account)
    rows = Views(workspace).decisions(account, limit=last).to_dicts()
    if as_json:
        print_json({"account": account, "decisions": rows})
        return
    if not rows:
        say(f"{account}: nothing has been decided yet; try: steadybid run-hour --account {account}")
        return
    table(
        ("hour", "state", "status", "set", "keep", "pause", "hold", "unknown", f"spend, {owner.currency}", "by", "reason"),
        [
            (f"{r['hour'].astimezone(owner.tz):%Y-%m-%d %H:%M}", r["state"], r["status"],
             *(r[f"units_{a}"] for a in ("set", "keep", "pause", "hold", "bid_unknown")),
             r["expected_spend"], r["approved_by"], r["reason"])
            for r in rows
        ],
        right=(3, 4, 5, 6, 7, 8),
    )  # fmt: skip


def serve(
    port: Annotated[int, typer.Option(help="Port of the pages on 127.0.0.1; 0 takes any that is free.")] = 4200,
    seconds: Annotated[float | None, typer.Option("--for", min=1.0, help="Stop after so many seconds.")] = None,
) -> None:
    """Run the hours and nights of all accounts on their schedules, with pages to watch them, until Ctrl-C."""
    from flows.serve import serve as run
    from flows.settings import ServeSettings

    run(ServeSettings(home().absolute(), port=port), seconds=seconds, tell=_at_once)


def _at_once(line: str) -> None:
    say(line)
    sys.stdout.flush()  # whoever watches through a pipe wants the address now


def _show(workspace: "Workspace", outcome: "HourOutcome", as_json: bool) -> None:
    owner = workspace.account(outcome.account)
    record: dict[str, Any] = {
        "account": outcome.account,
        "hour": outcome.hour.start,
        "hour_local": outcome.hour.local(owner.tz),
        "what": outcome.what.value,
        "mode": outcome.mode.value,
        "state": None,
        "words": outcome.words,
        "notes": list(outcome.notes),
    }
    if outcome.decision is not None:
        from bidding import explain

        found, plan = outcome.decision, outcome.decision.plan
        counts = dict(plan.units["action"].cast(str).value_counts(sort=True).iter_rows())
        receipts = (
            {} if found.receipts is None else dict(found.receipts.rows["state"].cast(str).value_counts().iter_rows())
        )
        units = plan.units.with_columns(explain(plan, owner.currency).alias("reason")).to_dicts()
        for unit in units:
            unit["bid"], unit["live_bid"] = unit.pop("bid_cpc"), unit.pop("live_bid_cpc")
        record |= {
            "state": found.state.value,
            "status": plan.status.value,
            "reason": plan.reason,
            "decided_at": found.decided_at,
            "known": dict(found.known),
            "expected": {name: float(plan.units[name].sum()) for name in _FIGURES},
            "counts": counts,
            "receipts": receipts,
            "units": units,
        }
    if as_json:
        print_json(record)
        return
    say(f"account {outcome.account}, hour {outcome.hour.local(owner.tz):%Y-%m-%d %H:%M %z}, mode {outcome.mode.value}")
    say(f"  {outcome.words}")
    if outcome.decision is not None:
        counts = ", ".join(f"{n} {action}" for action, n in record["counts"].items()) or "none"
        say(f"  units: {counts}; expected spend {record['expected']['spend']:,.2f} {owner.currency}")
        if record["receipts"]:
            say("  platform: " + ", ".join(f"{n} {state}" for state, n in record["receipts"].items()))
    for note in outcome.notes:
        say(f"  note: {note}")
