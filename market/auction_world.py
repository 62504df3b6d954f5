"""A market of single auctions: days of ticks, half a million auctions each, several positions, rivals with budgets.

Auction i of tick t has a hidden quality q_i and category k_i. In logarithms,

    own value         v_i  = median + swing(t) + taste_k + quality_spread q_i + own_spread e_i
    believed value    w_i  = v_i + bias(day)
    shopper's chance  v_i + error z_i - error^2 / 2       (what nobody can know; only the draw of conversions sees it)
    rival r's bid     b_ri = strength_r(day) + level(day, t) + pace_r(t) + taste_rk + quality_share quality_spread q_i + noise e_ri

and r takes part with probability `presence` while it has money. A pacing rival steers its day's budget; another
spends as it likes and runs dry, mostly in the evening, which makes late auctions cheap. Places go by bid, each is
charged the next bid below (GSP) if it is exposed, which happens with a probability of its own. What rivals do in a day
does not depend on the account: its bids are one in thirty-six, and every policy then meets the same recorded bids.
"""

import hashlib
import json
import math
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from domain.errors import ConfigError
from domain.tables import Floats

#: Version of this market's behaviour; a change of it, or of the scenario, is another fingerprint.
VERSION = "1"
SHIPPED = Path(__file__).resolve().parent.parent / "scenarios" / "impressions"


@dataclass(frozen=True, slots=True)
class AuctionScenario:
    """Everything that makes a market of single auctions; spreads are standard deviations of logarithms.

    Attributes
    ----------
    name, purpose
        What it is called, and what it is for.
    ticks, auctions_per_day
        Ticks of a day, and auctions of an ordinary one.
    exposure
        Probability that the ad at each place is seen; one entry per place, falling.
    reserve
        Least price, account currency.
    hour_of_day
        24 factors of traffic.
    traffic_day, traffic_tick
        Spread of a day's traffic, and of single ticks.
    value_median, quality_spread, own_spread
        Probability of a conversion per exposure: median, what rivals value too, and what only this account does.
    day_bias
        A day's predictions are off by a factor between 1 - this and 1 + this.
    value_error
        Spread of single predictions.
    hour_swing
        How much better evening shoppers convert, and night ones worse.
    rivals, categories, presence
        Number of rivals and of kinds of auctions; chance that a rival takes part in one.
    price_per_value
        A middling rival's bid over the median value, account currency.
    strength_spread, quality_share, taste_spread, noise
        Spread of rivals; how much they see of the quality; spread of rival by category, and of single bids.
    rival_day, level_day, drift, drift_memory
        Spread of each rival by day, of all by day; the common level's AR(1) over ticks.
    pacing_share, dry_share
        Share of rivals that pace a budget, and that run dry; the others do not mind.
    dry_low, dry_high
        Budget of those that run dry over what the day would cost them.
    """

    name: str
    purpose: str
    ticks: int
    auctions_per_day: int
    exposure: tuple[float, ...]
    reserve: float
    hour_of_day: tuple[float, ...]
    traffic_day: float
    traffic_tick: float
    value_median: float
    quality_spread: float
    own_spread: float
    day_bias: float
    value_error: float
    hour_swing: float
    rivals: int
    categories: int
    presence: float
    price_per_value: float
    strength_spread: float
    quality_share: float
    taste_spread: float
    noise: float
    rival_day: float
    level_day: float
    drift: float
    drift_memory: float
    pacing_share: float
    dry_share: float
    dry_low: float
    dry_high: float


#: Keys of the file by table, with the field each one fills and the range it may hold.
_KEYS: dict[str, dict[str, tuple[str, float, float]]] = {
    "": {"ticks": ("ticks", 1, 1440), "auctions_per_day": ("auctions_per_day", 1, 1e8), "reserve": ("reserve", 0, 1e6)},
    "traffic": {"day_spread": ("traffic_day", 0, 2), "tick_spread": ("traffic_tick", 0, 2)},
    "value": {
        "median": ("value_median", 1e-9, 1), "quality_spread": ("quality_spread", 0, 3), "own_spread": ("own_spread", 0, 3),
        "day_bias": ("day_bias", 0, 0.9), "error": ("value_error", 0, 2), "hour_swing": ("hour_swing", 0, 2),
    },
    "rivals": {
        "count": ("rivals", 4, 1000), "categories": ("categories", 1, 100), "presence": ("presence", 0.01, 1),
        "price_per_value": ("price_per_value", 1e-9, 1e9), "strength_spread": ("strength_spread", 0, 2),
        "quality_share": ("quality_share", 0, 2), "taste_spread": ("taste_spread", 0, 2), "noise": ("noise", 0.01, 2),
        "day_spread": ("rival_day", 0, 2), "level_spread": ("level_day", 0, 2), "drift": ("drift", 0, 1),
        "drift_memory": ("drift_memory", 0, 0.999), "pacing_share": ("pacing_share", 0, 1), "dry_share": ("dry_share", 0, 1),
    },
}  # fmt: skip
_LISTS = {
    ("", "exposure"): (1, 8, 1.0),
    ("traffic", "hour_of_day"): (24, 24, 100.0),
    ("rivals", "dry_tightness"): (2, 2, 10.0),
}


def load_auction_scenario(source: str | Path = "auction-days") -> AuctionScenario:
    """Scenario of a TOML file, or of a shipped one by its name; `ConfigError` with file, key and remedy."""
    path = Path(source)
    if isinstance(source, str) and path.suffix != ".toml":
        path = SHIPPED / f"{source}.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        there = sorted(p.stem for p in SHIPPED.glob("*.toml"))
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name a file or one of {there}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    return parse_auction_scenario(raw, str(path))


def parse_auction_scenario(raw: dict[str, Any], file: str) -> AuctionScenario:
    """Scenario from parsed TOML; every key must be there, known, and inside its range."""
    found: dict[str, Any] = {}
    for part, keys in _KEYS.items():
        table = raw if part == "" else raw.get(part)
        if not isinstance(table, dict):
            raise ConfigError(f"{file}: the table [{part}] is missing; add it")
        lists = [name for where, name in _LISTS if where == part]
        texts = ["name", "purpose"] if part == "" else []
        allowed = [*keys, *lists, *texts, *(p for p in _KEYS if p and part == "")]
        for key in table:
            if key not in allowed:
                raise ConfigError(f"{file}: unknown key {part}.{key}; it may hold {sorted(allowed)}".replace(" .", " "))
        for key, (name, low, high) in keys.items():
            value = table.get(key)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise ConfigError(f"{file}: {part}.{key} is {value!r}; write a number between {low:g} and {high:g}")
            found[name] = value
        for key in lists:
            least, most, high = _LISTS[part, key]
            value = table.get(key)
            numbers: list[Any] = value if isinstance(value, list) else []
            fine = all(isinstance(v, int | float) and 0 <= v <= high for v in numbers)
            if not fine or not least <= len(numbers) <= most:
                raise ConfigError(f"{file}: {part}.{key}: write {least} to {most} numbers from 0 to {high:g}")
            found[key] = tuple(float(v) for v in numbers)
        for key in texts:
            if not isinstance(table.get(key), str):
                raise ConfigError(f"{file}: {key} is missing; add a text")
            found[key] = table[key]
    if list(found["exposure"]) != sorted(found["exposure"], reverse=True) or found["exposure"][-1] <= 0:
        raise ConfigError(f"{file}: exposure must fall from place to place and stay above 0")
    low, high = found.pop("dry_tightness")
    if not 0 < low <= high or found["pacing_share"] + found["dry_share"] > 1 or not sum(found["hour_of_day"]) > 0:
        raise ConfigError(
            f"{file}: rivals.dry_tightness must rise, the shares of rivals sum to at most 1, traffic be positive"
        )
    for whole in ("ticks", "auctions_per_day", "rivals", "categories"):
        found[whole] = int(found[whole])
    return AuctionScenario(dry_low=low, dry_high=high, **found)


def fingerprint(scenario: AuctionScenario) -> str:
    """Twelve hexadecimal digits that name scenario and market, so that results of different worlds are never compared."""
    text = json.dumps({"market": VERSION, "scenario": {**asdict(scenario), "purpose": ""}}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class AuctionDay:
    """One day as it would happen to anybody: what the account is told, and (hidden) what is true.

    Attributes
    ----------
    first
        (n_ticks + 1,) position of the first auction of each tick.
    values, value_sds
        (n_auctions,) what the account is told: believed probability of a conversion per exposure, and its error.
    truth
        (n_auctions,) true probability given all that can be known: what policies are judged by.
    chance
        (n_auctions,) probability of the single shopper: what conversions are drawn from.
    thresholds
        (n_auctions, n_slots) bid above which each place is won, falling; also its price.
    exposure
        (n_slots,) probability of being seen.
    luck_seen, luck_bought
        (n_auctions,) uniform numbers: the same shoppers for every policy.
    bias
        Factor on all believed values of the day.
    awake
        (n_ticks,) share of rivals that still had money.
    """

    first: np.ndarray
    values: Floats
    value_sds: Floats
    truth: Floats
    chance: Floats
    thresholds: Floats
    exposure: Floats
    luck_seen: Floats
    luck_bought: Floats
    bias: float
    awake: Floats

    @property
    def n_ticks(self) -> int:
        """Number of ticks."""
        return self.first.size - 1

    def tick(self, t: int) -> slice:
        """Auctions of a tick."""
        return slice(int(self.first[t]), int(self.first[t + 1]))


@dataclass(frozen=True, slots=True)
class AuctionMarket:
    """The part of the market that stays from day to day: who the rivals are and what they like.

    Attributes
    ----------
    scenario
        The world's file.
    seed
        Seed of everything in it.
    strength
        (n_rivals,) log bid over value, in the mean over days.
    taste
        (n_rivals + 1, n_categories) log liking of each kind of auction; the last row is the account's.
    kind
        (n_rivals,) 0 does not mind money, 1 paces, 2 runs dry.
    tightness
        (n_rivals,) budget over what an ordinary day would cost.
    """

    scenario: AuctionScenario
    seed: int
    strength: Floats
    taste: Floats
    kind: np.ndarray
    tightness: Floats

    @classmethod
    def draw(cls, scenario: AuctionScenario, seed: int) -> "AuctionMarket":
        """Market of a seed."""
        rng = np.random.default_rng([seed, 0])
        n = scenario.rivals
        strength = math.log(scenario.price_per_value) + scenario.strength_spread * rng.standard_normal(n)
        taste = scenario.taste_spread * rng.standard_normal((n + 1, scenario.categories))
        kind = np.zeros(n, np.int64)
        order = rng.permutation(n)
        paced, dry = round(scenario.pacing_share * n), round(scenario.dry_share * n)
        kind[order[:paced]] = 1
        kind[order[paced : paced + dry]] = 2
        tightness = rng.uniform(scenario.dry_low, scenario.dry_high, n)
        tightness[kind == 1] = rng.uniform(0.6, 1.0, int((kind == 1).sum()))
        tightness[kind == 0] = np.inf
        return cls(scenario, seed, strength, taste, kind, tightness)

    def day(self, number: int) -> AuctionDay:
        """Day of a number; the same number is the same day."""
        s = self.scenario
        rng = np.random.default_rng([self.seed, 1, number])
        shape = np.interp(
            (np.arange(s.ticks) + 0.5) * 24 / s.ticks, np.arange(25) + 0.5, [*s.hour_of_day, s.hour_of_day[0]]
        )
        mean = s.auctions_per_day * shape / shape.sum()
        factor = math.exp(s.traffic_day * rng.standard_normal()) * np.exp(s.traffic_tick * rng.standard_normal(s.ticks))
        counts = np.maximum(rng.poisson(mean * factor), 1)
        hour = (np.arange(s.ticks) + 0.5) * 24 / s.ticks
        swing = s.hour_swing * np.cos((hour - 20.5) * 2 * np.pi / 24)
        level = np.empty(s.ticks)
        state = s.drift * rng.standard_normal()
        shock = s.drift * math.sqrt(1 - s.drift_memory**2)
        base = s.level_day * rng.standard_normal()
        for t in range(s.ticks):
            level[t] = base + state
            state = s.drift_memory * state + shock * rng.standard_normal()
        bias = float(rng.uniform(1 - s.day_bias, 1 + s.day_bias))
        strength = self.strength + math.log(s.value_median) + s.rival_day * rng.standard_normal(s.rivals)
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        n, slots = int(first[-1]), len(s.exposure)
        truth, chance = np.empty(n), np.empty(n)
        thresholds = np.empty((n, slots))
        exposure = np.array(s.exposure)
        expected = _ordinary_spend(self, mean, swing, exposure)
        budget = self.tightness * expected.sum(axis=1)
        plan = np.cumsum(expected, axis=1) / expected.sum(axis=1)[:, None]
        pace, spent = np.zeros(s.rivals), np.zeros(s.rivals)
        awake = np.empty(s.ticks)
        for t in range(s.ticks):
            on = spent < budget
            awake[t] = on.mean()
            bought = np.zeros(s.rivals)
            part = slice(int(first[t]), int(first[t + 1]))
            _tick(
                rng, strength + level[t] + pace, on, self.taste, s.presence, s.quality_share * s.quality_spread, s.noise,
                math.log(s.value_median) + swing[t], s.quality_spread, s.own_spread, s.value_error, math.log(s.reserve),
                exposure, truth[part], chance[part], thresholds[part], bought,
            )  # fmt: skip
            spent += bought
            gap = np.log(np.maximum(spent, 1e-9) / np.maximum(np.minimum(budget, 1e300) * plan[:, t], 1e-9))
            pace = np.where(self.kind == 1, np.clip(pace - 0.15 * np.clip(gap, -1, 1), -0.6, 0.4), 0.0)
        truth = np.minimum(truth, 1.0)
        believed = np.minimum(truth * bias, 1.0)
        return AuctionDay(
            first,
            believed,
            believed * s.value_error,
            truth,
            chance,
            thresholds,
            exposure,
            rng.random(n),
            rng.random(n),
            bias,
            awake,
        )


def _ordinary_spend(market: AuctionMarket, mean: Floats, swing: Floats, exposure: Floats) -> Floats:
    """(n_rivals, n_ticks) what rivals would spend on an ordinary day without budgets, from a sample of auctions."""
    s = market.scenario
    rng = np.random.default_rng([market.seed, 2])
    n = 20_000
    bought = np.zeros(s.rivals)
    _tick(
        rng, market.strength + math.log(s.value_median), np.ones(s.rivals, np.bool_), market.taste, s.presence,
        s.quality_share * s.quality_spread, s.noise, math.log(s.value_median), s.quality_spread, s.own_spread, s.value_error,
        math.log(s.reserve), exposure, np.empty(n), np.empty(n), np.empty((n, exposure.size)), bought,
    )  # fmt: skip
    return np.maximum(bought, bought.mean() * 1e-3)[:, None] / n * mean[None, :]


@njit(cache=True)
def _tick(
    rng, strength, on, taste, presence, share, noise, median, quality_spread, own_spread, error, reserve, exposure,
    truth, chance, thresholds, bought,
):  # fmt: skip
    """Hold a tick's auctions among the rivals: thresholds of the places, values of the account, spend of the rivals."""
    n_rivals, slots = strength.size, exposure.size
    top, who = np.empty(slots + 1), np.empty(slots + 1, np.int64)
    own_row = taste.shape[0] - 1
    for i in range(truth.size):
        quality = rng.standard_normal()
        category = int(rng.random() * taste.shape[1])
        value = median + taste[own_row, category] + quality_spread * quality + own_spread * rng.standard_normal()
        chance[i] = min(math.exp(value + error * rng.standard_normal() - 0.5 * error * error), 1.0)
        truth[i] = math.exp(value)
        for k in range(slots + 1):
            top[k], who[k] = reserve, -1
        common = share * quality
        for r in range(n_rivals):
            if not on[r] or rng.random() > presence:
                continue
            bid = strength[r] + common + taste[r, category] + noise * rng.standard_normal()
            if bid <= top[slots]:
                continue
            k = slots
            while k > 0 and top[k - 1] < bid:
                top[k], who[k] = top[k - 1], who[k - 1]
                k -= 1
            top[k], who[k] = bid, r
        for k in range(slots):
            thresholds[i, k] = math.exp(top[k])
            if who[k] >= 0:
                bought[who[k]] += exposure[k] * math.exp(top[k + 1])
