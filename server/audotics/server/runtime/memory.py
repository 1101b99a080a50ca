"""What an unloaded model leaves goes back to the system.

glibc keeps freed memory for later. `malloc_trim` gives it back, but for the end of the memory that it keeps for each
thread but the main one; and the thread that loads models, which take the most, is not the main one. That end it gives
back by itself when a large block is freed and more than the trim threshold is free there, so for a moment the threshold
is low. Other allocators are left as they are.
"""

from __future__ import annotations

import ctypes
import weakref
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final

from audotics.server.runtime.model import Model

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Names of two settings of `mallopt` (malloc.h). Once one is set, glibc adjusts neither of them any more."""

_KEPT_BYTES: Final = 64 * 1024 * 1024
_LARGEST_BYTES: Final = 32 * 1024 * 1024
"""What glibc itself arrives at, where large blocks are freed: to give back less is to take it anew at every request."""

_LARGE_BYTES: Final = 128 * 1024
"""Freeing so much has glibc look at what is free at the end (FASTBIN_CONSOLIDATION_THRESHOLD is 64 KiB)."""


def give_back_after(model: Model, executor: Executor) -> None:
    """Once `model` is gone, give back what it leaves on `executor`, whose threads loaded it."""
    weakref.finalize(model, _submit, executor).atexit = False


def give_back_freed() -> bool:
    """Give back what is free in the memory of this thread, and most of the other threads' too.

    Says whether the allocator could be asked to.
    """
    try:
        libc = ctypes.CDLL(None)
        mallopt, trim, malloc, free = libc.mallopt, libc.malloc_trim, libc.malloc, libc.free
    except (AttributeError, OSError, TypeError):
        return False
    malloc.restype, malloc.argtypes, free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
    mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
    mallopt(_TRIM_THRESHOLD, 0)
    try:
        free(malloc(_LARGE_BYTES))
    finally:
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    trim(0)
    return True


def _submit(executor: Executor) -> None:
    with suppress(RuntimeError):  # the server has ended
        executor.submit(give_back_freed)
