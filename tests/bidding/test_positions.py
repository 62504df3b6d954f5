"""Pages with several positions, whose clicks differ in worth: planned by the solvers, bid off the tables, and shaded bids."""

import numpy as np
import pytest
from scipy.special import log_ndtr, ndtr

from bidding import LaminarSolver, RichSolver
from bidding.policies.marginal import bids_at_price
from domain.groups import Groups
from domain.problem import Problem, RowKind, Rows

#: Per position, best first: clicks, price to hold it, and worth of a click.
RATES, DEARER, WORTH = (3.0, 1.8, 1.0), (2.2, 1.4, 1.0), (0.8, 1.0, 1.1)


class Page:
    """Units that each bid for the best position they can pay: one normal price level per page, prices apart by factors."""

    def __init__(self, rng: np.random.Generator, n: int, spread: float) -> None:
        self.median, self.value = np.exp(rng.normal(0, 0.6, n)), np.exp(rng.normal(1.5, 0.6, n))
        self.spread, self.power = spread, rng.normal(0.7, 0.7, n)

    def at(self, bid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Clicks, spend and gmv of bids (n_units, m)."""
        clicks, spend, gmv = (np.zeros_like(bid) for _ in range(3))
        won, paid = 0.0, 0.0
        for rate, dearer, worth in zip(RATES, DEARER, WORTH, strict=True):
            price = self.median[:, None] * dearer
            z = np.log(np.maximum(bid, 1e-300) / price) / self.spread
            here = rate * (ndtr(z) - won)
            clicks += here
            spend += rate * price * np.exp(self.spread**2 / 2) * (ndtr(z - self.spread) - paid)
            gmv += self.value[:, None] * worth ** self.power[:, None] * here
            won, paid = ndtr(z), ndtr(z - self.spread)
        return clicks, spend, gmv

    def problem(self, *rows: tuple[RowKind, int, float, float]) -> Problem:
        bids = self.median[:, None] * np.geomspace(0.1, 20.0, 24)
        clicks, spend, gmv = (np.maximum.accumulate(t, axis=1) for t in self.at(bids))
        return Problem(bids, clicks, spend, gmv, Groups.single(bids.shape[0]), Rows.of(*rows))


@pytest.mark.parametrize("spread", [0.25, 0.8])
def test_bids_on_a_page_earn_what_the_best_bids_earn_and_the_closed_form_does_not(spread: float) -> None:
    page = Page(np.random.default_rng(1), 200, spread)
    p = page.problem()
    theta = np.full(200, 2.5)

    def payoff(bid: np.ndarray) -> np.ndarray:
        _clicks, spend, gmv = page.at(bid[:, None])
        return (gmv - 2.5 * spend)[:, 0]

    best = np.max([payoff(page.median * b) for b in np.geomspace(0.1, 20.0, 1500)], axis=0)
    mine = payoff(bids_at_price(p.bids, p.clicks, p.spend, p.gmv, theta))
    closed = payoff(page.value / 2.5)
    assert mine.sum() >= 0.995 * best.sum()
    assert closed.sum() < 0.95 * best.sum()


@pytest.mark.parametrize("kind", ["budget", "budget and cpc"])
def test_prices_of_the_solvers_and_interpolated_bids_buy_on_the_page_what_was_planned(kind: str) -> None:
    page = Page(np.random.default_rng(2), 600, 0.6)
    free = page.problem()
    most, clicks = float(free.spend[:, -1].sum()), float(free.clicks[:, -1].sum())
    budget = (RowKind.BUDGET, 0, 0.0, 0.4 * most)
    both = kind != "budget"
    p = page.problem(budget, (RowKind.CPC, 0, 0.5 * most / clicks, 0.0)) if both else page.problem(budget)
    s = (RichSolver() if both else LaminarSolver()).solve(p)
    assert s.certificate.violation == pytest.approx(0.0, abs=1e-12)
    assert s.certificate.gap <= 1e-4
    assert s.row_binds.any()
    gain = p.gmv + s.offset[:, None] * p.clicks
    told = bids_at_price(p.bids, p.clicks, p.spend, gain, s.theta)
    for bid in (s.bid, told):
        q, c, v = (table[:, 0].sum() for table in page.at(bid[:, None]))
        worth = v + (s.offset.mean() * q) - s.theta.mean() * c
        planned = s.gmv.sum() + s.offset.mean() * s.clicks.sum() - s.theta.mean() * s.spend.sum()
        assert worth >= planned - 0.001 * s.gmv.sum()
        assert c == pytest.approx(s.spend.sum(), rel=0.01)


def test_first_price_bids_off_the_table_are_the_closed_form_shaded_bids() -> None:
    rng = np.random.default_rng(3)
    n = 300
    median, spread, theta = np.exp(rng.normal(0, 0.6, n)), rng.uniform(0.3, 1.0, n), 2.5
    worth = median * np.exp(rng.uniform(0.3, 2.5, n))
    # b + W / W' = worth / theta with a log-normal W: b (1 + s Phi(z) / phi(z)), which rises in b, so it is bisected.
    low, high = np.full(n, -40.0), np.log(worth / theta)
    for _ in range(200):
        middle = 0.5 * (low + high)
        z = (middle - np.log(median)) / spread
        ratio = np.exp(log_ndtr(z) + 0.5 * z**2) * np.sqrt(2 * np.pi)
        over = np.exp(middle) * (1 + spread * ratio) > worth / theta
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    shaded = np.exp(0.5 * (low + high))
    bids = median[:, None] * np.geomspace(0.1, 20.0, 24)
    clicks = ndtr(np.log(bids / median[:, None]) / spread[:, None])
    found = bids_at_price(bids, clicks, bids * clicks, worth[:, None] * clicks, np.full(n, theta))
    inside = shaded > 1.2 * bids[:, 0]
    assert inside.mean() > 0.8
    assert np.abs(np.log(found / shaded))[inside].max() < 0.05
    assert np.abs(np.log(found / shaded))[inside].mean() < 0.01
    assert np.all(found < worth / theta)
