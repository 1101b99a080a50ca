"""On which processors a call's threads run: how busy they are goes in, their affinity to processors comes out.

A call passes from thread to thread: those of gRPC that read its connection, the one that polls them, the event loop,
and back. They work one after the other, since most of it holds the interpreter's lock. Where each wakes on a processor
of its own, that one has to be roused from idling, and has nothing of the call in its caches: a lone caller's brief
inference then takes a third longer. So these threads share one processor while one is enough for them. When they are
busy, or the event loop has to wait for other work there, they run where the system puts them.

Threads that run models and searches are left alone. What a call's thread starts has its affinity, and gets it off.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_LOG: Final = logging.getLogger(__name__)

_THREADS: Final = Path("/proc/self/task")
_GRPC_NAMES: Final = frozenset({"event_engine", "lifeguard", "grpc_global_tim"})
"""What gRPC calls its threads, as far as the system keeps names."""
_POLLER_NAME: Final = "_poll_wrapper"
"""The function of grpc.aio's thread, which Python makes a part of its name."""
_PROCESSOR_FIELD: Final = 36
"""Of /proc/PID/task/TID/stat, counted from the end of the name: where the thread ran last."""

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 64.0


@dataclass(slots=True)
class Togetherness:
    """Whether threads should share a processor, by what they did since the last look.

    Apart they need more time for the same calls, so those that part do not come together again for the same load.
    """

    together: bool = False
    _since: float = -_FIRST_PAUSE_S
    _pause_s: float = _FIRST_PAUSE_S

    def look(self, *, busy: float, waiting: float, now: float) -> bool:
        """`busy` is how many processors the threads had, `waiting` the share of time that the event loop had none.

        `now` is in seconds on a clock that only goes forward.
        """
        if self.together and (busy > 0.9 or waiting > 0.25):
            # Those that part soon after they came together wait for longer before they try again.
            briefly = now - self._since < 2 * self._pause_s
            self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s) if briefly else _FIRST_PAUSE_S
            self.together, self._since = False, now
        elif not self.together and busy < 0.85 and now - self._since >= self._pause_s:
            self.together, self._since = True, now
        return self.together


@dataclass(frozen=True, slots=True)
class _Usage:
    """How long a thread has run, and how long it could have run and waited for a processor."""

    running_s: float
    waiting_s: float


class CallPlacement:
    """Places the threads of calls. Use it as an async context manager on the event loop that answers them.

    Nothing happens where the system has no affinity to processors or tells nothing of threads, as outside Linux, nor
    where the process may use one processor only.
    """

    def __init__(self, *, look_s: float = 0.5) -> None:
        """Look at the threads every `look_s` seconds, which takes some tenths of a millisecond."""
        self._look_s = look_s
        self._loop_thread = 0
        self._allowed: frozenset[int] = frozenset()
        self._togetherness = Togetherness()
        self._usage: dict[int, _Usage] = {}
        self._looked = 0.0
        self._others: frozenset[int] = frozenset()
        self._processor: int | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def processor(self) -> int | None:
        """The one that the threads share; None while they run anywhere."""
        return self._processor

    async def __aenter__(self) -> Self:
        self._loop_thread = threading.get_native_id()
        if hasattr(os, "sched_setaffinity") and _usage(self._loop_thread) is not None:
            self._allowed = frozenset(os.sched_getaffinity(self._loop_thread))
        if len(self._allowed) > 1:
            self._looking = asyncio.create_task(self._keep_looking())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._looking is None:
            return
        self._looking.cancel()
        await asyncio.wait((self._looking,))
        calls = self._call_threads()
        self._free_others(calls)
        self._place(calls, None)

    async def _keep_looking(self) -> None:
        while True:
            self._look(now=time.monotonic())
            await asyncio.sleep(self._look_s)

    def _look(self, *, now: float) -> None:
        calls = self._call_threads()
        self._free_others(calls)
        usage = {thread: known for thread in calls if (known := _usage(thread)) is not None}
        before, elapsed_s = self._usage, now - self._looked
        self._usage, self._looked = usage, now
        if self._loop_thread not in before or self._loop_thread not in usage or elapsed_s <= 0:
            return
        busy_s = sum(known.running_s - before[thread].running_s for thread, known in usage.items() if thread in before)
        waiting_s = usage[self._loop_thread].waiting_s - before[self._loop_thread].waiting_s
        if not self._togetherness.look(busy=busy_s / elapsed_s, waiting=waiting_s / elapsed_s, now=now):
            self._place(calls, None)
        elif self._processor is None:
            self._place(calls, _last_processor(self._loop_thread))
        else:
            self._place(calls, self._processor)  # threads that are new, too

    def _place(self, calls: Iterable[int], processor: int | None) -> None:
        wanted = self._allowed if processor is None else frozenset({processor})
        for thread in calls:
            _set_affinity(thread, wanted)
        if processor != self._processor:
            where = "anywhere" if processor is None else f"on processor {processor}"
            _LOG.debug("the threads of calls run %s", where)
        self._processor = processor

    def _free_others(self, calls: frozenset[int]) -> None:
        """Threads that began since the last time, and have their affinity from a thread of calls, may run anywhere."""
        others = frozenset(_threads()) - calls
        if self._processor is not None:
            for thread in others - self._others:
                with suppress(OSError):  # it has ended
                    if os.sched_getaffinity(thread) == {self._processor}:
                        os.sched_setaffinity(thread, self._allowed)
        self._others = others

    def _call_threads(self) -> frozenset[int]:
        pollers = {thread.native_id for thread in threading.enumerate() if _POLLER_NAME in thread.name}
        of_grpc = {thread for thread in _threads() if thread in pollers or _name(thread) in _GRPC_NAMES}
        return frozenset(of_grpc | {self._loop_thread})


def _threads() -> Iterable[int]:
    try:
        return [int(folder.name) for folder in _THREADS.iterdir()]
    except OSError:
        return ()


def _read(thread: int, file: str) -> str:
    """Empty for a thread that has ended."""
    try:
        return (_THREADS / str(thread) / file).read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _name(thread: int) -> str:
    return _read(thread, "comm").strip()


def _usage(thread: int) -> _Usage | None:
    numbers = _read(thread, "schedstat").split()
    return _Usage(int(numbers[0]) / 1e9, int(numbers[1]) / 1e9) if len(numbers) > 1 else None


def _last_processor(thread: int) -> int | None:
    fields = _read(thread, "stat").rpartition(")")[2].split()
    return int(fields[_PROCESSOR_FIELD]) if len(fields) > _PROCESSOR_FIELD else None


def _set_affinity(thread: int, processors: frozenset[int]) -> None:
    with suppress(OSError):  # it has ended, or the processors are no longer ours
        if os.sched_getaffinity(thread) != processors:
            os.sched_setaffinity(thread, processors)
