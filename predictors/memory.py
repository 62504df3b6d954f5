"""Answers of dear questions, kept for as long as a process lives and found again by all that went into them.

A question is pure: the same content, the same answer. So nothing that is found can be stale; what differs in a single
row has another key.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Memory(Generic[Answer]):
    """The newest answers.

    Attributes
    ----------
    size
        How many are kept; the one that was asked for longest ago goes first.
    """

    size: int
    _kept: dict[bytes, Answer] = field(default_factory=dict[bytes, Answer])
    _lock: Lock = field(default_factory=Lock)

    def ask(self, key: bytes, answer: Callable[[], Answer]) -> Answer:
        """Answer that was given for a key, else that of `answer`, which may run twice where two threads ask at once."""
        with self._lock:
            if key in self._kept:
                self._kept[key] = self._kept.pop(key)
                return self._kept[key]
        found = answer()
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > self.size:
                self._kept.pop(next(iter(self._kept)))
        return found


def content(*parts: str | pl.DataFrame | NDArray[np.float64]) -> bytes:
    """Digest of texts, arrays and tables, the order of rows included."""
    digest = hashlib.sha256()
    for part in parts:
        for data in _bytes(part):
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
    return digest.digest()


def _bytes(part: str | pl.DataFrame | NDArray[np.float64]) -> tuple[bytes, ...]:
    if isinstance(part, str):
        return (part.encode(),)
    if isinstance(part, pl.DataFrame):
        return repr(part.schema).encode(), part.hash_rows(seed=20241111).to_numpy().tobytes()
    return (np.ascontiguousarray(part).tobytes(),)
