"""Auctions whose price to win nobody tells, spread over the bins where it can lie (Kaplan and Meier 1958, Efron 1967)."""

import numpy as np

from domain.tables import Floats


def spread_censored(counts: Floats, lost_at: Floats, won_under: Floats, prior: Floats) -> Floats:
    """(n_buckets, BINS) counts with censored auctions spread over the bins where they can lie.

    Parameters
    ----------
    counts
        Told prices.
    lost_at, won_under
        Lost and won auctions without one, by the bin of the bid.
    prior
        (n_buckets, BINS) probabilities before any count, worth five auctions a bucket.
    """
    if not (lost_at.any() or won_under.any()):
        return counts
    likely = _product_limit(counts, lost_at, 5.0 * prior)
    guess = counts
    # without upper ends the first round is exact; with them each round feeds the next
    for _ in range(4 if won_under.any() else 1):
        above = np.cumsum(likely[:, ::-1], axis=1)[:, ::-1]  # from this bin on
        below = np.cumsum(likely, axis=1)
        # a bid in a bin beats half of it on average; for a lost one take this bin and those above
        per_lost = np.cumsum(lost_at / np.maximum(above, 1e-300), axis=1)
        per_won = np.cumsum((won_under / np.maximum(below, 1e-300))[:, ::-1], axis=1)[:, ::-1]
        guess = counts + likely * (per_lost + per_won)
        likely = (guess + 5.0 * prior) / (guess.sum(axis=1, keepdims=True) + 5.0)
    return guess


def _product_limit(counts: Floats, lost_at: Floats, prior: Floats) -> Floats:
    """(n_buckets, BINS) probabilities of told prices under censoring (Kaplan and Meier 1958), `prior` added to the counts.

    Going up the bins: of the auctions that could still lie in one, the share that was told there. So what was lost at high
    bids outweighs what is only known to lie above low ones, at once rather than after many rounds.
    """

    def from_here(x: Floats) -> Floats:
        return np.cumsum(x[:, ::-1], axis=1)[:, ::-1]

    told = counts + prior
    risk = from_here(told) + from_here(lost_at) - 0.5 * lost_at
    hazard = told / np.maximum(risk, 1e-300)
    hazard[:, -1] = 1.0
    left = np.cumprod(1.0 - np.clip(hazard, 0.0, 1.0), axis=1)
    return np.concatenate([np.ones_like(left[:, :1]), left[:, :-1]], axis=1) * np.clip(hazard, 0.0, 1.0)
