"""What is remembered, and how it is cut at an hour.

`Workspace` is the folder with everything: accounts, imports, facts, targets, phases, decisions. `MemoryStore` and
`MemoryJournal` hold one account of a simulated run. `Views` reads for people: series, decisions, plans.
"""

from data.accounts import stop
from data.imports import IngestResult
from data.journal import SqlJournal
from data.memory import MemoryStore
from data.memory_journal import MemoryJournal
from data.store import AccountStore
from data.views import Views
from data.workspace import Workspace

__all__ = [
    "AccountStore",
    "IngestResult",
    "MemoryJournal",
    "MemoryStore",
    "SqlJournal",
    "Views",
    "Workspace",
    "stop",
]
