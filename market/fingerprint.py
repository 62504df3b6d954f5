"""Names a scenario and the market it is played in, so that results of different worlds are never compared.

`VERSION` is raised whenever the market itself changes what happens in it; the scenario enters with every number. A change
of either is a new fingerprint, and needs a page in docs/decisions with tables of both.
"""

import hashlib
import json
from dataclasses import asdict

from market.scenario import Scenario

#: Version of the market's behaviour.
VERSION = "2"


def fingerprint(scenario: Scenario) -> str:
    """Twelve hexadecimal digits; texts for people (`purpose`) do not count."""
    content = {name: value for name, value in asdict(scenario).items() if name != "purpose"}
    text = json.dumps({"market": VERSION, "scenario": content}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
