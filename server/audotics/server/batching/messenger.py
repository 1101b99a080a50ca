"""Brings word to event loops for threads that have no time to bring it.

To wake a loop a thread lets go of the interpreter's lock, and gets it back after the loop's turn. A thread that has
more to do leaves word here instead, which keeps the lock with it, and this one waits in its place.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Final, TypeAlias

_Words: TypeAlias = "SimpleQueue[tuple[asyncio.AbstractEventLoop, Callable[[], None]] | None]"


class Messenger:
    """A thread that has event loops call functions. It ends when it is closed, or nobody has it any more."""

    def __init__(self) -> None:
        self._words: Final[_Words] = SimpleQueue()
        threading.Thread(target=_bring_all, args=(self._words,), name="audotics-messenger", daemon=True).start()
        weakref.finalize(self, self._words.put, None)

    def tell(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        """Have `loop` call a function soon."""
        self._words.put((loop, call))

    def close(self) -> None:
        """Let the thread end after what it was told."""
        self._words.put(None)


def _bring_all(words: _Words) -> None:
    while _bring(words):
        pass


def _bring(words: _Words) -> bool:
    """In a function of its own, so that nothing is held while there is no word."""
    word = words.get()
    if word is None:
        return False
    loop, call = word
    with suppress(RuntimeError):  # the loop is closed, and with it all that waited there
        loop.call_soon_threadsafe(call)
    return True
