"""`steadybid plan` and `steadybid export-bids`: what each unit should bid, and the files that say so."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.accounts import AccountOption, JsonFlag
from cli.output import number, print_json, say, table, width
from cli.workspace import SystemClock, home, open_workspace

if TYPE_CHECKING:
    from engine.accounts import Preview

AtOption = Annotated[
    str | None, typer.Option("--at", help="Decide as of this time, such as 2020-02-23T00:00+05:30 (default: now).")
]
_FIGURES = ("spend", "clicks", "orders", "gmv")


def plan(
    account: AccountOption,
    at: AtOption = None,
    top: Annotated[int, typer.Option(min=1, help="Units to show in the table, by expected spend.")] = 40,
    as_json: JsonFlag = False,
) -> None:
    """Show what would be bid for every unit in an hour, and why; stores and sends nothing."""
    from bidding import explain
    from engine.accounts import hour_of, preview

    workspace = open_workspace()
    hour = hour_of(workspace, account, at, SystemClock().now())
    seen = preview(workspace, account, hour)
    reasons = explain(seen.plan, seen.known.account.currency)
    record = _record(seen, reasons.to_list())
    if as_json:
        print_json(record)
        return
    _show(record, explain(seen.plan, seen.known.account.currency, brief=True).to_list(), top)


def _record(seen: "Preview", reasons: list[str]) -> dict[str, Any]:
    known, plan_, targets = seen.known, seen.plan, seen.plan.targets
    units = plan_.units.to_dicts()
    counts: dict[str, int] = {}
    for unit, reason in zip(units, reasons, strict=True):
        unit["bid"], unit["live_bid"], unit["reason"] = unit.pop("bid_cpc"), unit.pop("live_bid_cpc"), reason
        counts[unit["action"]] = counts.get(unit["action"], 0) + 1
    totals = {name: known.totals()[name] for name in (*_FIGURES,)}
    return {
        "account": known.account.name,
        "currency": known.account.currency,
        "hour": known.hour.start,
        "hour_local": known.hour.local(known.account.tz),
        "status": plan_.status.value,
        "reason": plan_.reason,
        "known": totals | {"rows": known.performance.height, "learned_until": known.performance["learned_at"].max()},
        "targets": []
        if targets is None
        else [
            {"kind": r.kind, "on": r.group, "target": r.target, "spent": r.spent, "gmv": r.gained, "binds": r.binds,
             "shadow_price": r.shadow_price, "words": r.words}
            for r in targets.rows
        ],
        "certificate": None
        if targets is None or targets.certificate is None
        else {
            "value": targets.certificate.value, "bound": targets.certificate.bound, "gap": targets.certificate.gap,
            "violation": targets.certificate.violation, "words": targets.certificate.words,
        },
        "expected": {name: float(plan_.units[name].sum()) for name in _FIGURES},
        "counts": counts,
        "notes": [*seen.notes, *plan_.notes],
        "units": units,
    }  # fmt: skip


def _show(record: dict[str, Any], briefly: list[str], top: int) -> None:
    money = record["currency"]
    say(f"account {record['account']}, hour {record['hour_local']:%Y-%m-%d %H:%M %z}: {record['status']}")
    say(f"  {record['reason']}")
    known = record["known"]
    say(
        f"  known then: {known['spend']:,.2f} {money} spend, {known['clicks']:,.0f} clicks, {known['orders']:,.0f} orders"
    )
    for line in _targets_in_words(record["targets"], money):
        say(f"  target: {line}")
    if record["certificate"]:
        say(f"  proof: {record['certificate']['words']}")
    for note in record["notes"]:
        say(f"  note: {note}")
    counts = ", ".join(f"{n} {action.replace('_', ' ')}" for action, n in sorted(record["counts"].items()))
    say(f"  units: {len(record['units'])} ({counts or 'none'}); figures below are of this hour, in {money}")
    if not record["units"]:
        return
    _unit_table(record, briefly, top)
    if len(record["units"]) > top:
        say(f"... {len(record['units']) - top} more units; --top {len(record['units'])} or --json shows all")


def _targets_in_words(targets: list[dict[str, Any]], money: str) -> list[str]:
    """One line for each target that binds or is no budget; the budgets that leave room in one line."""
    idle = [t for t in targets if t["kind"] == "budget" and not t["binds"] and t["on"].startswith("campaign:")]
    if len(idle) < 3:
        return [t["words"] for t in targets]
    told = [t["words"] for t in targets if t not in idle]
    total = sum(t["target"] for t in idle)
    return [*told, f"{len(idle)} campaign budgets, {total:,.2f} {money} in all, do not bind"]


def _unit_table(record: dict[str, Any], briefly: list[str], top: int) -> None:
    """Table of the units that spend most; what says the same of all, or finds no room, is left out."""
    units = [unit | {"why": why} for unit, why in zip(record["units"], briefly, strict=True)]
    shown = sorted(units, key=lambda u: -(u["spend"] or 0.0))[:top]
    wide = width() >= 130
    columns: dict[str, tuple[str, bool, Any]] = {"unit_id": ("unit", False, "all units")}
    if len(record["counts"]) > 1:
        columns["action"] = ("action", False, "")
    columns["bid"] = ("bid", True, "")
    if any(u["live_bid"] is not None for u in units):
        columns["live_bid"] = ("live", True, "")
    total = record["expected"]
    columns["spend"] = ("spend", True, total["spend"])
    if wide:
        columns["band"] = ("80 % band", True, "")
    columns |= {name: (name, True, total[name]) for name in ("clicks", "orders", "gmv")}
    columns["why"] = ("why", False, "")
    for unit in shown:
        unit["action"] = unit["action"].replace("_", " ")
        unit["band"] = f"{number(unit['spend_low'])} to {number(unit['spend_high'])}"
    table(
        [heading for heading, _, _ in columns.values()],
        [[unit[name] for name in columns] for unit in shown],
        right=[k for k, (_, numeric, _) in enumerate(columns.values()) if numeric],
        total=[foot for _, _, foot in columns.values()],
    )


def export_bids(
    account: AccountOption,
    at: AtOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the files (default: outbox/ of the workspace).")] = None,
) -> None:
    """Write the audit CSV of the plan, and an uploadable file where the live bids and ids are known."""
    from bidding import explain
    from connectors import profile, write_audit, write_upload
    from engine.accounts import hour_of, preview

    workspace = open_workspace()
    hour = hour_of(workspace, account, at, SystemClock().now())
    seen = preview(workspace, account, hour)
    owner = seen.known.account
    folder = (home() / "outbox" / account) if out is None else out
    stamp = hour.local(owner.tz).strftime("%Y%m%dT%H%M")
    path = folder / f"audit-{account}-{stamp}.csv"
    write_audit(path, seen.plan, explain(seen.plan, owner.currency), seen.known.units)
    say(f"audit: {path} ({seen.plan.units.height} units)")
    entities = workspace.entities(account, hour.start)
    if entities.height:
        limits = profile(owner.platform).limits(owner.currency)
        sheet = write_upload(folder / f"bulk-{account}-{stamp}.xlsx", seen.plan, entities, limits)
        if sheet.path is not None:
            say(f"upload: {sheet.path} ({sheet.rows.height} changed bids)")
        else:
            say("no uploadable file: no bid changes")
        for reason, count in sorted(sheet.refused["reason"].value_counts().iter_rows()):
            say(f"    left out: {count} units: {reason}")
    unknown = int((~seen.known.live_bids.rows["known"]).sum())
    if unknown:
        lead = "no uploadable file: the" if not entities.height else "the"
        say(
            f"{lead} live bids and ids of {unknown} of {seen.known.n_units} units are unknown. "
            "Download the bulk sheet of the account (Amazon Ads console: Sponsored ads > Bulk operations, sheet "
            "'Sponsored Products Campaigns') and import it, then export again."
        )
