"""Names a scenario and the market it is played in, so that results of different worlds are never compared.

`VERSION` is raised whenever the market itself changes what happens in it; the scenario enters with every number. A change
of either is a new fingerprint, and needs a page in docs/decisions with tables of both.
"""

import hashlib
import json
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from market.plans_part import PlansPart
from market.scenario import Scenario

#: Version of the market's behaviour.
VERSION = "3"
#: Version of the hourly campaigns' behaviour.
PLANS_VERSION = "1"


def fingerprint(scenario: Scenario) -> str:
    """Twelve hexadecimal digits of the account's world.

    What is for people (`purpose`, `character`) does not count, nor keys left at their defaults, nor `plans`: hourly
    campaigns live in markets of their own, with a fingerprint of their own.
    """
    text = json.dumps({"market": VERSION, "scenario": _stated(scenario)}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def plans_fingerprint(part: PlansPart) -> str:
    """Twelve hexadecimal digits of a population of hourly campaigns."""
    text = json.dumps({"plans": PLANS_VERSION, "part": asdict(part)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _stated(value: Any) -> Any:
    """A part of a scenario as plain values, without what is a default: a new key alone makes no new world."""
    if is_dataclass(value):
        stated = {f.name: getattr(value, f.name) for f in fields(value) if getattr(value, f.name) != f.default}
        return {name: _stated(part) for name, part in stated.items() if name not in ("purpose", "character", "plans")}
    return [_stated(part) for part in value] if isinstance(value, tuple) else value
