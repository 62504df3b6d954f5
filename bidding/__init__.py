"""Bids from prices of money, and prices of money from targets: solvers with a proof, policies, guardrails, reasons.

AutoSolver        the exact laminar solver where the rows allow, else the rich one, at last the reference program
LaminarSolver     budget and ROI rows on nested groups, exactly, a million units in a moment
RichSolver        CPC and CPA rows, other objectives beside ROI rows: Newton on the dual, rows held exactly
ReferenceSolver   the program as stated in cvxpy, in `bidding.program` (loading cvxpy takes a second)
ThetaPolicy       bids = click value / price of money; beside it Hold, Static, Manual and Pid to compare with
Guardrails        no bid leaves outside the limits
explain           why each bid is what it is
"""

from bidding.explanations import explain
from bidding.guardrails import Guardrails
from bidding.laminar import LaminarSolver
from bidding.policies import HoldPolicy, ManualPolicy, PidPolicy, StaticPolicy, ThetaPolicy
from bidding.rich import RichSolver
from bidding.solve import AutoSolver

__all__ = [
    "AutoSolver",
    "Guardrails",
    "HoldPolicy",
    "LaminarSolver",
    "ManualPolicy",
    "PidPolicy",
    "RichSolver",
    "StaticPolicy",
    "ThetaPolicy",
    "explain",
]
