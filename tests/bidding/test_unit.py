"""One unit explained: what another bid would do agrees with the tables, and parts of a change add up."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from bidding import ThetaPolicy, explain_unit
from bidding.changes import nearby
from domain.errors import ConfigError
from domain.limits import BidLimits
from domain.outlook import Auction

FINE = BidLimits(floor=0.0001, tick=0.0001)


@pytest.mark.parametrize("auction", list(Auction))
def test_what_another_bid_would_do_is_what_the_tables_say_for_all_units(account_hour, auction: Auction) -> None:
    known, outlook, targets = account_hour(np.random.default_rng(90), live=np.ones(12), auction=auction)
    plan = ThetaPolicy().propose(known, outlook, targets, FINE)
    table = nearby(outlook, plan.units["bid_cpc"].fill_null(0.0).to_numpy())
    for k, unit in enumerate(plan.units["unit_id"]):
        seen = explain_unit(plan, outlook, None, unit, currency="INR")
        assert seen.change is None
        for alternative in seen.nearby:
            row = table.filter(pl.col("unit") == k, (pl.col("factor") - alternative.factor).abs() < 1e-9).row(
                0, named=True
            )
            for name in ("spend", "clicks", "orders", "gmv", "roi"):
                assert getattr(alternative, name) == pytest.approx(row[name], abs=1e-12)
        assert len(seen.nearby) == (2 if seen.bid else 0)
        assert seen.why in seen.words
        assert "no plan of the hour before" in seen.words[-1]


@pytest.mark.parametrize("auction", list(Auction))
def test_parts_of_a_change_add_up_and_the_order_of_units_before_does_not_matter(account_hour, auction: Auction) -> None:
    hours = [
        account_hour(np.random.default_rng(91), theta=theta, live=np.ones(12), auction=auction) for theta in (4.0, 5.0)
    ]
    before, plan = (ThetaPolicy().propose(*three, FINE) for three in hours)
    turned = replace(before, units=before.units.reverse())
    outlook = hours[1][1]
    lowered = 0
    for unit in plan.units["unit_id"]:
        seen = explain_unit(plan, outlook, turned, unit)
        if seen.change is None:
            continue
        assert sum(part for _, part in seen.parts) == pytest.approx(seen.change, abs=1e-12)
        parts = dict(seen.parts)
        if seen.change < 0 and parts["limits"] == pytest.approx(0.0, abs=1e-3):
            lowered += 1
            assert parts["theta"] < 0
            assert "price of money -" in seen.words[-1]
            if auction is Auction.FIRST_PRICE:  # shading takes part of the closed form's fall back
                assert parts["price_level"] > 0
    assert lowered > 3


def test_an_unknown_unit_is_told_with_units_there_are(account_hour) -> None:
    known, outlook, targets = account_hour(np.random.default_rng(92), live=np.ones(12))
    plan = ThetaPolicy().propose(known, outlook, targets, FINE)
    with pytest.raises(ConfigError, match=r"no unit .X.*U0, U1"):
        explain_unit(plan, outlook, None, "X")
