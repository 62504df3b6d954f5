"""Makes the table of a plan: bids with what they are expected to bring in the hour, and 80 % bands."""

import numpy as np
import polars as pl

from bidding.policies.clipping import Proposal
from domain.outlook import Outlook
from domain.plans import ACTION, INTERVENTIONS, BidPlan, SpendTargets
from domain.plans import PLAN as COLUMNS
from domain.tables import Floats, Known, empty

#: Standard normal quantile of the ends of an 80 % band.
Z80 = 1.2815515655446004
#: Variation of the price of single clicks, and of the value of single orders, about their means.
CLICK_PRICE_CV, ORDER_VALUE_CV = 0.5, 0.5


def plan(
    known: Known,
    outlook: Outlook,
    targets: SpendTargets,
    proposal: Proposal,
    *,
    click_value: Floats,
    theta: Floats,
    offset: Floats,
    reason: str | None = None,
) -> BidPlan:
    """Plan of an hour from legal bids; `click_value` .. `offset` are (n_units,) and stored as the reason."""
    table = outlook.at(0)
    paused = np.isin(proposal.action, ("pause",)) | ~np.isfinite(proposal.bid)
    expected = table.expected(np.where(paused, 0.0, proposal.bid))
    clicks, spend, orders, gmv = (expected[name].to_numpy() for name in ("clicks", "spend", "orders", "gmv"))
    volume = outlook.volume_cv**2
    rates = volume + outlook.click_value_cv**2 + outlook.common_value_cv**2
    cpc = spend / np.where(clicks > 0, clicks, 1.0)
    order_value = gmv / np.where(orders > 0, orders, 1.0)
    clicks_low, clicks_high = count_band(clicks, volume)
    orders_low, orders_high = count_band(orders, rates)
    spend_low, spend_high = amount_band(spend, volume, clicks * cpc**2 * (1 + CLICK_PRICE_CV**2))
    gmv_low, gmv_high = amount_band(gmv, rates, orders * order_value**2 * (1 + ORDER_VALUE_CV**2))
    # No click, no spend: where zero lies in the band of counts, it lies in the band of amounts.
    units = pl.DataFrame(
        {
            "unit_id": known.units["unit_id"],
            "campaign": known.units["campaign"],
            "action": pl.Series(proposal.action.tolist(), dtype=ACTION),
            "bid_cpc": proposal.bid,
            "live_bid_cpc": known.live_bids.rows["bid_cpc"],
            "click_value": click_value,
            "theta": theta,
            "offset": offset,
            "evidence_clicks": outlook.cvr.evidence,
            "limit": pl.Series(proposal.limit.tolist(), dtype=pl.String),
            "impressions": expected["impressions"],
            "spend": spend,
            "spend_low": np.where(clicks_low >= 1, spend_low, 0.0),
            "spend_high": np.where(clicks_high > clicks, spend_high, spend),
            "clicks": clicks,
            "clicks_low": clicks_low,
            "clicks_high": clicks_high,
            "orders": orders,
            "orders_low": orders_low,
            "orders_high": orders_high,
            "gmv": gmv,
            "gmv_low": np.where(orders_low >= 1, gmv_low, 0.0),
            "gmv_high": np.where(orders_high > orders, gmv_high, gmv),
        },
        schema_overrides=dict(COLUMNS),
        nan_to_null=True,
    )
    return BidPlan(
        account=known.account.name,
        hour=known.hour,
        units=units,
        targets=targets,
        interventions=empty(INTERVENTIONS),
        status=targets.status,
        reason=targets.reason if reason is None else reason,
        notes=outlook.notes,
        attempts=targets.attempts,
    )


def count_band(mean: Floats, relative_variance: Floats) -> tuple[Floats, Floats]:
    """80 % band of Gamma-Poisson counts: Poisson noise about a mean that is itself uncertain.

    Whole counts, except that a mean below every likely count closes the band itself.
    """
    low, high = amount_band(mean, relative_variance, mean)
    return np.minimum(np.rint(low), mean), np.maximum(np.rint(high), mean)


def amount_band(mean: Floats, relative_variance: Floats, noise_variance: Floats) -> tuple[Floats, Floats]:
    """80 % band of a Gamma law with this mean and variance ``mean^2 relative_variance + noise_variance``.

    Quantiles by Wilson and Hilferty (1931), good to a few percent for shapes of 0.2 and more; below that nearly
    all mass lies at zero and the band's low end is zero anyway.
    """
    variance = mean**2 * relative_variance + noise_variance
    shape = mean**2 / np.where(variance > 0, variance, 1.0)
    safe = np.where(shape > 0, shape, 1.0)
    centre, reach = 1.0 - 1.0 / (9.0 * safe), Z80 / (3.0 * np.sqrt(safe))
    # A Gamma quantile is shape times the cube; the scale brings the mean to `mean`.
    low, high = mean * np.maximum(centre - reach, 0.0) ** 3, mean * np.maximum(centre + reach, 0.0) ** 3
    sure = variance <= 0
    return np.where(sure, mean, np.minimum(low, mean)), np.where(sure, mean, np.maximum(high, mean))
