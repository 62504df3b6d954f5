"""The trim: direction, bounds, memory, and hours that do not count."""

import math

from hypothesis import given
from hypothesis import strategies as st

from pacing import PiTrim

AMOUNTS = st.lists(st.floats(1.0, 1e6), min_size=1, max_size=48)


def test_without_earlier_hours_there_is_no_trim() -> None:
    assert PiTrim().factor([], [], 0.5) == 1.0


@given(AMOUNTS)
def test_spend_on_plan_leaves_the_price_alone(planned: list[float]) -> None:
    assert PiTrim().factor(planned, planned, 0.9) == 1.0


@given(AMOUNTS, st.floats(1.01, 5.0))
def test_overspending_raises_the_price_and_underspending_lowers_it(planned: list[float], excess: float) -> None:
    trim = PiTrim()
    assert trim.factor(planned, [p * excess for p in planned], 0.9) > 1.0
    assert trim.factor(planned, [p / excess for p in planned], 0.9) < 1.0


@given(AMOUNTS, st.lists(st.floats(0.0, 1e9), min_size=48, max_size=48))
def test_the_factor_never_leaves_its_bounds(planned: list[float], actual: list[float]) -> None:
    trim = PiTrim()
    factor = trim.factor(planned, actual[: len(planned)], 0.9)
    assert math.exp(-trim.gain * trim.bound) - 1e-12 <= factor <= math.exp(trim.gain * trim.bound) + 1e-12


@given(AMOUNTS, st.floats(1.01, 5.0))
def test_dark_hours_hold_the_integral(planned: list[float], excess: float) -> None:
    trim, actual = PiTrim(), [p * excess for p in planned]
    before = trim.factor(planned, actual, 0.9)
    mean = sum(planned) / len(planned)
    after = trim.factor([*planned, mean, mean], [*actual, math.nan, 0.0], 0.9)
    assert after == before


@given(AMOUNTS, st.floats(1.01, 5.0))
def test_the_first_half_of_the_budget_is_steered_with_half_the_strength(planned: list[float], excess: float) -> None:
    trim, actual = PiTrim(), [p * excess for p in planned]
    early, late = trim.factor(planned, actual, 0.2), trim.factor(planned, actual, 0.8)
    assert math.isclose(math.log(early) * 2, math.log(late), rel_tol=1e-9)
