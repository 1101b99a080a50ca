"""What an unloaded model leaves goes back to the system.

glibc keeps freed memory for later. `malloc_trim` gives it back, but for the end of the memory that it keeps for each
thread but the main one; and the threads that load models, which take the most, are other ones. That end it gives back
by itself when a large block is freed there and more than the trim threshold is free, so each of these threads does that
while the threshold is low. Other allocators are left as they are.
"""

from __future__ import annotations

import asyncio
import ctypes
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""Names of two settings of `mallopt` (malloc.h). Once one is set, glibc adjusts neither of them any more."""

_KEPT_BYTES: Final = 64 * 1024 * 1024
_LARGEST_BYTES: Final = 32 * 1024 * 1024
"""What glibc itself arrives at, where large blocks are freed: to give back less is to take it anew at every request."""

_LARGE_BYTES: Final = 128 * 1024
"""Freeing so much has glibc look at what is free at the end (FASTBIN_CONSOLIDATION_THRESHOLD is 64 KiB)."""

_PATIENCE_S: Final = 0.2
"""How long threads wait for each other. One that is loading a model comes later."""


class FreedMemory:
    """Gives back what is freed by the end of objects, once they are gone, on all threads that made such."""

    def __init__(self, executors: Mapping[Executor, int]) -> None:
        """`executors` with the number of their threads."""
        self._executors = executors
        self._asked = False

    def after(self, owner: object) -> None:
        """Give back what `owner` leaves. Called on the event loop, which brings word of its end.

        It ends wherever the last reference or the garbage collector drops it, which may be within `submit` itself: to
        submit something there would wait for a lock that this very thread holds. `call_soon_threadsafe` takes none.
        """
        weakref.finalize(owner, self._tell, asyncio.get_running_loop()).atexit = False

    def _tell(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._ask)

    def _ask(self) -> None:
        if self._asked:  # by another that ended at the same time
            return
        self._asked = True
        for executor, threads in self._executors.items():
            together = threading.Barrier(threads)
            with suppress(RuntimeError):  # the server has ended
                for _ in range(threads):
                    executor.submit(self._give_back, together)

    def _give_back(self, together: threading.Barrier) -> None:
        number = 0
        with suppress(threading.BrokenBarrierError):  # without waiting, one thread might come in place of all
            number = together.wait(_PATIENCE_S)
        self._asked = False
        give_back_freed(everywhere=number == 0)


def give_back_freed(*, everywhere: bool = True) -> bool:
    """Give back what is free at the end of this thread's memory; `everywhere` what is free within that of others, too.

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
    if everywhere:
        trim(0)
    return True
