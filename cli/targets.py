"""`steadybid targets` and `steadybid phases`: what the trader wants, saved with name and reason."""

import tomllib
from pathlib import Path
from typing import Annotated

import typer

from cli.accounts import AccountOption, JsonFlag
from cli.author import By, Reason, author
from cli.output import print_json, say, table
from cli.workspace import SystemClock, open_workspace
from domain.errors import ConfigError
from domain.goals import Period, Scope, Target, TargetKind

targets_app = typer.Typer(help="Targets: ROI, CPC, CPA, budgets.", no_args_is_help=True, rich_markup_mode=None)
phases_app = typer.Typer(help="Phases of a promotion.", no_args_is_help=True, rich_markup_mode=None)

Campaign = Annotated[str | None, typer.Option("--campaign", help="Campaign that the targets stand on.")]
BusinessType = Annotated[str | None, typer.Option("--business-type", help="Business type that the targets stand on.")]
Unit = Annotated[str | None, typer.Option("--unit", help="Bid unit that the targets stand on.")]


def _place(campaign: str | None, business_type: str | None, unit: str | None) -> tuple[Scope, str]:
    named = ((Scope.CAMPAIGN, campaign), (Scope.BUSINESS_TYPE, business_type), (Scope.UNIT, unit))
    given = [(scope, key) for scope, key in named if key is not None]
    for scope, key in given:
        if not key.strip():
            raise ConfigError(f"--{scope.value.replace('_', '-')} is empty; name the group, or leave it out")
    if len(given) > 1:
        raise ConfigError("a target stands on one group: give only one of --campaign, --business-type, --unit")
    return given[0] if given else (Scope.ACCOUNT, "")


def _number(text: str | None, kind: TargetKind) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{kind.value} target {text!r} is not a number: need {kind.allowed}") from None


@targets_app.command("set")
def set_targets(
    account: AccountOption,
    roi: Annotated[str | None, typer.Option(help="Least gmv per unit of spend, such as 4.0.")] = None,
    cpc: Annotated[str | None, typer.Option(help="Most spend per click, account currency.")] = None,
    cpa: Annotated[str | None, typer.Option(help="Most spend per order, account currency.")] = None,
    budget: Annotated[str | None, typer.Option(help="Most spend over the promotion, account currency.")] = None,
    daily_budget: Annotated[str | None, typer.Option(help="Most spend in a local day, account currency.")] = None,
    budgets_from_reports: Annotated[
        bool, typer.Option("--budgets-from-reports", help="Daily budget of every campaign as its report says.")
    ] = False,
    campaign: Campaign = None,
    business_type: BusinessType = None,
    unit: Unit = None,
    by: By = None,
    reason: Reason = "",
) -> None:
    """Set targets on the account, or on one campaign, business type or unit. A set one replaces the earlier one."""
    scope, key = _place(campaign, business_type, unit)
    wanted: list[Target] = []
    for kind, text, period in (
        (TargetKind.ROI, roi, Period.HORIZON),
        (TargetKind.CPC, cpc, Period.HORIZON),
        (TargetKind.CPA, cpa, Period.HORIZON),
        (TargetKind.BUDGET, budget, Period.HORIZON),
        (TargetKind.BUDGET, daily_budget, Period.DAY),
    ):
        number = _number(text, kind)
        if number is not None:
            wanted.append(Target(kind, number, scope, key, period))
    workspace = open_workspace()
    workspace.account(account)
    if budgets_from_reports:
        found = workspace.reported_budgets(account)
        if not found:
            raise ConfigError(
                f"no campaign report of account {account!r} states a budget; import one, or give --daily-budget"
            )
        wanted += [Target(TargetKind.BUDGET, v, Scope.CAMPAIGN, k, Period.DAY) for k, v in found.items()]
    if not wanted:
        raise ConfigError(
            "nothing to set: give --roi, --cpc, --cpa, --budget, --daily-budget or --budgets-from-reports"
        )
    _check_groups(account, wanted)
    for target in wanted:
        workspace.set_target(account, target, by=author(by), reason=reason, now=SystemClock().now())
        say(f"{account}: {target.kind.value} {target.value:g} on {target.label}{_per(target)}")


def _check_groups(account: str, wanted: list[Target]) -> None:
    """Refuse a target on a group that the account's units do not have."""
    named = [t for t in wanted if t.scope in (Scope.CAMPAIGN, Scope.BUSINESS_TYPE, Scope.UNIT)]
    if not named:
        return
    units = open_workspace().units(account)
    for target in named:
        column = "unit_id" if target.scope is Scope.UNIT else target.scope.value
        there = units[column].drop_nulls().unique().sort().to_list()
        if target.key not in there:
            shown = ", ".join(there[:8]) + (" ..." if len(there) > 8 else "")
            raise ConfigError(
                f"no {target.scope.value} {target.key!r} in account {account!r}; there are: {shown or 'none yet'}"
            )


def _per(target: Target) -> str:
    return " per day" if target.period is Period.DAY else ""


@targets_app.command("list")
def list_targets(account: AccountOption, as_json: JsonFlag = False) -> None:
    """List the targets in force, with who set them and why."""
    found = open_workspace().target_history(account, only_in_force=True)
    if as_json:
        print_json({"account": account, "targets": found.to_dicts()})
        return
    if not found.height:
        say(f"{account}: no targets; plans follow the daily budgets of the reports")
        return
    table(
        ("target", "value", "on", "period", "since", "by", "reason"),
        [
            (r["kind"], r["value"], r["scope"] + (f":{r['key']}" if r["key"] else ""), r["period"],
             r["set_at"].isoformat(timespec="minutes"), r["author"], r["reason"])
            for r in found.to_dicts()
        ],
        right=(1,),
    )  # fmt: skip


@targets_app.command("remove")
def remove_target(
    account: AccountOption,
    kind: Annotated[TargetKind, typer.Argument(help="Kind of target to remove.")],
    campaign: Campaign = None,
    business_type: BusinessType = None,
    unit: Unit = None,
    daily: Annotated[bool, typer.Option("--daily", help="The daily one.")] = False,
    by: By = None,
    reason: Reason = "",
) -> None:
    """Remove one target."""
    scope, key = _place(campaign, business_type, unit)
    period = Period.DAY if daily else Period.HORIZON
    gone = open_workspace().remove_target(
        account, kind=kind, scope=scope, key=key, period=period, by=author(by), reason=reason, now=SystemClock().now()
    )
    if not gone:
        raise ConfigError(f"account {account!r} has no such target; see steadybid targets list --account {account}")
    say(f"{account}: {kind.value} target removed")


@phases_app.command("set")
def set_phases(
    file: Annotated[Path, typer.Argument(help="TOML file with [[phase]] tables.", metavar="FILE.toml")],
    account: AccountOption,
    by: By = None,
    reason: Reason = "",
) -> None:
    """Set the phases of a promotion from a file: name, kind, start, end, and if wanted budget, traffic, value, price."""
    from domain.phases import PromotionCalendar
    from engine.calendar import calendar_from_toml

    workspace = open_workspace()
    owner = workspace.account(account)
    try:
        table_read = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not readable TOML: {error}") from error
    calendar: PromotionCalendar = calendar_from_toml(table_read, str(file), owner.tz)
    workspace.set_phases(account, calendar, by=author(by), reason=reason, now=SystemClock().now())
    for phase in calendar.phases:
        money = f", budget {phase.budget:,.2f} {owner.currency}" if phase.budget else ""
        say(f"{account}: {phase.name} ({phase.kind.value}) {phase.window.start.astimezone(owner.tz):%Y-%m-%d %H:%M} to "
            f"{phase.window.end.astimezone(owner.tz):%Y-%m-%d %H:%M}{money}")  # fmt: skip


@phases_app.command("show")
def show_phases(account: AccountOption, as_json: JsonFlag = False) -> None:
    """Show the phases in force."""
    workspace = open_workspace()
    owner = workspace.account(account)
    phases = workspace.phases(account).phases
    rows = [
        {"name": p.name, "kind": p.kind.value, "start": p.window.start.astimezone(owner.tz),
         "end": p.window.end.astimezone(owner.tz), "budget": p.budget, "traffic": p.traffic, "value": p.value, "price": p.price}
        for p in phases
    ]  # fmt: skip
    if as_json:
        print_json({"account": account, "phases": rows})
    elif not rows:
        say(f"{account}: no phases; every day is an ordinary day")
    else:
        table(tuple(rows[0]), [tuple(str(v) if k in ("start", "end") else v for k, v in r.items()) for r in rows])
