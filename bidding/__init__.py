"""Bids from prices of money, and prices of money from targets: solvers with a proof, policies, guardrails, reasons.

AutoSolver        the exact laminar solver where the rows allow, else the rich one, at last the reference program
LaminarSolver     budget and ROI rows on nested groups, exactly, a million units in a moment
RichSolver        CPC and CPA rows, other objectives beside ROI rows: Newton on the dual, rows held exactly
ReferenceSolver   the program as stated in cvxpy, in `bidding.program` (loading cvxpy takes a second)
ThetaPolicy       bids up to where the last money returns the price of money, steadily; beside it Hold, Static, Manual and Pid to compare with
price_of_stability  what each notch of steadiness saves in edits and gives up in gmv
Guardrails        no bid leaves outside the limits
explain           why each bid is what it is
explain_unit      the same for one unit, with what a bid 10 % off would do and why it moved since the last hour
"""

from bidding.explanations import explain
from bidding.guardrails import Guardrails
from bidding.laminar import LaminarSolver
from bidding.policies import (
    HoldPolicy,
    ManualPolicy,
    PidPolicy,
    StaticPolicy,
    Steadiness,
    ThetaPolicy,
    price_of_stability,
)
from bidding.rich import RichSolver
from bidding.solve import AutoSolver
from bidding.unit import Explanation, explain_unit

__all__ = [
    "AutoSolver",
    "Explanation",
    "Guardrails",
    "HoldPolicy",
    "LaminarSolver",
    "ManualPolicy",
    "PidPolicy",
    "RichSolver",
    "StaticPolicy",
    "Steadiness",
    "ThetaPolicy",
    "explain",
    "explain_unit",
    "price_of_stability",
]
