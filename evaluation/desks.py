"""The desk of a simulated account: the same parts as a live one, with a policy to be compared in the last seat."""

from collections.abc import Callable, Mapping

from bidding import AutoSolver, Guardrails, HoldPolicy, ManualPolicy, PidPolicy, StaticPolicy, ThetaPolicy
from bidding.policies import MirrorPolicy, MpcReferencePolicy
from data import MemoryJournal, MemoryStore
from domain.outlook import Auction
from domain.protocols import AdPlatform, BidPolicy
from engine.desk import Desk
from market import SimWorld
from market.scenario import Pricing
from pacing import Breaker, HardCaps, MirrorFallback, RecedingHorizon
from predictors import SteadyModel

_POLICIES: Mapping[str, Callable[[], BidPolicy]] = {
    "steadybid": ThetaPolicy,
    "static": StaticPolicy,
    "manual": ManualPolicy,
    "pid": PidPolicy,
    "hold": HoldPolicy,
    "mirror": MirrorPolicy,
    "mpc_reference": MpcReferencePolicy,
}

#: Names of policies that can be run.
POLICIES = tuple(_POLICIES)


def desk_for(policy: str, world: SimWorld, platform: AdPlatform) -> Desk:
    """Desk that starts knowing the account's units, last month's model, the calendar and the goals; nothing else."""
    store = MemoryStore(world.account, world.units, world.priors)
    return Desk(
        account=world.account,
        goals=world.goals,
        calendar=world.calendar,
        limits=world.limits,
        platform=platform,
        reports=store,
        asof=store,
        journal=MemoryJournal(),
        model=SteadyModel(calendar=world.calendar, auction=auction_of(world)),
        pacer=RecedingHorizon(AutoSolver()),
        policy=_POLICIES[policy](),
        guardrails=[Guardrails(world.limits), Breaker(HardCaps(total=world.budget), world.calendar, goals=world.goals)],
        fallback=MirrorFallback(),
    )


def auction_of(world: SimWorld) -> Auction:
    """How clicks are priced, as the platform says openly."""
    part = world.scenario.auction
    first = part is not None and part.pricing is Pricing.FIRST_PRICE
    return Auction.FIRST_PRICE if first else Auction.SECOND_PRICE
