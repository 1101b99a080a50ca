"""Work with an end: work that may never come back goes in, its result comes out, or word that it took too long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def within(limit_s: float, work: Callable[[], T]) -> T:
    """What `work` returns or raises, on a thread of its own. Raises TimeoutError after `limit_s`.

    What is still at work then goes on, and does not hold up the end of the process.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # whatever it is, it is the caller's
            done.set_exception(error)

    threading.Thread(target=run, name="audotics-bounded", daemon=True).start()
    return done.result(timeout=limit_s)
