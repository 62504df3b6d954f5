"""Rates of units that no forecast speaks of: the plainest candidate that predicts held-out units best."""

import numpy as np
import polars as pl

from domain.tables import UNITS
from predictors.account_rates import fit_unit_rate


def units(n: int, **columns) -> pl.DataFrame:
    given = {"unit_id": [f"u{i}" for i in range(n)], **columns}
    return pl.DataFrame({k: given.get(k, [None] * n) for k in UNITS}, schema=dict(UNITS), strict=False)


def test_units_that_do_not_differ_get_the_accounts_rate():
    rng = np.random.default_rng(0)
    table = units(120, campaign=[f"C{i % 6}" for i in range(120)])
    clicks = rng.poisson(40, 120).astype(float)
    found = fit_unit_rate("cvr", table, rng.binomial(clicks.astype(int), 0.05).astype(float), clicks)
    assert found.kind == "constant"
    assert abs(found.predict(table)[0] / 0.05 - 1) < 0.15


def test_campaigns_that_differ_are_noticed():
    rng = np.random.default_rng(1)
    campaign = np.arange(90) % 3
    table = units(90, campaign=[f"C{c}" for c in campaign])
    clicks = rng.poisson(80, 90).astype(float)
    truth = np.array([0.02, 0.06, 0.18])[campaign]
    found = fit_unit_rate("cvr", table, rng.binomial(clicks.astype(int), truth).astype(float), clicks)
    assert found.kind in ("table", "blend")
    assert "campaigns gain" in found.note


def test_features_beyond_the_campaign_are_learned_by_trees():
    rng = np.random.default_rng(2)
    n = 600
    match = np.array(["EXACT", "BROAD"])[rng.integers(0, 2, n)]
    price = np.exp(rng.standard_normal(n))
    table = units(n, campaign=[f"C{i % 5}" for i in range(n)], match_type=match, price=price)
    clicks = rng.poisson(100, n).astype(float)
    truth = 0.05 * np.where(match == "EXACT", 2.0, 0.7) * np.where(price > 1.5, 0.5, 1.0)
    found = fit_unit_rate("cvr", table, rng.binomial(clicks.astype(int), truth).astype(float), clicks)
    assert found.kind == "blend"
    assert np.corrcoef(found.predict(table), truth)[0, 1] > 0.9
    new = table.with_columns(unit_id=pl.lit("new ") + pl.col("unit_id"))
    assert np.corrcoef(found.predict(new), truth)[0, 1] > 0.9


def test_a_units_own_luck_does_not_enter_its_belief():
    rng = np.random.default_rng(3)
    n = 400
    match = np.array(["EXACT", "BROAD"])[rng.integers(0, 2, n)]
    table = units(n, campaign=[f"C{i % 5}" for i in range(n)], match_type=match, ad_group=[f"g{i}" for i in range(n)])
    clicks = np.full(n, 60.0)
    truth = np.where(match == "EXACT", 0.12, 0.03)
    orders = rng.binomial(60, truth).astype(float)
    found = fit_unit_rate("cvr", table, orders, clicks)
    assert found.kind == "blend"
    luck = orders / clicks - truth
    for kind in ("EXACT", "BROAD"):
        mine = match == kind
        assert abs(np.corrcoef(found.predict(table)[mine], luck[mine])[0, 1]) < 0.2


def test_almost_nothing_gives_a_rate_and_the_reason():
    for hits, trials in ((np.zeros(3), np.zeros(3)), (np.array([1.0, 0, 0]), np.array([2.0, 1, 0]))):
        found = fit_unit_rate("ctr", units(3, campaign=["a", None, "b"]), hits, trials)
        assert found.kind == "constant"
        assert "tell no more" in found.note
        assert ((found.predict(units(2)) > 0) & (found.predict(units(2)) < 1)).all()
