"""The contested world: units that are auctioned against rivals, clicks whose orders come late, twice, or back.

`make_world` and `make_platform` choose: a scenario with an ``[auction]`` is contested, one without has a law of market
prices. Seen from a desk both are the same.
"""

from dataclasses import replace

import numpy as np
from scipy.optimize import least_squares
from scipy.special import log_ndtr, pdtrik

from domain.phases import PhaseKind
from domain.tables import Floats
from market.arena import GRID, ArenaCurves, Tables, envelopes, hold_auctions, tabulate
from market.arena import RESERVE as LEAST_SCORE
from market.fluid import Curves
from market.platform import SimPlatform
from market.rivals import USUAL_PRESENCE, Rivals, draw_population
from market.scenario import AftermathPart, AuctionPart, Pricing, Scenario
from market.truth import Assortment, Belief, Shoppers, draw_assortment, draw_belief, stream
from market.world import SimWorld

#: Random streams beside those of other modules.
_FEATURES, _ARRIVALS, _SCORES, _SETTLING, _LOOKS = range(50, 55)
#: What a unit says of its conversion rate: weights of category, match type and the part that nothing tells.
_TELLS, _MATCH, _HIDDEN = 0.6, 0.4, 0.69
_MATCH_TYPES = ("broad", "phrase", "exact")
#: Orders that wait for the burst come within so many hours of its start.
_BURST_HOURS = 6
#: Share of all clicks that bids of last month got, about.
USUAL_CLICKS = 0.5
#: Longest time after which anything comes back.
_LATEST = 72

_NOTHING = AftermathPart(0.0, 0.0, 0.0, 0.0, 24.0, 0.0)


def make_world(scenario: Scenario, seed: int) -> SimWorld:
    """World of a scenario and a seed."""
    return SimWorld(scenario, seed) if scenario.auction is None else ContestedWorld(scenario, seed)


def make_platform(world: SimWorld) -> SimPlatform:
    """Platform for one run in a world."""
    return ContestedPlatform(world) if isinstance(world, ContestedWorld) else SimPlatform(world)


class ContestedWorld(SimWorld):
    """A world with rivals; see `SimWorld` for what a desk knows of it.

    Attributes
    ----------
    auction, aftermath
        Parts of the scenario.
    category
        (n_units,) auction category of each unit.
    ctr
        (n_units,) clicks per impression.
    population
        The rivals.
    usual
        What bids get against rivals who find this account as present as usual.
    first, count
        (n_units,) position of the first rival of the unit's category, and their number; rivals are sorted by category.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        assert scenario.auction is not None
        self.auction: AuctionPart = scenario.auction
        self.aftermath: AftermathPart = scenario.aftermath or _NOTHING
        n = scenario.units.count
        rng = stream(seed, _FEATURES)
        self.category = rng.permutation(n) % self.auction.categories
        self._match = rng.integers(0, len(_MATCH_TYPES), n)
        self._traits = (
            rng.standard_normal(self.auction.categories)[self.category],
            (self._match - 1.0) / 0.816,
            rng.standard_normal(n),
        )
        self.ctr = np.clip(
            scenario.demand.ctr * np.exp(0.25 * self._traits[1] + 0.25 * rng.standard_normal(n)), 1e-5, 0.5
        )
        self._ctr_belief = np.clip(self.ctr * np.exp(0.2 * rng.standard_normal(n)), 1e-5, 0.5)
        population = draw_population(scenario, seed)
        order = np.argsort(population.category, kind="stable")
        self.population = replace(population, **{k: getattr(population, k)[order] for k in population.__slots__})
        self.first = np.searchsorted(self.population.category, self.category)
        self.count = np.searchsorted(self.population.category, self.category, side="right") - self.first
        super().__init__(scenario, seed)

    def _assortment(self) -> Assortment:
        """Conversion rates that follow from category, match type, and what nothing tells."""
        goods = draw_assortment(self.scenario, self.seed)
        value = self.scenario.value
        told, match, hidden = self._traits
        score = _TELLS * told + _MATCH * match + _HIDDEN * hidden
        cvr = np.minimum(value.cvr_median * np.exp(value.cvr_spread * score), 0.5)
        return replace(goods, cvr=cvr, price_median=goods.price_median * cvr / goods.cvr)

    def _belief(self, goods: Assortment) -> Belief:
        """Last month's model: it counts orders that were kept, so its rates are net of last month's refunds."""
        belief = draw_belief(self.scenario, self.seed, goods)
        return replace(belief, cvr=belief.cvr * (1 - self.aftermath.refund_last_month))

    def _descriptions(self) -> dict[str, object]:
        return {
            "category": [f"category {c + 1}" for c in self.category],
            "match_type": [_MATCH_TYPES[m] for m in self._match],
            "prior_ctr": self._ctr_belief,
        }

    def _curves(self) -> Curves:
        """Against rivals who find this account as present as usual."""
        rivals = Rivals(self.population, self.expected)
        usual = np.full(self.auction.categories, USUAL_PRESENCE)
        for h in range(self.n_hours):
            rivals.at(h)
            rivals.after(h, usual)
        self.usual = tabulate(self.auction, rivals.recorded, self.population.category)
        return self.curves_with(self.usual)

    def curves_with(self, tables: Tables) -> ArenaCurves:
        """Curves against rivals whose tables these are."""
        truth = self.truth
        marginal, vertex = envelopes(tables.clicks, tables.spend)
        return ArenaCurves(
            opportunities=truth.opportunities * (1 - self.aftermath.invalid_share),
            level=truth.price_median,
            cvr=truth.cvr * self._kept(),
            order_value=truth.order_value,
            category=self.category,
            clicks_at=tables.clicks,
            spend_at=tables.spend,
            marginal=marginal,
            vertex=vertex,
        )

    def _kept(self) -> Floats:
        """(n_hours,) share of the value of an hour's orders that is left in the end."""
        after, settles = self.aftermath, self.burst_start() is not None
        kept = np.ones(len(self.hours))
        for phase in self.calendar.phases:
            if phase.kind is PhaseKind.PRE_SALE and settles:
                inside = [phase.window.start <= h.start < phase.window.end for h in self.hours]
                kept[inside] = after.deposit_share + (1 - after.deposit_share) * (1 - after.forfeit_share)
        return kept * (1 - after.refund_share)

    def burst_start(self) -> int | None:
        """Hour in which the burst starts, or ``None``."""
        burst = [p for p in self.calendar.phases if p.kind is PhaseKind.BURST]
        return None if not burst else int((burst[0].window.start - self.hours[0].start).total_seconds() // 3600)

    def _price_forecast(self, goods: Assortment) -> tuple[Floats, Floats, Floats]:
        """Log-normal law that fits what bids near last month's got in their category: clicks, and money for them."""
        usual = zip(self.usual.clicks.mean(axis=1), self.usual.spend.mean(axis=1), strict=True)
        median, spread, volume = np.array([_law_of_prices(q, c, self.auction.noise) for q, c in usual]).T
        return goods.price_median * median[self.category], spread[self.category], volume[self.category]

    def shoppers(self, hour: int) -> Shoppers:
        """Everybody who would click in the top slot in an hour; the same people for every policy."""
        scenario, truth = self.scenario, self.truth
        rng = stream(self.seed, _ARRIVALS, hour)
        opportunities = truth.opportunities[:, hour]
        total = int(rng.poisson(opportunities.sum()))
        edges = np.cumsum(opportunities)
        unit = np.minimum(np.searchsorted(edges, rng.random(total) * edges[-1], side="right"), opportunities.size - 1)
        buys = (rng.random(total) < truth.cvr[unit, hour]) & ~self.invalid(hour, total)[0]
        orders = np.flatnonzero(buys)
        n = orders.size
        conversion = scenario.conversion
        later = 1 - conversion.same_hour_share
        lag = np.zeros(n, np.int64)
        if later > 0:
            lag = np.where(rng.random(n) < later, rng.geometric(later / conversion.mean_lag_hours, n), 0)
        sd = scenario.value.basket_spread
        value = np.round(truth.order_value[unit[orders]] * np.exp(sd * rng.standard_normal(n) - 0.5 * sd**2), 2)
        return self._settled(hour, Shoppers(unit, np.zeros(0), orders, lag, value, np.ones(n)))

    def invalid(self, hour: int, total: int) -> tuple[np.ndarray, np.ndarray]:
        """Whose click would be invalid, and after how many hours it would be credited back."""
        rng = stream(self.seed, _SETTLING, hour, 1)
        return rng.random(total) < self.aftermath.invalid_share, rng.integers(6, _LATEST, total)

    def _settled(self, hour: int, plain: Shoppers) -> Shoppers:
        """Orders with carts that wait, deposits that settle, and refunds."""
        after, rng, n = self.aftermath, stream(self.seed, _SETTLING, hour), plain.orders.size
        phase = self.calendar.phase_at(self.hours[hour].start)
        burst = self.burst_start()
        waits, kept, back = rng.random(n), rng.random(n), rng.random(n)
        into_burst, returned = rng.integers(0, _BURST_HOURS, n), rng.geometric(1 / after.refund_mean_hours, n)
        lag = plain.lag.copy()
        rows = [(plain.orders, lag, plain.value, plain.count)]
        due = plain.value
        if phase is not None and burst is not None and hour < burst:
            to_burst = burst - hour + into_burst
            if phase.kind is PhaseKind.WARM_UP:
                lag[:] = np.where(waits < after.carts_share, np.maximum(lag, to_burst), lag)
            elif phase.kind is PhaseKind.PRE_SALE:
                deposit, rest = np.round(plain.value * after.deposit_share, 2), kept >= after.forfeit_share
                lag[:] = 0
                balance = plain.value - deposit
                rows = [
                    (plain.orders, lag, deposit, plain.count),
                    (plain.orders[rest], to_burst[rest], balance[rest], np.zeros(int(rest.sum()))),
                ]
                due = deposit + balance * rest
                lag = np.where(rest, to_burst, lag)  # nothing is taken back before it is paid in full
        gone = back < after.refund_share
        rows.append((plain.orders[gone], (lag + np.minimum(returned, _LATEST))[gone], -due[gone], -plain.count[gone]))
        orders, lags, values, counts = (np.concatenate(parts) for parts in zip(*rows, strict=True))
        return Shoppers(plain.unit, plain.price, orders, lags, values, counts)


def _law_of_prices(clicks: Floats, spend: Floats, noise: float) -> tuple[float, float, float]:
    """Median over price level, spread, and volume of the log-normal second price under which bids get what they got.

    Least squares over log clicks and log spend per opportunity, for bids within a factor of two or so of the one that
    wins `USUAL_CLICKS`: a model that was fitted to last month's reports is right where it was, and nowhere else.
    """
    log_x = np.log(GRID)
    centre = float(np.interp(USUAL_CLICKS * clicks[-1], clicks, log_x))
    weight = np.exp(-0.5 * ((log_x - centre) / 0.5) ** 2)
    use = (weight > 0.02) & (clicks > 1e-6)
    x, w, want = log_x[use], np.sqrt(weight[use]), np.log([clicks[use], spend[use]])

    def off(law: Floats) -> Floats:
        m, s, k = law[0], np.exp(law[1]), law[2]
        z = (x - m) / s
        return (k + np.stack([log_ndtr(z), m + 0.5 * s**2 + log_ndtr(z - s)]) - want).ravel() * np.tile(w, 2)

    found = least_squares(off, [centre, np.log(noise), 0.0], bounds=([-3, -3, -2], [4, 1, 2])).x
    return float(np.exp(found[0])), float(np.exp(found[1])), float(np.exp(found[2]))


class ContestedPlatform(SimPlatform):
    """One policy's run in a contested world; rivals react to it."""

    def __init__(self, world: ContestedWorld) -> None:
        super().__init__(world)
        self.contested = world
        self._rivals = Rivals(world.population, world.expected)
        self._tables: list[Tables] = []  # of the hours that have run, one each

    @property
    def curves(self) -> Curves:
        """Against rivals as they were in this run; hours that have not run stand as they would usually be."""
        world = self.contested
        usual = world.usual
        whole = [
            np.concatenate([*(getattr(t, name) for t in self._tables), getattr(usual, name)[:, self.clock :]], axis=1)
            for name in Tables.__slots__
        ]
        return world.curves_with(Tables(*whole))

    def _win(self, h: int, shoppers: Shoppers) -> tuple[np.ndarray, Floats]:
        """Hold the hour's auctions."""
        world, part = self.contested, self.contested.auction
        levels = self._rivals.at(h)
        rng = stream(world.seed, _SCORES, h)
        total = shoppers.unit.size
        width = int(world.count.max())
        scores = part.noise * rng.standard_normal((total, width))
        if part.tail_share > 0:
            scores[rng.random((total, width)) < part.tail_share] *= part.tail_factor
        luck = rng.random(total)
        mine = world.first[shoppers.unit]
        for r in range(width):
            there = r < world.count[shoppers.unit]
            scores[:, r] += np.where(there, levels[np.minimum(mine + r, levels.size - 1)], -np.inf)
        np.exp(scores, out=scores)
        level = world.truth.price_median[:, h]
        slot, price = np.empty(total, np.int64), np.zeros(total)
        hold_auctions(
            shoppers.unit, self._bids / level, scores, world.first, world.count, luck, part.slot_decay, part.slots,
            LEAST_SCORE, slot, price,
        )  # fmt: skip
        won = np.flatnonzero(slot >= 0)
        unit = shoppers.unit[won]
        if part.pricing is Pricing.FIRST_PRICE:
            return won, self._bids[unit]
        return won, price[won] * level[unit]

    def _after(self, h: int, shoppers: Shoppers, won: np.ndarray, price: Floats) -> None:
        """Invalid clicks come back, and rivals take note."""
        world = self.contested
        if world.aftermath.invalid_share > 0:
            bad, wait = world.invalid(h, shoppers.unit.size)
            mine = bad[won]
            self.ledger.expect_credit(h, shoppers.unit[won[mine]], wait[won[mine]], price[mine])
        tables = self._hour_tables(h)
        self._rivals.after(h, self._presence(h, tables))

    def _hour_tables(self, h: int) -> Tables:
        """What bids get in an hour, against rivals as they are in it."""
        if len(self._tables) <= h:
            levels = self._rivals.recorded[:, h : h + 1]
            self._tables.append(tabulate(self.contested.auction, levels, self.contested.population.category))
        return self._tables[h]

    def _presence(self, h: int, tables: Tables) -> Floats:
        """(n_categories,) share of the hour's auctions in which this account stands on top, in the mean."""
        world = self.contested
        opportunities = world.truth.opportunities[:, h]
        top = self._at_bids(h, tables.top)
        n = world.auction.categories
        weight = np.bincount(world.category, opportunities, n)
        return np.bincount(world.category, opportunities * top, n) / np.maximum(weight, 1e-12)

    def _at_bids(self, h: int, table: Floats) -> Floats:
        """(n_units,) a table (n_categories, 1, n_grid) of this hour at the bids in force."""
        world = self.contested
        x = np.maximum(self._bids / world.truth.price_median[:, h], 1e-12)
        place = (np.log(x) - np.log(GRID[0])) / np.log(GRID[1] / GRID[0])
        low = np.clip(place.astype(np.int64), 0, GRID.size - 2)
        share = np.clip(place - low, 0, 1)
        c = world.category
        return np.where(place >= 0, table[c, 0, low] * (1 - share) + table[c, 0, low + 1] * share, 0.0)

    def _looks(self, h: int, open_share: float) -> Floats:
        """(n_units,) impressions without a click: shown in some slot, and not clicked."""
        world = self.contested
        tables = self._hour_tables(h)
        shown = world.truth.opportunities[:, h] * self._at_bids(h, tables.shown) / world.ctr
        clicks = world.truth.opportunities[:, h] * self._at_bids(h, tables.clicks)
        mean = np.maximum(shown - clicks, 0.0) * open_share
        u = stream(world.seed, _LOOKS, h).random(world.n_units)
        looks = np.zeros(world.n_units)
        some = mean > 0
        looks[some] = np.ceil(np.maximum(pdtrik(u[some], mean[some]), 0.0))
        return looks
