"""`steadybid plan` and `steadybid export-bids`: what each unit should bid, and the files that say so."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.accounts import AccountOption, JsonFlag
from cli.output import print_json, say, table
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
    _show(record, top)


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


def _show(record: dict[str, Any], top: int) -> None:
    money = record["currency"]
    say(f"account {record['account']}, hour {record['hour_local']:%Y-%m-%d %H:%M %z}: {record['status']}")
    say(f"  {record['reason']}")
    known = record["known"]
    say(
        f"  known then: {known['spend']:,.2f} {money} spend, {known['clicks']:,.0f} clicks, {known['orders']:,.0f} orders"
    )
    for target in record["targets"]:
        say(f"  target: {target['words']}")
    if record["certificate"]:
        say(f"  proof: {record['certificate']['words']}")
    for note in record["notes"]:
        say(f"  note: {note}")
    counts = ", ".join(f"{n} {action}" for action, n in sorted(record["counts"].items()))
    say(f"  {len(record['units'])} units: {counts}")
    shown = sorted(record["units"], key=lambda u: -(u["spend"] or 0.0))[:top]
    table(
        ("unit", "action", "bid", "live", "spend", "80 % band", "clicks", "orders", "gmv", "reason"),
        [
            (u["unit_id"], u["action"], u["bid"], u["live_bid"], u["spend"], f"{_two(u['spend_low'])}–{_two(u['spend_high'])}",
             u["clicks"], u["orders"], u["gmv"], u["reason"])
            for u in shown
        ],
        right=(2, 3, 4, 6, 7, 8),
    )  # fmt: skip
    if len(record["units"]) > top:
        say(f"... {len(record['units']) - top} more units; --top {len(record['units'])} or --json shows all")


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}"


def export_bids(
    account: AccountOption,
    at: AtOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the files (default: outbox/ of the workspace).")] = None,
) -> None:
    """Write the audit CSV of the plan, and an uploadable file where the live bids and ids are known."""
    from bidding import explain
    from connectors import write_audit
    from engine.accounts import hour_of, preview

    workspace = open_workspace()
    hour = hour_of(workspace, account, at, SystemClock().now())
    seen = preview(workspace, account, hour)
    folder = (home() / "outbox" / account) if out is None else out
    folder.mkdir(parents=True, exist_ok=True)
    stamp = hour.local(seen.known.account.tz).strftime("%Y%m%dT%H%M")
    path = folder / f"audit-{account}-{stamp}.csv"
    write_audit(path, seen.plan, explain(seen.plan, seen.known.account.currency), seen.known.units)
    say(f"audit: {path} ({seen.plan.units.height} units)")
    unknown = int((~seen.known.live_bids.rows["known"]).sum())
    if unknown:
        say(
            f"no uploadable file: the live bids and ids of {unknown} of {seen.known.n_units} units are unknown. "
            "Download the bulk sheet of the account (Amazon Ads console: Sponsored ads > Bulk operations, sheet "
            "'Sponsored Products Campaigns') and import it, then export again."
        )
