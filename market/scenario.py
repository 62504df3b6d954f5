"""Reads a scenario file: everything that makes one simulated world, and nothing that a policy may see directly.

A scenario is TOML with one table per part of the world. Every key must be known and inside its bounds; a file
that is not so is refused whole with file, key and remedy, because a silently ignored key is a wrong experiment.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from domain.account import Account, Mode
from domain.errors import ConfigError
from domain.limits import BidLimits
from domain.phases import Phase, PromotionCalendar
from domain.time import Hour, Window, zone
from market.plans_part import PlansPart
from market.scenario_account import (
    CharacterPart,
    GoalsPart,
    LimitsPart,
    PeakPart,
    PhasePart,
    Pooling,
    PriorPart,
    UnitsPart,
)
from market.scenario_faults import FAULT_KEYS, FaultKind, FaultPart
from market.scenario_file import read_table
from market.scenario_market import (
    AftermathPart,
    AuctionPart,
    ConversionPart,
    DemandPart,
    Pricing,
    RivalsPart,
    ValuePart,
)

__all__ = [
    "SHIPPED", "AftermathPart", "AuctionPart", "CharacterPart", "ConversionPart", "DemandPart", "FaultKind", "FaultPart",
    "GoalsPart", "LimitsPart", "PeakPart", "PhasePart", "Pooling", "Pricing", "PriorPart", "RivalsPart", "Scenario",
    "UnitsPart", "ValuePart", "account_of", "load_scenario", "parse_scenario",
]  # fmt: skip


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
    scenario = read_table(Scenario, raw, file)

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
        needed = FAULT_KEYS[fault.kind]
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
