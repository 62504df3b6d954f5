"""Reads a scenario file: everything that makes one simulated world, and nothing that a policy may see directly.

A scenario is TOML with one table per part of the world. Every key must be known and inside its bounds; a file
that is not so is refused whole with file, key and remedy, because a silently ignored key is a wrong experiment.
"""

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_args
from zoneinfo import ZoneInfo

from domain.account import Account, Mode
from domain.errors import ConfigError
from domain.limits import BidLimits
from domain.phases import Phase, PhaseKind, PromotionCalendar
from domain.time import Hour, Window, zone
from market.plans_part import Between, PlansPart


@dataclass(frozen=True, slots=True)
class UnitsPart:
    """Which SKUs are advertised.

    Attributes
    ----------
    count
        Bid units; one per SKU.
    campaigns
        Campaigns they are dealt to, round robin, so that each holds SKUs of all sizes.
    business_types
        Names; campaigns are dealt to them in turn.
    cold_share
        Share of SKUs that are new: their prior conversion rate is little more than a guess.
    """

    count: Annotated[int, Between(1, 1_000_000)]
    campaigns: Annotated[int, Between(1, 100_000)]
    business_types: tuple[str, ...]
    cold_share: Annotated[float, Between(0, 1)]


@dataclass(frozen=True, slots=True)
class DemandPart:
    """Click opportunities: shoppers who click the ad if they are shown it.

    Attributes
    ----------
    clicks_per_hour
        Mean over units of the opportunities in an ordinary hour (all factors 1).
    size_spread
        Standard deviation of the logarithm of a unit's size: heavy-tailed assortment.
    overdispersion
        Relative standard deviation of a unit's traffic in an hour, beyond Poisson noise.
    ctr
        Clicks per impression.
    hour_of_day
        24 factors, local time.
    hour_of_week
        168 factors from Monday 00:00 on, local time; where they are given, `hour_of_day` is not used.
    """

    clicks_per_hour: Annotated[float, Between(1e-6, 1e6)]
    size_spread: Annotated[float, Between(0, 3)]
    overdispersion: Annotated[float, Between(0, 3)]
    ctr: Annotated[float, Between(1e-6, 1)]
    hour_of_day: Annotated[tuple[float, ...], Between(0, 100)]
    hour_of_week: Annotated[tuple[float, ...], Between(0, 100)] = ()


@dataclass(frozen=True, slots=True)
class ValuePart:
    """What a click is worth.

    Attributes
    ----------
    cvr_median, cvr_spread
        Orders per click in an ordinary hour: median over units, standard deviation of its logarithm.
    price_median, price_spread
        Price of a SKU in account currency, likewise. The mean order is worth one price.
    basket_spread
        Standard deviation of the logarithm of single orders of the same SKU (mean kept).
    """

    cvr_median: Annotated[float, Between(1e-6, 1)]
    cvr_spread: Annotated[float, Between(0, 3)]
    price_median: Annotated[float, Between(1e-6, 1e9)]
    price_spread: Annotated[float, Between(0, 3)]
    basket_spread: Annotated[float, Between(0, 3)]


@dataclass(frozen=True, slots=True)
class RivalsPart:
    """Market price of a click: log-normal for each unit and hour, paid as second price.

    Attributes
    ----------
    price_per_value
        Median market price as a share of the value of an ordinary click, over units.
    level_spread
        Standard deviation over units of the logarithm of that share: some niches are contested.
    auction_spread, auction_spread_range
        Mean over units of the standard deviation of the logarithm of single prices, and half its range.
    rise, rise_at
        Relative jump of all prices at a local time, which nobody forecast.
    drift, drift_memory
        Stationary standard deviation and hourly autocorrelation of the AR(1) of the log price level.
    """

    price_per_value: Annotated[float, Between(1e-6, 1e3)]
    level_spread: Annotated[float, Between(0, 3)]
    auction_spread: Annotated[float, Between(0.05, 3)]
    auction_spread_range: Annotated[float, Between(0, 2)]
    rise: Annotated[float, Between(-0.9, 10)]
    rise_at: datetime
    drift: Annotated[float, Between(0, 1)]
    drift_memory: Annotated[float, Between(0, 0.9999)]


@dataclass(frozen=True, slots=True)
class ConversionPart:
    """When a click that converts does so.

    Attributes
    ----------
    same_hour_share
        Share of orders in the hour of the click.
    mean_lag_hours
        Mean over all orders; those of later hours follow a geometric law from hour 1 on.
    """

    same_hour_share: Annotated[float, Between(0, 1)]
    mean_lag_hours: Annotated[float, Between(0, 1000)]


@dataclass(frozen=True, slots=True)
class PriorPart:
    """How last month's model errs; all that a policy knows before the first report.

    Attributes
    ----------
    cvr_bias
        Common relative error of the conversion rates: 0.15 = 15 % too high.
    cvr_noise, cvr_noise_cold
        Standard deviation of the logarithm of each SKU's own error, and of each cold SKU's.
    traffic_error_day, traffic_error_unit
        Standard deviation of the logarithm of the traffic forecast's error by day and by SKU.
    """

    cvr_bias: Annotated[float, Between(-0.9, 10)]
    cvr_noise: Annotated[float, Between(0, 3)]
    cvr_noise_cold: Annotated[float, Between(0, 3)]
    traffic_error_day: Annotated[float, Between(0, 3)]
    traffic_error_unit: Annotated[float, Between(0, 3)]


class Pooling(StrEnum):
    """Who shares the targets."""

    ACCOUNT = "account"  #: all units
    BUSINESS_TYPE = "business_type"  #: the campaigns of each business type, with a budget and an ROI of their own


@dataclass(frozen=True, slots=True)
class GoalsPart:
    """What the account is asked to reach.

    Attributes
    ----------
    budget
        Account currency, over the whole scenario. Delivery stops when it is gone.
    roi_of_budget_optimum
        ROI target as a multiple of the ROI that the budget-only hindsight optimum of the same seed has:
        above 1 the ROI row binds before the budget does. Without it there is no ROI target.
    cpc_of_budget_optimum
        CPC cap on the account as a multiple of that optimum's CPC. Without it there is none. An ROI target and a CPC
        cap do not go together here.
    pooling
        Whose targets these are. By business type, each gets a part of the budget by its number of units, and
        its own ROI target by the same multiple.
    """

    budget: Annotated[float, Between(1e-2, 1e15)]
    roi_of_budget_optimum: Annotated[float | None, Between(0.01, 100)] = None
    cpc_of_budget_optimum: Annotated[float | None, Between(0.01, 100)] = None
    pooling: Pooling = Pooling.ACCOUNT


@dataclass(frozen=True, slots=True)
class LimitsPart:
    """Legal bids; see `domain.limits.BidLimits`. ``max_step_pct`` and ``edits_per_day`` are rules only if stated."""

    floor: Annotated[float, Between(1e-6, 1e9)]
    cap: Annotated[float, Between(1e-6, 1e9)]
    tick: Annotated[float, Between(1e-6, 1e9)]
    max_step_pct: Annotated[float, Between(1e-3, 1e9)] = math.inf
    edits_per_day: Annotated[int | None, Between(1, 10_000)] = None


@dataclass(frozen=True, slots=True)
class PhasePart:
    """One phase: its window in local time, and how it moves traffic, conversion rate and market price."""

    name: str
    kind: PhaseKind
    start: datetime
    end: datetime
    traffic: Annotated[float, Between(1e-3, 1e3)]
    cvr: Annotated[float, Between(1e-3, 1e3)]
    price: Annotated[float, Between(1e-3, 1e3)]


@dataclass(frozen=True, slots=True)
class PeakPart:
    """A rush inside a phase, on top of the phase's factors: the first hours after the burst's midnight."""

    start: datetime
    hours: Annotated[int, Between(1, 48)]
    traffic: Annotated[float, Between(1e-3, 1e3)]
    cvr: Annotated[float, Between(1e-3, 1e3)]
    price: Annotated[float, Between(1e-3, 1e3)]


class Pricing(StrEnum):
    """What the winner of a slot pays for a click."""

    GSP = "gsp"  #: the score of the next one below, by own quality; with one slot this is second price
    FIRST_PRICE = "first_price"  #: the own bid


@dataclass(frozen=True, slots=True)
class AuctionPart:
    """Auctions against a population of rivals; without this part market prices are a law without rivals behind it.

    Rivals are dealt to the categories; all of a category's that are awake bid in each of its auctions, at
    strength x price level of the unit x noise. `rivals.price_per_value` and `level_spread` set the units' price levels,
    `rise` and `drift` move all rivals at once; `auction_spread` is not used.

    Attributes
    ----------
    pricing, slots, slot_decay
        Rule of payment, number of ad slots, clicks of a slot as a share of those of the slot above.
    categories, rivals
        Numbers of categories and of rivals in all of them.
    strength_spread
        Standard deviation over rivals of the logarithm of their strength.
    noise, tail_share, tail_factor
        Standard deviation of the logarithm of a rival's single bids; in a share of the auctions it is larger by a
        factor: the fat tail.
    pacing_share
        Share of rivals that pace their day's budget; the others run dry.
    budget_tightness
        Median of a rival's daily budget over what that day would cost it.
    coming_share
        Share of rivals that enter or leave at some time.
    reaction
        Relative rise of a reacting rival's bids where it is always outbid by this account.
    """

    pricing: Pricing
    slots: Annotated[int, Between(1, 8)]
    slot_decay: Annotated[float, Between(0.05, 1)]
    categories: Annotated[int, Between(1, 1000)]
    rivals: Annotated[int, Between(1, 10_000)]
    strength_spread: Annotated[float, Between(0, 2)]
    noise: Annotated[float, Between(0.05, 3)]
    tail_share: Annotated[float, Between(0, 0.5)]
    tail_factor: Annotated[float, Between(1, 5)]
    pacing_share: Annotated[float, Between(0, 1)]
    budget_tightness: Annotated[float, Between(0.05, 100)]
    coming_share: Annotated[float, Between(0, 1)]
    reaction: Annotated[float, Between(0, 1)]


@dataclass(frozen=True, slots=True)
class AftermathPart:
    """What becomes of clicks and orders beyond the plain delay of `conversion`.

    Attributes
    ----------
    carts_share
        Share of warm-up orders that wait in the cart for the burst.
    deposit_share, forfeit_share
        A pre-sale order counts at once with this share of its value; the rest settles in the burst, unless the
        deposit is forfeited.
    refund_share, refund_mean_hours
        Share of orders that are taken back, and how long that takes in the mean; 72 hours at most.
    invalid_share
        Share of clicks that turn out invalid and are credited back within 72 hours; nobody orders after one.
    refund_last_month
        Share of orders that were taken back last month: last month's model has its conversion rates net of it.
    """

    carts_share: Annotated[float, Between(0, 1)]
    deposit_share: Annotated[float, Between(0, 1)]
    forfeit_share: Annotated[float, Between(0, 1)]
    refund_share: Annotated[float, Between(0, 0.9)]
    refund_mean_hours: Annotated[float, Between(1, 72)]
    invalid_share: Annotated[float, Between(0, 0.5)]
    refund_last_month: Annotated[float, Between(0, 0.9)] = 0.0


@dataclass(frozen=True, slots=True)
class CharacterPart:
    """What the world was measured to be, over seeds; it makes nothing of the world, and tests hold it true.

    Attributes
    ----------
    binding
        Rows that bind in hindsight.
    opportunities_per_unit_hour
        Shoppers who would click the ad if they saw it, mean over units and hours: lowest and highest of a seed.
    orders_per_unit_day
        Orders of the hindsight optimum, mean over units: lowest and highest of a seed.
    """

    binding: tuple[str, ...]
    opportunities_per_unit_hour: Annotated[tuple[float, ...], Between(0, 1e9)]
    orders_per_unit_day: Annotated[tuple[float, ...], Between(0, 1e9)]


class FaultKind(StrEnum):
    """Disturbances; the first ones trouble what is told and edited, the others the world itself."""

    LATE_REPORTS = "late_reports"  #: `hours` later than they could be
    LOST_REPORTS = "lost_reports"  #: `share` of rows missing, found `hours` later
    DUPLICATED_REPORTS = "duplicated_reports"  #: `share` of rows told again
    RESTATED_REPORTS = "restated_reports"  #: `share` of rows first told off by `amount`, put right `hours` later
    ATTRIBUTION_OUTAGE = "attribution_outage"  #: from `start`, for `hours`
    DARK_HOURS = "dark_hours"  #: from `start`, for `hours`: nothing read, nothing edited
    CLOCK_SKEW = "clock_skew"  #: the platform's clock is `amount` minutes fast
    REJECTED_BIDS = "rejected_bids"  #: `share` of edits
    ROUNDED_BIDS = "rounded_bids"  #: to a tick of `amount`
    RATE_LIMITED = "rate_limited"  #: `amount` edits an hour
    EDITS_PER_DAY = "edits_per_day"  #: `amount` a unit and local day
    OVER_DELIVERY = "over_delivery"  #: the platform stops at `amount` times the budget
    DAILY_BUDGET = "daily_budget"  #: a day ends at its part of the budget, over-delivered by up to `amount` times
    PRICE_SHOCK = "price_shock"  #: market prices times `amount`, from `start` for `hours`
    DEMAND_SHOCK = "demand_shock"  #: opportunities times `amount`, from `start` for `hours`
    RIVAL_ENTRY = "rival_entry"  #: prices times `amount` for `share` of units, from `start` for `hours`
    STOCK_OUT = "stock_out"  #: `share` of units sells nothing, from `start` for `hours`
    PREDICTOR_BIAS = "predictor_bias"  #: last month's conversion rates times `amount`


#: Keys that a kind needs beside ``kind``.
_FAULT_KEYS: Mapping[FaultKind, frozenset[str]] = {
    FaultKind.LATE_REPORTS: frozenset({"hours"}),
    FaultKind.LOST_REPORTS: frozenset({"share", "hours"}),
    FaultKind.DUPLICATED_REPORTS: frozenset({"share"}),
    FaultKind.RESTATED_REPORTS: frozenset({"share", "amount", "hours"}),
    FaultKind.ATTRIBUTION_OUTAGE: frozenset({"start", "hours"}),
    FaultKind.DARK_HOURS: frozenset({"start", "hours"}),
    FaultKind.CLOCK_SKEW: frozenset({"amount"}),
    FaultKind.REJECTED_BIDS: frozenset({"share"}),
    FaultKind.ROUNDED_BIDS: frozenset({"amount"}),
    FaultKind.RATE_LIMITED: frozenset({"amount"}),
    FaultKind.EDITS_PER_DAY: frozenset({"amount"}),
    FaultKind.OVER_DELIVERY: frozenset({"amount"}),
    FaultKind.DAILY_BUDGET: frozenset({"amount"}),
    FaultKind.PRICE_SHOCK: frozenset({"amount", "start", "hours"}),
    FaultKind.DEMAND_SHOCK: frozenset({"amount", "start", "hours"}),
    FaultKind.RIVAL_ENTRY: frozenset({"amount", "share", "start", "hours"}),
    FaultKind.STOCK_OUT: frozenset({"share", "start", "hours"}),
    FaultKind.PREDICTOR_BIAS: frozenset({"amount"}),
}


@dataclass(frozen=True, slots=True)
class FaultPart:
    """One disturbance; what the keys mean stands at its kind, and a kind takes no others.

    Attributes
    ----------
    kind
        Which.
    start, hours
        Local time at which it sets in, and how long it lasts or delays.
    share
        Of rows, edits or units that are hit.
    amount
        How strong.
    """

    kind: FaultKind
    start: datetime | None = None
    hours: Annotated[int | None, Between(1, 24 * 366)] = None
    share: Annotated[float | None, Between(0, 1)] = None
    amount: Annotated[float | None, Between(1e-6, 1e6)] = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One world as its file states it.

    Attributes
    ----------
    name, purpose
        What it is called, and what it is for.
    currency, timezone
        Of the account.
    start, end
        Local times between which the promotion runs; whole hours.
    """

    name: str
    purpose: str
    currency: str
    timezone: str
    start: datetime
    end: datetime
    units: UnitsPart
    demand: DemandPart
    value: ValuePart
    rivals: RivalsPart
    conversion: ConversionPart
    prior: PriorPart
    goals: GoalsPart
    limits: LimitsPart
    phases: tuple[PhasePart, ...]
    peaks: tuple[PeakPart, ...] = ()
    faults: tuple[FaultPart, ...] = ()
    auction: AuctionPart | None = None
    aftermath: AftermathPart | None = None
    character: CharacterPart | None = None
    plans: PlansPart | None = None

    @property
    def tz(self) -> ZoneInfo:
        """Time zone of the account."""
        return zone(self.timezone)

    @property
    def first_hour(self) -> Hour:
        """Hour in which the scenario starts."""
        return Hour.containing(self.start.replace(tzinfo=self.tz), self.tz)

    @property
    def n_hours(self) -> int:
        """Number of hours."""
        return self.position(self.end)

    def position(self, local: datetime) -> int:
        """Hours from the scenario's start to a local time."""
        return Hour.containing(local.replace(tzinfo=self.tz), self.tz).hours_since(self.first_hour)

    def calendar(self) -> PromotionCalendar:
        """Phases as a trader states them, with the intensities that everyone expects."""
        return PromotionCalendar(
            tuple(
                Phase(
                    p.name,
                    p.kind,
                    Window(
                        self.first_hour.plus(self.position(p.start)).start,
                        self.first_hour.plus(self.position(p.end)).start,
                    ),
                    traffic=p.traffic,
                    value=p.cvr,
                    price=p.price,
                )
                for p in self.phases
            )
        )

    def bid_limits(self) -> BidLimits:
        """Legal bids of the platform."""
        part = self.limits
        return BidLimits(
            floor=part.floor,
            cap=part.cap,
            tick=part.tick,
            max_step=part.max_step_pct / 100,
            edits_per_day=part.edits_per_day,
        )


def account_of(scenario: Scenario) -> Account:
    """Account that a scenario is played on: live, on the platform ``sim``."""
    return Account(f"sim-{scenario.name}", scenario.currency, scenario.timezone, "sim", Mode.LIVE)


def parse_scenario(raw: Mapping[str, Any], file: str) -> Scenario:
    """Scenario from parsed TOML; `ConfigError` names file, key and remedy."""
    scenario = _table(Scenario, raw, file, "")

    def refuse(where: str, why: str) -> ConfigError:
        return ConfigError(f"{file}: {where}: {why}")

    try:
        hours = scenario.n_hours
    except ConfigError as error:
        raise refuse("timezone", str(error)) from error
    if not 1 <= hours <= 24 * 366:
        raise refuse("end", f"must lie 1 hour to 366 days after start, got {hours} hours; set a later end")
    for where, moment in [
        ("start", scenario.start),
        ("end", scenario.end),
        ("rivals.rise_at", scenario.rivals.rise_at),
    ]:
        if moment.minute or moment.second or moment.microsecond:
            raise refuse(where, f"write a whole hour, got {moment.isoformat()}")
    if len(scenario.demand.hour_of_day) != 24 or not sum(scenario.demand.hour_of_day) > 0:
        raise refuse(
            "demand.hour_of_day", f"write 24 factors, not all 0; got {len(scenario.demand.hour_of_day)} of them"
        )
    if scenario.goals.pooling is Pooling.BUSINESS_TYPE and scenario.goals.roi_of_budget_optimum is None:
        raise refuse("goals.pooling", "business types need roi_of_budget_optimum")
    if len(scenario.demand.hour_of_week) not in (0, 168):
        raise refuse(
            "demand.hour_of_week", f"write 168 factors or none; got {len(scenario.demand.hour_of_week)} of them"
        )
    if scenario.goals.roi_of_budget_optimum is not None and scenario.goals.cpc_of_budget_optimum is not None:
        raise refuse("goals", "state roi_of_budget_optimum or cpc_of_budget_optimum, not both")
    if not scenario.units.business_types or scenario.units.campaigns > scenario.units.count:
        raise refuse("units", "name at least one business type, and have no more campaigns than units")
    if len(scenario.units.business_types) > scenario.units.campaigns:
        raise refuse("units.business_types", "name no more business types than there are campaigns")
    if scenario.rivals.auction_spread_range >= scenario.rivals.auction_spread:
        raise refuse("rivals.auction_spread_range", "must be smaller than auction_spread")
    conversion = scenario.conversion
    later = 1 - conversion.same_hour_share
    if conversion.mean_lag_hours < later or (later == 0 and conversion.mean_lag_hours > 0):
        raise refuse(
            "conversion.mean_lag_hours",
            f"a share of {later:g} that converts 1 hour later or more makes a mean of {later:g} hours at least "
            "(and of exactly 0 where all convert at once)",
        )
    for k, phase in enumerate(scenario.phases):
        if not scenario.start <= phase.start < phase.end <= scenario.end:
            raise refuse(f"phases[{k}]", f"phase {phase.name!r} must start before it ends, inside start .. end")
    for k, peak in enumerate(scenario.peaks):
        if not scenario.start <= peak.start < scenario.end:
            raise refuse(f"peaks[{k}].start", "must lie inside start .. end")
    if scenario.auction is not None and scenario.auction.rivals < scenario.auction.categories:
        raise refuse("auction.rivals", "have at least one rival per category")
    if (character := scenario.character) is not None:
        for name in ("opportunities_per_unit_hour", "orders_per_unit_day"):
            band = getattr(character, name)
            if len(band) != 2 or band[0] > band[1]:
                raise refuse(f"character.{name}", f"write the lowest and the highest, got {list(band)}")
    for k, fault in enumerate(scenario.faults):
        given = {n for n in ("start", "hours", "share", "amount") if getattr(fault, n) is not None}
        needed = _FAULT_KEYS[fault.kind]
        if given != needed:
            raise refuse(f"faults[{k}]", f"{fault.kind.value} takes the keys {sorted(needed)}, got {sorted(given)}")
        if fault.start is not None and not scenario.start <= fault.start < scenario.end:
            raise refuse(f"faults[{k}].start", "must lie inside start .. end")
        if fault.kind is FaultKind.DAILY_BUDGET and not 1 <= (fault.amount or 0) <= 2:
            raise refuse(f"faults[{k}].amount", f"a day is over-delivered by 1 to 2 times, got {fault.amount}")
    try:
        account_of(scenario)
    except ConfigError as error:
        raise refuse("name or currency", str(error)) from error
    try:
        scenario.calendar()
    except ConfigError as error:
        raise refuse("phases", str(error)) from error
    try:
        scenario.bid_limits()
    except ConfigError as error:
        raise refuse("limits", str(error)) from error
    return scenario


#: Folder of the scenarios that come with SteadyBid.
SHIPPED = Path(__file__).resolve().parent.parent / "scenarios"


def load_scenario(source: str | Path) -> Scenario:
    """Scenario of a TOML file, or of a shipped one by its name; `ConfigError` where it makes no sense."""
    path = Path(source)
    if isinstance(source, str) and path.suffix != ".toml" and len(path.parts) == 1:
        path = SHIPPED / f"{source}.toml"
        if not path.is_file():
            there = sorted(p.stem for p in SHIPPED.glob("*.toml"))
            raise ConfigError(f"no scenario {source!r}; write the path of a .toml file, or one of {', '.join(there)}")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); name a scenario file, such as one of scenarios/"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    return parse_scenario(raw, str(path))


def _table(kind: type[Any], raw: object, file: str, prefix: str) -> Any:
    """One table as its dataclass, key by key."""
    where = prefix.rstrip(".") or "the file"
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{file}: {where}: expected a table of keys, got {type(raw).__name__}")
    known = {f.name: f for f in dataclasses.fields(kind)}
    for key in raw:
        if key not in known:
            raise ConfigError(f"{file}: unknown key {prefix}{key}; {where} may hold {sorted(known)}")
    values: dict[str, Any] = {}
    for name, spec in known.items():
        if name in raw:
            values[name] = _value(spec.type, raw[name], file, f"{prefix}{name}")
        elif spec.default is dataclasses.MISSING:
            raise ConfigError(f"{file}: key {prefix}{name} is missing; add it")
    return kind(**values)


def _value(kind: Any, raw: object, file: str, key: str, within: Between | None = None) -> Any:
    """One value of the type and range that its key asks for."""
    if kind in (AuctionPart | None, AftermathPart | None, CharacterPart | None, PlansPart | None):
        kind = get_args(kind)[0]
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _table(kind, raw, file, f"{key}.")
    if hasattr(kind, "__metadata__"):  # Annotated
        return _value(get_args(kind)[0], raw, file, key, kind.__metadata__[0])
    if str(kind).startswith("tuple["):
        if not isinstance(raw, list):
            raise ConfigError(f"{file}: {key}: expected a list, got {raw!r}")
        return tuple(_value(get_args(kind)[0], item, file, f"{key}[{k}]", within) for k, item in enumerate(raw))
    if kind is str:
        if not isinstance(raw, str) or not raw.strip():
            raise ConfigError(f"{file}: {key}: expected a text, got {raw!r}")
        return raw
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        try:
            return kind(raw)
        except ValueError:
            raise ConfigError(f"{file}: {key}: {raw!r} is none of {[k.value for k in kind]}") from None
    if kind in (datetime, datetime | None):
        if not isinstance(raw, datetime) or raw.tzinfo is not None:
            raise ConfigError(f"{file}: {key}: expected a local time such as 2026-11-11T00:00:00, got {raw!r}")
        return raw
    assert within is not None, f"{key} has no range"
    whole = kind not in (float, float | None)
    if isinstance(raw, bool) or not isinstance(raw, int if whole else (int, float)):
        raise ConfigError(f"{file}: {key}: expected a {'whole ' if whole else ''}number, got {raw!r}")
    if not within.low <= raw <= within.high:
        raise ConfigError(f"{file}: {key}: must lie between {within.low:g} and {within.high:g}, got {raw!r}")
    return raw if whole else float(raw)
