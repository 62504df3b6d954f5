"""Policies that turn prices of money, or reports alone, into a plan of bids."""

from bidding.policies.baselines import HoldPolicy, StaticPolicy
from bidding.policies.dither import Dither
from bidding.policies.manual import ManualPolicy
from bidding.policies.mirror import MirrorPolicy
from bidding.policies.mpc_reference import MpcReferencePolicy
from bidding.policies.pid import PidPolicy
from bidding.policies.stability_price import price_of_stability
from bidding.policies.steadiness import Steadiness
from bidding.policies.theta import ThetaPolicy

__all__ = [
    "Dither",
    "HoldPolicy",
    "ManualPolicy",
    "MirrorPolicy",
    "MpcReferencePolicy",
    "PidPolicy",
    "StaticPolicy",
    "Steadiness",
    "ThetaPolicy",
    "price_of_stability",
]
