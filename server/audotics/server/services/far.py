"""Batchers of models on other servers: a model goes in, the batcher of its own comes out.

A call of another server waits, and may wait long. In a batcher that it shared with others it would hold up theirs, so
each such model has one for itself, whose threads do nothing but wait. So has a model in this process whose runs cannot
be ended, since one that never comes back keeps its thread.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Final, Generic, Self
from weakref import WeakKeyDictionary

from audotics.server.batching.batcher import BatchLimits, RowBatcher
from audotics.server.batching.counts import BatchCounts
from audotics.server.batching.workload import JobT, ResultT, Workload
from audotics.server.runtime.model import Model

_CALLS_AT_ONCE: Final = 4
"""Of one model on another server, which has processors of its own."""

_THREADS: Final = 64
"""Calls at once of all models. Threads are made when they are needed."""


class FarBatchers(Generic[JobT, ResultT]):
    """One batcher a model, for as long as anybody holds the model. Use it as an async context manager."""

    def __init__(self, workload: Workload[JobT, ResultT], *, limits: BatchLimits) -> None:
        self._workload = workload
        self._limits = limits
        self._batchers: WeakKeyDictionary[Model, RowBatcher[JobT, ResultT]] = WeakKeyDictionary()
        self._stack = ExitStack()
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="audotics-far")
        self.counts: Final = BatchCounts()

    async def __aenter__(self) -> Self:
        self._stack.enter_context(self._executor)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for batcher in list(self._batchers.values()):
            await batcher.__aexit__(kind, error, trace)
        self._stack.close()

    @property
    def waiting_rows(self) -> int:
        """Rows that wait now, of all models."""
        return sum(batcher.waiting_rows for batcher in self._batchers.values())

    async def of(self, model: Model) -> RowBatcher[JobT, ResultT]:
        """The batcher of a model, which is open."""
        batcher = self._batchers.get(model)
        if batcher is None:
            limits = replace(self._limits, concurrency=_CALLS_AT_ONCE) if model.waits else self._limits
            batcher = RowBatcher(self._workload, executor=self._executor, limits=limits, counts=self.counts)
            self._batchers[model] = await batcher.__aenter__()
        return batcher
