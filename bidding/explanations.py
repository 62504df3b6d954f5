"""Says for every bid of a plan, in a trader's words, why it is what it is.

Made on demand from what the plan stores: value of a click, price of money and the target that sets it, the limit
that shaped the bid, and what the hour is expected to bring.
"""

import numpy as np
import polars as pl

from domain.plans import Action, BidPlan, RowReport

_LIMITS = {
    "floor": "lifted to the lowest legal bid",
    "cap": "cut at the bid cap",
    "max_step": "held back by the largest step per hour",
    "table_end": "cut at the highest bid with a forecast",
    "tick": "rounded down to a legal step",
    "edits_per_day": "no edits left today",
    "may_not_pause": "it may not be paused",
    "no_estimate": "there is no estimate of what a click is worth",
    "archived": "the unit is archived",
    "not a bid": "what was proposed is not a bid",
}
_TOO_LOW = "that is less than the lowest legal bid buys"
_NAMES = {"budget": "budget", "roi": "ROI target", "cpc": "CPC target", "cpa": "CPA target"}


def explain(plan: BidPlan, currency: str, *, brief: bool = False) -> pl.Series:
    """One text per unit, in the plan's order.

    Parameters
    ----------
    plan
        The plan.
    currency
        ISO code of the account.
    brief
        Leave out what stands beside the text in a table: action, bids and expected figures.
    """
    units = plan.units.with_columns(setter=_setters(plan))
    value, theta = _money("click_value", currency), pl.col("theta")
    bid, live = _money("bid_cpc", currency), _money("live_bid_cpc", currency)
    offset = pl.when(pl.col("offset").abs() > 1e-9).then(
        pl.format(", to which cost targets add {}", _money("offset", currency))
    )
    worth = pl.format("a click is worth {}{}", value.fill_null("an unknown amount"), offset.otherwise(pl.lit("")))
    price = (
        pl.when(theta.is_infinite())
        .then(pl.format("no money may be spent now ({})", pl.lit(plan.reason)))
        .when(theta <= 0)
        .then(pl.lit("no target binds, so every bid stands at the end of its table"))
        .otherwise(pl.format("1 {} must return {} of value ({})", pl.lit(currency), _number("theta"), pl.col("setter")))
    )
    # A floor that leaves a unit without a bid did not lift anything.
    unbid = (pl.col("limit") == "floor") & (pl.col("bid_cpc").is_null() | (pl.col("bid_cpc") <= 0))
    named = pl.col("limit").replace_strict(_LIMITS, default=pl.col("limit"), return_dtype=pl.String)
    shaped = pl.when(unbid.fill_null(False)).then(pl.lit(_TOO_LOW)).otherwise(named)
    limit = pl.when(pl.col("limit").is_not_null()).then(pl.format("; {}", shaped)).otherwise(pl.lit(""))
    expected = pl.format(
        "; expected this hour: {} clicks ({} to {}), {} spend, {} orders, {} gmv",
        _number("clicks"),
        _number("clicks_low"),
        _number("clicks_high"),
        _money("spend", currency),
        _number("orders"),
        _money("gmv", currency),
    )
    moved = (
        pl.when(pl.col("live_bid_cpc").is_null() | (pl.col("live_bid_cpc") <= 0))
        .then(pl.format("bid {}: ", bid))
        .when(pl.col("bid_cpc") > pl.col("live_bid_cpc"))
        .then(pl.format("raise {} to {}: ", live, bid))
        .otherwise(pl.format("lower {} to {}: ", live, bid))
    )
    action = pl.col("action").cast(pl.String)
    if brief:
        return _briefly(units, plan, currency, limit, shaped)
    why = pl.concat_str(worth, pl.lit("; "), price)
    text = (
        pl.when(action == Action.SET.value)
        .then(pl.concat_str(moved, why, limit, expected))
        .when(action == Action.KEEP.value)
        .then(
            pl.when(pl.col("bid_cpc").is_null())
            .then(pl.concat_str(pl.lit("stays paused: "), why))
            .otherwise(pl.concat_str(pl.format("keep {}: ", bid), why, limit, expected))
        )
        .when(action == Action.PAUSE.value)
        .then(pl.concat_str(pl.lit("pause: "), why, pl.lit(f"; {_TOO_LOW}")))
        .when(action == Action.BID_UNKNOWN.value)
        .then(
            pl.concat_str(
                pl.lit("live bid unknown, so nothing can be sent; advised "),
                bid.fill_null("no bid"),
                pl.lit(": "),
                why,
                limit,
                expected,
            )
        )
        .otherwise(
            pl.concat_str(
                pl.format("hold {}: ", bid.fill_null("as it is")),
                pl.when(pl.col("limit").is_not_null()).then(shaped).otherwise(pl.lit(plan.reason)),
            )
        )
    )
    return units.select(text.fill_null(pl.lit(plan.reason)).alias("reason"))["reason"]


def _briefly(units: pl.DataFrame, plan: BidPlan, currency: str, limit: pl.Expr, shaped: pl.Expr) -> pl.Series:
    """Why alone, as short as it can be; a hold tells its rule."""
    theta, offset = pl.col("theta"), pl.col("offset")
    plus = pl.when(offset.abs() > 1e-9).then(pl.format(" + {} for cost targets", _number("offset")))
    price = (
        pl.when(theta.is_infinite())
        .then(pl.lit("no money may be spent now"))
        .when(theta <= 0)
        .then(pl.lit("no target binds"))
        .otherwise(
            pl.format(
                "must return {} per {} ({})",
                _number("theta"),
                pl.lit(currency),
                pl.col("setter").str.strip_prefix("set by the "),
            )
        )
    )
    worth = pl.format("worth {}{} a click; ", _number("click_value").fill_null("?"), plus.otherwise(pl.lit("")))
    rule = pl.when(pl.col("limit").is_not_null()).then(shaped).otherwise(pl.lit(plan.reason))
    held = pl.col("action").cast(pl.String) == Action.HOLD.value
    text = pl.when(held).then(rule).otherwise(pl.concat_str(worth, price, limit))
    return units.select(text.fill_null(pl.lit(plan.reason)).alias("reason"))["reason"]


def _number(column: str) -> pl.Expr:
    """Number with about three digits."""
    x = pl.col(column)
    short = pl.when(x.abs() >= 100).then(x.round(0)).when(x.abs() >= 1).then(x.round(2)).otherwise(x.round_sig_figs(2))
    return short.cast(pl.String).str.strip_suffix(".0")


def _money(column: str, currency: str) -> pl.Expr:
    """Amount with two decimals; what is below a tenth of a cent with two digits."""
    x = pl.col(column)
    cents = (x * 100).round(0).cast(pl.Int64, strict=False)
    two = pl.format("{}.{}", cents // 100, (cents % 100).cast(pl.String).str.zfill(2))
    tiny = (x.abs() < 0.1) & (x.abs() > 0)
    return pl.format("{} {}", pl.when(tiny).then(x.round_sig_figs(2).cast(pl.String)).otherwise(two), pl.lit(currency))


def _setters(plan: BidPlan) -> pl.Series:
    """Per unit, the binding target of the innermost group that has one."""
    n = plan.units.height
    targets = plan.targets
    if targets is None or targets.groups.leaf.size != n:
        return pl.Series(["as the plan's price of money says"] * n, dtype=pl.String)
    groups = targets.groups
    by_group: dict[str, RowReport] = {}
    for row in targets.rows:
        best = by_group.get(row.group)
        if row.binds and (best is None or row.shadow_price > best.shadow_price):
            by_group[row.group] = row
    said: list[str] = [""] * len(groups.names)
    for g, name in enumerate(groups.names):
        above = said[int(groups.parent[g])] if g else "no target binds yet"
        row = by_group.get(name)
        said[g] = f"set by the {_NAMES.get(row.kind, row.kind)} of {row.target:g} on {name}" if row else above
    return pl.Series(np.array(said, object)[groups.leaf].tolist(), dtype=pl.String)
