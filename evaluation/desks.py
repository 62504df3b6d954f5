"""The desk of a simulated account: the same parts as a live one, with a policy to be compared in the last seat."""

from collections.abc import Callable, Mapping

from bidding import AutoSolver, Guardrails, HoldPolicy, ManualPolicy, PidPolicy, StaticPolicy, ThetaPolicy
from bidding.policies import MirrorPolicy, MpcReferencePolicy
from data import MemoryJournal, MemoryStore
from domain.protocols import AdPlatform, BidPolicy
from engine.desk import Desk
from market import SimWorld
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
        model=SteadyModel(calendar=world.calendar),
        pacer=RecedingHorizon(AutoSolver()),
        policy=_POLICIES[policy](),
        guardrails=[Guardrails(world.limits), Breaker(HardCaps(total=world.budget), world.calendar)],
        fallback=MirrorFallback(),
    )
