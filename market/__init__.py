"""A simulated ad market: a world of shoppers and rivals, an ad platform's face on it, and the best possible in it.

`load_scenario` reads what a world is like, `SimWorld` makes one of it and a seed, `SimPlatform` is one run in it,
`fluid_optimum` the hindsight plan. Nothing here knows predictors, optimizer or pacing.
"""

from market.contested import make_platform, make_world
from market.faults import troubled
from market.fingerprint import fingerprint
from market.fluid import FluidPlan, best_gmv_at_spend, fluid_optimum
from market.ledger import Ledger
from market.platform import SimPlatform
from market.scenario import Scenario, load_scenario
from market.truth import Truth
from market.world import SimWorld

__all__ = [
    "FluidPlan",
    "Ledger",
    "Scenario",
    "SimPlatform",
    "SimWorld",
    "Truth",
    "best_gmv_at_spend",
    "fingerprint",
    "fluid_optimum",
    "load_scenario",
    "make_platform",
    "make_world",
    "troubled",
]
