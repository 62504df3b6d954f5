"""Bids from prices of money, and prices of money from targets: solvers with a proof, policies, guardrails, reasons.

AutoSolver        the exact laminar solver where the rows allow, else the reference program
LaminarSolver     budget and ROI rows on nested groups, exactly, a million units in a moment
ReferenceSolver   the program as stated in cvxpy, in `bidding.program` (loading cvxpy takes a second)
"""

from bidding.laminar import LaminarSolver
from bidding.solve import AutoSolver

__all__ = ["AutoSolver", "LaminarSolver"]
