"""What is true in one world, drawn from a scenario and a seed; hidden from every policy.

Expected response of unit i in hour h to a bid b per click, second price, with market price log-normal
(median m_ih, spread s_i) and z = (ln b - ln m_ih) / s_i:

    clicks  q_ih(b) = N_ih Phi(z)
    spend   c_ih(b) = N_ih m_ih exp(s_i^2 / 2) Phi(z - s_i)
    gmv     v_ih(b) = g_ih q_ih(b),   g_ih = cvr_ih x value_i

N_ih are click opportunities: shoppers who click the ad if they are shown it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from domain.tables import Bools, Floats
from market.scenario import Scenario

#: A bid of a million median prices wins every auction: there is nothing to buy beyond.
_EVERYTHING = 1e6

#: Names of independent random streams; a new one is added at the end, so that old worlds stay what they are.
_UNITS, _TRAFFIC, _RIVALS, _BELIEF, _SHOPPERS = range(5)


def stream(seed: int, name: int, *more: int) -> np.random.Generator:
    """Random stream of one purpose: the same numbers in any process, whatever other streams drew."""
    return np.random.default_rng([seed, name, *more])


@dataclass(frozen=True, slots=True)
class Truth:
    """Hidden curves of a world.

    Attributes
    ----------
    opportunities
        (n_units, n_hours) expected click opportunities, the day's and the hour's own luck included.
    price_median
        (n_units, n_hours) median market price of a click, account currency.
    price_spread
        (n_units,) standard deviation of the logarithm of single prices.
    cvr
        (n_units, n_hours) orders per click, over the full attribution window.
    order_value
        (n_units,) mean gmv of an order, account currency.
    """

    opportunities: Floats
    price_median: Floats
    price_spread: Floats
    cvr: Floats
    order_value: Floats

    @property
    def level(self) -> Floats:
        """(n_units, n_hours) price level that bids are compared with: the median market price."""
        return self.price_median

    @property
    def click_value(self) -> Floats:
        """(n_units, n_hours) expected gmv of a click."""
        return self.cvr * self.order_value[:, None]

    @property
    def lowest_theta(self) -> float:
        """Price of money at which every auction is won: bids of a million median prices and more."""
        worth = self.click_value > 0
        return float((self.click_value[worth] / self.price_median[worth]).min(initial=np.inf)) / _EVERYTHING

    @property
    def most_gmv(self) -> float:
        """Expected gmv of all opportunities."""
        return float((self.opportunities * self.click_value).sum())

    def best_bids(self, theta: float, offset: float = 0.0) -> Floats:
        """(n_units, n_hours) (click value + offset) / theta: the best second-price bids at a price of money."""
        return (self.click_value + offset) / theta

    def at_hour(self, hour: int) -> "Truth":
        """Curves of one hour, as arrays of one column."""
        one = slice(hour, hour + 1)
        return Truth(
            self.opportunities[:, one], self.price_median[:, one], self.price_spread, self.cvr[:, one], self.order_value
        )

    def subset(self, units: Bools) -> "Truth":
        """Curves of some units."""
        return Truth(
            self.opportunities[units],
            self.price_median[units],
            self.price_spread[units],
            self.cvr[units],
            self.order_value[units],
        )

    def response(self, bids: Floats) -> tuple[Floats, Floats]:
        """Expected (clicks, spend), each (n_units, n_hours), at bids of that shape; a bid of 0 is a pause."""
        with np.errstate(divide="ignore"):
            z = (np.log(bids) - np.log(self.price_median)) / self.price_spread[:, None]
        mean_price = self.price_median * np.exp(0.5 * self.price_spread**2)[:, None]
        return self.opportunities * ndtr(z), self.opportunities * mean_price * ndtr(z - self.price_spread[:, None])


@dataclass(frozen=True, slots=True)
class Profiles:
    """Factors (n_hours,) that everybody expects: phases, peaks, hours of the day; and the local day of each hour."""

    traffic: Floats
    cvr: Floats
    price: Floats
    day: np.ndarray


def profiles(scenario: Scenario) -> Profiles:
    """Factors of a scenario's hours as its calendar states them."""
    hours = scenario.n_hours
    local = [scenario.first_hour.plus(h).local(scenario.tz) for h in range(hours)]
    shape = np.array(scenario.demand.hour_of_day)
    traffic = (shape / shape.mean())[[t.hour for t in local]]
    if scenario.demand.hour_of_week:
        week = np.array(scenario.demand.hour_of_week)
        traffic = (week / week.mean())[[24 * t.weekday() + t.hour for t in local]]
    cvr, price = np.ones(hours), np.ones(hours)
    windows = [(p, scenario.position(p.start), scenario.position(p.end)) for p in scenario.phases]
    windows += [(p, scenario.position(p.start), scenario.position(p.start) + p.hours) for p in scenario.peaks]
    for part, first, last in windows:
        traffic[first:last] *= part.traffic
        cvr[first:last] *= part.cvr
        price[first:last] *= part.price
    return Profiles(traffic, cvr, price, np.array([t.toordinal() for t in local]) - local[0].toordinal())


@dataclass(frozen=True, slots=True)
class Assortment:
    """SKUs in ordinary hours, all (n_units,): opportunities per hour, conversion rate, order value, market price."""

    clicks_per_hour: Floats
    cvr: Floats
    order_value: Floats
    price_median: Floats
    price_spread: Floats
    cold: np.ndarray


def draw_assortment(scenario: Scenario, seed: int) -> Assortment:
    """SKUs of a world. Sizes are scaled to the stated mean, so that a budget means the same for every seed."""
    rng = stream(seed, _UNITS)
    n = scenario.units.count
    demand, value, rivals = scenario.demand, scenario.value, scenario.rivals
    size = np.exp(demand.size_spread * rng.standard_normal(n))
    cvr = np.minimum(value.cvr_median * np.exp(value.cvr_spread * rng.standard_normal(n)), 0.5)
    order_value = np.round(value.price_median * np.exp(value.price_spread * rng.standard_normal(n)), 2)
    level = rivals.price_per_value * np.exp(rivals.level_spread * rng.standard_normal(n))
    spread = rivals.auction_spread + rivals.auction_spread_range * rng.uniform(-1, 1, n)
    cold = np.zeros(n, np.bool_)
    cold[rng.permutation(n)[: round(scenario.units.cold_share * n)]] = True
    return Assortment(
        clicks_per_hour=demand.clicks_per_hour * size / size.mean(),
        cvr=cvr,
        order_value=np.maximum(order_value, 0.01),
        price_median=level * cvr * order_value,
        price_spread=spread,
        cold=cold,
    )


def draw_truth(scenario: Scenario, seed: int, goods: Assortment, expected: Profiles) -> Truth:
    """Curves of a world: what everybody expects, times what nobody could know."""
    n, hours = scenario.units.count, scenario.n_hours
    rng = stream(seed, _TRAFFIC)
    sd = scenario.prior.traffic_error_day
    day_luck = np.exp(sd * rng.standard_normal(int(expected.day[-1]) + 1) - 0.5 * sd**2)[expected.day]
    over = scenario.demand.overdispersion
    hour_luck = rng.gamma(1 / over**2, over**2, (n, hours)) if over > 0 else np.ones((n, hours))
    rng = stream(seed, _RIVALS)
    memory, drift = scenario.rivals.drift_memory, np.empty(hours)
    shocks = scenario.rivals.drift * rng.standard_normal(hours)
    drift[0] = shocks[0]
    for h in range(1, hours):
        drift[h] = memory * drift[h - 1] + np.sqrt(1 - memory**2) * shocks[h]
    rise = np.where(np.arange(hours) >= scenario.position(scenario.rivals.rise_at), 1 + scenario.rivals.rise, 1.0)
    return Truth(
        opportunities=goods.clicks_per_hour[:, None] * (expected.traffic * day_luck) * hour_luck,
        price_median=goods.price_median[:, None] * (expected.price * rise * np.exp(drift)),
        price_spread=goods.price_spread,
        cvr=np.minimum(goods.cvr[:, None] * expected.cvr, 1.0),
        order_value=goods.order_value,
    )


@dataclass(frozen=True, slots=True)
class Belief:
    """Last month's model, all (n_units,): what a policy knows of the SKUs before the first report."""

    cvr: Floats
    clicks_per_hour: Floats


def draw_belief(scenario: Scenario, seed: int, goods: Assortment) -> Belief:
    """Truth of the SKUs, seen through the scenario's prior errors (all of mean 1 but the common bias)."""
    rng = stream(seed, _BELIEF)
    prior, n = scenario.prior, scenario.units.count
    noise = np.where(goods.cold, prior.cvr_noise_cold, prior.cvr_noise)
    cvr = goods.cvr * (1 + prior.cvr_bias) * np.exp(noise * rng.standard_normal(n) - 0.5 * noise**2)
    sd = prior.traffic_error_unit
    clicks = goods.clicks_per_hour * np.exp(sd * rng.standard_normal(n) - 0.5 * sd**2)
    return Belief(np.minimum(cvr, 0.95), clicks)


@dataclass(frozen=True, slots=True)
class Shoppers:
    """Everybody who would click an ad in one hour, whatever is bid for them; (n_shoppers,) each, ordered by time.

    Attributes
    ----------
    unit
        Ad they would click.
    price
        Market price of their click: what a winner pays.
    orders
        Positions of those who order if they click.
    lag
        Hours from click to order, for each of `orders`.
    value
        Gmv of the order, for each of `orders`; negative where it is taken back.
    count
        1 for an order, -1 for one that is taken back, 0 for money alone, for each of `orders`.
    """

    unit: np.ndarray
    price: Floats
    orders: np.ndarray
    lag: np.ndarray
    value: Floats
    count: Floats


def draw_shoppers(scenario: Scenario, seed: int, truth: Truth, hour: int) -> Shoppers:
    """Shoppers of one hour: a Poisson process marked with price, order, lag and value.

    No bid enters here, so every policy on a seed meets the same people, and whoever bids more for a unit wins
    all that the lower bid wins.
    """
    rng = stream(seed, _SHOPPERS, hour)
    opportunities = truth.opportunities[:, hour]
    total = int(rng.poisson(opportunities.sum()))
    # One draw of a unit for each arrival, in order of time: a superposition of the units' Poisson processes.
    edges = np.cumsum(opportunities)
    unit = np.minimum(np.searchsorted(edges, rng.random(total) * edges[-1], side="right"), opportunities.size - 1)
    price = truth.price_median[unit, hour] * np.exp(truth.price_spread[unit] * rng.standard_normal(total))
    orders = np.flatnonzero(rng.random(total) < truth.cvr[unit, hour])
    later = 1 - scenario.conversion.same_hour_share
    lag = np.zeros(orders.size, np.int64)
    late = rng.random(orders.size) < later
    if later > 0:
        lag = np.where(late, rng.geometric(later / scenario.conversion.mean_lag_hours, orders.size), 0)
    sd = scenario.value.basket_spread
    value = truth.order_value[unit[orders]] * np.exp(sd * rng.standard_normal(orders.size) - 0.5 * sd**2)
    return Shoppers(unit, price, orders, lag, np.round(value, 2), np.ones(orders.size))
