r"""What a tick's auctions taught, counted: how many of which value, at which price to win, and what places a bid got.

Values fall into *buckets* (finer where they are high, because that is what gets bought), prices to win into bins of
5 % on a log scale. Places are counted by how far the bid lay above the price to win, x = ln(bid / price to win): the
chance of each place, and what it costs over the price to win, are functions of x alone,

    seen per auction   A(x) = sum_s P(place s | x) e_s          cost over price to win   K(x) = sum_s P(s | x) e_s E[price / price to win | s, x]

so that P(price to win) of a bucket folded with A and K is its response to any bid, for any number of places, second
price, GSP and first price alike. An auction whose price to win is not told is *censored*: lost at b says it was above
b. Its count is spread over the bins above b as the rest of the bucket lies there (Kaplan and Meier 1958, Efron 1967).
"""

from dataclasses import dataclass

import numpy as np

from domain.auctions import TickLog
from domain.tables import Bools, Floats, Ints
from predictors.sums import summed

STEP = 0.05
#: Bins of the price to win; their middle is a first typical price, so they span a factor of 160 000.
BINS = 240
#: Bins of x: from the price to win up to 50 times it.
REACH = 80
MAX_PLACES = 16
_SHARES = (.1, .2, .3, .4, .5, .6, .7, .775, .85, .9, .925, .95, .965, .98, .99, .995, .9985)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scale:
    """Where buckets and bins lie.

    Attributes
    ----------
    edges
        (n_buckets - 1,) rising values between buckets.
    low
        Logarithm of the lower end of the first price bin.
    """

    edges: Floats
    low: float

    @classmethod
    def around(cls, values: Floats, price: float) -> "Scale":
        """Scale for values like these and prices around one."""
        positive = values[values > 0]
        if positive.size == 0:
            positive = np.ones(1)
        edges = np.unique(np.quantile(positive, _SHARES))
        return cls(edges, float(np.log(price)) - STEP * BINS / 2)

    @property
    def n_buckets(self) -> int:
        """Number of buckets."""
        return self.edges.size + 1

    @property
    def bids(self) -> Floats:
        """(BINS,) bid at the upper end of each bin: it beats every price of the bin."""
        return np.exp(self.low + STEP * np.arange(1, BINS + 1))

    @property
    def prices(self) -> Floats:
        """(BINS,) price in the middle of each bin."""
        return np.exp(self.low + STEP * (np.arange(BINS) + 0.5))

    def bucket(self, values: Floats) -> Ints:
        """Bucket of each value."""
        return np.searchsorted(self.edges, values, side="right").astype(np.int64)

    def bin(self, prices: Floats) -> Ints:
        """Bin of each price; those out of reach in the first or last."""
        with np.errstate(divide="ignore", invalid="ignore"):
            place = (np.log(np.maximum(prices, 1e-300)) - self.low) / STEP
        return np.clip(place, 0, BINS - 1).astype(np.int64)


@dataclass(frozen=True, slots=True)
class TickCounts:
    """One tick in numbers.

    Attributes
    ----------
    auctions, value
        (n_buckets,) number of auctions and sum of their values.
    prices
        (n_buckets, BINS) auctions by price to win, told ones.
    lost_at
        (n_buckets, BINS) auctions without a told price, lost, by the bin that holds their bid.
    won_under
        The same, won, where only an upper end is known.
    bid_sum, bidding
        (n_buckets,) sum of log bids, and number of auctions that were bid in.
    wins
        Auctions won.
    """

    auctions: Floats
    value: Floats
    prices: Floats
    lost_at: Floats
    won_under: Floats
    bid_sum: Floats
    bidding: Floats
    wins: float


class Places:
    """Learns what a bid gets beyond the least place, from won auctions; forgets slowly.

    Parameters
    ----------
    first_price
        Whether the winner pays the bid.
    """

    def __init__(self, first_price: bool) -> None:
        self._first_price = first_price
        self.count = np.zeros((REACH, MAX_PLACES + 1))
        self.ratio = np.zeros((REACH, MAX_PLACES + 1))
        self.shown = np.zeros(MAX_PLACES + 1)
        self.seen = np.zeros(MAX_PLACES + 1)

    def learn(self, x: Floats, position: Ints, ratio: Floats, exposed: Bools) -> None:
        """Add won auctions: log of bid over price to win, place, price over price to win, and whether it was seen."""
        place = np.minimum(position, MAX_PLACES).astype(np.int64)
        key = np.clip(x / STEP, 0, REACH - 1).astype(np.int64) * (MAX_PLACES + 1) + place
        n = REACH * (MAX_PLACES + 1)
        self.count += np.bincount(key, minlength=n).reshape(self.count.shape)
        self.ratio += np.bincount(key, ratio, n).reshape(self.count.shape)
        self.shown += np.bincount(place, minlength=MAX_PLACES + 1)
        self.seen += np.bincount(place, exposed, MAX_PLACES + 1)

    @property
    def exposure(self) -> Floats:
        """(n_places,) chance of being seen at each place met so far, best first; never rising from place to place."""
        last = int(np.max(np.flatnonzero(self.shown), initial=1))
        rate = (self.seen[1 : last + 1] + 1.0) / (self.shown[1 : last + 1] + 1.25)
        for k in range(1, rate.size):
            if self.shown[k + 1] < 30:  # too few: like the place above
                rate[k] = min(rate[k], rate[k - 1])
        return np.minimum(rate, 1.0)

    @property
    def single(self) -> bool:
        """Whether only one place was ever won."""
        return not self.shown[2:].any()

    def curves(self) -> tuple[Floats, Floats]:
        """(REACH,) seen per auction and cost over the price to win at each bin of x, neither ever falling."""
        exposure = np.zeros(MAX_PLACES + 1)
        known = self.exposure
        exposure[1 : known.size + 1] = known
        won = self.count.sum(axis=1)
        typical = float(self.seen.sum() + 0.8) / float(self.shown.sum() + 1.0)
        middle = STEP * (np.arange(REACH) + 0.5)
        seen_prior = np.full(REACH, typical)
        # before anything is seen: a higher bid costs a little more than the least one, as with several places
        cost_prior = typical * np.exp(0.0 if self.single else 0.3 * np.minimum(middle, 1.0))
        near = _smoothed(won)
        seen = (_smoothed(self.count @ exposure) + 5.0 * seen_prior) / (near + 5.0)
        cost = (_smoothed(self.ratio @ exposure) + 5.0 * cost_prior) / (near + 5.0)
        seen, cost = _rising(seen), _rising(cost)
        return seen, cost


def _smoothed(x: Floats) -> Floats:
    """Sum over a bin and its two neighbours on each side, weights 1 2 3 2 1."""
    out = 3.0 * x
    out[1:] += 2 * x[:-1]
    out[:-1] += 2 * x[1:]
    out[2:] += x[:-2]
    out[:-2] += x[2:]
    return out


def _rising(y: Floats) -> Floats:
    """Rising curve in the middle between the least one above and the greatest one below."""
    return 0.5 * (np.maximum.accumulate(y) + np.minimum.accumulate(y[::-1])[::-1])


def count_tick(
    log: TickLog, scale: Scale, places: Places | None, first_price: bool, remaining: float = np.inf
) -> TickCounts:
    """Count a tick; rows that contradict themselves are left out of what places teach, see `contradictions`.

    Parameters
    ----------
    places
        Learns from the won auctions; ``None`` = only count.
    remaining
        Budget before the tick: auctions lost while it ran out say nothing.
    """
    k = scale.n_buckets
    useful = log.values > 0
    bucket = scale.bucket(log.values)
    told = log.price_to_win
    assert told is not None  # set when the log was made
    won = log.position > 0
    bidding = log.bids > 0
    # an exchange that tells nothing: what was paid is the price to win, where it does not depend on the bid
    known = np.isfinite(told)
    guessed = ~known & won & (not first_price)
    price = np.where(guessed, log.price, told)
    known = (known | guessed) & useful
    at_price = scale.bin(np.where(known, price, 1.0))
    at_bid = scale.bin(np.where(bidding, log.bids, 1.0))

    def table(rows: Bools, bins: Ints) -> Floats:
        return np.bincount(bucket[rows] * BINS + bins[rows], minlength=k * BINS).reshape(k, BINS).astype(np.float64)

    short = log.paid > 0.98 * remaining
    lost_at = table(useful & ~known & bidding & ~won, at_bid) if not short else np.zeros((k, BINS))
    counted = TickCounts(
        auctions=np.bincount(bucket[useful], minlength=k).astype(np.float64),
        value=summed(bucket[useful], log.values[useful], k),
        prices=table(known, at_price),
        lost_at=lost_at,
        won_under=table(useful & ~known & won, at_bid),
        bid_sum=summed(bucket[bidding & useful], np.log(log.bids[bidding & useful]), k),
        bidding=np.bincount(bucket[bidding & useful], minlength=k).astype(np.float64),
        wins=float(won.sum()),
    )
    if places is not None:
        teach = won & bidding & known & (log.bids >= price * (1 - 1e-9))
        if first_price:
            floor = np.maximum(price[teach], 1e-300)
            ratio = np.ones(int(teach.sum()))  # the bid itself is the price; see `engine.auction_outlook`
        else:
            floor = np.exp(scale.low)
            floor = np.maximum(price[teach], floor)
            ratio = np.where(price[teach] > floor * (1 - 1e-9), log.price[teach] / floor, 1.0)
        places.learn(np.log(log.bids[teach] / floor), log.position[teach].astype(np.int64), ratio, log.exposed[teach])
    return counted
