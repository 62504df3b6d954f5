"""Policies that turn prices of money, or reports alone, into a plan of bids."""

from bidding.policies.baselines import HoldPolicy, StaticPolicy
from bidding.policies.manual import ManualPolicy
from bidding.policies.mirror import MirrorPolicy
from bidding.policies.mpc_reference import MpcReferencePolicy
from bidding.policies.pid import PidPolicy
from bidding.policies.theta import ThetaPolicy

__all__ = [
    "HoldPolicy",
    "ManualPolicy",
    "MirrorPolicy",
    "MpcReferencePolicy",
    "PidPolicy",
    "StaticPolicy",
    "ThetaPolicy",
]
