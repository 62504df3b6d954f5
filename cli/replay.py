"""`steadybid replay`: what the engine would have bought of an own impression log with another budget."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.accounts import JsonFlag
from cli.output import number, print_json, say, table, warn
from domain.errors import ConfigError, FileRefused, SchemaMismatch

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from domain.tables import Bools, Floats
    from evaluation.auction_replay import ImpressionLog, Replayed, Setup, Stage

#: Names that columns of such logs go by, best first.
_VALUE = ("value", "pctr", "pcvr", "pvalue", "predicted_ctr", "values")
_PRICE = ("price", "paid", "paid_price", "payprice", "pay_price", "payingprice", "market_price", "cost")
_TIME = ("time", "timestamp", "datetime", "hour")
_EVENT = ("click", "clicks", "conversion", "conversions", "converted")
_BID = ("bid", "bidprice", "bid_price", "bidding_price")


def replay(
    log: Annotated[
        Path, typer.Argument(metavar="LOG", help="Won impressions: parquet, csv or csv.gz, in order of time.")
    ],
    budget: Annotated[
        str,
        typer.Option(
            help="Money for the part that is played, or shares of what it cost: 1000, 1/8, 25%. Several by commas."
        ),
    ] = "1/2,1/4,1/8,1/16,1/32",
    target: Annotated[float | None, typer.Option(help="CPC, CPA or ROI by objective; none = the budget alone.")] = None,
    objective: Annotated[str, typer.Option(help="What values stand for: clicks, orders or gmv.")] = "clicks",
    auction: Annotated[str, typer.Option(help="second_price or first_price.")] = "second_price",
    target_mode: Annotated[str, typer.Option("--target-mode", help="hard or soft.")] = "hard",
    train: Annotated[float, typer.Option(help="Share of the log that only teaches; 0 = cold start.")] = 0.5,
    ticks: Annotated[int, typer.Option(min=1, max=1440, help="Ticks of the part that is played.")] = 48,
    value: Annotated[
        str | None, typer.Option("--value", metavar="COLUMN", help="Believed value of an impression.")
    ] = None,
    price: Annotated[str | None, typer.Option("--price", metavar="COLUMN", help="Price paid for it.")] = None,
    time: Annotated[
        str | None,
        typer.Option(
            "--time", metavar="COLUMN", help="Time: a date and time, or hours as a number; 'none' = log order."
        ),
    ] = None,
    event: Annotated[
        str | None, typer.Option("--event", metavar="COLUMN", help="What came of it: clicks, orders, money.")
    ] = None,
    bid: Annotated[
        str | None, typer.Option("--bid", metavar="COLUMN", help="Own bid then; for the support check.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=0, max=1000, help="Resampled logs for the bands; 0 = none.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resampling.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Play an own log again: what would have been bought, beside what knowing all prices would have."""
    import numpy as np

    from evaluation.auction_replay import replay as play_again
    from evaluation.auction_replay import stage

    settings = _setup(objective, auction, target_mode, target, train, ticks)
    read, left_out = _read(log, {"value": value, "price": price, "time": time, "event": event, "bid": bid}, settings)
    budgets = _budgets(budget, float(stage(read, settings).played.price.sum()))
    staged, found = play_again(read, settings, budgets, resamples, np.random.default_rng(seed))
    notes = [
        *([f"{left_out} rows cannot be used and were left out"] if left_out else []),
        *staged.notes,
        *_support(found),
    ]
    if as_json:
        print_json(_record(log, read, staged, settings, found, notes, resamples))
        return
    _show(staged, settings, found, has_events=read.events is not None)
    for note in notes:
        say(f"- {note}")


def _setup(objective: str, auction: str, mode: str, target: float | None, train: float, ticks: int) -> "Setup":
    from engine import AuctionBidder
    from evaluation.auction_replay import Setup

    named = AuctionBidder(objective, auction, mode)  # refuses what it does not know
    if not 0 <= train < 1:
        raise ConfigError(f"--train {train}: write a share from 0 to below 1")
    if target is not None and not (math.isfinite(target) and target > 0):
        raise ConfigError(f"--target {target}: write a positive number")
    return Setup(named.objective, named.auction, named.target_mode, target, train, ticks)


def _budgets(text: str, paid: float) -> list[float]:
    """Amounts, or shares of what was paid."""
    found: list[float] = []
    for raw in text.split(","):
        part = raw.strip()
        try:
            if part.endswith("%"):
                amount = float(part[:-1]) / 100 * paid
            elif "/" in part:
                top, bottom = part.split("/")
                amount = float(top) / float(bottom) * paid
            else:
                amount = float(part)
        except (ValueError, ZeroDivisionError):
            amount = math.nan
        if not (math.isfinite(amount) and amount > 0):
            raise ConfigError(
                f"--budget {text!r}: {part!r} is no amount and no share; write 1000, 1/8 or 25%, several by commas"
            )
        found.append(amount)
    return found


def _read(path: Path, given: dict[str, str | None], settings: "Setup") -> "tuple[ImpressionLog, int]":
    """Log of a file, and the number of rows that could not be used."""
    import numpy as np

    from evaluation.auction_replay import ImpressionLog

    frame = _frame(path)
    columns = {k: _column(frame, k, v) for k, v in given.items()}
    names = [c for c in columns.values() if c is not None]
    numbers = {k: _numbers(frame, c, path, timely=k == "time") for k, c in columns.items() if c is not None}
    if not names or "value" not in numbers or "price" not in numbers:
        raise SchemaMismatch(
            f"{path}: no column for {'the value' if 'value' not in numbers else 'the price paid'}; it has {frame.columns}: name it with "
            f"{'--value' if 'value' not in numbers else '--price'}"
        )
    top = math.inf if settings.objective.value == "gmv" else 1.0
    good: Bools = np.isfinite(numbers["value"]) & np.isfinite(numbers["price"]) & (numbers["price"] >= 0)
    for name in ("time", "event"):
        if name in numbers:
            good &= np.isfinite(numbers[name])
    if "event" in numbers:
        good &= numbers["event"] >= 0
    with np.errstate(invalid="ignore"):
        probable = (numbers["value"] >= 0) & (numbers["value"] <= top)
    if (good & ~probable).mean() > 0.5:
        raise SchemaMismatch(
            f"{path}: most of column {columns['value']!r} is no probability; take another --value, or --objective gmv for amounts of money"
        )
    good &= probable

    def kept(name: str) -> "Floats | None":
        return numbers[name][good] if name in numbers else None

    bids = kept("bid")
    value, price = numbers["value"][good], numbers["price"][good]
    if not price.any():
        raise SchemaMismatch(
            f"{path}: no row has a price above 0 in column {columns['price']!r}; name another with --price"
        )
    return ImpressionLog(
        value, price, kept("time"), kept("event"), None if bids is None else np.nan_to_num(bids, nan=np.inf)
    ), int((~good).sum())


def _frame(path: Path) -> "pl.DataFrame":
    import polars as pl

    if not path.is_file():
        raise FileRefused(f"{path}: there is no such file; name a parquet, csv or csv.gz log")
    try:
        frame = (
            pl.read_parquet(path)
            if path.suffix == ".parquet"
            else pl.read_csv(path, infer_schema_length=10_000, try_parse_dates=True)
        )
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise FileRefused(
            f"{path}: cannot be read as {'parquet' if path.suffix == '.parquet' else 'csv'} ({error})"
        ) from error
    if frame.height == 0:
        raise FileRefused(f"{path}: the log has no rows")
    return frame


def _column(frame: "pl.DataFrame", role: str, given: str | None) -> str | None:
    if given is not None and role == "time" and given.lower() == "none":
        return None
    if given is not None:
        if given not in frame.columns:
            raise SchemaMismatch(f"--{role} {given}: there is no such column; the log has {frame.columns}")
        return given
    known = {"value": _VALUE, "price": _PRICE, "time": _TIME, "event": _EVENT, "bid": _BID}[role]
    low = {c.lower(): c for c in reversed(frame.columns)}
    return next((low[name] for name in known if name in low), None)


def _numbers(frame: "pl.DataFrame", name: str, path: Path, *, timely: bool) -> "np.ndarray":
    """Column as float64, NaN where it holds none; times in hours."""
    import numpy as np
    import polars as pl

    column = frame[name]
    if timely and column.dtype == pl.String:
        column = column.str.to_datetime(strict=False)
    if timely and column.dtype == pl.Date:
        column = column.cast(pl.Datetime("us"))
    if timely and isinstance(column.dtype, pl.Datetime):
        return column.dt.replace_time_zone(None).dt.epoch("ms").cast(pl.Float64).fill_null(math.nan).to_numpy() / 3.6e6
    if column.dtype == pl.Boolean or column.dtype.is_numeric():
        return column.cast(pl.Float64).fill_null(math.nan).to_numpy().astype(np.float64)
    found = column.cast(pl.Float64, strict=False).fill_null(math.nan).to_numpy()
    if not np.isfinite(found).any():
        raise SchemaMismatch(
            f"{path}: column {name!r} holds no numbers{' and no times' if timely else ''}; name another with its option"
        )
    return found


def _support(found: "list[Replayed]") -> list[str]:
    notes = ["only what was won then can be won now: auctions that were lost are not in the log"]
    worst = max(found, key=lambda r: r.bought.beyond)
    if worst.bought.beyond > 0.02:
        notes.append(
            f"with a budget of {number(worst.budget)}, {worst.bought.beyond:.0%} of the bids lie above what the log can answer for: in the market "
            "they would have met auctions that it does not hold, so the result is a lower bound there and the price of money too high"
        )
    for r in found:
        if r.budget >= r.paid_then:
            notes.append(
                f"a budget of {number(r.budget)} is more than all that was won cost ({number(r.paid_then)}): the log has no more to sell"
            )
    return notes


def _missed(found: "list[Replayed]", settings: "Setup") -> list[str]:
    """What a person should know of a target that was not met, by believed value."""
    kappa = settings.cost_target
    if kappa is None:
        return []
    over = [r for r in found if r.bought.spend > 1.1 * kappa * r.bought.value]
    return [
        f"with a budget of {number(r.budget)} the target was missed: {number(r.bought.spend / max(r.bought.value, 1e-12))} spent per value"
        for r in over
    ]


def _show(staged: "Stage", settings: "Setup", found: "list[Replayed]", *, has_events: bool) -> None:
    say(
        f"{staged.played.value.size:,} impressions played in {staged.n_ticks} ticks; they cost {number(found[0].paid_then)} then"
    )
    columns = ["budget", "spend", "impressions", "value", "80 % band", "of known prices", "in log order"]
    if has_events:
        columns += [settings.objective.value, "80 % band"]
    rows: list[list[Any]] = []
    for r in found:
        row: list[Any] = [
            r.budget,
            r.bought.spend,
            f"{r.bought.impressions:,}",
            r.bought.value,
            _pair(r.value_band),
            f"{r.share:.1%}",
        ]
        row.append(f"{r.first_value / r.known:.1%}" if r.known > 0 else None)
        if has_events:
            row += [f"{r.bought.events:,.0f}", _pair(r.events_band)]
        rows.append(row)
    table(columns, rows, right=tuple(range(len(columns))))
    if any(math.isnan(r.value_band[0]) for r in found):
        warn("no bands: ask for --resamples 20 or more")


def _pair(band: tuple[float, float]) -> str | None:
    return None if math.isnan(band[0]) else f"{number(band[0])} .. {number(band[1])}"


def _record(
    path: Path,
    read: "ImpressionLog",
    staged: "Stage",
    settings: "Setup",
    found: "list[Replayed]",
    notes: list[str],
    resamples: int,
) -> dict[str, Any]:
    return {
        "log": path.name,
        "rows": int(read.value.size),
        "played": int(staged.played.value.size),
        "ticks": staged.n_ticks,
        "objective": settings.objective.value,
        "auction": settings.auction.value,
        "target": settings.target,
        "target_mode": settings.mode.value,
        "train": settings.train,
        "resamples": resamples,
        "runs": [
            {
                "budget": r.budget,
                "budget_share": r.budget / r.paid_then if r.paid_then > 0 else None,
                "spend": r.bought.spend,
                "spend_band": list(r.spend_band),
                "impressions": r.bought.impressions,
                "value": r.bought.value,
                "value_band": list(r.value_band),
                "value_prices_known": r.known,
                "value_share": r.share,
                "value_in_log_order": r.first_value,
                "events": r.bought.events,
                "events_band": list(r.events_band),
                "events_in_log_order": r.first_events,
                "bids_beyond_support": r.bought.beyond,
            }
            for r in found
        ],
        "notes": notes,
    }
