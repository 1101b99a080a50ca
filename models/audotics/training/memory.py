"""Memory below PyTorch: the allocator of this process is told to keep what training frees.

glibc gives large blocks back to the system as soon as they are free. A training step frees and takes the same ones over
and over, and each time the system hands them out page by page, zeroed: up to a quarter of a step of the hybrid's gate.
"""

from __future__ import annotations

import ctypes
from typing import Final

TRIM_THRESHOLD: Final = -1
MMAP_THRESHOLD: Final = -3
"""Names of two settings of `mallopt` (malloc.h)."""

KEPT_BYTES: Final = 2**29
"""Free memory that stays with the process."""

LARGEST_BYTES: Final = 2**25
"""Blocks up to this size, which is the most that glibc allows, come from memory that stays."""


def keep_freed_memory() -> bool:
    """Whether the allocator took it; one that is not glibc's is left as it is."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all([mallopt(TRIM_THRESHOLD, KEPT_BYTES), mallopt(MMAP_THRESHOLD, LARGEST_BYTES)])
