"""Runs that never end: runs go in as they begin, and one that takes too long, or that nobody waits for, is told to end.

A look at all that run, ten times a second and only while anything runs, costs a run no more than an entry in a table.
So a run ends some tenths of a second later than it should, which is soon enough for a graph that loops for ever.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Final, Protocol, Self

_LOOK_S: Final = 0.1
_GRACE_S: Final = 1.0
"""For how long a run goes on when nobody waits for it: its list is remembered for the next time (see `pipeline`)."""

_LOOP_LIMIT_S: Final = 0.1
"""Of a run on the event loop, where nothing else happens meanwhile. Only those come there that take half a
millisecond by what was measured."""


class Endable(Protocol):
    """What can be told to end, from another thread: `RunOptions` of ONNX Runtime are."""

    terminate: bool


class RunSupervisor:
    """Ends runs. Use it as a context manager; while it is not open, nothing is ended."""

    def __init__(self, *, limit_s: float, loop_thread: int | None = None) -> None:
        """A run may take `limit_s`. `loop_thread` is the identity of the thread of the event loop."""
        self.limit_s: Final = limit_s
        self._limit_s = limit_s
        self._loop_thread = loop_thread
        self._ends: dict[Endable, float] = {}
        self._lock = threading.Lock()
        self._asleep = False
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look, name="audotics-supervisor", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def begin(self, run: Endable, deadline: float | None) -> None:
        """Note a run that begins now on this thread. Nobody waits for it after `deadline`, as in `Model.run`."""
        now = time.monotonic()
        limit_s = _LOOP_LIMIT_S if threading.get_ident() == self._loop_thread else self._limit_s
        end = now + limit_s if deadline is None else min(now + limit_s, deadline + _GRACE_S)
        with self._lock:
            self._ends[run] = end
        if self._asleep:
            self._wake.set()

    def done(self, run: Endable) -> None:
        """Note that a run is over, however it went. From then on it is not told to end."""
        with self._lock:
            del self._ends[run]

    def hurry(self) -> None:
        """From now on a run may take a moment only: the server stops, and nobody waits for any."""
        self._limit_s = min(self._limit_s, _GRACE_S)
        latest = time.monotonic() + _GRACE_S
        with self._lock:
            self._ends = {run: min(end, latest) for run, end in self._ends.items()}

    def _look(self) -> None:
        while True:
            self._wake.clear()
            self._asleep = True
            if (
                not self._ends and not self._closed.is_set()
            ):  # what began before it was known that this sleeps is seen here
                self._wake.wait()
            self._asleep = False
            if self._closed.wait(_LOOK_S):
                return
            now = time.monotonic()
            with self._lock:
                for run, end in self._ends.items():
                    if now >= end:
                        run.terminate = True
