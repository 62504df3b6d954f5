"""Keeps memory that wide accounts free, instead of handing it back to the operating system and asking for it again.

An hour of a million units makes and frees some gigabytes of arrays. The C library maps each large one anew and unmaps it
when it is freed, and every page is then zeroed and faulted in again: a third of the CPU time on some virtual machines.
"""

import ctypes

#: Units from which on it is worth it.
WIDE = 200_000
#: Parameters of `mallopt` in glibc's malloc.h: free memory that is handed back, and blocks that may be mapped singly.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_MOST = 2**31 - 1


def keep_freed_memory(n_units: int) -> bool:
    """Tell the C library to keep what is freed, for as long as this process lives, where an account is wide.

    Gives whether it was told: elsewhere than in glibc there is no such switch, and nothing is lost but time.
    """
    if n_units < WIDE:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _MOST))
