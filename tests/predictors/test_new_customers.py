"""New customers: shrunk along unit, campaign, category and account, with bands that hold; no orders told, no answer."""

import numpy as np
import polars as pl
import pytest

from predictors.new_customers import new_customer_rates


def world(seed: int, n: int = 300):
    rng = np.random.default_rng(seed)
    campaign = rng.integers(0, 30, n)
    category = campaign % 5  # each campaign sells one category
    of_category = 0.35 + 0.12 * rng.standard_normal(5)
    mean = np.clip(of_category[category] + 0.05 * rng.standard_normal(30)[campaign], 0.05, 0.9)
    truth = rng.beta(40 * mean, 40 * (1 - mean))
    orders = rng.poisson(np.exp(1.5 + 1.2 * rng.standard_normal(n))).astype(float)
    new = rng.binomial(orders.astype(int), truth).astype(float)
    units = pl.DataFrame({"campaign": [f"C{c}" for c in campaign], "category": [f"K{c}" for c in category]})
    return units, truth, orders, new, campaign


def test_rates_beat_raw_ones_and_the_accounts_and_bands_hold() -> None:
    inside, n, gains = 0, 0, []
    for seed in range(6):
        units, truth, orders, new, _ = world(seed)
        found = new_customer_rates(units, orders, new).units
        assert found is not None
        raw = np.divide(new, orders, out=np.full(truth.size, new.sum() / orders.sum()), where=orders > 0)
        miss = [np.sqrt(np.mean((p - truth) ** 2)) for p in (found.mean, raw, new.sum() / orders.sum())]
        assert miss[0] < min(miss[1:])
        gains.append((miss[0] / miss[1], miss[0] / miss[2]))
        inside += int(((truth >= found.low) & (truth <= found.high)).sum())
        n += truth.size
    of_raw, of_account = np.mean(gains, axis=0)
    assert of_raw < 0.4
    assert of_account < 0.7
    assert 0.74 < inside / n < 0.86


def test_campaigns_and_the_account_have_bands_that_hold() -> None:
    inside, n, account = 0, 0, 0
    for seed in range(20):
        units, truth, orders, new, campaign = world(seed)
        found = new_customer_rates(units, orders, new)
        table = found.campaigns
        assert table["orders"].sum() == orders.sum()
        assert table["orders"].is_sorted(descending=True)
        rate = {f"C{c}": np.average(truth[campaign == c], weights=orders[campaign == c]) for c in range(30)}
        true = np.array([rate[name] for name in table["campaign"]])
        inside += int(((table["low"].to_numpy() <= true) & (true <= table["high"].to_numpy())).sum())
        n += true.size
        assert found.account is not None
        account += int(found.account.low[0] <= np.average(truth, weights=orders) <= found.account.high[0])
    assert 0.74 < inside / n < 0.88
    assert 12 <= account <= 19


def test_a_unit_without_orders_takes_its_campaigns_rate_and_many_orders_speak_for_themselves() -> None:
    units = pl.DataFrame({"campaign": ["A"] * 4 + ["B"] * 4, "category": ["k"] * 8})
    orders = np.array([200.0, 200, 200, 0, 200, 200, 4000, 0])
    found = new_customer_rates(units, orders, np.array([120.0, 124, 116, 0, 40, 42, 2400, 0])).units
    assert found is not None
    assert found.mean[3] == pytest.approx(0.58, abs=0.06)
    assert found.mean[6] == pytest.approx(0.6, abs=0.01)
    width = found.high - found.low
    assert width[6] < width[0] < width[3]
    assert found.evidence[7] == 0


def test_a_campaign_of_many_orders_is_told_as_it_was() -> None:
    units = pl.DataFrame({"campaign": [f"C{k}" for k in range(20)], "category": ["k"] * 20})
    orders = np.full(20, 100.0)
    orders[7] = 4000.0
    new = 0.3 * orders
    new[7] = 2400.0
    table = new_customer_rates(units, orders, new).campaigns
    assert table["campaign"][0] == "C7"
    assert table["rate"][0] == pytest.approx(0.6, abs=0.01)


def test_without_an_order_there_is_no_answer() -> None:
    units = pl.DataFrame({"campaign": ["A"], "category": [None]}, schema={"campaign": pl.String, "category": pl.String})
    none = new_customer_rates(units, np.zeros(1), np.zeros(1))
    assert none.units is None
    assert none.account is None
    assert none.campaigns.height == 0
    assert "no order" in none.note


def test_more_new_customers_than_orders_count_as_all_of_them() -> None:
    units = pl.DataFrame({"campaign": ["A"], "category": ["k"]})
    rate = new_customer_rates(units, np.array([3.0]), np.array([5.0])).units
    assert rate is not None
    assert 0.5 < rate.mean[0] < 1.0
    assert np.isfinite([rate.low[0], rate.high[0]]).all()


def test_the_order_of_units_changes_nothing() -> None:
    units, _, orders, new, _ = world(9)
    turned = np.arange(units.height)[::-1]
    one = new_customer_rates(units, orders, new).units
    other = new_customer_rates(units[turned], orders[turned], new[turned]).units
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(one.mean, other.mean[::-1], rtol=1e-9)
