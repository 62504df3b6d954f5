"""Wide accounts keep the memory that they free; small ones leave the process as it is."""

import subprocess
import sys

from engine.memory import WIDE, keep_freed_memory

FAULTS = """
import resource, sys
from engine.memory import keep_freed_memory
told = keep_freed_memory(int(sys.argv[1]))
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = bytearray(64 << 20)
    for at in range(0, len(block), 4096):
        block[at] = 1
    del block
print(int(told), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(n_units: int) -> tuple[bool, int]:
    """Whether the C library was told, and the page faults of filling 64 MiB for the third time."""
    done = subprocess.run([sys.executable, "-c", FAULTS, str(n_units)], capture_output=True, text=True, check=True)
    told, count = done.stdout.split()
    return told == "1", int(count)


def test_memory_that_was_freed_is_not_asked_for_again() -> None:
    told, count = faults(WIDE)
    if told:  # elsewhere than in glibc there is no such switch
        assert count < 1000  # of 16,384 pages


def test_small_accounts_change_nothing() -> None:
    assert not keep_freed_memory(WIDE - 1)
    assert faults(WIDE - 1)[0] is False
