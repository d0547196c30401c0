"""Memory that a step frees is kept for the next step."""

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's <malloc.h>
_LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Tell glibc's allocator to hand no freed memory back to the system; without glibc, do nothing.

    By default large tensors are given back when they are freed, and the next step pays for getting them again: the
    system clears every page. Nothing that is computed changes.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for setting in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            mallopt(setting, _LARGEST)
