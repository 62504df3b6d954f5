"""The demo account: SteadyBid's simulated run beside the other policies of the same world."""

from collections.abc import Sequence
from datetime import datetime

from data import Workspace
from domain.account import Account
from evaluation.keep import DEMO, keep
from evaluation.results import RunResult


def keep_demo(workspace: Workspace, results: Sequence[RunResult], now: datetime, account: str = DEMO) -> Account | None:
    """Keep the run that carries what its desk saw (``simulate(..., keep=True)``); ``None`` where none does."""
    ours = next((r for r in results if r.kept is not None), None)
    if ours is None or ours.kept is None:
        return None
    same_world = [r for r in results if (r.setting, r.seed) == (ours.setting, ours.seed)]
    return keep(workspace, ours.kept, {r.policy: r.trace for r in same_world}, now, account)
