"""How near the market's prices come to those of a real log, as far as a log of won auctions can tell.

A log holds the price paid in auctions that were won, so prices above the bidder's own bid are missing. The market's
prices are cut at the same multiple of their median before the two are compared, and both are taken relative to
their medians: shape, not level.
"""

from dataclasses import dataclass

import numpy as np

from domain.tables import Floats
from market.contested import ContestedWorld
from market.rivals import USUAL_PRESENCE, Rivals
from market.truth import stream

_STREAM = 60
#: Shares at which quantiles are compared.
SHARES = (0.05, 0.10, 0.25, 0.75, 0.90, 0.95)


@dataclass(frozen=True, slots=True)
class PriceFit:
    """Shape of a log's prices beside the market's.

    Attributes
    ----------
    log, market
        Quantiles over the median at `SHARES`.
    log_sd, market_sd
        Standard deviation of the logarithm.
    distance
        Largest distance between the two distributions (Kolmogorov and Smirnov).
    lognormal_distance
        The same between the log and the log-normal law of its own mean and spread, cut alike.
    """

    log: Floats
    market: Floats
    log_sd: float
    market_sd: float
    distance: float
    lognormal_distance: float


def market_prices(world: ContestedWorld, count: int) -> Floats:
    """Highest rival scores of random auctions of a world, account currency: what the top slot costs at least."""
    rivals = Rivals(world.population, world.expected)
    usual = np.full(world.auction.categories, USUAL_PRESENCE)
    for h in range(world.n_hours):
        rivals.at(h)
        rivals.after(h, usual)
    rng, part = stream(world.seed, _STREAM), world.auction
    share = world.truth.opportunities.ravel() / world.truth.opportunities.sum()
    unit, hour = np.divmod(rng.choice(share.size, count, p=share), world.n_hours)
    width = int(world.count.min())
    noise = part.noise * rng.standard_normal((count, width))
    noise[rng.random(noise.shape) < part.tail_share] *= part.tail_factor
    level = rivals.recorded[world.first[unit][:, None] + np.arange(width), hour[:, None]]
    return np.exp(level + noise).max(axis=1) * world.truth.price_median[unit, hour]


def compare(log: Floats, market: Floats) -> PriceFit:
    """Shapes of a log of paid prices and of market prices."""
    log = log[log > 0]
    cut = float(log.max() / np.median(log))
    market, rng = cut_at(market, cut), stream(0, _STREAM)
    normal = cut_at(np.exp(np.log(log).mean() + np.log(log).std() * rng.standard_normal(200_000)), cut)
    a, b, c = (x / np.median(x) for x in (log, market, normal))
    return PriceFit(
        log=np.quantile(a, SHARES),
        market=np.quantile(b, SHARES),
        log_sd=float(np.log(a).std()),
        market_sd=float(np.log(b).std()),
        distance=_distance(a, b),
        lognormal_distance=_distance(a, c),
    )


def cut_at(prices: Floats, multiple: float) -> Floats:
    """Prices up to a multiple of their own median after the cut: those that a bidder of that bid would have paid."""
    kept = prices
    for _ in range(100):
        left = prices[prices <= multiple * np.median(kept)]
        if left.size == kept.size:
            break
        kept = left
    return kept


def _distance(a: Floats, b: Floats) -> float:
    at = np.concatenate([a, b])
    first = np.searchsorted(np.sort(a), at, side="right") / a.size
    second = np.searchsorted(np.sort(b), at, side="right") / b.size
    return float(np.abs(first - second).max())
