"""A circuit breaker: failures of another server go in, and for a while nobody calls it any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

_FAILURES: Final = 5
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0


class CircuitBreaker:
    """Opens after some failures in a row. After a pause one call may try; its failure doubles the next pause."""

    def __init__(self, *, failures: int = _FAILURES, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures = failures
        self._clock = clock
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._pause_s = _FIRST_PAUSE_S
        self._shut_until = 0.0
        """When the next call may try; 0 while the breaker is closed."""

    @property
    def open(self) -> bool:
        """Whether a call would be turned away now."""
        return self._clock() < self._shut_until

    def admit(self) -> float:
        """0 when a call may go on; else the seconds to wait. Whoever goes on reports `succeeded` or `failed`."""
        with self._lock:
            if not self._shut_until:
                return 0.0
            now = self._clock()
            if now < self._shut_until:
                return self._shut_until - now
            self._shut_until = now + self._pause_s  # this call tries; the others wait for what becomes of it
            return 0.0

    def succeeded(self) -> bool:
        """Note an answer. Returns whether that closed the breaker."""
        with self._lock:
            closed, self._in_a_row, self._shut_until = bool(self._shut_until), 0, 0.0
            self._pause_s = _FIRST_PAUSE_S
            return closed

    def released(self) -> None:
        """Note that a call was given up before anything could be said about the server."""
        with self._lock:
            if self._shut_until:
                self._shut_until = self._clock()  # the next call may try

    def failed(self, calls: int = 1) -> bool:
        """Note that no answer came to so many calls. Returns whether that opened the breaker."""
        with self._lock:
            self._in_a_row += calls
            if self._in_a_row < self._failures:
                return False
            opened = not self._shut_until
            if not opened:
                self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
            self._shut_until = self._clock() + self._pause_s
            return opened
