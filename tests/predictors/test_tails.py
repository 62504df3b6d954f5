"""Means of heavy-tailed amounts: nearer the truth than the plain mean, unbiased where there are many, shy of giants."""

import numpy as np
import pytest

from predictors.tails import fit_tail

PARETO = [(1.6, 1.6 / 0.6), (2.0, 2.0), (3.0, 1.5)]
LOGNORMAL = [(1.0, np.exp(0.5)), (1.5, np.exp(1.125))]


def laws():
    for a, mean in PARETO:
        yield lambda rng, n, a=a: 1 + rng.pareto(a, n), mean
    for s, mean in LOGNORMAL:
        yield lambda rng, n, s=s: np.exp(s * rng.standard_normal(n)), mean


@pytest.mark.parametrize("n", [30, 100, 1000])
def test_the_mean_is_nearer_the_truth_than_the_plain_one(n: int) -> None:
    gain = []
    for draw, mean in laws():
        rng = np.random.default_rng(n)
        samples = [draw(rng, n) for _ in range(60)]
        ours = np.mean([np.log(fit_tail(x).mean / mean) ** 2 for x in samples])
        plain = np.mean([np.log(x.mean() / mean) ** 2 for x in samples])
        gain.append(np.log(ours / plain))
        assert ours < 1.1 * plain
    assert np.mean(gain) < np.log(0.85)


def test_with_many_amounts_it_is_biased_by_less_than_one_percent() -> None:
    rng = np.random.default_rng(0)
    for draw, mean in [*list(laws())[1:], (lambda rng, n: np.exp(0.5 * rng.standard_normal(n)), np.exp(0.125))]:
        found = [np.log(fit_tail(draw(rng, 40_000)).mean / mean) for _ in range(12)]
        assert abs(np.mean(found)) < 0.01 + np.std(found) / 12**0.5


def test_the_index_tells_laws_apart_and_few_amounts_leave_it_open() -> None:
    rng = np.random.default_rng(1)
    heavy, light = fit_tail(1 + rng.pareto(1.6, 20_000)), fit_tail(rng.exponential(1.0, 20_000))
    assert heavy.index == pytest.approx(1 / 1.6, abs=0.12)
    assert abs(light.index) < 0.12
    few = fit_tail(1 + rng.pareto(1.6, 20))
    assert few.index_sd > 2 * heavy.index_sd


def test_one_giant_counts_for_less_than_itself() -> None:
    rng = np.random.default_rng(2)
    usual = np.exp(0.4 * rng.standard_normal(200))
    with_giant = np.append(usual, 500.0)
    assert with_giant.mean() > 3 * usual.mean()
    assert fit_tail(with_giant).mean < 1.5 * usual.mean()


def test_amounts_that_say_nothing_give_no_number_that_misleads() -> None:
    assert fit_tail(np.zeros(0)).amounts == 0
    assert fit_tail(np.array([np.nan, -3.0, 0.0, 5.0])).mean == 5.0
    alike = fit_tail(np.full(50, 7.0))
    assert alike.mean == pytest.approx(7.0, rel=1e-3)
    assert np.isfinite([alike.mean_sd, alike.index]).all()
