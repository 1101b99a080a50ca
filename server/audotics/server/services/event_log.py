"""Group commit: batches of events of many callers go in, and come back stored, one transaction for all that waited.

A sync of the disk takes as long for a thousand events as for one. While one group is on its way, all that arrives joins
the next. What must not run beside a write, such as the deletion of a listener, takes its turn in the same queue.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from audotics.server.errors import OverloadedError
from audotics.server.storage.errors import StorageError
from audotics.server.storage.events import EventStore, Outcome
from audotics.server.types import Event

T = TypeVar("T")

_LOG: Final = logging.getLogger(__name__)
_RETRY_AFTER_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """Most events of one transaction, and most that may wait for theirs."""

    group_events: int = 2000
    waiting_events: int = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    events: Sequence[Event]
    received_at: float
    stored: asyncio.Future[list[Outcome]]


@dataclass(frozen=True, slots=True, eq=False)
class _Turn:
    work: Callable[[], Any]
    done: asyncio.Future[Any]


class EventLog:
    """Appends events durably. Use it as an async context manager; leaving stores what is waiting."""

    def __init__(
        self,
        events: EventStore,
        *,
        executor: Executor,
        on_stored: Callable[[Sequence[Event]], object],
        on_failed: Callable[[Sequence[Event]], object],
        limits: GroupLimits | None = None,
    ) -> None:
        """`on_stored` learns of new events before their sender does, `on_failed` of those whose fate is not known."""
        self._events = events
        self._executor = executor
        self._on_stored = on_stored
        self._on_failed = on_failed
        self._limits = GroupLimits() if limits is None else limits
        self._queue: deque[_Batch | _Turn] = deque()
        self._waiting_events = 0
        self._arrived = asyncio.Event()
        self._closing = False
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing = True
        self._arrived.set()
        if self._writer is not None:
            await self._writer

    @property
    def waiting_events(self) -> int:
        """Events that wait for their transaction now."""
        return self._waiting_events

    async def append(self, events: Sequence[Event], *, received_at: float) -> list[Outcome]:
        """Say for each event, in order, whether it was new or known; either way it is on disk.

        A caller who leaves does not stop the write. Raises OverloadedError when too many wait, or StorageError.
        """
        if not events:
            return []
        if self._waiting_events + len(events) > self._limits.waiting_events:
            raise OverloadedError(
                f"{self._waiting_events} events wait to be stored; send them again later", retry_after_s=_RETRY_AFTER_S
            )
        stored: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._waiting_events += len(events)
        self._put(_Batch(events, received_at, stored))
        return await stored

    async def in_turn(self, work: Callable[[], T]) -> T:
        """Run blocking `work` after all that was appended before, and before all that is appended later."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put(_Turn(work, done))
        return await done

    def _put(self, entry: _Batch | _Turn) -> None:
        if self._closing:
            raise RuntimeError("the event log is closed")
        self._queue.append(entry)
        self._arrived.set()

    async def _write(self) -> None:
        while True:
            await self._arrived.wait()
            while self._queue:
                first = self._queue.popleft()
                if isinstance(first, _Turn):
                    await self._take(first)
                else:
                    await self._store(self._group(first))
            if self._closing:
                return
            self._arrived.clear()

    def _group(self, first: _Batch) -> list[_Batch]:
        """The batches of the next transaction: as many as the limit allows, always a whole one."""
        group, size = [first], len(first.events)
        while self._queue:
            following = self._queue[0]
            if isinstance(following, _Turn) or size + len(following.events) > self._limits.group_events:
                break
            self._queue.popleft()
            group.append(following)
            size += len(following.events)
        self._waiting_events -= size
        return group

    async def _store(self, group: Sequence[_Batch]) -> None:
        events = [event for batch in group for event in batch.events]
        append = partial(self._events.append, events, received_at=max(batch.received_at for batch in group))
        try:
            outcomes = await asyncio.get_running_loop().run_in_executor(self._executor, append)
        except Exception as error:
            if not isinstance(error, StorageError):
                _LOG.exception("events could not be stored")
            self._on_failed(events)
            for batch in group:
                if not batch.stored.done():
                    batch.stored.set_exception(error)
            return
        self._on_stored([event for event, outcome in zip(events, outcomes, strict=True) if outcome == "accepted"])
        start = 0
        for batch in group:
            end = start + len(batch.events)
            if not batch.stored.done():
                batch.stored.set_result(outcomes[start:end])
            start = end

    async def _take(self, turn: _Turn) -> None:
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._executor, turn.work)
        except Exception as error:
            if not turn.done.done():
                turn.done.set_exception(error)
        else:
            if not turn.done.done():
                turn.done.set_result(result)
