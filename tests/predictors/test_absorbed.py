"""A forecast fitted as if clicks went at second price is put right for what they cost: clicks, prices and their spread."""

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.special import log_ndtr

from predictors.absorbed import absorbed
from predictors.payment import PAYMENTS

AT = np.linspace(-1.4, 1.4, 29)
WEIGHT = np.exp(-0.25 * (AT / 0.5) ** 2)


def law(median: float, spread: float, volume: float, factor: float = 1.0, omega: float = 0.0):
    """Logarithms of clicks and spend at bids around 1."""
    z = (AT - median) / np.exp(spread)
    clicks = log_ndtr(z)
    second = median + 0.5 * np.exp(spread) ** 2 + log_ndtr(z - np.exp(spread)) - clicks
    paid = np.log(factor * ((1 - omega) * np.exp(second) + omega * np.exp(AT)))
    return volume + clicks, volume + clicks + paid


def second_price_forecast(clicks, spend):
    """Median, log spread and volume of the second-price law that is nearest to clicks and spend."""

    def off(x):
        told = law(*x)
        return np.concatenate([(told[0] - clicks) * WEIGHT, (told[1] - spend) * WEIGHT])

    return least_squares(off, [0.0, np.log(0.6), 0.0]).x


@pytest.mark.parametrize("spread", [0.45, 0.6, 0.75])
@pytest.mark.parametrize(("factor", "omega"), [(1.06, 0.16), (1.18, 0.0), (1.0, 0.24), (1.12, 0.08)])
def test_a_forecast_made_as_if_at_second_price_is_put_right(factor, omega, spread):
    truth = np.array([0.0, np.log(spread), 0.0])
    forecast = second_price_forecast(*law(*truth, factor, omega))
    assert forecast[2] > 0.03  # it promises too many clicks
    found = forecast + absorbed(float(np.exp(forecast[1])), np.array([[factor, omega]]))[0]
    # bids that the forecast was made at lie around its own median
    assert np.abs(found - truth).max() < 0.3 * np.abs(forecast - truth).max() + 0.005
    promised, is_so = law(*found, factor, omega)[0], law(*truth, factor, omega)[0]
    near = np.abs(AT) < 0.7
    assert np.abs(promised - is_so)[near].max() < 0.03


@pytest.mark.parametrize("spread", [0.45, 0.6, 0.75])
def test_a_forecast_that_took_bids_for_second_prices_is_put_right_as_far_as_a_tangent_goes(spread):
    truth = np.array([0.0, np.log(spread), 0.0])
    forecast = second_price_forecast(*law(*truth, 1.0, 1.0))
    found = forecast + absorbed(float(np.exp(forecast[1])), np.array([[1.0, 1.0]]))[0]
    assert np.abs(found - truth).max() < 0.3 * np.abs(forecast - truth).max()
    far = np.abs(AT) < 1.0
    missed = [np.abs(law(*x)[0] - law(*truth)[0])[far].max() for x in (found, forecast)]
    assert missed[0] < 0.6 * missed[1]


def test_at_second_price_nothing_was_absorbed():
    assert np.allclose(absorbed(0.6, PAYMENTS)[0], 0.0)


def test_the_dearer_clicks_are_the_more_of_them_were_promised_in_vain():
    factors = np.array([[f, 0.0] for f in (1.0, 1.06, 1.12, 1.24)])
    parts = np.array([[1.0, w] for w in (0.0, 0.08, 0.24, 0.5)])
    for payments in (factors, parts):
        for spread in (0.05, 0.5, 0.8, 1.5):
            volume = absorbed(spread, payments)[:, 2]
            assert (np.diff(volume) < 0).all()
            assert np.isfinite(volume).all()
