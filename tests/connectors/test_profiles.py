"""Platform rules are found by name and currency, and nothing is made up."""

import pytest

from connectors import profile
from domain.errors import ConfigError
from domain.limits import BidLimits


@pytest.mark.parametrize(
    ("currency", "floor", "cap", "tick"),
    [
        ("INR", 1, 5000, 0.01),
        ("USD", 0.02, 1000, 0.01),
        ("EUR", 0.02, 1000, 0.01),
        ("GBP", 0.02, 1000, 0.01),
        ("CNY", 0.1, 1000, 0.01),
        ("JPY", 2, 100_000, 1),
    ],
)
def test_amazon_limits_by_currency(currency, floor, cap, tick):
    limits = profile("amazon-sp").limits(currency)
    assert (limits.floor, limits.cap, limits.tick) == (floor, cap, tick)


def test_a_currency_without_documented_limits_is_refused_until_somebody_states_them():
    amazon = profile("amazon-sp")
    with pytest.raises(ConfigError, match="CAD"):
        amazon.limits("CAD")
    stated = amazon.with_limits("CAD", BidLimits(0.02, 1000.0, 0.01))
    assert stated.limits("CAD").cap == 1000.0
    assert "CAD" not in profile("amazon-sp").bid_limits


def test_the_simulated_market_takes_any_currency_and_tells_at_once():
    sim = profile("sim")
    assert sim.limits("XYZ") == BidLimits(0.01, 1000.0, 0.01)
    assert sim.report_lag_hours == 0


def test_an_unknown_platform_lists_the_known_ones():
    with pytest.raises(ConfigError, match="amazon-sp, sim"):
        profile("google")
