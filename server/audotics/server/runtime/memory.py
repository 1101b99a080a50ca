"""What an unloaded model leaves goes back to the system.

glibc keeps freed memory for later, in an arena for each of several threads. `malloc_trim` gives it back, but for the
free end of every arena but the first; and models are loaded by threads that come and go. So a server has one arena. Its
lock is no bottleneck where one interpreter's lock is taken far more often. The arrays of models and indexes have
mappings of their own, of which nothing stays behind: among small objects they would leave holes that only some later
array fits into. Other allocators are left as they are.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import weakref
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, Final

_ARENA_MAX: Final = -8
_MMAP_THRESHOLD: Final = -3
_TRIM_THRESHOLD: Final = -1
"""Names of settings of `mallopt` (malloc.h)."""

_LARGE_BYTES: Final = 4 * 1024 * 1024
"""What has a mapping of its own. To make one takes time, and what requests need for a moment is smaller."""
_FREE_BYTES: Final = 16 * 1024 * 1024
"""What may stay free at the end of the arena, so that it does not shrink and grow with every request."""

_OPERATORS_WISH: Final = (
    "GLIBC_TUNABLES",
    "MALLOC_ARENA_MAX",
    "MALLOC_ARENA_TEST",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
)


def arrange_memory() -> bool:
    """Have threads made from now on share one arena, and large arrays none, unless the environment says otherwise.

    Says whether the allocator took it.
    """
    if any(name in os.environ for name in _OPERATORS_WISH):
        return False
    mallopt = _of_libc("mallopt")
    wishes = ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, _FREE_BYTES))
    return mallopt is not None and all(mallopt(name, value) for name, value in wishes)


def give_back_freed() -> bool:
    """Give back what is free. Says whether the allocator could be asked to."""
    trim = _of_libc("malloc_trim")
    if trim is None:
        return False
    trim(0)
    return True


class FreedMemory:
    """Gives back what the end of objects frees, once they are gone, on an executor, since that takes milliseconds."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
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
        self._asked = True  # before the executor may be done with it
        with suppress(RuntimeError):  # the server has ended
            self._executor.submit(self._give_back)

    def _give_back(self) -> None:
        self._asked = False
        give_back_freed()


def _of_libc(name: str) -> Any:
    """A function of glibc; None where there is none of the name."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
